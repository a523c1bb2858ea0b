//! Answers in parts over HTTP: their bytes, who gets them, and that a client of another library reads
//! them. The last needs `node` and what `npm ci` puts into `tests/incremental`; without them it says that
//! it was skipped.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::client::Answer;
use crate::lab::Lab;

const QUERY: &str = "{ items(orderBy: [{id: ASC}]) { nodes { id ... @defer(label: \"rest\") { name reviews { stars } } } ... @defer { totalCount } } }";

fn ask(lab: &Lab, query: &str, accept: &str) -> Answer {
    let headers = [("content-type", "application/json"), ("accept", accept)];
    lab.send("POST /graphql", &headers, json!({ "query": query }).to_string().as_bytes())
}

/// Asks as a client that would unpack what is packed.
fn ask_packed(lab: &Lab, query: &str, accept: &str) -> Answer {
    let packed = ("accept-encoding", "gzip, br, zstd, deflate");
    let headers = [("content-type", "application/json"), ("accept", accept), packed];
    lab.send("POST /graphql", &headers, json!({ "query": query }).to_string().as_bytes())
}

/// The payloads of a body.
fn payloads(answer: &Answer) -> Vec<Value> {
    let kind = answer.header("content-type");
    assert_eq!((answer.status, kind), (200, Some("multipart/mixed; boundary=\"-\"")));
    assert_eq!(answer.header("content-encoding"), None);
    let text = answer.text();
    let body = text.strip_prefix("\r\n---").unwrap().strip_suffix("\r\n-----\r\n").unwrap();
    let head = "\r\nContent-Type: application/json; charset=utf-8\r\n\r\n";
    let parts = body.split("\r\n---");
    parts.map(|part| serde_json::from_str(part.strip_prefix(head).unwrap()).unwrap()).collect()
}

#[test]
fn parts_go_to_those_who_take_them() {
    let lab = Lab::new().with_items();
    let found = payloads(&ask_packed(&lab, QUERY, "multipart/mixed, application/json"));
    assert!(found.len() > 1, "{found:?}");
    let nodes = json!([{"id": "a"}, {"id": "b"}, {"id": "c"}]);
    assert_eq!(found[0]["data"], json!({"items": {"nodes": nodes}}));
    assert_eq!(found[0]["pending"].as_array().unwrap().len(), 4);
    assert_eq!(found.last().unwrap()["hasNext"], false);
    // Whoever does not take them in this form gets one answer, and so does a document without them.
    for accept in ["application/json", "*/*", "multipart/mixed;deferSpec=20220824,application/json"]
    {
        let whole = ask(&lab, QUERY, accept);
        assert_eq!(whole.json()["data"]["items"]["totalCount"], 3, "{accept}");
        assert_eq!(whole.json().get("hasNext"), None);
    }
    let whole = ask(&lab, "{ items { totalCount } }", "multipart/mixed, application/json");
    assert_eq!(whole.json(), json!({"data": {"items": {"totalCount": 3}}}));
    let refused = ask(&lab, "{ ... @defer { nothing } }", "multipart/mixed, application/json");
    assert!(refused.json()["errors"][0]["message"].as_str().unwrap().contains("nothing"));
}

#[test]
fn parts_are_offered_by_get_and_told_of_in_introspection() {
    let lab = Lab::new().with_items();
    let line = format!("GET /graphql?query={}", crate::lab::encoded(QUERY));
    let headers = [("accept", "multipart/mixed"), ("headwater-preflight", "1")];
    assert!(payloads(&lab.send(&line, &headers, b"")).len() > 1);
    let answer = ask(&lab, "{ __schema { directives { name } } }", "application/json").json();
    let known = answer["data"]["__schema"]["directives"].as_array().unwrap().clone();
    for name in ["defer", "stream"] {
        assert!(known.contains(&json!({ "name": name })), "{known:?}");
    }
}

#[test]
fn a_client_of_another_library_reads_the_parts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/incremental");
    if !folder.join("node_modules/meros/package.json").is_file() {
        let notice =
            "skipped: tests/incremental is not installed; `cargo xtask setup` installs it\n";
        drop(std::io::stderr().write_all(notice.as_bytes()));
        return;
    }
    let lab = Lab::new().with_items();
    let url = format!("{}graphql", lab.url());
    let output = Command::new("node")
        .arg("read.mjs")
        .args([url.as_str(), QUERY])
        .current_dir(folder)
        .output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(read, payloads(&ask(&lab, QUERY, "multipart/mixed")));
}
