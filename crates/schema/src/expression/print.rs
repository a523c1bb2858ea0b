//! Expressions back to text: in comes a typed tree, out comes text that reads as the same tree.

use frame::{DataType, Expr, Node, UnaryOp, Value};

use super::check::{is_plain_name, symbol};
use super::{convert, function};

/// The text of an expression, with brackets around every operand that is not a single word.
pub fn print(expr: &Expr) -> String {
    match &expr.node {
        Node::Literal(value) => constant(value, &expr.data_type),
        Node::Field(path) => field(path),
        Node::Viewer(name) => format!("viewer.{name}"),
        Node::Unary(op, inner) => match op {
            UnaryOp::Not => format!("NOT {}", operand(inner)),
            UnaryOp::Negate => format!("-({})", print(inner)),
            UnaryOp::IsNull => format!("{} IS NULL", operand(inner)),
            UnaryOp::IsNotNull => format!("{} IS NOT NULL", operand(inner)),
        },
        Node::Binary(op, left, right) => {
            format!("{} {} {}", operand(left), symbol(*op), operand(right))
        }
        Node::Case { branches, otherwise } => {
            let branches: String = branches
                .iter()
                .map(|(when, then)| format!(" WHEN {} THEN {}", print(when), print(then)))
                .collect();
            let otherwise =
                otherwise.as_ref().map(|part| format!(" ELSE {}", print(part))).unwrap_or_default();
            format!("CASE{branches}{otherwise} END")
        }
        Node::Coalesce(parts) => format!("COALESCE({})", list(parts)),
        Node::Call(called, parts) => format!("{}({})", function::name_of(*called), list(parts)),
        Node::InList(inner, values) => {
            let values: Vec<String> =
                values.iter().map(|value| constant(value, &inner.data_type)).collect();
            format!("{} IN ({})", operand(inner), values.join(", "))
        }
        Node::Contains(inner, value) => {
            let item = match &inner.data_type {
                DataType::List { item, .. } => item,
                other => other,
            };
            format!("contains({}, {})", print(inner), constant(value, item))
        }
        Node::Cast(inner) => format!("CAST({} AS {})", print(inner), expr.data_type),
    }
}

fn list(parts: &[Expr]) -> String {
    parts.iter().map(print).collect::<Vec<_>>().join(", ")
}

fn field(path: &[String]) -> String {
    let first = path.first().is_some_and(|name| !is_plain_name(name));
    format!("{}{}", if first { "self." } else { "" }, path.join("."))
}

fn operand(expr: &Expr) -> String {
    match &expr.node {
        Node::Unary(..) | Node::Binary(..) | Node::InList(..) => format!("({})", print(expr)),
        _ => print(expr),
    }
}

/// A constant with its type, also where nothing beside it tells the type.
fn constant(value: &Value, data_type: &DataType) -> String {
    let cast = |text: String| format!("CAST({text} AS {data_type})");
    match (value, data_type) {
        (Value::Null, _) => cast("NULL".to_owned()),
        (Value::Boolean(value), _) => value.to_string(),
        (Value::Int(number), DataType::Long) if i32::try_from(*number).is_ok() => {
            cast(number.to_string())
        }
        (Value::Int(number), _) => number.to_string(),
        (Value::Float(number), _) => format!("{number:?}"),
        (Value::Decimal { unscaled, scale }, _) => {
            cast(format!("'{}'", convert::decimal_text(*unscaled, *scale)))
        }
        (Value::String(text) | Value::Json(text), _) => quoted(text),
        (Value::Date(days), _) => {
            format!("DATE {}", quoted(&convert::date_text(*days).unwrap_or_default()))
        }
        (Value::DateTime(micros), _) => {
            format!("TIMESTAMP {}", quoted(&convert::timestamp_text(*micros).unwrap_or_default()))
        }
        (Value::Uuid(id), _) => cast(quoted(&id.to_string())),
        // The language has no constants of these types, so no text reads as one.
        (Value::Bytes(_) | Value::Vector(_) | Value::List(_) | Value::Struct(_), _) => {
            cast("NULL".to_owned())
        }
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
