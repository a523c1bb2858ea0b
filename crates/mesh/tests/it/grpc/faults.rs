//! Services of gRPC that hang, stop half-way, fail or break the rules: what is well is answered all the same,
//! reads are tried again where that helps, changes are not, and only the service's own faults open the
//! breaker.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base::Principal;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use h2::Reason;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use mesh::transport::{BreakerSettings, BreakerState, SourceSettings};
use mesh::{Request, Terms};
use parking_lot::Mutex;
use serde_json::{Map, Value as Json, json};

use crate::rest::lab::Lab;
use crate::transport::server::{Peer, Server};

const PROTO: &str = "syntax = \"proto3\"; package t;
message Q {}
message P { int32 page = 1; }
message A { int32 n = 1; string text = 2; repeated int32 items = 3; int32 next = 4; }
service S {
  rpc Good(Q) returns (A); rpc Bad(Q) returns (A); rpc Set(Q) returns (A); rpc Paged(P) returns (A);
  rpc Ticks(Q) returns (stream A);
}
";

const MODULE: &str = r#"extend schema @module(name: "t", owner: "critics")
  @source(name: "t", kind: GRPC, url: "http://t.test", retry: 2, descriptors: "t.proto")
type Query {
  good: Int @fetch(method: "t.S/Good", result: "n")
  bad: Int @fetch(method: "t.S/Bad", result: "n")
  paged: [Int!] @fetch(method: "t.S/Paged", result: "items", next: "page=next")
}
type Subscription { ticks: Int @fetch(method: "t.S/Ticks", result: "n") }
type Mutation { set: Int @fetch(method: "t.S/Set", result: "n") }
"#;

/// What a server does with a call.
#[derive(Clone, Debug)]
struct Deed {
    head: Vec<(&'static str, &'static str)>,
    body: Bytes,
    /// Nothing for an answer that ends without them.
    trailers: Option<Vec<(&'static str, &'static str)>>,
    is_hung: bool,
    is_reset: bool,
}

fn said(body: &[u8]) -> Deed {
    Deed {
        head: vec![("content-type", "application/grpc")],
        body: Bytes::copy_from_slice(body),
        trailers: Some(vec![("grpc-status", "0")]),
        is_hung: false,
        is_reset: false,
    }
}

fn failed(status: &'static str, words: &'static str) -> Deed {
    let trailers = Some(vec![("grpc-status", status), ("grpc-message", words)]);
    Deed { trailers, ..said(b"") }
}

fn frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a short message");
    [&[0][..], &length.to_be_bytes(), message].concat()
}

/// `n` is 1.
fn well() -> Deed {
    said(&frame(b"\x08\x01"))
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &'static str)| {
        (HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    pairs.iter().map(pair).collect()
}

async fn does(deed: Deed, respond: &mut SendResponse<Bytes>) {
    if deed.is_reset {
        return respond.send_reset(Reason::INTERNAL_ERROR);
    }
    let is_head_alone = deed.body.is_empty() && deed.trailers.is_none() && !deed.is_hung;
    let mut head = Response::new(());
    *head.headers_mut() = headers(&deed.head);
    let stream = respond.send_response(head, is_head_alone);
    if is_head_alone {
        return;
    }
    let mut stream = stream.expect("it goes well in a test");
    let ends = deed.trailers.is_none() && !deed.is_hung;
    stream.send_data(deed.body, ends).expect("it goes well in a test");
    if deed.is_hung {
        std::future::poll_fn(|cx| stream.poll_reset(cx)).await.ok();
        return;
    }
    if let Some(trailers) = &deed.trailers {
        stream.send_trailers(headers(trailers)).expect("it goes well in a test");
    }
}

/// An engine over a server that does this with calls of all methods but `Good`, by how often they came.
async fn lab(
    deed: impl Fn(usize) -> Deed + Send + Sync + 'static,
    change: impl Fn(&mut SourceSettings),
) -> (Lab, Arc<AtomicUsize>, Arc<Mutex<Vec<HeaderMap>>>) {
    lab_of(MODULE, deed, change).await
}

/// Likewise, with this module.
async fn lab_of(
    module: &str,
    deed: impl Fn(usize) -> Deed + Send + Sync + 'static,
    change: impl Fn(&mut SourceSettings),
) -> (Lab, Arc<AtomicUsize>, Arc<Mutex<Vec<HeaderMap>>>) {
    let (count, heard) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
    let (deed, counter, kept) = (Arc::new(deed), Arc::clone(&count), Arc::clone(&heard));
    let server = Server::start(move |peer: Peer| {
        let (deed, counter, kept) = (Arc::clone(&deed), Arc::clone(&counter), Arc::clone(&kept));
        async move {
            let mut connection =
                h2::server::handshake(peer.into_stream()).await.expect("it goes well in a test");
            let mut streams = tokio::task::JoinSet::new();
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                let is_good = request.uri().path() == "/t.S/Good";
                kept.lock().push(request.headers().clone());
                let deed = match is_good {
                    true => well(),
                    false => deed(counter.fetch_add(1, Ordering::SeqCst)),
                };
                streams.spawn(async move { does(deed, &mut respond).await });
            }
        }
    })
    .await;
    let modules = [("t.graphql", module), ("t.proto", PROTO)];
    let modules = modules.map(|(name, text)| (name.to_owned(), text.to_owned()));
    let lab = Lab::over(&modules, server, Arc::default(), change);
    (lab, count, heard)
}

/// What `bad` comes to beside a field that is well, and how often it was called.
async fn check(deed: Deed, message: &str, calls: usize) {
    let told = format!("{deed:?}");
    let (lab, count, _) = lab(
        move |_| deed.clone(),
        |settings| {
            settings.answer_bytes = 1 << 20;
            settings.timeout = Duration::from_secs(2);
        },
    )
    .await;
    let found = lab.ask("{ good bad }", Map::new()).await;
    assert_eq!(found["data"], json!({"good": 1, "bad": null}), "{told}: {found}");
    let error = &found["errors"][0];
    assert!(error["message"].as_str().unwrap_or("").contains(message), "{told}: {found}");
    assert_eq!(error["extensions"]["source"], "t", "{found}");
    assert_eq!(count.load(Ordering::SeqCst), calls, "{told}");
}

const BROKEN: &str = "`t` did not answer with what it says it does";

#[tokio::test]
async fn answers_that_break_the_rules_are_errors() {
    let whole = frame(b"\x08\x01");
    check(said(&whole[..6]), BROKEN, 1).await;
    check(said(&whole[..3]), BROKEN, 1).await;
    check(said(b""), BROKEN, 1).await;
    check(said(&[whole.clone(), whole.clone()].concat()), BROKEN, 1).await;
    check(said(&frame(b"\x08")), BROKEN, 1).await;
    check(said(&frame(b"\x12\x02\xff\xfe")), BROKEN, 1).await;
    check(said(&[&[9][..], &whole[1..]].concat()), BROKEN, 1).await;
    let html = Deed { head: vec![("content-type", "text/html")], ..said(b"<html>") };
    check(html, "`t` did not answer: the source's answer is broken", 1).await;
    let unknown = Deed {
        head: vec![("content-type", "application/grpc"), ("grpc-encoding", "br")],
        ..well()
    };
    check(unknown, BROKEN, 1).await;
}

#[tokio::test]
async fn an_answer_that_does_not_say_how_it_went_is_asked_for_again() {
    let cut = Deed { trailers: None, ..well() };
    check(cut, "`t` did not answer: the source's answer is broken", 3).await;
    let reset = Deed { is_reset: true, ..well() };
    check(reset, "`t` did not answer: the source's answer is broken", 3).await;
}

#[tokio::test]
async fn bombs_and_great_promises_stop_at_the_limit() {
    let large = "`t` is too large";
    check(said(&[0, 255, 255, 255, 255, 0]), large, 1).await;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![0; 8 << 20]).expect("it goes well in a test");
    let packed = encoder.finish().expect("it goes well in a test");
    let mut bomb = frame(&packed);
    bomb[0] = 1;
    let bomb = Deed {
        head: vec![("content-type", "application/grpc"), ("grpc-encoding", "gzip")],
        ..said(&bomb)
    };
    check(bomb, large, 1).await;
    check(said(&vec![0; 2 << 20]), "the source's answer is too large", 1).await;
}

#[tokio::test]
async fn statuses_are_failures_or_refusals() {
    let unavailable = "`t` did not answer: the source answered with UNAVAILABLE";
    check(failed("14", "secret"), unavailable, 3).await;
    check(failed("4", ""), "the source answered with DEADLINE_EXCEEDED", 1).await;
    check(failed("13", ""), "the source answered with INTERNAL", 1).await;
    check(failed("99", ""), "the source answered with UNKNOWN", 1).await;
    check(failed("12", "no"), "`t` did not answer: UNIMPLEMENTED", 1).await;
    check(failed("16", "who%3F"), "`t` refused the call with UNAUTHENTICATED: who?", 1).await;
    // The head alone may say it.
    let head = [("content-type", "application/grpc"), ("grpc-status", "3"), ("grpc-message", "so")];
    let alone = Deed { head: head.to_vec(), trailers: None, ..said(b"") };
    check(alone, "`t` refused the call with INVALID_ARGUMENT: so", 1).await;
}

#[tokio::test]
async fn a_service_that_hangs_is_left_when_the_time_is_over() {
    let hung = Deed { is_hung: true, ..said(&frame(b"\x08\x01")[..4]) };
    check(hung, "`t` did not answer: the source did not answer in time", 1).await;
}

#[tokio::test]
async fn a_read_is_tried_again_and_a_change_is_not() {
    let first = |number| if number == 0 { failed("14", "") } else { well() };
    let (reading, count, heard) = lab(first, |_| {}).await;
    assert_eq!(reading.ask("{ bad }", Map::new()).await, json!({"data": {"bad": 1}}));
    assert_eq!(count.load(Ordering::SeqCst), 2);
    let heard = heard.lock().pop().expect("a call");
    assert_eq!(heard["te"], "trailers");
    assert_eq!(heard["content-type"], "application/grpc");
    let timeout = heard["grpc-timeout"].to_str().expect("a text");
    assert!(timeout.ends_with('u') && timeout.len() <= 9, "{timeout}");
    let (changing, count, _) = lab(first, |_| {}).await;
    let found = changing.ask("mutation { set }", Map::new()).await;
    assert_eq!(found["data"]["set"], Json::Null);
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_stream_has_no_last_moment_and_one_that_ends_in_its_head_is_a_failure() {
    let head = [("content-type", "application/grpc"), ("grpc-status", "14")];
    let alone = Deed { head: head.to_vec(), trailers: None, ..said(b"") };
    let deed = move |number| if number == 0 { alone.clone() } else { well() };
    let (lab, count, heard) = lab(deed, |_| {}).await;
    // As of any read that the service could not answer now, the beginning is tried again.
    let request = Request::new("subscription { ticks }", Principal::local());
    let started = lab.engine.subscribe(request, &Terms::default()).await;
    let mut stream = started.unwrap_or_else(|refused| panic!("{:?}", refused.json()));
    let event = stream.next().await.expect("an event").json().expect("JSON");
    assert_eq!(event, json!({"data": {"ticks": 1}}));
    assert_eq!(count.load(Ordering::SeqCst), 2);
    let heard = heard.lock();
    assert!(heard.iter().all(|headers| !headers.contains_key("grpc-timeout")), "{heard:?}");
    assert_eq!(heard[0]["te"], "trailers");
}

#[tokio::test]
async fn the_last_page_has_a_token_that_says_nothing() {
    // `items` is [7], and `next` is 1, then 0 by being left out.
    let deed = |number| said(&frame([&b"\x1a\x01\x07\x20\x01"[..], b"\x1a\x01\x07"][number]));
    let (lab, count, _) = lab(deed, |_| {}).await;
    assert_eq!(lab.ask("{ paged }", Map::new()).await, json!({"data": {"paged": [7, 7]}}));
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn callers_that_wait_for_descriptors_share_what_comes_of_it() {
    let module = MODULE.replace(", descriptors: \"t.proto\"", "").replace("retry: 2", "retry: 0");
    let (lab, count, _) = lab_of(&module, |_| failed("14", ""), |_| {}).await;
    let asked = (0..16).map(|_| lab.ask("{ bad }", Map::new()));
    for found in futures::future::join_all(asked).await {
        assert_eq!(found["data"], json!({"bad": null}), "{found}");
        assert!(found["errors"][0]["message"].as_str().unwrap_or("").contains("UNAVAILABLE"));
    }
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn only_faults_of_the_service_open_its_breaker() {
    let breaker = |settings: &mut SourceSettings| {
        settings.retry.most = 0;
        settings.breaker =
            Some(BreakerSettings { calls: 20, minimum: 10, ..BreakerSettings::default() });
    };
    let cases =
        [("3", false), ("5", false), ("7", false), ("8", false), ("14", true), ("13", true)];
    for (status, opens) in cases {
        let (lab, _, _) = lab(move |_| failed(status, ""), breaker).await;
        for _ in 0..12 {
            lab.ask("{ bad }", Map::new()).await;
        }
        let state = lab.transports["t"].health().breaker;
        assert_eq!(state == Some(BreakerState::Open), opens, "{status}: {state:?}");
    }
}
