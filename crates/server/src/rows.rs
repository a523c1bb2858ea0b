//! Rows of any Arrow batch as JSON, for SQL answers: 64-bit integers and decimals are strings, so that no
//! client rounds them; nested values are lists and objects; everything else is its text.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;
use base::{Error, Result};
use serde_json::{Map, Value};

/// The rows of a batch.
pub(crate) fn rows(batch: &RecordBatch) -> Result<Vec<Vec<Value>>> {
    (0..batch.num_rows())
        .map(|row| batch.columns().iter().map(|column| value(column, row)).collect())
        .collect()
}

/// One value.
pub(crate) fn value(array: &ArrayRef, row: usize) -> Result<Value> {
    if array.is_null(row) {
        return Ok(Value::Null);
    }
    Ok(match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Int8 => array.as_primitive::<Int8Type>().value(row).into(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string().into(),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().value(row).into(),
        DataType::UInt16 => array.as_primitive::<UInt16Type>().value(row).into(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(row).into(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).to_string().into(),
        DataType::Float32 => float(f64::from(array.as_primitive::<Float32Type>().value(row))),
        DataType::Float64 => float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).into(),
        DataType::Utf8View => array.as_string_view().value(row).into(),
        DataType::List(_) => list(&array.as_list::<i32>().value(row))?,
        DataType::LargeList(_) => list(&array.as_list::<i64>().value(row))?,
        DataType::FixedSizeList(..) => list(&array.as_fixed_size_list().value(row))?,
        DataType::Struct(fields) => {
            let columns = array.as_struct();
            let mut object = Map::new();
            for (field, column) in fields.iter().zip(columns.columns()) {
                object.insert(field.name().clone(), value(column, row)?);
            }
            Value::Object(object)
        }
        _ => array_value_to_string(array, row)
            .map_err(|error| Error::internal("failed to print a value").caused_by(error))?
            .into(),
    })
}

/// JSON has no NaN and no infinity; their names are better than null, which means no value.
fn float(number: f64) -> Value {
    serde_json::Number::from_f64(number).map_or_else(|| number.to_string().into(), Value::Number)
}

fn list(items: &ArrayRef) -> Result<Value> {
    (0..items.len()).map(|index| value(items, index)).collect::<Result<_>>().map(Value::Array)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, Int64Array, ListArray};
    use serde_json::json;

    use super::*;

    fn check(array: ArrayRef, expected: &[Value]) {
        let actual: Vec<Value> =
            (0..array.len()).map(|row| value(&array, row).expect("printable")).collect();
        assert_eq!(actual, expected);
    }

    #[test]
    fn large_numbers_are_strings_and_odd_floats_have_names() {
        check(
            Arc::new(Int64Array::from(vec![Some(i64::MAX), None])),
            &[json!("9223372036854775807"), Value::Null],
        );
        check(Arc::new(Float64Array::from(vec![1.5, f64::NAN])), &[json!(1.5), json!("NaN")]);
    }

    #[test]
    fn lists_nest() {
        let lists =
            ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1), None]), None]);
        check(Arc::new(lists), &[json!([1, null]), Value::Null]);
    }
}
