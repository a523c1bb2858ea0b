//! `headwater query`: asks a GraphQL question.

use std::io::Read;
use std::path::PathBuf;

use serde_json::{Map, Value};
use server::wire::QueryRequest;

use crate::arguments::Global;
use crate::printer::{Failure, Outcome, Printer};
use crate::target::Target;

/// What to ask.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// The document; `-` reads it from standard input.
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    document: Option<String>,
    /// A file that holds the document.
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Values of its variables, as a JSON object.
    #[arg(long, value_name = "JSON")]
    variables: Option<String>,
    /// Which operation of the document.
    #[arg(long, value_name = "NAME")]
    operation: Option<String>,
}

pub(crate) async fn run(global: &Global, options: Options, printer: &Printer) -> Outcome {
    let query = document(options.document, options.file)?;
    let variables = variables(options.variables.as_deref())?;
    let target = Target::open(global).await?;
    let request = QueryRequest { query, operation_name: options.operation, variables };
    let answer: Value = target.call("query", &request).await?;
    printer.text(&serde_json::to_string_pretty(&answer).unwrap_or_default());
    let has_errors = answer.get("errors").is_some();
    if has_errors && !printer.is_json() {
        return Err(Failure::user("the answer holds errors", "they stand under `errors` above"));
    }
    Ok(())
}

/// The values of `--variables`.
pub(crate) fn variables(text: Option<&str>) -> Result<Option<Map<String, Value>>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let read = serde_json::from_str(text).map_err(|error| {
        Failure::user(
            format!("`--variables` is no JSON object: {error}"),
            "write it as '{\"id\": \"1\"}'",
        )
    });
    read.map(Some)
}

/// The document from wherever it is.
pub(crate) fn document(text: Option<String>, file: Option<PathBuf>) -> Result<String, Failure> {
    match (text, file) {
        (Some(text), _) if text == "-" => {
            let mut input = String::new();
            std::io::stdin().read_to_string(&mut input).map_err(base::Error::from)?;
            Ok(input)
        }
        (Some(text), _) => Ok(text),
        (None, Some(file)) => std::fs::read_to_string(&file).map_err(|error| {
            base::Error::from(error).context(format!("failed to read `{}`", file.display())).into()
        }),
        (None, None) => {
            Err(Failure::user("there is no document", "give it as an argument or with `--file`"))
        }
    }
}
