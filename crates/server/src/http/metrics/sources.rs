//! How the services of the schema do, as families: calls, failures, times, breakers, queues.

use mesh::transport::{BUCKETS, BreakerState, Health};

use crate::telemetry::family::{Family, Kind, Sample};

/// The services, and who owns them. Of one that two versions of the schema reach in two ways, the newer way: a series stands
/// once in a page.
pub(in crate::http) fn sources(health: &[Health], owner: impl Fn(&str) -> String) -> Vec<Family> {
    if health.is_empty() {
        return Vec::new();
    }
    let ways = health.chunk_by(|one, next| one.source == next.source);
    let sources: Vec<&Health> = ways.filter_map(<[Health]>::last).collect();
    let owned = sources.into_iter().map(|health| Owned { health, owner: owner(&health.source) });
    let owned: Vec<Owned<'_>> = owned.collect();
    let mut families = numbers(&owned);
    families.extend([errors(&owned), breakers(&owned), latency(&owned)]);
    families
}

struct Owned<'a> {
    health: &'a Health,
    owner: String,
}

impl Owned<'_> {
    fn labels(&self, more: Option<(&'static str, &str)>) -> Vec<(&'static str, String)> {
        let own = [("source", self.health.source.clone()), ("owner", self.owner.clone())];
        own.into_iter().chain(more.map(|(name, text)| (name, text.to_owned()))).collect()
    }
}

fn numbers(sources: &[Owned<'_>]) -> Vec<Family> {
    type Number = fn(&Health) -> u64;
    let numbers: [(&str, Kind, &str, Number); 15] = [
        ("calls_total", Kind::Counter, "Calls.", |source| source.calls),
        ("answered_total", Kind::Counter, "Calls that were answered.", |source| source.answered),
        ("retries_total", Kind::Counter, "Tries beyond the first.", |source| source.retries),
        (
            "retries_refused_total",
            Kind::Counter,
            "Tries that the budget of retries did not pay for.",
            |source| source.retries_refused,
        ),
        ("breaker_open", Kind::Gauge, "Whether no calls are sent.", |source| {
            u64::from(source.breaker == Some(BreakerState::Open))
        }),
        ("breaker_opened_total", Kind::Counter, "How often the breaker opened.", |source| {
            source.breaker_opened
        }),
        ("calls_in_flight", Kind::Gauge, "Calls that run.", |source| source.in_flight as u64),
        ("calls_queued", Kind::Gauge, "Calls that wait.", |source| source.queued as u64),
        ("connections", Kind::Gauge, "Open connections.", |source| source.connections as u64),
        ("cache_hits_total", Kind::Counter, "Calls that a kept answer served.", |source| {
            source.cache_hits
        }),
        ("cache_misses_total", Kind::Counter, "Calls that none served.", |source| {
            source.cache_misses
        }),
        ("cache_stale_total", Kind::Counter, "Failures that an old answer hid.", |source| {
            source.cache_stale
        }),
        ("cache_bytes", Kind::Gauge, "Bytes of kept answers.", |source| source.cache_bytes as u64),
        ("sent_bytes_total", Kind::Counter, "Bytes of questions.", |source| source.bytes_sent),
        ("received_bytes_total", Kind::Counter, "Bytes of answers.", |source| {
            source.bytes_received
        }),
    ];
    let family = |(name, kind, help, number): (&str, Kind, &'static str, Number)| {
        let mut family = Family::new(format!("headwater_source_{name}"), kind, help);
        for source in sources {
            family.add(source.labels(None), number(source.health));
        }
        family
    };
    numbers.map(family).into()
}

fn errors(sources: &[Owned<'_>]) -> Family {
    let help = "Calls that were not answered, by kind.";
    let mut family = Family::new("headwater_source_errors_total", Kind::Counter, help);
    for source in sources {
        let errors = &source.health.errors;
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
            family.add(source.labels(Some(("kind", kind))), count);
        }
    }
    family
}

/// One of the states is 1.
fn breakers(sources: &[Owned<'_>]) -> Family {
    let help = "The state of the breaker: 1 at the one that it is in.";
    let mut family = Family::new("headwater_source_breaker_state", Kind::Gauge, help);
    let states = [
        ("closed", BreakerState::Closed),
        ("half_open", BreakerState::HalfOpen),
        ("open", BreakerState::Open),
    ];
    for source in sources {
        let Some(now) = source.health.breaker else { continue };
        for (name, state) in states {
            family.add(source.labels(Some(("state", name))), u64::from(state == now));
        }
    }
    family
}

fn latency(sources: &[Owned<'_>]) -> Family {
    let help = "How long calls took, waits and retries included.";
    let mut family = Family::new("headwater_source_seconds", Kind::Histogram, help);
    for source in sources {
        let latency = &source.health.latency;
        let value = super::histogram(&BUCKETS, latency.counts.to_vec(), latency.sum_micros);
        family.samples.push(Sample { labels: source.labels(None), value });
    }
    family
}

#[cfg(test)]
mod tests {
    use base::Clock;
    use base::rng::Rng;
    use mesh::transport::{SourceSettings, Transport};

    use super::*;
    use crate::telemetry::family::render;

    #[test]
    fn a_service_that_is_reached_in_two_ways_is_one_series() {
        let health = |name: &str| {
            let settings = SourceSettings::new("http://a");
            let made = Transport::new(name, settings, Clock::system(), Rng::from_entropy());
            made.expect("a client").health()
        };
        let health = [health("a"), health("b"), Health { calls: 7, ..health("b") }];
        let page = render(&sources(&health, |name| format!("team {name}")));
        let calls: Vec<&str> =
            page.lines().filter(|line| line.starts_with("headwater_source_calls_total{")).collect();
        let expected = [
            "headwater_source_calls_total{source=\"a\",owner=\"team a\"} 0",
            "headwater_source_calls_total{source=\"b\",owner=\"team b\"} 7",
        ];
        assert_eq!(calls, expected, "{page}");
        let mut series: Vec<&str> = page
            .lines()
            .filter_map(|line| line.rsplit_once(' ').map(|(series, _)| series))
            .collect();
        series.retain(|series| series.contains('{'));
        let count = series.len();
        series.sort_unstable();
        series.dedup();
        assert_eq!(series.len(), count, "{page}");
    }
}
