//! Every file of `tests/graphql/parts` over the tables of the fixture: the payloads of `x.graphql` are
//! `x.out.json`, one after the other.

use base::Principal;
use mesh::{Request, Settings};
use serde_json::{Map, Value as Json};

use super::{merge, payloads};
use crate::fixture::{fixture_with, folder};

#[tokio::test]
async fn every_document_has_its_golden_payloads() {
    let entries = std::fs::read_dir(folder().join("parts")).expect("documents");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "graphql"))
        .collect();
    paths.sort();
    assert!(paths.len() >= 10, "there are only {} documents", paths.len());
    let mut wrong = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("a document");
        let variables: Map<String, Json> =
            match std::fs::read_to_string(path.with_extension("vars.json")) {
                Ok(text) => serde_json::from_str(&text).expect("JSON"),
                Err(_) => Map::new(),
            };
        let settings = Settings { incremental: true, ..Settings::default() };
        let fixture = fixture_with(settings).await;
        let request = Request { variables, ..Request::new(text, Principal::local()) };
        let found = payloads(&fixture.engine, request).await;
        if found[0].get("data").is_some() {
            let merged = merge(&found);
            assert!(merged.is_ok(), "{}: {}", path.display(), merged.unwrap_err());
        }
        let all = found.iter().map(|payload| serde_json::to_string_pretty(payload).expect("JSON"));
        let all = all.collect::<Vec<_>>().join("\n") + "\n";
        wrong.extend(testkit::golden::compare(&path.with_extension("out.json"), &all).err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
