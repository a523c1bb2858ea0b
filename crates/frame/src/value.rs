//! One value, outside a batch: a key, a literal, a result of the row interpreter.

use std::sync::Arc;

/// A value of any [`crate::DataType`]. Numbers keep the width of their type only in batches: here
/// `Int` and `Long` are both `Int`.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// `Boolean`.
    Boolean(bool),
    /// `Int` and `Long`.
    Int(i64),
    /// `Float`.
    Float(f64),
    /// `Decimal`: `unscaled / 10^scale`.
    Decimal {
        /// The digits.
        unscaled: i128,
        /// How many of them stand after the point.
        scale: u8,
    },
    /// `String`, `ID`, an enum's name.
    String(Arc<str>),
    /// `Bytes`.
    Bytes(Arc<[u8]>),
    /// `Date`: days since the epoch.
    Date(i32),
    /// `DateTime`: microseconds since the epoch.
    DateTime(i64),
    /// `UUID`.
    Uuid(uuid::Uuid),
    /// `JSON`: its text.
    Json(Arc<str>),
    /// `Vector`.
    Vector(Arc<[f32]>),
    /// A list.
    List(Vec<Value>),
    /// An embedded object: values in the order of its fields.
    Struct(Vec<Value>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::String(text.into())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Int(number)
    }
}

impl From<bool> for Value {
    fn from(boolean: bool) -> Self {
        Value::Boolean(boolean)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Value::Float(number)
    }
}
