//! Which rows of a data file have which content.
//!
//! In: a file and a column with vectors. Out: the content of each row, and the rows of each content,
//! read once: a data file never changes. Not here: where the vectors of contents are
//! (`companion::held`).

use std::sync::Arc;

use base::Result;
use futures::TryStreamExt;

use crate::companion::content::{Content, contents};
use crate::query::failure;
use crate::query::manifests::FileEntry;
use crate::query::provider::IcebergProvider;
use crate::query::rows::rows_of;

/// Bytes of contents that are held.
pub(crate) const HELD_BYTES: usize = 128 << 20;
/// Bytes that are held for a row.
const ROW_BYTES: usize = size_of::<Option<Content>>() + size_of::<u32>();

/// The contents of a file's rows.
#[derive(Debug)]
pub(crate) struct RowContents {
    by_row: Vec<Option<Content>>,
    /// Rows that have a content, in the order of the contents and then of the rows.
    by_content: Vec<u32>,
}

impl RowContents {
    fn new(by_row: Vec<Option<Content>>) -> RowContents {
        let rows = (0..u32::try_from(by_row.len()).unwrap_or(u32::MAX)).collect::<Vec<_>>();
        let mut by_content = rows;
        by_content.retain(|row| by_row[*row as usize].is_some());
        by_content.sort_by_key(|row| by_row[*row as usize]);
        RowContents { by_row, by_content }
    }

    /// The content of a row.
    pub(super) fn content(&self, row: usize) -> Option<&Content> {
        self.by_row.get(row)?.as_ref()
    }

    /// The rows that have a content, ascending.
    pub(super) fn rows(&self, content: &Content) -> impl Iterator<Item = usize> {
        let of = |row: &u32| self.by_row[*row as usize].as_ref();
        let first = self.by_content.partition_point(|row| of(row) < Some(content));
        let rest = self.by_content[first..].iter();
        rest.take_while(move |row| of(row) == Some(content)).map(|row| *row as usize)
    }
}

impl IcebergProvider {
    /// The contents of a column in each of the table's files; nothing when they are more than are
    /// held, or when an earlier version of the schema reads the column in its own way.
    pub(super) async fn contents(&self, column: usize) -> Result<Option<Vec<Arc<RowContents>>>> {
        let rows = self.files.data.iter().map(|file| file.file.record_count()).sum::<u64>();
        let fit = usize::try_from(rows).is_ok_and(|rows| rows <= HELD_BYTES / 2 / ROW_BYTES);
        let Some(id) = self.columns.id(column).filter(|_| fit) else { return Ok(None) };
        let mut all = Vec::with_capacity(self.files.data.len());
        for file in &self.files.data {
            all.push(self.contents_of(file, column, id).await?);
        }
        Ok(Some(all))
    }

    async fn contents_of(
        &self,
        file: &FileEntry,
        column: usize,
        id: i32,
    ) -> Result<Arc<RowContents>> {
        let key = (Arc::<str>::from(file.file.file_path()), id);
        if let Some(held) = self.engine.contents.get(&key) {
            return Ok(held);
        }
        let mut batches = rows_of(&self.engine, &self.columns, file, &[column], None).await?;
        let mut by_row = Vec::new();
        while let Some(batch) = batches.try_next().await? {
            by_row.extend(contents(batch.column(0)).map_err(failure::of_query)?);
        }
        let weight = by_row.len() * ROW_BYTES + 128;
        let made = base::task::blocking("sort-contents", move || RowContents::new(by_row)).await?;
        let made = Arc::new(made);
        self.engine.contents.put(key, Arc::clone(&made), weight);
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_by_content() {
        let (a, b) = (Some([1; 32]), Some([2; 32]));
        let made = RowContents::new(vec![b, None, a, b, a]);
        let rows = |content: Content| made.rows(&content).collect::<Vec<_>>();
        assert_eq!((rows([1; 32]), rows([2; 32]), rows([3; 32])), (vec![2, 4], vec![0, 3], vec![]));
        assert_eq!((made.content(1), made.content(3)), (None, b.as_ref()));
    }
}
