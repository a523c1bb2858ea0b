//! How the tables stand: rows, files, and what maintenance would find to do.

use base::Result;
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::path::Path;

use crate::failure::failed;
use crate::lake::Lake;
use crate::maintain::choose;
use crate::table::Table;

/// How one table stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableStatus {
    /// The type.
    pub type_name: String,
    /// The SQL name.
    pub name: String,
    /// Live rows.
    pub rows: u64,
    /// Bytes of its data and delete files.
    pub bytes: u64,
    /// Bytes of media and vectors beside its rows, and of a Lance table all of its bytes.
    pub beside_bytes: u64,
    /// Data files.
    pub files: u64,
    /// Data files that a compaction would join.
    pub small_files: u64,
    /// Position-delete files.
    pub delete_files: u64,
    /// Rows that are deleted by them and still in data files.
    pub deleted_rows: u64,
    /// Snapshots that can be read.
    pub snapshots: u64,
    /// Snapshots that an expiry would let go.
    pub expired_snapshots: u64,
    /// Rows that an index should cover and does not yet.
    pub unindexed_rows: u64,
    /// Bytes that nothing needs, as the last round of maintenance counted them.
    pub orphan_bytes: u64,
}

impl Lake {
    /// How all tables stand, by name.
    pub async fn status(&self) -> Result<Vec<TableStatus>> {
        let mut all = Vec::new();
        for table in self.tables().await? {
            all.push(self.table_status(&table).await?);
        }
        Ok(all)
    }

    /// How the table of a type stands.
    pub async fn status_of(&self, type_name: &str) -> Result<TableStatus> {
        self.table_status(&*self.table(type_name).await?).await
    }

    /// Bytes of what lies beside the rows of a table.
    pub async fn beside_bytes(&self, table: &Table) -> Result<u64> {
        let mut bytes = 0;
        let folders = [format!("_companions/{}", table.id), format!("_tables/{}.lance", table.id)];
        for folder in folders {
            let mut listed = self.config().objects.list(Some(&Path::from(folder)));
            while let Some(meta) = listed.try_next().await.map_err(failed("list objects"))? {
                bytes += meta.size;
            }
        }
        Ok(bytes)
    }

    async fn table_status(&self, table: &Table) -> Result<TableStatus> {
        let mut status = TableStatus {
            type_name: table.type_name.to_string(),
            name: table.name.to_string(),
            rows: 0,
            bytes: 0,
            beside_bytes: self.beside_bytes(table).await?,
            files: 0,
            small_files: 0,
            delete_files: 0,
            deleted_rows: 0,
            snapshots: 0,
            expired_snapshots: 0,
            unindexed_rows: self.unindexed_texts(table).await?
                + self.unindexed_vectors(table).await?,
            orphan_bytes: self.orphan_bytes(table).await?,
        };
        let Some(metadata) = &table.iceberg else {
            let snapshots = self.snapshots(&table.type_name).await?;
            let present = snapshots.last();
            status.rows = present.map_or(0, |last| last.rows);
            status.files = present.map_or(0, |last| last.files);
            status.snapshots = snapshots.len() as u64;
            status.expired_snapshots = self.expired_versions(table).await?;
            return Ok(status);
        };
        let snapshots = table.snapshots();
        let present = metadata.current_snapshot().map(|snapshot| snapshot.as_ref());
        let content = self.files().content(metadata, present).await?;
        status.rows = snapshots.last().map_or(0, |last| last.rows);
        status.bytes = snapshots.last().map_or(0, |last| last.bytes);
        status.files = content.data.len() as u64;
        status.small_files =
            content.data.iter().filter(|file| choose::is_small(file)).count() as u64;
        status.delete_files = content.deletes.len() as u64;
        let deleted = content.deletes.iter().map(|delete| delete.entry.record_count());
        status.deleted_rows = deleted.sum();
        status.snapshots = snapshots.len() as u64;
        status.expired_snapshots = self.expired(metadata, None).len() as u64;
        Ok(status)
    }
}
