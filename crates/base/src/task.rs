//! The one home of `tokio::spawn`: tasks are named and stop when their handle is dropped, so that
//! nothing outlives whoever asked for it.

use std::future::Future;
use std::num::NonZero;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use crate::{Error, Kind, Result};

/// A running task; dropping it aborts the task.
#[derive(Debug)]
#[must_use = "a dropped task is aborted"]
pub struct Task<T> {
    name: &'static str,
    handle: tokio::task::JoinHandle<T>,
}

/// Runs `future` on the runtime until it ends or the handle is dropped.
#[expect(clippy::disallowed_methods, reason = "this is the one home of spawning")]
pub fn spawn<T: Send + 'static>(
    name: &'static str,
    future: impl Future<Output = T> + Send + 'static,
) -> Task<T> {
    Task { name, handle: tokio::spawn(future) }
}

/// Runs CPU work of more than about 500 µs, or blocking I/O, off the runtime's own threads.
/// Unlike [`spawn`], work that has started runs to its end.
#[expect(clippy::disallowed_methods, reason = "this is the one home of spawning")]
pub async fn blocking<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| join_error(name, error))
}

/// Runs a future that computes much between its waits on a thread of its own, where it hinders
/// nobody. Like [`blocking`], work that has started runs to its end.
#[expect(clippy::disallowed_methods, reason = "this is the one home of spawning")]
pub async fn on_a_thread<T: Send + 'static>(
    name: &'static str,
    future: impl Future<Output = T> + Send + 'static,
) -> Result<T> {
    let runtime = tokio::runtime::Handle::current();
    let ended = tokio::task::spawn_blocking(move || runtime.block_on(future)).await;
    ended.map_err(|error| join_error(name, error))
}

/// Computes `work` of each number below `count` on as many threads as there are cores, and gives the
/// results in order; blocks. For work of milliseconds at least: each call starts its threads.
pub fn parallel<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(count);
    if threads <= 1 {
        return (0..count).map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let take = || {
        let one = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|index| *index < count);
        std::iter::from_fn(one).map(|index| (index, work(index))).collect::<Vec<_>>()
    };
    let mut results: Vec<(usize, T)> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(take)).collect();
        let mut results = take();
        for other in others {
            results.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        results
    });
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

impl<T> Task<T> {
    /// Asks the task to stop; awaiting it then gives [`Kind::Cancelled`].
    pub fn abort(&self) {
        self.handle.abort();
    }

    /// Whether the task has ended.
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let name = self.name;
        Pin::new(&mut self.handle)
            .poll(context)
            .map(|result| result.map_err(|error| join_error(name, error)))
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

fn join_error(name: &'static str, error: tokio::task::JoinError) -> Error {
    if error.is_cancelled() {
        return Error::new(Kind::Cancelled, format!("task `{name}` was stopped"));
    }
    Error::internal(format!("task `{name}` failed")).caused_by(error)
}
