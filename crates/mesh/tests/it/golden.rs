//! Every file of `tests/graphql`: the answer to `x.graphql` with `x.vars.json` is `x.out.json`.
//! A file with several operations runs them in order, each on the state that the last one left.

use std::path::Path;

use base::Principal;
use mesh::Request;
use serde_json::{Map, Value as Json};

use crate::fixture::{fixture, folder};

/// The names of a file's operations, in order; one without a name is `None`.
fn operations(text: &str) -> Vec<Option<String>> {
    let starts = text.lines().filter_map(|line| {
        let rest = line.strip_prefix("query ").or_else(|| line.strip_prefix("mutation "))?;
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric()).collect();
        (!name.is_empty()).then_some(Some(name))
    });
    let names: Vec<Option<String>> = starts.collect();
    if names.is_empty() { vec![None] } else { names }
}

async fn answers(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("a scenario");
    let variables = path.with_extension("vars.json");
    let variables: Map<String, Json> = match std::fs::read_to_string(&variables) {
        Ok(text) => serde_json::from_str(&text).expect("JSON"),
        Err(_) => Map::new(),
    };
    let fixture = fixture().await;
    let mut out = String::new();
    for operation_name in operations(&text) {
        let request = Request {
            operation_name: operation_name.clone(),
            variables: variables.clone(),
            ..Request::new(text.clone(), Principal::local())
        };
        let explained = fixture.engine.explain(&request);
        if path.file_stem().is_some_and(|stem| stem.to_string_lossy().starts_with("explain")) {
            out.push_str(&explained.expect("a plan"));
            continue;
        }
        let answer = fixture.run(request).await.json().expect("JSON");
        if let Some(name) = operation_name {
            out.push_str(&format!("// {name}\n"));
        }
        out.push_str(&serde_json::to_string_pretty(&answer).expect("JSON"));
        out.push('\n');
    }
    out
}

#[tokio::test]
async fn every_scenario_gets_its_golden_answer() {
    let mut paths: Vec<_> = std::fs::read_dir(folder())
        .expect("scenarios")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "graphql"))
        .collect();
    paths.sort();
    assert!(paths.len() >= 10, "there are only {} scenarios", paths.len());
    let mut wrong = Vec::new();
    for path in paths {
        let answers = answers(&path).await;
        if let Err(difference) =
            testkit::golden::compare(&path.with_extension("out.json"), &answers)
        {
            wrong.push(difference);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
