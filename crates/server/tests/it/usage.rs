//! Who asks what of the API, and what changes mean to them.

use serde_json::{Value, json};
use testkit::TempProject;

use crate::lab::{Lab, SHOP};

const PRICES: &str = "query Prices { items { nodes { price } } }";
const NAMES: &str = "query Names($where: ItemWhere) { items(where: $where) { nodes { name } } }";

fn ask(lab: &Lab, client: &str, document: &str, times: usize) {
    let headers = [("content-type", "application/json"), ("headwater-client", client)];
    let body = json!({ "query": document }).to_string();
    for _ in 0..times {
        let answer = lab.send("POST /graphql", &headers, body.as_bytes());
        assert!(answer.json()["errors"].is_null(), "{}", answer.text());
    }
}

fn without_price() -> Value {
    let schema = SHOP.replace("  price: Float\n", "");
    assert_ne!(schema, SHOP);
    json!({"schema": {"files": [["main.graphql", schema]]}})
}

/// Whom the removal of the price hurts.
fn hurt(plan: &Value) -> Value {
    let mut changes = plan["changes"].as_array().unwrap().iter();
    changes.find(|change| change["path"] == "Item.price").unwrap()["usage"].clone()
}

#[test]
fn a_plan_names_those_who_use_what_it_takes_away() {
    let lab = Lab::new().with_items();
    let plan = lab.call("plan", without_price()).done();
    assert_eq!(hurt(&plan), Value::Null, "nothing was counted yet");
    ask(&lab, "web/3.1", PRICES, 3);
    ask(&lab, "etl", NAMES, 2);
    ask(&lab, "other", "{ items { totalCount } }", 5);
    let plan = lab.call("plan", without_price()).done();
    let expected = json!({"days": 1, "requests": 5, "consumers": [
        {"client": "web", "version": "3.1", "operations": ["Prices"], "requests": 3},
        {"client": "etl", "version": "", "operations": ["Names"], "requests": 2},
    ]});
    assert_eq!(hurt(&plan), expected);
    let told = "used: 5 requests in 1 day by web 3.1 (Prices), etl (Names)";
    assert!(plan["rendered"].as_str().unwrap().contains(told), "{}", plan["rendered"]);
}

#[test]
fn usage_is_shown_by_coordinate_with_its_owner() {
    let lab = Lab::new().with_items();
    ask(&lab, "web/3.1", PRICES, 2);
    // What is refused, and what is asked of the API itself, uses nothing.
    lab.post("/graphql", &json!({"query": "{ items { nodes { nothing } } }"}));
    ask(&lab, "web/3.1", "{ __schema { queryType { name } } }", 1);
    let usage = lab.call("usage", json!({"coordinate": "Item"})).done();
    let by = json!([{"client": "web", "version": "3.1", "operation": "Prices", "requests": 2, "daysAgo": 0}]);
    let of = json!({"coordinate": "Item.price", "owner": "shop", "requests": 2, "by": by});
    assert_eq!(usage, json!({"days": 1, "coordinates": [of]}));
    let all = lab.call("usage", json!({})).done();
    let owned: Vec<(&str, &str)> = all["coordinates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["coordinate"].as_str().unwrap(), one["owner"].as_str().unwrap()))
        .collect();
    assert_eq!(
        owned,
        [("Item.price", "shop"), ("ItemConnection.nodes", "shop"), ("Query.items", "shop")]
    );
    let refused = lab.call("usage", json!({"days": 91})).error();
    assert_eq!(refused["code"], "INVALID_INPUT");
}

#[test]
fn what_was_asked_outlives_the_server_and_a_token_speaks_for_its_subject() {
    let mut lab = Lab::new().with_items();
    let token = lab.token("read");
    lab.post_as(&token, "/graphql", &json!({ "query": PRICES }));
    lab.stop().join().unwrap().unwrap();
    let usage = lab.in_process("usage", json!({"coordinate": "Item.price"}));
    assert_eq!(usage["coordinates"][0]["by"][0]["client"], "reader", "{usage}");
}

#[test]
fn where_usage_is_not_counted_nothing_is() {
    let lab = Lab::open(TempProject::with_schema(SHOP), "[graphql]\nusage = false", true);
    ask(&lab, "web", "{ items { totalCount } }", 1);
    assert_eq!(lab.call("usage", json!({})).done(), json!({"days": 0, "coordinates": []}));
}
