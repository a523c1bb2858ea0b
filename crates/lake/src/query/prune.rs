//! Which data files a predicate needs.
//!
//! In: the files of a snapshot and a predicate. Out: the files that may hold matching rows: bounds
//! and null counts of columns decide, and for buckets the hash of the values that a column may
//! equal. Not here: row groups and pages (Parquet's own statistics decide those).

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, UInt64Array};
use arrow::datatypes::Int32Type;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{Column, ColumnStatistics, ScalarValue, Statistics};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::pruning::PruningPredicate;
use iceberg::spec::{DataFile, Datum, Literal, PrimitiveLiteral, TableMetadata, Transform};
use iceberg::transform::create_transform_function;

use super::columns::Columns;
use super::manifests::FileEntry;
use super::values::datum_to_scalar;

/// A text or binary bound shorter than this was not cut off by the writer.
const CUT_OFF: usize = 16;

/// The files that may hold rows for which `predicate` is true.
pub(crate) fn prune(
    metadata: &TableMetadata,
    columns: &Columns,
    files: &[Arc<FileEntry>],
    predicate: Option<&Arc<dyn PhysicalExpr>>,
) -> Vec<Arc<FileEntry>> {
    let all = || files.to_vec();
    let Some(predicate) = predicate else { return all() };
    let schema = Arc::clone(&columns.schema);
    // A predicate that cannot be turned into bounds checks prunes nothing; it still filters rows.
    let Ok(pruning) = PruningPredicate::try_new(Arc::clone(predicate), schema) else {
        return all();
    };
    match pruning.prune(&FileBounds { metadata, columns, files }) {
        Ok(keep) => {
            files.iter().zip(keep).filter(|(_, keep)| *keep).map(|(f, _)| Arc::clone(f)).collect()
        }
        Err(_) => all(),
    }
}

struct FileBounds<'a> {
    metadata: &'a TableMetadata,
    columns: &'a Columns,
    files: &'a [Arc<FileEntry>],
}

impl FileBounds<'_> {
    fn bounds(
        &self,
        column: &Column,
        bound: impl Fn(&DataFile, i32) -> Option<&Datum>,
    ) -> Option<ArrayRef> {
        let index = self.columns.schema.index_of(&column.name).ok()?;
        let id = self.columns.id(index)?;
        let data_type = self.columns.schema.field(index).data_type();
        if data_type.is_nested() {
            return None;
        }
        let null = ScalarValue::try_from(data_type).ok()?;
        let values = self.files.iter().map(|entry| {
            known_bound(&entry.file, id, data_type.is_floating(), &bound)
                .and_then(|scalar| scalar.cast_to(data_type).ok())
                .unwrap_or_else(|| null.clone())
        });
        ScalarValue::iter_to_array(values).ok()
    }

    fn bucket_allows(&self, entry: &FileEntry, id: i32, values: &ArrayRef) -> Option<bool> {
        let spec = self.metadata.partition_spec_by_id(entry.spec_id)?;
        let (index, field) = spec.fields().iter().enumerate().find(|(_, field)| {
            field.source_id == id && matches!(field.transform, Transform::Bucket(_))
        })?;
        let Some(bucket) = entry.file.partition().fields().get(index)? else {
            // Nulls are in no bucket, and no value equals null.
            return Some(false);
        };
        let Literal::Primitive(PrimitiveLiteral::Int(bucket)) = bucket else { return None };
        let hashed =
            create_transform_function(&field.transform).ok()?.transform(Arc::clone(values));
        let hashed = hashed.ok()?;
        Some(hashed.as_primitive_opt::<Int32Type>()?.iter().flatten().any(|hash| hash == *bucket))
    }
}

/// Bounds of a float column say nothing about its NaNs, which sort above all numbers here.
fn known_bound<'a>(
    file: &'a DataFile,
    id: i32,
    floating: bool,
    bound: &impl Fn(&'a DataFile, i32) -> Option<&'a Datum>,
) -> Option<ScalarValue> {
    if floating && file.nan_value_counts().get(&id) != Some(&0) {
        return None;
    }
    datum_to_scalar(bound(file, id)?)
}

fn lower(file: &DataFile, id: i32) -> Option<&Datum> {
    file.lower_bounds().get(&id)
}

fn upper(file: &DataFile, id: i32) -> Option<&Datum> {
    file.upper_bounds().get(&id)
}

impl PruningStatistics for FileBounds<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, lower)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, upper)
    }

    fn num_containers(&self) -> usize {
        self.files.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let id = self.columns.id(self.columns.schema.index_of(&column.name).ok()?)?;
        let counts =
            self.files.iter().map(|entry| entry.file.null_value_counts().get(&id).copied());
        Some(Arc::new(counts.collect::<UInt64Array>()))
    }

    fn row_counts(&self, _column: &Column) -> Option<ArrayRef> {
        let counts = self.files.iter().map(|entry| entry.file.record_count());
        Some(Arc::new(UInt64Array::from_iter_values(counts)))
    }

    fn contained(&self, column: &Column, values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        let index = self.columns.schema.index_of(&column.name).ok()?;
        let id = self.columns.id(index)?;
        let data_type = self.columns.schema.field(index).data_type();
        let cast = values.iter().map(|value| value.cast_to(data_type));
        let cast = cast.collect::<Result<Vec<_>, _>>().ok()?;
        let values = ScalarValue::iter_to_array(cast).ok()?;
        // False: surely not here. Null: perhaps.
        let allowed = self.files.iter().map(|entry| match self.bucket_allows(entry, id, &values) {
            Some(false) => Some(false),
            _ => None,
        });
        Some(allowed.collect())
    }
}

/// What is known of the rows of one file: exact, unless rows of it were deleted.
pub(crate) fn file_statistics(file: &DataFile, deleted: u64, columns: &Columns) -> Statistics {
    let rows = usize::try_from(file.record_count().saturating_sub(deleted)).unwrap_or(usize::MAX);
    let column_statistics = (0..columns.schema.fields().len())
        .map(|index| column_statistics(file, index, deleted > 0, columns))
        .collect();
    let bytes = usize::try_from(file.file_size_in_bytes()).unwrap_or(usize::MAX);
    Statistics {
        num_rows: Precision::Exact(rows),
        total_byte_size: Precision::Inexact(bytes),
        column_statistics,
    }
}

fn column_statistics(
    file: &DataFile,
    index: usize,
    deleted: bool,
    columns: &Columns,
) -> ColumnStatistics {
    let data_type = columns.schema.field(index).data_type();
    let Some(id) = columns.id(index).filter(|_| !data_type.is_nested()) else {
        return ColumnStatistics::new_unknown();
    };
    let precise = |bound: fn(&DataFile, i32) -> Option<&Datum>| {
        let known = known_bound(file, id, data_type.is_floating(), &bound);
        match known.and_then(|scalar| scalar.cast_to(data_type).ok()) {
            Some(scalar) if deleted || may_be_cut_off(&scalar) => Precision::Inexact(scalar),
            Some(scalar) => Precision::Exact(scalar),
            None => Precision::Absent,
        }
    };
    let nulls = file.null_value_counts().get(&id).and_then(|count| usize::try_from(*count).ok());
    ColumnStatistics {
        null_count: match nulls {
            Some(count) if deleted => Precision::Inexact(count),
            Some(count) => Precision::Exact(count),
            None => Precision::Absent,
        },
        min_value: precise(lower),
        max_value: precise(upper),
        ..ColumnStatistics::new_unknown()
    }
}

fn may_be_cut_off(scalar: &ScalarValue) -> bool {
    match scalar {
        ScalarValue::Utf8(Some(text)) => text.len() >= CUT_OFF,
        ScalarValue::LargeBinary(Some(bytes)) => bytes.len() >= CUT_OFF,
        _ => false,
    }
}
