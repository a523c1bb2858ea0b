//! Between Arrow and values: one row of an array as a [`Value`], and values as an array.
//!
//! In: arrays in the one Arrow form of their [`DataType`], or values. Out: the other. An array of
//! another form, or a value of another type, is an internal error: whoever reads files or requests
//! has coerced them before. Not here: coercion, JSON, reading of files.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanArray, Date32Array, Decimal128Array,
    FixedSizeBinaryArray, FixedSizeBinaryBuilder, FixedSizeListArray, Float32Array, Float64Array,
    Int32Array, Int64Array, LargeBinaryArray, ListArray, PrimitiveArray, RecordBatch,
    RecordBatchOptions, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType as ArrowType, Schema as ArrowSchema, SchemaRef};
use base::{Error, Result};

use crate::data_type::UTC;
use crate::{DataType, Field, Value};

/// The value in one row of an array.
pub fn value_at(array: &dyn Array, row: usize, data_type: &DataType) -> Result<Value> {
    if array.is_null(row) {
        return Ok(Value::Null);
    }
    Ok(match data_type {
        DataType::Boolean => Value::Boolean(typed::<BooleanArray>(array, data_type)?.value(row)),
        DataType::Int => Value::Int(typed::<Int32Array>(array, data_type)?.value(row).into()),
        DataType::Long => Value::Int(typed::<Int64Array>(array, data_type)?.value(row)),
        DataType::Float => Value::Float(typed::<Float64Array>(array, data_type)?.value(row)),
        DataType::Decimal { scale, .. } => Value::Decimal {
            unscaled: typed::<Decimal128Array>(array, data_type)?.value(row),
            scale: *scale,
        },
        DataType::String => {
            Value::String(typed::<StringArray>(array, data_type)?.value(row).into())
        }
        DataType::Json => Value::Json(typed::<StringArray>(array, data_type)?.value(row).into()),
        DataType::Bytes => {
            Value::Bytes(typed::<LargeBinaryArray>(array, data_type)?.value(row).into())
        }
        DataType::Date => Value::Date(typed::<Date32Array>(array, data_type)?.value(row)),
        DataType::DateTime => {
            Value::DateTime(typed::<TimestampMicrosecondArray>(array, data_type)?.value(row))
        }
        DataType::Uuid => uuid_at(typed(array, data_type)?, row)?,
        DataType::Vector { .. } => vector_at(typed(array, data_type)?, row, data_type)?,
        DataType::List { item, .. } => {
            let items = typed::<ListArray>(array, data_type)?.value(row);
            Value::List(values_of(&items, item)?)
        }
        DataType::Struct(fields) => struct_at(typed(array, data_type)?, row, fields)?,
    })
}

/// All values of an array.
pub fn values_of(array: &dyn Array, data_type: &DataType) -> Result<Vec<Value>> {
    (0..array.len()).map(|row| value_at(array, row, data_type)).collect()
}

/// The array as the Arrow form that the type has.
fn typed<'a, A: Array + 'static>(array: &'a dyn Array, data_type: &DataType) -> Result<&'a A> {
    array.as_any().downcast_ref().ok_or_else(|| {
        Error::internal(format!(
            "failed to read a column of type `{data_type}`: it arrived as Arrow `{}`",
            array.data_type()
        ))
    })
}

fn uuid_at(array: &FixedSizeBinaryArray, row: usize) -> Result<Value> {
    uuid::Uuid::from_slice(array.value(row))
        .map(Value::Uuid)
        .map_err(|error| Error::internal("failed to read a UUID").caused_by(error))
}

fn vector_at(array: &FixedSizeListArray, row: usize, data_type: &DataType) -> Result<Value> {
    let items = array.value(row);
    let numbers: &Float32Array = typed(items.as_ref(), data_type)?;
    Ok(Value::Vector(numbers.values().as_ref().into()))
}

fn struct_at(array: &StructArray, row: usize, fields: &[Field]) -> Result<Value> {
    let parts = fields.iter().map(|field| {
        let column = array.column_by_name(&field.name).ok_or_else(|| {
            Error::internal(format!("failed to read an object: it has no part `{}`", field.name))
        })?;
        value_at(column.as_ref(), row, &field.data_type)
    });
    Ok(Value::Struct(parts.collect::<Result<_>>()?))
}

/// An array of the type's Arrow form with these values.
pub fn array_of<'a>(
    values: impl IntoIterator<Item = &'a Value>,
    data_type: &DataType,
) -> Result<ArrayRef> {
    let values: Vec<&Value> = values.into_iter().collect();
    build(&values, data_type)
}

/// Builds an array; `values` is a slice so that nested types can pass over it more than once.
fn build(values: &[&Value], data_type: &DataType) -> Result<ArrayRef> {
    Ok(match data_type {
        DataType::Boolean => {
            let booleans = each(values, data_type, |value| match value {
                Value::Boolean(boolean) => Some(*boolean),
                _ => None,
            });
            Arc::new(booleans.collect::<Result<BooleanArray>>()?)
        }
        DataType::Int => Arc::new(primitive::<arrow::datatypes::Int32Type>(
            values,
            data_type,
            |value| match value {
                Value::Int(number) => i32::try_from(*number).ok(),
                _ => None,
            },
        )?),
        DataType::Long => Arc::new(primitive::<arrow::datatypes::Int64Type>(
            values,
            data_type,
            |value| match value {
                Value::Int(number) => Some(*number),
                _ => None,
            },
        )?),
        DataType::Float => {
            Arc::new(primitive::<arrow::datatypes::Float64Type>(values, data_type, |value| {
                match value {
                    Value::Float(number) => Some(*number),
                    _ => None,
                }
            })?)
        }
        DataType::Decimal { precision, scale } => decimals(values, data_type, *precision, *scale)?,
        DataType::String | DataType::Json => {
            let texts: Vec<Option<&str>> =
                each(values, data_type, Value::as_str).collect::<Result<_>>()?;
            Arc::new(StringArray::from(texts))
        }
        DataType::Bytes => {
            let bytes: Vec<Option<&[u8]>> = each(values, data_type, |value| match value {
                Value::Bytes(bytes) => Some(bytes.as_ref()),
                _ => None,
            })
            .collect::<Result<_>>()?;
            Arc::new(LargeBinaryArray::from(bytes))
        }
        DataType::Date => {
            Arc::new(primitive::<arrow::datatypes::Date32Type>(values, data_type, |value| {
                match value {
                    Value::Date(days) => Some(*days),
                    _ => None,
                }
            })?)
        }
        DataType::DateTime => {
            let times = primitive::<arrow::datatypes::TimestampMicrosecondType>(
                values,
                data_type,
                |value| match value {
                    Value::DateTime(micros) => Some(*micros),
                    _ => None,
                },
            )?;
            Arc::new(times.with_timezone(UTC))
        }
        DataType::Uuid => uuids(values, data_type)?,
        DataType::Vector { dimension } => vectors(values, data_type, *dimension)?,
        DataType::List { item, .. } => lists(values, data_type, item)?,
        DataType::Struct(fields) => structs(values, data_type, fields)?,
    })
}

/// What each value holds: `None` for null, an error for a value of another type.
fn each<'a, T>(
    values: &'a [&'a Value],
    data_type: &'a DataType,
    pick: impl Fn(&'a Value) -> Option<T> + 'a,
) -> impl Iterator<Item = Result<Option<T>>> + 'a {
    values.iter().map(move |value| {
        if value.is_null() {
            return Ok(None);
        }
        pick(value).map(Some).ok_or_else(|| mismatch(value, data_type))
    })
}

fn mismatch(value: &Value, data_type: &DataType) -> Error {
    Error::internal(format!("failed to store `{value}` as `{data_type}`"))
}

fn primitive<T: ArrowPrimitiveType>(
    values: &[&Value],
    data_type: &DataType,
    pick: impl Fn(&Value) -> Option<T::Native>,
) -> Result<PrimitiveArray<T>> {
    let natives: Vec<Option<T::Native>> = each(values, data_type, pick).collect::<Result<_>>()?;
    Ok(natives.into_iter().collect())
}

fn decimals(values: &[&Value], data_type: &DataType, precision: u8, scale: u8) -> Result<ArrayRef> {
    let unscaled: Vec<Option<i128>> = each(values, data_type, |value| match value {
        Value::Decimal { unscaled, scale: from } if *from <= scale => {
            unscaled.checked_mul(10_i128.checked_pow(u32::from(scale - from))?)
        }
        Value::Decimal { unscaled, scale: from } => {
            let factor = 10_i128.checked_pow(u32::from(from - scale))?;
            (unscaled % factor == 0).then_some(unscaled / factor)
        }
        _ => None,
    })
    .collect::<Result<_>>()?;
    let array = Decimal128Array::from(unscaled)
        .with_precision_and_scale(precision, i8::try_from(scale).unwrap_or(i8::MAX))
        .map_err(arrow_error)?;
    array.validate_decimal_precision(precision).map_err(arrow_error)?;
    Ok(Arc::new(array))
}

fn uuids(values: &[&Value], data_type: &DataType) -> Result<ArrayRef> {
    let mut builder = FixedSizeBinaryBuilder::with_capacity(values.len(), 16);
    let picked = each(values, data_type, |value| match value {
        Value::Uuid(uuid) => Some(*uuid),
        _ => None,
    });
    for uuid in picked {
        match uuid? {
            Some(uuid) => builder.append_value(uuid.as_bytes()).map_err(arrow_error)?,
            None => builder.append_null(),
        }
    }
    Ok(Arc::new(builder.finish()))
}

fn vectors(values: &[&Value], data_type: &DataType, dimension: u32) -> Result<ArrayRef> {
    let length = dimension as usize;
    let mut numbers = Vec::with_capacity(values.len() * length);
    for vector in each(values, data_type, |value| match value {
        Value::Vector(vector) if vector.len() == length => Some(vector),
        _ => None,
    }) {
        match vector? {
            Some(vector) => numbers.extend_from_slice(vector),
            // A null vector still takes its place in the flat child array.
            None => numbers.extend(std::iter::repeat_n(0.0_f32, length)),
        }
    }
    let ArrowType::FixedSizeList(item, size) = data_type.to_arrow() else {
        return Err(Error::internal("a vector's Arrow form is a fixed-size list"));
    };
    let child: ArrayRef = Arc::new(Float32Array::from(numbers));
    let array = FixedSizeListArray::try_new(item, size, child, nulls_of(values));
    Ok(Arc::new(array.map_err(arrow_error)?))
}

fn lists(values: &[&Value], data_type: &DataType, item: &DataType) -> Result<ArrayRef> {
    let mut items: Vec<&Value> = Vec::new();
    let mut lengths = Vec::with_capacity(values.len());
    for list in each(values, data_type, |value| match value {
        Value::List(list) => Some(list),
        _ => None,
    }) {
        let list = list?.map_or(&[][..], Vec::as_slice);
        lengths.push(list.len());
        items.extend(list);
    }
    let ArrowType::List(field) = data_type.to_arrow() else {
        return Err(Error::internal("a list's Arrow form is a list"));
    };
    let offsets = OffsetBuffer::from_lengths(lengths);
    let array = ListArray::try_new(field, offsets, build(&items, item)?, nulls_of(values));
    Ok(Arc::new(array.map_err(arrow_error)?))
}

fn structs(values: &[&Value], data_type: &DataType, fields: &[Field]) -> Result<ArrayRef> {
    let parts: Vec<Option<&[Value]>> = each(values, data_type, |value| match value {
        Value::Struct(parts) if parts.len() == fields.len() => Some(parts.as_slice()),
        _ => None,
    })
    .collect::<Result<_>>()?;
    let columns = fields.iter().enumerate().map(|(index, field)| {
        let column: Vec<&Value> =
            parts.iter().map(|row| row.map_or(&Value::Null, |row| &row[index])).collect();
        build(&column, &field.data_type)
    });
    let ArrowType::Struct(arrow_fields) = data_type.to_arrow() else {
        return Err(Error::internal("an object's Arrow form is a struct"));
    };
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let array = if fields.is_empty() {
        StructArray::new_empty_fields(values.len(), nulls_of(values))
    } else {
        StructArray::try_new(arrow_fields, columns, nulls_of(values)).map_err(arrow_error)?
    };
    Ok(Arc::new(array))
}

fn nulls_of(values: &[&Value]) -> Option<NullBuffer> {
    let valid: Vec<bool> = values.iter().map(|value| !value.is_null()).collect();
    valid.contains(&false).then(|| NullBuffer::from(valid))
}

fn arrow_error(error: arrow::error::ArrowError) -> Error {
    Error::internal("failed to build a column").caused_by(error)
}

/// The Arrow schema of a row with these fields.
pub fn schema_of(fields: &[Field]) -> SchemaRef {
    Arc::new(ArrowSchema::new(fields.iter().map(Field::to_arrow).collect::<Vec<_>>()))
}

/// A batch with one row for each of `rows`, whose values stand in the order of `fields`.
pub fn batch_of<R: AsRef<[Value]>>(fields: &[Field], rows: &[R]) -> Result<RecordBatch> {
    let columns = fields.iter().enumerate().map(|(index, field)| {
        array_of(rows.iter().map(|row| &row.as_ref()[index]), &field.data_type)
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    // The row count is given apart because a batch may have no columns at all.
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(schema_of(fields), columns, &options)
        .map_err(|error| Error::invalid("a required field has no value").caused_by(error))
}

/// The rows of a batch, with values in the order of `fields`; a field that the batch lacks is null.
pub fn rows_of(batch: &RecordBatch, fields: &[Field]) -> Result<Vec<Vec<Value>>> {
    let mut rows = vec![Vec::with_capacity(fields.len()); batch.num_rows()];
    for field in fields {
        let column = batch.column_by_name(&field.name);
        for (index, row) in rows.iter_mut().enumerate() {
            row.push(match column {
                Some(column) => value_at(column.as_ref(), index, &field.data_type)?,
                None => Value::Null,
            });
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A type together with values of it, some of them null.
    fn typed_values() -> impl Strategy<Value = (DataType, Vec<Value>)> {
        let leaf = prop_oneof![
            Just(DataType::Boolean),
            Just(DataType::Int),
            Just(DataType::Long),
            Just(DataType::Float),
            Just(DataType::Decimal { precision: 20, scale: 4 }),
            Just(DataType::String),
            Just(DataType::Bytes),
            Just(DataType::Date),
            Just(DataType::DateTime),
            Just(DataType::Uuid),
            Just(DataType::Json),
            (1_u32..5).prop_map(|dimension| DataType::Vector { dimension }),
        ];
        let nested = leaf.prop_recursive(2, 8, 3, |inner| {
            prop_oneof![
                inner
                    .clone()
                    .prop_map(|item| DataType::List { item: Box::new(item), nullable: true }),
                prop::collection::vec(inner, 0..3).prop_map(|types| DataType::Struct(
                    types
                        .into_iter()
                        .enumerate()
                        .map(|(index, t)| Field::new(format!("f{index}"), t, true))
                        .collect()
                )),
            ]
        });
        nested.prop_flat_map(|data_type| {
            let values = prop::collection::vec(value_of(&data_type), 0..6);
            (Just(data_type), values)
        })
    }

    fn value_of(data_type: &DataType) -> BoxedStrategy<Value> {
        let some = match data_type {
            DataType::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
            DataType::Int => any::<i32>().prop_map(|n| Value::Int(n.into())).boxed(),
            DataType::Long => any::<i64>().prop_map(Value::Int).boxed(),
            DataType::Float => any::<f64>().prop_map(Value::Float).boxed(),
            DataType::Decimal { scale, .. } => {
                let scale = *scale;
                any::<i64>().prop_map(move |n| Value::Decimal { unscaled: n.into(), scale }).boxed()
            }
            DataType::String => ".{0,4}".prop_map(|t| Value::String(t.into())).boxed(),
            DataType::Json => Just(Value::Json("{\"a\":1}".into())).boxed(),
            DataType::Bytes => prop::collection::vec(any::<u8>(), 0..4)
                .prop_map(|b| Value::Bytes(b.into()))
                .boxed(),
            DataType::Date => any::<i32>().prop_map(Value::Date).boxed(),
            DataType::DateTime => any::<i64>().prop_map(Value::DateTime).boxed(),
            DataType::Uuid => {
                any::<u128>().prop_map(|n| Value::Uuid(uuid::Uuid::from_u128(n))).boxed()
            }
            DataType::Vector { dimension } => {
                prop::collection::vec(any::<f32>(), *dimension as usize)
                    .prop_map(|v| Value::Vector(v.into()))
                    .boxed()
            }
            DataType::List { item, .. } => {
                prop::collection::vec(value_of(item), 0..4).prop_map(Value::List).boxed()
            }
            DataType::Struct(fields) => fields
                .iter()
                .map(|field| value_of(&field.data_type))
                .collect::<Vec<_>>()
                .prop_map(Value::Struct)
                .boxed(),
        };
        prop_oneof![1 => Just(Value::Null), 4 => some].boxed()
    }

    proptest! {
        #[test]
        fn values_survive_arrow((data_type, values) in typed_values()) {
            let array = array_of(&values, &data_type).expect("values of the type");
            prop_assert_eq!(array.data_type(), &data_type.to_arrow());
            prop_assert_eq!(values_of(&array, &data_type).expect("own form"), values);
        }

        #[test]
        fn the_order_of_values_is_total((_, values) in typed_values()) {
            for (left, middle) in values.iter().zip(values.iter().skip(1)) {
                prop_assert_eq!(left.cmp(middle), middle.cmp(left).reverse());
                for right in &values {
                    if left <= middle && middle <= right {
                        prop_assert!(left <= right);
                    }
                }
            }
        }
    }

    #[test]
    fn a_value_of_another_type_is_refused() {
        let error = array_of(&[Value::Boolean(true)], &DataType::Int).expect_err("not an Int");
        assert_eq!(error.to_string(), "failed to store `true` as `Int`");
        let wide = Value::Int(i64::from(i32::MAX) + 1);
        assert!(array_of(&[wide], &DataType::Int).is_err());
    }

    #[test]
    fn a_batch_without_columns_keeps_its_rows() {
        let batch = batch_of::<Vec<Value>>(&[], &[vec![], vec![]]).expect("a batch");
        assert_eq!(batch.num_rows(), 2);
    }
}
