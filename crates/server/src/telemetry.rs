//! What a server tells of its work: traces and metrics over OTLP, and a log of requests.
//!
//! ```text
//! request → seen (record) → ended → counts (http::metrics)
//!                                 → log      → a line of JSON
//!                                 → span     → export → a collector
//! counts → family → Prometheus' text | OTLP
//! ```
//!
//! In: settings, then requests. Out: lines and calls of a collector, neither of which a request waits for.
//! Without a collector and without a log nothing is noted but counts. Not here: counting (`http::metrics`).

mod context;
mod export;
pub(crate) mod family;
mod log;
mod proto;
mod seen;
mod span;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base::rng::Rng;
use base::{Clock, Result};

pub(crate) use seen::{GIVEN_UP, Head, Outcome, Seen};

use crate::settings::Settings;
use context::Sampler;
use export::Exporter;
use family::{Family, Kind};
use log::Log;
use proto::Message;
use seen::Wanted;

/// How long the last spans and lines may take when the server stops.
const LAST: Duration = Duration::from_secs(5);

/// What a server tells, and whom.
pub(crate) struct Telemetry {
    wanted: Wanted,
    exporter: Option<Exporter>,
    log: Option<Log>,
    /// Whether every request has a line, and from when on any has.
    logs_all: bool,
    slow: Option<Duration>,
    clock: Clock,
    rng: Rng,
    /// Since when it counts, in nanoseconds of Unix time.
    start: u64,
}

impl Telemetry {
    pub(crate) fn start(
        folder: &Path,
        settings: &Settings,
        clock: &Clock,
        rng: &Rng,
    ) -> Result<Telemetry> {
        let told = &settings.telemetry;
        let exporter = told.otlp_endpoint.as_deref().map(|endpoint| {
            let started = Exporter::start(folder, told, endpoint, clock, rng);
            started.map_err(|error| error.context("`telemetry` cannot be set up"))
        });
        let exporter = exporter.transpose()?;
        let is_logged = settings.log.requests || settings.log.slow.is_some();
        let log = is_logged.then(|| Log::start(folder, settings.log.file.as_deref()));
        let sampler = exporter.is_some().then(|| Sampler::new(told.traces));
        Ok(Telemetry {
            wanted: Wanted { sampler, is_logged, keeps_text: told.documents },
            exporter,
            log: log.transpose()?,
            logs_all: settings.log.requests,
            slow: settings.log.slow.map(|slow| slow.0),
            clock: clock.clone(),
            rng: rng.clone(),
            start: span::nanos(clock.now()),
        })
    }

    /// A request begins.
    pub(crate) fn begin(&self, head: Head<'_>) -> Arc<Seen> {
        Seen::new(&self.wanted, head, self.clock.now(), &self.rng)
    }

    /// A request has ended.
    pub(crate) fn end(&self, seen: &Seen, status: u16, took: Duration) {
        let is_sampled = seen.record.trace().is_some_and(|trace| trace.is_sampled);
        if !self.wanted.is_logged && !is_sampled {
            return;
        }
        let steps = seen.record.take_steps();
        let is_slow = self.slow.is_some_and(|slow| took >= slow);
        if let Some(log) = self.log.as_ref().filter(|_| self.logs_all || is_slow) {
            log.take(&log::line(seen, &steps, status, took, is_slow));
        }
        if let Some(exporter) = self.exporter.as_ref().filter(|_| is_sampled) {
            exporter.take(span::spans(seen, &steps, status, took));
        }
    }

    /// Whether somebody takes metrics.
    pub(crate) fn exports(&self) -> bool {
        self.exporter.is_some()
    }

    /// Sends metrics.
    pub(crate) async fn export(&self, families: &[Family]) {
        if let Some(exporter) = &self.exporter {
            exporter.metrics(families, self.start).await;
        }
    }

    /// What became of what was told.
    pub(crate) fn families(&self) -> Vec<Family> {
        let mut families = Vec::new();
        if let Some(exporter) = &self.exporter {
            let counts = exporter.counts();
            let counters = [
                ("spans_exported_total", "Spans that the collector took.", &counts.exported),
                ("spans_dropped_total", "Spans for which there was no room.", &counts.dropped),
                ("failed_calls_total", "Calls that the collector failed.", &counts.failed_calls),
            ];
            families.extend(counters.map(|(name, help, count)| {
                let name = format!("headwater_telemetry_{name}");
                Family::new(name, Kind::Counter, help).with(count.load(Ordering::Relaxed))
            }));
            let (name, help) = ("headwater_telemetry_spans_waiting", "Spans that wait.");
            let waiting = exporter.waiting() as u64;
            families.push(Family::new(name, Kind::Gauge, help).with(waiting));
        }
        if let Some(log) = &self.log {
            let help = "Lines of the log of requests for which there was no room.";
            let dropped = Family::new("headwater_log_dropped_total", Kind::Counter, help);
            families.push(dropped.with(log.dropped()));
        }
        families
    }

    /// Tells the last of it.
    pub(crate) async fn stop(&self) {
        if let Some(exporter) = &self.exporter {
            exporter.stop(LAST).await;
        }
        if let Some(log) = &self.log {
            log.stop(LAST).await;
        }
    }
}

/// `InstrumentationScope`: who made spans and metrics.
fn scope(message: &mut Message) {
    message.text(1, "headwater");
    message.text(2, env!("CARGO_PKG_VERSION"));
}

/// `KeyValue` of a text.
fn attribute(message: &mut Message, name: &str, value: &str) {
    message.text(1, name);
    message.message(2, |any| any.text(1, value));
}
