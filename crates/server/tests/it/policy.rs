//! Policies over HTTP: what a token's audiences open, and the doors that are closed to callers from whom
//! something is held back.

use serde_json::{Value, json};
use testkit::TempProject;

use crate::lab::{Lab, apply_request};

const SDL: &str = r#"
extend schema @module(name: "people", owner: "people")
type Person @key(fields: "id") @table(plural: "people") {
  id: ID!
  name: String
  pay: Int @visible(to: ["finance"], if: "id = viewer.id")
  phone: String @visible(to: ["finance"], if: "id = viewer.id", else: MASK)
  iban: String @visible(to: ["finance"], else: ERROR)
}
type Audit @key(fields: "id") @table(plural: "audits") @scope(to: ["auditors"]) { id: ID! text: String }
type Letter @key(fields: "id") @table(plural: "letters") @visible(to: ["support"], if: "personId = viewer.id") {
  id: ID!
  personId: ID
  body: String @search
}
type Plain @key(fields: "id") @table(plural: "plains") { id: ID! text: String }
"#;

fn lab() -> Lab {
    let lab = Lab::open(TempProject::with_schema(SDL), "", false);
    lab.call("apply", apply_request(SDL)).done();
    lab.import(
        &json!({"typeName": "Person", "format": "csv"}),
        b"id,name,pay,phone,iban\nann,Ann,9001,9002,9003\nbob,Bob,7,700,9004\n",
    );
    lab.import(&json!({"typeName": "Plain", "format": "csv"}), b"id,text\na,seen\n");
    lab.import(
        &json!({"typeName": "Letter", "format": "csv"}),
        b"id,personId,body\nl1,ann,to Ann\nl2,bob,to Bob\n",
    );
    lab
}

fn token(lab: &Lab, scope: &str, audiences: &[&str]) -> String {
    let request =
        json!({"subject": "bob", "team": "people", "scope": scope, "audiences": audiences});
    let made = lab.call("tokenCreate", request).done();
    made["secret"].as_str().unwrap().to_owned()
}

fn ask(lab: &Lab, token: &str, query: &str) -> Value {
    lab.post_as(token, "/graphql", &json!({"query": query})).json()
}

const PAY: &str = "{ people { nodes { id pay } } }";

#[test]
fn audiences_of_a_token_open_what_policies_name() {
    let lab = lab();
    let pay = |audiences: &[&str]| {
        let answer = ask(&lab, &token(&lab, "read", audiences), PAY);
        answer["data"]["people"]["nodes"].clone()
    };
    let own = json!([{"id": "ann", "pay": null}, {"id": "bob", "pay": 7}]);
    let all = json!([{"id": "ann", "pay": 9001}, {"id": "bob", "pay": 7}]);
    assert_eq!(pay(&[]), own);
    assert_eq!(pay(&["auditors"]), own);
    assert_eq!(pay(&["finance"]), all);
    assert_eq!(pay(&["everything"]), all);
    // Whoever may change the policies is not held to them.
    assert_eq!(ask(&lab, &token(&lab, "admin", &[]), PAY)["data"]["people"]["nodes"], all);
    let listed = lab.call("tokenList", json!({})).done();
    let audiences = listed.as_array().unwrap().iter().map(|token| &token["audiences"]);
    assert!(audiences.into_iter().any(|found| *found == json!(["finance"])), "{listed}");
    let wrong = json!({"subject": "a", "team": "b", "scope": "read", "audiences": ["x y"]});
    assert_eq!(lab.call("tokenCreate", wrong).status, 400);
}

#[test]
fn tables_of_the_lake_hold_back_what_policies_say() {
    let lab = lab();
    let held = token(&lab, "read", &[]);
    let query = "{
      people(where: {pay: {gt: 1}}) { nodes { id } totalCount }
      person(id: \"ann\") { name pay }
      letters { nodes { id body } totalCount }
      letter(id: \"l1\") { id }
      found: letters(search: \"to\") { nodes { id } }
      lettersAggregate { count }
    }";
    let seen = json!({
        "people": {"nodes": [{"id": "bob"}], "totalCount": 1},
        "person": {"name": "Ann", "pay": null},
        "letters": {"nodes": [{"id": "l2", "body": "to Bob"}], "totalCount": 1},
        "letter": null,
        "found": {"nodes": [{"id": "l2"}]},
        "lettersAggregate": [{"count": "1"}],
    });
    assert_eq!(ask(&lab, &held, query), json!({ "data": seen }));
    let all = ask(&lab, &token(&lab, "read", &["everything"]), query);
    assert_eq!(all["data"]["letters"]["totalCount"], 2, "{all}");
    assert_eq!(all["data"]["person"]["pay"], 9001, "{all}");
    assert_eq!(all["data"]["found"]["nodes"].as_array().map(Vec::len), Some(2), "{all}");
}

#[test]
fn what_stands_in_place_of_values_is_the_same_in_tables_of_the_lake() {
    let lab = lab();
    let held = token(&lab, "read", &[]);
    let query = "{
      people { nodes { id phone } }
      masked: people(where: {phone: {eq: \"***\"}}) { nodes { id } totalCount }
      person(id: \"ann\") { name iban }
      denied: people(where: {iban: {isNull: true}}) { totalCount }
    }";
    let answer = ask(&lab, &held, query);
    let seen = json!({
        "people": {"nodes": [{"id": "ann", "phone": "***"}, {"id": "bob", "phone": "700"}]},
        "masked": {"nodes": [{"id": "ann"}], "totalCount": 1},
        "person": {"name": "Ann", "iban": null},
        "denied": {"totalCount": 2},
    });
    assert_eq!(answer["data"], seen, "{answer}");
    let errors = answer["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "{answer}");
    assert_eq!(errors[0]["path"], json!(["person", "iban"]));
    assert_eq!(errors[0]["extensions"]["code"], "DENIED");
    let all = ask(&lab, &token(&lab, "read", &["finance"]), query);
    assert_eq!(all["data"]["person"]["iban"], "9003", "{all}");
    assert_eq!(all["data"]["masked"]["totalCount"], 0, "{all}");
    assert_eq!(all["errors"], Value::Null);
}

#[test]
fn other_doors_are_closed_to_who_does_not_see_all() {
    let lab = lab();
    let (held, whole) = (token(&lab, "write", &[]), token(&lab, "write", &["everything"]));
    let sql = |sql: &str| ("/operations/sql".to_owned(), json!({"sql": sql}));
    let doors = [
        sql("SELECT * FROM people"),
        sql("SELECT count(*) FROM people WHERE pay > 9000"),
        sql(
            "SELECT 1 FROM plains p WHERE EXISTS (SELECT 1 FROM people.people q WHERE q.pay > 9000)",
        ),
        ("/operations/explain".to_owned(), json!({"sql": "SELECT pay FROM people"})),
        ("/export".to_owned(), json!({"typeName": "Person", "format": "csv"})),
        ("/export".to_owned(), json!({"sql": "SELECT * FROM people", "format": "csv"})),
        ("/operations/columns".to_owned(), json!({"typeName": "Person"})),
        ("/operations/schema".to_owned(), json!({})),
        ("/operations/tables".to_owned(), json!({})),
        ("/operations/snapshots".to_owned(), json!({"typeName": "Person"})),
        ("/operations/usage".to_owned(), json!({})),
        ("/operations/connect".to_owned(), json!({"table": "people"})),
        ("/operations/generate".to_owned(), json!({"target": "sdl"})),
    ];
    for (path, body) in &doors {
        let refused = lab.post_as(&held, path, body);
        let text = refused.text();
        assert_eq!(refused.error()["code"], "DENIED", "{path} {body}: {text}");
        assert!(!text.contains("9001") && !text.contains("Audit"), "{text}");
        let open = lab.post_as(&whole, path, body);
        let text = open.text();
        assert!(open.status == 200 && !text.contains("\"error\""), "{path} {body}: {text}");
    }
    // A table without policies is nobody's secret; one that is hidden is not there, nor suggested.
    let (path, body) = sql("SELECT text FROM plains");
    assert_eq!(lab.post_as(&held, &path, &body).done()["rows"], json!([["seen"]]));
    let words = |table: &str| {
        let (path, body) = sql(&format!("SELECT * FROM {table}"));
        lab.post_as(&held, &path, &body).text().replace(table, "T")
    };
    assert_eq!(words("audits"), words("nowhere"));
    assert!(!words("audit").contains("audits"), "{}", words("audit"));
    let bearer = format!("Bearer {held}");
    let headers = [("authorization", bearer.as_str())];
    let catalog = lab.send("GET /iceberg/v1/namespaces", &headers, b"");
    assert_eq!(catalog.status, 403, "{}", catalog.text());
    let bearer = format!("Bearer {whole}");
    let catalog =
        lab.send("GET /iceberg/v1/namespaces", &[("authorization", bearer.as_str())], b"");
    assert_eq!(catalog.status, 200, "{}", catalog.text());
}
