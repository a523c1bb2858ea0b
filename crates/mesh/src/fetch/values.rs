//! JSON of a request as a value of a column.

use std::str::FromStr;

use base::Timestamp;
use base64::Engine as _;
use frame::{DataType, Field, Value};
use serde_json::Value as Json;

/// The value, or what is wrong with it.
pub(crate) fn value(data_type: &DataType, json: &Json) -> Result<Value, String> {
    if json.is_null() {
        return Ok(Value::Null);
    }
    let found = match data_type {
        DataType::Boolean => json.as_bool().map(Value::Boolean),
        DataType::Int => {
            json.as_i64().filter(|number| i32::try_from(*number).is_ok()).map(Value::Int)
        }
        DataType::Long => match json {
            Json::String(digits) => digits.parse().ok().map(Value::Int),
            other => other.as_i64().map(Value::Int),
        },
        DataType::Float => json.as_f64().map(Value::Float),
        DataType::Decimal { precision, scale } => return decimal(json, *precision, *scale),
        DataType::String => json.as_str().map(Value::from),
        DataType::Bytes => json.as_str().and_then(|text| {
            base64::prelude::BASE64_STANDARD
                .decode(text)
                .ok()
                .map(|bytes| Value::Bytes(bytes.into()))
        }),
        DataType::Date => json
            .as_str()
            .and_then(|text| chrono::NaiveDate::from_str(text).ok())
            .map(|date| Value::Date(date.to_epoch_days())),
        DataType::DateTime => {
            json.as_str().and_then(Timestamp::parse).map(|time| Value::DateTime(time.as_micros()))
        }
        DataType::Uuid => {
            json.as_str().and_then(|text| uuid::Uuid::from_str(text).ok()).map(Value::Uuid)
        }
        DataType::Json => Some(Value::Json(json.to_string().into())),
        DataType::Vector { dimension } => return vector(json, *dimension),
        DataType::List { item, nullable } => return list(json, item, *nullable),
        DataType::Struct(fields) => return object(json, fields),
    };
    found.ok_or_else(|| format!("{json} is not {}", expected(data_type)))
}

/// The type with an example, for people.
fn expected(data_type: &DataType) -> String {
    match data_type {
        DataType::Long => "a `Long`: digits in a string, or an integer".to_owned(),
        DataType::Date => "a `Date`, as in \"2026-11-23\"".to_owned(),
        DataType::DateTime => "a `DateTime`, as in \"2026-11-23T08:00:00Z\"".to_owned(),
        DataType::Bytes => "`Bytes` in base64".to_owned(),
        DataType::Uuid => "a `UUID`".to_owned(),
        other => format!("a `{other}`"),
    }
}

/// Reads digits with at most `scale` of them after the point.
fn decimal(json: &Json, precision: u8, scale: u8) -> Result<Value, String> {
    let text = match json {
        Json::String(text) => text.clone(),
        Json::Number(number) => number.to_string(),
        other => return Err(format!("{other} is not a `Decimal`: digits in a string")),
    };
    let wrong = || format!("\"{text}\" is not a `Decimal({precision}, {scale})`");
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(&text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = fraction.trim_end_matches('0');
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return Err(wrong());
    }
    if fraction.len() > usize::from(scale) {
        return Err(wrong());
    }
    let padded = format!("{whole}{fraction:0<width$}", width = usize::from(scale));
    let unscaled: i128 = padded.parse().map_err(|_| wrong())?;
    if 10_i128.checked_pow(precision.into()).is_some_and(|bound| unscaled >= bound) {
        return Err(wrong());
    }
    Ok(Value::Decimal { unscaled: if negative { -unscaled } else { unscaled }, scale })
}

fn vector(json: &Json, dimension: u32) -> Result<Value, String> {
    let numbers = json.as_array().map(|items| {
        items
            .iter()
            .map(|item| item.as_f64().map(|number| number as f32))
            .collect::<Option<Vec<_>>>()
    });
    match numbers.flatten() {
        Some(numbers) if numbers.len() == dimension as usize => Ok(Value::Vector(numbers.into())),
        Some(numbers) => Err(format!("{} numbers are not a `Vector({dimension})`", numbers.len())),
        None => Err(format!("{json} is not a list of {dimension} numbers")),
    }
}

fn list(json: &Json, item: &DataType, nullable: bool) -> Result<Value, String> {
    let items = json.as_array().ok_or_else(|| format!("{json} is not a list"))?;
    let items = items.iter().enumerate().map(|(index, json)| match value(item, json) {
        Ok(Value::Null) if !nullable => Err(format!("[{index}]: null is not allowed")),
        Ok(value) => Ok(value),
        Err(error) => Err(format!("[{index}]: {error}")),
    });
    Ok(Value::List(items.collect::<Result<_, _>>()?))
}

fn object(json: &Json, fields: &[Field]) -> Result<Value, String> {
    let given = json.as_object().ok_or_else(|| format!("{json} is not an object"))?;
    let parts = fields.iter().map(|field| {
        let part = given.get(field.name.as_ref()).unwrap_or(&Json::Null);
        match value(&field.data_type, part) {
            Ok(Value::Null) if !field.nullable => Err(format!("`{}` is required", field.name)),
            Ok(value) => Ok(value),
            Err(error) => Err(format!("`{}`: {error}", field.name)),
        }
    });
    Ok(Value::Struct(parts.collect::<Result<_, _>>()?))
}

/// The key of a row, as a scan's nearest search spells it.
pub(crate) fn key_value(mut key: Vec<Value>) -> Value {
    if key.len() == 1 { key.remove(0) } else { Value::Struct(key) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn check(data_type: DataType, json: Json, expected: Result<Value, &str>) {
        assert_eq!(value(&data_type, &json), expected.map_err(str::to_owned));
    }

    const PRICE: DataType = DataType::Decimal { precision: 5, scale: 2 };

    #[test]
    fn exact_numbers_stay_exact() {
        check(PRICE, json!("12.50"), Ok(Value::Decimal { unscaled: 1250, scale: 2 }));
        check(PRICE, json!(-0.1), Ok(Value::Decimal { unscaled: -10, scale: 2 }));
        check(PRICE, json!("1.005"), Err("\"1.005\" is not a `Decimal(5, 2)`"));
        check(PRICE, json!("1000"), Err("\"1000\" is not a `Decimal(5, 2)`"));
        check(DataType::Long, json!("9007199254740993"), Ok(Value::Int(9_007_199_254_740_993)));
    }

    #[test]
    fn a_wrong_value_says_what_was_expected() {
        check(DataType::Date, json!("soon"), Err("\"soon\" is not a `Date`, as in \"2026-11-23\""));
        let dates = DataType::List { item: Box::new(DataType::Boolean), nullable: false };
        check(dates, json!([true, null]), Err("[1]: null is not allowed"));
        check(
            DataType::Vector { dimension: 2 },
            json!([1]),
            Err("1 numbers are not a `Vector(2)`"),
        );
    }

    /// A type and JSON of it as the API writes it.
    fn wire_values() -> impl Strategy<Value = (DataType, Json)> {
        let vector = DataType::Vector { dimension: 3 };
        let price = DataType::Decimal { precision: 38, scale: 3 };
        let moment = -30_000_000_000_000_000_i64..30_000_000_000_000_000;
        prop_oneof![
            any::<bool>().prop_map(|b| (DataType::Boolean, json!(b))),
            any::<i32>().prop_map(|n| (DataType::Int, json!(n))),
            any::<i64>().prop_map(|n| (DataType::Long, json!(n.to_string()))),
            prop::num::f64::NORMAL.prop_map(|n| (DataType::Float, json!(n))),
            ("-?[1-9][0-9]{0,34}\\.[0-9]{3}").prop_map(move |n| (price.clone(), json!(n))),
            ".*".prop_map(|text| (DataType::String, json!(text))),
            prop::collection::vec(any::<u8>(), 0..9).prop_map(|bytes| {
                (DataType::Bytes, json!(base64::prelude::BASE64_STANDARD.encode(bytes)))
            }),
            (-700_000_i32..2_900_000)
                .prop_map(|days| { (DataType::Date, json!(Value::Date(days).to_string())) }),
            moment.prop_map(|micros| {
                (DataType::DateTime, json!(Timestamp::from_micros(micros).to_string()))
            }),
            any::<u128>().prop_map(|n| (
                DataType::Uuid,
                json!(uuid::Uuid::from_u128(n).hyphenated().to_string())
            )),
            prop::collection::vec(prop::num::f32::NORMAL, 3)
                .prop_map(move |numbers| (vector.clone(), json!(numbers))),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back((data_type, json) in wire_values()) {
            let value = value(&data_type, &json).map_err(TestCaseError::fail)?;
            let array = frame::convert::array_of([&value], &data_type).expect("of the type");
            let mut out = Vec::new();
            prop_assert!(crate::respond::scalar::scalar(&mut out, &array, 0, &data_type));
            let read: Json = serde_json::from_slice(&out).expect("JSON");
            let narrow = |json: &Json| {
                json.as_array().map(|items| {
                    items.iter().filter_map(Json::as_f64).map(|n| n as f32).collect::<Vec<_>>()
                })
            };
            match data_type {
                // Reading a float as JSON may miss its last bit, so its digits are compared.
                DataType::Float => prop_assert_eq!(String::from_utf8_lossy(&out), json.to_string()),
                // A number of 32 bits has a shorter spelling than the same number in 64.
                DataType::Vector { .. } => prop_assert_eq!(narrow(&read), narrow(&json)),
                _ => prop_assert_eq!(read, json),
            }
        }
    }
}
