//! The public conformance cases: random schemas and documents with the answers of the reference.
//!
//! The file is not part of the repository: `HEADWATER_CONFORMANCE` names its folder, else it is
//! looked for beside the repository. Without it the test says so and passes. The cases are read and
//! asked by the program that `cargo xtask conformance` starts.

#[path = "../../examples/conformance/cases.rs"]
mod cases;
#[path = "../../examples/conformance/subject.rs"]
mod subject;

use std::path::PathBuf;

use serde_json::json;

use subject::Failure;

#[tokio::test]
async fn every_public_case_is_answered_as_the_reference_does() {
    let folder = std::env::var_os("HEADWATER_CONFORMANCE").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"),
        PathBuf::from,
    );
    let file = folder.join("graphql/cases.jsonl.gz");
    if !file.is_file() {
        println!("skipped: no conformance cases at hand (set HEADWATER_CONFORMANCE)");
        return;
    }
    let verdicts = subject::run(cases::open(&file).expect("a file")).await.expect("cases");
    let failed: Vec<String> = verdicts
        .failures
        .iter()
        .map(|failure| {
            let Failure { id, document, expected, found } = failure;
            format!("{id}: {document:.600}\n  {found:.300}\n  {expected:.300}")
        })
        .collect();
    println!("conformance: passed {}, failed {}", verdicts.passed, failed.len());
    assert!(failed.is_empty(), "{} cases fail:\n{}", failed.len(), failed.join("\n"));
}

/// The verdict on one case, `passed` or what was found.
async fn verdict(query: &str, data: serde_json::Value, has_errors: bool) -> String {
    let schema = "type Query { n: Int  all: [U!]! }  union U = B | A  type A { a: ID }  type B { b: E }  enum E { X Y }";
    let case = json!({"id": "c", "schema": schema, "query": query, "variables": {},
        "expected": {"data": data, "hasErrors": has_errors}});
    let cases = cases::read("cases".to_owned(), case.to_string().as_bytes().to_vec().as_slice())
        .collect::<Vec<_>>();
    let verdicts = subject::run(cases.into_iter()).await.expect("a case");
    let found = verdicts.failures.first().map(|failure| failure.found.clone());
    found.unwrap_or_else(|| "passed".to_owned())
}

#[tokio::test]
async fn a_wrong_answer_is_no_pass() {
    let query = "{ n all { ... on A { a } } }";
    let right = json!({"n": 2, "all": [{"a": "id"}, {"a": "id"}]});
    assert_eq!(verdict(query, right.clone(), false).await, "passed");
    assert_eq!(verdict(query, right.clone(), true).await, format!("data: {right}"));
    assert_eq!(verdict(query, json!({"n": 3}), false).await, format!("data: {right}"));
    assert!(verdict("{ none }", json!(null), false).await.starts_with("document refused: "));
}

/// The error of a file with this text, with its place.
async fn error(text: &str) -> String {
    let error = subject::run(cases::read("cases.jsonl".to_owned(), text.as_bytes())).await;
    let Err(error) = error else { return "none".to_owned() };
    let place = error.place().map(ToString::to_string).unwrap_or_default();
    format!("{place} {}", base::error_chain(&error).join(": "))
}

#[tokio::test]
async fn malformed_files_say_where_and_what() {
    let good = r#"{"id":"a","schema":"type Query{n:Int}","query":"{n}","expected":{"data":{"n":2},"hasErrors":false}}"#;
    assert_eq!(error(good).await, "none");
    assert_eq!(error(&format!("\n{good}\n\n")).await, "none");
    assert_eq!(error("").await, " there is no case in the file");
    let found = error(&format!("{good}\n{{\"id\": 1}}")).await;
    assert!(found.starts_with("cases.jsonl:2:8 the line is no case: invalid type"), "{found}");
    let found = error("{\"id\": \"a\"").await;
    assert!(found.starts_with("cases.jsonl:1:10 the line is no case: EOF"), "{found}");
    let missing = cases::open(std::path::Path::new("nowhere/cases.jsonl")).err().expect("no file");
    assert_eq!(missing.to_string(), "failed to read the cases in `nowhere/cases.jsonl`");
}
