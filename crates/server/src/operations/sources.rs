//! How the services of the schema do, each with its owner and its address.
//!
//! In: an open project. Out: what this process has seen of each service that the deployed schema names. Not
//! here: calling them (`mesh::transport`), the same numbers for scrapers (`http::metrics`).

use mesh::transport::{BUCKETS, BreakerState, Health, Latency};
use schema::ServiceModule;

use crate::project::Project;
use crate::wire::{LatencyBucket, SourceErrors, SourceInfo};

/// The services of the deployed schema, in its order.
pub(super) fn sources(project: &Project) -> Vec<SourceInfo> {
    let live = project.live();
    let schema = &live.deployed.schema;
    let seen = project.services.health();
    let info = |service: &ServiceModule| {
        let name = service.source.name.as_ref();
        // Of two ways to one service the newer one is the last.
        let health = seen.iter().rev().find(|health| health.source == name);
        let (owner, url) = (
            schema.modules[service.module].owner.to_string(),
            project.services.address(&service.source),
        );
        health.map(|health| shown(health, owner, url))
    };
    schema.services.iter().filter_map(info).collect()
}

fn shown(health: &Health, owner: String, url: String) -> SourceInfo {
    let errors = &health.errors;
    let quantile = |share: f64| quantile(&health.latency, share);
    SourceInfo {
        name: health.source.clone(),
        owner,
        url,
        calls: health.calls,
        answered: health.answered,
        errors: SourceErrors {
            timeout: errors.timeout,
            connect: errors.connect,
            refused: errors.refused,
            protocol: errors.protocol,
            too_large: errors.too_large,
            status: errors.status,
            cancelled: errors.cancelled,
        },
        retries: health.retries,
        retries_refused: health.retries_refused,
        breaker: breaker(health.breaker).to_owned(),
        breaker_opened: health.breaker_opened,
        in_flight: health.in_flight as u64,
        queued: health.queued as u64,
        connections: health.connections as u64,
        cache_hits: health.cache_hits,
        cache_misses: health.cache_misses,
        cache_stale: health.cache_stale,
        bytes_sent: health.bytes_sent,
        bytes_received: health.bytes_received,
        p50_millis: quantile(0.5),
        p95_millis: quantile(0.95),
        p99_millis: quantile(0.99),
        latency: buckets(&health.latency),
    }
}

/// The state of a breaker, in words.
pub(super) fn breaker(state: Option<BreakerState>) -> &'static str {
    match state {
        None => "off",
        Some(BreakerState::Closed) => "closed",
        Some(BreakerState::Open) => "open",
        Some(BreakerState::HalfOpen) => "half open",
    }
}

fn buckets(latency: &Latency) -> Vec<LatencyBucket> {
    let ends = BUCKETS.iter().map(|end| Some(*end as f64 / 1e3)).chain([None]);
    ends.zip(latency.counts)
        .map(|(up_to_millis, calls)| LatencyBucket { up_to_millis, calls })
        .collect()
}

/// The time below which this share of the calls ended, in milliseconds, as far as buckets tell: calls are
/// taken to lie evenly in theirs. Nothing when there were none.
fn quantile(latency: &Latency, share: f64) -> Option<f64> {
    let all: u64 = latency.counts.iter().sum();
    if all == 0 {
        return None;
    }
    let wanted = share * all as f64;
    let (mut below, mut start) = (0.0, 0.0);
    for (count, end) in latency.counts.iter().zip(BUCKETS) {
        let (count, end) = (*count as f64, end as f64 / 1e3);
        if count > 0.0 && below + count >= wanted {
            return Some(start + (end - start) * (wanted - below) / count);
        }
        (below, start) = (below + count, end);
    }
    // The last bucket has no end; what is known is where it begins.
    Some(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(counts: &[(usize, u64)], share: f64, expected: Option<f64>) {
        let mut latency = Latency::default();
        for (bucket, count) in counts {
            latency.counts[*bucket] = *count;
        }
        assert_eq!(quantile(&latency, share), expected, "{counts:?} {share}");
    }

    #[test]
    fn quantiles_lie_in_the_buckets_of_their_calls() {
        check(&[], 0.5, None);
        // Ten calls between 1 and 2.5 ms, ten between 10 and 25.
        let two = [(2, 10), (5, 10)];
        check(&two, 0.25, Some(1.75));
        check(&two, 0.5, Some(2.5));
        check(&two, 0.95, Some(23.5));
        check(&[(0, 1)], 1.0, Some(0.5));
        check(&[(14, 3)], 0.5, Some(10_000.0));
    }
}
