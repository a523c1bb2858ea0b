//! Text indexes of the present snapshot: made before anybody asks, and how many rows lack one.
//!
//! In: a table. Out: an index for every data file, under the budget of background work; the rows of
//! files without one. Not here: how an index is made (`search`).

use std::collections::HashSet;

use base::Result;
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::path::Path;

use crate::failure::failed;
use crate::lake::Lake;
use crate::query::searched::{SearchedFile, searched_files, text_folder};
use crate::search::parts::list_of;
use crate::table::Table;

impl Lake {
    /// Makes the text indexes that files of the present snapshot lack.
    pub(super) async fn tend_texts(&self, table: &Table) -> Result<()> {
        for file in self.unindexed(table).await? {
            self.inner.budget.take(file.bytes).await;
            let texts = &self.inner.query.texts;
            texts.parts(&text_folder(table), &file.texts).await?;
        }
        Ok(())
    }

    /// Rows of the present snapshot that a text search would have to index first.
    pub(super) async fn unindexed_texts(&self, table: &Table) -> Result<u64> {
        Ok(self.unindexed(table).await?.iter().map(|file| file.texts.rows).sum())
    }

    async fn unindexed(&self, table: &Table) -> Result<Vec<SearchedFile>> {
        let schema = self.schema();
        let Some(object) = schema.types.get(&table.type_name) else { return Ok(Vec::new()) };
        if table.iceberg.is_none() || !object.columns().any(|(def, _)| def.search) {
            return Ok(Vec::new());
        }
        let folder = text_folder(table);
        let listed = self.config().objects.list(Some(&folder)).try_collect::<Vec<_>>().await;
        let listed = listed.map_err(failed(format!("list `{folder}`")))?;
        let known: HashSet<Path> = listed.into_iter().map(|meta| meta.location).collect();
        let mut files = searched_files(self, table, object).await?;
        files.retain(|file| !known.contains(&list_of(&folder, &file.texts)));
        Ok(files)
    }
}
