//! HTTP/2: one connection for many calls, streams that are reset, refused and sent away.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures::future::join_all;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{Request, Response};
use mesh::transport::{CallErrorKind, Content, Protocol, Transport};
use tokio::sync::{Barrier, mpsc};

use super::server::{Peer, Server};
use super::{mutation, query, transport};

fn source(server: &Server) -> Transport {
    transport(&server.url, |settings| settings.protocol = Protocol::Http2)
}

type Exchange = (Request<RecvStream>, SendResponse<Bytes>);

/// A server that gives every stream to the script, with its number on the connection.
async fn start<F>(script: impl Fn(Exchange, usize) -> F + Send + Sync + 'static) -> Server
where
    F: Future<Output = ()> + Send + 'static,
{
    let script = Arc::new(script);
    Server::start(move |peer: Peer| {
        let script = Arc::clone(&script);
        async move {
            let mut connection =
                h2::server::handshake(peer.into_stream()).await.expect("it goes well in a test");
            let (mut streams, mut number) = (tokio::task::JoinSet::new(), 0);
            while let Some(Ok(exchange)) = connection.accept().await {
                streams.spawn(script(exchange, number));
                number += 1;
            }
        }
    })
    .await
}

fn say(respond: &mut SendResponse<Bytes>, body: &'static str) {
    let head = Response::builder()
        .header("content-type", "application/json")
        .body(())
        .expect("it goes well in a test");
    let mut stream = respond.send_response(head, false).expect("it goes well in a test");
    stream.send_data(Bytes::from_static(body.as_bytes()), false).expect("it goes well in a test");
    let mut trailers = http::HeaderMap::new();
    trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
    stream.send_trailers(trailers).expect("it goes well in a test");
}

#[tokio::test]
async fn calls_at_once_share_one_connection() {
    let all = Arc::new(Barrier::new(20));
    let server = start(move |(request, mut respond), _| {
        let all = Arc::clone(&all);
        async move {
            assert_eq!(request.uri().path(), "/stars");
            all.wait().await;
            say(&mut respond, "{}");
        }
    })
    .await;
    let source = source(&server);
    let call = query();
    for answer in join_all((0..20).map(|_| source.call(&call))).await {
        let answer = answer.unwrap();
        assert_eq!(answer.body, "{}");
        assert_eq!(answer.trailers.unwrap()["grpc-status"], "0");
    }
    assert_eq!((server.accepted(), source.health().connections), (1, 1));
    source.close();
    assert_eq!(source.health().connections, 0);
}

#[tokio::test]
async fn a_full_connection_is_followed_by_another_up_to_the_limit() {
    let all = Arc::new(Barrier::new(12));
    let server = start(move |(_, mut respond), _| {
        let all = Arc::clone(&all);
        async move {
            all.wait().await;
            say(&mut respond, "{}");
        }
    })
    .await;
    let source = transport(&server.url, |settings| {
        settings.protocol = Protocol::Http2;
        (settings.calls_per_connection, settings.shared_connections) = (2, 3);
    });
    let call = query();
    assert!(join_all((0..12).map(|_| source.call(&call))).await.iter().all(Result::is_ok));
    assert_eq!(server.accepted(), 3);
}

#[tokio::test]
async fn the_source_sees_that_a_call_was_given_up() {
    let (tell, mut told) = mpsc::channel(1);
    let server = start(move |(_, mut respond), _| {
        let tell = tell.clone();
        async move {
            tell.send(None).await.unwrap();
            let reason = std::future::poll_fn(|cx| respond.poll_reset(cx)).await;
            tell.send(Some(reason.unwrap())).await.unwrap();
        }
    })
    .await;
    let source = source(&server);
    let call = query();
    for _ in 0..10 {
        tokio::select! {
            ended = source.call(&call) => panic!("{ended:?}"),
            at = told.recv() => assert_eq!(at, Some(None)),
        }
        assert_eq!(told.recv().await, Some(Some(Reason::CANCEL)));
    }
    let health = source.health();
    assert_eq!((health.in_flight, health.errors.cancelled), (0, 10));
    assert_eq!(server.accepted(), 1, "the connection stays");
}

#[tokio::test]
async fn a_stream_that_is_dropped_is_reset() {
    let (tell, mut told) = mpsc::channel(1);
    let server = start(move |(_, mut respond), _| {
        let tell = tell.clone();
        async move {
            let head = Response::builder().header("content-type", "text/event-stream");
            let mut stream = respond.send_response(head.body(()).unwrap(), false).unwrap();
            stream.send_data(Bytes::from_static(b":\n"), false).unwrap();
            let reason = std::future::poll_fn(|cx| stream.poll_reset(cx)).await;
            tell.send(reason.unwrap()).await.unwrap();
        }
    })
    .await;
    let source = source(&server);
    let call = mesh::transport::Call { content: Content::Events, ..query() };
    let mut stream = source.call_stream(&call).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), ":\n");
    drop(stream);
    assert_eq!(told.recv().await, Some(Reason::CANCEL));
    assert_eq!(source.health().streams, 0);
}

/// How often a source is asked that ends the first streams so, and what comes of it.
async fn check(
    reason: Reason,
    call: mesh::transport::Call,
    expected: Result<(), CallErrorKind>,
    asked: usize,
) {
    let counter = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&counter);
    let server = start(move |(_, mut respond), number| {
        counter.fetch_add(1, Ordering::SeqCst);
        async move {
            match number {
                0 => respond.send_reset(reason),
                _ => say(&mut respond, "{}"),
            }
        }
    })
    .await;
    let source = source(&server);
    let found = source.call(&call).await.map(|_| ()).map_err(|error| error.kind);
    assert_eq!((found, seen.load(Ordering::SeqCst)), (expected, asked), "{reason:?}");
}

#[tokio::test]
async fn a_stream_that_was_not_looked_at_is_sent_again() {
    check(Reason::REFUSED_STREAM, mutation(), Ok(()), 2).await;
    check(Reason::REFUSED_STREAM, query(), Ok(()), 2).await;
    check(Reason::INTERNAL_ERROR, query(), Ok(()), 2).await;
    check(Reason::INTERNAL_ERROR, mutation(), Err(CallErrorKind::Protocol), 1).await;
}

#[tokio::test]
async fn a_server_that_goes_away_is_followed_by_another_connection() {
    let server = Server::start(|peer: Peer| async move {
        let mut connection = h2::server::handshake(peer.into_stream()).await.unwrap();
        let Some(Ok((_, mut respond))) = connection.accept().await else { return };
        say(&mut respond, "{}");
        connection.graceful_shutdown();
        while connection.accept().await.is_some() {}
    })
    .await;
    let source = source(&server);
    for _ in 0..5 {
        assert_eq!(source.call(&query()).await.unwrap().body, "{}");
    }
    assert_eq!((source.health().answered, source.health().in_flight), (5, 0));
    assert!(server.accepted() > 1);
}

#[tokio::test]
async fn a_server_that_does_not_speak_it_is_an_error() {
    let server = Server::start(|mut peer: Peer| async move {
        peer.say("HTTP/1.1 400 Bad Request\r\n\r\n").await;
        peer.gone().await;
    })
    .await;
    let error = source(&server).call(&query()).await.unwrap_err();
    assert!(matches!(error.kind, CallErrorKind::Protocol | CallErrorKind::Connect), "{error:?}");
}
