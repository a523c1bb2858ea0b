//! `@oneOf` where it is declared: such an input object takes exactly one field, so that every field is
//! nullable and without a default, and one of them can be given.

use std::collections::HashSet;

use apollo_compiler::ast::{InputValueDefinition, Type};
use apollo_compiler::schema::{ExtendedType, InputObjectType};
use apollo_compiler::{Name, Schema};

use super::Fault;

/// What is wrong with input objects that take exactly one field.
pub(super) fn faults(schema: &Schema) -> Vec<Fault> {
    let finite = finite(schema);
    let mut faults = Vec::new();
    for input in inputs(schema).filter(|input| is_one_of(input)) {
        let name = &input.name;
        let mut extended = input.directives.iter().filter(|directive| directive.name == "oneOf");
        if let Some(extended) = extended.find(|it| it.origin.extension_id().is_some()) {
            let words =
                format!("`{name}` must be `@oneOf` where it is defined, not in an extension");
            faults.push(Fault { at: extended.location(), words });
        }
        faults.extend(input.fields.values().flat_map(|field| of_field(name, field)));
        if !finite.contains(name) {
            let words =
                format!("`{name}` can never be given, as every field of it needs another one");
            faults.push(Fault { at: name.location(), words });
        }
    }
    faults
}

fn of_field(input: &Name, field: &InputValueDefinition) -> Vec<Fault> {
    let place = format!("`{input}.{}`", field.name);
    let mut faults = Vec::new();
    if field.ty.is_non_null() {
        let words = format!("{place} must be nullable, as `{input}` is `@oneOf`");
        faults.push(Fault { at: field.ty.location(), words });
    }
    if let Some(default) = &field.default_value {
        let words = format!("{place} must have no default, as `{input}` is `@oneOf`");
        faults.push(Fault { at: default.location(), words });
    }
    faults
}

fn inputs(schema: &Schema) -> impl Iterator<Item = &InputObjectType> {
    schema.types.values().filter_map(|ty| match ty {
        ExtendedType::InputObject(input) => Some(input.as_ref()),
        _ => None,
    })
}

fn is_one_of(input: &InputObjectType) -> bool {
    input.directives.has("oneOf")
}

/// The input objects of which a value can be written down, found from those that need no other one.
fn finite(schema: &Schema) -> HashSet<&Name> {
    let mut finite = HashSet::new();
    loop {
        let found = inputs(schema)
            .filter(|input| !finite.contains(&input.name) && is_finite(schema, input, &finite));
        let found: Vec<&Name> = found.map(|input| &input.name).collect();
        if found.is_empty() {
            return finite;
        }
        finite.extend(found);
    }
}

fn is_finite(schema: &Schema, input: &InputObjectType, finite: &HashSet<&Name>) -> bool {
    let needs = |ty: &Type| match ty {
        Type::Named(name) if is_one_of(input) => schema.get_input_object(name).map(|it| &it.name),
        Type::NonNullNamed(name) => schema.get_input_object(name).map(|it| &it.name),
        _ => None,
    };
    let mut ends = input
        .fields
        .values()
        .map(|field| needs(&field.ty).is_none_or(|name| finite.contains(name)));
    // An input object without fields is another fault, which is told elsewhere.
    match is_one_of(input) {
        true => input.fields.is_empty() || ends.any(|ends| ends),
        false => ends.all(|ends| ends),
    }
}
