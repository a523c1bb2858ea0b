//! `headwater compact`: merges small files and applies deletes.

use base::size::format_bytes;
use server::wire::{CompactAnswer, CompactRequest};

use crate::arguments::Global;
use crate::printer::{Outcome, Printer, table};
use crate::progress::Bar;
use crate::target::Target;

/// Which tables.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// The type of the schema; all tables when left out.
    #[arg(value_name = "TYPE")]
    type_name: Option<String>,
}

pub(crate) async fn run(global: &Global, options: Options, printer: &Printer) -> Outcome {
    let target = Target::open(global).await?;
    let bar = Bar::new(printer);
    let request = CompactRequest { type_name: options.type_name };
    let answers: Vec<CompactAnswer> =
        target.call_reporting("compact", &request, &mut |progress| bar.report(&progress)).await?;
    drop(bar);
    printer.answer(&answers, || {
        let rows: Vec<Vec<String>> = answers
            .iter()
            .map(|answer| {
                vec![
                    answer.type_name.clone(),
                    format!("{} → {}", answer.files_before, answer.files_after),
                    format!(
                        "{} → {}",
                        format_bytes(answer.bytes_before),
                        format_bytes(answer.bytes_after)
                    ),
                ]
            })
            .collect();
        table(&["type", "files", "size"], &rows)
    });
    Ok(())
}
