//! Goes back to what an earlier snapshot holds, by a new snapshot: history only grows.

use base::{Error, Kind, Result};
use futures::FutureExt;
use iceberg::spec::Operation;
use schema::TableFormat;

use crate::commit::CommitInfo;
use crate::commit::contend::contended;
use crate::commit::delta::Delta;
use crate::commit::snapshot;
use crate::lake::Lake;
use crate::lance_table;
use crate::table::{Snapshot, Table};

impl Lake {
    /// Makes the table hold what it held in this snapshot.
    pub async fn rollback(&self, type_name: &str, id: i64, author: &str) -> Result<Snapshot> {
        let attempt =
            |lake: Lake| async move { lake.try_rollback(type_name, id, author).await }.boxed();
        contended(self, &[type_name.into()], attempt).await
    }

    async fn try_rollback(&self, type_name: &str, id: i64, author: &str) -> Result<Snapshot> {
        let table = self.table(type_name).await?;
        if table.format == TableFormat::Lance {
            return lance_table::rollback(self, type_name, id, author).await;
        }
        check(&table, id)?;
        let delta = Delta {
            operation: Some(Operation::Overwrite),
            content_of: Some(id),
            ..Delta::default()
        };
        let info = CommitInfo {
            author: author.into(),
            summary: format!("rollback to {id}").into(),
            ..CommitInfo::default()
        };
        let written = snapshot::write(self, &table, delta, &info).await?;
        let mut snapshots = self.publish(vec![written], &[]).await?;
        snapshots.pop().ok_or_else(|| Error::internal("a rollback made no snapshot"))
    }
}

/// Refuses a snapshot that is gone, or whose files lack a column that is required now.
fn check(table: &Table, id: i64) -> Result<()> {
    let metadata = table.iceberg()?;
    let snapshot = metadata.snapshot_by_id(id).ok_or_else(|| {
        Error::not_found(format!("table `{}` has no snapshot {id}", table.name))
            .hint("`headwater snapshots` lists those that can be read")
    })?;
    let then = snapshot.schema_id().and_then(|id| metadata.schema_by_id(id));
    let Some(then) = then else { return Ok(()) };
    for field in metadata.current_schema().as_struct().fields() {
        if field.required && then.field_by_id(field.id).is_none_or(|before| !before.required) {
            let text = format!(
                "snapshot {id} of table `{}` is from before column `{}` was required",
                table.name, field.name
            );
            return Err(Error::new(Kind::Unsupported, text)
                .hint("undo the schema change first, or read the snapshot with `--at`"));
        }
    }
    Ok(())
}
