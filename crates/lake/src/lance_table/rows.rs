//! A part of an import becomes a version of a Lance table.
//!
//! In: decoded batches in the shape of the type. Out: the version, visible together with the part's
//! row in the import journal. Not here: reading files, what a part is (`import`).

use arrow::record_batch::RecordBatch;
use base::Result;
use futures::FutureExt;
use lance::dataset::WriteMode;
use lance::dataset::write::delete::DeleteBuilder;

use super::{Note, Work};
use crate::Lake;
use crate::commit::CommitInfo;
use crate::commit::contend::contended;
use crate::import::ImportMode;
use crate::lake::object_named;

/// Commits the rows of a part; gives the table's version.
pub(crate) async fn import(
    lake: &Lake,
    type_name: &str,
    mode: ImportMode,
    batches: &[RecordBatch],
    info: &CommitInfo,
) -> Result<i64> {
    let attempt =
        |lake: Lake| async move { once(&lake, type_name, mode, batches, info).await }.boxed();
    contended(lake, &[type_name.into()], attempt).await
}

async fn once(
    lake: &Lake,
    type_name: &str,
    mode: ImportMode,
    batches: &[RecordBatch],
    info: &CommitInfo,
) -> Result<i64> {
    let schema = lake.schema();
    let object = object_named(&schema, type_name)?;
    let table = lake.table(type_name).await?;
    let change = Work::new(lake, object, &table);
    let operation = match mode {
        ImportMode::Replace => {
            change.replace(batches).await?;
            "overwrite"
        }
        ImportMode::Append => {
            let rows = change.rows(batches)?;
            if !change.key.is_empty() {
                change.check_new(&rows).await?;
            }
            change.append(&rows).await?;
            "append"
        }
        ImportMode::Upsert => {
            let rows = change.last_of_each_key(change.rows(batches)?)?;
            change.merge(&rows).await?;
            "overwrite"
        }
    };
    let note = Note { operation, author: &info.author, summary: &info.summary };
    let version = change.publish(note, |_| info.also.clone()).await?;
    Ok(i64::try_from(version).unwrap_or(i64::MAX))
}

impl Work<'_> {
    /// Puts new rows in the place of all others.
    async fn replace(&self, batches: &[RecordBatch]) -> Result<()> {
        let rows = self.rows(batches)?;
        if !self.key.is_empty() {
            self.check_distinct(&rows)?;
        }
        match (rows.is_empty(), self.dataset().await?) {
            (false, None) => self.write(&rows, WriteMode::Create).await,
            (false, Some(_)) => self.write(&rows, WriteMode::Overwrite).await,
            (true, Some(dataset)) => {
                let delete = DeleteBuilder::new(dataset, "true").conflict_retries(0);
                delete.execute().boxed().await.map_err(|error| self.writing(error))?;
                Ok(())
            }
            (true, None) => Ok(()),
        }
    }
}
