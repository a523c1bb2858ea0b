//! Reads chosen rows of one Parquet data file, knowing where each of them stands in it.
//!
//! In: a data file, columns of the table and positions. Out: batches of exactly those rows, in the
//! order of the file, as the table has them today. Not here: which rows (`search`), whole scans,
//! which DataFusion does better (`provider`).

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use base::{Error, Kind, Result};
use frame::BatchStream;
use futures::StreamExt;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, RowSelection};
use parquet::arrow::async_reader::{ParquetObjectReader, ParquetRecordBatchStreamBuilder};

use super::columns::Columns;
use super::engine::Engine;
use super::manifests::FileEntry;

/// Rows of one batch.
const BATCH_ROWS: usize = 8192;

/// The rows of a file at `positions`, which ascend; all of them without.
pub(crate) async fn rows_of(
    engine: &Engine,
    columns: &Arc<Columns>,
    entry: &FileEntry,
    wanted: &[usize],
    positions: Option<&[u64]>,
) -> Result<BatchStream> {
    let rows = usize::try_from(entry.file.record_count()).unwrap_or(usize::MAX);
    let selection = positions.map(|positions| selection(positions, rows));
    selected(engine, columns, entry, wanted, selection).await
}

/// The rows of a file that a selection takes; all of them without.
pub(crate) async fn selected(
    engine: &Engine,
    columns: &Arc<Columns>,
    entry: &FileEntry,
    wanted: &[usize],
    selection: Option<RowSelection>,
) -> Result<BatchStream> {
    let meta = engine.object_meta(&entry.file)?;
    let footer = engine.footer(&meta).await?;
    let metadata = ArrowReaderMetadata::try_new(footer, ArrowReaderOptions::new())
        .map_err(|error| damaged(entry, error))?;
    let reader = ParquetObjectReader::new(Arc::clone(&engine.objects), meta.location)
        .with_file_size(meta.size);
    let builder = ParquetRecordBatchStreamBuilder::new_with_metadata(reader, metadata);
    let roots = columns.sources(wanted, builder.schema());
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
    let mut builder = builder.with_projection(mask).with_batch_size(BATCH_ROWS);
    if let Some(selection) = selection {
        builder = builder.with_row_selection(selection);
    }
    let stream = builder.build().map_err(|error| damaged(entry, error))?;
    let (columns, wanted) = (Arc::clone(columns), wanted.to_vec());
    let schema = projected(&columns, &wanted);
    let location = entry.file.file_path().to_owned();
    Ok(Box::pin(stream.map(move |batch| {
        let batch = batch.map_err(|error| {
            Error::new(Kind::Corrupt, format!("failed to read `{location}`")).caused_by(error)
        })?;
        as_table(&columns, &wanted, &schema, &batch)
    })))
}

fn damaged(entry: &FileEntry, error: parquet::errors::ParquetError) -> Error {
    Error::new(Kind::Corrupt, format!("failed to read `{}`", entry.file.file_path()))
        .caused_by(error)
}

/// The schema of some of the table's columns.
pub(crate) fn projected(columns: &Columns, wanted: &[usize]) -> SchemaRef {
    let fields: Vec<_> =
        wanted.iter().map(|index| Arc::clone(&columns.schema.fields()[*index])).collect();
    Arc::new(Schema::new(fields))
}

fn as_table(
    columns: &Columns,
    wanted: &[usize],
    schema: &SchemaRef,
    batch: &RecordBatch,
) -> Result<RecordBatch> {
    let arrays = wanted.iter().map(|index| columns.read(*index, batch));
    let arrays = arrays.collect::<Result<Vec<ArrayRef>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options).map_err(|error| {
        Error::new(Kind::Corrupt, "stored rows do not fit the table").caused_by(error)
    })
}

fn selection(positions: &[u64], rows: usize) -> RowSelection {
    let mut ranges: Vec<std::ops::Range<usize>> = Vec::new();
    for position in positions {
        let at = usize::try_from(*position).unwrap_or(usize::MAX);
        match ranges.last_mut() {
            Some(range) if range.end == at => range.end += 1,
            _ => ranges.push(at..at + 1),
        }
    }
    RowSelection::from_consecutive_ranges(ranges.into_iter(), rows)
}
