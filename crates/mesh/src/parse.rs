//! Text to document: tokens and nesting are counted before anything is built.

use apollo_compiler::parser::Parser;
use apollo_compiler::validation::{DiagnosticList, Valid};
use apollo_compiler::{ExecutableDocument, Schema};
use base::Kind;

use crate::error::GraphqlError;
use crate::limits::Limits;

/// The name of the document in messages.
pub(crate) const DOCUMENT: &str = "<query>";

/// Parses the text of a request against the types of the schema.
pub(crate) fn parse(
    schema: &Valid<Schema>,
    text: &str,
    limits: &Limits,
) -> Result<ExecutableDocument, Vec<GraphqlError>> {
    let mut parser =
        Parser::new().token_limit(limits.tokens).recursion_limit(limits.depth.saturating_mul(4));
    parser.parse_executable(schema, text, DOCUMENT).map_err(|failed| diagnostics(&failed.errors))
}

/// Each diagnostic as an error of the answer.
pub(crate) fn diagnostics(errors: &DiagnosticList) -> Vec<GraphqlError> {
    let errors = errors.iter().map(|diagnostic| {
        let json = diagnostic.to_json();
        let kind = match json.message.contains("limit reached") {
            true => Kind::LimitExceeded,
            false => Kind::InvalidInput,
        };
        let locations: Vec<_> =
            json.locations.iter().map(|place| (place.line, place.column)).collect();
        GraphqlError::new(kind, json.message).located(&locations)
    });
    errors.collect()
}
