//! Tables and services as one graph, as its clients see it: who is asked, what comes of it when a
//! service fails, and what of a client's request travels on.

use serde_json::{Value, json};
use testkit::TempProject;

use crate::lab::{Lab, SHOP};
use crate::ratings::{MODULE, Ratings};

/// A server on tables and the service, with rows.
fn lab(ratings: &Ratings, settings: &str) -> Lab {
    let settings = format!("{}{settings}", ratings.settings());
    let lab = Lab::open(TempProject::with_schema(SHOP), &settings, false);
    lab.call("apply", schema(MODULE)).done();
    lab.with_items()
}

fn schema(service: &str) -> Value {
    json!({"schema": {"files": [["main.graphql", SHOP], ["ratings.graphql", service]]}})
}

#[track_caller]
fn ask(lab: &Lab, query: &str) -> Value {
    lab.post("/graphql", &json!({ "query": query })).json()
}

#[track_caller]
fn check(lab: &Lab, query: &str, expected: Value) {
    assert_eq!(ask(lab, query), json!({ "data": expected }), "{query}");
}

#[test]
fn a_service_adds_to_rows_in_one_call() {
    let ratings = Ratings::start();
    let lab = lab(&ratings, "");
    check(
        &lab,
        "{ items(first: 3) { nodes { name rating } } }",
        json!({"items": {"nodes": [
            {"name": "lamp", "rating": 1.5}, {"name": "chair", "rating": null},
            {"name": "table, round", "rating": 1.5},
        ]}}),
    );
    let heard = ratings.heard();
    assert_eq!(heard.len(), 1, "{heard:?}");
    let ids = json!([
        {"__typename": "Item", "id": "a"}, {"__typename": "Item", "id": "b"},
        {"__typename": "Item", "id": "c"},
    ]);
    assert_eq!(heard[0].body["variables"]["representations"], ids);
}

#[test]
fn tables_add_to_objects_of_a_service() {
    let ratings = Ratings::start();
    let lab = lab(&ratings, "");
    let answer = ask(&lab, "{ topRatings { text item { id name label rating } } }");
    // The service speaks of a row that is gone.
    assert_eq!(answer["errors"].as_array().map(Vec::len), Some(1), "{answer}");
    assert_eq!(answer["errors"][0]["path"], json!(["topRatings", 1, "item", "name"]));
    assert_eq!(
        answer["data"],
        json!({"topRatings": [
            {"text": "bright", "item": {"id": "a", "name": "lamp", "label": "LAMP", "rating": 4.5}},
            {"text": "gone", "item": null},
            {"text": "round", "item":
                {"id": "c", "name": "table, round", "label": "TABLE, ROUND", "rating": 4.5}},
        ]}),
    );
    assert_eq!(ratings.heard().len(), 1);
}

#[test]
fn what_asks_tables_alone_asks_no_service_and_takes_their_way() {
    let ratings = Ratings::start();
    let lab = lab(&ratings, "");
    check(
        &lab,
        "{ item(id: \"b\") { name price } }",
        json!({"item": {"name": "chair", "price": 40.0}}),
    );
    let explain =
        |query: &str| lab.call("explain", json!({ "query": query })).done()["text"].clone();
    let direct = explain("{ item(id: \"b\") { name } }");
    assert!(direct.as_str().unwrap().contains("scan Item by key, columns [name]"), "{direct}");
    let routed = explain("{ item(id: \"b\") { name rating } }");
    assert!(routed.as_str().unwrap().contains("call 1 of ratings after 0"), "{routed}");
    assert!(ratings.heard().is_empty());
}

#[test]
fn a_change_of_a_table_is_read_back_with_what_a_service_says_of_it() {
    let ratings = Ratings::start();
    let lab = lab(&ratings, "");
    let create = "mutation { createItem(input: {id: \"dd\", name: \"door\", price: 1}) \
                  { replayed node { name rating } } }";
    let created =
        json!({"createItem": {"replayed": false, "node": {"name": "door", "rating": 2.5}}});
    check(&lab, create, created);
    check(&lab, "{ item(id: \"dd\") { name } }", json!({"item": {"name": "door"}}));
    let both = "mutation { rate(item: \"a\", stars: 5) { text item { name } } \
                deleteItem(id: \"dd\") { replayed } }";
    check(
        &lab,
        both,
        json!({"rate": {"text": "noted", "item": {"name": "lamp"}}, "deleteItem": {"replayed": false}}),
    );
}

#[test]
fn a_service_that_fails_takes_only_its_own_fields() {
    let ratings = Ratings::start();
    let lab = lab(&ratings, "");
    ratings.fail(true);
    let answer = ask(&lab, "{ item(id: \"a\") { name rating } topRatings { text } }");
    let data = json!({"item": {"name": "lamp", "rating": null}, "topRatings": null});
    assert_eq!(answer["data"], data, "{answer}");
    let errors = answer["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 2, "{answer}");
    for error in errors {
        let extensions = &error["extensions"];
        assert_eq!(extensions["source"], "ratings");
        assert_eq!(extensions["owner"], "critics");
        assert_eq!(extensions["code"], "UNAVAILABLE");
        let told = "`ratings` did not answer: the source answered with status 500";
        assert_eq!(error["message"], told);
        assert!(!answer.to_string().contains(&ratings.address.to_string()), "{answer}");
    }
    ratings.fail(false);
    check(&lab, "{ item(id: \"a\") { rating } }", json!({"item": {"rating": 1.5}}));
    let metrics = lab.get("/metrics").text();
    let failed =
        "headwater_source_errors_total{source=\"ratings\",owner=\"critics\",kind=\"status\"} 2";
    assert!(metrics.contains(failed), "{metrics}");
}

#[test]
fn headers_travel_only_where_a_rule_names_them() {
    let ratings = Ratings::start();
    let rules = "forward = [\"authorization\"]\nset = { x-from = \"headwater\" }\n";
    let lab = lab(&ratings, rules);
    let body = json!({"query": "{ topRatings { text } }"}).to_string();
    let token = format!("Bearer {}", lab.token("read"));
    let headers = [
        ("content-type", "application/json"),
        ("authorization", &token),
        ("cookie", "secret=1"),
        ("x-other", "2"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ];
    let answer = lab.send("POST /graphql", &headers, body.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let heard = ratings.heard().pop().expect("a call");
    let head = heard.head.join("\n").to_ascii_lowercase();
    let token = format!("authorization: {}", token.to_ascii_lowercase());
    for there in [token.as_str(), "x-from: headwater", "traceparent: 00-0af"] {
        assert!(head.contains(there), "{head}");
    }
    for absent in ["cookie", "x-other", "secret"] {
        assert!(!head.contains(absent), "{head}");
    }
}

#[test]
fn a_service_joins_and_leaves_by_a_change_of_the_schema() {
    let ratings = Ratings::start();
    let lab = Lab::open(TempProject::with_schema(SHOP), &ratings.settings(), false);
    let tables = json!({"schema": {"files": [["main.graphql", SHOP]]}});
    lab.call("apply", tables.clone()).done();
    let lab = lab.with_items();
    let query = "{ item(id: \"a\") { rating } }";
    assert!(ask(&lab, query)["errors"][0]["message"].as_str().unwrap().contains("rating"));
    lab.call("apply", schema(MODULE)).done();
    check(&lab, query, json!({"item": {"rating": 1.5}}));
    let conflict = MODULE.replace("rating: Float", "rating: Float\n  price: Int");
    let refused = lab.call("apply", schema(&conflict)).error();
    assert!(refused.to_string().contains("price"), "{refused}");
    check(&lab, query, json!({"item": {"rating": 1.5}}));
    lab.call("apply", tables).done();
    assert!(ask(&lab, query)["errors"][0]["message"].as_str().unwrap().contains("rating"));
}
