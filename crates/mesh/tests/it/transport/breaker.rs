//! The breaker and the retry budget, over a source that fails and comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use base::Clock;
use base::rng::Rng;
use futures::FutureExt;
use mesh::transport::{
    BreakerSettings, BreakerState, Call, CallErrorKind, Refusal, RetrySettings, SourceSettings,
    Transport,
};
use tokio::sync::{Semaphore, mpsc};

use super::server::{Peer, Server, answer, json};
use super::{clock, pass, query, settings, transport};

const FIVE_SECONDS: i64 = 5_000_000;

/// A source that fails while it is told to, how often it was asked, and its client.
async fn moody(change: impl FnOnce(&mut SourceSettings)) -> (Server, Transport, Clock, Arc<Moods>) {
    let moods = Arc::new(Moods::default());
    let shared = Arc::clone(&moods);
    let server = Server::start(move |mut peer: Peer| {
        let moods = Arc::clone(&shared);
        async move {
            while peer.request().await.is_some() {
                moods.asked.fetch_add(1, Ordering::SeqCst);
                let is_well = moods.is_well.load(Ordering::SeqCst);
                peer.say(if is_well { json("{}") } else { answer("503 Oh", "", "") }).await;
            }
        }
    })
    .await;
    let mut settings = settings(&server.url);
    settings.breaker =
        Some(BreakerSettings { calls: 20, minimum: 10, probes: 2, ..BreakerSettings::default() });
    settings.retry.most = 0;
    change(&mut settings);
    let clock = clock();
    let source = Transport::new("stars", settings, clock.clone(), Rng::seeded(7))
        .expect("it goes well in a test");
    (server, source, clock, moods)
}

#[derive(Default)]
struct Moods {
    is_well: AtomicBool,
    asked: AtomicUsize,
}

impl Moods {
    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn become_well(&self, is_well: bool) {
        self.is_well.store(is_well, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_source_that_fails_is_left_alone_and_tried_and_called_again() {
    let (_server, source, clock, moods) = moody(|_| {}).await;
    let ask = async || source.call(&query()).await.map_err(|error| error.kind);
    let state = || source.health().breaker.unwrap();
    for _ in 0..10 {
        assert_eq!(ask().await.unwrap_err(), CallErrorKind::Status(503));
    }
    assert_eq!((state(), source.health().breaker_opened), (BreakerState::Open, 1));
    for _ in 0..10 {
        assert_eq!(ask().await.unwrap_err(), CallErrorKind::Refused(Refusal::Breaker));
    }
    assert_eq!(moods.asked(), 10, "an open breaker lets nothing through");

    clock.advance(FIVE_SECONDS);
    assert_eq!(state(), BreakerState::HalfOpen);
    assert_eq!(ask().await.unwrap_err(), CallErrorKind::Status(503));
    assert_eq!(ask().await.unwrap_err(), CallErrorKind::Refused(Refusal::Breaker));
    assert_eq!((moods.asked(), source.health().breaker_opened), (11, 2), "a try that failed");

    clock.advance(FIVE_SECONDS);
    moods.become_well(true);
    ask().await.unwrap();
    assert_eq!(state(), BreakerState::HalfOpen, "one good try is not enough");
    ask().await.unwrap();
    assert_eq!(state(), BreakerState::Closed);
    moods.become_well(false);
    assert_eq!(ask().await.unwrap_err(), CallErrorKind::Status(503));
    assert_eq!(state(), BreakerState::Closed, "what was before the closing does not count");
}

#[tokio::test]
async fn one_call_at_a_time_tries_and_one_that_is_dropped_makes_room() {
    let (tell, mut told) = mpsc::channel(9);
    let go = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&go);
    let server = Server::start(move |mut peer: Peer| {
        let (tell, gate) = (tell.clone(), Arc::clone(&gate));
        async move {
            while peer.request().await.is_some() {
                tell.send(()).await.unwrap();
                gate.acquire().await.unwrap().forget();
                peer.say(answer("500 Oh", "", "")).await;
            }
        }
    })
    .await;
    let mut settings = settings(&server.url);
    settings.breaker = Some(BreakerSettings { minimum: 1, ..BreakerSettings::default() });
    let clock = clock();
    let source = Transport::new("stars", settings, clock.clone(), Rng::seeded(7)).unwrap();
    let call = query();
    go.add_permits(1);
    assert!(source.call(&call).await.is_err());
    told.recv().await.unwrap();
    clock.advance(FIVE_SECONDS);
    for _ in 0..3 {
        // The try hangs; all others are refused until it is given up.
        tokio::select! {
            ended = source.call(&call) => panic!("{ended:?}"),
            asked = told.recv() => asked.unwrap(),
        }
        let trying = source.call(&call);
        tokio::pin!(trying);
        tokio::select! {
            ended = &mut trying => panic!("{ended:?}"),
            asked = told.recv() => asked.unwrap(),
        }
        let refused = source.call(&call).await.unwrap_err();
        assert_eq!(refused.kind, CallErrorKind::Refused(Refusal::Breaker));
    }
}

#[tokio::test]
async fn what_is_not_the_source_s_fault_does_not_open_the_breaker() {
    let server = Server::start(|mut peer: Peer| async move {
        while let Some(request) = peer.request().await {
            if request.starts_with("GET /large") {
                peer.say(json(&"x".repeat(2_000))).await;
            } else {
                peer.gone().await;
            }
        }
    })
    .await;
    let source = transport(&server.url, |settings| {
        settings.answer_bytes = 1_000;
        settings.breaker = Some(BreakerSettings { minimum: 1, ..BreakerSettings::default() });
    });
    let large = Call { target: "/large".to_owned(), ..query() };
    assert_eq!(source.call(&large).await.unwrap_err().kind, CallErrorKind::TooLarge);
    let deadline = Some(tokio::time::Instant::now() + Duration::from_secs(1));
    let short = Call { deadline, ..query() };
    let (error, ()) = tokio::join!(source.call(&short), pass(Duration::from_secs(1)));
    assert_eq!(error.unwrap_err().kind, CallErrorKind::Timeout);
    let call = query();
    assert!(Box::pin(source.call(&call)).now_or_never().is_none(), "it is given up");
    assert_eq!(source.health().breaker, Some(BreakerState::Closed));

    let call = query();
    let (error, ()) = tokio::join!(source.call(&call), pass(Duration::from_secs(600)));
    assert_eq!(error.unwrap_err().kind, CallErrorKind::Timeout);
    assert_eq!(source.health().breaker, Some(BreakerState::Open), "its own timeout is its fault");
}

#[tokio::test]
async fn retries_stay_a_share_of_the_calls() {
    let (_server, source, _clock, moods) = moody(|settings| {
        settings.breaker = None;
        settings.retry = RetrySettings {
            most: 2,
            budget_percent: 10,
            reserve: 10,
            backoff: Duration::ZERO,
            ..RetrySettings::default()
        };
    })
    .await;
    for _ in 0..500 {
        let error = source.call(&query()).await.unwrap_err();
        assert_eq!((error.kind, error.retryable), (CallErrorKind::Status(503), true));
    }
    let health = source.health();
    assert_eq!(moods.asked(), 500 + health.retries as usize);
    assert!((50..=60).contains(&health.retries), "10 % of 500 and the reserve: {health:?}");
    assert!(health.retries_refused > 400);
    // What is saved up while all goes well is bounded.
    moods.become_well(true);
    for _ in 0..500 {
        source.call(&query()).await.unwrap();
    }
    assert_eq!(source.health().budget_left, 10);
}
