//! Text to document: tokens and nesting are counted before anything is built.

use std::collections::HashSet;

use apollo_compiler::ast::{Definition, OperationType};
use apollo_compiler::parser::Parser;
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::validation::{DiagnosticList, Valid};
use apollo_compiler::{ExecutableDocument, Schema};
use base::Kind;
use schema::diagnostic::suggest::closest;
use serde_json::Value as Json;

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
    parser(limits).parse_executable(schema, text, DOCUMENT).map_err(|failed| {
        let mut errors = diagnostics(schema, &failed.errors);
        // Of a document that is cut short at a limit nothing else is worth saying.
        let limit = Json::from(Kind::LimitExceeded.code());
        if let Some(error) =
            errors.iter().find(|error| error.extensions.get("code") == Some(&limit))
        {
            return vec![error.clone()];
        }
        let readable = !errors.iter().any(|error| error.message.starts_with("syntax error"));
        // A document that can be read is checked to its end, so that all faults are told at once.
        if readable && let Err(more) = failed.partial.validate(schema) {
            // A selection whose only fields do not exist looks empty now, which it is not.
            let consequence =
                |error: &GraphqlError| error.message.contains("must have a subselection set");
            let more = diagnostics(schema, &more.errors).into_iter();
            errors.extend(more.filter(|error| !consequence(error)));
        }
        let mut seen = HashSet::new();
        errors.retain(|error| seen.insert((error.message.clone(), error.locations.clone())));
        errors
    })
}

/// What is wrong with a text before any types are looked at.
pub(crate) fn syntax(text: &str, limits: &Limits) -> Vec<GraphqlError> {
    match parser(limits).parse_ast(text, DOCUMENT) {
        Ok(_) => Vec::new(),
        Err(failed) => diagnostics(&Schema::new(), &failed.errors),
    }
}

/// Whether the text alone says that the operation which would run is of this type.
pub(crate) fn is_of(
    wanted_type: OperationType,
    text: &str,
    operation_name: Option<&str>,
    limits: &Limits,
) -> bool {
    let Ok(document) = parser(limits).parse_ast(text, DOCUMENT) else { return false };
    let operations = document.definitions.iter().filter_map(|definition| match definition {
        Definition::OperationDefinition(operation) => Some(operation),
        _ => None,
    });
    let mut wanted = operations.filter(|operation| match operation_name {
        Some(name) => operation.name.as_ref().is_some_and(|own| *own == name),
        None => true,
    });
    wanted.any(|operation| operation.operation_type == wanted_type)
}

fn parser(limits: &Limits) -> Parser {
    Parser::new().token_limit(limits.tokens).recursion_limit(limits.depth.saturating_mul(4))
}

/// What the parser says at its limits, and the rules at theirs. The whole message is compared: a part
/// of it may be quoted from the document.
const LIMITS: [&str; 3] = [
    "token limit reached, aborting lexing",
    "parser recursion limit reached",
    "too much recursion",
];

/// Each diagnostic as an error of the answer.
pub(crate) fn diagnostics(schema: &Schema, errors: &DiagnosticList) -> Vec<GraphqlError> {
    let errors = errors.iter().map(|diagnostic| {
        let json = diagnostic.to_json();
        let kind = match LIMITS.contains(&json.message.as_str()) {
            true => Kind::LimitExceeded,
            false => Kind::InvalidInput,
        };
        let locations: Vec<_> =
            json.locations.iter().map(|place| (place.line, place.column)).collect();
        let error = GraphqlError::new(kind, &*json.message).located(&locations);
        match similar(schema, &json.message) {
            Some(name) => error.suggesting(&name),
            None => error,
        }
    });
    errors.collect()
}

/// The name that was probably meant, when a message says that one does not exist.
fn similar(schema: &Schema, message: &str) -> Option<String> {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let [first, second] = quoted.as_slice() else { return None };
    let (wanted, owner) = if message.starts_with("type `") && message.contains("have a field") {
        (*second, *first)
    } else if message.contains("does not exist on") || message.contains("is not supported by") {
        (*first, *second)
    } else {
        return None;
    };
    closest(wanted, names_of(schema, owner)).map(str::to_owned)
}

/// The names that may stand at a place: fields and values of a type, arguments of a field.
fn names_of<'a>(schema: &'a Schema, owner: &str) -> Vec<&'a str> {
    if let Some((type_name, field)) = owner.split_once('.') {
        let field = schema.type_field(type_name, field.split('(').next().unwrap_or(field));
        let arguments = field.map(|field| field.arguments.iter().map(|argument| &*argument.name));
        return arguments.map_or_else(|_| Vec::new(), Iterator::collect);
    }
    match schema.types.get(owner) {
        Some(ExtendedType::Object(object)) => object.fields.keys().map(|name| &**name).collect(),
        Some(ExtendedType::Interface(face)) => face.fields.keys().map(|name| &**name).collect(),
        Some(ExtendedType::InputObject(input)) => input.fields.keys().map(|name| &**name).collect(),
        Some(ExtendedType::Enum(values)) => values.values.keys().map(|name| &**name).collect(),
        _ => Vec::new(),
    }
}
