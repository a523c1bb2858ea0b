//! Lets old snapshots go, and dooms the files that only they needed: a running scan may still read
//! them (`doomed`).

use std::collections::HashSet;
use std::time::Duration;

use base::Result;
use futures::FutureExt;
use iceberg::spec::{Snapshot as IcebergSnapshot, SnapshotRef, TableMetadata};

use super::{RETENTION, doomed};
use crate::commit::CommitInfo;
use crate::commit::contend::contended;
use crate::commit::delta::{Alter, Delta};
use crate::commit::snapshot;
use crate::lake::Lake;

/// What an expiry did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// Snapshots that can no longer be read.
    pub snapshots: u64,
    /// Files that nothing but them needed; they are removed when no scan can read them any more.
    pub files: u64,
}

impl Lake {
    /// Lets the snapshots go that are older than `keep` (else the type's `retain`, else the project's); the
    /// present one always stays.
    pub async fn expire(&self, type_name: &str, keep: Option<Duration>) -> Result<Expired> {
        let attempt = |lake: Lake| async move { lake.try_expire(type_name, keep).await }.boxed();
        contended(self, &[type_name.into()], attempt).await
    }

    /// The snapshots that are older than what is kept; never the present one.
    pub(crate) fn expired<'a>(
        &self,
        metadata: &'a TableMetadata,
        keep: Option<Duration>,
    ) -> impl Iterator<Item = &'a SnapshotRef> {
        let keep = keep.or_else(|| retention(metadata)).unwrap_or(self.config().retain);
        let micros = i64::try_from(keep.as_micros()).unwrap_or(i64::MAX);
        let oldest = self.config().clock.now().as_micros().saturating_sub(micros) / 1000;
        let present = metadata.current_snapshot_id();
        metadata.snapshots().filter(move |snapshot| {
            snapshot.timestamp_ms() < oldest && Some(snapshot.snapshot_id()) != present
        })
    }

    async fn try_expire(&self, type_name: &str, keep: Option<Duration>) -> Result<Expired> {
        let table = self.table(type_name).await?;
        let Some(metadata) = table.iceberg.clone() else {
            return self.expire_versions(&table, keep).await;
        };
        let old: Vec<_> = self.expired(&metadata, keep).collect();
        if old.is_empty() {
            return Ok(Expired::default());
        }
        let mut gone = HashSet::new();
        for snapshot in &old {
            gone.extend(self.locations_of(&metadata, snapshot).await?);
        }
        let ids: Vec<i64> = old.iter().map(|snapshot| snapshot.snapshot_id()).collect();
        for snapshot in metadata.snapshots().filter(|one| !ids.contains(&one.snapshot_id())) {
            for location in self.locations_of(&metadata, snapshot).await? {
                gone.remove(&location);
            }
        }
        let count = ids.len() as u64;
        let alter: Alter = Box::new(move |builder| Ok(builder.remove_snapshots(&ids)));
        let delta = Delta { alter: Some(alter), ..Delta::default() };
        let written = snapshot::write(self, &table, delta, &CommitInfo::default()).await?;
        let path = |location: &String| Ok(self.locations().path(location)?.to_string());
        let mut paths: Vec<String> = gone.iter().map(path).collect::<Result<_>>()?;
        paths.sort_unstable();
        let doomed = doomed::statements(&paths, self.config().clock.now());
        self.publish(vec![written], &doomed).await?;
        Ok(Expired { snapshots: count, files: gone.len() as u64 })
    }

    /// Everything that a snapshot needs to be read, but the metadata file.
    pub(crate) async fn locations_of(
        &self,
        metadata: &TableMetadata,
        snapshot: &IcebergSnapshot,
    ) -> Result<Vec<String>> {
        let mut locations = vec![snapshot.manifest_list().to_owned()];
        for manifest in self.files().manifest_list(metadata, snapshot).await?.iter() {
            locations.push(manifest.manifest_path.clone());
            let entries = self.files().manifest(manifest).await?;
            let alive = entries.entries().iter().filter(|entry| entry.is_alive());
            locations.extend(alive.map(|entry| entry.file_path().to_owned()));
        }
        Ok(locations)
    }
}

/// How long the table's snapshots are kept.
pub(super) fn retention(metadata: &TableMetadata) -> Option<Duration> {
    let millis = metadata.properties().get(RETENTION).and_then(|text| text.parse().ok());
    millis.map(Duration::from_millis)
}
