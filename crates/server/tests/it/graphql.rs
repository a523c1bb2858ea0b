//! `/graphql` as the GraphQL-over-HTTP specification says, and `/system`, the administration.

use serde_json::{Value, json};

use crate::client::Answer;
use crate::lab::{Lab, encoded};

const MODERN: &str = "application/graphql-response+json";

fn post(lab: &Lab, accept: &str, body: &Value) -> Answer {
    let headers = [("content-type", "application/json"), ("accept", accept)];
    lab.send("POST /graphql", &headers, body.to_string().as_bytes())
}

#[test]
fn a_question_is_answered_by_post_and_by_get() {
    let lab = Lab::new().with_items();
    let query = "query Q($id: ID!) { item(id: $id) { name } }";
    let expected = json!({"data": {"item": {"name": "lamp"}}});
    let request = json!({"query": query, "operationName": "Q", "variables": {"id": "a"}});
    assert_eq!(lab.post("/graphql", &request).json(), expected);
    let path = format!(
        "/graphql?query={}&operationName=Q&variables={}",
        encoded(query),
        encoded("{\"id\": \"a\"}")
    );
    let answer = lab.send(&format!("GET {path}"), &[("headwater-preflight", "1")], b"");
    assert_eq!(answer.json(), expected);
}

#[test]
fn the_media_type_tells_whether_the_request_or_a_field_failed() {
    let lab = Lab::new();
    let refused = json!({"query": "{ nobody }"});
    let good = json!({"query": "{ __typename }"});
    for (accept, body, status, kind) in [
        (MODERN, &good, 200, MODERN),
        (MODERN, &refused, 400, MODERN),
        ("application/json", &good, 200, "application/json"),
        ("application/json", &refused, 200, "application/json"),
        ("*/*", &refused, 200, "application/json"),
    ] {
        let answer = post(&lab, accept, body);
        assert_eq!(answer.status, status, "{accept} {body}");
        let given = answer.header("content-type").unwrap();
        assert_eq!(given, format!("{kind}; charset=utf-8"));
        assert_eq!(answer.json().get("errors").is_some(), body == &refused);
    }
}

#[test]
fn a_person_who_opens_the_address_is_led_to_the_explorer() {
    let lab = Lab::new();
    let answer = lab.send("GET /graphql", &[("accept", "text/html")], b"");
    assert_eq!((answer.status, answer.header("location")), (303, Some("/#/explore")));
    assert_eq!(lab.get("/graphql").status, 400);
}

#[test]
fn a_mutation_is_seen_by_the_next_question() {
    let lab = Lab::new();
    let create = "mutation { createItem(input: {id: \"n\", name: \"new\", price: 1.5}) { node { id label } } }";
    let made = lab.post("/graphql", &json!({ "query": create })).json();
    assert_eq!(made, json!({"data": {"createItem": {"node": {"id": "n", "label": "NEW"}}}}));
    let again = lab.post("/graphql", &json!({ "query": create })).json();
    assert_eq!(again["errors"][0]["extensions"]["code"], "ALREADY_EXISTS", "{again}");
    assert_eq!(lab.rows("SELECT id, price FROM items"), json!([["n", 1.5]]));
}

#[test]
fn a_schema_that_another_process_applies_is_served_at_once() {
    let lab = Lab::new();
    let before = lab.post("/graphql", &json!({"query": "{ items { nodes { color } } }"})).json();
    assert!(before.get("errors").is_some(), "{before}");
    let wider = crate::lab::SHOP.replace("price: Float", "price: Float\n  color: String");
    lab.in_process("apply", crate::lab::apply_request(&wider));
    let after = lab.post("/graphql", &json!({"query": "{ items { nodes { color } } }"})).json();
    assert_eq!(after, json!({"data": {"items": {"nodes": []}}}));
}

#[test]
fn the_api_describes_itself() {
    let lab = Lab::new();
    let query = "{ __schema { queryType { fields { name } } types { name } } }";
    let answer = lab.post("/graphql", &json!({ "query": query })).json();
    let names = answer["data"]["__schema"]["types"].to_string();
    assert!(names.contains("\"Item\"") && names.contains("\"Review\""), "{answer}");
}

#[test]
fn every_root_field_of_the_administration_answers() {
    let lab = Lab::new().with_items();
    let snapshot = lab.call("snapshots", json!({"typeName": "Item"})).done()[0]["id"].clone();
    lab.post("/graphql", &json!({"query": "query Ids { items { nodes { id } } }"}));
    let query = "query($type: String!) {
        status { version schemaVersion fingerprint pendingChanges metadata bytes running tables { typeName rows files } }
        schema { version modules { name owner file text types } types { name key fields { name kind typeText search } } }
        schemaVersions { version author at }
        pendingPlan { base target isEmpty changes { path } steps { text } losses rendered }
        tables { typeName name module owner format rows bytes files snapshots changedAt }
        snapshots(typeName: $type) { id at operation rows bytes files author summary current }
        columns(typeName: $type) { name typeText nulls distinct minimum maximum }
        sql(sql: \"SELECT id FROM items ORDER BY id\", limit: 1) { columns rows truncated millis }
        usage(coordinate: \"Item\", days: 7) { days coordinates { coordinate owner requests by { client version operation requests daysAgo } } }
        sources { name owner url calls answered breaker p50Millis latency { upToMillis calls } errors { timeout connect } }
        explain(sql: \"SELECT id FROM items\") { text }
    }";
    let answer =
        lab.post("/system", &json!({"query": query, "variables": {"type": "Item"}})).json();
    assert!(answer.get("errors").is_none(), "{answer}");
    let data = &answer["data"];
    assert_eq!(
        (&data["status"]["schemaVersion"], &data["pendingPlan"]["isEmpty"]),
        (&json!(1), &json!(true))
    );
    assert_eq!((&data["sql"]["rows"], &data["sql"]["truncated"]), (&json!([["a"]]), &json!(true)));
    assert_eq!(data["snapshots"][0]["id"], snapshot);
    assert_eq!(data["columns"][0]["name"], "id");
    assert_eq!(
        data["usage"],
        json!({"days": 1, "coordinates": [{"coordinate": "Item.id", "owner": "shop",
        "requests": 1, "by": [{"client": "local", "version": "", "operation": "Ids", "requests": 1, "daysAgo": 0}]}]})
    );
    assert_eq!(data["sources"], json!([]));
    let mutation = "mutation($s: String!) {
        rollback(typeName: \"Item\", snapshot: $s) { id current }
        compact(typeName: \"Item\") { typeName filesBefore filesAfter bytesBefore bytesAfter }
        all: compact { typeName }
    }";
    let answer =
        lab.post("/system", &json!({"query": mutation, "variables": {"s": snapshot}})).json();
    assert!(answer.get("errors").is_none(), "{answer}");
    assert_eq!(answer["data"]["rollback"]["current"], true);
}

#[test]
fn every_root_field_was_asked_for_above() {
    let lab = Lab::new();
    let query = "{ __schema { queryType { fields { name } } mutationType { fields { name } } } }";
    let answer = lab.post("/system", &json!({ "query": query })).json();
    let names = |kind: &str| -> Vec<String> {
        let fields = answer["data"]["__schema"][kind]["fields"].as_array().unwrap();
        fields.iter().map(|field| field["name"].as_str().unwrap().to_owned()).collect()
    };
    let expected = [
        "status",
        "schema",
        "schemaVersions",
        "pendingPlan",
        "tables",
        "snapshots",
        "columns",
        "sql",
        "usage",
        "sources",
        "explain",
    ];
    assert_eq!(names("queryType"), expected);
    assert_eq!(names("mutationType"), ["rollback", "compact"]);
}

#[test]
fn an_error_of_the_administration_keeps_its_code_and_hint() {
    let lab = Lab::new();
    let query = "{ snapshots(typeName: \"Nobody\") { id } }";
    let answer = lab.post("/system", &json!({ "query": query })).json();
    assert_eq!(answer["errors"][0]["extensions"]["code"], "NOT_FOUND", "{answer}");
    assert!(answer["errors"][0]["message"].as_str().unwrap().contains("Nobody"), "{answer}");
}
