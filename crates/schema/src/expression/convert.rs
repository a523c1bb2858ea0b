//! Conversions between types: which happen by themselves, which `CAST` may do, and what becomes of
//! a constant that is converted. In: types and constants; out: types and constants.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use frame::{DataType, Span, Value};

use super::{ExpressionError, Fault};
use crate::diagnostic::suggest;

/// The types that `CAST` may name.
const TYPES: [(&str, DataType); 9] = [
    ("Boolean", DataType::Boolean),
    ("Int", DataType::Int),
    ("Long", DataType::Long),
    ("Float", DataType::Float),
    ("String", DataType::String),
    ("Date", DataType::Date),
    ("DateTime", DataType::DateTime),
    ("UUID", DataType::Uuid),
    ("Decimal", DataType::Decimal { precision: 0, scale: 0 }),
];

/// SQL's own names, for hints.
const SQL_NAMES: [(&str, &str); 12] = [
    ("varchar", "String"),
    ("text", "String"),
    ("char", "String"),
    ("integer", "Int"),
    ("bigint", "Long"),
    ("double", "Float"),
    ("real", "Float"),
    ("numeric", "Decimal"),
    ("bool", "Boolean"),
    ("timestamp", "DateTime"),
    ("id", "String"),
    ("smallint", "Int"),
];

/// The type that a `CAST` names.
pub(super) fn type_named(
    name: &str,
    numbers: &[String],
    span: Span,
) -> Result<DataType, ExpressionError> {
    let fault = |words: String| ExpressionError::new(Fault::Type, span, words);
    let found = TYPES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    let Some((name, data_type)) = found else {
        let sql = SQL_NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        let near =
            suggest::closest(name, TYPES.iter().map(|(known, _)| *known)).or(sql.map(|s| s.1));
        let error = fault(format!("unknown type `{name}`"));
        return Err(match near {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint(
                "the types are Boolean, Int, Long, Float, Decimal(p, s), String, Date, DateTime and UUID",
            ),
        });
    };
    if !matches!(data_type, DataType::Decimal { .. }) {
        return match numbers {
            [] => Ok(data_type.clone()),
            _ => Err(fault(format!("`{name}` takes no numbers"))),
        };
    }
    let digits: Vec<u8> = numbers.iter().filter_map(|number| number.parse().ok()).collect();
    match digits.as_slice() {
        [precision @ 1..=38, scale] if scale <= precision => {
            Ok(DataType::Decimal { precision: *precision, scale: *scale })
        }
        _ => Err(fault("`Decimal` needs its digits in all and after the point".to_owned())
            .hint("write `Decimal(18, 2)`; at most 38 digits in all")),
    }
}

/// The type to which both operands convert by themselves.
pub(super) fn common(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType as T;
    if a == b {
        return Some(a.clone());
    }
    match (a, b) {
        (T::Int, T::Long) | (T::Long, T::Int) => Some(T::Long),
        (T::Float, T::Int | T::Long) | (T::Int | T::Long, T::Float) => Some(T::Float),
        _ => {
            let ((p, s), (q, t)) = (digits(a)?, digits(b)?);
            let scale = s.max(t);
            let precision = (p - s).max(q - t) + scale;
            (precision <= 38).then_some(T::Decimal { precision, scale })
        }
    }
}

/// Precision and scale of an exact number.
fn digits(data_type: &DataType) -> Option<(u8, u8)> {
    match data_type {
        DataType::Int => Some((10, 0)),
        DataType::Long => Some((19, 0)),
        DataType::Decimal { precision, scale } => Some((*precision, *scale)),
        _ => None,
    }
}

/// Whether every value of `from` converts to `to` by itself.
pub(super) fn widens(from: &DataType, to: &DataType) -> bool {
    common(from, to).as_ref() == Some(to)
}

/// Whether `CAST` may try.
pub(super) fn may_cast(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    let simple = |t: &T| {
        t.is_numeric() || matches!(t, T::Boolean | T::String | T::Date | T::DateTime | T::Uuid)
    };
    match (from, to) {
        (a, b) if a == b => true,
        (T::String, b) => simple(b),
        (a, T::String) => simple(a),
        (a, b) if a.is_numeric() && b.is_numeric() => true,
        (T::Date, T::DateTime) | (T::DateTime, T::Date) => true,
        _ => false,
    }
}

/// A constant as another type; `None` when it is no value of that type.
pub(super) fn constant(value: &Value, to: &DataType) -> Option<Value> {
    use DataType as T;
    match (value, to) {
        (Value::Null, _) => Some(Value::Null),
        (Value::Int(number), T::Int) => i32::try_from(*number).ok().map(|_| value.clone()),
        (Value::Int(_), T::Long)
        | (Value::Float(_), T::Float)
        | (Value::String(_), T::String)
        | (Value::Boolean(_), T::Boolean) => Some(value.clone()),
        // Every integer of up to 53 bits is a float; a larger one would silently change.
        (Value::Int(number), T::Float) if number.unsigned_abs() <= 1 << 53 => {
            Some(Value::Float(*number as f64))
        }
        (Value::Int(number), T::Decimal { precision, scale }) => {
            decimal(&number.to_string(), *precision, *scale)
        }
        (Value::Float(number), T::Decimal { precision, scale }) => {
            decimal(&format!("{number}"), *precision, *scale)
        }
        (Value::String(text), _) => from_text(text, to),
        (Value::Decimal { scale, .. }, T::Decimal { scale: wanted, .. }) if scale == wanted => {
            Some(value.clone())
        }
        _ => None,
    }
}

/// A number with the other sign; `None` when the type has no such number.
pub(super) fn negated(value: &Value, data_type: &DataType) -> Option<Value> {
    match value {
        Value::Int(number) => constant(&Value::Int(number.checked_neg()?), data_type),
        Value::Float(number) => Some(Value::Float(-number)),
        Value::Decimal { unscaled, scale } => {
            Some(Value::Decimal { unscaled: -unscaled, scale: *scale })
        }
        _ => None,
    }
}

fn from_text(text: &Arc<str>, to: &DataType) -> Option<Value> {
    let text = text.trim();
    match to {
        DataType::Int => text.parse::<i32>().ok().map(|number| Value::Int(i64::from(number))),
        DataType::Long => text.parse().ok().map(Value::Int),
        DataType::Float => {
            let number: f64 = text.parse().ok()?;
            number.is_finite().then_some(Value::Float(number))
        }
        DataType::Decimal { precision, scale } => decimal(text, *precision, *scale),
        DataType::Boolean => text.to_ascii_lowercase().parse().ok().map(Value::Boolean),
        DataType::Date => date(text).map(Value::Date),
        DataType::DateTime => timestamp(text).map(Value::DateTime),
        DataType::Uuid => text.parse().ok().map(Value::Uuid),
        _ => None,
    }
}

/// A decimal from its digits; `None` when it has more of them than the type.
fn decimal(text: &str, precision: u8, scale: u8) -> Option<Value> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = fraction.trim_end_matches('0');
    let numeric = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !numeric(whole) || !numeric(fraction) {
        return None;
    }
    let fill = usize::from(scale).checked_sub(fraction.len())?;
    let all = format!("{whole}{fraction}{}", "0".repeat(fill));
    let unscaled: i128 = all.parse().ok()?;
    if unscaled >= 10_i128.checked_pow(u32::from(precision))? {
        return None;
    }
    Some(Value::Decimal { unscaled: if negative { -unscaled } else { unscaled }, scale })
}

/// Days since the epoch of `YYYY-MM-DD`.
pub(super) fn date(text: &str) -> Option<i32> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    i32::try_from((day - NaiveDate::default()).num_days()).ok()
}

/// Microseconds since the epoch of an RFC 3339 time; without an offset it is UTC, without a time
/// it is midnight.
pub(super) fn timestamp(text: &str) -> Option<i64> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_micros());
    }
    let local = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let time =
        local.or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))?;
    Some(time.and_utc().timestamp_micros())
}

/// `YYYY-MM-DD`.
pub(super) fn date_text(days: i32) -> Option<String> {
    let day =
        NaiveDate::default().checked_add_signed(chrono::TimeDelta::try_days(i64::from(days))?)?;
    Some(day.format("%Y-%m-%d").to_string())
}

/// RFC 3339 in UTC with microseconds.
pub(super) fn timestamp_text(micros: i64) -> Option<String> {
    let time = DateTime::from_timestamp_micros(micros)?;
    Some(time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string())
}

/// The digits of a decimal with its point.
pub(super) fn decimal_text(unscaled: i128, scale: u8) -> String {
    let sign = if unscaled < 0 { "-" } else { "" };
    let scale = usize::from(scale);
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_keep_every_digit_or_are_refused() {
        let read = |text: &str| {
            constant(&Value::from(text), &DataType::Decimal { precision: 5, scale: 2 })
        };
        assert_eq!(read("1.5"), Some(Value::Decimal { unscaled: 150, scale: 2 }));
        assert_eq!(read("-0.05"), Some(Value::Decimal { unscaled: -5, scale: 2 }));
        assert_eq!(read("999.990"), Some(Value::Decimal { unscaled: 99_999, scale: 2 }));
        assert_eq!(
            [read("1000"), read("0.001"), read("x"), read("."), read("1e2")],
            [const { None }; 5]
        );
        assert_eq!(decimal_text(-5, 2), "-0.05");
        assert_eq!(decimal_text(99_999, 0), "99999");
    }

    #[test]
    fn times_read_with_and_without_an_offset_and_print_in_utc() {
        assert_eq!(date("1970-01-02"), Some(1));
        assert_eq!(date("2023-02-29"), None);
        assert_eq!(timestamp("1970-01-01T01:00:00+01:00"), Some(0));
        assert_eq!(timestamp("1970-01-01 00:00:01"), Some(1_000_000));
        assert_eq!(timestamp_text(1).as_deref(), Some("1970-01-01T00:00:00.000001Z"));
        assert_eq!(timestamp("yesterday"), None);
    }
}
