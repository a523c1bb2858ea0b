//! Parquet files without the bounds of columns that may hold NaN.
//!
//! In: the files of a scan. Out: readers whose footers say nothing about the least and the greatest value of
//! such columns. Parquet's bounds leave NaN out, which sorts above all numbers here: by its bounds a row group
//! or a page with a NaN would be passed over where `value > 5` is asked, and a search for the greatest rows
//! would miss it. Not here: which files are read (`prune`).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use iceberg::spec::DataFile;
use object_store::path::Path;
use parquet::basic::Type as PhysicalType;
use parquet::errors::Result as ParquetResult;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataBuilder};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::schema::types::ColumnDescriptor;

use super::readers::ChangedReaders;

/// Columns of files that surely hold no NaN, by field id; of a file that is not among them, no column is known
/// to be so.
pub(super) type Safe = HashMap<Path, Arc<HashSet<i32>>>;

/// Columns of a file that surely hold no NaN.
pub(super) fn without_nan(file: &DataFile) -> HashSet<i32> {
    let counts = file.nan_value_counts().iter();
    counts.filter(|(_, count)| **count == 0).map(|(id, _)| *id).collect()
}

/// Readers that leave out bounds which do not hold.
pub(super) fn true_bounds(
    inner: Arc<dyn ParquetFileReaderFactory>,
    safe: Safe,
) -> Arc<dyn ParquetFileReaderFactory> {
    ChangedReaders::over(inner, move |file| {
        let safe = safe.get(&file.object_meta.location).cloned().unwrap_or_default();
        Arc::new(move |footer| without_false_bounds(footer, &safe))
    })
}

/// The footer without the bounds of float columns that are not known to be free of NaN.
fn without_false_bounds(
    footer: Arc<ParquetMetaData>,
    safe: &HashSet<i32>,
) -> ParquetResult<Arc<ParquetMetaData>> {
    let columns = footer.file_metadata().schema_descr().columns();
    let doubtful: Vec<bool> = columns.iter().map(|column| is_doubtful(column, safe)).collect();
    if !doubtful.contains(&true) {
        return Ok(footer);
    }
    let groups = footer.row_groups().iter().map(|group| {
        let chunks = group.columns().iter().zip(&doubtful).map(|(chunk, doubtful)| {
            let chunk = chunk.clone();
            if *doubtful { chunk.into_builder().clear_statistics().build() } else { Ok(chunk) }
        });
        let chunks = chunks.collect::<ParquetResult<Vec<_>>>()?;
        group.clone().into_builder().set_column_metadata(chunks).build()
    });
    let groups = groups.collect::<ParquetResult<Vec<_>>>()?;
    let pages = footer.column_index().map(|groups| {
        let pages = groups.iter().map(|group| {
            let columns = group.iter().zip(&doubtful).map(|(pages, doubtful)| match doubtful {
                true => ColumnIndexMetaData::NONE,
                false => pages.clone(),
            });
            columns.collect()
        });
        pages.collect()
    });
    let footer = ParquetMetaDataBuilder::new(footer.file_metadata().clone())
        .set_row_groups(groups)
        .set_column_index(pages)
        .set_offset_index(footer.offset_index().cloned())
        .build();
    Ok(Arc::new(footer))
}

fn is_doubtful(column: &ColumnDescriptor, safe: &HashSet<i32>) -> bool {
    let is_float = matches!(column.physical_type(), PhysicalType::FLOAT | PhysicalType::DOUBLE);
    let info = column.self_type().get_basic_info();
    is_float && !(info.has_id() && safe.contains(&info.id()))
}
