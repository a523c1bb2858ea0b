//! Values as text: the form that `decode` reads back into the same value.
//!
//! In: a batch and the types of its columns. Out: lines. An absent value is empty in separated
//! values (an empty text is `""`) and left out of JSON; lists, objects and vectors are JSON in both.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType as ArrowType, Float32Type, Float64Type, SchemaRef, TimeUnit, TimestampMicrosecondType,
};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use base::{Error, Result, Timestamp};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use frame::DataType;

/// The line of column names.
pub(super) fn header(schema: &SchemaRef, delimiter: u8, out: &mut Vec<u8>) {
    for (index, field) in schema.fields().iter().enumerate() {
        if index > 0 {
            out.push(delimiter);
        }
        quote(field.name(), delimiter, out);
    }
    out.push(b'\n');
}

/// One line a row.
pub(super) fn separated(
    batch: &RecordBatch,
    types: &[Option<DataType>],
    delimiter: u8,
    out: &mut Vec<u8>,
) -> Result<()> {
    let mut value = Vec::new();
    for row in 0..batch.num_rows() {
        for (index, array) in batch.columns().iter().enumerate() {
            if index > 0 {
                out.push(delimiter);
            }
            if array.is_null(row) {
                continue;
            }
            value.clear();
            plain(array, types.get(index).and_then(Option::as_ref), row, &mut value)?;
            quote(&String::from_utf8_lossy(&value), delimiter, out);
        }
        out.push(b'\n');
    }
    Ok(())
}

/// One object a row.
pub(super) fn json_lines(
    batch: &RecordBatch,
    types: &[Option<DataType>],
    out: &mut Vec<u8>,
) -> Result<()> {
    let schema = batch.schema();
    for row in 0..batch.num_rows() {
        out.push(b'{');
        let mut first = true;
        for (index, (field, array)) in schema.fields().iter().zip(batch.columns()).enumerate() {
            if array.is_null(row) {
                continue;
            }
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            string(field.name(), out);
            out.push(b':');
            json(array, types.get(index).and_then(Option::as_ref), row, out)?;
        }
        out.extend_from_slice(b"}\n");
    }
    Ok(())
}

/// Quotes what would be read otherwise than it was meant.
fn quote(text: &str, delimiter: u8, out: &mut Vec<u8>) {
    let special = |byte: u8| byte == delimiter || matches!(byte, b'"' | b'\n' | b'\r');
    if !text.is_empty() && !text.bytes().any(special) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    for byte in text.bytes() {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// A value outside JSON: text and scalars as they are, everything else as JSON.
fn plain(
    array: &ArrayRef,
    data_type: Option<&DataType>,
    row: usize,
    out: &mut Vec<u8>,
) -> Result<()> {
    match array.data_type() {
        ArrowType::Utf8 => out.extend_from_slice(array.as_string::<i32>().value(row).as_bytes()),
        ArrowType::List(_) | ArrowType::Struct(_) | ArrowType::FixedSizeList(..) => {
            json(array, data_type, row, out)?;
        }
        _ => out.extend_from_slice(scalar(array, row)?.as_bytes()),
    }
    Ok(())
}

/// A value inside JSON.
fn json(
    array: &ArrayRef,
    data_type: Option<&DataType>,
    row: usize,
    out: &mut Vec<u8>,
) -> Result<()> {
    if array.is_null(row) {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    match (array.data_type(), data_type) {
        (ArrowType::Utf8, Some(DataType::Json)) => {
            out.extend_from_slice(array.as_string::<i32>().value(row).as_bytes());
        }
        (ArrowType::Utf8, _) => string(array.as_string::<i32>().value(row), out),
        (ArrowType::List(_), of) => {
            let item = match of {
                Some(DataType::List { item, .. }) => Some(item.as_ref()),
                _ => None,
            };
            items(&array.as_list::<i32>().value(row), item, out)?;
        }
        (ArrowType::FixedSizeList(..), _) => {
            items(&array.as_fixed_size_list().value(row), None, out)?;
        }
        (ArrowType::Struct(fields), of) => {
            let object = array.as_struct();
            out.push(b'{');
            for (index, (field, column)) in fields.iter().zip(object.columns()).enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                let part = match of {
                    Some(DataType::Struct(parts)) => parts.get(index).map(|part| &part.data_type),
                    _ => None,
                };
                string(field.name(), out);
                out.push(b':');
                json(column, part, row, out)?;
            }
            out.push(b'}');
        }
        (from, _) if is_bare(from) => {
            let text = scalar(array, row)?;
            // JSON has no spelling for what is not a finite number.
            match text.as_str() {
                "NaN" | "inf" | "-inf" => string(&text, out),
                _ => out.extend_from_slice(text.as_bytes()),
            }
        }
        _ => string(&scalar(array, row)?, out),
    }
    Ok(())
}

fn items(values: &ArrayRef, item: Option<&DataType>, out: &mut Vec<u8>) -> Result<()> {
    out.push(b'[');
    for index in 0..values.len() {
        if index > 0 {
            out.push(b',');
        }
        json(values, item, index, out)?;
    }
    out.push(b']');
    Ok(())
}

/// Types that JSON writes without quotes.
fn is_bare(from: &ArrowType) -> bool {
    from.is_integer() || from.is_floating() || matches!(from, ArrowType::Boolean)
}

fn string(text: &str, out: &mut Vec<u8>) {
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(out, text);
}

/// A value without parts.
fn scalar(array: &ArrayRef, row: usize) -> Result<String> {
    Ok(match array.data_type() {
        // Shortest digits that read back as the same number.
        ArrowType::Float64 => float(array.as_primitive::<Float64Type>().value(row)),
        ArrowType::Float32 => {
            let number = array.as_primitive::<Float32Type>().value(row);
            if number.is_finite() { number.to_string() } else { float(f64::from(number)) }
        }
        ArrowType::Timestamp(TimeUnit::Microsecond, Some(_)) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            Timestamp::from_micros(micros).to_string()
        }
        ArrowType::LargeBinary => STANDARD.encode(array.as_binary::<i64>().value(row)),
        ArrowType::Binary => STANDARD.encode(array.as_binary::<i32>().value(row)),
        ArrowType::FixedSizeBinary(16) => {
            let bytes = array.as_fixed_size_binary().value(row);
            let uuid = uuid::Uuid::from_slice(bytes)
                .map_err(|error| Error::internal("a UUID has 16 bytes").caused_by(error))?;
            uuid.to_string()
        }
        other => {
            let formatter = ArrayFormatter::try_new(array.as_ref(), &FormatOptions::default());
            formatter
                .map_err(|_| {
                    Error::new(
                        base::Kind::Unsupported,
                        format!("values of type {other} have no text"),
                    )
                })?
                .value(row)
                .to_string()
        }
    })
}

fn float(number: f64) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "inf".to_owned() } else { "-inf".to_owned() }
    } else {
        number.to_string()
    }
}
