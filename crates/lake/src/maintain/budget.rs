//! How much background work may cost: bytes a minute, gathered while nobody works.
//!
//! In: what a piece of work will read. Out: leave to do it, as soon as enough was gathered. A piece
//! larger than a minute's worth waits for a full minute and then leaves a debt, so that large pieces
//! happen and the mean holds. Not here: what the work is.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Bytes a minute when nothing else was set.
pub const BYTES_A_MINUTE: u64 = 1 << 30;

/// Bytes that background work of this process may read.
#[derive(Debug)]
pub(crate) struct Budget {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    a_minute: f64,
    /// What may be spent now; below zero after a piece that was larger.
    left: f64,
    at: Instant,
}

impl Budget {
    pub(crate) fn new(bytes_a_minute: u64) -> Budget {
        let a_minute = bytes_a_minute.max(1) as f64;
        Budget { state: Mutex::new(State { a_minute, left: a_minute, at: Instant::now() }) }
    }

    /// Another budget from now on.
    pub(crate) fn set(&self, bytes_a_minute: u64) {
        *self.state.lock() = Budget::new(bytes_a_minute).state.into_inner();
    }

    /// Waits until this many bytes may be read.
    pub(crate) async fn take(&self, bytes: u64) {
        while let Err(pause) = self.try_take(bytes, Instant::now()) {
            tokio::time::sleep(pause).await;
        }
    }

    /// Takes the bytes, or says when to ask again.
    fn try_take(&self, bytes: u64, now: Instant) -> Result<(), Duration> {
        let mut state = self.state.lock();
        let since = now.saturating_duration_since(state.at);
        let gathered = since.as_secs_f64() / 60.0 * state.a_minute;
        state.left = (state.left + gathered).min(state.a_minute);
        state.at = now;
        let wanted = (bytes as f64).min(state.a_minute);
        if state.left >= wanted {
            state.left -= bytes as f64;
            return Ok(());
        }
        let seconds = (wanted - state.left) / state.a_minute * 60.0;
        Err(Duration::from_secs_f64(seconds.clamp(0.001, 60.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_waits_until_enough_was_gathered() {
        let budget = Budget::new(600);
        let began = budget.state.lock().at;
        let after = |seconds: u64| began + Duration::from_secs(seconds);
        assert_eq!(budget.try_take(600, after(0)), Ok(()));
        assert_eq!(budget.try_take(100, after(0)), Err(Duration::from_secs(10)));
        assert_eq!(budget.try_take(100, after(10)), Ok(()));
        // Five minutes' worth happens after a full minute, and is paid for afterwards.
        assert_eq!(budget.try_take(3000, after(10)), Err(Duration::from_secs(60)));
        assert_eq!(budget.try_take(3000, after(70)), Ok(()));
        assert!(budget.try_take(1, after(300)).is_err());
        assert_eq!(budget.try_take(1, after(311)), Ok(()));
    }
}
