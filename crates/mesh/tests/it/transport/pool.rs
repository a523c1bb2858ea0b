//! Connections and places: kept, bounded, replaced when they are gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use mesh::transport::{CallErrorKind, Refusal, Transport};
use tokio::sync::{Barrier, Semaphore, mpsc};

use super::server::{Peer, Server, json};
use super::{mutation, pass, query, settle, transport};

/// Answers the first request of the first connection, and resets that connection at the second.
async fn resetting() -> Server {
    Server::start(|mut peer: Peer| async move {
        peer.request().await;
        peer.say(json("{}")).await;
        if peer.number == 0 {
            peer.request().await;
            return peer.reset();
        }
        while peer.request().await.is_some() {
            peer.say(json("[]")).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_query_survives_the_reset_of_a_kept_connection() {
    let server = resetting().await;
    let source = transport(&server.url, |_| {});
    source.call(&query()).await.unwrap();
    assert_eq!(source.call(&query()).await.unwrap().body, "{}");
    assert_eq!((server.accepted(), source.health().retries), (2, 1));
}

#[tokio::test]
async fn a_mutation_that_was_written_to_a_kept_connection_is_not_sent_again() {
    let server = resetting().await;
    let source = transport(&server.url, |_| {});
    source.call(&query()).await.unwrap();
    let error = source.call(&mutation()).await.unwrap_err();
    assert_eq!((error.kind, error.retryable), (CallErrorKind::Protocol, false));
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn a_kept_connection_that_the_server_closed_is_replaced_without_a_retry() {
    let (tell, mut told) = mpsc::channel(1);
    let server = Server::start(move |mut peer: Peer| {
        let tell = tell.clone();
        async move {
            peer.request().await;
            peer.say(json("{}")).await;
            drop(peer);
            tell.send(()).await.unwrap();
        }
    })
    .await;
    let source = transport(&server.url, |settings| settings.retry.most = 0);
    for _ in 0..5 {
        source.call(&query()).await.unwrap();
        told.recv().await.unwrap();
        settle().await;
    }
    assert_eq!((server.accepted(), source.health().retries), (5, 0));
}

#[tokio::test]
async fn idle_connections_are_closed_also_when_no_call_comes() {
    let (tell, mut told) = mpsc::channel(1);
    let server = Server::start(move |mut peer: Peer| {
        let tell = tell.clone();
        async move {
            peer.request().await;
            peer.say(json("{}")).await;
            peer.gone().await;
            tell.send(()).await.unwrap();
        }
    })
    .await;
    let source = transport(&server.url, |s| s.idle_timeout = Duration::from_secs(15));
    source.call(&query()).await.unwrap();
    assert_eq!(source.health().connections, 1);
    tokio::task::yield_now().await;
    for _ in 0..3 {
        pass(Duration::from_secs(15)).await;
    }
    told.recv().await.unwrap();
    assert_eq!(source.health().connections, 0);
}

#[tokio::test]
async fn no_more_calls_run_at_once_than_there_are_places() {
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    let server = Server::start(move |mut peer: Peer| {
        let (running, most) = (Arc::clone(&running), Arc::clone(&most));
        async move {
            while peer.request().await.is_some() {
                let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                tokio::task::yield_now().await;
                running.fetch_sub(1, Ordering::SeqCst);
                peer.say(json("{}")).await;
            }
        }
    })
    .await;
    let source = transport(&server.url, |settings| settings.concurrency = 4);
    let call = query();
    let answers = join_all((0..200).map(|_| source.call(&call))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert!(server.accepted() <= 4 && seen.load(Ordering::SeqCst) <= 4);
    let health = source.health();
    assert_eq!((health.in_flight, health.queued, health.answered), (0, 0, 200));
    assert!(health.connections <= 4);
}

/// A source with one place, which is taken until a permit is added, and room for one to wait.
async fn crowded() -> (Server, Transport, Arc<Semaphore>, mpsc::Receiver<()>) {
    let (tell, told) = mpsc::channel(9);
    let go = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&go);
    let server = Server::start(move |mut peer: Peer| {
        let (tell, gate) = (tell.clone(), Arc::clone(&gate));
        async move {
            while peer.request().await.is_some() {
                tell.send(()).await.expect("it goes well in a test");
                gate.acquire().await.expect("it goes well in a test").forget();
                peer.say(json("{}")).await;
            }
        }
    })
    .await;
    let source = transport(&server.url, |settings| {
        settings.timeout = Duration::from_secs(60);
        (settings.concurrency, settings.queue) = (1, 1);
    });
    (server, source, go, told)
}

#[tokio::test]
async fn a_call_waits_for_its_place_and_the_next_one_is_refused() {
    let (_server, source, go, mut told) = crowded().await;
    let call = query();
    let (first, second) = (source.call(&call), source.call(&call));
    let third = async {
        told.recv().await.unwrap();
        let error = source.call(&call).await.unwrap_err();
        assert_eq!(error.kind, CallErrorKind::Refused(Refusal::Queue));
        assert_eq!(error.to_string(), "too many calls wait for the source");
        assert_eq!((source.health().in_flight, source.health().queued), (2, 1));
        go.add_permits(2);
    };
    let (first, second, ()) = tokio::join!(first, second, third);
    assert!(first.is_ok() && second.is_ok());
    assert_eq!((source.health().in_flight, source.health().queued), (0, 0));
}

#[tokio::test]
async fn waiting_counts_in_the_timeout() {
    let (_server, source, _go, mut told) = crowded().await;
    let (slow, call) = (query(), mutation());
    let passing = async {
        told.recv().await.unwrap();
        pass(Duration::from_secs(60)).await;
    };
    let (first, second, ()) = tokio::join!(source.call(&slow), source.call(&call), passing);
    assert_eq!(first.unwrap_err().kind, CallErrorKind::Timeout);
    let error = second.unwrap_err();
    assert_eq!(error.detail, "the source's timeout was over while waiting for a place");
    assert!(error.retryable, "it was never sent");
    assert_eq!((source.health().in_flight, source.health().queued), (0, 0));
}

#[tokio::test]
async fn a_source_that_is_taken_away_tells_who_waits_and_lets_others_end() {
    let (_server, source, go, mut told) = crowded().await;
    let call = query();
    let closing = async {
        told.recv().await.unwrap();
        source.close();
        go.add_permits(1);
    };
    let (first, second, ()) = tokio::join!(source.call(&call), source.call(&call), closing);
    assert!(first.is_ok());
    assert_eq!(second.unwrap_err().kind, CallErrorKind::Cancelled);
    assert_eq!(source.call(&call).await.unwrap_err().kind, CallErrorKind::Cancelled);
    assert_eq!(source.health().connections, 0);
}

#[tokio::test]
async fn calls_are_not_joined_while_they_run() {
    let both = Arc::new(Barrier::new(2));
    let server = Server::start(move |mut peer: Peer| {
        let both = Arc::clone(&both);
        async move {
            peer.request().await;
            // Only two requests on two connections get past this.
            both.wait().await;
            peer.say(json("{}")).await;
        }
    })
    .await;
    let source = transport(&server.url, |_| {});
    let call = query();
    let (first, second) = tokio::join!(source.call(&call), source.call(&call));
    assert!(first.is_ok() && second.is_ok());
}
