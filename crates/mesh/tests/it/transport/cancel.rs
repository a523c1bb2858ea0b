//! Who asks may go away at any moment: the source sees it, and nothing is left behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
use tokio::sync::mpsc;

use super::server::{Peer, Server, json};
use super::{query, transport};

#[tokio::test]
async fn the_source_sees_that_a_call_was_given_up() {
    let (tell, mut told) = mpsc::channel(1);
    let server = Server::start(move |mut peer: Peer| {
        let tell = tell.clone();
        async move {
            peer.request().await;
            tell.send("asked").await.unwrap();
            peer.gone().await;
            tell.send("left alone").await.unwrap();
        }
    })
    .await;
    let source = transport(&server.url, |_| {});
    let call = query();
    tokio::select! {
        ended = source.call(&call) => panic!("{ended:?}"),
        at = told.recv() => assert_eq!(at, Some("asked")),
    }
    assert_eq!(told.recv().await, Some("left alone"));
    let health = source.health();
    assert_eq!((health.in_flight, health.connections, health.errors.cancelled), (0, 0, 1));
}

/// A server of which each connection answers half of a request, whole ones, or never, in turn; how many
/// are open is counted.
async fn moody(open: &Arc<AtomicUsize>) -> Server {
    let open = Arc::clone(open);
    Server::start(move |mut peer: Peer| {
        let open = Arc::clone(&open);
        async move {
            open.fetch_add(1, Ordering::SeqCst);
            let mut requests = peer.number;
            while peer.request().await.is_some() {
                requests += 1;
                let whole = json("{\"stars\":[1,2,3,4,5,6,7,8,9]}");
                match requests % 4 {
                    0 => peer.gone().await,
                    1 => {
                        peer.say(&whole.as_bytes()[..whole.len() - 9]).await;
                        tokio::task::yield_now().await;
                        peer.say(&whole.as_bytes()[whole.len() - 9..]).await;
                    }
                    _ => {
                        peer.say(&whole).await;
                    }
                }
            }
            open.fetch_sub(1, Ordering::SeqCst);
        }
    })
    .await
}

#[tokio::test]
async fn thousands_of_calls_that_are_dropped_leave_nothing_behind() {
    let open = Arc::new(AtomicUsize::new(0));
    let server = moody(&open).await;
    let source = transport(&server.url, |settings| {
        (settings.concurrency, settings.queue) = (8, 32);
        settings.breaker = None;
    });
    let call = query();
    let mut answered = 0;
    for round in 0..200_usize {
        let mut calls: Vec<_> = (0..25).map(|_| Box::pin(source.call(&call))).collect();
        // Every call is dropped after another number of steps.
        for step in 0..round % 9 {
            calls.retain_mut(|calling| match calling.as_mut().now_or_never() {
                Some(ended) => {
                    answered += usize::from(ended.is_ok());
                    false
                }
                None => true,
            });
            calls.truncate(25 - 2 * step);
            tokio::task::yield_now().await;
        }
    }
    let health = source.health();
    assert!(answered > 0 && health.errors.cancelled > 1_000, "{health:?}");
    assert_eq!((health.in_flight, health.queued), (0, 0));
    assert!(health.connections <= 8);
    let seen = || (open.load(Ordering::SeqCst) <= 8).then_some(());
    let limit = Duration::from_secs(20);
    testkit::wait_for_async("the server to see all that was closed", limit, || async { seen() })
        .await;
}

#[tokio::test]
async fn no_place_stays_taken_by_calls_that_were_dropped() {
    let server = Server::start(|mut peer: Peer| async move {
        // The first eight connections are given up by the client.
        if peer.number < 8 {
            return peer.gone().await;
        }
        while peer.request().await.is_some() {
            peer.say(json("{}")).await;
        }
    })
    .await;
    let source = transport(&server.url, |settings| settings.concurrency = 8);
    let call = query();
    let mut stuck: Vec<_> = (0..20).map(|_| Box::pin(source.call(&call))).collect();
    while server.accepted() < 8 {
        for calling in &mut stuck {
            assert!(calling.as_mut().now_or_never().is_none());
        }
        tokio::task::yield_now().await;
    }
    drop(stuck);
    let answers = join_all((0..8).map(|_| source.call(&call))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(source.health().connections, 8);
}
