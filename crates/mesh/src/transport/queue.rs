//! The places of a source: so many calls run, so many wait, the next one is refused. In: that a call
//! wants to begin. Out: a place that is free again when it is dropped. Those who wait come in the order
//! in which they came. Not here: how long one waits, which is the call's own time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

/// Places and a bounded queue before them.
#[derive(Debug)]
pub(crate) struct Queue {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    longest: usize,
}

/// A place; it is free again when this is dropped.
pub(crate) type Place = OwnedSemaphorePermit;

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// All places are taken, and too many wait.
    Full,
    /// The source was taken away.
    Closed,
}

/// Leaves the queue when it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Queue {
    pub(crate) fn new(places: usize, longest: usize) -> Self {
        let places = Arc::new(Semaphore::new(places));
        Queue { places, waiting: AtomicUsize::new(0), longest }
    }

    /// A place, as soon as there is one.
    pub(crate) async fn place(&self) -> Result<Place, NoPlace> {
        match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => return Ok(place),
            Err(TryAcquireError::Closed) => return Err(NoPlace::Closed),
            Err(TryAcquireError::NoPermits) => {}
        }
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        if before >= self.longest {
            return Err(NoPlace::Full);
        }
        Arc::clone(&self.places).acquire_owned().await.map_err(|_| NoPlace::Closed)
    }

    /// Gives no more places; those who wait are told.
    pub(crate) fn close(&self) {
        self.places.close();
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}
