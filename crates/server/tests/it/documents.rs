//! Documents by name: automatic persisted queries, and trusted documents in their three modes.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::client::Answer;
use crate::lab::{Lab, encoded};

const COUNT: &str = "query Count { items { totalCount } }";
const NAMES: &str = "query Names { items { nodes { name } } }";

fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn persisted(text: &str) -> Value {
    json!({"persistedQuery": {"version": 1, "sha256Hash": hash(text)}})
}

fn register(lab: &Lab, client: &str, texts: &[&str]) -> Value {
    let documents = texts.iter().enumerate();
    let documents: Vec<Value> =
        documents.map(|(n, text)| json!({"file": format!("{n}.graphql"), "text": text})).collect();
    lab.call("documentRegister", json!({"client": client, "documents": documents})).done()
}

fn code(answer: &Answer) -> Value {
    answer.json()["errors"][0]["extensions"]["code"].clone()
}

fn count(answer: &Answer) -> Value {
    answer.json()["data"]["items"]["totalCount"].clone()
}

#[test]
fn a_query_that_was_sent_once_is_named_by_its_hash() {
    let lab = Lab::new().with_items();
    let by_hash = json!({"extensions": persisted(COUNT)});
    let unknown = lab.post("/graphql", &by_hash);
    // Apollo's clients look at the message, others at the code.
    assert_eq!(unknown.json()["errors"][0]["message"], "PersistedQueryNotFound");
    assert_eq!((unknown.status, code(&unknown)), (200, json!("PERSISTED_QUERY_NOT_FOUND")));
    let both = json!({"query": COUNT, "extensions": persisted(COUNT)});
    assert_eq!(count(&lab.post("/graphql", &both)), 3);
    assert_eq!(count(&lab.post("/graphql", &by_hash)), 3);
    let path = format!("GET /graphql?extensions={}", encoded(&persisted(COUNT).to_string()));
    assert_eq!(count(&lab.send(&path, &[("headwater-preflight", "1")], b"")), 3);
    assert!(lab.get("/metrics").text().contains("headwater_graphql_persisted_bytes 164\n"));
}

#[test]
fn a_hash_that_is_not_the_texts_keeps_nothing() {
    let lab = Lab::new().with_items();
    let forged = json!({"query": NAMES, "extensions": persisted(COUNT)});
    assert_eq!(lab.post("/graphql", &forged).status, 400);
    let by_hash = json!({"extensions": persisted(COUNT)});
    assert_eq!(code(&lab.post("/graphql", &by_hash)), "PERSISTED_QUERY_NOT_FOUND");
}

#[test]
fn a_document_that_is_refused_is_not_kept() {
    let lab = Lab::new();
    let bad = "{ nobody }";
    lab.post("/graphql", &json!({"query": bad, "extensions": persisted(bad)}));
    let by_hash = json!({"extensions": persisted(bad)});
    assert_eq!(code(&lab.post("/graphql", &by_hash)), "PERSISTED_QUERY_NOT_FOUND");
}

#[test]
fn a_mutation_by_its_hash_is_refused_by_get() {
    let lab = Lab::new().with_items();
    let delete = "mutation { deleteItem(id: \"a\") { count } }";
    register(&lab, "web", &[delete]);
    for way in [
        format!("documentId={}", hash(delete)),
        format!("extensions={}", encoded(&persisted(delete).to_string())),
    ] {
        let line = format!("GET /graphql?{way}");
        assert_eq!(lab.send(&line, &[("headwater-preflight", "1")], b"").status, 405);
    }
    assert_eq!(lab.rows("SELECT count(*) FROM items"), json!([["3"]]));
}

#[test]
fn without_room_no_query_is_kept() {
    let lab = Lab::with("[graphql]\npersisted_bytes = \"0\"").with_items();
    let both = json!({"query": COUNT, "extensions": persisted(COUNT)});
    assert_eq!(count(&lab.post("/graphql", &both)), 3);
    let by_hash = lab.post("/graphql", &json!({"extensions": persisted(COUNT)}));
    assert_eq!(code(&by_hash), "PERSISTED_QUERY_NOT_SUPPORTED");
    assert_eq!(by_hash.json()["errors"][0]["message"], "PersistedQueryNotSupported");
}

#[test]
fn a_registered_document_is_asked_by_its_id_in_every_mode() {
    for mode in ["off", "report", "enforce"] {
        let lab = Lab::with(&format!("[graphql]\ndocuments = \"{mode}\"")).with_items();
        assert_eq!(
            register(&lab, "web", &[COUNT]),
            json!({"client": "web", "registered": 1, "known": 0})
        );
        for request in [
            json!({"documentId": format!("sha256:{}", hash(COUNT))}),
            json!({"documentId": hash(COUNT), "operationName": "Count"}),
            json!({"extensions": persisted(COUNT)}),
            json!({"query": COUNT, "extensions": persisted(COUNT)}),
            json!({"query": COUNT}),
        ] {
            assert_eq!(count(&lab.post("/graphql", &request)), 3, "{mode} {request}");
        }
        let unknown = lab.post("/graphql", &json!({"documentId": hash(NAMES)}));
        assert_eq!(code(&unknown), "NOT_FOUND", "{mode}");
    }
}

#[test]
fn what_is_not_registered_is_refused_where_that_is_enforced() {
    let lab = Lab::with("[graphql]\ndocuments = \"enforce\"").with_items();
    register(&lab, "web", &[COUNT]);
    for text in [NAMES, "query Count { items { totalCount } } "] {
        let answer = lab.post("/graphql", &json!({ "query": text }));
        assert_eq!((answer.status, code(&answer)), (403, json!("DENIED")), "{text}");
        // Sending it along with its hash does not make it one that may be asked.
        lab.post("/graphql", &json!({"query": text, "extensions": persisted(text)}));
        let by_hash = lab.post("/graphql", &json!({"extensions": persisted(text)}));
        assert_eq!(code(&by_hash), "PERSISTED_QUERY_NOT_SUPPORTED", "{text}");
    }
    // The operation `query` is no way around it, but for whoever may change the schema.
    let [read, admin] = ["read", "admin"].map(|scope| lab.token(scope));
    let query =
        |token: &str| lab.post_as(token, "/operations/query", &json!({ "query": NAMES })).done();
    assert_eq!(query(&read)["errors"][0]["extensions"]["code"], "DENIED");
    assert_eq!(query(&admin)["data"]["items"]["nodes"].as_array().map(Vec::len), Some(3));
}

#[test]
fn what_is_not_registered_is_counted_and_answered_where_that_is_reported() {
    let lab = Lab::with("[graphql]\ndocuments = \"report\"").with_items();
    register(&lab, "web", &[COUNT]);
    for text in [COUNT, NAMES, NAMES] {
        assert_eq!(lab.post("/graphql", &json!({ "query": text })).status, 200);
    }
    let metrics = lab.get("/metrics").text();
    assert!(metrics.contains("headwater_graphql_unregistered_total 2\n"), "{metrics}");
}

#[test]
fn a_registration_of_another_process_counts_at_once() {
    let lab = Lab::with("[graphql]\ndocuments = \"enforce\"").with_items();
    let ask = || lab.post("/graphql", &json!({ "query": COUNT }));
    assert_eq!(ask().status, 403);
    let documents = json!([{"file": "count.graphql", "text": COUNT}]);
    lab.in_process("documentRegister", json!({ "documents": documents }));
    assert_eq!(count(&ask()), 3);
    lab.in_process("documentRemove", json!({"ids": [hash(COUNT)]}));
    assert_eq!(ask().status, 403);
}

#[test]
fn documents_are_listed_and_removed_by_client_and_by_id() {
    let lab = Lab::new();
    register(&lab, "web", &[COUNT, NAMES]);
    register(&lab, "phone", &[COUNT]);
    assert_eq!(register(&lab, "web", &[COUNT])["known"], 1);
    let listed = || {
        let list = lab.call("documentList", json!({})).done();
        let name = |info: &Value| format!("{} {}", info["client"], info["name"]).replace('"', "");
        list.as_array().unwrap().iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(listed(), ["phone Count", "web Count", "web Names"]);
    let remove = |request: Value| lab.call("documentRemove", request).done()["removed"].clone();
    assert_eq!(remove(json!({"ids": [hash(COUNT)], "client": "web"})), 1);
    assert_eq!(listed(), ["phone Count", "web Names"]);
    assert_eq!(remove(json!({"client": "phone"})), 1);
    assert_eq!(remove(json!({"ids": [hash(NAMES)]})), 1);
    assert_eq!(listed(), [] as [&str; 0]);
    let gone = lab.call("documentRemove", json!({"client": "phone"})).error();
    assert_eq!(gone["code"], "NOT_FOUND");
}

#[test]
fn of_documents_none_is_registered_when_one_is_faulty() {
    let lab = Lab::new();
    let documents = json!([
        {"file": "good.graphql", "text": COUNT},
        {"file": "bad.graphql", "text": "query Bad {\n  items { nodes { titel } }\n  nobody\n}"},
        {"file": "worse.graphql", "text": "query {"},
    ]);
    let error = lab.call("documentRegister", json!({ "documents": documents })).error();
    assert_eq!(error["message"], "2 documents are faulty, and none was registered");
    let places: Vec<String> = error["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| format!("{}:{}:{}", fault["file"], fault["line"], fault["column"]))
        .collect();
    assert_eq!(places[..2], ["\"bad.graphql\":2:19", "\"bad.graphql\":3:3"], "{error}");
    assert!(places[2].starts_with("\"worse.graphql\":1:"), "{error}");
    assert_eq!(lab.call("documentList", json!({})).done(), json!([]));
    let reader = lab.token("write");
    let refused = lab.post_as(&reader, "/operations/documentRegister", &json!({ "documents": [] }));
    assert_eq!(refused.status, 403);
}
