//! A database beside the tables, as clients of the server see it: one graph, what the settings say of the
//! way to it, and what comes of a database that is away.

use serde_json::{Value, json};
use testkit::{Postgres, TempProject};

use crate::lab::{Lab, SHOP};

const MODULE: &str = r#"extend schema @module(name: "sales", owner: "sellers")
  @source(name: "sales", kind: POSTGRES, url: "postgres://db.invalid/sales", timeout: "2s", breaker: "50% of 2 in 1m")

type Sale @key(fields: "id") @table(plural: "sales") {
  id: Int!
  itemId: ID! @column(name: "item")
  item: Item @ref(by: "itemId")
}

extend type Item @key(fields: "id") {
  id: ID!
  sales: [Sale!]! @ref(by: "itemId")
}
"#;

const TABLES: &str = "CREATE TABLE sales (id integer PRIMARY KEY, item text NOT NULL);
INSERT INTO sales VALUES (1, 'a'), (2, 'c'), (3, 'a')";

/// A server on tables and a database; `None` when Postgres is not installed.
fn lab(settings: &str) -> Option<(Lab, &'static Postgres, String)> {
    let postgres = Postgres::shared()?;
    let url = postgres.new_database();
    postgres.execute(&url, TABLES);
    let address = url.replace("headwater@", "");
    let settings =
        format!("[sources.sales]\nurl = \"{address}\"\nuser = \"headwater\"\n{settings}");
    let lab = Lab::open(TempProject::with_schema(SHOP), &settings, false);
    let files = json!([["main.graphql", SHOP], ["sales.graphql", MODULE]]);
    lab.call("apply", json!({"schema": {"files": files}})).done();
    Some((lab.with_items(), postgres, url))
}

fn ask(lab: &Lab, query: &str) -> Value {
    lab.post("/graphql", &json!({ "query": query })).json()
}

#[test]
fn a_database_is_one_graph_with_the_tables() {
    let Some((lab, ..)) = lab("") else { return };
    let answer = ask(
        &lab,
        "{ items(first: 3) { nodes { name sales { id } } } sales(last: 1) { nodes { item { name } } } }",
    );
    let expected = json!({"data": {
        "items": {"nodes": [
            {"name": "lamp", "sales": [{"id": 1}, {"id": 3}]}, {"name": "chair", "sales": []},
            {"name": "table, round", "sales": [{"id": 2}]},
        ]},
        "sales": {"nodes": [{"item": {"name": "lamp"}}]},
    }});
    assert_eq!(answer, expected);
    let metrics = lab.get("/metrics").text();
    assert!(metrics.contains("headwater_source_calls_total{source=\"sales\","), "{metrics}");
}

#[test]
fn a_database_that_refuses_takes_only_its_own_fields_and_tells_no_secret() {
    let Some((lab, postgres, url)) = lab("") else { return };
    let query = "{ item(id: \"a\") { name } sales { nodes { id } } }";
    assert_eq!(ask(&lab, query)["errors"], Value::Null);
    postgres.execute(&url, "ALTER TABLE sales RENAME TO gone");
    let answer = ask(&lab, query);
    assert_eq!(answer["data"], json!({"item": {"name": "lamp"}, "sales": null}), "{answer}");
    let told = answer["errors"].to_string();
    assert!(
        told.contains("\"source\":\"sales\"") && told.contains("\"owner\":\"sellers\""),
        "{told}"
    );
    assert!(!told.contains("127.0.0.1") && !told.contains("relation"), "{told}");
    postgres.execute(&url, "ALTER TABLE gone RENAME TO sales");
    assert_eq!(ask(&lab, query)["errors"], Value::Null);
}
