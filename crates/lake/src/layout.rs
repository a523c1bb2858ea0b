//! How rows of one table become files: columns, partitions and order as the table's metadata has
//! them at one moment.
//!
//! In: a table's metadata. Out: [`Layout`], which partitions, orders and identifies rows of physical
//! batches. Not here: writing the files (`stage::file`).

use std::sync::Arc;

use arrow::array::{ArrayRef, StructArray};
use arrow::compute::SortOptions;
use arrow::datatypes::SchemaRef as ArrowSchemaRef;
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, Rows, SortField as RowField};
use base::{Error, Result};
use iceberg::spec::{
    Literal, NullOrder, PartitionSpecRef, PrimitiveType, SchemaRef, SortDirection, Struct,
    StructType, TableMetadata, Type,
};
use iceberg::transform::{BoxedTransformFunction, create_transform_function};

use crate::failure::failed;
use crate::shape;

/// A table's columns, partitions and order.
#[derive(Debug)]
pub(crate) struct Layout {
    /// The present schema.
    pub(crate) schema: SchemaRef,
    /// The same for Arrow, with field ids.
    pub(crate) arrow: ArrowSchemaRef,
    /// The present partition spec.
    pub(crate) spec: PartitionSpecRef,
    /// Id of the present sort order.
    pub(crate) sort_order_id: Option<i32>,
    /// Positions of the key's columns.
    pub(crate) key: Vec<usize>,
    /// Location of data files.
    pub(crate) data_location: String,
    partition_type: StructType,
    partitions: Vec<(usize, BoxedTransformFunction)>,
    order: Vec<(usize, SortOptions)>,
    /// Columns that get bloom filters: the key's, and the bucket's where the order does not say as much.
    pub(crate) blooms: Vec<usize>,
}

impl Layout {
    /// The layout of new files of this table, whose key has these columns.
    pub(crate) fn new(metadata: &TableMetadata, key: &[Arc<str>]) -> Result<Layout> {
        let schema = Arc::clone(metadata.current_schema());
        let spec = Arc::clone(metadata.default_partition_spec());
        let arrow = shape::arrow_schema(&schema)?;
        let position = |id: i32| position_of(&schema, id);
        let mut partitions = Vec::new();
        let mut blooms = Vec::new();
        for field in spec.fields() {
            let function = create_transform_function(&field.transform);
            let source = position(field.source_id)?;
            partitions.push((source, function.map_err(failed("partition rows"))?));
            if matches!(field.transform, iceberg::spec::Transform::Bucket(_)) {
                blooms.push(source);
            }
        }
        let sort = metadata.default_sort_order();
        let mut order = Vec::new();
        for field in &sort.fields {
            order.push((position(field.source_id)?, options(field.direction, field.null_order)));
        }
        let key = key
            .iter()
            .map(|name| position(shape::field_id(&schema, name)?))
            .collect::<Result<Vec<_>>>()?;
        // Rows in the order of a column are found by the bounds of pages.
        blooms.retain(|column| order.first().is_none_or(|(first, _)| first != column));
        blooms.extend(key.iter().filter(|column| bloom_helps(&schema, **column)));
        blooms.sort_unstable();
        blooms.dedup();
        Ok(Layout {
            partition_type: spec.partition_type(&schema).map_err(failed("partition rows"))?,
            sort_order_id: (!sort.is_unsorted()).then(|| i32::try_from(sort.order_id).unwrap_or(0)),
            data_location: format!("{}/data", metadata.location()),
            schema,
            arrow,
            spec,
            key,
            partitions,
            order,
            blooms,
        })
    }

    /// Each row's partition as bytes (equal for equal partitions) and the partitions' columns.
    pub(crate) fn partition_columns(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
        let apply = |(column, function): &(usize, BoxedTransformFunction)| {
            let source = Arc::clone(batch.column(*column));
            function.transform(source).map_err(failed("partition rows"))
        };
        self.partitions.iter().map(apply).collect()
    }

    /// The partition's values in one row of its columns.
    pub(crate) fn partition_at(&self, columns: &[ArrayRef], row: usize) -> Result<Struct> {
        if columns.is_empty() {
            return Ok(Struct::empty());
        }
        let one: Vec<ArrayRef> = columns.iter().map(|column| column.slice(row, 1)).collect();
        let target = iceberg::arrow::type_to_arrow_type(&Type::Struct(self.partition_type.clone()))
            .map_err(failed("partition rows"))?;
        let arrow::datatypes::DataType::Struct(fields) = target else {
            return Err(Error::internal("a partition is not a struct"));
        };
        let mut typed = Vec::with_capacity(one.len());
        for (array, field) in one.iter().zip(&fields) {
            typed.push(
                arrow::compute::cast(array, field.data_type()).map_err(failed("partition rows"))?,
            );
        }
        let array: ArrayRef =
            Arc::new(StructArray::try_new(fields, typed, None).map_err(failed("partition rows"))?);
        let literals = iceberg::arrow::arrow_struct_to_literal(&array, &self.partition_type)
            .map_err(failed("partition rows"))?;
        match literals.into_iter().next().flatten() {
            Some(Literal::Struct(values)) => Ok(values),
            _ => Err(Error::internal("a partition has no value")),
        }
    }

    /// The columns that files are ordered by; none where the table has no order.
    pub(crate) fn order_columns(&self, batch: &RecordBatch) -> Vec<(ArrayRef, SortOptions)> {
        let column = |(column, options): &(usize, SortOptions)| {
            (Arc::clone(batch.column(*column)), *options)
        };
        self.order.iter().map(column).collect()
    }

    /// Columns in a form that compares as the files order them.
    pub(crate) fn order_rows(&self, columns: &[(ArrayRef, SortOptions)]) -> Result<Rows> {
        let fields = columns.iter().map(|(column, options)| {
            RowField::new_with_options(column.data_type().clone(), *options)
        });
        let converter = RowConverter::new(fields.collect()).map_err(failed("sort rows"))?;
        let columns: Vec<ArrayRef> = columns.iter().map(|(column, _)| Arc::clone(column)).collect();
        converter.convert_columns(&columns).map_err(failed("sort rows"))
    }

    /// The columns of the key as files are read by them, in the order of the schema, and where each of
    /// the key's columns is among those.
    pub(crate) fn key_in_files(&self) -> (Vec<usize>, Vec<usize>) {
        let mut columns = self.key.clone();
        columns.sort_unstable();
        let place = |column: &usize| columns.iter().position(|other| other == column).unwrap_or(0);
        let places = self.key.iter().map(place).collect();
        (columns, places)
    }

    /// The partition of each key, when all partition columns are in the key.
    pub(crate) fn partitions_of_keys(&self, keys: &[ArrayRef]) -> Result<Vec<Struct>> {
        let mut columns = Vec::with_capacity(self.partitions.len());
        for (column, function) in &self.partitions {
            let place = self.key.iter().position(|key| key == column);
            let place = place.ok_or_else(|| Error::internal("a partition is not of the key"))?;
            let source = Arc::clone(&keys[place]);
            columns.push(function.transform(source).map_err(failed("partition keys"))?);
        }
        let rows = keys.first().map_or(0, |column| column.len());
        (0..rows).map(|row| self.partition_at(&columns, row)).collect()
    }

    /// The key's columns of a batch.
    pub(crate) fn key_arrays(&self, batch: &RecordBatch) -> Vec<ArrayRef> {
        self.key.iter().map(|column| Arc::clone(batch.column(*column))).collect()
    }

    /// Ids of the key's columns.
    pub(crate) fn key_ids(&self) -> Vec<i32> {
        let fields = self.schema.as_struct().fields();
        self.key.iter().map(|column| fields[*column].id).collect()
    }
}

fn position_of(schema: &iceberg::spec::Schema, id: i32) -> Result<usize> {
    let fields = schema.as_struct().fields();
    let found = fields.iter().position(|field| field.id == id);
    found.ok_or_else(|| Error::internal(format!("the table has no column with id {id}")))
}

fn options(direction: SortDirection, nulls: NullOrder) -> SortOptions {
    SortOptions {
        descending: matches!(direction, SortDirection::Descending),
        nulls_first: matches!(nulls, NullOrder::First),
    }
}

/// Bloom filters say nothing of booleans that bounds do not.
fn bloom_helps(schema: &iceberg::spec::Schema, column: usize) -> bool {
    let field = &schema.as_struct().fields()[column];
    !matches!(field.field_type.as_primitive_type(), None | Some(PrimitiveType::Boolean))
}
