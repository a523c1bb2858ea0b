//! Files that no snapshot needs any more, and that a running scan may still read.
//!
//! ```text
//! expiry → doomed (with a number that grows) → seen by a remover → grace → no older scan → removed
//! ```
//!
//! In: paths, in the transaction that takes their last snapshot away. Out: their removal, later. No
//! clock is compared with another one: the grace is measured by the remover from when it first saw
//! the number, and a scan is older than a number when it began before its node had seen it. So a
//! clock that jumps removes nothing early. Not here: which files are doomed (`expire`,
//! `lance_versions`), when it is looked (`round`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use base::ids::NodeId;
use base::{Error, Result, Timestamp};
use meta::{Database, Param};
use object_store::path::Path;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::Cleaned;
use super::together::{TOGETHER, remove};
use crate::catalog::Statement;
use crate::lake::Lake;

/// The tables of maintenance.
pub(crate) const MIGRATIONS: &[&str] = &[
    "CREATE TABLE lake_doomed (
        path TEXT PRIMARY KEY,
        number BIGINT NOT NULL,
        at BIGINT NOT NULL
    )",
    "CREATE TABLE lake_pins (
        node TEXT PRIMARY KEY,
        number BIGINT NOT NULL,
        beat BIGINT NOT NULL
    )",
    "CREATE TABLE lake_rounds (
        id TEXT PRIMARY KEY,
        type_name TEXT NOT NULL,
        node TEXT NOT NULL,
        started_at BIGINT NOT NULL,
        finished_at BIGINT,
        doing TEXT NOT NULL,
        orphan_bytes BIGINT NOT NULL
    )",
    "CREATE INDEX lake_doomed_number ON lake_doomed (number, path)",
];

/// The counter of what was doomed.
const TOPIC: &str = "doomed";
/// How long a doomed file stays; scans that take longer are pinned.
pub(crate) const GRACE: Duration = Duration::from_secs(900);
/// Scans that run longer pin what they may need.
const PINNED_AFTER: Duration = Duration::from_secs(60);
/// A pin that was not renewed for this long belongs to a dead node.
const DEAD: Duration = Duration::from_secs(600);

/// The scans that run in this process.
#[derive(Debug, Default)]
pub(crate) struct Scans {
    running: Mutex<BTreeMap<u64, (Instant, i64)>>,
    next: AtomicU64,
    /// The newest number that this process has seen.
    number: AtomicI64,
}

/// A running scan; it has ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Scan {
    scans: Arc<Scans>,
    id: u64,
}

impl Scans {
    /// A scan begins.
    pub(crate) fn begin(self: &Arc<Self>) -> Scan {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let began = (Instant::now(), self.number.load(Ordering::SeqCst));
        self.running.lock().insert(id, began);
        Scan { scans: Arc::clone(self), id }
    }

    /// The smallest number that a scan of more than `age` began at.
    fn oldest(&self, age: Duration) -> Option<i64> {
        let running = self.running.lock();
        let old = running.values().filter(|(began, _)| began.elapsed() >= age);
        old.map(|(_, number)| *number).min()
    }
}

impl Drop for Scan {
    fn drop(&mut self) {
        self.scans.running.lock().remove(&self.id);
    }
}

/// What this process has seen of numbers and pins, and when first.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    numbers: HashMap<i64, Instant>,
    pins: HashMap<String, (i64, Instant)>,
}

impl Observed {
    /// Notes which numbers there are; those that are gone never come again.
    fn see(&mut self, numbers: &[i64]) {
        let now = Instant::now();
        let mut before = std::mem::take(&mut self.numbers);
        let since = |number: &i64| (*number, before.remove(number).unwrap_or(now));
        self.numbers = numbers.iter().map(since).collect();
    }
}

/// Statements that doom paths, for the transaction that takes their last snapshot away.
pub(crate) fn statements(paths: &[String], at: Timestamp) -> Vec<Statement> {
    if paths.is_empty() {
        return Vec::new();
    }
    let count = "INSERT INTO meta_changes (topic, counter) VALUES ($1, 1)
        ON CONFLICT (topic) DO UPDATE SET counter = meta_changes.counter + 1";
    let mut statements = vec![(count.to_owned(), vec![TOPIC.into()])];
    for some in paths.chunks(TOGETHER) {
        let number = format!("(SELECT counter FROM meta_changes WHERE topic = '{TOPIC}')");
        let rows: Vec<String> =
            (2..some.len() + 2).map(|mark| format!("(${mark}, {number}, $1)")).collect();
        let sql = format!(
            "INSERT INTO lake_doomed (path, number, at) VALUES {} ON CONFLICT (path) DO NOTHING",
            rows.join(", ")
        );
        let mut params: Vec<Param> = vec![at.as_micros().into()];
        params.extend(some.iter().map(|path| path.as_str().into()));
        statements.push((sql, params));
    }
    statements
}

/// Paths that are doomed already.
pub(crate) async fn paths(database: &Database) -> Result<std::collections::HashSet<Path>> {
    const PAGE: usize = 5000;
    let (mut found, mut after) = (std::collections::HashSet::new(), String::new());
    loop {
        let sql = "SELECT path FROM lake_doomed WHERE path > $1 ORDER BY path LIMIT $2";
        let rows = database.query(sql, &[after.as_str().into(), (PAGE as i64).into()]).await?;
        for row in &rows {
            after = row.text("path")?;
            found.insert(Path::from(after.as_str()));
        }
        if rows.len() < PAGE {
            return Ok(found);
        }
    }
}

impl Lake {
    /// Learns what was doomed lately, and pins what long scans of this process may need. To be called
    /// every few seconds.
    pub async fn pin_scans(&self, node: NodeId) -> Result<()> {
        let scans = &self.inner.scans;
        let database = self.catalog().database();
        let number = meta::changes::poll(database, TOPIC).await?;
        scans.number.store(number, Ordering::SeqCst);
        let pinned = &self.inner.pinned;
        match scans.oldest(PINNED_AFTER) {
            Some(number) => {
                pinned.store(true, Ordering::SeqCst);
                self.write_pin(node, number).await
            }
            None if pinned.swap(false, Ordering::SeqCst) => {
                let sql = "DELETE FROM lake_pins WHERE node = $1";
                database.execute(sql, &[node.to_string().into()]).await.map(|_| ())
            }
            None => Ok(()),
        }
    }

    /// Pins everything that is doomed after a number.
    async fn write_pin(&self, node: NodeId, number: i64) -> Result<()> {
        let sql = "INSERT INTO lake_pins (node, number, beat) VALUES ($1, $2, 1)
            ON CONFLICT (node) DO UPDATE SET number = excluded.number, beat = lake_pins.beat + 1";
        let params = [node.to_string().into(), number.into()];
        self.catalog().database().execute(sql, &params).await.map(|_| ())
    }

    /// Removes what was doomed long enough ago, between two rounds; nothing while a backup or a clean-up
    /// runs.
    pub async fn remove_due(&self) -> Result<Cleaned> {
        let mut cleaned = Cleaned::default();
        let Some(due) = self.due(GRACE).await? else { return Ok(cleaned) };
        let Some(removal) = self.removal_turn().await? else { return Ok(cleaned) };
        let removed = self.remove_until(due, &mut cleaned).await;
        removal.end(self).await?;
        removed.map(|()| cleaned)
    }

    /// Removes what was doomed at least `grace` ago.
    pub(crate) async fn remove_doomed(&self, grace: Duration, cleaned: &mut Cleaned) -> Result<()> {
        match self.due(grace).await? {
            Some(due) => self.remove_until(due, cleaned).await,
            None => Ok(()),
        }
    }

    /// The number up to which this process has known of all for `grace`, and whose files no long scan of any
    /// node may need.
    async fn due(&self, grace: Duration) -> Result<Option<i64>> {
        let database = self.catalog().database();
        let pinned = self.oldest_pin().await?;
        let sql = "SELECT DISTINCT number FROM lake_doomed ORDER BY number";
        let rows = database.query(sql, &[]).await?;
        let numbers: Vec<i64> = rows.iter().map(|row| row.int("number")).collect::<Result<_>>()?;
        let mut observed = self.inner.observed.lock();
        observed.see(&numbers);
        let is_due = |number: &&i64| {
            let known = observed.numbers.get(*number);
            known.is_some_and(|since| since.elapsed() >= grace)
                && pinned.is_none_or(|pinned| **number <= pinned)
        };
        Ok(numbers.iter().take_while(is_due).last().copied())
    }

    /// The smallest number that a living node's scan began at.
    async fn oldest_pin(&self) -> Result<Option<i64>> {
        let database = self.catalog().database();
        let rows = database.query("SELECT node, number, beat FROM lake_pins", &[]).await?;
        let (mut oldest, mut dead) = (None, Vec::new());
        {
            let mut observed = self.inner.observed.lock();
            for row in &rows {
                let (node, number, beat) =
                    (row.text("node")?, row.int("number")?, row.int("beat")?);
                let (seen, since) =
                    observed.pins.entry(node.clone()).or_insert((beat, Instant::now()));
                if *seen != beat {
                    (*seen, *since) = (beat, Instant::now());
                }
                if since.elapsed() > DEAD {
                    dead.push(node);
                } else {
                    oldest = Some(oldest.map_or(number, |oldest: i64| oldest.min(number)));
                }
            }
        }
        for node in dead {
            database
                .execute("DELETE FROM lake_pins WHERE node = $1", &[node.as_str().into()])
                .await?;
            self.inner.observed.lock().pins.remove(&node);
        }
        Ok(oldest)
    }

    /// Removes the files up to a number, some at a time, and between them what was superseded meanwhile. One
    /// that cannot be removed keeps no other; when none of some can, the store is away.
    async fn remove_until(&self, number: i64, cleaned: &mut Cleaned) -> Result<()> {
        let (mut after, mut failure) = ((i64::MIN, String::new()), None);
        loop {
            let page = self.doomed_after(after, number).await?;
            let paths: Vec<Path> = page.iter().map(|(_, path)| Path::from(path.as_str())).collect();
            let removed = remove(self.config().objects.as_ref(), &paths).await;
            let removed = self.note_removed(&page, removed, &mut failure, cleaned).await?;
            let Some(last) = page.into_iter().last().filter(|_| removed > 0) else { break };
            after = last;
            self.drain_superseded().await;
        }
        failure.map_or(Ok(()), Err)
    }

    /// Files up to a number, and theirs, in this order, after a place in it.
    async fn doomed_after(
        &self,
        (number, path): (i64, String),
        until: i64,
    ) -> Result<Vec<(i64, String)>> {
        let sql = "SELECT number, path FROM lake_doomed WHERE (number, path) > ($1, $2)
            AND number <= $3 ORDER BY number, path LIMIT $4";
        let params = [number.into(), path.into(), until.into(), (TOGETHER as i64).into()];
        let rows = self.catalog().database().query(sql, &params).await?;
        rows.iter().map(|row| Ok((row.int("number")?, row.text("path")?))).collect()
    }

    /// Notes that files are gone for good; gives how many.
    async fn note_removed(
        &self,
        page: &[(i64, String)],
        removed: Vec<Result<bool>>,
        failure: &mut Option<Error>,
        cleaned: &mut Cleaned,
    ) -> Result<usize> {
        let mut gone: Vec<Param> = Vec::with_capacity(page.len());
        for ((_, path), removed) in page.iter().zip(removed) {
            match removed {
                Ok(there) => {
                    cleaned.files += u64::from(there);
                    gone.push(path.as_str().into());
                }
                Err(error) => *failure = failure.take().or(Some(error)),
            }
        }
        if !gone.is_empty() {
            let marks: Vec<String> = (1..=gone.len()).map(|mark| format!("${mark}")).collect();
            let sql = format!("DELETE FROM lake_doomed WHERE path IN ({})", marks.join(", "));
            self.catalog().database().execute(&sql, &gone).await?;
        }
        Ok(gone.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_is_known_by_what_was_doomed_when_it_began_until_it_ends() {
        let scans = Arc::new(Scans::default());
        assert_eq!(scans.oldest(Duration::ZERO), None);
        scans.number.store(4, Ordering::SeqCst);
        let first = scans.begin();
        scans.number.store(7, Ordering::SeqCst);
        let second = scans.begin();
        assert_eq!(scans.oldest(Duration::ZERO), Some(4));
        assert_eq!(scans.oldest(PINNED_AFTER), None);
        drop(first);
        assert_eq!(scans.oldest(Duration::ZERO), Some(7));
        drop(second);
        assert_eq!(scans.oldest(Duration::ZERO), None);
    }
}
