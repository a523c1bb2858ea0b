//! Services of calls that hang, stop half-way or fail: what is well is answered all the same, reads are
//! tried again, changes are not, and what was kept stands in.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Map, json};

use super::lab::Lab;
use crate::transport::server::{Peer, Server, answer, json as said};

const MODULE: &str = r#"extend schema @module(name: "films", owner: "critics")
  @source(name: "films", kind: REST, url: "http://films.test", timeout: "2s", retry: 2)
type Film { id: ID! }
type Query {
  good: Int @fetch(get: "/good")
  bad: Int @fetch(get: "/bad")
  stale: Int @fetch(get: "/stale", ttl: "1s", onError: STALE)
}
type Mutation {
  once: Int @fetch(post: "/once")
  keyed: Int @fetch(post: "/keyed", idempotencyKey: "Idempotency-Key")
}
"#;

/// What a server does with the call of a target, by how often it was called before.
type Deed = fn(&str, usize) -> Said;

enum Said {
    Whole(String),
    /// This much, and then nothing more until the client goes.
    Hung(String),
    /// This much, and then the end.
    Cut(String),
}

async fn lab(deed: Deed) -> Lab {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (kept, count) = (Arc::clone(&heard), Arc::new(AtomicUsize::new(0)));
    let server = Server::start(move |mut peer: Peer| {
        let (kept, count) = (Arc::clone(&kept), Arc::clone(&count));
        async move {
            while let Some(request) = peer.request().await {
                let target = request.split(' ').nth(1).unwrap_or("").to_owned();
                let before = match target == "/good" {
                    true => 0,
                    false => count.fetch_add(1, Ordering::SeqCst),
                };
                kept.lock().push(target.clone());
                let deed =
                    if target == "/good" { Said::Whole(said("1")) } else { deed(&target, before) };
                match deed {
                    Said::Whole(text) => drop(peer.say(text).await),
                    Said::Hung(text) => {
                        peer.say(text).await;
                        peer.gone().await;
                        return;
                    }
                    Said::Cut(text) => {
                        peer.say(text).await;
                        return;
                    }
                }
            }
        }
    })
    .await;
    Lab::over(&[("films.graphql".to_owned(), MODULE.to_owned())], server, heard, |settings| {
        settings.timeout = Duration::from_millis(1500);
    })
}

/// What `bad` comes to beside a field that is well, and how often it was called.
async fn check(deed: Deed, message: &str, calls: usize) {
    let lab = lab(deed).await;
    let found = lab.ask("{ good bad }", Map::new()).await;
    assert_eq!(found["data"], json!({"good": 1, "bad": null}), "{found}");
    let error = &found["errors"][0];
    assert_eq!(error["message"], message, "{found}");
    assert_eq!(error["path"], json!(["bad"]), "{found}");
    assert_eq!(
        (&error["extensions"]["source"], &error["extensions"]["owner"]),
        (&json!("films"), &json!("critics"))
    );
    let heard = lab.heard();
    assert_eq!(heard.iter().filter(|it| *it == "/bad").count(), calls, "{heard:?}");
    let health = lab.transports["films"].health();
    assert_eq!((health.in_flight, health.queued), (0, 0));
}

#[tokio::test]
async fn one_bad_call_takes_only_its_own_field() {
    check(
        |_, _| Said::Whole(answer("500 Broken", "", "secret")),
        "`films` did not answer: the source answered with status 500",
        1,
    )
    .await;
    check(
        |_, _| Said::Hung(String::new()),
        "`films` did not answer: the source did not answer in time",
        1,
    )
    .await;
    check(
        |_, _| Said::Hung("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{\"a".to_owned()),
        "`films` did not answer: the source did not answer in time",
        1,
    )
    .await;
    check(
        |_, _| Said::Cut("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{\"a".to_owned()),
        "`films` did not answer: the source's answer is broken",
        3,
    )
    .await;
    check(
        |_, _| Said::Whole(said("{\"bad\": \"one\"}")),
        "`Query.bad` of `films` is not of its type `Int`",
        1,
    )
    .await;
    check(|_, _| Said::Whole(said("[1]")), "`Query.bad` of `films` is not of its type `Int`", 1)
        .await;
    check(|_, _| Said::Whole(said("{\"bad\": 1")), "`films` did not answer with JSON", 1).await;
    check(
        |_, _| Said::Whole(answer("200 OK", "content-type: text/html\r\n", "<html>")),
        "`films` did not answer: the source's answer is broken",
        1,
    )
    .await;
}

#[tokio::test]
async fn a_read_that_failed_is_tried_again() {
    let lab = lab(|_, before| match before {
        0 | 1 => Said::Whole(answer("503 Busy", "", "")),
        _ => Said::Whole(said("7")),
    })
    .await;
    assert_eq!(lab.ask("{ bad }", Map::new()).await, json!({"data": {"bad": 7}}));
    assert_eq!(lab.heard().len(), 3);
}

#[tokio::test]
async fn a_change_is_made_again_only_with_a_key() {
    let busy: Deed = |_, before| match before {
        0 => Said::Whole(answer("503 Busy", "", "")),
        _ => Said::Whole(said("7")),
    };
    let once = lab(busy).await;
    let found = once.ask("mutation { once }", Map::new()).await;
    assert_eq!(found["data"], json!({"once": null}));
    assert_eq!(once.heard(), ["/once"]);
    let keyed = lab(busy).await;
    assert_eq!(keyed.ask("mutation { keyed }", Map::new()).await, json!({"data": {"keyed": 7}}));
    assert_eq!(keyed.heard(), ["/keyed", "/keyed"]);
}

#[tokio::test]
async fn an_earlier_answer_stands_in() {
    let lab = lab(|_, before| match before {
        0 => Said::Whole(said("7")),
        _ => Said::Whole(answer("500 Broken", "", "")),
    })
    .await;
    let stale = json!({"data": {"stale": 7}});
    for _ in 0..3 {
        assert_eq!(lab.ask("{ stale }", Map::new()).await, stale);
    }
    assert_eq!(lab.heard(), ["/stale"], "kept answers are used");
    lab.clock.advance(1_500_000);
    assert_eq!(lab.ask("{ stale }", Map::new()).await, stale);
    assert_eq!(lab.heard(), ["/stale"], "the service was asked again");
    lab.clock.advance(1_000_000);
    let found = lab.ask("{ stale }", Map::new()).await;
    assert_eq!(found["data"], json!({"stale": null}), "what is too old stands in no more");
}
