//! Binary forms of the database to values. In: the bytes of one column of an answer and the type that they
//! stand for. Out: a value, or in words which one our type does not hold. Not here: which statement gives
//! which form (`scan` casts what has no form of its own).

use base::{Error, Kind, Result};
use frame::{DataType, Field, Value};
use uuid::Uuid;

use crate::encode;
use crate::numeric;

/// The value in a column of an answer.
pub(crate) fn value(bytes: Option<&[u8]>, field: &Field) -> Result<Value> {
    let Some(bytes) = bytes else {
        if !field.nullable {
            let words = format!(
                "`{}` is null in the database, and the schema says it never is",
                field.name
            );
            return Err(Error::new(Kind::Corrupt, words).hint("take the `!` off the field"));
        }
        return Ok(Value::Null);
    };
    single(bytes, &field.data_type).ok_or_else(|| {
        Error::new(
            Kind::Unsupported,
            format!("the database has a value of `{}` that `{}` does not hold", field.name, field.data_type),
        )
        .hint("infinite times, numbers beyond the digits of the type and lists of lists have no form here")
    })
}

fn single(bytes: &[u8], data_type: &DataType) -> Option<Value> {
    Some(match data_type {
        DataType::Boolean => Value::Boolean(bytes.first()? != &0),
        DataType::Int | DataType::Long => Value::Int(whole(bytes)?),
        DataType::Float => Value::Float(match bytes.len() {
            4 => f32::from_be_bytes(bytes.try_into().ok()?).into(),
            _ => f64::from_be_bytes(bytes.try_into().ok()?),
        }),
        DataType::Decimal { precision, scale } => Value::Decimal {
            unscaled: numeric::from_bytes(bytes, *precision, *scale)?,
            scale: *scale,
        },
        DataType::String => Value::String(std::str::from_utf8(bytes).ok()?.into()),
        DataType::Json => {
            // `jsonb` begins with its version, which no text of JSON does.
            let text = bytes.strip_prefix(&[1]).unwrap_or(bytes);
            Value::Json(std::str::from_utf8(text).ok()?.into())
        }
        DataType::Bytes => Value::Bytes(bytes.into()),
        DataType::Date => Value::Date(encode::days(i32::from_be_bytes(bytes.try_into().ok()?))?),
        DataType::DateTime => {
            Value::DateTime(encode::micros(i64::from_be_bytes(bytes.try_into().ok()?))?)
        }
        DataType::Uuid => Value::Uuid(Uuid::from_slice(bytes).ok()?),
        DataType::List { item, nullable } => Value::List(items(bytes, item, *nullable)?),
        DataType::Vector { .. } | DataType::Struct(_) => return None,
    })
}

fn whole(bytes: &[u8]) -> Option<i64> {
    Some(match bytes.len() {
        2 => i16::from_be_bytes(bytes.try_into().ok()?).into(),
        4 => i32::from_be_bytes(bytes.try_into().ok()?).into(),
        _ => i64::from_be_bytes(bytes.try_into().ok()?),
    })
}

/// The items of a list: dimensions, a flag, the type, then of each dimension length and first place, then
/// of each item its length and its bytes.
fn items(bytes: &[u8], item: &DataType, nullable: bool) -> Option<Vec<Value>> {
    let number = |at: usize| Some(i32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    match number(0)? {
        0 => return Some(Vec::new()),
        1 => {}
        _ => return None,
    }
    let count = usize::try_from(number(12)?).ok()?;
    let mut at = 20;
    let mut values = Vec::with_capacity(count.min(bytes.len()));
    for _ in 0..count {
        let length = number(at)?;
        at += 4;
        let Ok(length) = usize::try_from(length) else {
            if !nullable {
                return None;
            }
            values.push(Value::Null);
            continue;
        };
        values.push(single(bytes.get(at..at + length)?, item)?);
        at += length;
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::oid;

    #[test]
    fn lists_are_the_same_after_both_ways() {
        let data_type = DataType::List { item: Box::new(DataType::String), nullable: true };
        for texts in [vec![], vec![Some("a")], vec![None, Some(""), Some("b, \"c\"")]] {
            let values: Vec<Value> =
                texts.iter().map(|text| text.map_or(Value::Null, Value::from)).collect();
            let sent = encode::list(&values, oid::TEXT, 1009).expect("a list");
            let field = Field::new("x", data_type.clone(), false);
            let read = value(sent.bytes.as_deref(), &field).expect("a list");
            assert_eq!(read, Value::List(values));
        }
    }

    #[test]
    fn what_our_types_do_not_hold_is_told() {
        let told = |bytes: &[u8], data_type: DataType| {
            value(Some(bytes), &Field::new("x", data_type, true)).expect_err("no value").to_string()
        };
        let infinite = told(&i32::MAX.to_be_bytes(), DataType::Date);
        assert_eq!(infinite, "the database has a value of `x` that `Date` does not hold");
        assert!(told(&i64::MIN.to_be_bytes(), DataType::DateTime).contains("does not hold"));
        let two_dimensions = [0, 0, 0, 2, 0, 0, 0, 0];
        let list = DataType::List { item: Box::new(DataType::Int), nullable: true };
        assert!(told(&two_dimensions, list).contains("does not hold"));
        let null = value(None, &Field::new("x", DataType::Int, false)).expect_err("no value");
        assert!(null.to_string().contains("`x` is null in the database"), "{null}");
    }
}
