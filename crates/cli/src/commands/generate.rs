//! `headwater generate`: writes types and clients from the schema, and typed clients for the documents
//! of a program.

use std::path::PathBuf;

use base::Error;
use server::wire::GenerateRequest;

use super::documents::files;
use crate::arguments::Global;
use crate::printer::{Failure, Outcome, Printer};
use crate::target::schema_text;

mod pattern;

/// What to write, and where.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// What to write.
    #[arg(value_parser = ["typescript", "python", "rust", "ddl", "sdl"])]
    target: String,
    /// The folder; standard output when left out.
    #[arg(long, short, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Write nothing, and fail when the files in `--out` are not what would be written: for CI.
    #[arg(long, requires = "out")]
    check: bool,
    /// Write a typed client for the operations in these files, folders or patterns, for instance
    /// `queries/**/*.graphql`.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    documents: Vec<String>,
    /// How that client names its documents: by their texts, by their hashes (automatic persisted
    /// queries), or by the ids under which `headwater documents register` knows them.
    #[arg(long, value_name = "HOW", value_parser = ["text", "persisted", "id"], requires = "documents")]
    send: Option<String>,
    /// What the program calls itself, as `headwater usage` shows it: `web`, or `web/3.1`.
    #[arg(long, value_name = "NAME", requires = "documents")]
    client: Option<String>,
}

pub(crate) async fn run(global: &Global, options: Options, printer: &Printer) -> Outcome {
    let documents = match options.documents.as_slice() {
        [] => Vec::new(),
        patterns => files::read(&pattern::expand(patterns)?)?,
    };
    let request = GenerateRequest {
        target: options.target.clone(),
        schema: Some(schema_text(global)?),
        documents,
        send: options.send.clone(),
        client: options.client.clone(),
    };
    let answer = server::operations::generate(&request)?;
    let Some(out) = &options.out else {
        printer.answer(&answer, || {
            // The list of documents beside a client is for a file.
            let most = if options.documents.is_empty() { answer.files.len() } else { 1 };
            let texts = answer.files.iter().take(most).map(|(_, text)| text.as_str());
            let texts: Vec<&str> = texts.collect();
            texts.join("\n")
        });
        return Ok(());
    };
    let mut changed = Vec::new();
    for (name, text) in &answer.files {
        let path = out.join(name);
        if std::fs::read_to_string(&path).is_ok_and(|present| present == *text) {
            continue;
        }
        changed.push(path.display().to_string());
        if !options.check {
            write(&path, text)?;
        }
    }
    if options.check && !changed.is_empty() {
        return Err(outdated(&options, out, &changed));
    }
    let summary = serde_json::json!({ "files": answer.files.len(), "changed": changed });
    printer.answer(&summary, || match changed.len() {
        0 => format!("{} files are current", answer.files.len()),
        _ => changed.join("\n"),
    });
    Ok(())
}

fn outdated(options: &Options, out: &std::path::Path, changed: &[String]) -> Failure {
    let (from, hint) = match options.documents.is_empty() {
        true => {
            let command = format!("headwater generate {} --out {}", options.target, out.display());
            ("the schema gives", format!("run `{command}`"))
        }
        false => ("schema and documents give", "run the same command without `--check`".to_owned()),
    };
    Failure::user(format!("{} is not what {from}", changed.join(", ")), hint)
}

fn write(path: &std::path::Path, text: &str) -> Outcome {
    let context = |error: std::io::Error| {
        Error::from(error).context(format!("failed to write `{}`", path.display()))
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(context)?;
    }
    std::fs::write(path, text).map_err(context)?;
    Ok(())
}
