//! One value, outside a batch: a key, a literal, a result of the row interpreter.
//!
//! In: values made by code or read from Arrow by [`crate::convert`]. Out: one total order over them,
//! with the equality and the hash that agree with it, so that values can be keys of maps and sorts.
//! Not here: conversion to and from Arrow arrays and JSON.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A value of any [`crate::DataType`]. Numbers keep the width of their type only in batches: here
/// `Int` and `Long` are both `Int`.
///
/// Values of one type have a total order, null last; floats follow IEEE 754 `totalOrder`, as Arrow's
/// comparisons do (NaN equals itself and is the largest, `-0.0` comes before `0.0`); decimals compare
/// by their number, whatever their scales. Values of different types are never equal.
#[derive(Clone, Debug)]
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

impl Value {
    /// Whether there is no value.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The text of a `String` or `Json`.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) | Value::Json(text) => Some(text),
            _ => None,
        }
    }

    /// Position of the variant, for an order between types.
    fn rank(&self) -> u8 {
        match self {
            Value::Boolean(_) => 0,
            Value::Int(_) => 1,
            Value::Float(_) => 2,
            Value::Decimal { .. } => 3,
            Value::String(_) => 4,
            Value::Bytes(_) => 5,
            Value::Date(_) => 6,
            Value::DateTime(_) => 7,
            Value::Uuid(_) => 8,
            Value::Json(_) => 9,
            Value::Vector(_) => 10,
            Value::List(_) => 11,
            Value::Struct(_) => 12,
            Value::Null => 13,
        }
    }
}

/// A decimal without zeros at its end, so that equal numbers look equal.
fn trimmed(mut unscaled: i128, mut scale: u8) -> (i128, u8) {
    while scale > 0 && unscaled % 10 == 0 {
        unscaled /= 10;
        scale -= 1;
    }
    (unscaled, scale)
}

/// Compares two decimals by their number.
fn compare_decimals(left: (i128, u8), right: (i128, u8)) -> Ordering {
    let scale = left.1.max(right.1);
    let raise = |(unscaled, from): (i128, u8)| {
        10_i128.checked_pow(u32::from(scale - from)).and_then(|factor| unscaled.checked_mul(factor))
    };
    match (raise(left), raise(right)) {
        (Some(left), Some(right)) => left.cmp(&right),
        // Only the number with fewer digits after the point can overflow, and then it is the one
        // farther from zero.
        (None, _) => left.0.cmp(&0),
        (_, None) => 0.cmp(&right.0),
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Value::Null, Value::Null) => Ordering::Equal,
            (Value::Boolean(left), Value::Boolean(right)) => left.cmp(right),
            (Value::Int(left), Value::Int(right)) => left.cmp(right),
            (Value::Float(left), Value::Float(right)) => left.total_cmp(right),
            (
                Value::Decimal { unscaled: left, scale: left_scale },
                Value::Decimal { unscaled: right, scale: right_scale },
            ) => compare_decimals((*left, *left_scale), (*right, *right_scale)),
            (Value::String(left), Value::String(right)) => left.cmp(right),
            (Value::Bytes(left), Value::Bytes(right)) => left.cmp(right),
            (Value::Date(left), Value::Date(right)) => left.cmp(right),
            (Value::DateTime(left), Value::DateTime(right)) => left.cmp(right),
            (Value::Uuid(left), Value::Uuid(right)) => left.cmp(right),
            (Value::Json(left), Value::Json(right)) => left.cmp(right),
            (Value::Vector(left), Value::Vector(right)) => {
                let mut pairs = left.iter().zip(right.iter()).map(|(l, r)| l.total_cmp(r));
                pairs.find(|order| order.is_ne()).unwrap_or(left.len().cmp(&right.len()))
            }
            (Value::List(left), Value::List(right))
            | (Value::Struct(left), Value::Struct(right)) => left.cmp(right),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u8(self.rank());
        match self {
            Value::Null => {}
            Value::Boolean(boolean) => boolean.hash(state),
            Value::Int(number) => number.hash(state),
            Value::Float(number) => number.to_bits().hash(state),
            Value::Decimal { unscaled, scale } => trimmed(*unscaled, *scale).hash(state),
            Value::String(text) | Value::Json(text) => text.hash(state),
            Value::Bytes(bytes) => bytes.hash(state),
            Value::Date(days) => days.hash(state),
            Value::DateTime(micros) => micros.hash(state),
            Value::Uuid(uuid) => uuid.hash(state),
            Value::Vector(numbers) => {
                numbers.iter().for_each(|number| number.to_bits().hash(state));
            }
            Value::List(items) | Value::Struct(items) => items.hash(state),
        }
    }
}

/// Writes a decimal with all digits of its scale.
fn write_decimal(f: &mut fmt::Formatter<'_>, unscaled: i128, scale: u8) -> fmt::Result {
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = unscaled.unsigned_abs().to_string();
    let scale = usize::from(scale);
    if scale == 0 {
        return write!(f, "{sign}{digits}");
    }
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    write!(f, "{sign}{whole}.{fraction}")
}

/// Writes days since the epoch as `YYYY-MM-DD`.
fn write_date(f: &mut fmt::Formatter<'_>, days: i32) -> fmt::Result {
    match chrono::NaiveDate::from_epoch_days(days) {
        Some(date) => write!(f, "{date}"),
        None => write!(f, "{days} days"),
    }
}

impl fmt::Display for Value {
    /// As people and messages read it: text without quotes, dates in ISO form, lists in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Boolean(boolean) => write!(f, "{boolean}"),
            Value::Int(number) => write!(f, "{number}"),
            Value::Float(number) => write!(f, "{number}"),
            Value::Decimal { unscaled, scale } => write_decimal(f, *unscaled, *scale),
            Value::String(text) | Value::Json(text) => f.write_str(text),
            Value::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Value::Date(days) => write_date(f, *days),
            Value::DateTime(micros) => write!(f, "{}", base::Timestamp::from_micros(*micros)),
            Value::Uuid(uuid) => write!(f, "{uuid}"),
            Value::Vector(numbers) => write!(f, "vector of {}", numbers.len()),
            Value::List(items) | Value::Struct(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    write!(f, "{comma}{item}")?;
                }
                f.write_str("]")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::DefaultHasher;

    fn decimal(unscaled: i128, scale: u8) -> Value {
        Value::Decimal { unscaled, scale }
    }

    fn hash(value: &Value) -> u64 {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        hasher.finish()
    }

    #[test]
    fn decimals_are_equal_by_number_and_hash_alike() {
        assert_eq!(decimal(150, 2), decimal(15, 1));
        assert_eq!(hash(&decimal(150, 2)), hash(&decimal(15, 1)));
        assert!(decimal(i128::MAX, 0) > decimal(1, 38));
        assert!(decimal(i128::MIN, 0) < decimal(-1, 38));
        assert!(decimal(1, 38) < decimal(i128::MAX, 0));
    }

    #[test]
    fn nulls_sort_last_both_ways_unless_the_order_is_reversed() {
        for descending in [false, true] {
            let order = crate::Order::by("x", descending);
            assert_eq!(order.compare(&Value::Null, &Value::Int(1)), Ordering::Greater);
            assert_eq!(order.reversed().compare(&Value::Null, &Value::Int(1)), Ordering::Less);
        }
        let order = crate::Order::by("x", true);
        assert_eq!(order.compare(&Value::Int(2), &Value::Int(1)), Ordering::Less);
    }

    #[test]
    fn values_print_as_people_read_them() {
        let text = |value: Value| value.to_string();
        assert_eq!(text(decimal(-5, 2)), "-0.05");
        assert_eq!(text(decimal(12345, 2)), "123.45");
        assert_eq!(text(Value::Date(0)), "1970-01-01");
        assert_eq!(text(Value::DateTime(1)), "1970-01-01T00:00:00.000001Z");
    }
}
