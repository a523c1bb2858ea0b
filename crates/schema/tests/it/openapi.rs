//! OpenAPI documents as data: every document in `tests/openapi` with the module that is proposed for it,
//! which has to compile. `BLESS=1` writes what is proposed now.

use std::path::{Path, PathBuf};

use base::rng::Rng;
use schema::Sources;
use schema::propose::service::{ServiceFacts, ServiceProposal, from_introspection, from_openapi};
use serde_json::{Value as Json, json};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openapi")
}

fn documents() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder()).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|it| it == "json" || it == "yaml"));
    paths.sort();
    paths
}

fn facts(path: &Path) -> ServiceFacts {
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    ServiceFacts { url: format!("http://{name}.test"), name }
}

fn compiles(proposal: &ServiceProposal) {
    let sources = Sources::from_texts([(proposal.file.as_str(), proposal.text.as_str())]);
    let inspection = schema::inspect(&sources);
    let said = inspection.diagnostics.render(&sources, false);
    assert!(inspection.schema.is_some(), "{}\n{said}", proposal.text);
}

#[test]
fn every_document_gets_a_module_that_compiles() {
    let mut wrong = Vec::new();
    let documents = documents();
    assert!(documents.len() >= 4, "{documents:?}");
    for path in documents {
        let text = std::fs::read_to_string(&path).unwrap();
        let golden = path.with_extension("graphql");
        let proposed = match from_openapi(&facts(&path), &text) {
            Ok(proposal) => {
                compiles(&proposal);
                proposal.text
            }
            Err(error) => format!("# refused: {error}\n"),
        };
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&golden, &proposed).unwrap();
        } else if std::fs::read_to_string(&golden).unwrap_or_default() != proposed {
            wrong.push(format!("{}\n{proposed}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}\nrun with BLESS=1 to accept", wrong.join("\n"));
}

/// Values that documents hold where others were expected.
fn odd(rng: &Rng) -> Json {
    let odds = [
        json!(null),
        json!({}),
        json!([]),
        json!("string"),
        json!(7),
        json!(true),
        json!({"$ref": "#/components/schemas/Pet"}),
        json!({"$ref": "#"}),
        json!({"$ref": "x.json"}),
        json!({"type": "array"}),
        json!({"allOf": [{"$ref": "#/components/schemas/Pet"}]}),
        json!({"type": ["string", "null"]}),
        json!({"enum": ["a", "a-", "%"]}),
        json!("é {x} \" \n"),
        json!({"type": "object", "properties": {"a": {"$ref": "#/components/schemas/Pet"}}}),
    ];
    odds[rng.below(odds.len() as u64) as usize].clone()
}

/// Puts an odd value somewhere.
fn damage(value: &mut Json, rng: &Rng) {
    if rng.below(12) == 0 {
        *value = odd(rng);
        return;
    }
    match value {
        Json::Array(items) if !items.is_empty() => {
            let at = rng.below(items.len() as u64) as usize;
            damage(&mut items[at], rng);
        }
        Json::Object(members) if !members.is_empty() => {
            let at = rng.below(members.len() as u64) as usize;
            if let Some((_, member)) = members.iter_mut().nth(at) {
                damage(member, rng);
            }
        }
        other => *other = odd(rng),
    }
}

#[test]
fn whatever_is_proposed_of_a_damaged_document_compiles() {
    let text = std::fs::read_to_string(folder().join("pets.json")).unwrap();
    let document: Json = serde_json::from_str(&text).unwrap();
    let path = folder().join("pets.json");
    let mut proposed = 0;
    for seed in 0..100 {
        let rng = Rng::seeded(seed);
        let mut damaged = document.clone();
        for _ in 0..1 + rng.below(3) {
            damage(&mut damaged, &rng);
        }
        if let Ok(proposal) = from_openapi(&facts(&path), &damaged.to_string()) {
            proposed += 1;
            compiles(&proposal);
        }
    }
    assert!(proposed > 30, "{proposed}");
}

#[test]
fn what_introspection_says_is_written_as_sdl_and_nothing_else_comes_in() {
    let named = |kind: &str, name: &str| json!({"kind": kind, "name": name});
    let schema = json!({"data": {"__schema": {
        "queryType": {"name": "Root"}, "mutationType": null, "subscriptionType": null,
        "types": [
            {"kind": "OBJECT", "name": "Root", "description": "The \"root\".", "interfaces": [], "fields": [
                {"name": "film", "args": [
                    {"name": "id", "type": {"kind": "NON_NULL", "ofType": named("SCALAR", "ID")}, "defaultValue": null},
                    {"name": "genre", "type": named("ENUM", "Genre"), "defaultValue": "DRAMA"},
                    {"name": "evil", "type": named("SCALAR", "Int"), "defaultValue": "1) { a } type X { a: Int } query Q($a: Int = 1"},
                 ], "type": {"kind": "LIST", "ofType": {"kind": "NON_NULL", "ofType": named("OBJECT", "Film")}},
                 "isDeprecated": true, "deprecationReason": "use `films`"}]},
            {"kind": "OBJECT", "name": "Film", "interfaces": [named("INTERFACE", "Node")], "fields": [
                {"name": "id", "args": [], "type": {"kind": "NON_NULL", "ofType": named("SCALAR", "ID")}, "isDeprecated": false}]},
            {"kind": "INTERFACE", "name": "Node", "interfaces": [], "fields": [
                {"name": "id", "args": [], "type": {"kind": "NON_NULL", "ofType": named("SCALAR", "ID")}, "isDeprecated": false}],
             "possibleTypes": [named("OBJECT", "Film")]},
            {"kind": "ENUM", "name": "Genre", "enumValues": [{"name": "DRAMA", "isDeprecated": false}]},
            {"kind": "SCALAR", "name": "ID"}, {"kind": "SCALAR", "name": "Date", "specifiedByURL": "https://x.test"},
            {"kind": "OBJECT", "name": "__Type", "fields": []}]}}});
    let facts =
        ServiceFacts { name: "films".to_owned(), url: "http://films.test/graphql".to_owned() };
    let proposal = from_introspection(&facts, &schema).unwrap();
    compiles(&proposal);
    insta::assert_snapshot!(proposal.text);
    for broken in [
        json!({}),
        json!({"errors": []}),
        json!({"data": {"__schema": {}}}),
        json!({"data": {"__schema": {"types": [{"kind": "OBJECT", "name": "A { b: Int } type C"}]}}}),
    ] {
        assert!(from_introspection(&facts, &broken).is_err(), "{broken}");
    }
}
