//! The text that an operation is sent as.
//!
//! Each selection set on an interface or a union asks for `__typename`, so that a client knows which
//! variant an object is. An operation is sent with the fragments that it spreads and no others, in one
//! form whatever the layout of the files: its hash moves only when its meaning may.

use std::collections::HashSet;

use apollo_compiler::executable::{Operation, OperationType, Selection, SelectionSet};
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Name, Node, Schema, name};
use schema::generate::client::{self, InputField, OperationKind};
use sha2::{Digest, Sha256};

use super::collect::only_spread;

/// Lets every selection set on an abstract type ask for the name of the type.
pub(super) fn say_types(schema: &Valid<Schema>, document: &mut ExecutableDocument) {
    let whole = document.clone();
    let says = Says { schema, document: &whole };
    for operation in document.operations.named.values_mut() {
        says.set(&mut operation.make_mut().selection_set, true);
    }
    for fragment in document.fragments.values_mut() {
        says.set(&mut fragment.make_mut().selection_set, true);
    }
}

struct Says<'a> {
    schema: &'a Valid<Schema>,
    document: &'a ExecutableDocument,
}

impl Says<'_> {
    /// `is_whole`: of a field or a fragment, not the set of an inline fragment, which is a part of one.
    fn set(&self, set: &mut SelectionSet, is_whole: bool) {
        for selection in &mut set.selections {
            match selection {
                Selection::Field(field) if !field.selection_set.is_empty() => {
                    self.set(&mut field.make_mut().selection_set, true);
                }
                Selection::InlineFragment(inline) => {
                    self.set(&mut inline.make_mut().selection_set, false);
                }
                Selection::Field(_) | Selection::FragmentSpread(_) => {}
            }
        }
        if !is_whole || !is_abstract(self.schema, &set.ty) || says_type(set) {
            return;
        }
        // The fragment says it, and the answer has the fragment's type.
        if only_spread(self.document, set).is_some() {
            return;
        }
        if let Ok(field) = set.new_field(self.schema, name!("__typename")) {
            set.selections.insert(0, Selection::Field(Node::new(field)));
        }
    }
}

/// Whether a type stands for several types of objects.
pub(super) fn is_abstract(schema: &Schema, name: &Name) -> bool {
    schema.types.get(name).is_some_and(|found| found.is_interface() || found.is_union())
}

fn says_type(set: &SelectionSet) -> bool {
    set.fields().any(|field| field.response_key() == "__typename" && field.directives.is_empty())
}

/// The operation with its text.
pub(super) fn operation(
    document: &ExecutableDocument,
    operation: &Node<Operation>,
    variables: Vec<InputField>,
    shape: usize,
) -> client::Operation {
    let mut text = operation.serialize().no_indent().to_string();
    for fragment in spread(document, &operation.selection_set) {
        text.push('\n');
        text.push_str(&fragment);
    }
    let digest = Sha256::digest(text.as_bytes());
    let id = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let kind = match operation.operation_type {
        OperationType::Query => OperationKind::Query,
        OperationType::Mutation => OperationKind::Mutation,
        OperationType::Subscription => OperationKind::Subscription,
    };
    let name = operation.name.as_ref().map(ToString::to_string).unwrap_or_default();
    client::Operation { kind, name, variables, shape, text, id }
}

/// The texts of the fragments that a set spreads, in the order in which they are met.
fn spread(document: &ExecutableDocument, set: &SelectionSet) -> Vec<String> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut waiting = vec![set];
    while let Some(set) = waiting.pop() {
        let mut inner = Vec::new();
        crate::validate::walk::each_selection(set, &mut |_, selection| {
            let Selection::FragmentSpread(spread) = selection else { return };
            let fragment = document.fragments.get(&spread.fragment_name);
            if let Some(fragment) = fragment.filter(|_| seen.insert(&spread.fragment_name)) {
                found.push(fragment.serialize().no_indent().to_string());
                inner.push(&fragment.selection_set);
            }
        });
        waiting.extend(inner.into_iter().rev());
    }
    found
}
