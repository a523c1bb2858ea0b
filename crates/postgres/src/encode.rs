//! Values to the binary forms of the database. In: a value with its type, and the type of the column that
//! it is for. Out: an [`Argument`]. Not here: which comparison may use which form (`expr`).

use base::{Error, Result};
use frame::{DataType, Value};

use crate::catalog::{Form, oid};
use crate::numeric;
use crate::statement::Argument;

/// Days from 1970 to 2000, where the database begins to count.
const EPOCH_DAYS: i32 = 10_957;
/// Microseconds between them.
const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * 86_400_000_000;

/// The number of the type that values of ours have where no column says another.
pub(crate) fn natural(data_type: &DataType) -> Result<u32> {
    Ok(match data_type {
        DataType::Boolean => oid::BOOL,
        DataType::Int | DataType::Long => oid::INT8,
        DataType::Float => oid::FLOAT8,
        DataType::Decimal { .. } => oid::NUMERIC,
        DataType::String => oid::TEXT,
        DataType::Bytes => oid::BYTEA,
        DataType::Date => oid::DATE,
        DataType::DateTime => oid::TIMESTAMPTZ,
        DataType::Uuid => oid::UUID,
        DataType::Json => oid::JSONB,
        other => return Err(Error::invalid(format!("a database has no values of type `{other}`"))),
    })
}

/// A value in the form that type naturally has.
pub(crate) fn plain(value: &Value, data_type: &DataType) -> Result<Argument> {
    let oid = natural(data_type)?;
    Ok(Argument { oid, bytes: bytes(value, oid)? })
}

/// A value in the form of a column: what is written, and what is compared with it.
pub(crate) fn for_column(value: &Value, form: &Form) -> Result<Argument> {
    Ok(Argument { oid: form.oid, bytes: bytes(value, form.oid)? })
}

/// Values as one list; `list` is the number of the lists of that type.
pub(crate) fn list(values: &[Value], item: u32, list: u32) -> Result<Argument> {
    let mut out = Vec::new();
    let has_null = values.iter().any(Value::is_null);
    let dimensions = i32::from(!values.is_empty());
    out.extend(dimensions.to_be_bytes());
    out.extend(i32::from(has_null).to_be_bytes());
    out.extend(item.to_be_bytes());
    if !values.is_empty() {
        out.extend(length(values.len())?.to_be_bytes());
        out.extend(1_i32.to_be_bytes());
    }
    for value in values {
        match bytes(value, item)? {
            Some(bytes) => {
                out.extend(length(bytes.len())?.to_be_bytes());
                out.extend(bytes);
            }
            None => out.extend((-1_i32).to_be_bytes()),
        }
    }
    Ok(Argument { oid: list, bytes: Some(out) })
}

/// The number of the lists of a natural type.
pub(crate) fn natural_list(item: u32) -> u32 {
    match item {
        oid::BOOL => 1000,
        oid::BYTEA => 1001,
        oid::INT8 => 1016,
        oid::FLOAT8 => 1022,
        oid::NUMERIC => 1231,
        oid::DATE => 1182,
        oid::TIMESTAMPTZ => 1185,
        oid::UUID => 2951,
        oid::JSONB => 3807,
        _ => 1009,
    }
}

fn length(length: usize) -> Result<i32> {
    i32::try_from(length).map_err(|_| Error::invalid("a list is longer than a database takes"))
}

/// The binary form of a value as this type; `None` for null.
fn bytes(value: &Value, to: u32) -> Result<Option<Vec<u8>>> {
    Ok(Some(match value {
        Value::Null => return Ok(None),
        Value::Boolean(boolean) => vec![u8::from(*boolean)],
        Value::Int(number) => whole(*number, to)?,
        Value::Float(number) if to == oid::FLOAT4 => narrow(*number)?.to_be_bytes().to_vec(),
        Value::Float(number) => number.to_be_bytes().to_vec(),
        Value::Decimal { unscaled, scale } => numeric::to_bytes(*unscaled, *scale),
        Value::String(text) | Value::Json(text) => match to {
            oid::JSONB => [&[1], text.as_bytes()].concat(),
            oid::INT2 | oid::INT4 | oid::INT8 => {
                let number = text.parse().map_err(|_| unfit(value, "a whole number"))?;
                whole(number, to)?
            }
            oid::UUID => {
                let parsed = uuid::Uuid::parse_str(text).map_err(|_| unfit(value, "a UUID"))?;
                parsed.as_bytes().to_vec()
            }
            _ if text.contains('\0') => return Err(unfit(value, "text that a database holds")),
            _ => text.as_bytes().to_vec(),
        },
        Value::Bytes(bytes) => bytes.to_vec(),
        Value::Date(days) => {
            let days = days.checked_sub(EPOCH_DAYS).ok_or_else(|| unfit(value, "a day"))?;
            days.to_be_bytes().to_vec()
        }
        Value::DateTime(micros) => {
            let micros = micros.checked_sub(EPOCH_MICROS).ok_or_else(|| unfit(value, "a time"))?;
            micros.to_be_bytes().to_vec()
        }
        Value::Uuid(uuid) => uuid.as_bytes().to_vec(),
        other => return Err(unfit(other, "a value of a column")),
    }))
}

fn whole(number: i64, to: u32) -> Result<Vec<u8>> {
    let too_large = || unfit(&Value::Int(number), "a number that the column holds");
    Ok(match to {
        oid::INT2 => i16::try_from(number).map_err(|_| too_large())?.to_be_bytes().to_vec(),
        oid::INT4 => i32::try_from(number).map_err(|_| too_large())?.to_be_bytes().to_vec(),
        _ => number.to_be_bytes().to_vec(),
    })
}

fn narrow(number: f64) -> Result<f32> {
    let narrow = number as f32;
    if f64::from(narrow) == number || number.is_nan() {
        return Ok(narrow);
    }
    Err(unfit(&Value::Float(number), "a number that the column holds").hint("the column is `real`"))
}

fn unfit(value: &Value, wanted: &str) -> Error {
    Error::invalid(format!("`{value}` is not {wanted}"))
}

/// Days and microseconds since 1970 of what the database counts from 2000; `None` for its infinities and
/// for what lies beyond.
pub(crate) fn days(own: i32) -> Option<i32> {
    let infinite = own == i32::MAX || own == i32::MIN;
    own.checked_add(EPOCH_DAYS).filter(|_| !infinite)
}

/// Likewise, of moments.
pub(crate) fn micros(own: i64) -> Option<i64> {
    let infinite = own == i64::MAX || own == i64::MIN;
    own.checked_add(EPOCH_MICROS).filter(|_| !infinite)
}
