//! `where` and `orderBy` arguments as a predicate and an order.
//!
//! A condition that is null is refused, not dropped: without it the filter would let more rows through
//! than its writer meant. Lists become trees that are only as deep as the logarithm of their length.

use std::sync::Arc;

use base::{Error, Kind, Result};
use frame::{BinaryOp, DataType, Expr, Function, Node, Order, UnaryOp, Value};
use schema::api::Api;
use schema::{FieldKind, ObjectType, Schema, TypeId};
use serde_json::{Map, Value as Json};

use super::Session;
use super::values::value;

/// Where names of the API are looked up.
#[derive(Clone, Copy)]
pub(crate) struct Names<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) api: &'a Api,
}

impl Session<'_> {
    /// The predicate of a `where` argument, within the limit of a filter; `None` when it asks for
    /// nothing.
    pub(crate) fn predicate(&self, id: TypeId, json: &Json) -> Result<Option<Expr>> {
        let limit = self.engine.settings.limits.input_items;
        let operands = operands(json);
        if operands > limit {
            let message =
                format!("`where` compares with {operands} values; at most {limit} are allowed");
            return Err(Error::new(Kind::LimitExceeded, message).hint("ask in several requests"));
        }
        predicate(self.names()?, id, json)
    }
}

/// How much a filter says: its values, and what is empty.
fn operands(json: &Json) -> usize {
    match json {
        Json::Array(items) if !items.is_empty() => items.iter().map(operands).sum(),
        Json::Object(fields) if !fields.is_empty() => fields.values().map(operands).sum(),
        _ => 1,
    }
}

/// The predicate of a `where` argument; `None` when it asks for nothing.
fn predicate(names: Names<'_>, id: TypeId, json: &Json) -> Result<Option<Expr>> {
    let object = names.schema.object(id);
    conditions("where", json, &mut |name, json| {
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

/// All conditions of one object hold; `and`, `or` and `not` nest. `place` is where the object stands.
fn conditions(place: &str, json: &Json, on_field: &mut OnField<'_>) -> Result<Option<Expr>> {
    let mut all = Vec::new();
    for (name, json) in object(place, json)? {
        let condition = match name.as_str() {
            _ if json.is_null() => return Err(no_condition(place, name)),
            "and" | "or" => Some(connected(place, name, json, on_field)?),
            // What holds for every row holds for none when it is negated.
            "not" => Some(conditions(place, json, on_field)?.map_or_else(|| constant(false), not)),
            _ => on_field(name, json)?,
        };
        all.extend(condition);
    }
    Ok(Expr::balanced(BinaryOp::And, all))
}

fn object<'a>(place: &str, json: &'a Json) -> Result<&'a Map<String, Json>> {
    json.as_object().ok_or_else(|| Error::invalid(format!("`{place}`: {json} is not an object")))
}

fn no_condition(place: &str, name: &str) -> Error {
    let hint = match name {
        "and" | "or" | "not" => "leave it out where it is not wanted",
        _ => "leave it out where it is not wanted, or use `isNull`",
    };
    Error::invalid(format!("`{place}.{name}`: null is not a condition")).hint(hint)
}

fn connected(place: &str, name: &str, json: &Json, on_field: &mut OnField<'_>) -> Result<Expr> {
    let items = json.as_array();
    let items = items.ok_or_else(|| Error::invalid(format!("`{place}.{name}`: not a list")))?;
    let mut parts = Vec::with_capacity(items.len());
    for item in items {
        // An alternative without conditions holds for every row.
        let part = conditions(place, item, on_field)?;
        parts.push(part.unwrap_or_else(|| constant(true)));
    }
    let op = if name == "or" { BinaryOp::Or } else { BinaryOp::And };
    // None of no alternatives holds; all of no conditions do.
    Ok(Expr::balanced(op, parts).unwrap_or_else(|| constant(name == "and")))
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
    let place = format!("where.{}", path.join("."));
    conditions(&place, json, &mut |name, json| {
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
    let place = format!("where.{}", path.join("."));
    let field = Expr::built(Node::Field(path.to_vec()), data_type.clone());
    let wrong = |name: &str, error: String| Error::invalid(format!("`{place}.{name}`: {error}"));
    let mut all = Vec::new();
    for (name, json) in object(&place, json)? {
        if json.is_null() {
            return Err(wrong(name, "null is not a value to compare with".to_owned())
                .hint("leave the operator out, or use `isNull`"));
        }
        all.push(operator(&field, name, json).map_err(|error| wrong(name, error))?);
    }
    Ok(Expr::balanced(BinaryOp::And, all))
}

pub(super) fn operator(field: &Expr, name: &str, json: &Json) -> Result<Expr, String> {
    let item_type = match &field.data_type {
        DataType::List { item, .. } => item,
        scalar => scalar,
    };
    let one = || value(item_type, json);
    let many = || {
        // Were it read as an empty list, `notIn` would let every row through.
        let items = json.as_array().ok_or_else(|| format!("{json} is not a list"))?;
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
            let any = many()?.into_iter().map(has).collect();
            Ok(Expr::balanced(BinaryOp::Or, any).unwrap_or_else(|| constant(false)))
        }
        "hasAll" => {
            let all = many()?.into_iter().map(has).collect();
            Ok(Expr::balanced(BinaryOp::And, all).unwrap_or_else(|| constant(true)))
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
