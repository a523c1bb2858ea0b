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
use base::{Result, Timestamp};
use futures::{StreamExt, TryStreamExt, stream};
use meta::{Database, Param};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::Cleaned;
use crate::catalog::Statement;
use crate::failure::failed;
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
];

/// The counter of what was doomed.
const TOPIC: &str = "doomed";
/// How long a doomed file stays; scans that take longer are pinned.
pub(crate) const GRACE: Duration = Duration::from_secs(900);
/// Scans that run longer pin what they may need.
const PINNED_AFTER: Duration = Duration::from_secs(60);
/// A pin that was not renewed for this long belongs to a dead node.
const DEAD: Duration = Duration::from_secs(600);
/// Paths in one statement.
const TOGETHER: usize = 200;
/// Files that are removed at the same time.
const AT_ONCE: usize = 8;

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
        let due = self.due(GRACE).await?;
        if due.is_empty() {
            return Ok(cleaned);
        }
        let Some(removal) = self.removal_turn().await? else { return Ok(cleaned) };
        let removed = self.remove_numbers(due, &mut cleaned).await;
        removal.end(self).await?;
        removed.map(|()| cleaned)
    }

    /// Removes what was doomed at least `grace` ago.
    pub(crate) async fn remove_doomed(&self, grace: Duration, cleaned: &mut Cleaned) -> Result<()> {
        let due = self.due(grace).await?;
        self.remove_numbers(due, cleaned).await
    }

    /// The numbers that this process has known of for `grace`, and whose files no long scan of any node
    /// may need.
    async fn due(&self, grace: Duration) -> Result<Vec<i64>> {
        let database = self.catalog().database();
        let pinned = self.oldest_pin().await?;
        let sql = "SELECT DISTINCT number FROM lake_doomed ORDER BY number";
        let rows = database.query(sql, &[]).await?;
        let mut due = Vec::new();
        let mut observed = self.inner.observed.lock();
        for row in &rows {
            let number = row.int("number")?;
            let since = *observed.numbers.entry(number).or_insert_with(Instant::now);
            if since.elapsed() >= grace && pinned.is_none_or(|pinned| number <= pinned) {
                due.push(number);
            }
        }
        Ok(due)
    }

    async fn remove_numbers(&self, numbers: Vec<i64>, cleaned: &mut Cleaned) -> Result<()> {
        for number in numbers {
            self.remove_number(number, cleaned).await?;
            self.inner.observed.lock().numbers.remove(&number);
        }
        Ok(())
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

    async fn remove_number(&self, number: i64, cleaned: &mut Cleaned) -> Result<()> {
        let database = self.catalog().database();
        loop {
            let sql = "SELECT path FROM lake_doomed WHERE number = $1 ORDER BY path LIMIT $2";
            let rows = database.query(sql, &[number.into(), (TOGETHER as i64).into()]).await?;
            if rows.is_empty() {
                return Ok(());
            }
            let paths: Vec<String> =
                rows.iter().map(|row| row.text("path")).collect::<Result<_>>()?;
            let remove = |path: &String| self.remove_doomed_file(Path::from(path.as_str()));
            let mut removed = stream::iter(&paths).map(remove).buffer_unordered(AT_ONCE);
            while let Some(one) = removed.try_next().await? {
                cleaned.files += one.files;
                cleaned.bytes += one.bytes;
            }
            drop(removed);
            let marks: Vec<String> = (1..=paths.len()).map(|mark| format!("${mark}")).collect();
            let sql = format!("DELETE FROM lake_doomed WHERE path IN ({})", marks.join(", "));
            let params: Vec<Param> = paths.iter().map(|path| path.as_str().into()).collect();
            database.execute(&sql, &params).await?;
        }
    }

    /// Removes one file, which may be gone already.
    async fn remove_doomed_file(&self, path: Path) -> Result<Cleaned> {
        let objects = &self.config().objects;
        let removed = match objects.head(&path).await {
            Ok(meta) => objects.delete(&path).await.map(|()| meta.size),
            Err(error) => Err(error),
        };
        match removed {
            Ok(bytes) => Ok(Cleaned { files: 1, bytes, ..Cleaned::default() }),
            Err(object_store::Error::NotFound { .. }) => Ok(Cleaned::default()),
            Err(error) => Err(failed(format!("remove `{path}`"))(error)),
        }
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
