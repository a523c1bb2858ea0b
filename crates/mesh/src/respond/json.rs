//! Values of a plain engine: JSON, projected to what is asked for and checked against its type.

use apollo_compiler::ast::Type;
use apollo_compiler::schema::ExtendedType;
use base::Kind;
use serde_json::Value as Json;

use super::scalar;
use super::writer::{Writer, Written};
use crate::error::GraphqlError;
use crate::plan::{Inner, PlannedField, Resolve, Selection};

/// A value of this type.
pub(crate) fn value(
    writer: &mut Writer<'_>,
    field: &PlannedField,
    ty: &Type,
    json: &Json,
) -> Written {
    if json.is_null() {
        return writer.null(field, ty);
    }
    if ty.is_list() {
        return match json {
            Json::Array(items) => writer.list(ty, items.len(), |writer, index| {
                value(writer, field, ty.item_type(), &items[index])
            }),
            _ => misfit(writer, field, ty),
        };
    }
    match &field.inner {
        Inner::Leaf => leaf(writer, field, ty, json),
        Inner::Object(selection) if json.is_object() => object(writer, selection, json),
        Inner::Abstract(by_type) => {
            let name = json.get("__typename").and_then(Json::as_str);
            match name.and_then(|name| by_type.get(name)) {
                Some(selection) => object(writer, selection, json),
                None => misfit(writer, field, ty),
            }
        }
        Inner::Object(_) => misfit(writer, field, ty),
    }
}

fn object(writer: &mut Writer<'_>, selection: &Selection, json: &Json) -> Written {
    writer.object(selection, |writer, _, field| match field.resolve {
        Resolve::Typename => writer.typename(&selection.type_name),
        _ => value(writer, field, &field.ty, json.get(&*field.name).unwrap_or(&Json::Null)),
    })
}

fn misfit(writer: &mut Writer<'_>, field: &PlannedField, ty: &Type) -> Written {
    let message =
        format!("the value of `{}.{}` is not of its type `{}`", field.parent, field.name, field.ty);
    writer.failed(ty, GraphqlError::new(Kind::Internal, message).located(&field.locations))
}

/// A scalar or an enum.
fn leaf(writer: &mut Writer<'_>, field: &PlannedField, ty: &Type, json: &Json) -> Written {
    let name = ty.inner_named_type();
    let fits = match (name.as_str(), json) {
        ("Int", Json::Number(number)) => {
            number.as_i64().is_some_and(|number| i32::try_from(number).is_ok())
        }
        ("Float", Json::Number(_))
        | ("String" | "ID", Json::String(_))
        | ("Boolean", Json::Bool(_)) => true,
        ("ID", Json::Number(number)) => {
            writer.string(&number.to_string());
            return Ok(());
        }
        ("Int" | "Float" | "String" | "Boolean" | "ID", _) => false,
        _ => match writer.session().engine.api_schema.types.get(name) {
            Some(ExtendedType::Enum(values)) => {
                json.as_str().is_some_and(|value| values.values.contains_key(value))
            }
            _ => true,
        },
    };
    if !fits {
        return misfit(writer, field, ty);
    }
    match json {
        Json::String(text) => scalar::string(writer.out(), text),
        other => writer.text(&other.to_string()),
    }
    Ok(())
}
