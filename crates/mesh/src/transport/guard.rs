//! The same patience for a source that is no HTTP: a breaker, a queue, a deadline and what is counted.
//!
//! ```text
//! work → breaker → queue → ( work, until its time is over ) → breaker, meters → result
//! ```
//!
//! In: futures that ask the source. Out: what they give, or why they were not run or not ended. Work that is
//! dropped is given up, and whoever does it ends it at the source. Not here: retries, which only the work
//! itself can judge, and what the work does.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base::{Clock, Error, Kind, Result};
use frame::{BatchStream, Scan, ScanRequest, Write, WriteReceipt, WriteRequest};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::breaker::{Breaker, Outcome, Ticket};
use super::call::{CallErrorKind, Refusal};
use super::health::{Health, Meters};
use super::queue::{NoPlace, Queue};
use super::settings::BreakerSettings;
use super::settle;

/// How patiently a source is asked.
#[derive(Clone, Debug)]
pub struct GuardSettings {
    /// How long one question may take, with its wait for a place.
    pub timeout: Duration,
    /// Questions at once.
    pub concurrency: usize,
    /// Questions that may wait.
    pub queue: usize,
    /// When the source is left alone for a while; `None` for never.
    pub breaker: Option<BreakerSettings>,
}

/// The guard of one source.
pub struct Guard {
    name: String,
    timeout: Duration,
    clock: Clock,
    breaker: Option<Mutex<Breaker>>,
    queue: Queue,
    meters: Arc<Meters>,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Leave of the breaker; what is dropped without a word says nothing about the source.
struct Leave<'a> {
    guard: &'a Guard,
    ticket: Option<Ticket>,
}

impl Guard {
    /// A guard of a source that nobody has asked yet.
    pub fn new(name: &str, settings: GuardSettings, clock: Clock) -> Guard {
        Guard {
            name: name.to_owned(),
            timeout: settings.timeout,
            clock,
            breaker: settings.breaker.map(|breaker| Mutex::new(Breaker::new(breaker))),
            queue: Queue::new(settings.concurrency, settings.queue),
            meters: Arc::new(Meters::default()),
        }
    }

    /// Runs work, if the source is well enough and within its time.
    ///
    /// # Errors
    /// Those of the work; [`Kind::Unavailable`] when it was not run or did not end.
    pub async fn run<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let (began, running) = (Instant::now(), self.meters.begin());
        let (result, told) = self.guarded(work, began + self.timeout).await;
        running.end(told, began.elapsed());
        result
    }

    /// How the source does now.
    pub fn health(&self) -> Health {
        let breaker = self.breaker.as_ref().map(|breaker| breaker.lock().state(self.clock.now()));
        Health {
            breaker: breaker.map(|(state, _)| state),
            breaker_opened: breaker.map_or(0, |(_, opened)| opened),
            queued: self.queue.waiting(),
            ..self.meters.read(&self.name)
        }
    }

    async fn guarded<T>(
        &self,
        work: impl Future<Output = Result<T>>,
        until: Instant,
    ) -> (Result<T>, Option<CallErrorKind>) {
        if !self.breaker.as_ref().is_none_or(|it| it.lock().would_admit(self.clock.now())) {
            return self.refused(Refusal::Breaker);
        }
        let place = match tokio::time::timeout_at(until, self.queue.place()).await {
            Ok(Ok(place)) => place,
            Ok(Err(NoPlace::Full)) => return self.refused(Refusal::Queue),
            Ok(Err(NoPlace::Closed)) => {
                return (Err(self.fault("was taken away")), Some(CallErrorKind::Cancelled));
            }
            Err(_) => return (Err(self.late()), Some(CallErrorKind::Timeout)),
        };
        let Some(mut leave) = self.admit() else { return self.refused(Refusal::Breaker) };
        let ended = tokio::time::timeout_at(until, work).await;
        drop(place);
        let Ok(result) = ended else {
            leave.note(Outcome::Failed);
            return (Err(self.late()), Some(CallErrorKind::Timeout));
        };
        let is_down = result.as_ref().is_err_and(|error| error.kind() == Kind::Unavailable);
        leave.note(if is_down { Outcome::Failed } else { Outcome::Well });
        (result, is_down.then_some(CallErrorKind::Connect))
    }

    fn admit(&self) -> Option<Leave<'_>> {
        let Some(breaker) = &self.breaker else { return Some(Leave { guard: self, ticket: None }) };
        let ticket = breaker.lock().admit(self.clock.now())?;
        Some(Leave { guard: self, ticket: Some(ticket) })
    }

    fn refused<T>(&self, refusal: Refusal) -> (Result<T>, Option<CallErrorKind>) {
        let words = match refusal {
            Refusal::Breaker => "is not asked: most of the last questions failed",
            _ => "has more questions than it takes",
        };
        (Err(self.fault(words)), Some(CallErrorKind::Refused(refusal)))
    }

    fn late(&self) -> Error {
        self.fault("did not answer in time")
    }

    fn fault(&self, words: &str) -> Error {
        Error::new(Kind::Unavailable, format!("`{}` {words}", self.name)).hint("try again later")
    }
}

impl Leave<'_> {
    fn note(&mut self, outcome: Outcome) {
        let Some(ticket) = self.ticket.take() else { return };
        let at = &self.guard;
        if let Some(breaker) = &at.breaker {
            settle(breaker, ticket, outcome, (at.clock.now(), &at.name));
        }
    }
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.note(Outcome::Unknown);
    }
}

/// Tables behind a guard.
#[derive(Debug)]
pub struct Guarded<S> {
    tables: S,
    guard: Arc<Guard>,
}

impl<S> Guarded<S> {
    /// These tables, asked as patiently as the guard says. Answers must be whole when a scan begins to give
    /// them: what comes later is not guarded.
    pub fn new(tables: S, guard: Arc<Guard>) -> Self {
        Guarded { tables, guard }
    }
}

#[async_trait]
impl<S: Scan> Scan for Guarded<S> {
    async fn scan(&self, request: ScanRequest) -> Result<BatchStream> {
        self.guard.run(self.tables.scan(request)).await
    }

    async fn count(&self, request: ScanRequest) -> Result<u64> {
        self.guard.run(self.tables.count(request)).await
    }

    async fn snapshot(&self, table: &str) -> Result<i64> {
        self.tables.snapshot(table).await
    }
}

#[async_trait]
impl<S: Write> Write for Guarded<S> {
    async fn write(&self, request: WriteRequest) -> Result<WriteReceipt> {
        self.guard.run(self.tables.write(request)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::BreakerState;

    fn guard(concurrency: usize, queue: usize) -> (Guard, Clock) {
        let clock = Clock::fixed(base::Timestamp::from_micros(0));
        let breaker =
            BreakerSettings { minimum: 2, calls: 4, probes: 1, ..BreakerSettings::default() };
        let settings = GuardSettings {
            timeout: Duration::from_millis(50),
            concurrency,
            queue,
            breaker: Some(breaker),
        };
        (Guard::new("shop", settings, clock.clone()), clock)
    }

    async fn fails(guard: &Guard, kind: Kind) -> String {
        let failed = guard.run(async { Err::<(), _>(Error::new(kind, "no")) }).await;
        failed.expect_err("must fail").to_string()
    }

    #[tokio::test]
    async fn a_source_that_is_down_is_left_alone_until_its_time_is_over() {
        let (guard, clock) = guard(1, 1);
        for _ in 0..2 {
            assert_eq!(fails(&guard, Kind::Unavailable).await, "no");
        }
        let refused = "`shop` is not asked: most of the last questions failed";
        assert_eq!(fails(&guard, Kind::Unavailable).await, refused);
        assert_eq!(guard.health().breaker, Some(BreakerState::Open));
        clock.advance(5_000_000);
        guard.run(async { Ok(()) }).await.expect("a try that goes well");
        let health = guard.health();
        assert_eq!(health.breaker, Some(BreakerState::Closed));
        assert_eq!((health.calls, health.answered, health.errors.connect), (4, 1, 2));
        assert_eq!((health.errors.refused, health.in_flight), (1, 0));
    }

    #[tokio::test]
    async fn a_question_that_is_wrong_says_nothing_about_the_source() {
        let (guard, _) = guard(1, 1);
        for _ in 0..4 {
            assert_eq!(fails(&guard, Kind::InvalidInput).await, "no");
        }
        assert_eq!(guard.health().breaker, Some(BreakerState::Closed));
        assert_eq!(guard.health().answered, 4);
    }

    #[tokio::test(start_paused = true)]
    async fn work_ends_with_its_time_and_waits_only_where_there_is_room() {
        let (guard, _) = guard(1, 1);
        let forever = || guard.run(std::future::pending::<Result<()>>());
        let told = |result: Result<()>| result.expect_err("must fail").to_string();
        let (first, second, third) = tokio::join!(forever(), forever(), forever());
        assert_eq!(told(first), "`shop` did not answer in time");
        assert_eq!(told(second), "`shop` did not answer in time");
        assert_eq!(told(third), "`shop` has more questions than it takes");
        let health = guard.health();
        assert_eq!((health.errors.timeout, health.errors.refused), (2, 1));
        assert_eq!((health.in_flight, health.queued), (0, 0));
    }
}
