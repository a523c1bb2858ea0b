//! Input objects with `@oneOf`: exactly one field is given, and it is never null.
//!
//! In: a document and the types it is written for. Out: what breaks the rule, in literals and in the
//! types of variables. Not here: values of variables (`input`), rules for definitions (`api_schema`).

use std::collections::HashMap;

use apollo_compiler::ast::{Type, Value};
use apollo_compiler::executable::{Operation, SelectionSet};
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::schema::InputObjectType;
use apollo_compiler::{ExecutableDocument, Name, Node, Schema};

use super::walk::{each_value, fragments, of_directives, refusal};
use crate::error::GraphqlError;

/// A variable that stands for the one field of an input object.
struct Use<'a> {
    variable: &'a Name,
    input: &'a Name,
    place: Option<SourceSpan>,
}

/// What the values of one part of the document say.
struct Checked<'a> {
    schema: &'a Schema,
    document: &'a ExecutableDocument,
    errors: Vec<GraphqlError>,
    uses: Vec<Use<'a>>,
}

/// Checks all values of a document.
pub(super) fn check_one_of(schema: &Schema, document: &ExecutableDocument) -> Vec<GraphqlError> {
    let mut errors = Vec::new();
    let mut by_fragment = HashMap::new();
    for (name, fragment) in &document.fragments {
        let mut checked = Checked::of(schema, document, &fragment.selection_set);
        checked.values(|visit| {
            of_directives(schema, &fragment.directives, &mut |at, value| visit(&at.ty, value));
        });
        errors.append(&mut checked.errors);
        by_fragment.insert(name, checked.uses);
    }
    for operation in document.operations.iter() {
        let mut checked = Checked::of(schema, document, &operation.selection_set);
        checked.values(|visit| {
            of_directives(schema, &operation.directives, &mut |at, value| visit(&at.ty, value));
            let variables = operation.variables.iter();
            variables
                .filter_map(|variable| Some((&*variable.ty, variable.default_value.as_ref()?)))
                .for_each(|(ty, default)| visit(ty, default));
        });
        errors.append(&mut checked.errors);
        let spread = fragments(document, &operation.selection_set);
        let of_fragments = document.fragments.keys().filter(|name| spread.contains(name));
        let of_fragments = of_fragments.filter_map(|name| by_fragment.get(name)).flatten();
        let uses = checked.uses.iter().chain(of_fragments);
        errors.extend(uses.filter_map(|used| nullable(document, operation, used)));
    }
    errors
}

/// The error of a variable that may be null in a place where null is not allowed.
fn nullable(
    document: &ExecutableDocument,
    operation: &Operation,
    used: &Use<'_>,
) -> Option<GraphqlError> {
    let declared = operation.variables.iter().find(|declared| declared.name == *used.variable)?;
    if declared.ty.is_non_null() {
        return None;
    }
    let message = format!(
        "variable `${}` of type `{}` may be null, but the one field of `{}` must not be",
        used.variable, declared.ty, used.input
    );
    let hint = format!("declare it as `{}!`", declared.ty);
    Some(refusal(document, used.place, message).with("hint", hint))
}

impl<'a> Checked<'a> {
    fn of(schema: &'a Schema, document: &'a ExecutableDocument, set: &'a SelectionSet) -> Self {
        let mut checked = Checked { schema, document, errors: Vec::new(), uses: Vec::new() };
        checked.values(|visit| each_value(schema, set, &mut |at, value| visit(&at.ty, value)));
        checked
    }

    /// Checks each value that the walk comes to.
    fn values(&mut self, walk: impl FnOnce(&mut dyn FnMut(&'a Type, &'a Node<Value>))) {
        walk(&mut |ty, value| self.value(ty, value));
    }

    fn value(&mut self, ty: &'a Type, value: &'a Node<Value>) {
        if let Value::List(items) = value.as_ref() {
            return items.iter().for_each(|item| self.value(ty.item_type(), item));
        }
        let Some(input) = self.schema.get_input_object(ty.inner_named_type()) else { return };
        let Value::Object(given) = value.as_ref() else { return };
        if input.directives.has("oneOf") {
            self.one_field(input, value, given);
        }
        for (name, value) in given {
            if let Some(field) = input.fields.get(name) {
                self.value(&field.ty, value);
            }
        }
    }

    fn one_field(
        &mut self,
        input: &'a InputObjectType,
        object: &Node<Value>,
        given: &'a [(Name, Node<Value>)],
    ) {
        let [(field, value)] = given else {
            let message =
                format!("`{}` takes exactly one field, and is given {}", input.name, given.len());
            self.errors.push(refusal(self.document, object.location(), message));
            return;
        };
        match value.as_ref() {
            Value::Null => {
                let message =
                    format!("the one field `{field}` of `{}` must not be null", input.name);
                self.errors.push(refusal(self.document, value.location(), message));
            }
            Value::Variable(variable) => {
                self.uses.push(Use { variable, input: &input.name, place: value.location() });
            }
            _ => {}
        }
    }
}
