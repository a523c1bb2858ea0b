//! How a source does. In: what happens to its calls. Out: a [`Health`], a value at one moment, for
//! metrics and for the page of sources. Nothing here is global: a source's numbers live and end with
//! it. Not here: names of metrics, and how they are exported (`server`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::breaker::BreakerState;
use super::call::CallErrorKind;

/// The upper ends of the buckets of [`Latency`], in microseconds; a last bucket has no end.
pub const BUCKETS: [u64; 14] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000,
];

/// A source at one moment. Counts rise from the start of the source and never fall, unless said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The source's name.
    pub source: String,
    /// Calls and streams that were asked for.
    pub calls: u64,
    /// Calls that were answered, and streams that began.
    pub answered: u64,
    /// Calls that were not, by kind.
    pub errors: Errors,
    /// Tries beyond the first.
    pub retries: u64,
    /// Tries that the retry budget did not pay for.
    pub retries_refused: u64,
    /// Retries that the budget would pay for now.
    pub budget_left: u64,
    /// Whether calls are sent; `None` without a breaker.
    pub breaker: Option<BreakerState>,
    /// How often the breaker opened.
    pub breaker_opened: u64,
    /// Calls that run now.
    pub in_flight: usize,
    /// Calls that wait for a place now.
    pub queued: usize,
    /// Streams that are open now.
    pub streams: usize,
    /// Connections that are open now.
    pub connections: usize,
    /// Connections that were opened.
    pub connections_opened: u64,
    /// Calls that an earlier answer served within its time to live.
    pub cache_hits: u64,
    /// Calls with a time to live that none did.
    pub cache_misses: u64,
    /// Calls that failed and were served by an older answer.
    pub cache_stale: u64,
    /// Answers that are kept now.
    pub cache_entries: usize,
    /// What they take now, in bytes.
    pub cache_bytes: usize,
    /// Bytes of bodies that were sent.
    pub bytes_sent: u64,
    /// Bytes of bodies that were received, as they travelled.
    pub bytes_received: u64,
    /// How long calls took, from first wait to last byte; streams count until they begin.
    pub latency: Latency,
}

/// Calls that were not answered, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Errors {
    /// Out of time.
    pub timeout: u64,
    /// Not reached.
    pub connect: u64,
    /// Not sent.
    pub refused: u64,
    /// Not HTTP, not whole, not the right type.
    pub protocol: u64,
    /// Beyond a limit.
    pub too_large: u64,
    /// A status that is a failure.
    pub status: u64,
    /// Given up by who asked, or because the source was taken away.
    pub cancelled: u64,
}

impl Errors {
    /// All of them.
    pub fn all(&self) -> u64 {
        let Errors { timeout, connect, refused, protocol, too_large, status, cancelled } = self;
        timeout + connect + refused + protocol + too_large + status + cancelled
    }
}

/// A histogram of durations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// Calls in each of [`BUCKETS`], and in the last one without an end; not cumulative.
    pub counts: [u64; BUCKETS.len() + 1],
    /// All durations together, in microseconds.
    pub sum_micros: u64,
}

/// The counters behind a [`Health`].
#[derive(Debug, Default)]
pub(crate) struct Meters {
    calls: AtomicU64,
    answered: AtomicU64,
    errors: [AtomicU64; 7],
    pub(crate) retries: AtomicU64,
    pub(crate) retries_refused: AtomicU64,
    in_flight: AtomicUsize,
    streams: AtomicUsize,
    connections: AtomicUsize,
    connections_opened: AtomicU64,
    pub(crate) cache_hits: AtomicU64,
    pub(crate) cache_misses: AtomicU64,
    pub(crate) cache_stale: AtomicU64,
    pub(crate) bytes_sent: AtomicU64,
    pub(crate) bytes_received: AtomicU64,
    latency: [AtomicU64; BUCKETS.len() + 1],
    latency_sum: AtomicU64,
}

/// A call that runs; one that is dropped before it ended was given up.
#[derive(Debug)]
pub(crate) struct Running<'a> {
    meters: &'a Meters,
    ended: bool,
}

/// One more of what a meter counts, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Counted {
    meters: Arc<Meters>,
    counter: fn(&Meters) -> &AtomicUsize,
}

/// Adds to a counter.
pub(crate) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

impl Meters {
    /// A call begins.
    pub(crate) fn begin(&self) -> Running<'_> {
        add(&self.calls, 1);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Running { meters: self, ended: false }
    }

    /// A connection was opened.
    pub(crate) fn connection(self: &Arc<Self>) -> Counted {
        add(&self.connections_opened, 1);
        Counted::new(self, |meters| &meters.connections)
    }

    /// A stream was opened.
    pub(crate) fn stream(self: &Arc<Self>) -> Counted {
        Counted::new(self, |meters| &meters.streams)
    }

    fn error(&self, kind: CallErrorKind) {
        let slot = match kind {
            CallErrorKind::Timeout => 0,
            CallErrorKind::Connect => 1,
            CallErrorKind::Refused(_) => 2,
            CallErrorKind::Protocol => 3,
            CallErrorKind::TooLarge => 4,
            CallErrorKind::Status(_) | CallErrorKind::Grpc(_) => 5,
            CallErrorKind::Cancelled => 6,
        };
        add(&self.errors[slot], 1);
    }

    /// All of it that is counted here; the rest is 0.
    pub(crate) fn read(&self, source: &str) -> Health {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let now = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        let [timeout, connect, refused, protocol, too_large, status, cancelled] =
            self.errors.each_ref().map(count);
        Health {
            source: source.to_owned(),
            calls: count(&self.calls),
            answered: count(&self.answered),
            errors: Errors { timeout, connect, refused, protocol, too_large, status, cancelled },
            retries: count(&self.retries),
            retries_refused: count(&self.retries_refused),
            budget_left: 0,
            breaker: None,
            breaker_opened: 0,
            in_flight: now(&self.in_flight),
            queued: 0,
            streams: now(&self.streams),
            connections: now(&self.connections),
            connections_opened: count(&self.connections_opened),
            cache_hits: count(&self.cache_hits),
            cache_misses: count(&self.cache_misses),
            cache_stale: count(&self.cache_stale),
            cache_entries: 0,
            cache_bytes: 0,
            bytes_sent: count(&self.bytes_sent),
            bytes_received: count(&self.bytes_received),
            latency: Latency {
                counts: self.latency.each_ref().map(count),
                sum_micros: count(&self.latency_sum),
            },
        }
    }
}

impl Running<'_> {
    /// The call ended after this time.
    pub(crate) fn end(mut self, error: Option<CallErrorKind>, took: Duration) {
        self.ended = true;
        match error {
            None => add(&self.meters.answered, 1),
            Some(kind) => self.meters.error(kind),
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS.partition_point(|end| *end < micros);
        add(&self.meters.latency[bucket], 1);
        add(&self.meters.latency_sum, micros);
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.meters.in_flight.fetch_sub(1, Ordering::Relaxed);
        if !self.ended {
            self.meters.error(CallErrorKind::Cancelled);
        }
    }
}

impl Counted {
    fn new(meters: &Arc<Meters>, counter: fn(&Meters) -> &AtomicUsize) -> Self {
        counter(meters).fetch_add(1, Ordering::Relaxed);
        Counted { meters: Arc::clone(meters), counter }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.counter)(&self.meters).fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_bucket_that_ends_at_or_after_it() {
        let meters = Meters::default();
        for micros in [0, 500, 501, 10_000_000, 10_000_001] {
            meters.begin().end(None, Duration::from_micros(micros));
        }
        let latency = meters.read("a").latency;
        assert_eq!((latency.counts[0], latency.counts[1]), (2, 1));
        assert_eq!((latency.counts[13], latency.counts[14]), (1, 1));
        assert_eq!(latency.sum_micros, 20_001_002);
    }

    #[test]
    fn a_call_that_is_dropped_was_given_up() {
        let meters = Meters::default();
        drop(meters.begin());
        let health = meters.read("a");
        assert_eq!((health.calls, health.in_flight, health.errors.cancelled), (1, 0, 1));
    }
}
