//! Counters in Prometheus' text format: requests by route and status, their time, what is in flight.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use lake::maintain::TableStatus;
use mesh::transport::{BUCKETS as SOURCE_BUCKETS, BreakerState, Health};
use parking_lot::Mutex;

/// Upper bounds of the time buckets, in seconds.
const BUCKETS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// All counters of the process. Routes are patterns, so that their number is bounded.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    requests: Mutex<BTreeMap<(String, u16), u64>>,
    times: Mutex<BTreeMap<String, Times>>,
    in_flight: Arc<AtomicI64>,
    refused: AtomicU64,
}

#[derive(Clone, Debug, Default)]
struct Times {
    buckets: [u64; BUCKETS.len()],
    count: u64,
    seconds: f64,
}

/// A request that is being answered.
#[derive(Debug)]
pub(crate) struct Flight(Arc<AtomicI64>);

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Metrics::default()
    }

    /// A request came in; it is in flight until its flight is dropped, however it ends.
    pub(crate) fn begin(&self) -> Flight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Flight(Arc::clone(&self.in_flight))
    }

    /// A request was answered.
    pub(crate) fn end(&self, route: &str, status: u16, took: Duration) {
        *self.requests.lock().entry((route.to_owned(), status)).or_default() += 1;
        let mut times = self.times.lock();
        let times = times.entry(route.to_owned()).or_default();
        let seconds = took.as_secs_f64();
        times.count += 1;
        times.seconds += seconds;
        for (bound, count) in BUCKETS.iter().zip(&mut times.buckets) {
            *count += u64::from(seconds <= *bound);
        }
    }

    /// A request was turned away because too many were in flight.
    pub(crate) fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// The page.
    pub(crate) fn render(&self) -> String {
        let mut page = String::new();
        let mut line = |text: std::fmt::Arguments<'_>| {
            // Writing into a string cannot fail.
            let _infallible = page.write_fmt(text).and_then(|()| page.write_char('\n'));
        };
        line(format_args!("# TYPE headwater_requests_total counter"));
        for ((route, status), count) in self.requests.lock().iter() {
            line(format_args!(
                "headwater_requests_total{{route=\"{route}\",status=\"{status}\"}} {count}"
            ));
        }
        line(format_args!("# TYPE headwater_request_seconds histogram"));
        for (route, times) in self.times.lock().iter() {
            for (bound, count) in BUCKETS.iter().zip(times.buckets) {
                line(format_args!(
                    "headwater_request_seconds_bucket{{route=\"{route}\",le=\"{bound}\"}} {count}"
                ));
            }
            line(format_args!(
                "headwater_request_seconds_bucket{{route=\"{route}\",le=\"+Inf\"}} {}",
                times.count
            ));
            line(format_args!(
                "headwater_request_seconds_sum{{route=\"{route}\"}} {}",
                times.seconds
            ));
            line(format_args!(
                "headwater_request_seconds_count{{route=\"{route}\"}} {}",
                times.count
            ));
        }
        line(format_args!("# TYPE headwater_requests_in_flight gauge"));
        line(format_args!(
            "headwater_requests_in_flight {}",
            self.in_flight.load(Ordering::Relaxed)
        ));
        line(format_args!("# TYPE headwater_requests_refused_total counter"));
        line(format_args!(
            "headwater_requests_refused_total {}",
            self.refused.load(Ordering::Relaxed)
        ));
        page
    }
}

/// What maintenance owes to each table, as gauges.
pub(crate) fn render_debt(tables: &[TableStatus]) -> String {
    type Count = fn(&TableStatus) -> u64;
    let gauges: [(&str, Count); 6] = [
        ("small_files", |table| table.small_files),
        ("delete_files", |table| table.delete_files),
        ("expired_snapshots", |table| table.expired_snapshots),
        ("unindexed_rows", |table| table.unindexed_rows),
        ("orphan_bytes", |table| table.orphan_bytes),
        ("rows", |table| table.rows),
    ];
    let mut page = String::new();
    for (name, count) in gauges {
        // Writing into a string cannot fail.
        let _infallible = writeln!(page, "# TYPE headwater_table_{name} gauge");
        for table in tables {
            let _infallible = writeln!(
                page,
                "headwater_table_{name}{{type=\"{}\"}} {}",
                table.type_name,
                count(table)
            );
        }
    }
    page
}

/// How the services of the schema do. Of one that two versions of the schema reach in two ways, the
/// newer way: a series stands once in a page.
pub(crate) fn render_sources(sources: &[Health]) -> String {
    let ways = sources.chunk_by(|one, next| one.source == next.source);
    let sources: Vec<&Health> = ways.filter_map(<[Health]>::last).collect();
    type Value = fn(&Health) -> u64;
    let numbers: [(&str, &str, Value); 12] = [
        ("calls_total", "counter", |source| source.calls),
        ("answered_total", "counter", |source| source.answered),
        ("retries_total", "counter", |source| source.retries),
        ("breaker_open", "gauge", |source| u64::from(source.breaker == Some(BreakerState::Open))),
        ("breaker_opened_total", "counter", |source| source.breaker_opened),
        ("calls_in_flight", "gauge", |source| source.in_flight as u64),
        ("calls_queued", "gauge", |source| source.queued as u64),
        ("connections", "gauge", |source| source.connections as u64),
        ("cache_hits_total", "counter", |source| source.cache_hits),
        ("cache_bytes", "gauge", |source| source.cache_bytes as u64),
        ("sent_bytes_total", "counter", |source| source.bytes_sent),
        ("received_bytes_total", "counter", |source| source.bytes_received),
    ];
    let mut page = String::new();
    if sources.is_empty() {
        return page;
    }
    for (name, kind, value) in numbers {
        // Writing into a string cannot fail.
        let _infallible = writeln!(page, "# TYPE headwater_source_{name} {kind}");
        for health in &sources {
            let source = &health.source;
            let _infallible =
                writeln!(page, "headwater_source_{name}{{source=\"{source}\"}} {}", value(health));
        }
    }
    render_errors(&mut page, &sources);
    render_latency(&mut page, &sources);
    page
}

fn render_errors(page: &mut String, sources: &[&Health]) {
    let _infallible = writeln!(page, "# TYPE headwater_source_errors_total counter");
    for Health { source, errors, .. } in sources {
        let kinds = [
            ("timeout", errors.timeout),
            ("connect", errors.connect),
            ("refused", errors.refused),
            ("protocol", errors.protocol),
            ("too_large", errors.too_large),
            ("status", errors.status),
            ("cancelled", errors.cancelled),
        ];
        for (kind, count) in kinds {
            let _infallible = writeln!(
                page,
                "headwater_source_errors_total{{source=\"{source}\",kind=\"{kind}\"}} {count}"
            );
        }
    }
}

fn render_latency(page: &mut String, sources: &[&Health]) {
    let _infallible = writeln!(page, "# TYPE headwater_source_seconds histogram");
    for Health { source, latency, .. } in sources {
        let mut sum = 0;
        let ends = SOURCE_BUCKETS.iter().map(|micros| (*micros as f64 / 1e6).to_string());
        for (end, count) in ends.chain(["+Inf".to_owned()]).zip(latency.counts) {
            sum += count;
            let _infallible = writeln!(
                page,
                "headwater_source_seconds_bucket{{source=\"{source}\",le=\"{end}\"}} {sum}"
            );
        }
        let seconds = latency.sum_micros as f64 / 1e6;
        let _infallible =
            writeln!(page, "headwater_source_seconds_sum{{source=\"{source}\"}} {seconds}");
        let _infallible =
            writeln!(page, "headwater_source_seconds_count{{source=\"{source}\"}} {sum}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Clock;
    use base::rng::Rng;
    use mesh::transport::{SourceSettings, Transport};

    #[test]
    fn a_request_is_counted_in_every_bucket_above_its_time() {
        let metrics = Metrics::new();
        drop(metrics.begin());
        metrics.end("/graphql", 200, Duration::from_millis(3));
        let page = metrics.render();
        assert!(
            page.contains("headwater_requests_total{route=\"/graphql\",status=\"200\"} 1"),
            "{page}"
        );
        assert!(page.contains("le=\"0.0025\"} 0"), "{page}");
        assert!(page.contains("le=\"0.005\"} 1"), "{page}");
        assert!(page.contains("headwater_requests_in_flight 0"), "{page}");
    }

    #[test]
    fn a_service_that_is_reached_in_two_ways_is_one_series() {
        let health = |name: &str| {
            let settings = SourceSettings::new("http://a");
            let made = Transport::new(name, settings, Clock::system(), Rng::from_entropy());
            made.expect("a client").health()
        };
        let page = render_sources(&[health("a"), health("b"), Health { calls: 7, ..health("b") }]);
        let calls: Vec<&str> =
            page.lines().filter(|line| line.starts_with("headwater_source_calls_total{")).collect();
        let expected = [
            "headwater_source_calls_total{source=\"a\"} 0",
            "headwater_source_calls_total{source=\"b\"} 7",
        ];
        assert_eq!(calls, expected, "{page}");
        let mut series: Vec<&str> =
            page.lines().filter_map(|line| line.split(' ').next()).collect();
        series.retain(|series| series.contains('{'));
        let count = series.len();
        series.sort_unstable();
        series.dedup();
        assert_eq!(series.len(), count, "{page}");
    }
}
