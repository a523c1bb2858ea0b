//! Answers that go on: piece by piece, no faster than they are read, and not for ever in silence.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base::Principal;
use mesh::transport::{Call, CallErrorKind, Content, Refusal, Transport};
use tokio::sync::mpsc;

use super::server::{Peer, Server, answer, json};
use super::{pass, settle, transport};

const HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

fn subscription() -> Call {
    Call { content: Content::Events, ..Call::get("/events", Principal::local()) }
}

/// A server that says the pieces that it is given, and tells when it is left; its client.
async fn speaker() -> (Server, Transport, mpsc::Sender<&'static str>, mpsc::Receiver<()>) {
    let (next, pieces) = mpsc::channel::<&'static str>(1);
    let (tell, told) = mpsc::channel(1);
    let pieces = Arc::new(tokio::sync::Mutex::new(pieces));
    let server = Server::start(move |mut peer: Peer| {
        let (pieces, tell) = (Arc::clone(&pieces), tell.clone());
        async move {
            peer.request().await;
            peer.say(HEAD).await;
            let mut pieces = pieces.lock().await;
            loop {
                tokio::select! {
                    () = peer.gone() => break,
                    piece = pieces.recv() => match piece {
                        Some("") | None => return peer.reset(),
                        Some(piece) => peer.say(piece).await,
                    },
                };
            }
            tell.send(()).await.expect("it goes well in a test");
        }
    })
    .await;
    let source = transport(&server.url, |settings| {
        settings.streams = 1;
        settings.stream_idle = Duration::from_secs(30);
    });
    (server, source, next, told)
}

#[tokio::test]
async fn pieces_come_as_they_are_said() {
    let (_server, source, next, mut told) = speaker().await;
    let mut stream = source.call_stream(&subscription()).await.unwrap();
    for said in ["5\r\ndata:\r\n", "2\r\n\n\n\r\n"] {
        next.send(said).await.unwrap();
        let piece = stream.next().await.unwrap().unwrap();
        assert!(said.contains(std::str::from_utf8(&piece).unwrap()));
    }
    assert_eq!((source.health().streams, source.health().in_flight), (1, 0));
    next.send("0\r\n\r\n").await.unwrap();
    assert!(stream.next().await.is_none());
    told.recv().await.unwrap();
    assert_eq!((source.health().streams, source.health().connections), (0, 0));
    assert_eq!(source.health().bytes_received, 7);
}

#[tokio::test]
async fn streams_are_bounded_and_one_that_is_dropped_is_seen_by_the_source() {
    let (_server, source, _next, mut told) = speaker().await;
    let stream = source.call_stream(&subscription()).await.unwrap();
    let error = source.call_stream(&subscription()).await.unwrap_err();
    assert_eq!(error.kind, CallErrorKind::Refused(Refusal::Streams));
    drop(stream);
    told.recv().await.unwrap();
    let _again = source.call_stream(&subscription()).await.unwrap();
    assert_eq!((source.health().streams, source.health().connections), (1, 1));
}

#[tokio::test]
async fn silence_ends_a_stream_and_words_prolong_it() {
    let (_server, source, next, mut told) = speaker().await;
    let mut stream = source.call_stream(&subscription()).await.unwrap();
    for _ in 0..3 {
        let (piece, ()) = tokio::join!(stream.next(), async {
            pass(Duration::from_secs(29)).await;
            next.send("1\r\n:\r\n").await.unwrap();
        });
        assert_eq!(piece.unwrap().unwrap(), ":");
    }
    // Time that the reader takes is no silence of the source.
    pass(Duration::from_secs(60)).await;
    let (end, ()) = tokio::join!(stream.next(), pass(Duration::from_secs(31)));
    let error = end.unwrap().unwrap_err();
    assert_eq!(
        (error.kind, error.detail.as_str()),
        (CallErrorKind::Timeout, "the stream was silent for 30s")
    );
    assert!(stream.next().await.is_none());
    told.recv().await.unwrap();
    assert_eq!(source.health().streams, 0);
}

#[tokio::test]
async fn a_stream_that_breaks_says_so_once() {
    let (_server, source, next, _told) = speaker().await;
    let mut stream = source.call_stream(&subscription()).await.unwrap();
    next.send("").await.unwrap();
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!((error.kind, error.retryable), (CallErrorKind::Protocol, true));
    assert!(stream.next().await.is_none());
    assert_eq!((source.health().streams, source.health().connections), (0, 0));
}

#[tokio::test]
async fn a_reader_that_is_slow_slows_the_source_down() {
    const PIECE: usize = 1 << 16;
    const ALL: usize = 1 << 28;
    let written = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&written);
    let server = Server::start(move |mut peer: Peer| {
        let counter = Arc::clone(&counter);
        async move {
            peer.request().await;
            peer.say("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n").await;
            while counter.load(Ordering::SeqCst) < ALL && peer.say(vec![b'x'; PIECE]).await {
                counter.fetch_add(PIECE, Ordering::SeqCst);
            }
        }
    })
    .await;
    let source = transport(&server.url, |_| {});
    let mut stream = source.call_stream(&subscription()).await.unwrap();
    assert!(stream.next().await.unwrap().is_ok());
    // Until the server cannot write any more.
    settle().await;
    let before = written.load(Ordering::SeqCst);
    assert!(before < ALL / 4, "{before} bytes were taken from the source unread");
    // A piece counts once all of it is written, so that some of the next one may come before it does.
    let mut read = 0;
    while read <= before + PIECE {
        read += stream.next().await.unwrap().unwrap().len();
    }
    assert!(written.load(Ordering::SeqCst) > before);
}

#[tokio::test]
async fn only_a_stream_of_events_is_one() {
    let check = async |said: String, expected: CallErrorKind| {
        let server = Server::always(said).await;
        let source = transport(&server.url, |_| {});
        assert_eq!(source.call_stream(&subscription()).await.unwrap_err().kind, expected);
        assert_eq!(source.health().streams, 0);
    };
    let events = "content-type: text/event-stream\r\n";
    check(json("{}"), CallErrorKind::Protocol).await;
    check(answer("404 Oh", events, ""), CallErrorKind::Status(404)).await;
    check(answer("500 Oh", events, ""), CallErrorKind::Status(500)).await;
    let packed = format!("{events}content-encoding: gzip\r\n");
    check(answer("200 OK", &packed, "x"), CallErrorKind::Protocol).await;
}
