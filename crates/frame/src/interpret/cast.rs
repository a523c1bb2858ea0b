//! `CAST`: one value as another type, or an error that names both.
//!
//! Widenings are computed here; everything else goes through Arrow's own cast of one element, so that
//! the text of a float or a date is the same as in every other evaluator.

use std::str::FromStr;

use arrow::compute::{CastOptions, cast_with_options};
use base::{Error, Result};

use super::arithmetic::{fit_decimal, rescale};
use crate::convert::{array_of, value_at};
use crate::{DataType, Value};

/// `CAST(value AS to)`; null stays null.
pub(super) fn cast(value: &Value, from: &DataType, to: &DataType) -> Result<Value> {
    if value.is_null() || from == to {
        return Ok(value.clone());
    }
    let converted = match (value, to) {
        (Value::Int(number), DataType::Long) => Some(Value::Int(*number)),
        (Value::Int(number), DataType::Int) => {
            i32::try_from(*number).ok().map(|number| Value::Int(number.into()))
        }
        (Value::Int(number), DataType::Float) => Some(Value::Float(*number as f64)),
        (Value::Int(number), DataType::Decimal { precision, scale }) => {
            decimal((*number).into(), 0, *precision, *scale)
        }
        (Value::Decimal { unscaled, scale }, DataType::Decimal { precision, scale: to }) => {
            decimal(*unscaled, *scale, *precision, *to)
        }
        (Value::Uuid(uuid), DataType::String) => Some(Value::String(uuid.to_string().into())),
        (Value::String(text), DataType::Uuid) => {
            uuid::Uuid::from_str(text.trim()).ok().map(Value::Uuid)
        }
        (Value::Json(text), DataType::String) => Some(Value::String(text.clone())),
        (Value::String(text), DataType::Json) => {
            serde_json::from_str::<serde_json::Value>(text).ok().map(|_| Value::Json(text.clone()))
        }
        _ => through_arrow(value, from, to),
    };
    converted
        .ok_or_else(|| Error::invalid(format!("failed to cast `{value}` from `{from}` to `{to}`")))
}

fn decimal(unscaled: i128, from: u8, precision: u8, to: u8) -> Option<Value> {
    fit_decimal(rescale(unscaled, from, to)?, precision, to)
}

fn through_arrow(value: &Value, from: &DataType, to: &DataType) -> Option<Value> {
    let array = array_of([value], from).ok()?;
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let cast = cast_with_options(&array, &to.to_arrow(), &options).ok()?;
    value_at(&cast, 0, to).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: Value, from: DataType, to: DataType, expected: Result<Value, &str>) {
        let cast = cast(&value, &from, &to).map_err(|error| error.to_string());
        assert_eq!(cast, expected.map_err(str::to_owned));
    }

    #[test]
    fn widening_keeps_the_number() {
        check(Value::Int(7), DataType::Int, DataType::Float, Ok(Value::Float(7.0)));
        check(
            Value::Int(7),
            DataType::Int,
            DataType::Decimal { precision: 4, scale: 1 },
            Ok(Value::Decimal { unscaled: 70, scale: 1 }),
        );
    }

    #[test]
    fn text_is_read_and_written_as_arrow_does() {
        check(Value::from("12"), DataType::String, DataType::Int, Ok(Value::Int(12)));
        check(Value::Float(1.0), DataType::Float, DataType::String, Ok(Value::from("1.0")));
        check(
            Value::Date(1),
            DataType::Date,
            DataType::DateTime,
            Ok(Value::DateTime(86_400_000_000)),
        );
        check(Value::from("1970-01-02"), DataType::String, DataType::Date, Ok(Value::Date(1)));
    }

    #[test]
    fn what_cannot_be_cast_says_so() {
        check(
            Value::from("twelve"),
            DataType::String,
            DataType::Int,
            Err("failed to cast `twelve` from `String` to `Int`"),
        );
        check(
            Value::Int(1 << 40),
            DataType::Long,
            DataType::Int,
            Err("failed to cast `1099511627776` from `Long` to `Int`"),
        );
    }
}
