//! Descriptors of gRPC to a module of calls: types from messages, fields of the roots from methods.
//!
//! ```text
//! Descriptors → methods (fields, calls, keys) → types (objects, inputs, enums, scalars) → text
//! ```
//!
//! In: what a service says of itself. Out: a module that compiles with the same descriptors. What is read
//! and what changes is not said by descriptors, so that names decide; methods that take a stream are left
//! out, with a comment.

mod methods;
mod types;

use base::{Error, Result};

use super::{ServiceFacts, ServiceProposal, head_with};
use crate::protobuf::Descriptors;
use methods::Methods;
use types::Types;

/// The module of a service; `file` is where its descriptors will be.
pub(super) fn proposal(
    facts: &ServiceFacts,
    descriptors: &Descriptors,
    file: &str,
) -> Result<ServiceProposal> {
    let mut types = Types::default();
    let methods = Methods::of(descriptors, &mut types);
    if methods.fields.is_empty() {
        return Err(Error::invalid("the service has no method that can be called")
            .hint("methods that take a stream of messages cannot be"));
    }
    let mut notes = methods.notes.clone();
    notes.extend(types.notes.iter().cloned());
    let address = facts.url.trim_end_matches('/');
    let extra = format!(", descriptors: {}", serde_json::Value::from(file));
    let mut text = head_with(facts, "GRPC", (address, &extra), &notes);
    methods.write(&mut text);
    types.write(&methods.entities, &mut text);
    Ok(ServiceProposal { file: format!("{}.graphql", facts.name), kind: "GRPC", text, notes })
}
