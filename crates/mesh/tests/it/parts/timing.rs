//! When parts come: what is deferred is not waited for, what is dropped is not gone on with, and the time
//! limit is one for all parts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use base::{Principal, Result};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _};
use mesh::{
    Answer, CallError, Engine, Limits, Parts, Root, RootResolver, Service, ServiceCall, Settings,
    Terms,
};
use serde_json::{Value as Json, json};
use tokio::sync::Notify;

use super::{asked, merge};
use crate::fixture::fixture_with;
use crate::route::graph::compose;

const SDL: &str =
    "type Query { fast: Int slow: Item must: Int! }  type Item { a: Int  list: [Item] }";

/// What `slow` waits for, and whether it was given up.
#[derive(Default)]
struct Gate {
    open: Notify,
    asked: AtomicUsize,
    dropped: AtomicBool,
}

/// Says that what it is part of was dropped before it was done.
struct Guard<'a>(&'a Gate, bool);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if !self.1 {
            self.0.dropped.store(true, Ordering::SeqCst);
        }
    }
}

#[async_trait]
impl RootResolver for Gate {
    async fn resolve(&self, _: Root, field: &str, _: Json, _: &Principal) -> Result<Json> {
        if field != "slow" {
            return Ok(json!(1));
        }
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut guard = Guard(self, false);
        self.open.notified().await;
        guard.1 = true;
        Ok(json!({"a": 2, "list": [{"a": 3}, {"a": 4}]}))
    }
}

fn incremental() -> Settings {
    Settings { incremental: true, ..Settings::default() }
}

/// The first part, and the others.
async fn begun(engine: &Arc<Engine>, text: &str) -> (Json, Parts) {
    match engine.deliver(asked(text), &Terms::default()).await {
        Answer::Parts(first, parts) => (first.json().expect("JSON"), parts),
        Answer::Whole(response) => panic!("{:?}", response.json()),
    }
}

async fn next(parts: &mut Parts) -> Json {
    serde_json::from_slice(&parts.next().await.expect("a part").body).expect("JSON")
}

#[tokio::test]
async fn the_first_part_does_not_wait_for_what_is_deferred() {
    let gate = Arc::new(Gate::default());
    let engine = Engine::plain_with_settings(SDL, gate.clone(), incremental()).expect("SDL");
    let engine = Arc::new(engine);
    let (first, mut parts) =
        begun(&engine, "{ fast ... @defer(label: \"s\") { slow { a } } }").await;
    assert_eq!(
        first,
        json!({"data": {"fast": 1}, "pending": [{"id": "0", "path": [], "label": "s"}], "hasNext": true})
    );
    // It is asked already, and there is nothing to send.
    assert!(parts.next().now_or_never().is_none());
    assert_eq!(gate.asked.load(Ordering::SeqCst), 1);
    gate.open.notify_one();
    let second = next(&mut parts).await;
    assert_eq!(
        second,
        json!({
            "incremental": [{"id": "0", "data": {"slow": {"a": 2}}}],
            "completed": [{"id": "0"}],
            "hasNext": false
        })
    );
    assert!(parts.next().await.is_none());
}

#[tokio::test]
async fn each_part_comes_when_its_own_data_is_there() {
    let gate = Arc::new(Gate::default());
    let engine = Engine::plain_with_settings(SDL, gate.clone(), incremental()).expect("SDL");
    let text = "{ fast ... @defer(label: \"slow\") { slow { a } } ... @defer(label: \"quick\") { q: fast } }";
    let (first, mut parts) = begun(&Arc::new(engine), text).await;
    assert_eq!(first["pending"].as_array().map(Vec::len), Some(2), "{first}");
    let second = next(&mut parts).await;
    assert_eq!(second["incremental"], json!([{"id": "1", "data": {"q": 1}}]));
    assert_eq!(second["completed"], json!([{"id": "1"}]));
    assert!(parts.next().now_or_never().is_none());
    gate.open.notify_one();
    let third = next(&mut parts).await;
    assert!(merge(&[first, second, third]).is_ok());
}

#[tokio::test]
async fn dropping_parts_ends_the_request() {
    let gate = Arc::new(Gate::default());
    let engine = Engine::plain_with_settings(SDL, gate.clone(), incremental()).expect("SDL");
    let (_, mut parts) = begun(&Arc::new(engine), "{ fast ... @defer { slow { a } } }").await;
    assert!(parts.next().now_or_never().is_none());
    assert!(!gate.dropped.load(Ordering::SeqCst));
    drop(parts);
    assert!(gate.dropped.load(Ordering::SeqCst));
}

#[tokio::test(start_paused = true)]
async fn the_time_limit_is_one_for_all_parts() {
    let limits = Limits { time: Duration::from_secs(3), ..Limits::default() };
    let settings = Settings { limits, ..incremental() };
    let engine = Engine::plain_with_settings(SDL, Arc::new(Gate::default()), settings);
    let engine = Arc::new(engine.expect("SDL"));
    let (first, mut parts) = begun(&engine, "{ fast ... @defer { slow { a } } }").await;
    let second = next(&mut parts).await;
    assert_eq!(second["completed"][0]["id"], "0");
    assert_eq!(second["completed"][0]["errors"][0]["extensions"]["code"], "LIMIT_EXCEEDED");
    let merged = merge(&[first, second]).expect("parts");
    assert_eq!((merged.data, merged.is_broken), (json!({"fast": 1}), true));
    // What is not deferred is waited for, and then there are no parts.
    match engine.deliver(asked("{ slow { a } ... @defer { fast } }"), &Terms::default()).await {
        Answer::Whole(response) => assert!(response.timed_out),
        Answer::Parts(first, _) => panic!("{:?}", first.json()),
    }
}

#[tokio::test]
async fn what_leaves_nothing_for_later_is_one_answer() {
    let gate = Arc::new(Gate::default());
    let engine = Engine::plain_with_settings(SDL, gate.clone(), incremental()).expect("SDL");
    let engine = Arc::new(engine);
    for text in [
        "{ fast }",
        "{ fast ... @defer { fast } }",
        "{ fast ... @defer(if: false) { q: fast } }",
        "query($no: Boolean! = false) { fast ... @defer(if: $no) { q: fast } }",
        "{ fast ... @defer @skip(if: true) { q: fast } }",
        "{ ... @defer { nothing } }",
    ] {
        match engine.deliver(asked(text), &Terms::default()).await {
            Answer::Whole(response) => {
                let json = response.json().expect("JSON");
                assert!(json.get("hasNext").is_none(), "{text}: {json}");
            }
            Answer::Parts(first, _) => panic!("{text}: {:?}", first.json()),
        }
    }
}

#[tokio::test]
async fn all_parts_together_have_the_size_of_one_answer() {
    let limits = Limits { response_bytes: 40, ..Limits::default() };
    let gate = Arc::new(Gate::default());
    gate.open.notify_one();
    let engine = Engine::plain_with_settings(SDL, gate, Settings { limits, ..incremental() });
    let text = "{ fast ... @defer { slow { a list { long: a a much: a more: a } } } }";
    let (first, mut parts) = begun(&Arc::new(engine.expect("SDL")), text).await;
    let second = next(&mut parts).await;
    let error = &second["completed"][0]["errors"][0];
    assert_eq!(error["message"], "the answer is larger than 40 B", "{second}");
    assert!(merge(&[first, second]).expect("parts").is_broken);
}

#[tokio::test]
async fn tables_are_scanned_for_later_parts_later() {
    let fixture = fixture_with(incremental()).await;
    let text = "{ film(id: \"f1\") { title ... @defer { director { name } } } }";
    let (_, mut parts) = begun(&fixture.engine, text).await;
    assert_eq!(fixture.scans(), 1);
    let second = next(&mut parts).await;
    assert_eq!(second["incremental"][0]["data"], json!({"director": {"name": "Ada Sol"}}));
    assert_eq!(fixture.scans(), 1);
    // One scan for all films, also when each of them is a part.
    let text = "{ films { nodes { id ... @defer { director { name } } } } }";
    let (first, mut parts) = begun(&fixture.engine, text).await;
    assert!(first["pending"].as_array().expect("promises").len() > 2);
    assert_eq!(fixture.scans(), 1);
    assert_eq!(next(&mut parts).await["hasNext"], false);
    assert_eq!(fixture.scans(), 1);
    let counts = || fixture.source.counts.swap(0, Ordering::SeqCst);
    counts();
    let text = "{ films { nodes { id } ... @defer { totalCount } } }";
    let (_, mut parts) = begun(&fixture.engine, text).await;
    assert_eq!(counts(), 0);
    next(&mut parts).await;
    assert_eq!(counts(), 1);
}

const SOURCES: &str = "
=== items
type Query { item: Item  items: [Item!] }
type Item @key(fields: \"id\") { id: ID! name: String }
=== prices
type Query { nothing: Int }
type Item @key(fields: \"id\") { id: ID! price: Int }
";

/// A source with an answer for every call, and one that waits for a gate.
struct Fixed(&'static str, Option<Arc<Gate>>);

impl Service for Fixed {
    fn call<'a>(
        &'a self,
        _: ServiceCall<'a>,
    ) -> BoxFuture<'a, std::result::Result<Bytes, CallError>> {
        Box::pin(async move {
            if let Some(gate) = &self.1 {
                gate.asked.fetch_add(1, Ordering::SeqCst);
                let mut guard = Guard(gate, false);
                gate.open.notified().await;
                guard.1 = true;
            }
            Ok(Bytes::from_static(self.0.as_bytes()))
        })
    }
}

#[tokio::test]
async fn services_that_only_a_later_part_asks_are_not_waited_for() {
    let gate = Arc::new(Gate::default());
    let items = r#"{"data":{"items":[{"__typename":"Item","id":"a","name":"A"},{"__typename":"Item","id":"b","name":"B"}]}}"#;
    let prices = r#"{"data":{"_entities":[{"price":1},{"price":2}]}}"#;
    let services: Vec<Arc<dyn Service>> =
        vec![Arc::new(Fixed(items, None)), Arc::new(Fixed(prices, Some(gate.clone())))];
    let engine = Engine::over_graph(compose(SOURCES), services, incremental()).expect("a graph");
    let engine = Arc::new(engine);
    for text in ["{ items { name ... @defer { price } } }", "{ items @stream { name price } }"] {
        let (first, mut parts) = begun(&engine, text).await;
        assert!(parts.next().now_or_never().is_none(), "{text}");
        gate.open.notify_one();
        let second = next(&mut parts).await;
        let merged = merge(&[first, second]).expect("parts");
        let items = json!([{"name": "A", "price": 1}, {"name": "B", "price": 2}]);
        assert_eq!(merged.data, json!({ "items": items }), "{text}");
    }
    // One call each for all items.
    assert_eq!(gate.asked.load(Ordering::SeqCst), 2);
    let (_, mut parts) = begun(&engine, "{ items { name ... @defer { price } } }").await;
    assert!(parts.next().now_or_never().is_none());
    drop(parts);
    assert!(gate.dropped.load(Ordering::SeqCst));
}
