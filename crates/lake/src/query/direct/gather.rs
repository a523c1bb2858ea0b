//! Rows of several files brought together.
//!
//! In: places of rows. Out: one array a column, in the order of the places. Narrow columns are cut
//! out of held blocks; of wide ones (long texts, vectors, bytes) only the wanted rows are decoded.
//! Not here: which rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute;
use arrow::datatypes::{Field, Schema};
use base::{Error, Result};
use futures::TryStreamExt;

use super::blocks::BLOCK_ROWS;
use super::unfit;
use crate::query::manifests::FileEntry;
use crate::query::provider::IcebergProvider;
use crate::query::rows::rows_of;
use crate::query::scan::Asked;

/// Rows, each by the block that it is in and its position there.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    pub(super) blocks: Vec<(Arc<FileEntry>, usize)>,
    pub(super) rows: Vec<(usize, usize)>,
}

impl Places {
    /// Adds rows of a block.
    pub(super) fn add(&mut self, file: &Arc<FileEntry>, block: usize, rows: Vec<usize>) {
        if rows.is_empty() {
            return;
        }
        let index = self.blocks.len();
        self.blocks.push((Arc::clone(file), block));
        self.rows.extend(rows.into_iter().map(|row| (index, row)));
    }

    /// The first rows.
    pub(super) fn first(&self, count: usize) -> Places {
        let rows = self.rows[..count].to_vec();
        Places { blocks: self.blocks.clone(), rows }
    }

    /// These rows, in this order.
    pub(super) fn taken(&self, order: &[usize]) -> Places {
        let rows = order.iter().map(|index| self.rows[*index]).collect();
        Places { blocks: self.blocks.clone(), rows }
    }

    /// The blocks that have a row, by number.
    fn used(&self) -> Vec<bool> {
        let mut used = vec![false; self.blocks.len()];
        self.rows.iter().for_each(|(block, _)| used[*block] = true);
        used
    }
}

/// The columns of these fields, in the order that `names` have afterwards: each once.
pub(super) async fn columns(
    asked: &Asked,
    provider: &IcebergProvider,
    places: &Places,
    names: &mut Vec<String>,
) -> Result<Vec<ArrayRef>> {
    names.sort_unstable();
    names.dedup();
    let mut wanted = Vec::with_capacity(names.len());
    for name in names.iter() {
        wanted.push(provider.column(&asked.spec(name)?.column)?);
    }
    let used = places.used();
    let mut wide = Vec::with_capacity(wanted.len());
    for index in &wanted {
        wide.push(is_wide(provider, places, &used, *index).await?);
    }
    let narrow: Vec<usize> = pick(&wanted, &wide, false);
    let held = from_blocks(provider, places, &used, &narrow).await?;
    let exact = from_rows(provider, places, &pick(&wanted, &wide, true)).await?;
    let (mut held, mut exact) = (held.into_iter(), exact.into_iter());
    let in_order = wide.iter().map(|wide| if *wide { exact.next() } else { held.next() });
    in_order
        .map(|column| column.ok_or_else(|| Error::internal("a column was not gathered")))
        .collect()
}

/// The columns of these fields, one for each name.
pub(super) async fn named(
    asked: &Asked,
    provider: &IcebergProvider,
    places: &Places,
    names: &[String],
) -> Result<Vec<ArrayRef>> {
    let mut sorted = names.to_vec();
    let columns = columns(asked, provider, places, &mut sorted).await?;
    let found = |name: &String| sorted.binary_search(name).ok().map(|at| Arc::clone(&columns[at]));
    Ok(names.iter().filter_map(found).collect())
}

fn pick(wanted: &[usize], wide: &[bool], which: bool) -> Vec<usize> {
    let picked = wanted.iter().zip(wide).filter(|(_, wide)| **wide == which);
    picked.map(|(index, _)| *index).collect()
}

async fn is_wide(
    provider: &IcebergProvider,
    places: &Places,
    used: &[bool],
    index: usize,
) -> Result<bool> {
    if provider.columns.schema.field(index).data_type().is_primitive() {
        return Ok(false);
    }
    for ((file, _), _) in places.blocks.iter().zip(used).filter(|(_, used)| **used) {
        if provider.is_wide(file, index).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn from_blocks(
    provider: &IcebergProvider,
    places: &Places,
    used: &[bool],
    wanted: &[usize],
) -> Result<Vec<ArrayRef>> {
    let mut blocks: Vec<Option<Vec<ArrayRef>>> = Vec::with_capacity(used.len());
    for ((file, block), used) in places.blocks.iter().zip(used) {
        blocks.push(match *used && !wanted.is_empty() {
            true => Some(provider.blocks(file, wanted, *block).await?),
            false => None,
        });
    }
    // Only blocks with a row take part, so their numbers move together.
    let mut numbers = vec![0; blocks.len()];
    let mut parts = Vec::new();
    for (block, found) in blocks.into_iter().enumerate() {
        if let Some(found) = found {
            numbers[block] = parts.len();
            parts.push(found);
        }
    }
    let rows: Vec<(usize, usize)> =
        places.rows.iter().map(|(block, row)| (numbers[*block], *row)).collect();
    joined(provider, wanted, &parts, &rows)
}

async fn from_rows(
    provider: &IcebergProvider,
    places: &Places,
    wanted: &[usize],
) -> Result<Vec<ArrayRef>> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    // By file: its position among the parts, and the wanted rows of it in ascending order.
    let mut files: BTreeMap<&str, (&FileEntry, Vec<u64>)> = BTreeMap::new();
    let position = |(block, row): &(usize, usize)| {
        let (file, block) = &places.blocks[*block];
        (file.as_ref(), (block * BLOCK_ROWS + row) as u64)
    };
    for (file, row) in places.rows.iter().map(position) {
        files.entry(file.file.file_path()).or_insert_with(|| (file, Vec::new())).1.push(row);
    }
    let mut parts = Vec::with_capacity(files.len());
    for (file, rows) in files.values_mut() {
        rows.sort_unstable();
        rows.dedup();
        let (engine, columns) = (&provider.engine, &provider.columns);
        let stream = rows_of(engine, columns, file, wanted, Some(rows)).await?;
        let batches: Vec<RecordBatch> = stream.try_collect().await?;
        parts.push(concat(&batches, wanted.len())?);
    }
    let paths: Vec<&str> = files.keys().copied().collect();
    let mut rows = Vec::with_capacity(places.rows.len());
    for (file, row) in places.rows.iter().map(position) {
        let path = file.file.file_path();
        let part = paths.binary_search(&path).unwrap_or(0);
        let at = files.get(path).and_then(|(_, rows)| rows.binary_search(&row).ok());
        rows.push((part, at.ok_or_else(|| Error::internal("a row was not read"))?));
    }
    joined(provider, wanted, &parts, &rows)
}

/// Batches as one array a column.
pub(super) fn concat(batches: &[RecordBatch], columns: usize) -> Result<Vec<ArrayRef>> {
    let parts = |position: usize| -> Vec<&dyn Array> {
        batches.iter().map(|batch| batch.column(position).as_ref()).collect()
    };
    let joined = (0..columns).map(|position| compute::concat(&parts(position)));
    joined.collect::<std::result::Result<_, _>>().map_err(unfit)
}

fn joined(
    provider: &IcebergProvider,
    wanted: &[usize],
    parts: &[Vec<ArrayRef>],
    rows: &[(usize, usize)],
) -> Result<Vec<ArrayRef>> {
    let one = |(position, index): (usize, &usize)| {
        let arrays: Vec<&dyn Array> = parts.iter().map(|part| part[position].as_ref()).collect();
        match arrays.is_empty() {
            true => {
                let data_type = provider.columns.schema.field(*index).data_type();
                Ok(arrow::array::new_empty_array(data_type))
            }
            false => compute::interleave(&arrays, rows).map_err(unfit),
        }
    };
    wanted.iter().enumerate().map(one).collect()
}

/// Columns with API names as a batch.
pub(super) fn batch(names: &[String], columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let fields = names.iter().zip(&columns);
    let fields = fields.map(|(name, column)| Field::new(name, column.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema, columns, &options).map_err(unfit)
}
