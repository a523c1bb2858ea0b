//! `headwater snapshots`: lists the snapshots of a table.

use base::size::{format_bytes, format_count};
use server::wire::SnapshotInfo;

use crate::arguments::Global;
use crate::printer::{Outcome, Printer, table};
use crate::target::Target;

/// Of which table.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// The type of the schema.
    #[arg(value_name = "TYPE")]
    type_name: String,
}

pub(crate) async fn run(global: &Global, options: Options, printer: &Printer) -> Outcome {
    let target = Target::open(global).await?;
    let request = serde_json::json!({ "typeName": options.type_name });
    let snapshots: Vec<SnapshotInfo> = target.call("snapshots", &request).await?;
    printer.answer(&snapshots, || match snapshots.len() {
        0 => format!("`{}` has no snapshot yet: import something", options.type_name),
        _ => listing(&snapshots),
    });
    Ok(())
}

fn listing(snapshots: &[SnapshotInfo]) -> String {
    let rows: Vec<Vec<String>> = snapshots
        .iter()
        .map(|snapshot| {
            vec![
                if snapshot.current { "*" } else { "" }.to_owned(),
                snapshot.id.clone(),
                snapshot.at.clone(),
                snapshot.operation.clone(),
                format_count(snapshot.rows),
                format_bytes(snapshot.bytes),
                snapshot.author.clone(),
                snapshot.summary.clone(),
            ]
        })
        .collect();
    table(&["", "id", "at", "operation", "rows", "size", "author", "what for"], &rows)
}
