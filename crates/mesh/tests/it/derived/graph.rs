//! Derived fields whose inputs come from a service, beside those of tables.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base::{Clock, Kind, Principal};
use bytes::Bytes;
use futures::future::BoxFuture;
use mesh::{CallError, Engine, Request, Service, ServiceCall, Settings};
use serde_json::{Value as Json, json};

use super::{fill, read, usual_rows};
use crate::fixture::tables;
use crate::parts::{merge, payloads};
use crate::policy::caller;

const STANDING: &str = "extend schema @module(name: \"standing\", owner: \"critics\")
  @source(name: \"standing\", kind: GRAPHQL, url: \"http://standing\")
type Query { motto: String }
extend type Member @key(fields: \"id\") { id: ID! @external  rating: Float  badges: [Badge!]  rank: Int @scope(to: [\"board\"]) }
type Badge { points: Int!  serial: ID  label: String }
";

/// What the club has of the service.
const OF_MEMBER: &str = "
  standing: String @derived(from: \"{ fullName rating team { name } }\", expr: \"fullName || ' (' || CAST(rating AS String) || ') of ' || team.name\")
  points: Long @derived(from: \"{ badges { points } }\", expr: \"sum(badges.points)\")
  summary: String @derived(from: \"{ standing points }\", expr: \"concat(standing, ': ', CAST(points AS String))\")
  secret: Int @derived(from: \"{ rank }\", expr: \"rank + 1\")
  must: Float @derived(from: \"{ rating }\", expr: \"rating\", onError: PROPAGATE)
  share: Long @derived(from: \"{ badges { points } }\", expr: \"100 / (sum(badges.points) - 1)\")
  shown: String @derived(from: \"{ share }\", expr: \"CAST(share AS String)\")
  serials: String @derived(from: \"{ badges { serial label } }\", expr: \"concat(max(badges.serial), COALESCE(max(badges.label), '-'))\")
";

const OF_TRIP: &str = "
  rated: Float @derived(from: \"{ nights member { rating } }\", expr: \"CAST(nights AS Float) * member.rating\")
";

const OF_TEAM: &str = "
  best: Float @derived(from: \"{ members { rating } }\", expr: \"max(members.rating)\")
  points: Long @derived(from: \"{ members { points } }\", expr: \"sum(members.points)\")
";

/// Rates members by their ids, and keeps what it is asked.
#[derive(Default)]
struct Standing {
    asked: parking_lot::Mutex<Vec<Json>>,
    is_broken: AtomicBool,
}

impl Standing {
    fn rated(representation: &Json) -> Json {
        let id = representation["id"].as_str().expect("an id");
        let number: i64 = id.trim_start_matches('m').parse().expect("a number");
        // A number that is an ID, and nothing said of the label.
        let badges = [json!({"points": number, "serial": 7}), json!({"points": 10, "serial": 8})];
        json!({
            "__typename": "Member",
            "rating": number as f64 / 2.0,
            "badges": badges[..(number as usize % 3)],
            "rank": number,
        })
    }

    fn calls(&self) -> usize {
        std::mem::take(&mut *self.asked.lock()).len()
    }
}

impl Service for Standing {
    fn call<'a>(&'a self, call: ServiceCall<'a>) -> BoxFuture<'a, Result<Bytes, CallError>> {
        Box::pin(async move {
            let body: Json = serde_json::from_slice(&call.body).expect("JSON");
            self.asked.lock().push(body.clone());
            if self.is_broken.load(Ordering::SeqCst) {
                return Err(CallError::new(Kind::Unavailable, "it sleeps"));
            }
            let members = body["variables"]["representations"].as_array();
            let members: Vec<Json> = members.into_iter().flatten().map(Standing::rated).collect();
            let data = json!({"data": {"_entities": members, "motto": "onward"}});
            Ok(data.to_string().into())
        })
    }
}

/// The club with fields that a service has a part in.
fn club() -> String {
    let club = read("club.graphqls");
    let club = club.replace(
        "type Member @key(fields: \"id\") @table(plural: \"members\") {",
        &format!("type Member @key(fields: \"id\") @table(plural: \"members\") {{{OF_MEMBER}"),
    );
    let club = club.replace(
        "type Team @key(fields: \"id\") @table(plural: \"teams\") {",
        &format!("type Team @key(fields: \"id\") @table(plural: \"teams\") {{{OF_TEAM}"),
    );
    club.replace(
        "type Trip @key(fields: \"id\") @table(plural: \"trips\") {",
        &format!("type Trip @key(fields: \"id\") @table(plural: \"trips\") {{{OF_TRIP}"),
    )
}

async fn graph() -> (Arc<Engine>, Arc<Standing>) {
    let sources = schema::Sources::from_texts([
        ("club.graphql", club()),
        ("standing.graphql", STANDING.to_owned()),
    ]);
    let schema = match schema::compile(&sources) {
        Ok(schema) => Arc::new(schema),
        Err(found) => panic!("{}", found.render(&sources, false)),
    };
    let store = Arc::new(tables(&schema, Clock::system()));
    let standing = Arc::new(Standing::default());
    let services: Vec<Arc<dyn Service>> = vec![standing.clone()];
    let settings = Settings { incremental: true, ..Settings::default() };
    let engine = Engine::federated(schema, store, services, settings).expect("a graph");
    fill(&engine, &usual_rows()).await;
    standing.calls();
    (Arc::new(engine), standing)
}

async fn ask(engine: &Engine, query: &str) -> Json {
    let request = Request::new(query, Principal::local());
    engine.execute(request).await.json().expect("JSON")
}

#[tokio::test]
async fn inputs_of_a_service_and_of_tables_make_one_value() {
    let (engine, standing) = graph().await;
    for (query, calls, data) in [
        (
            "{ members { nodes { standing points } } }",
            1,
            json!({"members": {"nodes": [
                {"standing": "Ada Byron (0.5) of blue", "points": "1"},
                {"standing": "Bo (1.0) of blue", "points": "12"},
                {"standing": null, "points": null},
                {"standing": null, "points": "4"},
            ]}}),
        ),
        // What is asked for beside it is asked for once.
        (
            "{ member(id: \"m2\") { rating standing team { id } summary } }",
            1,
            json!({"member": {
                "rating": 1.0, "standing": "Bo (1.0) of blue", "team": {"id": "t1"},
                "summary": "Bo (1.0) of blue: 12",
            }}),
        ),
        // Tables alone, by the tables' engine.
        (
            "{ member(id: \"m2\") { displayName } }",
            0,
            json!({"member": {"displayName": "Bo of blue"}}),
        ),
        // The derived field of the tables beside one of the graph.
        (
            "{ member(id: \"m1\") { displayName nights standing motto: __typename } }",
            1,
            json!({"member": {
                "displayName": "Ada Byron of blue", "nights": "8",
                "standing": "Ada Byron (0.5) of blue", "motto": "Member",
            }}),
        ),
        (
            "{ trip(id: \"r2\") { rated } none: trip(id: \"r4\") { rated } }",
            2,
            json!({"trip": {"rated": 2.5}, "none": {"rated": null}}),
        ),
        (
            "{ teams { nodes { best points } } }",
            1,
            json!({"teams": {"nodes": [{"best": 1.0, "points": "13"}, {"best": null, "points": null}]}}),
        ),
    ] {
        let answer = ask(&engine, query).await;
        assert_eq!(answer["errors"], Json::Null, "{query}: {answer}");
        assert_eq!(answer["data"], data, "{query}");
        assert_eq!(standing.calls(), calls, "{query}");
    }
}

#[tokio::test]
async fn what_is_not_asked_is_not_read() {
    let (engine, standing) = graph().await;
    for (query, calls) in [
        ("{ member(id: \"m1\") { id standing @include(if: false) } }", 0),
        (
            "query($yes: Boolean = false) { member(id: \"m1\") { id standing @include(if: $yes) } }",
            0,
        ),
        (
            "query($yes: Boolean = true) { member(id: \"m1\") { id standing @include(if: $yes) } }",
            1,
        ),
        ("query($no: Boolean = false) { member(id: \"m1\") { rating @include(if: $no) must } }", 1),
        // Derived of what is derived, which somebody else does not ask for now.
        (
            "query($no: Boolean = false) { member(id: \"m1\") { standing @include(if: $no) summary } }",
            1,
        ),
        (
            "query($no: Boolean = false, $yes: Boolean = true) { member(id: \"m1\") {
                standing @include(if: $no) summary @include(if: $yes) again: summary @include(if: $no) } }",
            1,
        ),
    ] {
        let answer = ask(&engine, query).await;
        assert_eq!(answer["errors"], Json::Null, "{query}: {answer}");
        assert_eq!(standing.calls(), calls, "{query}");
    }
    let answer = ask(
        &engine,
        "query($no: Boolean = false) { member(id: \"m1\") { rating @include(if: $no) must } }",
    )
    .await;
    assert_eq!(answer["data"], json!({"member": {"must": 0.5}}));
}

#[tokio::test]
async fn a_service_that_fails_is_named_where_its_input_is_missing() {
    let (engine, standing) = graph().await;
    standing.is_broken.store(true, Ordering::SeqCst);
    let answer = ask(&engine, "{ member(id: \"m1\") { fullName standing } }").await;
    assert_eq!(answer["data"], json!({"member": {"fullName": "Ada Byron", "standing": null}}));
    let error = &answer["errors"][0];
    let message = error["message"].as_str().expect("a text");
    assert!(message.starts_with("`Member.standing` lacks an input: "), "{answer}");
    assert_eq!(error["path"], json!(["member", "standing"]));
    assert_eq!(error["extensions"]["source"], "standing", "{answer}");
    let answer = ask(&engine, "{ member(id: \"m1\") { fullName must } }").await;
    assert_eq!(answer["data"], json!({"member": null}), "{answer}");
}

#[tokio::test]
async fn an_expression_that_fails_below_another_says_why() {
    let (engine, _) = graph().await;
    for (field, words) in [
        ("share", "failed to divide `100` by zero"),
        ("shown", "`Member.shown` lacks an input: failed to divide `100` by zero"),
    ] {
        let answer = ask(&engine, &format!("{{ members {{ nodes {{ {field} }} }} }}")).await;
        assert_eq!(answer["errors"].as_array().map(Vec::len), Some(1), "{answer}");
        assert_eq!(answer["errors"][0]["message"], words, "{answer}");
        assert_eq!(answer["errors"][0]["path"], json!(["members", "nodes", 0, field]));
        assert_eq!(answer["data"]["members"]["nodes"][0][field], Json::Null);
    }
}

#[tokio::test]
async fn inputs_are_what_callers_are_shown() {
    let (engine, _) = graph().await;
    let answer = ask(&engine, "{ member(id: \"m2\") { badges { serial label } serials } }").await;
    assert_eq!(answer["errors"], Json::Null, "{answer}");
    let expected = json!({"member": {
        "badges": [{"serial": "7", "label": null}, {"serial": "8", "label": null}],
        "serials": "8-",
    }});
    assert_eq!(answer["data"], expected);
}

#[test]
fn parts_make_the_answer_in_one_piece() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    let (engine, _) = runtime.block_on(graph());
    for query in [
        "{ member(id: \"m1\") { id ... @defer { standing } } }",
        "{ members { nodes { id ... @defer { summary rating } } } }",
        "{ teams { nodes { name ... @defer { best } members { ... @defer { points } } } } }",
    ] {
        let whole = runtime.block_on(ask(&engine, &query.replace("@defer", "")));
        assert_eq!(whole["errors"], Json::Null, "{whole}");
        let parts = runtime.block_on(payloads(&engine, Request::new(query, Principal::local())));
        assert!(parts.len() > 1, "{query}");
        let made = merge(&parts).unwrap_or_else(|error| panic!("{query}: {error}"));
        assert_eq!(made.data, whole["data"], "{query}");
    }
}

#[tokio::test]
async fn who_may_not_ask_a_service_for_an_input_does_not_know_of_what_follows() {
    let (engine, standing) = graph().await;
    let query = "{ member(id: \"m1\") { secret } }";
    let ask = async |audiences: &[&str]| {
        let request = Request::new(query, caller("u1", audiences));
        engine.execute(request).await.json().expect("JSON")
    };
    assert_eq!(ask(&["board"]).await["data"], json!({"member": {"secret": 2}}));
    standing.calls();
    let refused = ask(&[]).await;
    assert_eq!(refused["data"], Json::Null, "{refused}");
    assert_eq!(standing.calls(), 0);
}

#[tokio::test]
async fn explain_shows_what_is_read_and_where_it_is_computed() {
    let (engine, _) = graph().await;
    let request = Request::new("{ member(id: \"m1\") { standing } }", Principal::local());
    let explained = engine.explain(&request).expect("a plan");
    for part in ["    reads\n", "      rating\n", "compute Member.standing after 0, 1: fullName"] {
        assert!(explained.contains(part), "{part} is not in\n{explained}");
    }
}
