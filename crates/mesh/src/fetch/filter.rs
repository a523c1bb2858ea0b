//! `where` and `orderBy` arguments as a predicate and an order.

use std::sync::Arc;

use base::{Error, Kind, Result};
use frame::{BinaryOp, DataType, Expr, Function, Node, Order, UnaryOp, Value};
use schema::api::Api;
use schema::{FieldKind, ObjectType, Schema, TypeId};
use serde_json::{Map, Value as Json};

use super::values::value;

/// Where names of the API are looked up.
#[derive(Clone, Copy)]
pub(crate) struct Names<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) api: &'a Api,
}

/// The predicate of a `where` argument; `None` when it asks for nothing.
pub(crate) fn predicate(names: Names<'_>, id: TypeId, json: &Json) -> Result<Option<Expr>> {
    let object = names.schema.object(id);
    conditions(json, &mut |name, json| {
        let field = names.api.field(id, name).map(|found| object.field(found.field));
        let field = field.ok_or_else(|| unknown(object, name))?;
        let path = vec![field.name.as_ref().to_owned()];
        match &field.kind {
            FieldKind::Column(column) | FieldKind::Media(column) => {
                on_value(path, &column.data_type, json)
            }
            _ => Err(Error::new(
                Kind::Unsupported,
                format!("`{}.{name}` cannot be filtered by", object.name),
            )),
        }
    })
}

fn unknown(object: &ObjectType, name: &str) -> Error {
    Error::invalid(format!("`{}` has no field `{name}`", object.name))
}

type OnField<'a> = dyn FnMut(&str, &Json) -> Result<Option<Expr>> + 'a;

/// All conditions of one object hold; `and`, `or` and `not` nest.
fn conditions(json: &Json, on_field: &mut OnField<'_>) -> Result<Option<Expr>> {
    let Json::Object(given) = json else { return Ok(None) };
    let mut all = Vec::new();
    for (name, json) in given.iter().filter(|(_, json)| !json.is_null()) {
        let condition = match name.as_str() {
            "and" | "or" => connected(name, json, on_field)?,
            // What holds for every row holds for none when it is negated.
            "not" => Some(conditions(json, on_field)?.map_or_else(|| constant(false), not)),
            _ => on_field(name, json)?,
        };
        all.extend(condition);
    }
    Ok(all.into_iter().reduce(Expr::and))
}

fn connected(name: &str, json: &Json, on_field: &mut OnField<'_>) -> Result<Option<Expr>> {
    let items = json.as_array().map_or(&[][..], Vec::as_slice);
    let mut parts = Vec::with_capacity(items.len());
    for item in items {
        // An alternative without conditions holds for every row.
        let part = conditions(item, on_field)?;
        parts.push(part.unwrap_or_else(|| constant(true)));
    }
    let op = if name == "or" { BinaryOp::Or } else { BinaryOp::And };
    let joined = parts.into_iter().reduce(|left, right| left.predicate(op, right));
    // None of no alternatives holds; all of no conditions do.
    Ok(Some(joined.unwrap_or_else(|| constant(name == "and"))))
}

pub(super) fn constant(holds: bool) -> Expr {
    Expr::literal(Value::Boolean(holds), DataType::Boolean)
}

pub(super) fn not(expr: Expr) -> Expr {
    Expr::built(Node::Unary(UnaryOp::Not, Box::new(expr)), DataType::Boolean)
}

/// Conditions on a value: those of its parts when it is an object.
fn on_value(path: Vec<String>, data_type: &DataType, json: &Json) -> Result<Option<Expr>> {
    let DataType::Struct(fields) = data_type else {
        return operators(&path, data_type, json);
    };
    conditions(json, &mut |name, json| {
        if name == "isNull" {
            return Ok(Some(is_null(
                &Expr::built(Node::Field(path.clone()), data_type.clone()),
                json,
            )));
        }
        let field = fields
            .iter()
            .find(|field| field.name.as_ref() == name)
            .ok_or_else(|| Error::invalid(format!("`{}` has no field `{name}`", path.join("."))))?;
        let mut path = path.clone();
        path.push(name.to_owned());
        on_value(path, &field.data_type, json)
    })
}

fn is_null(field: &Expr, json: &Json) -> Expr {
    let op = if json == &Json::Bool(true) { UnaryOp::IsNull } else { UnaryOp::IsNotNull };
    Expr::built(Node::Unary(op, Box::new(field.clone())), DataType::Boolean)
}

fn operators(path: &[String], data_type: &DataType, json: &Json) -> Result<Option<Expr>> {
    let Json::Object(given) = json else { return Ok(None) };
    let field = Expr::built(Node::Field(path.to_vec()), data_type.clone());
    let wrong = |name: &str, error: String| {
        Error::invalid(format!("`where.{}.{name}`: {error}", path.join(".")))
    };
    let mut all = Vec::new();
    for (name, json) in given {
        if json.is_null() {
            return Err(wrong(name, "null is not a value to compare with".to_owned())
                .hint("leave the operator out, or use `isNull`"));
        }
        all.push(operator(&field, name, json).map_err(|error| wrong(name, error))?);
    }
    Ok(all.into_iter().reduce(Expr::and))
}

pub(super) fn operator(field: &Expr, name: &str, json: &Json) -> Result<Expr, String> {
    let item_type = match &field.data_type {
        DataType::List { item, .. } => item,
        scalar => scalar,
    };
    let one = || value(item_type, json);
    let many = || {
        let items = json.as_array().map_or(&[][..], Vec::as_slice);
        items.iter().map(|item| value(item_type, item)).collect::<Result<Vec<_>, _>>()
    };
    let compare = |op| {
        let literal = Expr::literal(one()?, item_type.clone());
        Ok(field.clone().predicate(op, literal))
    };
    let text = |function| {
        let literal = Expr::literal(one()?, DataType::String);
        let call = Node::Call(function, vec![field.clone(), literal]);
        Ok(Expr::built(call, DataType::Boolean))
    };
    let has =
        |value| Expr::built(Node::Contains(Box::new(field.clone()), value), DataType::Boolean);
    match name {
        "eq" => compare(BinaryOp::Eq),
        "ne" => compare(BinaryOp::NotEq),
        "lt" => compare(BinaryOp::Lt),
        "lte" => compare(BinaryOp::LtEq),
        "gt" => compare(BinaryOp::Gt),
        "gte" => compare(BinaryOp::GtEq),
        "in" => Ok(field.clone().is_in(many()?)),
        "notIn" => Ok(not(field.clone().is_in(many()?))),
        "contains" => text(Function::ContainsText),
        "startsWith" => text(Function::StartsWith),
        "endsWith" => text(Function::EndsWith),
        "isNull" => Ok(is_null(field, json)),
        "has" => Ok(has(one()?)),
        "hasAny" => {
            let any = many()?.into_iter().map(has);
            Ok(any.reduce(|l, r| l.predicate(BinaryOp::Or, r)).unwrap_or_else(|| constant(false)))
        }
        "hasAll" => {
            Ok(many()?.into_iter().map(has).reduce(Expr::and).unwrap_or_else(|| constant(true)))
        }
        other => Err(format!("there is no operator `{other}`")),
    }
}

/// The order of an `orderBy` argument.
pub(crate) fn order(names: Names<'_>, id: TypeId, json: &Json) -> Result<Vec<Order>> {
    let items = json.as_array().map_or(&[][..], Vec::as_slice);
    let object = names.schema.object(id);
    items.iter().map(|item| sort_key(names, id, object, item)).collect()
}

fn sort_key(names: Names<'_>, id: TypeId, object: &ObjectType, item: &Json) -> Result<Order> {
    let empty = Map::new();
    let given = item.as_object().unwrap_or(&empty);
    let given: Vec<(&String, &Json)> = given.iter().filter(|(_, json)| !json.is_null()).collect();
    let [(name, direction)] = given.as_slice() else {
        return Err(Error::invalid(format!(
            "an item of `orderBy` takes exactly one field, not {}",
            given.len()
        ))
        .hint("write one item for each sort key: `[{year: DESC}, {title: ASC}]`"));
    };
    let field = names.api.field(id, name).ok_or_else(|| unknown(object, name))?;
    Ok(Order::by(object.field(field.field).name.clone(), *direction == "DESC"))
}

/// Adds the key, so that no two rows tie.
pub(crate) fn with_key(mut order: Vec<Order>, object: &ObjectType) -> Vec<Order> {
    let key = object.table().map_or(&[][..], |table| &table.key);
    for id in key {
        let name: Arc<str> = object.field(*id).name.clone();
        if !order.iter().any(|item| item.field == name) {
            order.push(Order::by(name, false));
        }
    }
    order
}
