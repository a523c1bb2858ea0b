//! Document to operation: the rules of the specification, and the limits that need no plan.
//!
//! In: a document with the types of its fields. Out: the operation that is to run, or everything that
//! is wrong with the document at once. Most rules are apollo-compiler's; those that it lacks are ours.

mod one_of;
mod stream;
mod variables;
pub(crate) mod walk;

use std::collections::HashSet;

use apollo_compiler::executable::{Operation, Selection, SelectionSet, Value};
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Node, Schema};
use base::Kind;

use crate::error::GraphqlError;
use crate::limits::Limits;
use crate::parse::diagnostics;

/// A document that follows the specification, with the operation that is to run.
pub(crate) struct ValidDocument {
    pub(crate) document: Valid<ExecutableDocument>,
    pub(crate) operation: Node<Operation>,
}

/// Validates the document and picks its operation.
pub(crate) fn validate(
    schema: &Valid<Schema>,
    document: ExecutableDocument,
    operation_name: Option<&str>,
    limits: &Limits,
) -> Result<ValidDocument, Vec<GraphqlError>> {
    check_aliases(&document, limits)?;
    let document = follow_rules(schema, document, limits)?;
    let operation = document
        .operations
        .get(operation_name)
        .map_err(|_| vec![unknown_operation(&document, operation_name)])?
        .clone();
    if apollo_compiler::introspection::check_max_depth(&document, &operation).is_err() {
        return Err(vec![GraphqlError::new(
            Kind::LimitExceeded,
            "the introspection nests lists too deeply",
        )]);
    }
    Ok(ValidDocument { document, operation })
}

/// What is wrong with a document, whichever of its operations runs.
pub(crate) fn faults(
    schema: &Valid<Schema>,
    document: &ExecutableDocument,
    limits: &Limits,
) -> Vec<GraphqlError> {
    follow_rules(schema, document.clone(), limits).err().unwrap_or_default()
}

/// The rules that apollo-compiler leaves to us, and its own.
fn follow_rules(
    schema: &Valid<Schema>,
    document: ExecutableDocument,
    limits: &Limits,
) -> Result<Valid<ExecutableDocument>, Vec<GraphqlError>> {
    let mut errors = check_input_fields(&document);
    errors.extend(one_of::check_one_of(schema, &document));
    errors.extend(variables::check_variables(schema, &document));
    errors.extend(stream::check_stream(schema, &document, limits));
    match document.validate(schema) {
        Ok(document) if errors.is_empty() => return Ok(document),
        Ok(_) => {}
        Err(failed) => errors.extend(diagnostics(schema, &failed.errors)),
    }
    let mut seen = HashSet::new();
    errors.retain(|error| seen.insert((error.message.clone(), error.locations.clone())));
    errors.sort_by_key(|error| error.locations.first().copied());
    Err(errors)
}

fn unknown_operation(document: &ExecutableDocument, name: Option<&str>) -> GraphqlError {
    let names = document.operations.named.keys();
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    match name {
        Some(name) => {
            GraphqlError::new(Kind::InvalidInput, format!("the document has no operation `{name}`"))
        }
        None if names.is_empty() => {
            GraphqlError::new(Kind::InvalidInput, "the document has no operation")
        }
        None => GraphqlError::new(Kind::InvalidInput, "the document has several operations")
            .with("hint", format!("name one in `operationName`: {}", names.join(", "))),
    }
}

fn check_aliases(document: &ExecutableDocument, limits: &Limits) -> Result<(), Vec<GraphqlError>> {
    let operations = document.operations.iter().map(|operation| &operation.selection_set);
    let fragments = document.fragments.values().map(|fragment| &fragment.selection_set);
    let aliases: usize = operations.chain(fragments).map(aliases).sum();
    if aliases > limits.aliases {
        return Err(vec![GraphqlError::new(
            Kind::LimitExceeded,
            format!("the document has {aliases} aliases; at most {} are allowed", limits.aliases),
        )]);
    }
    Ok(())
}

/// An input object gives each field once.
fn check_input_fields(document: &ExecutableDocument) -> Vec<GraphqlError> {
    let mut errors = Vec::new();
    let mut check = |value: &Node<Value>| repeated(document, value, &mut errors);
    for operation in document.operations.iter() {
        operation.variables.iter().filter_map(|v| v.default_value.as_ref()).for_each(&mut check);
        each_argument(&operation.selection_set, &mut check);
    }
    for fragment in document.fragments.values() {
        each_argument(&fragment.selection_set, &mut check);
    }
    errors
}

/// Every value that is given to a field or a directive below a set, whatever its type.
fn each_argument(selections: &SelectionSet, check: &mut impl FnMut(&Node<Value>)) {
    walk::each_selection(selections, &mut |_, selection| {
        if let Selection::Field(field) = selection {
            field.arguments.iter().for_each(|argument| check(&argument.value));
        }
        let directives = selection.directives().iter();
        directives.flat_map(|it| &it.arguments).for_each(|argument| check(&argument.value));
    });
}

fn repeated(document: &ExecutableDocument, value: &Node<Value>, errors: &mut Vec<GraphqlError>) {
    match value.as_ref() {
        Value::List(items) => items.iter().for_each(|item| repeated(document, item, errors)),
        Value::Object(fields) => {
            let mut seen = HashSet::new();
            for (name, value) in fields {
                if !seen.insert(name) {
                    let message = format!("the input field `{name}` is given twice");
                    errors.push(walk::refusal(document, name.location(), message));
                }
                repeated(document, value, errors);
            }
        }
        _ => {}
    }
}

fn aliases(selections: &SelectionSet) -> usize {
    let each = selections.selections.iter().map(|selection| match selection {
        Selection::Field(field) => {
            usize::from(field.alias.is_some()) + aliases(&field.selection_set)
        }
        Selection::InlineFragment(fragment) => aliases(&fragment.selection_set),
        Selection::FragmentSpread(_) => 0,
    });
    each.sum()
}
