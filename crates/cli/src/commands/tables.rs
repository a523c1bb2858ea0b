//! `headwater tables`: lists the tables.

use base::size::{format_bytes, format_count};
use server::wire::TableInfo;

use crate::arguments::Global;
use crate::printer::{Outcome, Printer, table};
use crate::target::Target;

pub(crate) async fn run(global: &Global, printer: &Printer) -> Outcome {
    let target = Target::open(global).await?;
    let tables: Vec<TableInfo> = target.call("tables", &serde_json::json!({})).await?;
    printer.answer(&tables, || match tables.len() {
        0 => "no tables yet: write a schema and run `headwater apply`".to_owned(),
        _ => listing(&tables),
    });
    Ok(())
}

fn listing(tables: &[TableInfo]) -> String {
    let rows: Vec<Vec<String>> = tables
        .iter()
        .map(|info| {
            vec![
                format!("{}.{}", info.module, info.name),
                info.type_name.clone(),
                info.format.clone(),
                format_count(info.rows),
                format_bytes(info.bytes),
                info.files.to_string(),
                info.snapshots.to_string(),
                info.owner.clone(),
            ]
        })
        .collect();
    table(&["table", "type", "format", "rows", "size", "files", "snapshots", "owner"], &rows)
}
