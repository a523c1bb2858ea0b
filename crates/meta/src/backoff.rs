//! Waiting between attempts. In: how long a caller is willing to wait. Out: pauses that grow and
//! are drawn at random, until the patience is used up. Not here: deciding what is worth another
//! attempt (`failure`).

use std::time::Duration;

use base::rng::Rng;
use tokio::time::Instant;

const FIRST: Duration = Duration::from_millis(2);
const LONGEST: Duration = Duration::from_millis(100);

/// The pauses of one operation.
#[derive(Debug)]
pub(crate) struct Backoff<'a> {
    rng: &'a Rng,
    ceiling: Duration,
    deadline: Instant,
}

impl<'a> Backoff<'a> {
    /// Starts the clock of an operation that may take `patience`.
    pub(crate) fn new(rng: &'a Rng, patience: Duration) -> Self {
        Backoff { rng, ceiling: FIRST, deadline: Instant::now() + patience }
    }

    /// Waits before the next attempt; `false` says that the patience is used up.
    pub(crate) async fn pause(&mut self) -> bool {
        let now = Instant::now();
        if now >= self.deadline {
            return false;
        }
        // The whole range is drawn from ("full jitter"), so that rivals who collided once part.
        let micros = 1 + self.rng.below(self.ceiling.as_micros() as u64);
        let pause = Duration::from_micros(micros).min(self.deadline - now);
        self.ceiling = (self.ceiling * 2).min(LONGEST);
        tokio::time::sleep(pause).await;
        true
    }
}
