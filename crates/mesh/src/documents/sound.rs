//! Texts to one document that follows all rules, or everything that is wrong.
//!
//! Beyond the rules of the specification an operation needs a name, since functions are called after it,
//! and the key `__typename` means what it says. A fragment that nobody spreads is no fault here: several
//! programs may share a file of fragments. Not here: limits of a server, which belong to its settings.

use std::collections::HashSet;

use apollo_compiler::executable::Selection;
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Schema};

use super::joined::Joined;
use super::{DocumentFault, DocumentFile};
use crate::error::GraphqlError;
use crate::limits::Limits;
use crate::validate::walk;
use crate::{parse, validate};

/// What a program may hold. A server has limits of its own, for each document.
fn limits() -> Limits {
    Limits { tokens: 1_000_000, depth: 50, aliases: usize::MAX, ..Limits::default() }
}

/// Reads files against the types of an API.
pub(super) fn read(
    schema: &Valid<Schema>,
    files: &[DocumentFile],
) -> Result<ExecutableDocument, Vec<DocumentFault>> {
    let limits = limits();
    // A file that cannot be read makes those after it look wrong, so that each is read by itself first.
    let broken = files.iter().flat_map(|file| {
        let errors = parse::syntax(&file.text, &limits).into_iter();
        errors.map(|error| DocumentFault { file: file.name.clone(), error })
    });
    let broken: Vec<_> = broken.collect();
    if !broken.is_empty() {
        return Err(broken);
    }
    let joined = Joined::of(files);
    let faults = |errors: Vec<GraphqlError>| {
        let errors = errors.into_iter().filter(|error| !is_unused_fragment(error));
        errors.map(|error| joined.fault(error)).collect::<Vec<_>>()
    };
    let document = match parse::parse(schema, &joined.text, &limits) {
        Ok(document) => document,
        Err(errors) => return Err(faults(errors)),
    };
    let mut errors = validate::faults(schema, &document, &limits);
    errors.extend(own_rules(&document));
    errors.sort_by_key(|error| error.locations.first().copied());
    match faults(errors) {
        faults if faults.is_empty() => Ok(document),
        faults => Err(faults),
    }
}

fn is_unused_fragment(error: &GraphqlError) -> bool {
    error.message.starts_with("fragment `")
        && error.message.ends_with("must be used in an operation")
}

/// What a client needs beyond the rules of the specification.
fn own_rules(document: &ExecutableDocument) -> Vec<GraphqlError> {
    let mut errors = Vec::new();
    if let Some(operation) = &document.operations.anonymous {
        let message = "an operation has no name".to_owned();
        let error = walk::refusal(document, operation.location(), message);
        errors.push(error.with("hint", "name it: what is generated is called after it"));
    }
    let mut seen = HashSet::new();
    let operations = document.operations.iter().map(|operation| &operation.selection_set);
    let fragments = document.fragments.values().map(|fragment| &fragment.selection_set);
    for set in operations.chain(fragments) {
        walk::each_selection(set, &mut |_, selection| {
            let Selection::Field(field) = selection else { return };
            let is_mistaken = field.response_key() == "__typename" && field.name != "__typename";
            if is_mistaken && seen.insert(field.location()) {
                let message = format!("`{}` is called `__typename`", field.name);
                let error = walk::refusal(document, field.location(), message);
                errors.push(error.with("hint", "that key is the name of the object's type"));
            }
        });
    }
    errors
}
