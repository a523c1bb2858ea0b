//! `headwater sql`: asks a SQL question.

use std::path::PathBuf;

use base::size::counted;
use serde_json::Value;
use server::wire::{SqlAnswer, SqlRequest};

use crate::arguments::Global;
use crate::commands::query::document;
use crate::printer::{Outcome, Printer, table};
use crate::target::Target;

/// What to ask.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// The query; `-` reads it from standard input.
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    query: Option<String>,
    /// A file that holds the query.
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The state at an RFC 3339 time, or at a snapshot id of the one table that is read.
    #[arg(long)]
    at: Option<String>,
    /// At most this many rows; `export --sql` has no such limit.
    #[arg(long, default_value_t = 1000)]
    limit: u64,
}

pub(crate) async fn run(global: &Global, options: Options, printer: &Printer) -> Outcome {
    let sql = document(options.query, options.file)?;
    let target = Target::open(global).await?;
    let request = SqlRequest { sql, at: options.at, limit: Some(options.limit) };
    let answer: SqlAnswer = target.call("sql", &request).await?;
    printer.answer(&answer, || as_table(&answer));
    let more = if answer.truncated {
        " (there are more; raise `--limit` or use `export --sql`)"
    } else {
        ""
    };
    printer.remark(&printer.faint(&format!(
        "{}, {:.1} ms{more}",
        counted(answer.rows.len() as u64, "row"),
        answer.millis
    )));
    Ok(())
}

fn as_table(answer: &SqlAnswer) -> String {
    let headers: Vec<&str> = answer.columns.iter().map(|(name, _)| name.as_str()).collect();
    let rows: Vec<Vec<String>> =
        answer.rows.iter().map(|row| row.iter().map(cell).collect()).collect();
    table(&headers, &rows)
}

/// A value on a terminal: text as it is, null as nothing, the rest as JSON.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.replace(['\n', '\r', '\t'], " "),
        other => other.to_string(),
    }
}
