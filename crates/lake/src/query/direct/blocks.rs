//! Decoded columns, block by block, held for the next look-up.
//!
//! In: a file, columns and the number of a block. Out: the columns' arrays of the block's rows, as
//! the table has them today. A block is as many rows as our writer puts into one page, so a block
//! that is not held costs one page for each column. Not here: which rows of it are wanted.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use base::{Error, Kind, Result};
use futures::TryStreamExt;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use parquet::arrow::parquet_to_arrow_schema;

use crate::query::manifests::FileEntry;
use crate::query::provider::IcebergProvider;
use crate::query::rows::selected;

/// Rows of a block: those of a page that our writer makes.
pub(crate) const BLOCK_ROWS: usize = 8192;
/// Blocks that the first rows of an order are looked for in; a page of a table in 32 buckets is in as many.
pub(super) const MOST_BLOCKS_ORDERED: usize = 64;
/// Bytes of decoded blocks that are held.
pub(crate) const HELD_BYTES: usize = 128 << 20;

/// Bytes of a decoded block past which only the wanted rows are decoded.
const WIDE: u64 = 1 << 20;

/// How many blocks a file has.
pub(super) fn count(file: &FileEntry) -> usize {
    usize::try_from(file.file.record_count()).unwrap_or(usize::MAX).div_ceil(BLOCK_ROWS)
}

/// How many rows a block has.
pub(super) fn rows(file: &FileEntry, block: usize) -> usize {
    let all = usize::try_from(file.file.record_count()).unwrap_or(usize::MAX);
    all.saturating_sub(block * BLOCK_ROWS).min(BLOCK_ROWS)
}

/// A block of a column: the file, the column's id, the number of the block.
pub(crate) type BlockKey = (Arc<str>, i32, u32);

impl IcebergProvider {
    /// The position of a column.
    pub(super) fn column(&self, name: &str) -> Result<usize> {
        self.columns.schema.index_of(name).map_err(|_| {
            Error::new(Kind::Stale, format!("the table has no column `{name}` yet"))
                .hint("run `headwater apply` to carry the schema's changes out")
        })
    }

    /// Columns of one block of a file, by their positions in the table.
    pub(super) async fn blocks(
        &self,
        file: &FileEntry,
        wanted: &[usize],
        block: usize,
    ) -> Result<Vec<ArrayRef>> {
        let path = Arc::<str>::from(file.file.file_path());
        let key = |index: usize| -> Option<BlockKey> {
            let number = u32::try_from(block).unwrap_or(u32::MAX);
            Some((Arc::clone(&path), self.held_id(index)?, number))
        };
        let held = |index: &usize| {
            let held = self.engine.blocks.get(&key(*index)?)?;
            // A column that was widened since has another type now.
            (held.data_type() == self.columns.schema.field(*index).data_type()).then_some(held)
        };
        let mut found: Vec<Option<ArrayRef>> = wanted.iter().map(held).collect();
        let missing: Vec<usize> = wanted
            .iter()
            .zip(&found)
            .filter(|(_, found)| found.is_none())
            .map(|(index, _)| *index)
            .collect();
        if !missing.is_empty() {
            let mut read = self.read_block(file, &missing, block).await?.into_iter();
            for (index, slot) in wanted.iter().zip(&mut found).filter(|(_, slot)| slot.is_none()) {
                let array = read.next().ok_or_else(|| Error::internal("a column was not read"))?;
                if let Some(key) = key(*index) {
                    let weight = array.get_array_memory_size() + 128;
                    self.engine.blocks.put(key, Arc::clone(&array), weight);
                }
                *slot = Some(array);
            }
        }
        Ok(found.into_iter().flatten().collect())
    }

    /// The id under which blocks of a column are held. Nothing for a column that an earlier version
    /// of the schema reads in its own way, which others would find, and nothing for nested ones, whose
    /// parts have ids of their own.
    fn held_id(&self, index: usize) -> Option<i32> {
        let nested = self.columns.schema.field(index).data_type().is_nested();
        self.columns.id(index).filter(|_| !nested)
    }

    /// Whether a block of the column is too large to be held.
    pub(super) async fn is_wide(&self, file: &FileEntry, index: usize) -> Result<bool> {
        let Some(id) = self.columns.file_id(index) else {
            return self.find_wide(file, index).await;
        };
        let key = (Arc::<str>::from(file.file.file_path()), id);
        if let Some(known) = self.engine.wide.get(&key) {
            return Ok(known);
        }
        let wide = self.find_wide(file, index).await?;
        self.engine.wide.put(key, wide, 1);
        Ok(wide)
    }

    async fn find_wide(&self, file: &FileEntry, index: usize) -> Result<bool> {
        let meta = self.engine.object_meta(&file.file)?;
        let footer = self.engine.footer(&meta).await?;
        let descriptor = footer.file_metadata().schema_descr();
        let schema = parquet_to_arrow_schema(descriptor, None).map_err(|error| {
            let text = format!("failed to read `{}`", file.file.file_path());
            Error::new(Kind::Corrupt, text).caused_by(error)
        })?;
        let Some(root) = self.columns.sources(&[index], &schema).first().copied() else {
            return Ok(false);
        };
        let leaves = (0..descriptor.num_columns())
            .filter(|leaf| descriptor.get_column_root_idx(*leaf) == root);
        let groups = footer.row_groups();
        let bytes = leaves.map(|leaf| {
            let sizes = groups.iter().map(|group| group.column(leaf).uncompressed_size());
            u64::try_from(sizes.sum::<i64>()).unwrap_or(0)
        });
        let blocks = count(file).max(1) as u64;
        Ok(bytes.sum::<u64>() / blocks > WIDE)
    }

    async fn read_block(
        &self,
        file: &FileEntry,
        wanted: &[usize],
        block: usize,
    ) -> Result<Vec<ArrayRef>> {
        let rows = usize::try_from(file.file.record_count()).unwrap_or(usize::MAX);
        let start = block * BLOCK_ROWS;
        let end = (start + BLOCK_ROWS).min(rows);
        let selection = RowSelection::from(vec![
            RowSelector::skip(start),
            RowSelector::select(end.saturating_sub(start)),
            RowSelector::skip(rows - end),
        ]);
        let stream = selected(&self.engine, &self.columns, file, wanted, Some(selection)).await?;
        let batches: Vec<_> = stream.try_collect().await?;
        super::gather::concat(&batches, wanted.len())
    }
}
