//! Metadata files that a table remembers no more.
//!
//! ```text
//! commit → files that fell out of the metadata log → queue → a minute → removed
//! ```
//!
//! In: commits of this process. Out: the removal of files that nobody finds any more but who read the
//! catalog before. Each commit writes the list of all snapshots as a new file, so that at fifty commits
//! a second a clean-up after days would come too late. What a dying process had in its queue
//! is found by that clean-up. Not here: files that a snapshot needs (`doomed`).

use std::collections::VecDeque;
use std::time::Duration;

use base::{Kind, Result};
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
}

impl Superseded {
    fn push(&self, location: String, at: Instant) {
        let mut waiting = self.waiting.lock();
        if waiting.len() < WAITING {
            waiting.push_back((at, location));
        }
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
            let kept = after.metadata_log();
            for log in before.metadata_log() {
                let is_kept = kept.iter().any(|kept| kept.metadata_file == log.metadata_file);
                if !is_kept && log.metadata_file != *swap.metadata_location {
                    self.inner.superseded.push(log.metadata_file.clone(), Instant::now());
                }
            }
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
        let removal = match self.hold_removal().await {
            Err(error) if error.kind() == Kind::Unavailable => return Ok(()),
            removal => removal?,
        };
        let locations = self.inner.superseded.take(now);
        self.discard_locations(locations).await;
        meta::leases::release(self.catalog().database(), &removal).await
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
}
