//! Ways through a document for rules: its selections, its values with their types, its fragments.
//!
//! In: a document, valid or not. Out: calls for what stands in it, each thing once: fragments are
//! walked by themselves, not where they are spread. Not here: any rule.

use std::collections::HashSet;

use apollo_compiler::ast::{Argument, InputValueDefinition};
use apollo_compiler::executable::{DirectiveList, Selection, SelectionSet, Value};
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::{ExecutableDocument, Name, Node, Schema};
use base::Kind;

use crate::error::GraphqlError;

/// An error at a place of the document.
pub(crate) fn refusal(
    document: &ExecutableDocument,
    place: Option<SourceSpan>,
    message: String,
) -> GraphqlError {
    let place = place.and_then(|place| place.line_column(&document.sources));
    let places: Vec<_> = place.iter().map(|place| (place.line, place.column)).collect();
    GraphqlError::new(Kind::InvalidInput, message).located(&places)
}

/// Every selection below a set, with the set that it stands in.
pub(crate) fn each_selection<'a>(
    set: &'a SelectionSet,
    visit: &mut impl FnMut(&'a SelectionSet, &'a Selection),
) {
    for selection in &set.selections {
        visit(set, selection);
        match selection {
            Selection::Field(field) => each_selection(&field.selection_set, visit),
            Selection::InlineFragment(fragment) => each_selection(&fragment.selection_set, visit),
            Selection::FragmentSpread(_) => {}
        }
    }
}

/// The fragments that a selection set spreads, and those that they spread.
pub(crate) fn fragments<'a>(
    document: &'a ExecutableDocument,
    set: &'a SelectionSet,
) -> HashSet<&'a Name> {
    let mut found = HashSet::new();
    let mut waiting = vec![set];
    while let Some(set) = waiting.pop() {
        each_selection(set, &mut |_, selection| {
            let Selection::FragmentSpread(spread) = selection else { return };
            let fragment = document.fragments.get(&spread.fragment_name);
            if let Some(fragment) = fragment.filter(|_| found.insert(&spread.fragment_name)) {
                waiting.push(&fragment.selection_set);
            }
        });
    }
    found
}

/// A call for a value, with the argument that it is given to.
pub(super) type Visit<'a, 'v> = dyn FnMut(&'a InputValueDefinition, &'a Node<Value>) + 'v;

/// Every value that a selection set gives, to arguments of fields and of directives.
pub(super) fn each_value<'a>(schema: &'a Schema, set: &'a SelectionSet, visit: &mut Visit<'a, '_>) {
    each_selection(set, &mut |_, selection| {
        if let Selection::Field(field) = selection {
            arguments(&field.definition.arguments, &field.arguments, visit);
        }
        of_directives(schema, selection.directives(), visit);
    });
}

/// Every value that directives are given.
pub(super) fn of_directives<'a>(
    schema: &'a Schema,
    directives: &'a DirectiveList,
    visit: &mut Visit<'a, '_>,
) {
    for directive in directives.iter() {
        if let Some(definition) = schema.directive_definitions.get(&directive.name) {
            arguments(&definition.arguments, &directive.arguments, visit);
        }
    }
}

fn arguments<'a>(
    defined: &'a [Node<InputValueDefinition>],
    given: &'a [Node<Argument>],
    visit: &mut Visit<'a, '_>,
) {
    for argument in given {
        if let Some(definition) = defined.iter().find(|defined| defined.name == argument.name) {
            visit(definition, &argument.value);
        }
    }
}
