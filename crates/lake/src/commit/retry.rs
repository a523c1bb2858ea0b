//! How often, and after which pause, a commit that lost a race is tried again.

use std::time::Duration;

use base::{Error, Kind, Result};

use crate::lake::Lake;

/// Races that one commit may lose before it gives up.
const LIMIT: u32 = 60;
/// The longest pause.
const LONGEST: Duration = Duration::from_millis(400);

/// The attempts of one commit.
#[derive(Debug)]
pub(crate) struct Attempts {
    rng: base::rng::Rng,
    lost: u32,
}

impl Attempts {
    pub(crate) fn new(lake: &Lake) -> Self {
        Attempts { rng: lake.config().rng.clone(), lost: 0 }
    }

    /// Waits for a random time that grows with the races lost; the error comes back when it was
    /// the last.
    pub(crate) async fn again(&mut self, lost: Error) -> Result<()> {
        self.lost += 1;
        if self.lost > LIMIT {
            let text = format!("failed to commit: other writers were faster {LIMIT} times");
            return Err(Error::new(Kind::Conflict, text)
                .hint("repeat the command, or give the writers fewer and larger batches")
                .caused_by(lost));
        }
        let most = Duration::from_millis(4 << self.lost.min(7)).min(LONGEST);
        let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        tokio::time::sleep(Duration::from_micros(self.rng.below(micros))).await;
        Ok(())
    }
}
