//! Every operation over `POST /operations/NAME`: one request that is good and one that is not.

use serde_json::{Value, json};
use server::operations::OPERATIONS;

use crate::lab::{Lab, SHOP, apply_request};

/// The bad request of each operation with what is said about it, or `None` where nothing can be
/// wrong. A new operation must find its place here.
fn bad(operation: &str) -> (Value, &'static str, &'static str) {
    let of_type = json!({"typeName": "Nobody"});
    match operation {
        "apply" | "plan" => (apply_request("type {"), "INVALID_INPUT", "the schema has 1 error"),
        "backup" => (json!({}), "INVALID_INPUT", "missing field `folder`"),
        "columns" | "compact" | "snapshots" => (of_type, "NOT_FOUND", "Nobody"),
        "connect" => (json!({"table": "nowhere"}), "NOT_FOUND", "there is no table `nowhere`"),
        "documentRegister" => {
            let documents = json!([{"file": "a.graphql", "text": "{ nobody }"}]);
            (json!({ "documents": documents }), "INVALID_INPUT", "1 document is faulty")
        }
        "documentRemove" => (json!({}), "INVALID_INPUT", "give ids, a client, or both"),
        "explain" => (json!({}), "INVALID_INPUT", "either `query` or `sql`"),
        "generate" => (json!({"target": "cobol"}), "INVALID_INPUT", "nothing generates `cobol`"),
        "import" => (json!({}), "INVALID_INPUT", "`POST /import`"),
        "migrateStore" => (json!({}), "INVALID_INPUT", "give either `to` or `finish`"),
        "query" => (json!({"query": 1}), "INVALID_INPUT", "wrong shape"),
        "rollback" => {
            (json!({"typeName": "Item", "snapshot": "x"}), "INVALID_INPUT", "`x` is no snapshot id")
        }
        "sql" => (json!({"sql": "SELECT * FROM nowhere"}), "NOT_FOUND", "nowhere"),
        "tokenCreate" => (json!({"subject": "a"}), "INVALID_INPUT", "missing field `team`"),
        "tokenRevoke" => (json!({"id": "nobody"}), "NOT_FOUND", "there is no token `nobody`"),
        "undo" => (json!({"expectedBase": "x"}), "STALE", "changed since it was planned"),
        "undoPlan" => (json!({"dryRun": "x"}), "INVALID_INPUT", "wrong shape"),
        "usage" => (json!({"days": 0}), "INVALID_INPUT", "`days` is 0"),
        "applyAbandon" | "applyContract" | "applyPause" | "documentList" | "pendingPlan"
        | "schema" | "schemaVersions" | "sources" | "status" | "tables" | "tokenList"
        | "upgrade" => (json!({"typeName": "Item"}), "INVALID_INPUT", "takes no request"),
        other => panic!("`{other}` has no bad request here"),
    }
}

#[test]
fn every_operation_words_what_is_wrong() {
    let lab = Lab::new();
    for (operation, _) in OPERATIONS {
        let (request, code, words) = bad(operation);
        let error = lab.call(operation, request).error();
        assert_eq!(error["code"], code, "{operation}: {error}");
        let said = format!("{} {}", error["message"], error["causes"]);
        assert!(said.contains(words), "{operation}: {error}");
    }
    lab.assert_healthy();
}

#[test]
fn every_operation_does_its_work() {
    let lab = Lab::new().with_items();
    let backup = lab.folder.path().join("backup");
    let snapshots = lab.call("snapshots", json!({"typeName": "Item"})).done();
    let first = snapshots.as_array().unwrap().last().unwrap()["id"].clone();
    let token = lab.call("tokenCreate", json!({"subject": "a", "team": "b", "scope": "read"}));
    let token = token.done()["id"].clone();
    for (operation, _) in OPERATIONS {
        let request = match *operation {
            "apply" | "plan" => apply_request(SHOP),
            "backup" => json!({ "folder": backup }),
            "columns" | "snapshots" | "compact" => json!({"typeName": "Item"}),
            "connect" => json!({"table": "shop.items"}),
            "documentRegister" => json!({"client": "web", "documents": [
                {"file": "a.graphql", "text": "{ items { totalCount } }"}]}),
            "documentRemove" => json!({"client": "web"}),
            "explain" => json!({"sql": "SELECT id FROM items"}),
            "generate" => json!({"target": "typescript"}),
            "migrateStore" => json!({ "to": "elsewhere" }),
            "query" => json!({"query": "{ items { nodes { id } } }"}),
            "rollback" => json!({"typeName": "Item", "snapshot": first}),
            "sql" => json!({"sql": "SELECT 1"}),
            "tokenCreate" => json!({"subject": "c", "team": "b", "scope": "read"}),
            "tokenRevoke" => json!({ "id": token }),
            // These have tests of their own: one needs a file, one a schema to go back to, one an apply
            // that runs.
            "import" | "undo" | "applyAbandon" | "applyPause" => continue,
            _ => json!({}),
        };
        let answer = lab.call(operation, request);
        let done = answer.done();
        assert!(done.is_object() || done.is_array(), "{operation}: {done}");
    }
    assert!(backup.join("meta.db").is_file() || backup.read_dir().unwrap().next().is_some());
}

#[test]
fn nothing_is_paused_while_no_apply_runs() {
    let lab = Lab::new().with_items();
    let error = lab.call("applyPause", json!({})).error();
    assert_eq!(
        (&error["code"], &error["message"]),
        (&json!("NOT_FOUND"), &json!("no apply is running"))
    );
}

#[test]
fn what_operations_say_agrees() {
    let lab = Lab::new().with_items();
    let tables = lab.call("tables", json!({})).done();
    let item = tables.as_array().unwrap().iter().find(|table| table["typeName"] == "Item").unwrap();
    assert_eq!(
        (&item["name"], &item["rows"], &item["owner"]),
        (&json!("items"), &json!(3), &json!("shop"))
    );
    let status = lab.call("status", json!({})).done();
    assert_eq!((&status["schemaVersion"], &status["pendingChanges"]), (&json!(1), &json!(false)));
    assert_eq!(status["running"], json!([]));
    let schema = lab.call("schema", json!({})).done();
    assert_eq!(schema["fingerprint"], status["fingerprint"]);
    let versions = lab.call("schemaVersions", json!({})).done();
    assert_eq!(versions[0]["fingerprint"], status["fingerprint"]);
    assert_eq!(versions[0]["files"], json!([["main.graphql", SHOP]]));
    let columns = lab.call("columns", json!({"typeName": "Item"})).done();
    let names: Vec<&Value> =
        columns.as_array().unwrap().iter().map(|column| &column["name"]).collect();
    assert_eq!(names, ["id", "name", "price"]);
    let rows = lab.call("query", json!({"query": "{ item(id: \"a\") { name label } }"})).done();
    assert_eq!(rows, json!({"data": {"item": {"name": "lamp", "label": "LAMP"}}}));
}

#[test]
fn sql_tells_when_there_were_more_rows_and_can_look_back() {
    let lab = Lab::new().with_items();
    let all = "SELECT id FROM items ORDER BY id";
    let cut = lab.call("sql", json!({"sql": all, "limit": 2})).done();
    assert_eq!((&cut["rows"], &cut["truncated"]), (&json!([["a"], ["b"]]), &json!(true)));
    let whole = lab.call("sql", json!({"sql": all, "limit": 3})).done();
    assert_eq!(whole["truncated"], false);
    let snapshot = lab.call("snapshots", json!({"typeName": "Item"})).done()[0]["id"].clone();
    let mutation = json!({"query": "mutation { deleteItem(id: \"a\") { count } }"});
    assert!(lab.call("query", mutation).done().get("errors").is_none());
    assert_eq!(lab.rows(all), json!([["b"], ["c"]]));
    let before = lab.call("sql", json!({"sql": all, "at": snapshot})).done();
    assert_eq!(before["rows"], json!([["a"], ["b"], ["c"]]));
}

#[test]
fn a_rollback_brings_the_rows_back() {
    let lab = Lab::new().with_items();
    let snapshot = lab.call("snapshots", json!({"typeName": "Item"})).done()[0]["id"].clone();
    let mutation = json!({"query": "mutation { deleteItem(id: \"a\") { count } }"});
    lab.call("query", mutation).done();
    let request = json!({"typeName": "Item", "snapshot": snapshot});
    let now = lab.call("rollback", request).done();
    assert_eq!((&now["current"], &now["rows"]), (&json!(true), &json!(3)));
    assert_eq!(lab.rows("SELECT count(*) FROM items"), json!([["3"]]));
}

#[test]
fn a_long_operation_reports_and_then_ends_once() {
    let lab = Lab::fresh();
    let answer = lab.call("apply", apply_request(SHOP));
    let lines = answer.events();
    let (last, before) = lines.split_last().unwrap();
    assert!(last.get("done").is_some(), "{last}");
    // Two tables and the text index of one.
    assert!(before.len() >= 2, "{lines:?}");
    assert!(before.iter().all(|line| line["progress"]["what"].is_string()), "{lines:?}");
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
}

#[test]
fn what_is_refused_before_it_began_has_a_status() {
    let lab = Lab::new();
    for (operation, request, status) in [
        ("fly", json!({}), 404),
        ("sql", json!({"sql": 1}), 400),
        ("snapshots", json!({"typeName": "Nobody"}), 404),
        ("undo", json!({"expectedBase": "x"}), 409),
    ] {
        let answer = lab.call(operation, request);
        assert_eq!(answer.status, status, "{operation}: {}", answer.text());
    }
    let reader = lab.token("read");
    assert_eq!(lab.post_as(&reader, "/operations/compact", &json!({})).status, 403);
}

#[test]
fn an_unknown_operation_is_answered_with_those_that_there_are() {
    let error = Lab::new().call("fly", json!({})).error();
    assert_eq!(error["code"], "NOT_FOUND");
    let hint = error["hint"].as_str().unwrap();
    assert!(OPERATIONS.iter().all(|(name, _)| hint.contains(name)), "{hint}");
}

#[test]
fn a_document_is_explained_with_its_variables() {
    let lab = Lab::new();
    let query = "query A { items { totalCount } }
        query B($n: Int!) { items(first: $n) { nodes { id } } }";
    let explain = |request| lab.call("explain", request);
    let request = json!({"query": query, "operationName": "B", "variables": {"n": 3}});
    let text = explain(request).done()["text"].clone();
    let text = text.as_str().unwrap();
    assert!(text.starts_with("query, root fields at once, cost 4\n  items(first: $n)"), "{text}");
    let question = "query($n: Int!, $q: String!) {
        explain(query: $q, operationName: \"B\", variables: {n: $n}) { text }
    }";
    let variables = json!({"n": 3, "q": query});
    let answer = lab.post("/system", &json!({"query": question, "variables": variables})).json();
    assert_eq!(answer["data"]["explain"]["text"], text, "{answer}");
    let answer = explain(json!({"sql": "SELECT 1", "variables": {}}));
    assert!(answer.text().contains("SQL has neither variables nor operations"));
}
