//! Defaults of arguments and input fields: each is of its type, and none fills in itself without end.
//!
//! In: types, valid or not. Out: what is wrong with their defaults. apollo-compiler looks at neither,
//! and a request would come upon it. Not here: defaults of variables, which belong to documents.

use std::collections::{HashMap, HashSet};

use apollo_compiler::ast::{InputValueDefinition, Type, Value};
use apollo_compiler::schema::{ExtendedType, InputObjectType};
use apollo_compiler::{Name, Node, Schema};

use super::Fault;

/// So many input objects may be filled in inside each other.
const DEEPEST: usize = 100;

/// What is wrong with the defaults of a schema.
pub(super) fn faults(schema: &Schema) -> Vec<Fault> {
    let mut faults = Vec::new();
    each(schema, |place, definition| {
        let Some(default) = &definition.default_value else { return };
        if let Err(error) = fits(schema, &definition.ty, default) {
            let ty = &definition.ty;
            let words = format!("the default of {place} is not of its type `{ty}`: {error}");
            faults.push(Fault { at: default.location(), words });
        }
    });
    faults.extend(endless(schema));
    faults
}

/// Every argument and every input field, with where it stands.
fn each<'a>(schema: &'a Schema, mut visit: impl FnMut(String, &'a InputValueDefinition)) {
    for (name, ty) in &schema.types {
        let fields = match ty {
            ExtendedType::Object(object) => &object.fields,
            ExtendedType::Interface(interface) => &interface.fields,
            ExtendedType::InputObject(input) => {
                let fields = input.fields.values();
                fields.for_each(|field| visit(format!("`{name}.{}`", field.name), field));
                continue;
            }
            _ => continue,
        };
        for field in fields.values() {
            for argument in &field.arguments {
                visit(format!("`{name}.{}({}:)`", field.name, argument.name), argument);
            }
        }
    }
    for (name, directive) in &schema.directive_definitions {
        for argument in &directive.arguments {
            visit(format!("`@{name}({}:)`", argument.name), argument);
        }
    }
}

/// Whether a literal without variables is of the type.
fn fits(schema: &Schema, ty: &Type, value: &Value) -> Result<(), String> {
    match (value, schema.types.get(ty.inner_named_type())) {
        (Value::Null, _) if ty.is_non_null() => Err("null is not allowed".to_owned()),
        (Value::Null, _) => Ok(()),
        (Value::List(items), _) if ty.is_list() => {
            items.iter().try_for_each(|item| fits(schema, ty.item_type(), item))
        }
        (Value::Object(given), Some(ExtendedType::InputObject(input))) => {
            fields_fit(schema, input, given)
        }
        (Value::Enum(name), Some(ExtendedType::Enum(values)))
            if values.values.contains_key(name) =>
        {
            Ok(())
        }
        (_, Some(ExtendedType::Scalar(scalar))) if is_scalar(&scalar.name, value) => Ok(()),
        // What the schema lacks is told elsewhere.
        (_, None) => Ok(()),
        _ => {
            let shown = value.serialize().no_indent();
            Err(format!("`{shown}` is not a value of `{}`", ty.inner_named_type()))
        }
    }
}

fn fields_fit(
    schema: &Schema,
    input: &InputObjectType,
    given: &[(Name, Node<Value>)],
) -> Result<(), String> {
    if let Some((name, _)) = given.iter().find(|(name, _)| !input.fields.contains_key(name)) {
        return Err(format!("`{}` has no field `{name}`", input.name));
    }
    let mut values = HashMap::with_capacity(given.len());
    for (name, value) in given {
        if values.insert(name, value).is_some() {
            return Err(format!("`{name}` is given twice"));
        }
    }
    for field in input.fields.values() {
        match values.get(&field.name) {
            Some(value) => fits(schema, &field.ty, value)
                .map_err(|error| format!("`{}`: {error}", field.name))?,
            None if field.ty.is_non_null() && field.default_value.is_none() => {
                return Err(format!("`{}` is required", field.name));
            }
            None => {}
        }
    }
    let takes_one = input.directives.has("oneOf");
    if takes_one && (given.len() != 1 || given.iter().any(|(_, value)| value.is_null())) {
        return Err(format!("`{}` takes exactly one field", input.name));
    }
    Ok(())
}

/// Whether a literal is of the scalar; own ones take everything.
fn is_scalar(scalar: &str, value: &Value) -> bool {
    match (scalar, value) {
        (_, Value::Variable(_)) => false,
        ("Int", value) => value.to_i32().is_some(),
        ("Float", value) => value.to_f64().is_some(),
        ("String", value) => matches!(value, Value::String(_)),
        ("Boolean", value) => matches!(value, Value::Boolean(_)),
        ("ID", value) => matches!(value, Value::String(_) | Value::Int(_)),
        _ => true,
    }
}

/// An input field, with the name of its type.
type Place<'a> = (&'a Name, &'a Name);

/// What is known of the defaults that fill in each other.
struct Filling<'a> {
    schema: &'a Schema,
    /// The fields whose defaults are being filled in, the outermost first.
    path: Vec<Place<'a>>,
    /// Fields that come to an end, with how many are filled in inside each other.
    ends: HashMap<Place<'a>, usize>,
}

/// The defaults that fill in themselves, or too many others.
fn endless(schema: &Schema) -> Vec<Fault> {
    let mut filling = Filling { schema, path: Vec::new(), ends: HashMap::new() };
    let (mut faults, mut said) = (Vec::new(), HashSet::new());
    for ty in schema.types.values() {
        let ExtendedType::InputObject(input) = ty else { continue };
        for field in input.fields.values() {
            filling.path.clear();
            if let Err(words) = filling.field(input, field)
                && said.insert(words.clone())
            {
                faults.push(Fault { at: field.location(), words });
            }
        }
    }
    faults
}

impl<'a> Filling<'a> {
    /// How many defaults are filled in inside each other by one that is not given.
    fn field(
        &mut self,
        input: &'a InputObjectType,
        field: &'a InputValueDefinition,
    ) -> Result<usize, String> {
        let Some(default) = &field.default_value else { return Ok(0) };
        let place = (&input.name, &field.name);
        if let Some(start) = self.path.iter().position(|known| *known == place) {
            return Err(circle(&self.path[start..]));
        }
        let known = self.ends.get(&place).copied();
        if self.path.len() + known.unwrap_or(1) > DEEPEST {
            let (name, field) = place;
            return Err(format!(
                "more than {DEEPEST} defaults are filled in down to `{name}.{field}`"
            ));
        }
        if let Some(depth) = known {
            return Ok(depth);
        }
        self.path.push(place);
        let depth = 1 + self.value(&field.ty, default)?;
        self.path.pop();
        self.ends.insert(place, depth);
        Ok(depth)
    }

    fn value(&mut self, ty: &'a Type, value: &'a Value) -> Result<usize, String> {
        let mut deepest = 0;
        match value {
            Value::List(items) => {
                for item in items {
                    deepest = deepest.max(self.value(ty.item_type(), item)?);
                }
            }
            Value::Object(given) => {
                let Some(input) = self.schema.get_input_object(ty.inner_named_type()) else {
                    return Ok(0);
                };
                let given: HashMap<&Name, &'a Node<Value>> =
                    given.iter().map(|(name, value)| (name, value)).collect();
                for field in input.fields.values() {
                    let depth = match given.get(&field.name) {
                        Some(value) => self.value(&field.ty, value)?,
                        None => self.field(input, field)?,
                    };
                    deepest = deepest.max(depth);
                }
            }
            _ => {}
        }
        Ok(deepest)
    }
}

/// The fault of defaults that fill in each other, in the same words wherever one begins.
fn circle(places: &[Place<'_>]) -> String {
    let mut names: Vec<String> =
        places.iter().map(|(input, field)| format!("`{input}.{field}`")).collect();
    names.sort();
    match names.as_slice() {
        [name] => format!("the default of {name} fills in itself without end"),
        _ => format!("the defaults of {} fill in each other without end", names.join(", ")),
    }
}
