//! Malformed documents: each gets a worded error, the same for ever; none reaches a table that it
//! should not, none panics.

use proptest::prelude::*;
use serde_json::Value as Json;

use crate::fixture::{fixture, folder};

#[tokio::test]
async fn every_malformed_document_gets_its_golden_error() {
    let fixture = fixture().await;
    let file = folder().join("fixture/malformed.txt");
    let text = std::fs::read_to_string(&file).expect("documents");
    let mut out = String::new();
    let mut classes = 0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (class, document) = line.split_once(':').expect("a class and a document");
        let answer = fixture.ask(document.trim()).await;
        let errors = answer["errors"].as_array().unwrap_or_else(|| panic!("{class} is accepted"));
        out.push_str(&format!("{class}\n"));
        for error in errors {
            let place = &error["locations"][0];
            let place = match place["line"].as_u64() {
                Some(line) => format!("{line}:{}", place["column"]),
                None => "-".to_owned(),
            };
            let code = error["extensions"]["code"].as_str().expect("a code");
            out.push_str(&format!(
                "  {place} {code} {}\n",
                error["message"].as_str().expect("text")
            ));
            if let Json::String(hint) = &error["extensions"]["hint"] {
                out.push_str(&format!("    hint: {hint}\n"));
            }
        }
        classes += 1;
    }
    assert!(classes >= 60, "there are {classes} classes");
    testkit::golden::check(folder().join("fixture/malformed.out.txt"), &out);
}

#[tokio::test]
async fn hostile_documents_are_refused_quickly() {
    let fixture = fixture().await;
    let deep = format!("{}{}", "{ films { nodes { director ".repeat(5_000), "}".repeat(15_000));
    let lists = format!("{{ films(where: {}) {{ totalCount }} }}", "[".repeat(20_000));
    let long = format!("{{ {} }}", "films { totalCount } ".repeat(20_000));
    let aliases: Vec<String> = (0..500).map(|n| format!("a{n}: films {{ totalCount }}")).collect();
    let values = format!(
        "{{ films(where: {{id: {{in: [{}]}}}}) {{ totalCount }} }}",
        "\"x\",".repeat(50_000)
    );
    for hostile in [deep, lists, long, format!("{{ {} }}", aliases.join(" ")), values] {
        let answer = fixture.ask(&hostile).await;
        let error = &answer["errors"][0];
        assert_eq!(answer.get("data"), None);
        assert_eq!(error["extensions"]["code"], "LIMIT_EXCEEDED", "{error}");
    }
    assert_eq!(fixture.scans(), 0);
}

/// The texts of all scenarios.
fn scenarios() -> Vec<String> {
    let mut paths: Vec<_> = std::fs::read_dir(folder())
        .expect("scenarios")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "graphql"))
        .collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read_to_string(path).expect("a scenario")).collect()
}

#[test]
fn random_damage_is_answered_and_never_panics() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    let fixture = runtime.block_on(fixture());
    let texts = scenarios();
    let damage = prop::collection::vec(
        (any::<prop::sample::Index>(), 0_usize..12, "[{}()\\[\\]:$!@.\"a1é \n-]{0,3}"),
        1..4,
    );
    proptest!(|(text in any::<prop::sample::Index>(), damage in damage)| {
        let mut text: Vec<char> = text.get(&texts).chars().collect();
        for (place, length, inserted) in damage {
            let start = place.index(text.len() + 1);
            let end = (start + length).min(text.len());
            text.splice(start..end, inserted.chars());
        }
        let text: String = text.into_iter().collect();
        let answer = runtime.block_on(fixture.ask(&text));
        prop_assert!(answer.get("data").is_some() || answer.get("errors").is_some(), "{}", text);
    });
}
