//! What a server counts: requests by route and status, operations of GraphQL by type and outcome, errors by
//! owner, and how the services do. Not here: the forms in which numbers are told (`telemetry::family`).
//!
//! Labels come from routes, from the schema and from fixed lists, so that no client and no service makes
//! series; those beyond a bound are counted together as `other`. Counting takes no lock but to make a series.

mod series;
mod sources;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use base::Kind as ErrorKind;
use lake::maintain::TableStatus;
use mesh::record::{Fault, Operation};
use schema::Schema;

use crate::telemetry::family::{Family, Kind, Sample, Value};
use crate::telemetry::{Outcome, Seen};
use series::Series;

pub(super) use sources::sources;

/// Upper ends of the time buckets, in microseconds.
const ENDS: [u64; 11] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000, 30_000_000,
];

/// The types of operations; the last one stands for requests that were refused before it was known.
const TYPES: [&str; 4] = ["query", "mutation", "subscription", "unknown"];

/// The statuses that HTTP has.
const STATUSES: usize = 500;

/// All counters of the process.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// By the pattern of the route.
    routes: Series<String, Route>,
    operations: [OfType; TYPES.len()],
    plans_kept: AtomicU64,
    plans_made: AtomicU64,
    faults: Series<Blame, AtomicU64>,
    in_flight: Arc<AtomicI64>,
    refused: AtomicU64,
}

/// Requests of one route.
#[derive(Debug)]
struct Route {
    /// From 100 on.
    statuses: Box<[AtomicU64]>,
    times: Times,
}

/// Operations of one type.
#[derive(Debug, Default)]
struct OfType {
    outcomes: [AtomicU64; Outcome::ALL.len()],
    times: Times,
}

#[derive(Debug, Default)]
struct Times {
    counts: [AtomicU64; ENDS.len() + 1],
    micros: AtomicU64,
}

/// Who is to blame for an error, and of what kind it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Blame {
    code: &'static str,
    owner: String,
    source: String,
}

/// A request that is being answered.
#[derive(Debug)]
pub(crate) struct Flight(Arc<AtomicI64>);

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for Route {
    fn default() -> Self {
        Route { statuses: zeros(STATUSES), times: Times::default() }
    }
}

fn zeros(count: usize) -> Box<[AtomicU64]> {
    std::iter::repeat_with(AtomicU64::default).take(count).collect()
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl Times {
    fn add(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        add(&self.counts[ENDS.partition_point(|end| *end < micros)]);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    fn value(&self) -> Value {
        histogram(&ENDS, self.counts.each_ref().map(read).to_vec(), read(&self.micros))
    }
}

/// Durations in buckets whose ends are in microseconds.
fn histogram(ends: &[u64], counts: Vec<u64>, micros: u64) -> Value {
    let seconds = |micros: &u64| *micros as f64 / 1e6;
    Value::Histogram { ends: ends.iter().map(seconds).collect(), counts, sum: seconds(&micros) }
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

    /// A request has ended.
    pub(crate) fn end(&self, seen: &Seen, status: u16, took: Duration) {
        let route = self.routes.of(seen.route.as_str());
        if let Some(count) = route.statuses.get(usize::from(status).wrapping_sub(100)) {
            add(count);
        }
        route.times.add(took);
        if let Some(answer) = seen.answer() {
            let operation = seen.record.operation();
            self.operation(operation, answer.outcome, took);
            answer.faults.iter().for_each(|fault| add(&self.faults.of(&Blame::of(fault))));
        }
    }

    fn operation(&self, operation: Option<&Operation>, outcome: Outcome, took: Duration) {
        let kind = operation.map_or("unknown", |operation| operation.kind);
        let of = TYPES.iter().position(|name| *name == kind).unwrap_or(TYPES.len() - 1);
        add(&self.operations[of].outcomes[outcome as usize]);
        self.operations[of].times.add(took);
        match operation {
            Some(operation) if operation.is_planned => add(&self.plans_kept),
            Some(_) => add(&self.plans_made),
            None => {}
        }
    }

    /// A request was turned away because too many were in flight.
    pub(crate) fn refuse(&self) {
        add(&self.refused);
    }

    /// All of it.
    pub(crate) fn families(&self) -> Vec<Family> {
        let in_flight = u64::try_from(self.in_flight.load(Ordering::Relaxed)).unwrap_or(0);
        let mut families = Vec::from(self.of_routes());
        families.extend([
            Family::new("headwater_requests_in_flight", Kind::Gauge, "Requests in flight.")
                .with(in_flight),
            Family::new(
                "headwater_requests_refused_total",
                Kind::Counter,
                "Requests that were turned away because too many were in flight.",
            )
            .with(read(&self.refused)),
        ]);
        families.extend(self.of_operations());
        families
    }

    fn of_routes(&self) -> [Family; 2] {
        let help = "Requests by the pattern of their route and by status.";
        let mut requests = Family::new("headwater_requests_total", Kind::Counter, help);
        let help = "How long requests took.";
        let mut times = Family::new("headwater_request_seconds", Kind::Histogram, help);
        for (name, route) in self.routes.all() {
            let statuses = route.statuses.iter().enumerate();
            for (index, count) in statuses.filter(|(_, count)| read(count) > 0) {
                let status = (index + 100).to_string();
                requests.add(vec![("route", name.clone()), ("status", status)], read(count));
            }
            let (labels, value) = (vec![("route", name)], route.times.value());
            times.samples.push(Sample { labels, value });
        }
        [requests, times]
    }

    fn of_operations(&self) -> Vec<Family> {
        let help = "Operations of GraphQL by type and outcome.";
        let mut count = Family::new("headwater_graphql_operations_total", Kind::Counter, help);
        let help = "How long requests of GraphQL took, by the type of their operation.";
        let mut times = Family::new("headwater_graphql_seconds", Kind::Histogram, help);
        let asked = |of: &&OfType| of.outcomes.iter().any(|count| read(count) > 0);
        for (name, of) in TYPES.iter().zip(&self.operations).filter(|(_, of)| asked(of)) {
            let kind = ("type", (*name).to_owned());
            for (outcome, number) in Outcome::ALL.iter().zip(&of.outcomes) {
                let outcome = ("outcome", outcome.name().to_owned());
                count.add(vec![kind.clone(), outcome], read(number));
            }
            times.samples.push(Sample { labels: vec![kind], value: of.times.value() });
        }
        let help = "Errors in answers by code, and by the owner and the source that failed.";
        let mut faults = Family::new("headwater_graphql_errors_total", Kind::Counter, help);
        for (blame, number) in self.faults.all() {
            let Blame { code, owner, source } = blame;
            let labels = vec![("code", code.to_owned()), ("owner", owner), ("source", source)];
            faults.add(labels, read(&number));
        }
        let help = "Operations whose plan was kept, and those that were planned.";
        let mut plans = Family::new("headwater_graphql_plans_total", Kind::Counter, help);
        for (result, number) in [("kept", &self.plans_kept), ("made", &self.plans_made)] {
            plans.add(vec![("plan", result.to_owned())], read(number));
        }
        vec![count, times, faults, plans]
    }
}

/// Codes that are no kinds of ours and still known.
const CODES: [&str; 3] =
    ["SERVICE_ERROR", "PERSISTED_QUERY_NOT_FOUND", "PERSISTED_QUERY_NOT_SUPPORTED"];

/// All series that there is no room for.
const OTHER: &str = "other";

impl Blame {
    fn of(fault: &Fault) -> Self {
        let code = fault.code.as_ref();
        let kind = ErrorKind::from_code(code).code();
        let known = CODES.into_iter().find(|known| *known == code);
        // Services make up codes of their own.
        let code = if kind == code { kind } else { known.unwrap_or(OTHER) };
        let text = |text: &Option<Arc<str>>| text.as_deref().unwrap_or_default().to_owned();
        Blame { code, owner: text(&fault.owner), source: text(&fault.source) }
    }
}

impl series::Key for Blame {
    fn other() -> Self {
        Blame { code: OTHER, owner: OTHER.to_owned(), source: OTHER.to_owned() }
    }
}

/// What maintenance owes to each table.
pub(super) fn debt(tables: &[TableStatus], schema: &Schema) -> Vec<Family> {
    type Count = fn(&TableStatus) -> u64;
    let gauges: [(&str, &str, Count); 6] = [
        ("small_files", "Files that a compaction would join.", |table| table.small_files),
        ("delete_files", "Files of deleted positions.", |table| table.delete_files),
        ("expired_snapshots", "Snapshots that may go.", |table| table.expired_snapshots),
        ("unindexed_rows", "Rows that no index knows.", |table| table.unindexed_rows),
        ("orphan_bytes", "Bytes of files that nobody needs.", |table| table.orphan_bytes),
        ("rows", "Rows.", |table| table.rows),
    ];
    let owner = |name: &str| {
        schema.type_named(name).map(|(_, object)| object.owner.to_string()).unwrap_or_default()
    };
    let family = |(name, help, count): (&str, &'static str, Count)| {
        let mut family = Family::new(format!("headwater_table_{name}"), Kind::Gauge, help);
        for table in tables {
            let name = &table.type_name;
            family.add(vec![("type", name.clone()), ("owner", owner(name))], count(table));
        }
        family
    };
    gauges.map(family).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::family::render;

    #[test]
    fn a_request_is_counted_in_every_bucket_above_its_time() {
        let metrics = Metrics::new();
        drop(metrics.begin());
        let route = metrics.routes.of("/graphql");
        add(&route.statuses[100]);
        route.times.add(Duration::from_millis(3));
        let page = render(&metrics.families());
        assert!(
            page.contains("headwater_requests_total{route=\"/graphql\",status=\"200\"} 1"),
            "{page}"
        );
        assert!(page.contains("le=\"0.0025\"} 0"), "{page}");
        assert!(page.contains("le=\"0.005\"} 1"), "{page}");
        assert!(page.contains("headwater_requests_in_flight 0"), "{page}");
    }

    #[test]
    fn codes_that_services_make_up_are_one_series() {
        let fault = |code: &str| Fault {
            code: code.into(),
            owner: Some("films".into()),
            source: None,
            reference: None,
        };
        let code = |text: &str| Blame::of(&fault(text)).code;
        assert_eq!(code("UNAVAILABLE"), "UNAVAILABLE");
        assert_eq!(code("SERVICE_ERROR"), "SERVICE_ERROR");
        assert_eq!((code("E1234"), code("")), ("other", "other"));
    }
}
