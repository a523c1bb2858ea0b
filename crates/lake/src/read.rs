//! Reads rows of data files back in the form of a table's present schema.
//!
//! In: a data file, columns of the schema by position, and rows to leave out or to take. Out:
//! physical batches with their rows' positions. Columns are found by field id, so files that were
//! written before a rename or a widening read as if they were written today. Not here: choosing
//! files, SQL (`query`).

use arrow::array::new_null_array;
use arrow::datatypes::{Schema as ArrowSchema, SchemaRef as ArrowSchemaRef};
use arrow::record_batch::RecordBatch;
use base::{Error, Kind, Result};
use futures::TryStreamExt;
use iceberg::spec::DataFile;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use parquet::arrow::async_reader::{ParquetObjectReader, ParquetRecordBatchStream};
use std::ops::Range;
use std::sync::Arc;

use crate::failure::failed;
use crate::files::Files;
use crate::shape::{self, Match};

/// Rows of a batch that is read.
const BATCH: usize = 8192;

/// What is read of a file.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// The present schema in Arrow's form, with only the wanted columns.
    pub(crate) columns: ArrowSchemaRef,
    /// Which rows.
    pub(crate) rows: RowsWanted,
}

/// Which rows of a file are read.
#[derive(Clone, Debug)]
pub(crate) enum RowsWanted {
    /// All but these positions, sorted.
    Except(Vec<u64>),
    /// Only these positions, sorted.
    Only(Vec<u64>),
    /// All rows within these ranges, which are sorted and apart.
    Within(Vec<Range<usize>>),
}

impl Wanted {
    /// Columns of a schema by position.
    pub(crate) fn columns(
        schema: &ArrowSchemaRef,
        columns: &[usize],
        rows: RowsWanted,
    ) -> Result<Wanted> {
        let projected: ArrowSchema = schema.project(columns).map_err(failed("choose columns"))?;
        Ok(Wanted { columns: Arc::new(projected), rows })
    }
}

/// The wanted rows of one file, batch by batch.
pub(crate) struct Rows {
    batches: ParquetRecordBatchStream<ParquetObjectReader>,
    positions: std::vec::IntoIter<u64>,
    columns: ArrowSchemaRef,
    path: String,
}

/// Starts reading a file.
pub(crate) async fn read(files: &Files, file: &DataFile, wanted: Wanted) -> Result<Rows> {
    let path = file.file_path().to_owned();
    let mut builder = files.open(file).await?.with_batch_size(BATCH);
    let group_rows: Vec<u64> = builder
        .metadata()
        .row_groups()
        .iter()
        .map(|group| u64::try_from(group.num_rows()).unwrap_or(0))
        .collect();
    let positions = positions_of(&group_rows, &wanted.rows).into_iter();
    builder = match &wanted.rows {
        RowsWanted::Within(ranges) => {
            let all = builder.metadata().file_metadata().num_rows();
            let all = usize::try_from(all).map_err(failed("select rows"))?;
            let ranges = ranges.iter().cloned();
            builder.with_row_selection(RowSelection::from_consecutive_ranges(ranges, all))
        }
        RowsWanted::Except(rows) if rows.is_empty() => builder,
        RowsWanted::Except(rows) | RowsWanted::Only(rows) => {
            let skip = matches!(wanted.rows, RowsWanted::Except(_));
            let all = group_rows.iter().sum();
            builder.with_row_selection(selection(rows, all, skip)?)
        }
    };
    let mask = projection(builder.schema(), builder.parquet_schema(), &wanted.columns);
    let batches = builder.with_projection(mask).build();
    let batches = batches.map_err(failed(format!("read data file `{path}`")))?;
    Ok(Rows { batches, positions, columns: wanted.columns, path })
}

impl Rows {
    /// The next rows, with their positions; nothing at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<(RecordBatch, Vec<u64>)>> {
        let doing = || format!("read data file `{}`", self.path);
        let next = self.batches.try_next().await.map_err(failed(doing()))?;
        let Some(batch) = next else { return Ok(None) };
        let batch = present(&batch, &self.columns)
            .map_err(|error| error.context(format!("failed to {}", doing())))?;
        let rows: Vec<u64> = self.positions.by_ref().take(batch.num_rows()).collect();
        if rows.len() != batch.num_rows() {
            return Err(Error::internal(format!("failed to {}: it has more rows", doing())));
        }
        Ok(Some((batch, rows)))
    }
}

/// All wanted rows of a file, as one batch; for few rows.
pub(crate) async fn read_all(
    files: &Files,
    file: &DataFile,
    wanted: Wanted,
) -> Result<RecordBatch> {
    let columns = Arc::clone(&wanted.columns);
    let mut rows = read(files, file, wanted).await?;
    let mut batches = Vec::new();
    while let Some((batch, _)) = rows.next().await? {
        batches.push(batch);
    }
    arrow::compute::concat_batches(&columns, &batches).map_err(failed("join rows"))
}

/// The positions of the wanted rows, in the order of the file.
fn positions_of(group_rows: &[u64], rows: &RowsWanted) -> Vec<u64> {
    let all: u64 = group_rows.iter().sum();
    match rows {
        RowsWanted::Only(rows) => rows.clone(),
        RowsWanted::Except(gone) => {
            let mut gone = gone.iter().peekable();
            let stays = |row: &u64| gone.next_if_eq(&row).is_none();
            (0..all).filter(stays).collect()
        }
        RowsWanted::Within(ranges) => {
            ranges.iter().flat_map(|range| range.start as u64..range.end as u64).collect()
        }
    }
}

/// The selection that skips (or takes) exactly these rows.
fn selection(rows: &[u64], all: u64, skip: bool) -> Result<RowSelection> {
    let count = |rows: u64| usize::try_from(rows).map_err(failed("select rows"));
    let mut selectors = Vec::with_capacity(rows.len() * 2 + 1);
    let mut next = 0;
    for row in rows.iter().filter(|row| **row < all) {
        if *row > next {
            selectors.push(selector(count(row - next)?, !skip));
        }
        selectors.push(selector(1, skip));
        next = row + 1;
    }
    if all > next {
        selectors.push(selector(count(all - next)?, !skip));
    }
    Ok(selectors.into())
}

fn selector(rows: usize, skip: bool) -> RowSelector {
    if skip { RowSelector::skip(rows) } else { RowSelector::select(rows) }
}

/// The file's columns that are wanted.
fn projection(
    file: &ArrowSchemaRef,
    parquet: &parquet::schema::types::SchemaDescriptor,
    wanted: &ArrowSchemaRef,
) -> ProjectionMask {
    let is_wanted = |id| wanted.fields().iter().any(|field| shape::id_of(field) == id);
    let roots = file.fields().iter().enumerate();
    let roots = roots.filter(|(_, field)| is_wanted(shape::id_of(field))).map(|(root, _)| root);
    ProjectionMask::roots(parquet, roots)
}

/// A batch as the file has it, in the form of the present schema.
fn present(batch: &RecordBatch, wanted: &ArrowSchemaRef) -> Result<RecordBatch> {
    let mut columns = Vec::with_capacity(wanted.fields().len());
    for field in wanted.fields() {
        let fields = batch.schema_ref().fields();
        let found = fields.iter().position(|column| shape::id_of(column) == shape::id_of(field));
        columns.push(match found {
            Some(column) => shape::conform(batch.column(column), field, Match::Id)?,
            None if field.is_nullable() => new_null_array(field.data_type(), batch.num_rows()),
            None => {
                let text = format!("the required column `{}` is missing", field.name());
                return Err(Error::new(Kind::Corrupt, text));
            }
        });
    }
    shape::physical_batch(wanted, columns, batch.num_rows())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_follow_the_rows_that_are_read() {
        let groups = [3, 2, 4];
        let check = |rows: RowsWanted, expected: &[u64]| {
            assert_eq!(positions_of(&groups, &rows), expected);
        };
        check(RowsWanted::Except(vec![0, 4, 8]), &[1, 2, 3, 5, 6, 7]);
        check(RowsWanted::Only(vec![2, 5]), &[2, 5]);
        check(RowsWanted::Within(vec![1..3, 7..9]), &[1, 2, 7, 8]);
    }

    #[test]
    fn a_selection_takes_or_skips_exactly_the_given_rows() {
        let taken = selection(&[1, 2, 6], 8, false).unwrap();
        assert_eq!(taken.row_count(), 3);
        let skipped = selection(&[1, 2, 6], 8, true).unwrap();
        assert_eq!((skipped.row_count(), skipped.skipped_row_count()), (5, 3));
    }
}
