//! What is there whatever the project holds: health, metrics, the page and its files.

use crate::lab::Lab;

#[test]
fn a_project_without_a_schema_is_served() {
    let lab = Lab::fresh();
    let health = lab.get("/health").json();
    assert_eq!(health, serde_json::json!({"status": "ok", "schemaVersion": 0}));
    let answer = lab.post("/graphql", &serde_json::json!({"query": "{ __typename }"})).json();
    assert_eq!(answer["data"]["__typename"], "Query", "{answer}");
}

/// One line of the text format: a name, labels and a number.
#[track_caller]
fn check_sample(line: &str) -> (String, f64) {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let value = if value == "+Inf" { f64::INFINITY } else { value.parse().unwrap() };
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{line}");
    let labels = labels.strip_suffix('}').expect("closed labels");
    for label in labels.split(',').filter(|label| !label.is_empty()) {
        let (key, value) = label.split_once('=').unwrap();
        assert!(!key.is_empty() && value.starts_with('"') && value.ends_with('"'), "{line}");
    }
    (series.to_owned(), value)
}

#[test]
fn metrics_are_in_the_text_format_and_count() {
    let lab = Lab::new();
    lab.get("/health");
    lab.get("/health");
    lab.get("/operations/status");
    let answer = lab.get("/metrics");
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = answer.text();
    let mut samples = std::collections::BTreeMap::new();
    let mut typed = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with("# HELP ")) {
        match line.strip_prefix("# TYPE ") {
            Some(rest) => typed.push(rest.split(' ').next().unwrap().to_owned()),
            None => {
                let (series, value) = check_sample(line);
                assert!(typed.iter().any(|name| series.starts_with(name)), "{series} has no type");
                assert!(samples.insert(series, value).is_none(), "{line} stands twice");
            }
        }
    }
    assert_eq!(samples["headwater_requests_total{route=\"/health\",status=\"200\"}"], 2.0);
    assert_eq!(
        samples["headwater_requests_total{route=\"/operations/{name}\",status=\"405\"}"], 1.0,
        "{text}"
    );
    // The one that asks; the one before may still be on its way out.
    assert!(samples["headwater_requests_in_flight"] >= 1.0);
    assert_eq!(samples["headwater_requests_refused_total"], 0.0);
    assert_eq!(samples["headwater_request_seconds_count{route=\"/health\"}"], 2.0);
    assert_eq!(samples["headwater_request_seconds_bucket{route=\"/health\",le=\"+Inf\"}"], 2.0);
}

#[test]
fn paths_do_not_multiply_the_counters() {
    let lab = Lab::new();
    for number in 0..50 {
        lab.get(&format!("/nothing-{number}"));
        lab.get(&format!("/operations/nothing-{number}"));
    }
    let routes = lab.get("/metrics").text().lines().filter(|line| line.contains("_count{")).count();
    assert!(routes <= 3, "{routes}");
}

#[test]
fn the_page_is_served_and_a_missing_file_is_not_the_page() {
    let lab = Lab::new();
    let page = lab.get("/");
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").unwrap().starts_with("text/html"), "{page:?}");
    assert!(page.text().to_lowercase().starts_with("<!doctype html>"), "{}", page.text());
    assert_eq!(lab.get("/schema").text(), page.text());
    for path in ["/assets/missing.js", "/missing.png", "/../headwater.toml", "/%2e%2e/Cargo.toml"] {
        let answer = lab.get(path);
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (404, &serde_json::json!("NOT_FOUND")),
            "{path}"
        );
    }
}

#[test]
fn a_large_answer_is_compressed_when_asked_for() {
    let lab = Lab::new();
    let query = "{ __schema { types { name description fields { name description } } } }";
    let body = serde_json::json!({ "query": query }).to_string();
    let json = ("content-type", "application/json");
    let plain = lab.send("POST /graphql", &[json], body.as_bytes());
    let packed = lab.send("POST /graphql", &[json, ("accept-encoding", "gzip")], body.as_bytes());
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.is_whole && packed.body.len() < plain.body.len() / 2);
    let operation =
        lab.send("POST /operations/schema", &[json, ("accept-encoding", "gzip")], b"{}");
    assert_eq!(operation.header("content-encoding"), None, "lines of progress must not wait");
}
