//! Which clients use what of the API.
//!
//! ```text
//! operation that runs → counted (bounded memory) → each minute: written (metadata database, by day)
//!                     → read: what a change would break, and whom
//! ```
//!
//! In: what operations use, and who asks. Out: requests by operation, client and day, over all nodes. What a
//! node counted in the minute before it was killed is lost. Not here: what an operation uses (`mesh`), what
//! changes mean to those who use it (`schema::usage`).

mod asker;
mod kept;
pub(crate) mod shown;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base::{Result, Timestamp};
use meta::Database;
use parking_lot::Mutex;

pub(crate) use asker::Asker;
pub(crate) use kept::{MIGRATIONS, read};

/// Operations, each by each client, that are counted between two writes. Those beyond are counted for
/// [`asker::OTHERS`], as far as their operations are known, and else as missed.
const MOST: usize = 10_000;
/// Bytes of the coordinates of all of them.
const MOST_BYTES: usize = 16 << 20;
/// The days for which requests are kept.
pub(crate) const DAYS: i64 = 90;
/// The days that changes are weighed by.
pub(crate) const WEIGHED: i64 = 30;

const MICROS_A_DAY: i64 = 86_400_000_000;

/// The day of a moment, counted from 1970.
pub(crate) fn day_of(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(MICROS_A_DAY)
}

/// Requests of one operation by one client on one day.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    day: i64,
    operation: [u8; 16],
    asker: Asker,
}

/// What was counted since it was written last.
#[derive(Debug, Default)]
pub(crate) struct Usages {
    counts: Mutex<Counts>,
    /// Held by the one that writes: who asks for usage after another has taken the counts waits until they
    /// are written.
    writing: tokio::sync::Mutex<()>,
    missed: AtomicU64,
}

#[derive(Debug, Default)]
struct Counts {
    requests: HashMap<Key, u64>,
    operations: HashMap<[u8; 16], Arc<mesh::Usage>>,
    bytes: usize,
}

impl Usages {
    /// Counts a request that is about to run.
    pub(crate) fn count(&self, usage: &Arc<mesh::Usage>, asker: &Asker, now: Timestamp) {
        let key = Key { day: day_of(now), operation: usage.id, asker: asker.clone() };
        if !self.counts.lock().add(key, usage, 1) {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Requests that there was no room to count.
    pub(crate) fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// Writes what was counted until now, by this call or by one under way; when that fails or is given up,
    /// it is counted on.
    pub(crate) async fn write(&self, database: &Database, now: Timestamp) -> Result<()> {
        let _writing = self.writing.lock().await;
        let counts = std::mem::take(&mut *self.counts.lock());
        let mut taken = Taken { usages: self, counts };
        kept::write(database, &taken.counts, now).await?;
        taken.counts = Counts::default();
        Ok(())
    }

    fn give_back(&self, counts: Counts) {
        let mut now = self.counts.lock();
        let missed = counts.requests.into_iter().map(|(key, requests)| {
            let known = counts.operations.get(&key.operation);
            let has_room = known.is_some_and(|usage| now.add(key, usage, requests));
            if has_room { 0 } else { requests }
        });
        let missed = missed.sum();
        self.missed.fetch_add(missed, Ordering::Relaxed);
    }
}

/// Counts on their way to the database. A request that writes may be given up half way.
struct Taken<'a> {
    usages: &'a Usages,
    counts: Counts,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.usages.give_back(std::mem::take(&mut self.counts));
    }
}

impl Counts {
    /// Whether there was room for it.
    fn add(&mut self, key: Key, usage: &Arc<mesh::Usage>, requests: u64) -> bool {
        if let Some(count) = self.requests.get_mut(&key) {
            *count += requests;
            return true;
        }
        if !self.operations.contains_key(&key.operation) {
            let bytes = usage.coordinates.len() + usage.operation.len();
            if self.requests.len() >= MOST || self.bytes + bytes > MOST_BYTES {
                return false;
            }
            self.bytes += bytes;
            self.operations.insert(key.operation, Arc::clone(usage));
        }
        let key = match self.requests.len() < MOST {
            true => key,
            false => Key { asker: Asker::others(), ..key },
        };
        *self.requests.entry(key).or_default() += requests;
        true
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn usage(operation: &str) -> Arc<mesh::Usage> {
        let mut id = [0; 16];
        id[..operation.len()].copy_from_slice(operation.as_bytes());
        let coordinates = format!("Query.{operation}");
        Arc::new(mesh::Usage { id, operation: operation.into(), coordinates })
    }

    fn at(day: i64) -> Timestamp {
        Timestamp::from_micros(day * MICROS_A_DAY + 5)
    }

    #[test]
    fn a_crowd_of_clients_is_counted_together_and_of_new_operations_only_the_loss() {
        let usages = Usages::default();
        for number in 0..MOST + 5 {
            usages.count(&usage("films"), &Asker::named(&format!("client {number}"), ""), at(1));
        }
        assert_eq!((usages.counts.lock().requests.len(), usages.missed()), (MOST + 1, 0));
        let others = Key { day: 1, operation: usage("films").id, asker: Asker::others() };
        assert_eq!(usages.counts.lock().requests[&others], 5);
        usages.count(&usage("people"), &Asker::named("web", "1"), at(1));
        assert_eq!(usages.missed(), 1);
    }

    #[tokio::test]
    async fn what_two_nodes_counted_is_added_up_and_read_by_day() {
        let database = Database::open("sqlite::memory:").await.unwrap();
        database.migrate("server_usage", MIGRATIONS).await.unwrap();
        let nodes = [Usages::default(), Usages::default()];
        let (web, app) = (Asker::named("web", "3.1"), Asker::named("app", ""));
        for (node, requests) in nodes.iter().zip([2, 3]) {
            for _ in 0..requests {
                node.count(&usage("films"), &web, at(100));
            }
            node.count(&usage("people"), &app, at(60));
            node.write(&database, at(100)).await.unwrap();
            // Nothing is written twice.
            node.write(&database, at(100)).await.unwrap();
        }
        let recent = read(&database, at(100), WEIGHED).await.unwrap();
        let seen: Vec<_> = recent
            .operations
            .iter()
            .map(|one| (one.operation.as_str(), one.client.as_str(), one.requests))
            .collect();
        assert_eq!(seen, [("films", "web", 5)]);
        let all = read(&database, at(100), DAYS).await.unwrap();
        assert_eq!(all.operations.len(), 2);
        assert_eq!(all.days, 41);
        // What is too old goes when something is written.
        nodes[0].count(&usage("films"), &web, at(155));
        nodes[0].write(&database, at(155)).await.unwrap();
        let all = read(&database, at(155), 1000).await.unwrap();
        assert_eq!(all.operations.len(), 1);
        assert_eq!(all.operations[0].coordinates, ["Query.films"]);
    }

    #[tokio::test]
    async fn what_is_given_up_while_it_is_written_is_counted_on() {
        let database = Database::open("sqlite::memory:").await.unwrap();
        database.migrate("server_usage", MIGRATIONS).await.unwrap();
        let usages = Usages::default();
        usages.count(&usage("films"), &Asker::named("web", ""), at(1));
        assert!(usages.write(&database, at(1)).now_or_never().is_none());
        usages.write(&database, at(1)).await.unwrap();
        assert_eq!(read(&database, at(1), WEIGHED).await.unwrap().operations[0].requests, 1);
    }

    #[tokio::test]
    async fn who_writes_while_another_does_waits_for_its_counts() {
        let database = Database::open("sqlite::memory:").await.unwrap();
        database.migrate("server_usage", MIGRATIONS).await.unwrap();
        let usages = Usages::default();
        usages.count(&usage("films"), &Asker::named("web", ""), at(1));
        let mut first = Box::pin(usages.write(&database, at(1)));
        assert!(futures::poll!(&mut first).is_pending());
        let mut second = Box::pin(usages.write(&database, at(1)));
        assert!(futures::poll!(&mut second).is_pending());
        first.await.unwrap();
        second.await.unwrap();
        assert_eq!(read(&database, at(1), WEIGHED).await.unwrap().operations[0].requests, 1);
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_counted_on() {
        let usages = Usages::default();
        usages.count(&usage("films"), &Asker::named("web", ""), at(1));
        let without_tables = Database::open("sqlite::memory:").await.unwrap();
        assert!(usages.write(&without_tables, at(1)).await.is_err());
        let database = Database::open("sqlite::memory:").await.unwrap();
        database.migrate("server_usage", MIGRATIONS).await.unwrap();
        usages.write(&database, at(1)).await.unwrap();
        assert_eq!(read(&database, at(1), WEIGHED).await.unwrap().operations[0].requests, 1);
    }
}
