//! What a type of the central schema looks like in files: its Iceberg schema, partitions and order,
//! and how a batch with API names becomes one with the names, types and field ids of the files.
//!
//! In: an `ObjectType`. Out: Iceberg's specs, physical batches. Not here: writing (`stage`),
//! evolving a table that exists (`steps`).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListArray, StructArray, new_null_array};
use arrow::datatypes::{
    DataType as ArrowType, Field as ArrowField, Schema as ArrowSchema, SchemaRef as ArrowSchemaRef,
};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use base::{Error, Principal, Result};
use datafusion::common::ScalarValue;
use frame::{DataType, RowInterpreter};
use iceberg::spec::{
    ListType, NestedField, NestedFieldRef, NullOrder, PrimitiveType, Schema as IcebergSchema,
    SortDirection, SortField, SortOrder, StructType, Transform, Type, UnboundPartitionSpec,
};
use schema::{ColumnSpec, FieldDef, ObjectType, PartitionTransform, TableSpec};

use crate::failure::failed;

/// The table's part of a type, or an error that names the type.
pub(crate) fn table_spec(object: &ObjectType) -> Result<&TableSpec> {
    object.table().ok_or_else(|| Error::invalid(format!("type `{}` is not a table", object.name)))
}

/// The column behind a field that must have one.
pub(crate) fn column_of(object: &ObjectType, field: schema::FieldId) -> Result<&ColumnSpec> {
    let field = object.field(field);
    field.column().ok_or_else(|| {
        Error::invalid(format!("field `{}.{}` is not stored", object.name, field.name))
    })
}

/// Physical names of the key's columns, in the key's order.
pub(crate) fn key_columns(object: &ObjectType) -> Result<Vec<Arc<str>>> {
    let key = &table_spec(object)?.key;
    key.iter().map(|field| Ok(Arc::clone(&column_of(object, *field)?.column))).collect()
}

/// The schema of a new table.
pub(crate) fn iceberg_schema(object: &ObjectType) -> Result<IcebergSchema> {
    let mut next_id = 1;
    let fields: Vec<NestedFieldRef> = object
        .columns()
        .map(|(field, column)| iceberg_field(field, column, &mut next_id))
        .collect();
    let identifiers = identifier_ids(object, &fields)?;
    IcebergSchema::builder()
        .with_fields(fields)
        .with_identifier_field_ids(identifiers)
        .build()
        .map_err(failed(format!("shape table `{}`", table_spec(object)?.name)))
}

/// Iceberg's field for a stored field, with fresh ids.
pub(crate) fn iceberg_field(
    field: &FieldDef,
    column: &ColumnSpec,
    next_id: &mut i32,
) -> NestedFieldRef {
    let id = take_id(next_id);
    let field_type = iceberg_type(&column.data_type, next_id);
    NestedField::new(id, column.column.as_ref(), field_type, !field.nullable).into()
}

/// Ids of the key's columns; none when Iceberg does not allow one of them as an identifier.
pub(crate) fn identifier_ids(object: &ObjectType, fields: &[NestedFieldRef]) -> Result<Vec<i32>> {
    let names = key_columns(object)?;
    let key: Vec<_> = names
        .iter()
        .filter_map(|name| fields.iter().find(|field| field.name == name.as_ref()))
        .collect();
    let allowed = key.iter().all(|field| {
        field.required
            && field.field_type.is_primitive()
            && !matches!(
                field.field_type.as_primitive_type(),
                Some(PrimitiveType::Double | PrimitiveType::Float)
            )
    });
    Ok(if allowed { key.iter().map(|field| field.id).collect() } else { Vec::new() })
}

fn take_id(next_id: &mut i32) -> i32 {
    *next_id += 1;
    *next_id - 1
}

/// Iceberg's type for a type of the schema.
pub(crate) fn iceberg_type(data_type: &DataType, next_id: &mut i32) -> Type {
    let primitive = match data_type {
        DataType::Boolean => PrimitiveType::Boolean,
        DataType::Int => PrimitiveType::Int,
        DataType::Long => PrimitiveType::Long,
        DataType::Float => PrimitiveType::Double,
        DataType::Decimal { precision, scale } => {
            PrimitiveType::Decimal { precision: u32::from(*precision), scale: u32::from(*scale) }
        }
        DataType::String | DataType::Json => PrimitiveType::String,
        DataType::Bytes => PrimitiveType::Binary,
        DataType::Date => PrimitiveType::Date,
        DataType::DateTime => PrimitiveType::Timestamptz,
        DataType::Uuid => PrimitiveType::Uuid,
        DataType::Vector { .. } => {
            let float = Type::Primitive(PrimitiveType::Float);
            return list_of(float, true, take_id(next_id));
        }
        DataType::List { item, nullable } => {
            let id = take_id(next_id);
            return list_of(iceberg_type(item, next_id), !nullable, id);
        }
        DataType::Struct(fields) => {
            let fields = fields.iter().map(|field| {
                let id = take_id(next_id);
                let field_type = iceberg_type(&field.data_type, next_id);
                NestedField::new(id, field.name.as_ref(), field_type, !field.nullable).into()
            });
            return Type::Struct(StructType::new(fields.collect()));
        }
    };
    Type::Primitive(primitive)
}

fn list_of(item: Type, required: bool, id: i32) -> Type {
    Type::List(ListType::new(NestedField::list_element(id, item, required).into()))
}

/// How a table is cut into partitions: its `partition`, then its `bucket`.
pub(crate) fn partition_spec(
    object: &ObjectType,
    schema: &IcebergSchema,
) -> Result<UnboundPartitionSpec> {
    let spec = table_spec(object)?;
    let mut parts = Vec::new();
    for part in &spec.partition {
        let (suffix, transform) = match part.transform {
            PartitionTransform::Identity => ("identity", Transform::Identity),
            PartitionTransform::Year => ("year", Transform::Year),
            PartitionTransform::Month => ("month", Transform::Month),
            PartitionTransform::Day => ("day", Transform::Day),
            PartitionTransform::Hour => ("hour", Transform::Hour),
            PartitionTransform::Truncate(width) => ("truncate", Transform::Truncate(width)),
        };
        parts.push((column_of(object, part.field)?, suffix, transform));
    }
    if let Some(bucket) = &spec.bucket {
        parts.push((column_of(object, bucket.by)?, "bucket", Transform::Bucket(bucket.count)));
    }
    let mut builder = UnboundPartitionSpec::builder();
    let doing = || format!("partition table `{}`", spec.name);
    for (column, suffix, transform) in parts {
        let mut name = format!("{}_{suffix}", column.column);
        // A partition's name may not be a column's.
        while schema.field_by_name(&name).is_some() {
            name.push('_');
        }
        let id = field_id(schema, &column.column)?;
        builder = builder.add_partition_field(id, name, transform).map_err(failed(doing()))?;
    }
    Ok(builder.build())
}

/// The order of rows in files: `sort`, else the key.
pub(crate) fn sort_order(object: &ObjectType, schema: &IcebergSchema) -> Result<SortOrder> {
    let spec = table_spec(object)?;
    let mut keys: Vec<_> = spec.sort.iter().map(|by| (by.field, by.descending)).collect();
    if keys.is_empty() {
        keys = spec.key.iter().map(|field| (*field, false)).collect();
    }
    let mut builder = SortOrder::builder();
    for (field, descending) in keys {
        let direction =
            if descending { SortDirection::Descending } else { SortDirection::Ascending };
        builder.with_sort_field(SortField {
            source_id: field_id(schema, &column_of(object, field)?.column)?,
            transform: Transform::Identity,
            direction,
            null_order: NullOrder::Last,
        });
    }
    builder.build_unbound().map_err(failed(format!("sort table `{}`", spec.name)))
}

/// The id of a column that must be there.
pub(crate) fn field_id(schema: &IcebergSchema, column: &str) -> Result<i32> {
    let missing = || Error::new(base::Kind::Stale, format!("the table has no column `{column}`"));
    schema.field_id_by_name(column).ok_or_else(missing)
}

/// A batch with API names and types, as the files have it: every column of `target`, by physical
/// name. Columns that the batch lacks are null; a required one that is null is refused, with the
/// row (`first_row` is the number of the batch's first).
pub(crate) fn to_physical(
    object: &ObjectType,
    batch: &RecordBatch,
    target: &ArrowSchemaRef,
    first_row: u64,
) -> Result<RecordBatch> {
    check_known(object, batch)?;
    let mut columns = Vec::with_capacity(target.fields().len());
    for field in target.fields() {
        let api = api_field(object, field);
        let given = api.and_then(|def| batch.column_by_name(&def.name));
        let array = match given {
            Some(array) => conform(array, field, Match::Name).map_err(|error| {
                error.context(format!("field `{}.{}` has another type", object.name, field.name()))
            })?,
            None => absent(api, field, batch.num_rows())?,
        };
        check_nulls(object, api, field, &array, first_row)?;
        columns.push(array);
    }
    physical_batch(target, columns, batch.num_rows())
}

/// The column of a field that nobody gave: its default, else null.
fn absent(api: Option<&FieldDef>, field: &ArrowField, rows: usize) -> Result<ArrayRef> {
    let default = api.and_then(FieldDef::column).and_then(|column| column.default.as_ref());
    let Some(default) = default else { return Ok(new_null_array(field.data_type(), rows)) };
    let nothing = |_: &[String], _: &DataType| Err(Error::internal("a default reads a field"));
    let value = RowInterpreter.evaluate_row(default, &nothing, &Principal::local())?;
    let values = vec![value; rows];
    conform(&frame::convert::array_of(&values, &default.data_type)?, field, Match::Name)
}

/// What a column that is gone holds for whoever still asks for it: its default; without one, null
/// where it may be null, and the empty value of its type where it may not.
pub(crate) fn gone(def: &FieldDef, spec: &ColumnSpec) -> Result<ScalarValue> {
    let wanted = spec.data_type.to_arrow();
    let null = ScalarValue::try_from(&wanted).map_err(failed("read a column that is gone"))?;
    if let Some(default) = &spec.default {
        let nothing = |_: &[String], _: &DataType| Err(Error::internal("a default reads a field"));
        let value = RowInterpreter.evaluate_row(default, &nothing, &Principal::local())?;
        let array = frame::convert::array_of(&[value], &spec.data_type)?;
        return ScalarValue::try_from_array(&array, 0)
            .map_err(failed("read a column that is gone"));
    }
    if def.nullable {
        return Ok(null);
    }
    Ok(ScalarValue::new_default(&wanted).unwrap_or(null))
}

/// How the parts of nested values are told apart: batches of the API have names, files have ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    /// By name.
    Name,
    /// By field id.
    Id,
}

/// The field id that Parquet and Iceberg keep in a field's metadata.
pub(crate) fn id_of(field: &ArrowField) -> Option<&str> {
    field.metadata().get(parquet::arrow::PARQUET_FIELD_ID_META_KEY).map(String::as_str)
}

/// A batch of the target's schema; knows its row count even when it has no columns.
pub(crate) fn physical_batch(
    target: &ArrowSchemaRef,
    columns: Vec<ArrayRef>,
    rows: usize,
) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(target), columns, &options)
        .map_err(failed("shape rows"))
}

/// The columns that a batch gives, in the form of the files, by position in `target`.
pub(crate) fn given(
    object: &ObjectType,
    batch: &RecordBatch,
    target: &ArrowSchemaRef,
    first_row: u64,
) -> Result<Vec<(usize, ArrayRef)>> {
    check_known(object, batch)?;
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (position, field) in target.fields().iter().enumerate() {
        let api = api_field(object, field);
        let Some(array) = api.and_then(|def| batch.column_by_name(&def.name)) else { continue };
        let array = conform(array, field, Match::Name).map_err(|error| {
            error.context(format!("field `{}.{}` has another type", object.name, field.name()))
        })?;
        check_nulls(object, api, field, &array, first_row)?;
        columns.push((position, array));
    }
    Ok(columns)
}

/// The rows of files by the names and the types of the API.
pub(crate) fn api_batch(object: &ObjectType, batch: &RecordBatch) -> Result<RecordBatch> {
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (def, spec) in object.columns() {
        let Some(array) = batch.column_by_name(&spec.column) else { continue };
        let wanted = frame::Field::new(Arc::clone(&def.name), spec.data_type.clone(), true);
        let wanted = wanted.to_arrow();
        let by_name = conform(array, &wanted, Match::Name);
        // Vectors are lists in files.
        columns.push(by_name.or_else(|_| cast(array, wanted.data_type()))?);
        fields.push(wanted);
    }
    physical_batch(&Arc::new(ArrowSchema::new(fields)), columns, batch.num_rows())
}

/// The API field behind a column.
fn api_field<'a>(object: &'a ObjectType, field: &ArrowField) -> Option<&'a FieldDef> {
    let found = object.columns().find(|(_, column)| column.column.as_ref() == field.name());
    found.map(|(def, _)| def)
}

/// Refuses columns that the type does not have.
fn check_known(object: &ObjectType, batch: &RecordBatch) -> Result<()> {
    for field in batch.schema_ref().fields() {
        let known = object.field_named(field.name()).is_some_and(|(_, def)| def.column().is_some());
        if !known {
            let (name, field) = (&object.name, field.name());
            return Err(Error::invalid(format!("type `{name}` has no stored field `{field}`")));
        }
    }
    Ok(())
}

fn check_nulls(
    object: &ObjectType,
    api: Option<&FieldDef>,
    field: &ArrowField,
    array: &ArrayRef,
    first_row: u64,
) -> Result<()> {
    if field.is_nullable() || array.null_count() == 0 {
        return Ok(());
    }
    let row = (0..array.len()).find(|row| array.is_null(*row)).unwrap_or_default() as u64;
    let name = api.map_or(field.name().as_str(), |def| def.name.as_ref());
    Err(Error::invalid(format!(
        "field `{}.{name}` is required, but row {} has no value",
        object.name,
        first_row + row + 1
    ))
    .hint("give the field a value, or make it nullable in the schema"))
}

/// An array in the form of `target`: names and ids of nested fields, lists for vectors, and only
/// such casts as change the representation and not the value.
pub(crate) fn conform(array: &ArrayRef, target: &ArrowField, by: Match) -> Result<ArrayRef> {
    if array.data_type() == target.data_type() {
        return Ok(Arc::clone(array));
    }
    match (array.data_type(), target.data_type()) {
        (ArrowType::List(_), ArrowType::List(item)) => conform_list(array, item, by),
        (ArrowType::FixedSizeList(from, _), ArrowType::List(_)) => {
            let list = ArrowType::List(Arc::clone(from));
            conform(&cast(array, &list)?, target, by)
        }
        (ArrowType::LargeList(from), ArrowType::List(_)) => {
            let list = ArrowType::List(Arc::clone(from));
            conform(&cast(array, &list)?, target, by)
        }
        (ArrowType::Struct(_), ArrowType::Struct(fields)) => {
            let from = array.as_any().downcast_ref::<StructArray>().ok_or_else(wrong)?;
            let mut columns = Vec::with_capacity(fields.len());
            for field in fields {
                let part = from.fields().iter().position(|part| match by {
                    Match::Name => part.name() == field.name(),
                    Match::Id => id_of(part) == id_of(field),
                });
                columns.push(match part.map(|part| from.column(part)) {
                    Some(column) => conform(column, field, by)?,
                    None => new_null_array(field.data_type(), from.len()),
                });
            }
            let built = StructArray::try_new(fields.clone(), columns, from.nulls().cloned());
            Ok(Arc::new(built.map_err(failed("shape an object"))?))
        }
        (from, to) if same_values(from, to) => cast(array, to),
        (from, to) => Err(Error::invalid(format!("found {from}, expected {to}"))),
    }
}

fn conform_list(array: &ArrayRef, item: &Arc<ArrowField>, by: Match) -> Result<ArrayRef> {
    let from = array.as_any().downcast_ref::<ListArray>().ok_or_else(wrong)?;
    let values = conform(from.values(), item, by)?;
    let built =
        ListArray::try_new(Arc::clone(item), from.offsets().clone(), values, from.nulls().cloned());
    Ok(Arc::new(built.map_err(failed("shape a list"))?))
}

fn wrong() -> Error {
    Error::internal("an array is not what its type says")
}

/// Whether a cast between these types keeps every value.
fn same_values(from: &ArrowType, to: &ArrowType) -> bool {
    use ArrowType::{
        Binary, BinaryView, Date32, Decimal128, Dictionary, Float32, Float64, Int8, Int16, Int32,
        Int64, LargeBinary, LargeUtf8, Null, Timestamp, UInt8, UInt16, UInt32, Utf8, Utf8View,
    };
    match (from, to) {
        (Null, _) => true,
        (Utf8 | LargeUtf8 | Utf8View, Utf8) => true,
        (Binary | BinaryView | LargeBinary, LargeBinary) => true,
        (Int8 | Int16 | UInt8 | UInt16, Int32) => true,
        (Int8 | Int16 | Int32 | UInt8 | UInt16 | UInt32, Int64) => true,
        (Float32 | Int32, Float64) => true,
        (Decimal128(p, s), Decimal128(to_p, to_s)) => s == to_s && p <= to_p,
        (Timestamp(a, _), Timestamp(b, _)) => a == b,
        (Date32, Date32) => true,
        (Dictionary(_, value), to) => value.as_ref() == to || same_values(value, to),
        _ => false,
    }
}

fn cast(array: &ArrayRef, to: &ArrowType) -> Result<ArrayRef> {
    arrow::compute::cast(array, to).map_err(failed("convert a column"))
}

/// The Arrow form of an Iceberg schema, with field ids in the metadata of the fields.
pub(crate) fn arrow_schema(schema: &IcebergSchema) -> Result<ArrowSchemaRef> {
    let arrow: ArrowSchema =
        iceberg::arrow::schema_to_arrow_schema(schema).map_err(failed("read a table's schema"))?;
    Ok(Arc::new(arrow))
}
