//! Answers that are late, broken, endless or failures: each ends with the right error, and nothing of
//! it stays behind.

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderName, HeaderValue, header};
use mesh::transport::{
    Call, CallError, CallErrorKind, Content, HeaderRule, Refusal, SourceSettings, Transport,
};
use tokio::sync::mpsc;

use super::server::{Peer, Server, answer, json};
use super::{mutation, pass, query, transport};

/// Nothing runs, waits or is held any more.
#[track_caller]
fn check_nothing_left(source: &Transport) {
    let health = source.health();
    let left = (health.in_flight, health.queued, health.streams);
    assert_eq!(left, (0, 0, 0), "{health:?}");
    let errors = health.errors;
    let failed = errors.timeout + errors.connect + errors.refused + errors.protocol;
    let failed = failed + errors.too_large + errors.status + errors.cancelled;
    assert_eq!(health.calls, health.answered + failed, "every call is counted once");
}

/// What a query comes to when each connection is answered with these bytes and closed; then how many
/// connections it took, and whether the error may be tried again.
async fn check(bytes: impl Into<Vec<u8>>, expected: CallErrorKind, tries: usize, retryable: bool) {
    let error = failed(bytes, query(), |_| {}, tries).await;
    assert_eq!((error.kind, error.retryable), (expected, retryable), "{}", error.detail);
}

async fn failed(
    bytes: impl Into<Vec<u8>>,
    call: Call,
    change: impl FnOnce(&mut SourceSettings),
    tries: usize,
) -> CallError {
    let server = Server::saying(bytes).await;
    let source = transport(&server.url, change);
    let error = source.call(&call).await.expect_err("a failure");
    assert_eq!(server.accepted(), tries, "tries of {error:?}");
    check_nothing_left(&source);
    error
}

#[tokio::test]
async fn a_good_answer_is_given_as_it_came() {
    let server = Server::always(json("{\"stars\":4}")).await;
    let source = transport(&server.url, |_| {});
    for _ in 0..10 {
        let found = source.call(&query()).await.unwrap();
        assert_eq!((found.status.as_u16(), found.body.as_ref()), (200, b"{\"stars\":4}".as_ref()));
    }
    assert_eq!(server.accepted(), 1, "the connection is kept");
    let health = source.health();
    assert_eq!((health.answered, health.bytes_received), (10, 110));
    check_nothing_left(&source);
}

/// A source that says this much and then nothing is left when the time is over.
async fn check_hung(said: &'static str) -> CallError {
    let (tell, mut told) = mpsc::channel(1);
    let server = Server::start(move |mut peer: Peer| {
        let tell = tell.clone();
        async move {
            peer.request().await;
            peer.say(said).await;
            tell.send("asked").await.expect("it goes well in a test");
            peer.gone().await;
            tell.send("left alone").await.expect("it goes well in a test");
        }
    })
    .await;
    let source = transport(&server.url, |settings| settings.timeout = Duration::from_secs(2));
    let call = query();
    let calling = source.call(&call);
    tokio::pin!(calling);
    tokio::select! {
        biased;
        ended = &mut calling => panic!("{ended:?}"),
        at = told.recv() => assert_eq!(at, Some("asked")),
    }
    let (error, ()) = tokio::join!(calling, pass(Duration::from_secs(2)));
    assert_eq!(told.recv().await, Some("left alone"), "the source sees that nobody waits");
    check_nothing_left(&source);
    error.expect_err("no answer")
}

#[tokio::test]
async fn a_source_that_hangs_is_left_at_the_timeout() {
    let error = check_hung("").await;
    assert_eq!((error.kind, error.retryable), (CallErrorKind::Timeout, true));
    assert_eq!(error.detail, "the source's timeout was over while waiting for the answer");
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    let half = format!("{head}content-length: 9\r\n\r\n{{\"a");
    for said in [head, half.as_str(), "HTTP/1.1 100 Continue\r\n\r\n"] {
        let error = check_hung(said.to_owned().leak()).await;
        assert_eq!((error.kind, error.retryable), (CallErrorKind::Timeout, true), "{said}");
    }
}

#[tokio::test]
async fn a_deadline_of_the_request_comes_before_the_timeout() {
    let server = Server::start(|mut peer| async move { peer.gone().await }).await;
    let source = transport(&server.url, |_| {});
    let deadline = Some(tokio::time::Instant::now());
    let error = source.call(&Call { deadline, ..mutation() }).await.unwrap_err();
    assert_eq!(error.detail, "the request's deadline was over while waiting for a place");
    assert_eq!((error.retryable, server.accepted()), (true, 0), "nothing was sent");
    let deadline = Some(tokio::time::Instant::now() + Duration::from_secs(1));
    let call = Call { deadline, ..mutation() };
    let (error, ()) = tokio::join!(source.call(&call), pass(Duration::from_secs(1)));
    let error = error.unwrap_err();
    assert!(error.detail.starts_with("the request's deadline was over"), "{}", error.detail);
    check_nothing_left(&source);
}

#[tokio::test]
async fn an_answer_in_slow_pieces_is_put_together() {
    let (next, pieces) = mpsc::channel::<&'static str>(1);
    let pieces = std::sync::Arc::new(tokio::sync::Mutex::new(pieces));
    let server = Server::start(move |mut peer: Peer| {
        let pieces = std::sync::Arc::clone(&pieces);
        async move {
            peer.request().await;
            let mut pieces = pieces.lock().await;
            while let Some(piece) = pieces.recv().await {
                peer.say(piece).await;
            }
        }
    })
    .await;
    let source = transport(&server.url, |_| {});
    let call = query();
    let feeding = async {
        let chunks =
            ["HTTP/1.1 200 OK\r\ncontent-type: applic", "ation/json\r\n", "transfer-encoding: "];
        for piece in chunks.into_iter().chain([
            "chunked\r\n\r",
            "\n3\r",
            "\n[1,\r\n",
            "2\r\n2]\r\n0\r\n\r\n",
        ]) {
            next.send(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let (answer, ()) = tokio::join!(source.call(&call), feeding);
    assert_eq!(answer.unwrap().body, "[1,2]");
}

#[tokio::test]
async fn a_source_that_closes_early_is_tried_again_and_then_given_up() {
    check("", CallErrorKind::Protocol, 3, true).await;
    check("HTTP/1.1 200 OK\r\n", CallErrorKind::Protocol, 3, true).await;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    check(format!("{head}content-length: 9\r\n\r\n{{"), CallErrorKind::Protocol, 3, true).await;
    check(
        format!("{head}transfer-encoding: chunked\r\n\r\n1\r\n{{\r\n"),
        CallErrorKind::Protocol,
        3,
        true,
    )
    .await;
}

#[tokio::test]
async fn a_mutation_that_may_have_arrived_is_not_sent_again() {
    for said in
        ["", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\ncontent-type: application/json\r\n\r\n{"]
    {
        let error = failed(said, mutation(), |_| {}, 1).await;
        assert_eq!((error.kind, error.retryable), (CallErrorKind::Protocol, false), "{said}");
    }
    let error = failed(answer("503 Oh", "retry-after: 0\r\n", ""), mutation(), |_| {}, 1).await;
    assert_eq!((error.kind, error.retryable), (CallErrorKind::Status(503), false));
}

#[tokio::test]
async fn what_is_not_http_is_an_error_at_once() {
    check("SSH-2.0-OpenSSH_9.2\r\n", CallErrorKind::Protocol, 1, false).await;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    check(
        format!("{head}content-length: 2\r\ncontent-length: 3\r\n\r\n{{}}"),
        CallErrorKind::Protocol,
        1,
        false,
    )
    .await;
    check(
        format!("{head}transfer-encoding: chunked\r\n\r\nxyz\r\n"),
        CallErrorKind::Protocol,
        3,
        true,
    )
    .await;
    check(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        CallErrorKind::Protocol,
        1,
        false,
    )
    .await;
}

#[tokio::test]
async fn bytes_beyond_an_answer_are_never_read_as_the_next_one() {
    let server = Server::always(json("{}") + &json("{\"forged\":1}")).await;
    let source = transport(&server.url, |_| {});
    for _ in 0..3 {
        assert_eq!(source.call(&query()).await.unwrap().body, "{}");
    }
    assert_eq!(server.accepted(), 3, "such a connection is not kept");
}

#[tokio::test]
async fn an_endless_body_stops_at_the_limit() {
    let (tell, mut told) = mpsc::channel(1);
    let server = Server::start(move |mut peer: Peer| {
        let tell = tell.clone();
        async move {
            peer.request().await;
            peer.say("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n").await;
            while peer.say([b' '; 1000]).await {}
            tell.send(()).await.unwrap();
        }
    })
    .await;
    let source = transport(&server.url, |settings| settings.answer_bytes = 100_000);
    let error = source.call(&query()).await.unwrap_err();
    assert_eq!((error.kind, error.retryable), (CallErrorKind::TooLarge, false));
    assert_eq!(error.detail, "the body is beyond 100000 bytes");
    told.recv().await.unwrap();
    check_nothing_left(&source);
}

#[tokio::test]
async fn what_is_too_large_by_its_own_word_is_not_read() {
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99999999999\r\n\r\n";
    check(head, CallErrorKind::TooLarge, 1, false).await;
    let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "x".repeat(100_000));
    check(endless, CallErrorKind::TooLarge, 1, false).await;
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(1000));
    check(many, CallErrorKind::TooLarge, 1, false).await;
}

#[tokio::test]
async fn a_bomb_stops_at_the_limit() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![b' '; 50 << 20]).unwrap();
    let bomb = encoder.finish().unwrap();
    let head = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-type: application/json\r\n";
    let mut said = format!("{head}content-length: {}\r\n\r\n", bomb.len()).into_bytes();
    said.extend(bomb);
    let server = Server::saying(said).await;
    let source = transport(&server.url, |settings| settings.answer_bytes = 1 << 20);
    let error = source.call(&query()).await.unwrap_err();
    assert_eq!(error.kind, CallErrorKind::TooLarge);
    assert_eq!(error.detail, "the decompressed body is beyond 1048576 bytes");
    check_nothing_left(&source);
}

#[tokio::test]
async fn compressed_answers_are_read_and_asked_for_by_setting() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(b"{\"stars\":4}").unwrap();
    let packed = encoder.finish().unwrap();
    let server = Server::start(move |mut peer: Peer| {
        let packed = packed.clone();
        async move {
            let request = peer.request().await.unwrap();
            assert!(request.contains("accept-encoding: zstd, gzip, br, deflate\r\n"), "{request}");
            let head = "content-encoding: gzip\r\ncontent-type: application/json";
            let head =
                format!("HTTP/1.1 200 OK\r\n{head}\r\ncontent-length: {}\r\n\r\n", packed.len());
            peer.say(head).await;
            peer.say(packed).await;
        }
    })
    .await;
    let source = transport(&server.url, |settings| settings.compression = true);
    assert_eq!(source.call(&query()).await.unwrap().body, "{\"stars\":4}");
    check("HTTP/1.1 200 OK\r\ncontent-encoding: lzma\r\ncontent-type: application/json\r\ncontent-length: 0\r\n\r\n", CallErrorKind::Protocol, 1, false)
        .await;
}

#[tokio::test]
async fn statuses_that_are_failures_are_errors() {
    let plain = "content-type: text/plain\r\n";
    check(answer("500 Oh", plain, "no"), CallErrorKind::Status(500), 1, true).await;
    check(answer("501 Oh", plain, "no"), CallErrorKind::Status(501), 1, false).await;
    check(answer("503 Oh", plain, "no"), CallErrorKind::Status(503), 3, true).await;
    check(answer("404 Oh", plain, "no"), CallErrorKind::Status(404), 1, false).await;
    check(answer("200 OK", plain, "no"), CallErrorKind::Protocol, 1, false).await;
    let elsewhere = "location: http://169.254.169.254/\r\n";
    check(answer("302 Found", elsewhere, ""), CallErrorKind::Status(302), 1, false).await;
}

#[tokio::test]
async fn what_a_failure_says_is_kept_for_the_log_and_for_the_mesh() {
    let typed = "content-type: application/json\r\n";
    let error = failed(answer("500 Oh", typed, "{\"errors\":[]}"), query(), |_| {}, 1).await;
    assert_eq!(error.detail, "status 500 Internal Server Error: {\\\"errors\\\":[]}");
    assert_eq!(error.to_string(), "the source answered with status 500");
    assert_eq!(error.answer.unwrap().body, "{\"errors\":[]}");
    let error = failed(answer("500 Oh", "", "a\nb"), query(), |_| {}, 1).await;
    assert_eq!(error.detail, "status 500 Internal Server Error: a\\nb");
    assert!(error.answer.is_none());
}

#[tokio::test]
async fn a_refusal_in_the_right_type_is_an_answer() {
    let server =
        Server::always(answer("400 Bad", "content-type: application/json\r\n", "{}")).await;
    let source = transport(&server.url, |_| {});
    assert_eq!(source.call(&query()).await.unwrap().status, 400);
    let server = Server::always("HTTP/1.1 204 No Content\r\n\r\n".to_owned()).await;
    let source = transport(&server.url, |_| {});
    assert_eq!(source.call(&query()).await.unwrap().body, "");
}

#[tokio::test]
async fn a_source_that_asks_for_time_gets_it_within_the_deadline() {
    let server = Server::start(|mut peer: Peer| async move {
        let (number, later) =
            (peer.number, answer("503 Oh", "retry-after: 0\r\nconnection: close\r\n", ""));
        peer.request().await;
        peer.say(if number == 0 { later } else { json("{}") }).await;
    })
    .await;
    let source = transport(&server.url, |_| {});
    assert_eq!(source.call(&query()).await.unwrap().body, "{}");
    assert_eq!((source.health().retries, server.accepted()), (1, 2));
    let too_late = answer("503 Oh", "retry-after: 601\r\n", "");
    let error = failed(too_late, query(), |_| {}, 1).await;
    assert_eq!((error.kind, error.retryable), (CallErrorKind::Status(503), true));
}

#[tokio::test]
async fn a_source_that_is_not_there_is_no_connection() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let source = transport(&url, |_| {});
    let error = source.call(&mutation()).await.unwrap_err();
    assert_eq!((error.kind, error.retryable), (CallErrorKind::Connect, true));
    assert!(error.detail.contains(&url), "the log names the address: {}", error.detail);
    assert_eq!(error.to_string(), "the source cannot be reached");
    assert_eq!(source.health().retries, 2, "nothing was sent, so it is safe");
    check_nothing_left(&source);
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_before_it_is() {
    let server = Server::always(json("{}")).await;
    let source = transport(&server.url, |settings| settings.request_bytes = 1);
    for call in [mutation(), Call { target: "/../admin".to_owned(), ..query() }] {
        let error = source.call(&call).await.unwrap_err();
        assert_eq!(error.kind, CallErrorKind::Refused(Refusal::Request));
        assert!(!error.retryable);
    }
    assert_eq!(server.accepted(), 0);
    check_nothing_left(&source);
}

#[tokio::test]
async fn the_source_hears_what_the_rules_say_and_nothing_else() {
    let (tell, mut told) = mpsc::channel(1);
    let server = Server::start(move |mut peer: Peer| {
        let tell = tell.clone();
        async move {
            tell.send(peer.request().await.unwrap()).await.unwrap();
            peer.say(json("{}")).await;
        }
    })
    .await;
    let source = transport(&format!("{}/v1", server.url), |settings| {
        let tenant = HeaderName::from_static("x-tenant");
        settings.headers = vec![HeaderRule::Set(tenant, HeaderValue::from_static("a"))];
        settings.deadline_header = Some(HeaderName::from_static("x-left-ms"));
        settings.timeout = Duration::from_millis(u64::from(u32::MAX));
    });
    let mut client = http::HeaderMap::new();
    client.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer secret"));
    client.insert(header::HOST, HeaderValue::from_static("evil"));
    client.insert("traceparent", HeaderValue::from_static("00-1-2-01"));
    let call =
        Call { client_headers: std::sync::Arc::new(client), content: Content::Any, ..mutation() };
    source.call(&call).await.unwrap();
    let heard = told.recv().await.unwrap();
    let mut lines: Vec<&str> =
        heard.lines().filter(|line| !line.starts_with("x-left-ms: 429496")).collect();
    lines[1..].sort_unstable();
    let host = format!("host: {}", server.url.trim_start_matches("http://"));
    let expected = ["POST /v1/stars HTTP/1.1", "", "accept-encoding: identity", "accept: */*"];
    let rest =
        ["content-length: 2", "content-type: application/json", &host, "traceparent: 00-1-2-01"];
    let mut expected = [&expected[..], &rest[..], &["x-tenant: a", "{}"]].concat();
    expected[1..].sort_unstable();
    assert_eq!(lines, expected);
    // A stream has no moment at which it should have ended.
    let _stream = source.call_stream(&call).await.unwrap();
    let heard = told.recv().await.unwrap();
    assert!(heard.contains("x-tenant: a") && !heard.contains("x-left-ms"), "{heard}");
}
