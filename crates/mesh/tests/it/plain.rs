//! Plain SDL: JSON of a resolver, projected and checked.

use std::sync::Arc;

use async_trait::async_trait;
use base::{Error, Kind, Principal, Result};
use mesh::{Engine, Request, Root, RootResolver};
use serde_json::{Value as Json, json};

const SDL: &str = "
type Query { node(id: ID!, deep: Boolean = true): Node  nodes: [Node!]!  any: [Any]  broken: Int  disk: Int  old: Int  missing: String!  sum: Int }
type Mutation { add(n: Int!): Int!  sum: Int!  lost: Int  fails: Int!  empty: Int!  hollow: Hollow!  old: Int! }
type Hollow { inner: Hollow!  must: Int! }
interface Node { id: ID! }
type A implements Node { id: ID! a: Int must: Int! child: A }
type B implements Node { id: ID! b: [[Color!]] }
union Any = A | B
enum Color { RED }
";

#[derive(Default)]
struct Resolver(parking_lot::Mutex<i64>);

#[async_trait]
impl RootResolver for Resolver {
    async fn resolve(
        &self,
        root: Root,
        field: &str,
        arguments: Json,
        _: &Principal,
    ) -> Result<Json> {
        let a = json!({"__typename": "A", "id": 1, "a": 2, "must": 3, "child": {"id": "c"}});
        let b = json!({"__typename": "B", "id": "b", "b": [["RED"], null, []]});
        match field {
            "node" if arguments == json!({"id": "1", "deep": true}) => Ok(a),
            "nodes" => Ok(json!([a, b])),
            "any" => Ok(json!([b, {"__typename": "C"}])),
            "sum" if root == Root::Mutation => Ok(json!(*self.0.lock())),
            "hollow" => Ok(json!({"inner": {"must": null}})),
            "broken" | "lost" | "fails" => {
                Err(Error::new(Kind::Unavailable, "no answer").hint("wait"))
            }
            "disk" => {
                let inner = Error::new(Kind::Io, "no file `/secret`");
                Err(inner.context("failed to read `/secret`").hint("look into `/secret`"))
            }
            "old" => Err(Error::new(Kind::Stale, "this is over")),
            "add" => {
                let mut sum = self.0.lock();
                *sum = *sum * 10 + arguments["n"].as_i64().unwrap_or_default();
                Ok(json!(*sum))
            }
            _ => Ok(Json::Null),
        }
    }
}

fn engine() -> Engine {
    Engine::plain(SDL, Arc::new(Resolver::default())).expect("valid SDL")
}

#[tokio::test]
async fn a_query_and_a_mutation_may_have_fields_of_one_name() {
    let engine = engine();
    let ask =
        async |query: &str| engine.execute(Request::new(query, Principal::local())).await.json();
    assert_eq!(ask("{ sum }").await.expect("JSON"), json!({"data": {"sum": null}}));
    let answer = ask("mutation { sum }").await.expect("JSON");
    assert_eq!(answer, json!({"data": {"sum": 0}}));
}

#[tokio::test]
async fn changes_after_one_that_takes_all_data_with_it_are_not_made() {
    for (changes, wanted) in [
        ("a: add(n: 1) b: add(n: 2)", 12),
        ("a: add(n: 1) lost b: add(n: 2)", 12),
        ("a: add(n: 1) fails b: add(n: 2)", 1),
        ("a: add(n: 1) empty b: add(n: 2)", 1),
        ("hollow { inner { must } } b: add(n: 2)", 0),
        ("hollow { __typename } b: add(n: 2)", 2),
        ("fails @skip(if: true) b: add(n: 2)", 2),
    ] {
        let engine = engine();
        let mutation = format!("mutation {{ {changes} }}");
        engine.execute(Request::new(&mutation, Principal::local())).await;
        let answer = engine.execute(Request::new("mutation { sum }", Principal::local())).await;
        assert_eq!(answer.json().expect("JSON"), json!({"data": {"sum": wanted}}), "{changes}");
    }
}

#[tokio::test]
async fn an_answer_without_data_is_not_stale_when_a_change_was_made() {
    for (changes, stale) in [("add(n: 1) old", false), ("old add(n: 1)", true)] {
        let mutation = format!("mutation {{ {changes} }}");
        let response = engine().execute(Request::new(&mutation, Principal::local())).await;
        assert_eq!(response.json().expect("JSON")["data"], Json::Null);
        assert_eq!(response.stale, stale, "{changes}");
    }
}

async fn ask(query: &str) -> Json {
    engine().execute(Request::new(query, Principal::local())).await.json().expect("JSON")
}

#[tokio::test]
async fn values_are_projected_by_their_concrete_type() {
    let answer =
        ask("{ nodes { __typename id ... on A { x: a } ...B } } fragment B on B { b }").await;
    let nodes = json!([
        {"__typename": "A", "id": "1", "x": 2},
        {"__typename": "B", "id": "b", "b": [["RED"], null, []]}
    ]);
    assert_eq!(answer, json!({"data": {"nodes": nodes}}));
}

#[tokio::test]
async fn a_forbidden_null_takes_the_nearest_nullable_parent() {
    let answer = ask("{ node(id: 1) { ... on A { a child { id must } } } }").await;
    assert_eq!(answer["data"], json!({"node": {"a": 2, "child": null}}));
    assert_eq!(answer["errors"][0]["path"], json!(["node", "child", "must"]));
    let answer = ask("{ any { ... on B { b } } missing }").await;
    assert_eq!(answer["data"], Json::Null);
    assert_eq!(answer["errors"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_failing_root_field_leaves_the_others() {
    let answer = ask("{ broken node(id: \"1\") { id } }").await;
    assert_eq!(answer["data"], json!({"broken": null, "node": {"id": "1"}}));
    assert_eq!(
        answer["errors"],
        json!([{
            "message": "no answer",
            "locations": [{"line": 1, "column": 3}],
            "path": ["broken"],
            "extensions": {"code": "UNAVAILABLE", "retryable": true, "hint": "wait"}
        }])
    );
}

#[tokio::test]
async fn a_fault_of_the_storage_is_told_by_its_reference_only() {
    let answer = ask("{ disk }").await;
    assert!(!answer.to_string().contains("secret"), "{answer}");
    let error = &answer["errors"][0];
    assert_eq!(error["message"], "the storage did not answer as it must");
    assert_eq!(error["extensions"]["code"], "IO");
    assert_eq!(error["extensions"]["reference"].as_str().map(str::len), Some(36), "{error}");
    let other = ask("{ disk }").await;
    assert_ne!(error["extensions"]["reference"], other["errors"][0]["extensions"]["reference"]);
}

#[tokio::test]
async fn an_answer_is_stale_when_nothing_of_it_was_done() {
    for (query, stale) in [
        ("{ old }", true),
        ("{ old other: old }", true),
        ("{ old node(id: 7) { id } }", true),
        ("{ old missing }", false),
        ("{ old broken }", false),
        ("{ old nodes { id } }", false),
        ("{ old __typename }", false),
        ("{ node(id: 7) { id } }", false),
        ("{ none }", false),
    ] {
        let response = engine().execute(Request::new(query, Principal::local())).await;
        assert_eq!(response.stale, stale, "{query}");
    }
}

#[test]
fn a_mutation_is_known_by_its_text_when_it_does_not_fit() {
    let engine = engine();
    for (query, name, expected) in [
        ("mutation { add(n: 1) }", None, true),
        ("mutation { none }", None, true),
        ("query A { none } mutation B { none }", Some("A"), false),
        ("query A { none } mutation B { none }", Some("B"), true),
        ("query A { __typename } mutation B { add(n: 1) }", Some("A"), false),
        ("{ none }", None, false),
        ("mutation {", None, false),
    ] {
        assert_eq!(engine.is_mutation(query, name), expected, "{query}");
    }
}

#[tokio::test]
async fn mutations_run_one_after_the_other() {
    let answer = ask("mutation { a: add(n: 1) b: add(n: 2) c: add(n: 3) }").await;
    assert_eq!(answer["data"], json!({"a": 1, "b": 12, "c": 123}));
}

#[tokio::test]
async fn introspection_stands_beside_other_fields() {
    let query = "{ __typename t: __type(name: \"A\") { name fields { name type { kind ofType { name } } } } node(id: 1) { id } }";
    let answer = ask(query).await;
    assert_eq!(answer["data"]["__typename"], "Query");
    assert_eq!(answer["data"]["t"]["fields"][0]["type"]["ofType"]["name"], "ID");
    assert_eq!(answer["data"]["node"]["id"], "1");
}
