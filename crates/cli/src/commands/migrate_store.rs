//! `headwater migrate-store`: moves all objects to another place while the project is served.

use base::size::{counted, format_bytes};
use server::wire::{MoveAnswer, MoveRequest};

use crate::arguments::Global;
use crate::printer::{Outcome, Printer};
use crate::progress::Bar;
use crate::target::Target;

/// Where to, or that the move has ended.
#[derive(clap::Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct Options {
    /// An empty folder, or `s3://bucket/prefix`; run it again to go on after an interruption.
    #[arg(long, value_name = "PLACE")]
    to: Option<String>,
    /// Remove the old objects; until then they are kept.
    #[arg(long)]
    finish: bool,
}

pub(crate) async fn run(global: &Global, options: Options, printer: &Printer) -> Outcome {
    let target = Target::open(global).await?;
    let bar = Bar::new(printer);
    let request = MoveRequest { to: options.to, finish: options.finish };
    let answer: MoveAnswer = target
        .call_reporting("migrateStore", &request, &mut |progress| bar.report(&progress))
        .await?;
    drop(bar);
    printer.answer(&answer, || text(&answer));
    Ok(())
}

fn text(answer: &MoveAnswer) -> String {
    let (objects, bytes) = (counted(answer.objects, "object"), format_bytes(answer.bytes));
    if answer.kept.is_empty() {
        return format!("removed {objects}, {bytes}; the objects are at {}", answer.place);
    }
    format!(
        "copied {objects}, {bytes}; the objects are at {}\nthe old ones are kept at {}: \
         `headwater migrate-store --finish` removes them",
        answer.place, answer.kept
    )
}
