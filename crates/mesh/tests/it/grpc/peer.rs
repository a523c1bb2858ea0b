//! A service by grpcio: every file of `tests/services/grpc` has its golden calls and answers, with
//! descriptors of the schema folder and with those that the service gives when it is asked.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use base::Principal;
use mesh::{Request, Terms};
use serde_json::{Map, Value as Json, json};
use testkit::{Federated, Library};

use crate::rest::cases::{asked, read};
use crate::rest::lab::Lab;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests").join(name)
}

/// The modules of a file, with what describes their messages.
fn modules(given: &[(String, String)], with_descriptors: bool) -> Vec<(String, String)> {
    let without = |(name, text): &(String, String)| {
        let text = text.replace(", descriptors: \"films.proto\"", "");
        (name.clone(), text)
    };
    if !with_descriptors {
        return given.iter().map(without).collect();
    }
    let protos = ["films.proto", "people.proto"].map(|name| {
        let text = std::fs::read_to_string(folder("grpc").join(name)).expect("a file");
        (name.to_owned(), text)
    });
    given.iter().cloned().chain(protos).collect()
}

/// A service with an engine over the modules of the cases.
async fn lab(with_descriptors: bool) -> Option<(Federated, Lab)> {
    let service = Federated::start("films", Library::Grpcio)?;
    let text = std::fs::read_to_string(folder("services/grpc/films.txt")).expect("cases");
    let modules = modules(&read(&text).modules, with_descriptors);
    let lab = Lab::at(&modules, service.url(), |settings| settings.compression = true);
    Some((service, lab))
}

/// What the service heard since the last time.
async fn heard(lab: &Lab) -> Vec<String> {
    let said = lab.ask("{ ask(words: \"calls\") }", Map::new()).await;
    let said = said["data"]["ask"].as_str().unwrap_or_else(|| panic!("{said}")).to_owned();
    said.lines().map(str::to_owned).collect()
}

async fn every_case(with_descriptors: bool) {
    let Some((_service, lab)) = lab(with_descriptors).await else { return };
    let path = folder("services/grpc/films.txt");
    let file = read(&std::fs::read_to_string(&path).expect("cases"));
    let filled = lab.ask(&file.rows.expect("rows"), Map::new()).await;
    assert_eq!(filled["errors"], Json::Null, "{filled}");
    let mut out = String::new();
    for (name, query) in file.queries {
        let _ = writeln!(out, "=== {name}");
        let answer = asked(&lab, &query, &mut out).await;
        for line in heard(&lab).await {
            let _ = writeln!(out, "asked {line}");
        }
        let _ = writeln!(out, "{}", serde_json::to_string_pretty(&answer).expect("JSON"));
    }
    testkit::golden::check(path.with_extension("out.txt"), &out);
}

#[tokio::test]
async fn every_case_has_its_golden_calls_and_answers_with_descriptors() {
    every_case(true).await;
}

#[tokio::test]
async fn a_service_that_is_asked_for_its_descriptors_answers_the_same() {
    every_case(false).await;
}

/// The events of a stream until its end.
async fn events(lab: &Lab, query: &str) -> Vec<Json> {
    let request = Request::new(query, Principal::local());
    let started = lab.engine.subscribe(request, &Terms::default()).await;
    let mut stream = started.unwrap_or_else(|refused| panic!("{:?}", refused.json()));
    let mut found = Vec::new();
    while let Some(response) = stream.next().await {
        found.push(response.json().expect("JSON"));
    }
    found
}

#[tokio::test]
async fn messages_of_a_stream_are_events_and_more_is_asked_for_each() {
    let Some((_service, lab)) = lab(true).await else { return };
    let found =
        events(&lab, "subscription { watch(until: 2) { kind film { title reviews { text } } } }");
    let film = |title: &str, id: &str| {
        let reviews = [0, 1].map(|number| json!({"text": format!("{id}{number}")}));
        json!({"data": {"watch": {"kind": "NEW", "film": {"title": title, "reviews": reviews}}}})
    };
    assert_eq!(found.await, [film("Above", "a"), film("Below", "b")]);
}

#[tokio::test]
async fn a_stream_that_fails_says_so_at_its_end() {
    let Some((_service, lab)) = lab(false).await else { return };
    let found = events(&lab, "subscription { watch(until: 9) { film { id } } }").await;
    assert_eq!(found.len(), 4, "{found:?}");
    assert_eq!(found[2]["data"]["watch"]["film"]["id"], "c");
    let message = found[3]["errors"][0]["message"].as_str().unwrap_or_default();
    assert!(message.contains("OUT_OF_RANGE: there are no more films"), "{found:?}");
}

#[tokio::test]
async fn a_slow_answer_is_given_up_where_the_service_hears_of_it() {
    let Some((_service, lab)) = lab(true).await else { return };
    let lab_of = |settings: &mut mesh::transport::SourceSettings| {
        settings.timeout = std::time::Duration::from_millis(300);
    };
    let text = std::fs::read_to_string(folder("services/grpc/films.txt")).expect("cases");
    let service = Federated::start("films", Library::Grpcio).expect("it started once");
    let hasty = Lab::at(&modules(&read(&text).modules, true), service.url(), lab_of);
    let found = hasty.ask("{ slow(waitMs: 60000) }", Map::new()).await;
    let message = found["errors"][0]["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("`ratings` did not answer"), "{found}");
    assert_eq!(found["errors"][0]["extensions"]["retryable"], true, "{found}");
    // With the usual time it is answered.
    let found = lab.ask("{ slow(waitMs: 1) }", Map::new()).await;
    assert_eq!(found["data"]["slow"], "some time for nobody", "{found}");
}
