//! Proposes the module of a service from what the service says of itself.
//!
//! ```text
//! { _service { sdl } } ┐
//! introspection        ┼→ SDL, calls, notes → ServiceProposal
//! OpenAPI              ┤
//! descriptors of gRPC  ┘
//! ```
//!
//! In: what a running service answered, or a document. Out: a module that compiles, with a comment at
//! each place that was guessed or left out. Other kinds of services get a file of their own here. Not
//! here: asking the service (`server`), writing the schema folder (`cli`).

mod graphql;
mod grpc;
mod introspection;
mod openapi;
mod yaml;

use base::{Error, Result};
use serde_json::Value as Json;

use super::name;
use crate::protobuf::Descriptors;

/// What a module of a service is proposed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceFacts {
    /// The name of the source, and of its module.
    pub name: String,
    /// Where it is reached.
    pub url: String,
}

/// A proposed module of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceProposal {
    /// The file's name below the schema folder.
    pub file: String,
    /// What the service speaks, as `@source(kind:)` has it.
    pub kind: &'static str,
    /// The module.
    pub text: String,
    /// What is uncertain or left out, in the order of the text.
    pub notes: Vec<String>,
}

/// The SDL of a subgraph of Apollo Federation, as `{ _service { sdl } }` gives it.
pub fn from_federation(facts: &ServiceFacts, sdl: &str) -> ServiceProposal {
    graphql::federated(facts, sdl)
}

/// The answer of a GraphQL service to the query of introspection.
///
/// # Errors
/// When it is no such answer.
pub fn from_introspection(facts: &ServiceFacts, answer: &Json) -> Result<ServiceProposal> {
    let sdl = introspection::sdl(answer)?;
    Ok(graphql::plain(facts, &sdl))
}

/// What is asked to learn the schema of a GraphQL service.
pub const INTROSPECTION: &str = include_str!("service/introspection.graphql");

/// An OpenAPI document of version 3.0 or 3.1, as JSON or YAML.
///
/// # Errors
/// When it is none, or of another version.
pub fn from_openapi(facts: &ServiceFacts, text: &str) -> Result<ServiceProposal> {
    let document = document(text)?;
    openapi::proposal(facts, &document)
}

/// What a service of gRPC says of its messages; `file` is where the descriptors will be, below the schema
/// folder.
///
/// # Errors
/// When it has no method that can be called.
pub fn from_descriptors(
    facts: &ServiceFacts,
    descriptors: &Descriptors,
    file: &str,
) -> Result<ServiceProposal> {
    grpc::proposal(facts, descriptors, file)
}

/// Whether a text is an OpenAPI document of any version.
pub fn is_openapi(text: &str) -> bool {
    let is_it = |document: Json| {
        document.get("openapi").or_else(|| document.get("swagger")).is_some_and(|it| !it.is_null())
    };
    document(text).is_ok_and(is_it)
}

/// The longest document, in bytes.
const MAX_BYTES: usize = 16 << 20;

fn document(text: &str) -> Result<Json> {
    if text.len() > MAX_BYTES {
        let most = base::size::format_bytes(MAX_BYTES as u64);
        return Err(Error::invalid(format!("the document has more than {most}")));
    }
    match text.trim_start().starts_with(['{', '[']) {
        true => serde_json::from_str(text)
            .map_err(|error| Error::invalid("the document is no JSON").caused_by(error)),
        false => yaml::read(text),
    }
}

/// A name for a source of this URL, when none is given: of the host, or of what stands before its domain.
pub fn name_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default();
    let is_number =
        authority.contains('[') || host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let first = host.split('.').find(|part| !["www", "api"].contains(part)).unwrap_or_default();
    match is_number || first == "localhost" || first.is_empty() {
        true => "service".to_owned(),
        false => name::camel(&name::words(first)),
    }
}

/// The head of a proposed module.
fn head(facts: &ServiceFacts, kind: &str, url: &str, notes: &[String]) -> String {
    head_with(facts, kind, (url, ""), notes)
}

/// Likewise, with more arguments of `@source`.
fn head_with(
    facts: &ServiceFacts,
    kind: &str,
    (url, extra): (&str, &str),
    notes: &[String],
) -> String {
    let mut text = String::from(
        "# Proposed from what the service says of itself. Comments say what is uncertain: change what is\n\
         # wrong, delete the comments you no longer need, then run `headwater plan`.\n",
    );
    for note in notes {
        text.push_str(&format!("# - {}\n", one_line(note)));
    }
    let quoted = |text: &str| Json::from(text).to_string();
    text.push_str(&format!(
        "extend schema @module(name: {}, owner: {})\n  @source(name: {}, kind: {kind}, url: {}{extra})\n",
        quoted(&facts.name),
        quoted(&facts.name),
        quoted(&facts.name),
        quoted(url),
    ));
    text
}

/// One comment stays on one line, whatever a document says.
fn one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_called_after_its_host() {
        let cases = [
            ("http://ratings.internal:80/v1", "ratings"),
            ("https://api.pet-store.example/v3", "petStore"),
            ("http://127.0.0.1:4001", "service"),
            ("http://localhost:4001/graphql", "service"),
            ("http://[::1]/", "service"),
            ("ratings", "ratings"),
        ];
        for (url, name) in cases {
            assert_eq!(name_of(url), name, "{url}");
        }
    }

    #[test]
    fn documents_are_told_apart_from_other_texts() {
        assert!(is_openapi("{\"openapi\": \"3.0.0\"}"));
        assert!(is_openapi("swagger: '2.0'\n"));
        for other in ["", "<html>", "{}", "[1]", "openapi", "{\"data\":{}}", "a: [b"] {
            assert!(!is_openapi(other), "{other}");
        }
    }
}
