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
use futures::TryStreamExt;
use iceberg::spec::TableMetadata;
use object_store::ObjectStore;
use object_store::path::Path;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::together::{TOGETHER, remove};
use crate::catalog::Swap;
use crate::failure::failed;
use crate::lake::Lake;
use crate::table::Table;

/// How long a file stays for those who read the catalog before it was superseded.
const AGE: Duration = Duration::from_secs(60);
/// Files that are worth a removal, and how long fewer wait.
const MANY: usize = 50;
const LONG: Duration = Duration::from_secs(120);
/// Files that wait; more are found in the next round.
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
        let number = number_of(location).unwrap_or(0);
        let files = metadata.metadata_log().iter().map(|log| log.metadata_file.clone());
        Remembered { number, files: files.collect() }
    }
}

/// Which metadata file of its table a file is, as its name says it; nothing of what is none.
fn number_of(path: &str) -> Option<u64> {
    let name = path.rsplit('/').next()?.strip_suffix(".metadata.json")?;
    name.split('-').next()?.parse().ok()
}

/// Those of a table's metadata files that nobody will ever ask for, when `present` is its present one. Each
/// is made over one file and becomes the present one in its place, or never does; the numbers of the two
/// follow each other. So up to the present number all are remembered, or dead.
fn dead(found: Vec<String>, present: &str, remembered: &Remembered) -> Vec<String> {
    let Some(newest) = number_of(present) else { return Vec::new() };
    let is_dead = |file: &String| {
        number_of(file).is_some_and(|number| number <= newest)
            && file != present
            && !remembered.files.contains(file)
    };
    found.into_iter().filter(is_dead).collect()
}

impl Superseded {
    pub(super) fn push(&self, location: String, at: Instant) {
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

    /// Takes what is due, no more than goes together.
    pub(super) fn take(&self, now: Instant) -> Vec<String> {
        let mut waiting = self.waiting.lock();
        let is_due = |(since, _): &(Instant, String)| now.saturating_duration_since(*since) >= AGE;
        let due = waiting.iter().take(TOGETHER).take_while(|one| is_due(one)).count();
        waiting.drain(..due).map(|(_, location)| location).collect()
    }
}

impl Lake {
    /// Notes the metadata files that these commits have made their tables forget.
    pub(crate) async fn note_superseded(&self, swaps: &[Swap]) -> Result<()> {
        // A process that tends nothing would never remove them.
        for swap in swaps.iter().filter(|_| self.config().tends) {
            let Some(before) = &swap.base.iceberg else { continue };
            // It was written a moment ago, and is held.
            let after = self.catalog().metadata(&swap.metadata_location).await?;
            let before = Remembered::by(&swap.base.metadata_location, before);
            let after = Remembered::by(&swap.metadata_location, &after);
            self.inner.superseded.note(swap.base.id, before, after, Instant::now());
        }
        Ok(())
    }

    /// Notes the metadata files of a table that no process lived to remove: a node was killed before it
    /// committed what it had written, or before it removed what it had superseded. They go when their time
    /// is over, as if they were superseded now.
    pub(super) async fn note_dead(&self, table: &Table) -> Result<()> {
        let Some(metadata) = &table.iceberg else { return Ok(()) };
        let present = table.metadata_location.as_ref();
        let Some((folder, _)) = present.rsplit_once('/') else { return Ok(()) };
        let folder = self.locations().path(folder)?;
        let listed = self.config().objects.list(Some(&folder));
        let found = listed.map_ok(|meta| self.locations().location(meta.location.as_ref()));
        let found: object_store::Result<Vec<String>> = found.try_collect().await;
        let found = found.map_err(failed(format!("list `{folder}`")))?;
        let remembered = Remembered::by(present, metadata);
        for location in dead(found, present, &remembered) {
            self.inner.superseded.push(location, Instant::now());
        }
        Ok(())
    }

    /// Removes what this process has superseded, once that is enough; nothing while a backup or a
    /// clean-up runs, which sees to it.
    pub(super) async fn remove_superseded(&self) -> Result<()> {
        if !self.inner.superseded.is_due(Instant::now()) {
            return Ok(());
        }
        let Some(removal) = self.removal_turn().await? else { return Ok(()) };
        self.drain_superseded().await;
        removal.end(self).await
    }

    /// Removes what was superseded long enough ago, for whoever has the turn to remove. What cannot be
    /// removed waits once more.
    pub(super) async fn drain_superseded(&self) {
        loop {
            let due = self.inner.superseded.take(Instant::now());
            let count = due.len();
            let left = self.remove_locations(due).await;
            // A store that is away would be waited for with each page.
            let ends = left.len() == count;
            left.into_iter().for_each(|one| self.inner.superseded.push(one, Instant::now()));
            if ends {
                return;
            }
        }
    }

    /// Removes the objects of some locations; gives the locations of those that are left.
    async fn remove_locations(&self, locations: Vec<String>) -> Vec<String> {
        let path = |one: String| self.locations().path(&one).ok().map(|path| (one, path));
        let (locations, paths): (Vec<String>, Vec<Path>) =
            locations.into_iter().filter_map(path).unzip();
        let mut removed = remove(self.config().objects.as_ref(), &paths).await.into_iter();
        let is_left = |location: &String| match removed.next() {
            Some(Ok(_)) => false,
            Some(Err(error)) => {
                tracing::warn!(location, %error, "failed to remove superseded metadata");
                true
            }
            None => true,
        };
        locations.into_iter().filter(is_left).collect()
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

    #[test]
    fn a_metadata_file_is_dead_when_its_number_has_gone_by_and_nothing_remembers_it() {
        let file = |name: &str| format!("s3://test/t/metadata/{name}");
        let present = file("00007-a.metadata.json");
        let remembered =
            Remembered { number: 7, files: HashSet::from([file("00006-a.metadata.json")]) };
        let names = ["7-a", "7-b", "6-a", "6-b", "0-a", "8-a", "9-a", "x-a"];
        let mut found: Vec<String> =
            names.iter().map(|name| file(&format!("0000{name}.metadata.json"))).collect();
        found.extend(["00005-a.avro", "5.list.avro"].map(file));
        let expected = ["7-b", "6-b", "0-a"].map(|name| file(&format!("0000{name}.metadata.json")));
        assert_eq!(dead(found.clone(), &present, &remembered), expected);
        assert_eq!(dead(found, &file("v7.metadata.json"), &remembered), [""; 0]);
    }
}
