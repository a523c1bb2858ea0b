//! Answers that are used again: for whom, for how long, and when the source fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base::Clock;
use base::rng::Rng;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use mesh::transport::{Answer, Call, CallErrorKind, Freshness, HeaderRule, Origin, Transport};

use super::server::{Peer, Server, answer, json};
use super::{clock, query, settings};

/// A source that answers with the number of the request, and fails while there are no answers left.
async fn counting() -> (Server, Transport, Clock, Arc<AtomicUsize>) {
    let left = Arc::new(AtomicUsize::new(usize::MAX));
    let (shared, number) = (Arc::clone(&left), Arc::new(AtomicUsize::new(0)));
    let server = Server::start(move |mut peer: Peer| {
        let (left, number) = (Arc::clone(&shared), Arc::clone(&number));
        async move {
            while peer.request().await.is_some() {
                let said = match left.load(Ordering::SeqCst) {
                    0 => answer("500 Oh", "", ""),
                    _ => json(&number.fetch_add(1, Ordering::SeqCst).to_string()),
                };
                peer.say(said).await;
            }
        }
    })
    .await;
    let mut settings = settings(&server.url);
    settings.headers = vec![HeaderRule::Forward(header::AUTHORIZATION)];
    settings.cache_bytes = 100_000;
    let clock = clock();
    let source = Transport::new("stars", settings, clock.clone(), Rng::seeded(7))
        .expect("it goes well in a test");
    (server, source, clock, left)
}

fn fresh_for_ten(keep: fn(&Answer) -> bool) -> Option<Freshness> {
    let (ttl, stale) = (Duration::from_secs(10), Duration::from_secs(60));
    Some(Freshness { ttl, stale, keep })
}

/// A query of this client's.
fn from(authorization: &'static str) -> Call {
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, HeaderValue::from_static(authorization));
    // Each request has a trace of its own, which must not keep it from the cache.
    static TRACES: AtomicUsize = AtomicUsize::new(0);
    let trace = TRACES.fetch_add(1, Ordering::SeqCst);
    headers.insert(HeaderName::from_static("traceparent"), HeaderValue::from(trace));
    Call { client_headers: Arc::new(headers), freshness: fresh_for_ten(|_| true), ..query() }
}

async fn check(source: &Transport, call: &Call, expected: &str, origin: Origin) {
    let found = source.call(call).await.expect("it goes well in a test");
    assert_eq!((found.body.as_ref(), found.origin), (expected.as_bytes(), origin));
}

#[tokio::test]
async fn an_answer_serves_the_same_call_for_its_time_and_no_other() {
    let (_server, source, clock, _) = counting().await;
    check(&source, &from("a"), "0", Origin::Source).await;
    check(&source, &from("a"), "0", Origin::Cache).await;
    check(&source, &from("b"), "1", Origin::Source).await;
    check(&source, &Call { body: "x".into(), ..from("a") }, "2", Origin::Source).await;
    check(&source, &Call { target: "/x".to_owned(), ..from("a") }, "3", Origin::Source).await;
    check(&source, &Call { freshness: None, ..from("a") }, "4", Origin::Source).await;
    clock.advance(9_999_999);
    check(&source, &from("a"), "0", Origin::Cache).await;
    clock.advance(1);
    check(&source, &from("a"), "5", Origin::Source).await;
    let health = source.health();
    assert_eq!((health.cache_hits, health.cache_misses), (2, 5));
    assert!(health.cache_entries == 4 && health.cache_bytes > 4 * 512);
}

#[tokio::test]
async fn an_older_answer_stands_in_when_the_source_fails() {
    let (_server, source, clock, left) = counting().await;
    check(&source, &from("a"), "0", Origin::Source).await;
    clock.advance(20_000_000);
    left.store(0, Ordering::SeqCst);
    check(&source, &from("a"), "0", Origin::Stale(CallErrorKind::Status(500))).await;
    let error = source.call(&from("b")).await.unwrap_err();
    assert_eq!(error.kind, CallErrorKind::Status(500), "nobody else's answer stands in");
    clock.advance(50_000_000);
    assert!(source.call(&from("a")).await.is_err(), "it is too old now");
    assert_eq!((source.health().cache_stale, source.health().cache_entries), (1, 0));
}

#[tokio::test]
async fn answers_that_are_not_worth_it_are_not_kept() {
    let (_server, source, ..) = counting().await;
    let call = || Call { freshness: fresh_for_ten(|answer| answer.body != "0"), ..query() };
    check(&source, &call(), "0", Origin::Source).await;
    check(&source, &call(), "1", Origin::Source).await;
    check(&source, &call(), "1", Origin::Cache).await;
}
