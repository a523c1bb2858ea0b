//! Variables inside lists and input objects: each must fit the place where it stands, as the values
//! of variables are checked against their own types only.
//!
//! In: a document and the types it is written for. Out: variables in places that they do not fit.
//! apollo-compiler checks those that are the whole value of an argument, and takes a default of null
//! there for a value; inside of values it compares the names of types. What it refuses is not told
//! again. Not here: values of variables (`input`).

use std::collections::HashMap;

use apollo_compiler::ast::{InputValueDefinition, Type, Value};
use apollo_compiler::executable::Operation;
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::{ExecutableDocument, Name, Node, Schema};

use super::walk::{each_value, fragments, of_directives, refusal};
use crate::error::GraphqlError;

/// A variable, and what is expected where it stands.
struct Use<'a> {
    variable: &'a Name,
    ty: &'a Type,
    /// Whether the place has a default of its own.
    has_default: bool,
    /// Whether the variable is the whole value of an argument.
    is_whole: bool,
    place: Option<SourceSpan>,
}

/// The uses in one part of a document.
struct Uses<'a> {
    schema: &'a Schema,
    found: Vec<Use<'a>>,
}

/// Checks all variables of a document.
pub(super) fn check_variables(schema: &Schema, document: &ExecutableDocument) -> Vec<GraphqlError> {
    let of_fragments: HashMap<&Name, Vec<Use<'_>>> = document
        .fragments
        .iter()
        .map(|(name, fragment)| {
            let mut uses = Uses { schema, found: Vec::new() };
            each_value(schema, &fragment.selection_set, &mut |at, value| uses.argument(at, value));
            of_directives(schema, &fragment.directives, &mut |at, value| uses.argument(at, value));
            (name, uses.found)
        })
        .collect();
    let mut errors = Vec::new();
    for operation in document.operations.iter() {
        let mut own = Uses { schema, found: Vec::new() };
        each_value(schema, &operation.selection_set, &mut |at, value| own.argument(at, value));
        of_directives(schema, &operation.directives, &mut |at, value| own.argument(at, value));
        let spread = fragments(document, &operation.selection_set);
        let spread = document.fragments.keys().filter(|name| spread.contains(name));
        let spread = spread.filter_map(|name| of_fragments.get(name)).flatten();
        let uses = own.found.iter().chain(spread);
        errors.extend(uses.filter_map(|used| misfit(document, operation, used)));
    }
    errors
}

impl<'a> Uses<'a> {
    fn argument(&mut self, at: &'a InputValueDefinition, value: &'a Node<Value>) {
        self.value(&at.ty, at.default_value.is_some(), true, value);
    }

    fn value(&mut self, ty: &'a Type, has_default: bool, is_whole: bool, value: &'a Node<Value>) {
        match value.as_ref() {
            Value::Variable(variable) => {
                let place = value.location();
                self.found.push(Use { variable, ty, has_default, is_whole, place });
            }
            Value::List(items) => {
                items.iter().for_each(|item| self.value(ty.item_type(), false, false, item));
            }
            Value::Object(given) => {
                // What is inside an own scalar has no type.
                let Some(input) = self.schema.get_input_object(ty.inner_named_type()) else {
                    return;
                };
                for (name, value) in given {
                    if let Some(field) = input.fields.get(name) {
                        self.value(&field.ty, field.default_value.is_some(), false, value);
                    }
                }
            }
            _ => {}
        }
    }
}

/// The error of a variable that does not fit its place.
fn misfit(
    document: &ExecutableDocument,
    operation: &Operation,
    used: &Use<'_>,
) -> Option<GraphqlError> {
    // That a variable is not declared, or of quite another type, is told already.
    let declared = operation.variables.iter().find(|declared| declared.name == *used.variable)?;
    if declared.ty.inner_named_type() != used.ty.inner_named_type() {
        return None;
    }
    let default = declared.default_value.as_ref();
    let is_told = used.is_whole && !fits(&declared.ty, default.is_some(), used);
    if is_told || fits(&declared.ty, default.is_some_and(|default| !default.is_null()), used) {
        return None;
    }
    let (variable, ty, wanted) = (used.variable, &declared.ty, used.ty);
    let message =
        format!("variable `${variable}` of type `{ty}` stands where `{wanted}` is expected");
    let hint = format!("declare it as `{wanted}`");
    Some(refusal(document, used.place, message).with("hint", hint))
}

/// Whether a variable may stand in a place; one that may be null may do so where something else then
/// takes its place.
fn fits(ty: &Type, has_default: bool, used: &Use<'_>) -> bool {
    match used.ty.is_non_null() && !ty.is_non_null() && (has_default || used.has_default) {
        true => ty.is_assignable_to(&used.ty.clone().nullable()),
        false => ty.is_assignable_to(used.ty),
    }
}
