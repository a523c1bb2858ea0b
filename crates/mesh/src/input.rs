//! Input values: variables and arguments, coerced to the types of the API.
//!
//! In: JSON of a request, or literals of a document. Out: JSON in which enums are strings, defaults
//! are filled in and a single value stands in its list. Scalars that the specification does not know
//! pass as they are; whoever reads them checks them. Not here: the meaning of an argument.

mod bounds;

use apollo_compiler::ast::{Type, Value as Literal};
use apollo_compiler::schema::{ExtendedType, InputObjectType};
use apollo_compiler::{Name, Schema};
use base::Kind;
use serde_json::{Map, Number, Value as Json};

use crate::error::GraphqlError;
use crate::limits::Limits;

/// Values of variables; an absent one that has no default is not in the map.
pub(crate) type Variables = Map<String, Json>;

/// A variable that an operation declares.
#[derive(Clone, Debug)]
pub(crate) struct Variable {
    pub(crate) name: Name,
    pub(crate) ty: Type,
    pub(crate) default: Option<Json>,
}

/// The values of an operation's variables.
pub(crate) fn variables(
    schema: &Schema,
    declared: &[Variable],
    given: &Map<String, Json>,
    limits: &Limits,
) -> Result<Variables, Vec<GraphqlError>> {
    let mut values = Variables::new();
    let mut errors = Vec::new();
    for variable in declared {
        let name = variable.name.as_str();
        let mut refuse = |kind, error: String| {
            let message = format!("variable `${name}` of type `{}`: {error}", variable.ty);
            errors.push(GraphqlError::new(kind, message));
        };
        let value = match (given.get(name), &variable.default) {
            (Some(value), _) => {
                if let Err(error) = bounds::check(schema, &variable.ty, value, limits) {
                    refuse(Kind::LimitExceeded, error);
                    continue;
                }
                json(schema, &variable.ty, value)
            }
            (None, Some(default)) => Ok(default.clone()),
            (None, None) if variable.ty.is_non_null() => Err("it is required".to_owned()),
            (None, None) => continue,
        };
        match value {
            Ok(value) => {
                values.insert(name.to_owned(), value);
            }
            Err(error) => refuse(Kind::InvalidInput, error),
        }
    }
    if errors.is_empty() { Ok(values) } else { Err(errors) }
}

/// JSON of a request as a value of the type.
pub(crate) fn json(schema: &Schema, ty: &Type, value: &Json) -> Result<Json, String> {
    if value.is_null() {
        return null(ty);
    }
    if ty.is_list() {
        let Json::Array(items) = value else {
            return Ok(Json::Array(vec![json(schema, ty.item_type(), value)?]));
        };
        let items = items.iter().enumerate().map(|(index, item)| {
            json(schema, ty.item_type(), item).map_err(|error| format!("[{index}]: {error}"))
        });
        return Ok(Json::Array(items.collect::<Result<_, _>>()?));
    }
    match schema.types.get(ty.inner_named_type()) {
        Some(ExtendedType::Enum(names)) => match value {
            Json::String(name) if names.values.contains_key(name.as_str()) => Ok(value.clone()),
            other => Err(format!("{other} is not a value of `{}`", names.name)),
        },
        Some(ExtendedType::InputObject(object)) => {
            let Json::Object(given) = value else {
                return Err(format!("{value} is not an object"));
            };
            check_names(object, given.keys().map(String::as_str))?;
            fields(schema, object, |name, ty| {
                given.get(name).map(|value| json(schema, ty, value)).transpose()
            })
        }
        _ => scalar(ty.inner_named_type(), value.clone()),
    }
}

/// A literal of a document as a value of the type; `None` when it is an absent variable.
pub(crate) fn literal(
    schema: &Schema,
    ty: &Type,
    value: &Literal,
    variables: &Variables,
) -> Result<Option<Json>, String> {
    if let Literal::Variable(name) = value {
        return match variables.get(name.as_str()) {
            Some(Json::Null) => null(ty).map(Some),
            Some(value) => Ok(Some(value.clone())),
            None if ty.is_non_null() => Err(format!("variable `${name}` is required here")),
            None => Ok(None),
        };
    }
    if value.is_null() {
        return null(ty).map(Some);
    }
    if ty.is_list() {
        let Literal::List(items) = value else {
            let item = literal(schema, ty.item_type(), value, variables)?;
            return Ok(Some(Json::Array(item.into_iter().collect())));
        };
        let items = items.iter().map(|item| {
            // An absent variable in a list is null.
            match literal(schema, ty.item_type(), item, variables)? {
                Some(item) => Ok(item),
                None => null(ty.item_type()),
            }
        });
        return Ok(Some(Json::Array(items.collect::<Result<_, String>>()?)));
    }
    let name = ty.inner_named_type();
    Ok(Some(match (schema.types.get(name), value) {
        (Some(ExtendedType::Enum(_)), Literal::Enum(value)) => Json::from(value.as_str()),
        (Some(ExtendedType::InputObject(object)), Literal::Object(given)) => {
            check_names(object, given.iter().map(|(name, _)| name.as_str()))?;
            fields(schema, object, |name, ty| {
                let value = given.iter().find(|(given, _)| given == name).map(|(_, value)| value);
                match value.map(AsRef::as_ref) {
                    // An absent variable leaves the field out, so that its default holds.
                    Some(Literal::Variable(name)) if !variables.contains_key(name.as_str()) => {
                        Ok(None)
                    }
                    Some(value) => literal(schema, ty, value, variables),
                    None => Ok(None),
                }
            })?
        }
        _ => scalar(name, untyped(name, value, variables))?,
    }))
}

fn null(ty: &Type) -> Result<Json, String> {
    if ty.is_non_null() { Err("null is not allowed".to_owned()) } else { Ok(Json::Null) }
}

fn check_names<'a>(
    object: &InputObjectType,
    mut given: impl Iterator<Item = &'a str>,
) -> Result<(), String> {
    match given.find(|name| !object.fields.contains_key(*name)) {
        Some(name) => Err(format!("`{}` has no field `{name}`", object.name)),
        None => Ok(()),
    }
}

/// The fields of an input object, with defaults.
fn fields(
    schema: &Schema,
    object: &InputObjectType,
    given: impl Fn(&str, &Type) -> Result<Option<Json>, String>,
) -> Result<Json, String> {
    let mut values = Map::new();
    for field in object.fields.values() {
        let value = given(&field.name, &field.ty).map_err(|error| inside(&field.name, &error))?;
        let value = match (value, &field.default_value) {
            (Some(value), _) => Some(value),
            (None, Some(default)) => literal(schema, &field.ty, default, &Variables::new())?,
            (None, None) if field.ty.is_non_null() => {
                return Err(format!("`{}` is required", field.name));
            }
            (None, None) => None,
        };
        if let Some(value) = value {
            values.insert(field.name.to_string(), value);
        }
    }
    if object.directives.has("oneOf") && (values.len() != 1 || values.values().any(Json::is_null)) {
        return Err(format!("`{}` takes exactly one field", object.name));
    }
    Ok(Json::Object(values))
}

/// Puts the name of a field before an error about its value.
fn inside(name: &str, error: &str) -> String {
    let continues = error.starts_with('`') && error.contains("`: ");
    match continues || error.starts_with('[') {
        true => format!("`{name}` {error}"),
        false => format!("`{name}`: {error}"),
    }
}

/// A literal whose type says nothing of its inside.
fn untyped(scalar: &str, value: &Literal, variables: &Variables) -> Json {
    match value {
        Literal::Null => Json::Null,
        Literal::Enum(name) => Json::from(name.as_str()),
        Literal::Variable(name) => variables.get(name.as_str()).cloned().unwrap_or(Json::Null),
        Literal::String(text) => Json::from(text.as_str()),
        Literal::Boolean(boolean) => Json::from(*boolean),
        // The digits of an exact number must not pass through a float.
        Literal::Float(digits) if scalar == "Decimal" => Json::from(digits.as_str()),
        Literal::Float(digits) => {
            digits.try_to_f64().ok().and_then(Number::from_f64).map_or(Json::Null, Json::Number)
        }
        Literal::Int(digits) => match digits.as_str().parse::<i64>() {
            Ok(number) => Json::from(number),
            Err(_) if scalar == "Float" => digits
                .try_to_f64()
                .ok()
                .and_then(Number::from_f64)
                .map_or_else(|| Json::from(digits.as_str()), Json::Number),
            Err(_) => Json::from(digits.as_str()),
        },
        Literal::List(items) => {
            Json::Array(items.iter().map(|item| untyped(scalar, item, variables)).collect())
        }
        Literal::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| (name.to_string(), untyped(scalar, value, variables)));
            Json::Object(fields.collect())
        }
    }
}

/// A value of a scalar: those of the specification are checked, others pass.
fn scalar(name: &str, value: Json) -> Result<Json, String> {
    let whole = |number: f64| number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0;
    let fits = match (name, &value) {
        ("Int", Json::Number(number)) => {
            let integer = number.as_i64().or_else(|| {
                number.as_f64().filter(|float| whole(*float)).map(|float| float as i64)
            });
            return match integer.and_then(|integer| i32::try_from(integer).ok()) {
                Some(integer) => Ok(Json::from(integer)),
                None => Err(format!("{value} is not a 32-bit integer")),
            };
        }
        ("ID", Json::Number(number)) if number.is_i64() || number.is_u64() => {
            return Ok(Json::from(number.to_string()));
        }
        ("Float", Json::Number(_))
        | ("String" | "ID", Json::String(_))
        | ("Boolean", Json::Bool(_)) => true,
        ("Int" | "Float" | "String" | "ID" | "Boolean", _) => false,
        _ => true,
    };
    if fits { Ok(value) } else { Err(format!("{value} is not a value of `{name}`")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SDL: &str = "
        type Query { a(x: In, ids: [ID!], w: Decimal): Int }
        scalar Decimal
        enum Color { RED BLUE }
        input In { n: Int! = 3, f: Float, c: Color, list: [Int!], in: In }
    ";

    fn check(ty: &str, value: Json, expected: Result<Json, &str>) {
        let schema = Schema::parse(SDL, "s").expect("a schema");
        let ty = Type::parse(ty, "t").expect("a type");
        let found = json(&schema, &ty, &value);
        assert_eq!(found, expected.map_err(str::to_owned), "{value}");
    }

    #[test]
    fn values_are_coerced_to_their_types() {
        check("In", json!({"list": 1}), Ok(json!({"n": 3, "list": [1]})));
        check("[ID!]", json!([1, "b"]), Ok(json!(["1", "b"])));
        check("Int", json!(2.0), Ok(json!(2)));
        check("Decimal", json!({"any": 1}), Ok(json!({"any": 1})));
    }

    #[test]
    fn what_does_not_fit_says_where() {
        check(
            "In",
            json!({"in": {"c": "GREEN"}}),
            Err("`in` `c`: \"GREEN\" is not a value of `Color`"),
        );
        check("In", json!({"x": 1}), Err("`In` has no field `x`"));
        check("[ID!]", json!([null]), Err("[0]: null is not allowed"));
        check("Int", json!(3_000_000_000_i64), Err("3000000000 is not a 32-bit integer"));
        check("String", json!(1), Err("1 is not a value of `String`"));
    }
}
