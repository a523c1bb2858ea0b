//! Metadata files that a table remembers no more.
//!
//! ```text
//! commit → files that fell out of the metadata log → queue → a minute → removed
//! ```
//!
//! In: commits of this process, whose logs show what others have superseded since its last one. Out: the
//! removal of files that nobody finds any more but who read the catalog before. Each commit writes the list
//! of all snapshots as a new file, so that at fifty commits a second a clean-up after days would come too
//! late. It finds what no process lived to remove. Not here: files that a snapshot needs (`doomed`).

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use base::Result;
use base::ids::TableId;
use iceberg::spec::TableMetadata;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::catalog::Swap;
use crate::lake::Lake;

/// How long a file stays for those who read the catalog before it was superseded.
const AGE: Duration = Duration::from_secs(60);
/// Files that are worth a removal, and how long fewer wait.
const MANY: usize = 50;
const LONG: Duration = Duration::from_secs(120);
/// Files that wait; more are left to the clean-up.
const WAITING: usize = 20_000;

/// Locations, in the order in which they were superseded.
#[derive(Debug, Default)]
pub(crate) struct Superseded {
    waiting: Mutex<VecDeque<(Instant, String)>>,
    /// The files that each table remembered when it was last looked at: what other nodes have superseded
    /// since is noted too, for they may die before they remove it.
    remembered: Mutex<HashMap<TableId, Remembered>>,
}

/// What the newest metadata file that was seen of a table remembers.
#[derive(Debug, Default)]
struct Remembered {
    number: u64,
    files: HashSet<String>,
}

impl Remembered {
    fn by(location: &str, metadata: &TableMetadata) -> Remembered {
        let name = location.rsplit('/').next().and_then(|name| name.split('-').next());
        let number = name.and_then(|number| number.parse().ok()).unwrap_or(0);
        let files = metadata.metadata_log().iter().map(|log| log.metadata_file.clone());
        Remembered { number, files: files.collect() }
    }
}

impl Superseded {
    fn push(&self, location: String, at: Instant) {
        let mut waiting = self.waiting.lock();
        if waiting.len() < WAITING {
            waiting.push_back((at, location));
        }
    }

    /// Notes the files that a table remembered and does no more.
    fn note(&self, table: TableId, before: Remembered, after: Remembered, at: Instant) {
        let mut remembered = self.remembered.lock();
        let newest = remembered.entry(table).or_default();
        // Commits of one process may come here in another order than they were made in.
        if newest.number > after.number {
            return;
        }
        let known = before.files.union(&newest.files);
        let mut gone: Vec<String> =
            known.filter(|file| !after.files.contains(*file)).cloned().collect();
        gone.sort_unstable();
        *newest = after;
        drop(remembered);
        gone.into_iter().for_each(|location| self.push(location, at));
    }

    /// Whether enough is due, or has been for long.
    fn is_due(&self, now: Instant) -> bool {
        let waiting = self.waiting.lock();
        let old = |at: usize, age: Duration| {
            waiting.get(at).is_some_and(|(since, _)| now.saturating_duration_since(*since) >= age)
        };
        old(MANY - 1, AGE) || old(0, LONG)
    }

    /// Takes what is due.
    fn take(&self, now: Instant) -> Vec<String> {
        let mut waiting = self.waiting.lock();
        let is_due = |(since, _): &(Instant, String)| now.saturating_duration_since(*since) >= AGE;
        let due = waiting.iter().take_while(|one| is_due(one)).count();
        waiting.drain(..due).map(|(_, location)| location).collect()
    }
}

impl Lake {
    /// Notes the metadata files that these commits have made their tables forget.
    pub(crate) async fn note_superseded(&self, swaps: &[Swap]) -> Result<()> {
        for swap in swaps {
            let Some(before) = &swap.base.iceberg else { continue };
            // It was written a moment ago, and is held.
            let after = self.catalog().metadata(&swap.metadata_location).await?;
            let before = Remembered::by(&swap.base.metadata_location, before);
            let after = Remembered::by(&swap.metadata_location, &after);
            self.inner.superseded.note(swap.base.id, before, after, Instant::now());
        }
        Ok(())
    }

    /// Removes what this process has superseded, once that is enough; nothing while a backup or a
    /// clean-up runs.
    pub(super) async fn remove_superseded(&self) -> Result<()> {
        let now = Instant::now();
        if !self.inner.superseded.is_due(now) {
            return Ok(());
        }
        let Some(removal) = self.removal_turn().await? else { return Ok(()) };
        let locations = self.inner.superseded.take(now);
        self.discard_locations(locations).await;
        removal.end(self).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_superseded_goes_after_its_time_and_together() {
        let (superseded, began) = (Superseded::default(), Instant::now());
        let names = |from: usize, to: usize| -> Vec<String> {
            (from..to).map(|number| number.to_string()).collect()
        };
        names(0, MANY - 1).into_iter().for_each(|name| superseded.push(name, began));
        assert!(!superseded.is_due(began + AGE));
        superseded.push("later".to_owned(), began + AGE);
        assert!(!superseded.is_due(began + AGE), "one of them is not due");
        assert!(superseded.is_due(began + AGE + AGE));
        assert!(superseded.is_due(began + LONG));
        assert_eq!(superseded.take(began + AGE), names(0, MANY - 1));
        assert_eq!(superseded.take(began + AGE), [""; 0]);
        assert_eq!(superseded.take(began + AGE + AGE), ["later"]);
    }

    #[test]
    fn what_other_nodes_supersede_is_noted_too_and_what_is_remembered_never() {
        let (superseded, now) = (Superseded::default(), Instant::now());
        let table = TableId::from_uuid(uuid::Uuid::nil());
        let state = |number: u64| {
            let from = number.saturating_sub(3);
            Remembered { number, files: (from..number).map(|file| file.to_string()).collect() }
        };
        let note = |before: u64, after: u64| {
            superseded.note(table, state(before), state(after), now);
            superseded.take(now + AGE)
        };
        assert_eq!(note(4, 5), ["1"]);
        // Another node has made 6 and 7.
        assert_eq!(note(7, 8), ["2", "3", "4"]);
        assert_eq!(note(9, 10), ["5", "6"]);
        assert_eq!(note(8, 9), [""; 0], "an earlier one comes late");
        assert_eq!(note(10, 11), ["7"]);
    }
}
