//! Errors of fields: their words, and how many of them the log gets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use base::{Clock, Principal, Result};
use frame::convert::batch_of;
use frame::{DataType, Field, Value, Write, WriteOp, WriteRequest};
use mesh::{Engine, Limits, Request, Root, RootResolver, Settings};
use serde_json::{Value as Json, json};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::fixture::{compiled, tables};

const SDL: &str = "
extend schema @module(name: \"catalog\", owner: \"catalog\")
type A @key(fields: \"id\") @table(format: ICEBERG, plural: \"as\") {
  id: ID!  bId: ID  b: B @ref(by: \"bId\")  x: Float  y: Float!
  ratio: Float @derived(expr: \"x / (y - y)\")
}
type B @key(fields: \"id\") @table(format: ICEBERG, plural: \"bs\") {
  id: ID!  cId: ID!  c: C! @ref(by: \"cId\")
}
type C @key(fields: \"id\") @table(format: ICEBERG, plural: \"cs\") { id: ID! }
";

/// An engine with these rows of `A`: `x`, `y`, and each with a `B` whose `C` is not there.
async fn engine(rows: &[(f64, f64)]) -> Engine {
    let schema = compiled(SDL);
    let tables = tables(&schema, Clock::system());
    let text = |name: &str| Field::new(name, DataType::String, false);
    let float = |name: &str| Field::new(name, DataType::Float, false);
    let name = |prefix: &str, n: usize| Value::from(format!("{prefix}{n:03}").as_str());
    let a: Vec<[Value; 4]> = rows
        .iter()
        .enumerate()
        .map(|(n, (x, y))| [name("a", n), name("b", n), Value::Float(*x), Value::Float(*y)])
        .collect();
    let b: Vec<[Value; 2]> = (0..rows.len()).map(|n| [name("b", n), name("c", n)]).collect();
    let a = batch_of(&[text("id"), text("bId"), float("x"), float("y")], &a).expect("rows");
    let b = batch_of(&[text("id"), text("cId")], &b).expect("rows");
    for (table, batch) in [("A", a), ("B", b)] {
        let op = WriteOp::Insert(vec![batch]);
        let principal = Principal::local();
        let request = WriteRequest { table: table.into(), op, idempotency_key: None, principal };
        tables.write(request).await.expect("a written table");
    }
    Engine::new(schema, Arc::new(tables)).expect("a valid API")
}

async fn ask(engine: &Engine, query: &str) -> Json {
    engine.execute(Request::new(query, Principal::local())).await.json().expect("JSON")
}

#[tokio::test]
async fn numbers_that_json_cannot_say_are_errors_of_their_own_words() {
    let engine = engine(&[(1.5, f64::NAN), (f64::INFINITY, 1.0), (-1.0, 2.0)]).await;
    let answer = ask(&engine, "{ as { nodes { x ratio } } }").await;
    let nodes =
        json!([{"x": 1.5, "ratio": null}, {"x": null, "ratio": null}, {"x": -1.0, "ratio": null}]);
    assert_eq!(answer["data"]["as"]["nodes"], nodes);
    let errors = answer["errors"].as_array().expect("errors");
    let found: BTreeMap<String, &Json> =
        errors.iter().map(|error| (error["path"].to_string(), error)).collect();
    assert_eq!(found.len(), 4, "{answer}");
    let infinite = found["[\"as\",\"nodes\",1,\"x\"]"];
    assert_eq!(infinite["message"], "the value of `A.x` is NaN or infinite, which JSON cannot say");
    assert_eq!(infinite["extensions"]["code"], "UNSUPPORTED");
    let computed = found["[\"as\",\"nodes\",2,\"ratio\"]"];
    assert_eq!(
        computed["message"],
        "the value of `A.ratio` is NaN or infinite, which JSON cannot say"
    );
    // Where null is not allowed, the parents go with it.
    let answer = ask(&engine, "{ a(id: \"a000\") { y } }").await;
    assert_eq!(answer["data"], json!({"a": null}));
    assert_eq!(answer["errors"][0]["extensions"]["code"], "UNSUPPORTED");
}

/// Counts events, and nothing else.
#[derive(Clone, Default)]
struct Counted(Arc<AtomicUsize>);

impl Subscriber for Counted {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        if event.metadata().target().starts_with("mesh") {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn the_log_gets_no_more_lines_than_the_answer_has_errors() {
    let engine = engine(&[(0.0, 0.0); 150]).await;
    let counted = Counted::default();
    let answer = {
        let _guard = tracing::subscriber::set_default(counted.clone());
        ask(&engine, "{ as(first: 150) { nodes { b { c { id } } } } }").await
    };
    let errors = answer["errors"].as_array().expect("errors");
    assert_eq!(errors.len(), 101);
    assert_eq!(errors[100]["message"], "50 more errors are left out");
    let nodes = answer["data"]["as"]["nodes"].as_array().expect("rows");
    assert!(nodes.iter().all(|node| node["b"] == Json::Null), "{answer}");
    assert_eq!(counted.0.load(Ordering::SeqCst), 100);
}

/// Never answers.
struct Silent;

#[async_trait]
impl RootResolver for Silent {
    async fn resolve(&self, _: Root, _: &str, _: Json, _: &Principal) -> Result<Json> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_request_that_takes_too_long_was_not_refused() {
    let limits = Limits { time: Duration::from_millis(1), ..Limits::default() };
    let settings = Settings { limits, ..Settings::default() };
    let sdl = "type Query { a: Int }  type Mutation { a: Int }";
    let engine = Engine::plain_with_settings(sdl, Arc::new(Silent), settings).expect("valid SDL");
    for query in ["{ a }", "mutation { a }"] {
        let response = engine.execute(Request::new(query, Principal::local())).await;
        assert_eq!((response.refused, response.timed_out), (false, true));
        let answer = response.json().expect("JSON");
        assert_eq!(answer.get("data"), None);
        assert_eq!(answer["errors"][0]["message"], "the request took longer than 0.001 s");
    }
    let response = engine.execute(Request::new("{ b }", Principal::local())).await;
    assert_eq!((response.refused, response.timed_out), (true, false));
}
