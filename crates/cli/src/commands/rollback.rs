//! `headwater rollback`: goes back to a snapshot of a table; later snapshots stay readable.

use base::size::counted;
use server::wire::{RollbackRequest, SnapshotInfo};

use crate::arguments::Global;
use crate::commands::apply::ask;
use crate::printer::{Outcome, Printer};
use crate::target::Target;

/// What to go back to.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// The type of the schema.
    #[arg(value_name = "TYPE")]
    type_name: String,
    /// The snapshot's id, as `headwater snapshots` lists it.
    #[arg(long, value_name = "ID")]
    to: String,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
}

pub(crate) async fn run(global: &Global, options: Options, printer: &Printer) -> Outcome {
    let target = Target::open(global).await?;
    ask(options.yes, "rollback")?;
    let request = RollbackRequest { type_name: options.type_name, snapshot: options.to };
    let snapshot: SnapshotInfo = target.call("rollback", &request).await?;
    printer.answer(&snapshot, || {
        let rows = counted(snapshot.rows, "row");
        format!("`{}` is as it was at {}: {rows}", request.type_name, snapshot.at)
    });
    Ok(())
}
