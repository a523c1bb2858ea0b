//! Makes staged files and deletions visible: the only way in which a table changes.
//!
//! ```text
//! TableChange → resolve (against the table as it is now) → Delta → write_snapshot → swap → Snapshot
//! ```
//!
//! In: changes of any number of tables. Out: one durable snapshot each, all visible at the same
//! moment or none. When another writer was faster, everything is resolved again against what it
//! left, so racing writers act one after the other. Not here: writing data files (`stage`), small
//! writes that share a snapshot (`group`), schema changes (`steps`).

pub(crate) mod contend;
pub(crate) mod delta;
pub(crate) mod fingerprint;
pub(crate) mod group;
pub(crate) mod locate;
mod overlay;
pub(crate) mod positions;
pub(crate) mod resolve;
pub(crate) mod retry;
pub(crate) mod snapshot;

use std::sync::Arc;

use base::{Error, Kind, Result};
use frame::Value;

use crate::catalog::Statement;
use crate::lake::Lake;
use crate::stage::StagedFiles;
use crate::table::Snapshot;
use contend::Contender;
use snapshot::Written;

/// A change of one table.
#[derive(Clone, Debug)]
pub struct TableChange {
    /// The type's name.
    pub type_name: Arc<str>,
    /// What to do.
    pub change: Change,
}

/// What to do with one table.
#[derive(Clone, Debug)]
pub enum Change {
    /// Adds rows. In a table with a key this is the same as [`Change::Insert`].
    Append(StagedFiles),
    /// Adds rows whose keys must be new, in the table and among themselves.
    Insert(StagedFiles),
    /// Adds rows, replacing those with the same key; of rows that came with the same key the last
    /// counts.
    Upsert(StagedFiles),
    /// Puts these rows in the place of all rows.
    Replace(StagedFiles),
    /// Removes the rows with these keys; missing ones are passed over.
    Delete(Vec<Vec<Value>>),
}

/// Who changes, what for, and what else must happen at the same moment.
#[derive(Clone, Debug, Default)]
pub struct CommitInfo {
    /// Who.
    pub author: Arc<str>,
    /// What for: `import films.csv`.
    pub summary: Arc<str>,
    /// A name for this change: when it was committed within the last day, nothing is changed and
    /// the tables' present snapshots are given.
    pub idempotency_key: Option<Arc<str>>,
    /// Statements that run in the same transaction as the commit.
    pub also: Vec<Statement>,
}

impl Lake {
    /// Commits changes of any number of tables (each named once), all or none. The staged files of
    /// a refused commit stay where they are: give them to [`Lake::discard`] or commit them again.
    pub async fn commit(
        &self,
        changes: Vec<TableChange>,
        info: CommitInfo,
    ) -> Result<Vec<Snapshot>> {
        check_distinct(&changes)?;
        let mut known: Vec<_> = changes.iter().map(|_| resolve::Known::default()).collect();
        let types: Vec<Arc<str>> =
            changes.iter().map(|change| Arc::clone(&change.type_name)).collect();
        let mut contender = Contender::new(self);
        contender.start(&types, false).await?;
        let result = loop {
            match self.committed_before(&changes, &info).await {
                Ok(None) => {}
                Ok(Some(snapshots)) => break Ok(snapshots),
                // No repetition cures what is wrong with the name of a change.
                Err(error) => break Err(error),
            }
            match contender.lake().try_commit(&changes, &info, &mut known).await {
                Err(error) if error.kind() == Kind::Conflict => {
                    if let Err(error) = contender.again(error, &types).await {
                        break Err(error);
                    }
                }
                result => break result,
            }
        };
        contender.end().await;
        if result.is_ok() {
            types.iter().for_each(|type_name| group::nudge(self, type_name));
        }
        result
    }

    async fn try_commit(
        &self,
        changes: &[TableChange],
        info: &CommitInfo,
        known: &mut [resolve::Known],
    ) -> Result<Vec<Snapshot>> {
        let mut written = Vec::with_capacity(changes.len());
        for (change, known) in changes.iter().zip(known) {
            match self.prepare(change, info, known).await {
                Ok(one) => written.push(one),
                Err(error) => {
                    self.undo_all(&written).await;
                    return Err(error);
                }
            }
        }
        let mut also = info.also.clone();
        if let Some(key) = &info.idempotency_key {
            let snapshot = written.first().map_or(0, |one: &Written| one.snapshot.id);
            also.push(group::forget_old(self.config().clock.now()));
            also.push(group::receipt(
                key,
                &request_of(changes),
                snapshot,
                0,
                self.config().clock.now(),
            ));
        }
        let published = self.publish(written, &also).await;
        if info.idempotency_key.is_some() {
            return published.map_err(group::taken_meanwhile);
        }
        published
    }

    /// Moves the pointers of all tables; what was written for a swap that did not happen goes.
    pub(crate) async fn publish(
        &self,
        written: Vec<Written>,
        also: &[Statement],
    ) -> Result<Vec<Snapshot>> {
        let swaps: Vec<_> = written.iter().filter_map(|one| one.swap.clone()).collect();
        if let Err(error) = self.inner.catalog.swap_as(&swaps, also, &self.writer()).await {
            // When the answer was lost the swap may have happened, and then the files are needed.
            if error.nothing_happened() {
                self.undo_all(&written).await;
            }
            return Err(error);
        }
        if let Err(error) = self.note_superseded(&swaps).await {
            tracing::debug!(%error, "the clean-up will find superseded metadata");
        }
        Ok(written.into_iter().map(|one| one.snapshot).collect())
    }

    pub(crate) async fn undo_all(&self, written: &[Written]) {
        let locations = written.iter().flat_map(|one| one.locations.iter().cloned()).collect();
        self.discard_locations(locations).await;
    }

    async fn prepare(
        &self,
        change: &TableChange,
        info: &CommitInfo,
        known: &mut resolve::Known,
    ) -> Result<Written> {
        let table = self.table(&change.type_name).await?;
        table.refuse_earlier()?;
        let delta = resolve::resolve(self, &table, &change.change, known).await?;
        snapshot::write(self, &table, delta, info).await
    }

    /// The present snapshots, when a change of this name was committed before.
    async fn committed_before(
        &self,
        changes: &[TableChange],
        info: &CommitInfo,
    ) -> Result<Option<Vec<Snapshot>>> {
        let Some(key) = &info.idempotency_key else { return Ok(None) };
        if group::earlier(self, key, &request_of(changes)).await?.is_none() {
            return Ok(None);
        }
        let mut snapshots = Vec::with_capacity(changes.len());
        for change in changes {
            let table = self.table(&change.type_name).await?;
            snapshots.extend(table.snapshots().pop());
        }
        Ok(Some(snapshots))
    }
}

/// What an idempotency key of a whole commit stands for: the tables. The files differ between two
/// runs of the same import, so they cannot be part of it.
fn request_of(changes: &[TableChange]) -> String {
    let names: Vec<&str> = changes.iter().map(|change| change.type_name.as_ref()).collect();
    format!("commit {}", names.join(" "))
}

fn check_distinct(changes: &[TableChange]) -> Result<()> {
    for (index, change) in changes.iter().enumerate() {
        if changes[..index].iter().any(|earlier| earlier.type_name == change.type_name) {
            let text = format!("one commit names type `{}` twice", change.type_name);
            return Err(Error::invalid(text));
        }
    }
    Ok(())
}
