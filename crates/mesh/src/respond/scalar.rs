//! Scalars as JSON text, straight from Arrow arrays.

use std::io::Write as _;

use arrow::array::{
    Array, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, FixedSizeListArray,
    Float32Array, Float64Array, Int32Array, Int64Array, LargeBinaryArray, StringArray,
    TimestampMicrosecondArray,
};
use base64::Engine as _;
use frame::{DataType, Value};

/// Appends a JSON string.
pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut start = 0;
    for (index, byte) in bytes.iter().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..=0x1f => "",
            _ => continue,
        };
        out.extend_from_slice(&bytes[start..index]);
        start = index + 1;
        if escape.is_empty() {
            out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
        } else {
            out.extend_from_slice(escape.as_bytes());
        }
    }
    out.extend_from_slice(&bytes[start..]);
    out.push(b'"');
}

/// Appends a float; `false` when JSON has no spelling for it.
pub(crate) fn float(out: &mut Vec<u8>, number: f64) -> bool {
    // Appending to a vector cannot fail.
    number.is_finite() && serde_json::to_writer(out, &number).is_ok()
}

/// Appends what prints as one word, in quotes.
fn quoted(out: &mut Vec<u8>, value: impl std::fmt::Display) -> bool {
    write!(out, "\"{value}\"").is_ok()
}

/// Appends the value of one row that is not null and is neither a list nor an object; `false` when
/// the array has another form or JSON has no spelling for the value.
pub(crate) fn scalar(
    out: &mut Vec<u8>,
    array: &dyn Array,
    row: usize,
    data_type: &DataType,
) -> bool {
    written(out, array, row, data_type).unwrap_or(false)
}

/// Whether a value is no float, or one that JSON can say; vectors have many.
pub(crate) fn is_finite(array: &dyn Array, row: usize, data_type: &DataType) -> bool {
    let finite = match data_type {
        DataType::Float => {
            let numbers = array.as_any().downcast_ref::<Float64Array>();
            numbers.map(|numbers| numbers.value(row).is_finite())
        }
        DataType::Vector { .. } => {
            let items = array.as_any().downcast_ref::<FixedSizeListArray>();
            let items = items.map(|items| items.value(row));
            let numbers = items.as_ref().and_then(|it| it.as_any().downcast_ref::<Float32Array>());
            numbers.map(|numbers| numbers.values().iter().all(|number| number.is_finite()))
        }
        _ => None,
    };
    finite.unwrap_or(true)
}

fn written(out: &mut Vec<u8>, array: &dyn Array, row: usize, data_type: &DataType) -> Option<bool> {
    let any = array.as_any();
    Some(match data_type {
        DataType::Boolean => {
            write!(out, "{}", any.downcast_ref::<BooleanArray>()?.value(row)).is_ok()
        }
        DataType::Int => write!(out, "{}", any.downcast_ref::<Int32Array>()?.value(row)).is_ok(),
        DataType::Long => quoted(out, any.downcast_ref::<Int64Array>()?.value(row)),
        DataType::Float => float(out, any.downcast_ref::<Float64Array>()?.value(row)),
        DataType::Decimal { scale, .. } => {
            let unscaled = any.downcast_ref::<Decimal128Array>()?.value(row);
            quoted(out, Value::Decimal { unscaled, scale: *scale })
        }
        DataType::String => {
            string(out, any.downcast_ref::<StringArray>()?.value(row));
            true
        }
        DataType::Bytes => {
            let bytes = any.downcast_ref::<LargeBinaryArray>()?.value(row);
            quoted(out, base64::prelude::BASE64_STANDARD.encode(bytes))
        }
        DataType::Date => quoted(out, Value::Date(any.downcast_ref::<Date32Array>()?.value(row))),
        DataType::DateTime => {
            let micros = any.downcast_ref::<TimestampMicrosecondArray>()?.value(row);
            quoted(out, Value::DateTime(micros))
        }
        DataType::Uuid => {
            let bytes = any.downcast_ref::<FixedSizeBinaryArray>()?.value(row);
            quoted(out, uuid::Uuid::from_slice(bytes).ok()?.hyphenated())
        }
        DataType::Json => {
            // Stored text is JSON already; anything else must not break the answer.
            let text = any.downcast_ref::<StringArray>()?.value(row);
            let raw: Result<serde::de::IgnoredAny, _> = serde_json::from_str(text);
            raw.is_ok() && out.write_all(text.as_bytes()).is_ok()
        }
        DataType::Vector { .. } => {
            let items = any.downcast_ref::<FixedSizeListArray>()?.value(row);
            vector(out, items.as_any().downcast_ref::<Float32Array>()?)
        }
        DataType::List { .. } | DataType::Struct(_) => false,
    })
}

fn vector(out: &mut Vec<u8>, numbers: &Float32Array) -> bool {
    out.push(b'[');
    for (index, number) in numbers.values().iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        if !number.is_finite() || serde_json::to_writer(&mut *out, number).is_err() {
            return false;
        }
    }
    out.push(b']');
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use frame::convert::array_of;
    use proptest::prelude::*;

    fn check(value: Value, data_type: DataType, expected: &str) {
        let array = array_of([&value], &data_type).expect("a value of the type");
        let mut out = Vec::new();
        assert!(scalar(&mut out, &array, 0, &data_type), "{value}");
        assert_eq!(String::from_utf8(out).expect("text"), expected);
    }

    #[test]
    fn scalars_travel_as_documented() {
        check(Value::Int(i64::MAX), DataType::Long, "\"9223372036854775807\"");
        let price = DataType::Decimal { precision: 5, scale: 2 };
        check(Value::Decimal { unscaled: -5, scale: 2 }, price, "\"-0.05\"");
        check(Value::DateTime(1), DataType::DateTime, "\"1970-01-01T00:00:00.000001Z\"");
        check(Value::Bytes([1, 2].as_slice().into()), DataType::Bytes, "\"AQI=\"");
        check(Value::Json("{\"a\": 1}".into()), DataType::Json, "{\"a\": 1}");
        let vector = Value::Vector([0.5, 1.0].as_slice().into());
        check(vector, DataType::Vector { dimension: 2 }, "[0.5,1.0]");
    }

    #[test]
    fn what_json_cannot_say_is_refused() {
        let array = array_of(&[Value::Float(f64::NAN)], &DataType::Float).expect("a float");
        assert!(!scalar(&mut Vec::new(), &array, 0, &DataType::Float));
        let array = array_of(&[Value::Json("{".into())], &DataType::Json).expect("text");
        assert!(!scalar(&mut Vec::new(), &array, 0, &DataType::Json));
    }

    proptest! {
        #[test]
        fn strings_are_read_back_as_they_were(text in "\\PC*|[\\x00-\\x7f]*") {
            let mut out = Vec::new();
            string(&mut out, &text);
            let read: String = serde_json::from_slice(&out).expect("JSON");
            prop_assert_eq!(read, text);
        }
    }
}
