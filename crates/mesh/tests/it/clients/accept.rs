//! Whether an answer is of the shape that a client has for it: the types of the generated modules, read
//! as rules.
//!
//! In: a client, a shape and JSON. Out: the first place that does not fit. A key that the shape does not
//! know does not fit either, so that nothing an answer has is missing in the types.

use schema::generate::client::{Client, TypeOf, ValueType, Variant};
use serde_json::Value as Json;

/// Whether the data of an answer are of a shape.
pub(super) fn accept(client: &Client, shape: usize, data: &Json) -> Result<(), String> {
    let shape = &client.shapes[shape];
    let object = data.as_object().ok_or_else(|| format!("{data} is no object"))?;
    let type_name = object.get("__typename").and_then(Json::as_str);
    let own = shape.variants.iter().find(|it| type_name.is_some_and(|name| it.types[0] == name));
    if !shape.variants.is_empty() && type_name.is_none() {
        return Err("an object with variants does not say its type".to_owned());
    }
    let variant = own.unwrap_or(&shape.base);
    if let Some(key) = object.keys().find(|key| variant.fields.iter().all(|it| it.key != **key)) {
        return Err(format!("there is no field `{key}`"));
    }
    for field in &variant.fields {
        let at = |error: String| format!("{}.{error}", field.key);
        match object.get(&field.key) {
            None if field.optional => {}
            None => return Err(format!("`{}` is missing", field.key)),
            Some(value) => {
                accept_value(client, &field.ty, value).map_err(at)?;
                if field.is_typename {
                    is_known(variant, value).map_err(at)?;
                }
            }
        }
    }
    for fragment in &variant.fragments {
        accept_fragment(client, fragment, data)?;
    }
    Ok(())
}

fn is_known(variant: &Variant, value: &Json) -> Result<(), String> {
    let known = variant.types.iter().any(|name| Some(name.as_str()) == value.as_str());
    known.then_some(()).ok_or_else(|| format!("{value} is none of {:?}", variant.types))
}

/// A fragment sees a part of an object: what it knows is there.
fn accept_fragment(client: &Client, name: &str, data: &Json) -> Result<(), String> {
    let fragment = client.fragment(name).ok_or_else(|| format!("no fragment `{name}`"))?;
    narrow(client, fragment.shape, data).map_err(|error| format!("as `{name}`: {error}"))
}

/// Whether an object has at least what a shape has, as readers of JSON see it.
fn narrow(client: &Client, shape: usize, data: &Json) -> Result<(), String> {
    let shape = &client.shapes[shape];
    let type_name = data.get("__typename").and_then(Json::as_str);
    let own = shape.variants.iter().find(|it| type_name.is_some_and(|name| it.types[0] == name));
    for field in &own.unwrap_or(&shape.base).fields {
        match data.get(&field.key) {
            None if field.optional => {}
            None => return Err(format!("`{}` is missing", field.key)),
            Some(value) => narrow_value(client, &field.ty, value)?,
        }
    }
    Ok(())
}

fn narrow_value(client: &Client, ty: &ValueType, value: &Json) -> Result<(), String> {
    match (&ty.of, value) {
        (_, Json::Null) if ty.nullable => Ok(()),
        (TypeOf::List(item), Json::Array(items)) => {
            items.iter().try_for_each(|value| narrow_value(client, item, value))
        }
        (TypeOf::Shape(shape), value) => narrow(client, *shape, value),
        (_, value) => accept_value(client, ty, value),
    }
}

fn accept_value(client: &Client, ty: &ValueType, value: &Json) -> Result<(), String> {
    let fits = match (&ty.of, value) {
        (_, Json::Null) => ty.nullable,
        (TypeOf::List(item), Json::Array(items)) => {
            return items.iter().try_for_each(|value| accept_value(client, item, value));
        }
        (TypeOf::Shape(shape), value) => return accept(client, *shape, value),
        (TypeOf::Enum(name), Json::String(value)) => {
            let known = client.enums.iter().find(|it| it.name == *name);
            known.is_some_and(|it| it.values.iter().any(|known| known.name == *value))
        }
        (TypeOf::Scalar(name), value) => match name.as_str() {
            "Int" | "Count" => value.is_i64(),
            "Float" => value.is_number(),
            "Boolean" => value.is_boolean(),
            "String" | "ID" | "Long" | "Decimal" | "Date" | "DateTime" => value.is_string(),
            _ => true,
        },
        _ => false,
    };
    fits.then_some(()).ok_or_else(|| format!("{value} is no {ty:?}"))
}
