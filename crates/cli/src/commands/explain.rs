//! `headwater explain`: shows how a question would be answered, without asking it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use server::wire::ExplainRequest;

use crate::arguments::Global;
use crate::commands::query::{document, variables};
use crate::printer::{Outcome, Printer};
use crate::target::Target;

/// What to explain.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// A GraphQL document; `-` reads it from standard input.
    #[arg(required_unless_present_any = ["file", "sql"], conflicts_with_all = ["file", "sql"])]
    document: Option<String>,
    /// A file that holds the GraphQL document.
    #[arg(long, short, value_name = "FILE", conflicts_with = "sql")]
    file: Option<PathBuf>,
    /// Values of its variables, as a JSON object.
    #[arg(long, value_name = "JSON", conflicts_with = "sql")]
    variables: Option<String>,
    /// Which operation of the document.
    #[arg(long, value_name = "NAME", conflicts_with = "sql")]
    operation: Option<String>,
    /// A SQL query instead.
    #[arg(long, value_name = "QUERY")]
    sql: Option<String>,
}

/// A plan as text.
#[derive(Debug, Deserialize, Serialize)]
struct Explanation {
    text: String,
}

pub(crate) async fn run(global: &Global, options: Options, printer: &Printer) -> Outcome {
    let request = match options.sql {
        Some(sql) => ExplainRequest { sql: Some(sql), ..ExplainRequest::default() },
        None => ExplainRequest {
            query: Some(document(options.document, options.file)?),
            operation_name: options.operation,
            variables: variables(options.variables.as_deref())?,
            sql: None,
        },
    };
    let target = Target::open(global).await?;
    let answer: Explanation = target.call("explain", &request).await?;
    printer.answer(&answer, || answer.text.clone());
    Ok(())
}
