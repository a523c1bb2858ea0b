//! Document to operation: the rules of the specification, and the limits that need no plan.

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
    check_input_fields(&document)?;
    let document =
        document.validate(schema).map_err(|failed| diagnostics(schema, &failed.errors))?;
    let operation = document
        .operations
        .get(operation_name)
        .map_err(|_| vec![unknown_operation(&document, operation_name)])?
        .clone();
    if operation.is_subscription() {
        return Err(vec![
            GraphqlError::new(Kind::Unsupported, "subscriptions are not offered")
                .with("hint", "ask again with a query"),
        ]);
    }
    if apollo_compiler::introspection::check_max_depth(&document, &operation).is_err() {
        return Err(vec![GraphqlError::new(
            Kind::LimitExceeded,
            "the introspection nests lists too deeply",
        )]);
    }
    Ok(ValidDocument { document, operation })
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

/// The rule of the specification that apollo-compiler leaves to us: an input object gives each field
/// once.
fn check_input_fields(document: &ExecutableDocument) -> Result<(), Vec<GraphqlError>> {
    let mut errors = Vec::new();
    let mut check = |value: &Node<Value>| repeated(document, value, &mut errors);
    for operation in document.operations.iter() {
        operation.variables.iter().filter_map(|v| v.default_value.as_ref()).for_each(&mut check);
        each_argument(&operation.selection_set, &mut check);
    }
    for fragment in document.fragments.values() {
        each_argument(&fragment.selection_set, &mut check);
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn each_argument(selections: &SelectionSet, check: &mut impl FnMut(&Node<Value>)) {
    for selection in &selections.selections {
        match selection {
            Selection::Field(field) => {
                field.arguments.iter().for_each(|argument| check(&argument.value));
                each_argument(&field.selection_set, check);
            }
            Selection::InlineFragment(fragment) => each_argument(&fragment.selection_set, check),
            Selection::FragmentSpread(_) => {}
        }
    }
}

fn repeated(document: &ExecutableDocument, value: &Node<Value>, errors: &mut Vec<GraphqlError>) {
    match value.as_ref() {
        Value::List(items) => items.iter().for_each(|item| repeated(document, item, errors)),
        Value::Object(fields) => {
            let mut seen = HashSet::new();
            for (name, value) in fields {
                if !seen.insert(name) {
                    let place = name.location().and_then(|at| at.line_column(&document.sources));
                    let places: Vec<_> =
                        place.iter().map(|place| (place.line, place.column)).collect();
                    let message = format!("the input field `{name}` is given twice");
                    errors.push(GraphqlError::new(Kind::InvalidInput, message).located(&places));
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
