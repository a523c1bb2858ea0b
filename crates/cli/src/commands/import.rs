//! `headwater import`: brings files into a table.

use std::path::PathBuf;

use base::size::{format_bytes, format_count};
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
    #[arg(long, value_parser = ["append", "insert", "upsert", "replace"])]
    mode: Option<String>,
    /// Rows that may be refused before the import fails.
    #[arg(long, value_name = "N", default_value_t = 0)]
    max_errors: u64,
    /// Where refused rows go, with the reason.
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// The format, when it should not be found by looking.
    #[arg(long, value_parser = ["csv", "tsv", "jsonl", "parquet", "arrow", "images"])]
    format: Option<String>,
    /// What separates cells.
    #[arg(long, value_name = "CHARACTER")]
    delimiter: Option<char>,
    /// How text is written.
    #[arg(long, value_parser = ["utf-8", "latin1"])]
    encoding: Option<String>,
    /// The first row holds no names: cells are the type's columns in order.
    #[arg(long)]
    no_header: bool,
    /// Pass over columns that the type has no field for.
    #[arg(long)]
    ignore_unknown: bool,
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
        header: options.no_header.then_some(false),
        ignore_unknown: options.ignore_unknown,
    }
}

/// What an import did, in a line.
pub(crate) fn summary(answer: &ImportAnswer, source: &str) -> String {
    if answer.already_imported {
        return format!(
            "{source}: imported before, nothing to do ({} rows)",
            format_count(answer.rows)
        );
    }
    let mut text = format!(
        "{source}: {} rows into {} ({}, {:.1} s)",
        format_count(answer.rows),
        answer.type_name,
        format_bytes(answer.bytes),
        answer.seconds
    );
    if answer.resumed_parts > 0 {
        text.push_str(&format!(
            ", {} of {} parts were there already",
            answer.resumed_parts, answer.parts
        ));
    }
    if answer.rejected > 0 {
        text.push_str(&format!("\n  {} rows refused", format_count(answer.rejected)));
        for (reason, count) in &answer.rejected_by_reason {
            text.push_str(&format!("\n    {:>8}  {reason}", format_count(*count)));
        }
        if let Some(rejects) = &answer.rejects {
            text.push_str(&format!("\n  they are in {}", rejects.display()));
        }
    }
    text
}
