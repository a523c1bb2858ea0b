//! `headwater import`: brings files into a table.

use std::path::PathBuf;

use base::size::{counted, format_bytes, format_count};
use server::wire::{ImportAnswer, ImportRequest};

use crate::arguments::Global;
use crate::printer::{Outcome, Printer};
use crate::progress::Bar;
use crate::target::Target;

/// What to import, and how.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// The type of the schema, for instance `Film`.
    #[arg(value_name = "TYPE")]
    type_name: String,
    /// Files (CSV, TSV, JSON Lines, Parquet, Arrow, images), or folders or zip files of images.
    #[arg(required = true, value_name = "FILE")]
    sources: Vec<PathBuf>,
    /// What to do with rows: by default `upsert` for a type with a key, else `append`.
    #[arg(long, value_parser = ["append", "upsert", "replace"])]
    mode: Option<String>,
    /// Rows that may be refused before the import fails.
    #[arg(long, value_name = "N", default_value_t = 0)]
    max_errors: u64,
    /// Where refused rows go, with the reason.
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// The format, when it should not be found by looking.
    #[arg(long, value_parser = ["csv", "tsv", "jsonl", "json", "parquet", "arrow", "arrow-stream", "images"])]
    format: Option<String>,
    /// What separates cells.
    #[arg(long, value_name = "CHARACTER")]
    delimiter: Option<char>,
    /// How text is written.
    #[arg(long, value_parser = ["utf-8", "latin1"])]
    encoding: Option<String>,
    /// The first row holds names, whatever it looks like.
    #[arg(long, conflicts_with = "no_header")]
    header: bool,
    /// The first row holds no names: cells are the type's columns in order.
    #[arg(long)]
    no_header: bool,
    /// The columns of a file without names, in order; `_` skips one.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    columns: Option<Vec<String>>,
    /// `none`: quotes are plain text.
    #[arg(long, value_parser = ["double", "none"])]
    quote: Option<String>,
    /// A text that stands for no value, besides the empty one.
    #[arg(long, value_name = "TEXT")]
    null: Vec<String>,
    /// The unit of points in time that are numbers.
    #[arg(long, value_parser = ["seconds", "millis", "micros"])]
    epoch: Option<String>,
    /// How dates are written, for instance `%d.%m.%Y`.
    #[arg(long, value_name = "FORMAT")]
    date_format: Option<String>,
    /// How points in time are written, for instance `%d.%m.%Y %H:%M`; taken as UTC.
    #[arg(long, value_name = "FORMAT")]
    datetime_format: Option<String>,
    /// Pass over columns that the type has no field for.
    #[arg(long)]
    ignore_unknown: bool,
    /// Import a file even if the same bytes were imported before.
    #[arg(long)]
    again: bool,
}

pub(crate) async fn run(global: &Global, options: Options, printer: &Printer) -> Outcome {
    let target = Target::open(global).await?;
    let mut answers = Vec::new();
    for source in &options.sources {
        let bar = Bar::new(printer);
        let request = request(&options, source.clone());
        let answer = target.import(request, &mut |progress| bar.report(&progress)).await?;
        drop(bar);
        if !printer.is_json() {
            printer.text(&summary(&answer, &source.display().to_string()));
        }
        answers.push(answer);
    }
    if printer.is_json() {
        printer.answer(&answers, String::new);
    }
    Ok(())
}

fn request(options: &Options, source: PathBuf) -> ImportRequest {
    ImportRequest {
        type_name: options.type_name.clone(),
        source,
        display_name: None,
        mode: options.mode.clone(),
        max_errors: options.max_errors,
        rejects: options.rejects.clone(),
        format: options.format.clone(),
        delimiter: options.delimiter,
        encoding: options.encoding.clone(),
        header: if options.header { Some(true) } else { options.no_header.then_some(false) },
        columns: options.columns.clone(),
        plain_quotes: options.quote.as_deref() == Some("none"),
        nulls: options.null.clone(),
        epoch: options.epoch.clone(),
        date_format: options.date_format.clone(),
        datetime_format: options.datetime_format.clone(),
        ignore_unknown: options.ignore_unknown,
        again: options.again,
    }
}

/// What an import did, in a line.
pub(crate) fn summary(answer: &ImportAnswer, source: &str) -> String {
    if answer.already_imported {
        return format!(
            "{source}: imported before, nothing to do ({})",
            counted(answer.rows, "row")
        );
    }
    let mut text = format!(
        "{source}: {} into {} ({}, {:.1} s)",
        counted(answer.rows, "row"),
        answer.type_name,
        format_bytes(answer.bytes),
        answer.seconds
    );
    if answer.resumed_rows > 0 {
        let rows = counted(answer.resumed_rows, "row");
        text.push_str(&format!(", of which {rows} were there from an interrupted import"));
    }
    if answer.rejected > 0 {
        text.push_str(&format!("\n  {} refused", counted(answer.rejected, "row")));
        for (reason, count) in &answer.rejected_by_reason {
            text.push_str(&format!("\n    {:>8}  {reason}", format_count(*count)));
        }
        if let Some(rejects) = &answer.rejects {
            text.push_str(&format!("\n  they are in {}", rejects.display()));
        }
    }
    text
}
