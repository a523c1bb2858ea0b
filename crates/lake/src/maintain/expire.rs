//! Lets old snapshots go, and dooms the files that only they needed: a running scan may still read
//! them (`doomed`).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use base::{Kind, Result};
use futures::{StreamExt, TryStreamExt, stream};
use iceberg::spec::{Snapshot as IcebergSnapshot, SnapshotRef, TableMetadata};

use super::thin::{Made, superfluous};
use super::turn::Turn;
use super::{RETENTION, doomed};
use crate::commit::CommitInfo;
use crate::commit::contend::Contender;
use crate::commit::delta::{Alter, Delta};
use crate::commit::snapshot;
use crate::lake::Lake;

/// Snapshots that are worth an expiry between two rounds.
const MANY: usize = 100;
/// Snapshots whose files are read at the same time.
const READ_AT_ONCE: usize = 8;

/// What an expiry did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// Snapshots that can no longer be read.
    pub snapshots: u64,
    /// Files that nothing but them needed; they are removed when no scan can read them any more.
    pub files: u64,
}

/// What the attempts of one expiry know.
#[derive(Debug, Default)]
struct Seen {
    /// Snapshots to let go, as they were found at the beginning.
    old: HashSet<i64>,
    /// Snapshots whose files are known.
    snapshots: HashSet<i64>,
    /// Files of the former.
    gone: HashSet<String>,
    /// Files of all others.
    needed: HashSet<String>,
}

impl Lake {
    /// Lets the snapshots go that are older than `keep` (else the type's `retain`, else the project's, and
    /// then those that are too many); the present one always stays.
    pub async fn expire(&self, type_name: &str, keep: Option<Duration>) -> Result<Expired> {
        let types = [Arc::from(type_name)];
        let mut seen = Seen::default();
        let mut contender = Contender::new(self);
        contender.start(&types, false).await?;
        let result = loop {
            match contender.lake().try_expire(type_name, keep, &mut seen).await {
                Err(error) if error.kind() == Kind::Conflict => {
                    if let Err(error) = contender.again(error, &types).await {
                        break Err(error);
                    }
                }
                result => break result,
            }
        };
        contender.end().await;
        result
    }

    /// Expires between two rounds, once a good part of the snapshots is older than what is kept, or they
    /// are too many: each commit writes the whole list of them anew.
    pub(super) async fn expire_when_due(&self, type_name: &str) -> Result<()> {
        let table = self.table(type_name).await?;
        let Some(metadata) = &table.iceberg else { return Ok(()) };
        let old = self.expired(metadata, None).len();
        if old < MANY || old < metadata.snapshots().len() / 4 {
            return Ok(());
        }
        let Some(turn) = Turn::take(self, "expire", &table).await? else { return Ok(()) };
        let expired = self.expire(type_name, None).await;
        turn.end(self).await?;
        tracing::info!(type_name, snapshots = expired?.snapshots, "let old snapshots go");
        Ok(())
    }

    /// The snapshots that are older than `keep`, else than what is kept, and then those above the project's
    /// bound on their number too; never the present one.
    pub(crate) fn expired(&self, metadata: &TableMetadata, keep: Option<Duration>) -> HashSet<i64> {
        let now = self.config().clock.now().as_micros();
        let kept = keep.or_else(|| retention(metadata)).unwrap_or(self.config().retain);
        let micros = i64::try_from(kept.as_micros()).unwrap_or(i64::MAX);
        let oldest = now.saturating_sub(micros) / 1000;
        let present = metadata.current_snapshot_id();
        let made = metadata.snapshots().filter(|one| Some(one.snapshot_id()) != present);
        let made = made.map(|one| Made { id: one.snapshot_id(), at: one.timestamp_ms() });
        let (old, mut rest): (Vec<_>, Vec<_>) = made.partition(|one| one.at < oldest);
        let mut gone: HashSet<i64> = old.into_iter().map(|one| one.id).collect();
        if let (None, Some(most)) = (keep, self.config().snapshots) {
            rest.sort_unstable_by_key(|one| (one.at, one.id));
            gone.extend(superfluous(&rest, now / 1000, most));
        }
        gone
    }

    async fn try_expire(
        &self,
        type_name: &str,
        keep: Option<Duration>,
        seen: &mut Seen,
    ) -> Result<Expired> {
        let table = self.table(type_name).await?;
        let Some(metadata) = table.iceberg.clone() else {
            return self.expire_versions(&table, keep).await;
        };
        if seen.snapshots.is_empty() {
            seen.old = self.expired(&metadata, keep);
        }
        let ids = metadata.snapshots().map(|one| one.snapshot_id());
        let ids: Vec<i64> = ids.filter(|id| seen.old.contains(id)).collect();
        if ids.is_empty() {
            return Ok(Expired::default());
        }
        self.look_at(&metadata, seen).await?;
        let gone: Vec<&String> = seen.gone.difference(&seen.needed).collect();
        let (snapshots, files) = (ids.len() as u64, gone.len() as u64);
        let path = |location: &&String| Ok(self.locations().path(location)?.to_string());
        let mut paths: Vec<String> = gone.iter().map(path).collect::<Result<_>>()?;
        paths.sort_unstable();
        let alter: Alter = Box::new(move |builder| Ok(builder.remove_snapshots(&ids)));
        let delta = Delta { alter: Some(alter), ..Delta::default() };
        let written = snapshot::write(self, &table, delta, &CommitInfo::default()).await?;
        let doomed = doomed::statements(&paths, self.config().clock.now());
        self.publish(vec![written], &doomed).await?;
        Ok(Expired { snapshots, files })
    }

    /// Reads what the snapshots need that no attempt has looked at: what a snapshot needs never changes.
    async fn look_at(&self, metadata: &TableMetadata, seen: &mut Seen) -> Result<()> {
        let new = metadata.snapshots().filter(|one| !seen.snapshots.contains(&one.snapshot_id()));
        let new: Vec<SnapshotRef> = new.cloned().collect();
        let read = |snapshot: SnapshotRef| async move {
            let locations = self.locations_of(metadata, &snapshot).await?;
            Ok::<_, base::Error>((snapshot.snapshot_id(), locations))
        };
        let mut found = stream::iter(new).map(read).buffer_unordered(READ_AT_ONCE);
        while let Some((id, locations)) = found.try_next().await? {
            let whose = if seen.old.contains(&id) { &mut seen.gone } else { &mut seen.needed };
            whose.extend(locations);
            seen.snapshots.insert(id);
        }
        Ok(())
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
