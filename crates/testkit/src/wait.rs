//! Waiting for a condition. In: a condition and a limit. Out: its value, or a panic that says what
//! was waited for. Not here: pauses without a condition; tests do not sleep.

use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_millis(5);

/// Polls until `condition` gives a value.
///
/// # Panics
/// When it gives none within `limit`.
#[track_caller]
pub fn wait_for<T>(what: &str, limit: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(started.elapsed() < limit, "waited {limit:?} in vain for {what}");
        std::thread::sleep(INTERVAL);
    }
}

/// Polls until the future that `condition` makes gives a value.
///
/// # Panics
/// When none does within `limit`.
pub async fn wait_for_async<T, C>(
    what: &str,
    limit: Duration,
    mut condition: impl FnMut() -> C,
) -> T
where
    C: Future<Output = Option<T>>,
{
    let started = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(started.elapsed() < limit, "waited {limit:?} in vain for {what}");
        tokio::time::sleep(INTERVAL).await;
    }
}
