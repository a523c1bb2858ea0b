//! Lets old snapshots go, and dooms the files that only they needed: a running scan may still read
//! them (`doomed`). Schemas that nothing else needs go with them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use base::{Kind, Result};
use iceberg::spec::{SnapshotRef, TableMetadata};

use super::thin::{Made, superfluous};
use super::turn::{Tended, Turn};
use super::{RETENTION, doomed, schemas};
use crate::commit::CommitInfo;
use crate::commit::contend::Contender;
use crate::commit::delta::{Alter, Delta};
use crate::commit::snapshot;
use crate::failure::failed;
use crate::history::{line, may_bring_back};
use crate::lake::Lake;
use crate::query::searched::text_folder;
use crate::reach::Reach;
use crate::table::Table;

/// Snapshots that are worth an expiry between two rounds.
const MANY: usize = 100;
/// Snapshots that go with one commit.
const AT_A_TIME: usize = 1000;

/// What an expiry did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// Snapshots that can no longer be read.
    pub snapshots: u64,
    /// Files that nothing but them needed, and the text indexes of those; they are removed when no scan can
    /// read them any more.
    pub files: u64,
}

/// What the attempts of one expiry know.
#[derive(Debug, Default)]
struct Seen {
    /// Snapshots to let go, as they were found at the beginning.
    old: HashSet<i64>,
    /// What they need.
    gone: Reach,
    /// What some of the others need: see `witnesses`.
    needed: Reach,
}

impl Lake {
    /// Lets the snapshots go that are older than `keep` (else the type's `retain`, else the project's, and
    /// then those that are too many); the present one always stays. They go some at a time, oldest first,
    /// so that what is broken off has come some way.
    pub async fn expire(&self, type_name: &str, keep: Option<Duration>) -> Result<Expired> {
        let mut all = Expired::default();
        loop {
            let some = self.expire_some(type_name, keep).await?;
            all.snapshots += some.snapshots;
            all.files += some.files;
            if some.snapshots < AT_A_TIME as u64 {
                return Ok(all);
            }
        }
    }

    async fn expire_some(&self, type_name: &str, keep: Option<Duration>) -> Result<Expired> {
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
    pub(super) async fn expire_when_due(&self, type_name: &str) -> Result<Tended> {
        let table = self.table(type_name).await?;
        let Some(metadata) = &table.iceberg else { return Ok(Tended::Done) };
        let old = self.expired(metadata, None).len();
        if old < MANY || old < metadata.snapshots().len() / 4 {
            return Ok(Tended::Done);
        }
        let Some(turn) = Turn::take(self, "expire", &table).await? else {
            return Ok(Tended::ByAnother);
        };
        let expired = self.expire(type_name, None).await;
        turn.end(self).await?;
        tracing::info!(type_name, snapshots = expired?.snapshots, "let old snapshots go");
        Ok(Tended::Done)
    }

    /// The snapshots that are older than `keep`, else than what is kept, and then those above the project's
    /// bound on their number too; oldest first, and never the present one.
    pub(crate) fn expired(&self, metadata: &TableMetadata, keep: Option<Duration>) -> Vec<i64> {
        let now = self.config().clock.now().as_micros();
        let kept = keep.or_else(|| retention(metadata)).unwrap_or(self.config().retain);
        let micros = i64::try_from(kept.as_micros()).unwrap_or(i64::MAX);
        let oldest = now.saturating_sub(micros) / 1000;
        let mut line = line(metadata);
        line.retain(|one| Some(one.snapshot_id()) != metadata.current_snapshot_id());
        let made = line.iter().filter(|one| one.timestamp_ms() >= oldest).map(|one| Made {
            id: one.snapshot_id(),
            at: one.timestamp_ms(),
            decides: may_bring_back(one),
        });
        let too_many = match (keep, self.config().snapshots) {
            (None, Some(most)) => superfluous(&made.collect::<Vec<_>>(), now / 1000, most),
            _ => HashSet::new(),
        };
        let goes = |one: &&SnapshotRef| {
            one.timestamp_ms() < oldest || too_many.contains(&one.snapshot_id())
        };
        line.into_iter().filter(goes).map(|one| one.snapshot_id()).collect()
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
        if seen.old.is_empty() {
            seen.old = self.expired(&metadata, keep).into_iter().take(AT_A_TIME).collect();
        }
        let ids = metadata.snapshots().map(|one| one.snapshot_id());
        let ids: Vec<i64> = ids.filter(|id| seen.old.contains(id)).collect();
        if ids.is_empty() {
            return Ok(Expired::default());
        }
        let old = metadata.snapshots().filter(|one| seen.old.contains(&one.snapshot_id()));
        seen.gone.extend(self, &metadata, old.cloned()).await?;
        seen.needed.extend(self, &metadata, witnesses(&metadata, &seen.old)).await?;
        let paths = self.doomed_by(&table, seen).await?;
        let (snapshots, files) = (ids.len() as u64, paths.len() as u64);
        let alter = self.let_go(&table, &seen.old, ids).await?;
        let delta = Delta { alter: Some(alter), ..Delta::default() };
        let written = snapshot::write(self, &table, delta, &CommitInfo::default()).await?;
        let doomed = doomed::statements(&paths, self.config().clock.now());
        self.publish(vec![written], &doomed).await?;
        Ok(Expired { snapshots, files })
    }

    /// Takes old snapshots out of the metadata, and the schemas that go with them. What is bound is read after
    /// the table: a version that is bound later is bound to a schema that stays, or by a switch that moves
    /// the table, and then this attempt is in vain.
    async fn let_go(&self, table: &Table, old: &HashSet<i64>, ids: Vec<i64>) -> Result<Alter> {
        let bound = self.catalog().bound_schemas(table).await?;
        let schemas = schemas::unneeded(table.stored()?, old, &bound)?;
        Ok(Box::new(move |builder| {
            let builder = builder.remove_snapshots(&ids).remove_schemas(&schemas);
            builder.map_err(failed("let old schemas go"))
        }))
    }

    /// What nothing needs once the old snapshots are gone: their files, and the text indexes of those.
    async fn doomed_by(&self, table: &Table, seen: &Seen) -> Result<Vec<String>> {
        let gone: Vec<&String> = seen.gone.locations.difference(&seen.needed.locations).collect();
        let path = |location: &&String| Ok(self.locations().path(location)?.to_string());
        let mut paths: Vec<String> = gone.iter().map(path).collect::<Result<_>>()?;
        let texts = &self.inner.query.texts;
        let about = texts.about(&text_folder(table), &gone).await?;
        paths.extend(about.iter().map(ToString::to_string));
        paths.sort_unstable();
        Ok(paths)
    }
}

/// The snapshots that stay and tell which files of the old ones stay: a file that comes once and goes once
/// and is in an old snapshot and in one that stays is in a neighbour of an old one too. What may have
/// brought files back is asked itself, and the present one for good measure.
fn witnesses(metadata: &TableMetadata, old: &HashSet<i64>) -> Vec<SnapshotRef> {
    let line = line(metadata);
    let is_old = |place: Option<&&SnapshotRef>| {
        place.is_some_and(|snapshot| old.contains(&snapshot.snapshot_id()))
    };
    let tells = |place: &usize| {
        let snapshot = line[*place];
        let before = place.checked_sub(1).and_then(|before| line.get(before));
        is_old(before)
            || is_old(line.get(place + 1))
            || Some(snapshot.snapshot_id()) == metadata.current_snapshot_id()
            || may_bring_back(snapshot)
    };
    let stay = (0..line.len()).filter(|place| !is_old(line.get(*place)));
    stay.filter(tells).map(|place| Arc::clone(line[place])).collect()
}

/// How long the table's snapshots are kept.
pub(super) fn retention(metadata: &TableMetadata) -> Option<Duration> {
    let millis = metadata.properties().get(RETENTION).and_then(|text| text.parse().ok());
    millis.map(Duration::from_millis)
}
