//! Document to operation: the rules of the specification, and the limits that need no plan.

use apollo_compiler::executable::{Operation, Selection, SelectionSet};
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
