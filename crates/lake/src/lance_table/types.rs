//! The Arrow types that Lance can name.
//!
//! In: batches in our types. Out: the same rows in types whose names Lance reads back: it writes a
//! type as text with colons between the parts, so that the offset `+00:00` of our times breaks it, and
//! the name `UTC` does not. Reading needs nothing: scans cast to the type that the schema says.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use base::{Error, Result};

/// A batch of one column.
pub(super) fn batch(schema: &SchemaRef, array: ArrayRef) -> Result<RecordBatch> {
    RecordBatch::try_new(Arc::clone(schema), vec![array]).map_err(wrong)
}

/// The same rows in the types of Lance.
pub(super) fn of_lance(batch: &RecordBatch) -> Result<RecordBatch> {
    let schema = batch.schema();
    let fields: Vec<Field> = schema.fields().iter().map(|field| field_of_lance(field)).collect();
    let columns = batch.columns().iter().zip(&fields);
    let columns = columns.map(|(column, field)| match column.data_type() == field.data_type() {
        true => Ok(Arc::clone(column)),
        false => cast(column, field.data_type()).map_err(wrong),
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(wrong)
}

/// A field in the type of Lance, as required as it is.
pub(super) fn field_of_lance(field: &Field) -> Field {
    field.clone().with_data_type(of(field.data_type()))
}

fn of(data_type: &DataType) -> DataType {
    // A required part of a missing object counts as a missing required value in Lance, so that parts
    // are never required there; the schema's own types hold again when rows are read.
    let inner = |field: &Arc<Field>| Arc::new(field_of_lance(field).with_nullable(true));
    match data_type {
        DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(*unit, Some("UTC".into())),
        DataType::List(item) => DataType::List(inner(item)),
        DataType::LargeList(item) => DataType::LargeList(inner(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(inner(item), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect::<Fields>()),
        other => other.clone(),
    }
}

fn wrong(error: arrow::error::ArrowError) -> Error {
    Error::internal("failed to write rows for Lance").caused_by(error)
}
