//! An OpenAPI document to a module of calls: types from its schemas, fields of `Query` and `Mutation` from
//! its operations.
//!
//! ```text
//! document → operations (fields, calls) → types (objects, enums, inputs) → keys → text
//! ```
//!
//! In: a document of version 3.0 or 3.1. Out: a module that compiles; what cannot be said in it is left out,
//! with a comment. Names that GraphQL does not allow are made legal, and the own name is kept by `@wire`.

mod keys;
mod names;
mod operations;
mod types;
mod write;

use base::{Error, Result};
use serde_json::Value as Json;

use super::{ServiceFacts, ServiceProposal, head};
use types::Types;

/// References that are followed one after the other.
const MOST_REFERENCES: usize = 32;

/// A document, and what is left out of it.
struct Document<'d> {
    root: &'d Json,
}

/// The module of a document.
pub(super) fn proposal(facts: &ServiceFacts, root: &Json) -> Result<ServiceProposal> {
    version(root)?;
    let document = Document { root };
    let mut notes = Vec::new();
    let mut types = Types::new(&document);
    let fields = operations::operations(&document, &mut types, &mut notes);
    if fields.is_empty() {
        return Err(Error::invalid("the document has no operation that can be called with JSON")
            .hint("write the module by hand: see docs/guide/services.md"));
    }
    let keys = keys::keys(&types, &fields, &mut notes);
    notes.extend(types.notes.iter().cloned());
    security(root, &facts.name, &mut notes);
    let url = address(facts, root, &mut notes);
    let mut text = head(facts, "REST", &url, &notes);
    write::module(&types, &fields, &keys, &mut text);
    Ok(ServiceProposal { file: format!("{}.graphql", facts.name), kind: "REST", text, notes })
}

fn version(root: &Json) -> Result<()> {
    let hint = "convert it to OpenAPI 3.0 or 3.1 first";
    if root.get("swagger").is_some() {
        return Err(Error::invalid("the document is of Swagger 2.0").hint(hint));
    }
    match root["openapi"].as_str() {
        Some(version) if version.starts_with("3.0") || version.starts_with("3.1") => Ok(()),
        Some(version) => {
            let version = version.escape_debug();
            Err(Error::invalid(format!("OpenAPI {version} is not known")).hint(hint))
        }
        None => Err(Error::invalid("the document is no OpenAPI document")
            .hint("it begins with `openapi: 3.1.0` or `\"openapi\": \"3.1.0\"`")),
    }
}

/// The address: the given one, with the path of the document's server where it has none of its own.
fn address(facts: &ServiceFacts, root: &Json, notes: &mut Vec<String>) -> String {
    let given = facts.url.trim_end_matches('/');
    let given = given.split(['?', '#']).next().unwrap_or_default();
    let has_path = given.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
    let server = root.pointer("/servers/0/url").and_then(Json::as_str).unwrap_or("/");
    let path = match server.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]),
        None => server,
    };
    let path = path.split(['?', '#']).next().unwrap_or_default().trim_matches('/');
    if has_path || path.is_empty() {
        return given.to_owned();
    }
    if path.contains(['{', '}']) {
        notes
            .push(format!("The document's server is `{server}`: give the source's whole address."));
        return given.to_owned();
    }
    notes
        .push(format!("The path `/{path}` of the address is that of the document's first server."));
    format!("{given}/{path}")
}

fn security(root: &Json, name: &str, notes: &mut Vec<String>) {
    let schemes = root.pointer("/components/securitySchemes").and_then(Json::as_object);
    for (scheme, is) in schemes.into_iter().flatten() {
        let header = match (is["type"].as_str(), is["in"].as_str()) {
            (Some("apiKey"), Some("header")) => is["name"].as_str().unwrap_or("authorization"),
            (Some("apiKey"), _) => continue,
            _ => "authorization",
        };
        let header = header.to_lowercase();
        notes.push(format!(
            "The service asks for `{scheme}`: forward the header `{header}` or set it, in `[sources.{name}]` of headwater.toml."
        ));
    }
}

impl<'d> Document<'d> {
    /// What a value stands for, after its references; nothing for one that leads nowhere.
    fn resolve(&self, value: &'d Json) -> Option<&'d Json> {
        let mut value = value;
        for _ in 0..MOST_REFERENCES {
            let Some(reference) = value.get("$ref") else { return Some(value) };
            value = self.root.pointer(reference.as_str()?.strip_prefix('#')?)?;
        }
        None
    }

    /// The schema that a value refers to, by its name among the components.
    fn component(&self, value: &'d Json) -> Option<(&'d str, &'d Json)> {
        let name = value.get("$ref")?.as_str()?.strip_prefix("#/components/schemas/")?;
        let name = self.root.pointer("/components/schemas")?.get_key_value_of(name)?;
        Some(name)
    }
}

/// An entry of an object with the name that lives as long as the object.
trait Entry {
    fn get_key_value_of(&self, name: &str) -> Option<(&str, &Json)>;
}

impl Entry for Json {
    fn get_key_value_of(&self, name: &str) -> Option<(&str, &Json)> {
        let plain = name.replace("~1", "/").replace("~0", "~");
        let (name, value) = self.as_object()?.get_key_value(plain.as_str())?;
        Some((name.as_str(), value))
    }
}
