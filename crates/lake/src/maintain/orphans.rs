//! Removes files below the tables' folders that nothing needs: left by crashes, lost races, and
//! dropped tables.
//!
//! What is needed: everything that a snapshot of a table that lives or can still be restored refers
//! to, its metadata files, and everything that is younger than the grace period, because a running
//! stage may be about to commit it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use base::ids::NodeId;
use base::{Error, Kind, Result, Timestamp};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};

use super::REMOVAL_LEASE;
use super::expire::retention;
use crate::failure::failed;
use crate::lake::Lake;
use crate::table::Table;

/// How old a file must be before it counts as left: longer than any import runs.
pub const GRACE: Duration = Duration::from_secs(3 * 24 * 3600);

/// How long one removal may hold others back when its process dies.
pub(crate) const HELD: Duration = Duration::from_secs(3600);

/// What a clean-up did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Files that were removed.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Dropped tables that cannot be restored any more.
    pub tables: u64,
}

impl Lake {
    /// Removes files that nothing needs and that are older than `grace`.
    pub async fn clean_orphans(&self, grace: Duration) -> Result<Cleaned> {
        let removal = self.hold_removal().await?;
        let result = self.clean(grace).await;
        meta::leases::release(self.catalog().database(), &removal).await?;
        result
    }

    async fn clean(&self, grace: Duration) -> Result<Cleaned> {
        let now = self.config().clock.now();
        let mut cleaned = Cleaned::default();
        let tables = self.tables().await?;
        // Files of Lance datasets are removed by nobody yet; removing too little loses nothing.
        for table in tables.iter().filter(|table| table.iceberg.is_some()) {
            // The files are listed before the table is read again, so that what is committed
            // meanwhile is among what is needed.
            let found = self.old_files(table, before(now, grace)).await?;
            let table = self.table(&table.type_name).await?;
            let needed = self.needed(&table).await?;
            for meta in found.iter().filter(|meta| !needed.contains(&meta.location)) {
                self.remove(meta, &mut cleaned).await?;
            }
        }
        for (table, dropped_at) in self.catalog().dropped().await? {
            let Some(metadata) = &table.iceberg else { continue };
            if dropped_at > before(now, retention(metadata).unwrap_or(self.config().retain)) {
                continue;
            }
            self.catalog().forget(table.id).await?;
            for meta in self.old_files(&table, now).await? {
                self.remove(&meta, &mut cleaned).await?;
            }
            cleaned.tables += 1;
        }
        Ok(cleaned)
    }

    async fn remove(&self, meta: &ObjectMeta, cleaned: &mut Cleaned) -> Result<()> {
        let removed = self.config().objects.delete(&meta.location).await;
        match removed {
            Ok(()) => {
                cleaned.files += 1;
                cleaned.bytes += meta.size;
                Ok(())
            }
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(format!("remove `{}`", meta.location))(error)),
        }
    }

    /// Data and metadata files below a table's folder that are older than `before`.
    async fn old_files(&self, table: &Table, before: Timestamp) -> Result<Vec<ObjectMeta>> {
        let mut found = Vec::new();
        for part in ["data", "metadata"] {
            let folder =
                self.locations().path(&format!("{}/{part}", table.iceberg()?.location()))?;
            let listed = self.config().objects.list(Some(&folder)).try_collect::<Vec<_>>().await;
            let listed = listed.map_err(failed(format!("list `{folder}`")))?;
            let is_old =
                |meta: &ObjectMeta| meta.last_modified.timestamp_micros() <= before.as_micros();
            found.extend(listed.into_iter().filter(is_old));
        }
        Ok(found)
    }

    /// The objects that a table needs.
    async fn needed(&self, table: &Arc<Table>) -> Result<HashSet<Path>> {
        let metadata = table.iceberg()?;
        let mut locations = vec![table.metadata_location.to_string()];
        locations.extend(metadata.metadata_log().iter().map(|log| log.metadata_file.clone()));
        for snapshot in metadata.snapshots() {
            locations.extend(self.locations_of(metadata, snapshot).await?);
        }
        locations.iter().map(|location| self.locations().path(location)).collect()
    }

    /// Keeps other removals and backups away; held for an hour at most.
    pub(crate) async fn hold_removal(&self) -> Result<meta::leases::Lease> {
        let (database, clock) = (self.catalog().database(), &self.config().clock);
        let holder = NodeId::generate(&self.config().rng);
        let lease = meta::leases::acquire(database, clock, REMOVAL_LEASE, holder, HELD).await?;
        lease.ok_or_else(|| {
            Error::new(Kind::Unavailable, "a backup or another clean-up is running")
                .hint("repeat the command when it has ended")
        })
    }
}

fn before(now: Timestamp, age: Duration) -> Timestamp {
    let micros = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(now.as_micros().saturating_sub(micros))
}
