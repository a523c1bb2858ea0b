//! `headwater status`: the state of the project and what maintenance owes.

use base::size::{format_bytes, format_count};
use server::wire::{SourceState, StatusAnswer};

use crate::arguments::Global;
use crate::printer::{Outcome, Printer, table};
use crate::target::Target;

pub(crate) async fn run(global: &Global, printer: &Printer) -> Outcome {
    let target = Target::open(global).await?;
    let status: StatusAnswer = target.call("status", &serde_json::json!({})).await?;
    printer.answer(&status, || text(&status));
    Ok(())
}

fn sources(sources: &[SourceState]) -> String {
    if sources.is_empty() {
        return String::new();
    }
    let row = |source: &SourceState| {
        let counts = [source.calls, source.failed, source.in_flight].map(format_count);
        let [calls, failed, in_flight] = counts;
        let mean = format!("{:.1} ms", source.mean_millis);
        vec![source.name.clone(), calls, failed, in_flight, mean, source.breaker.clone()]
    };
    let rows: Vec<Vec<String>> = sources.iter().map(row).collect();
    let names = ["service", "calls", "failed", "in flight", "mean", "breaker"];
    format!("\n{}\n", table(&names, &rows))
}

fn text(status: &StatusAnswer) -> String {
    let pending = if status.pending_changes { ", files differ: run `headwater plan`" } else { "" };
    let mut text = format!(
        "headwater {}\nschema version {} ({}){pending}\n{} in tables at {}, metadata in {}\n",
        status.version,
        status.schema_version,
        &status.fingerprint[..status.fingerprint.len().min(12)],
        format_bytes(status.bytes),
        status.objects,
        status.metadata,
    );
    let rows: Vec<Vec<String>> = status
        .tables
        .iter()
        .map(|table| {
            let counts = [
                table.rows,
                table.files,
                table.small_files,
                table.delete_files,
                table.expired_snapshots,
                table.unindexed_rows,
            ];
            let mut cells = vec![table.type_name.clone()];
            cells.extend(counts.map(format_count));
            cells.push(format_bytes(table.orphan_bytes));
            cells
        })
        .collect();
    if !rows.is_empty() {
        text.push('\n');
        let names =
            ["type", "rows", "files", "small", "deletes", "expired", "unindexed", "orphans"];
        text.push_str(&table(&names, &rows));
        text.push('\n');
    }
    text.push_str(&sources(&status.sources));
    for run in &status.running {
        text.push_str(&format!("running: {run}\n"));
    }
    text
}
