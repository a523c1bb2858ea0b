//! Rules of the specification that our validation adds, as data: `tests/graphql/spec`.
//!
//! A file has parts; each begins with a line `=== schema`, `=== refused: CLASS` or
//! `=== accepted: CLASS`. Every refused part has an accepted one of the same class, so that no rule
//! refuses too much. In files of definitions each part is a schema of its own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use base::{Principal, Result};
use mesh::{Engine, Request, Root, RootResolver, Settings};
use serde_json::{Map, Value as Json};

use crate::fixture::folder;

/// Knows nothing: every field is null.
struct Nothing;

#[async_trait]
impl RootResolver for Nothing {
    async fn resolve(&self, _: Root, _: &str, _: Json, _: &Principal) -> Result<Json> {
        Ok(Json::Null)
    }
}

fn engine(sdl: &str) -> Result<Engine> {
    let settings = Settings { incremental: true, ..Settings::default() };
    Engine::plain_with_settings(sdl, Arc::new(Nothing), settings)
}

/// A part of a file: what it is, and its text.
type Part<'a> = (&'a str, &'a str);

fn parts(text: &str) -> Vec<Part<'_>> {
    let parts = text.split("=== ").skip(1);
    parts.map(|part| part.split_once('\n').expect("a line that begins a part")).collect()
}

/// What is wrong with a document, a line each.
async fn refusals(engine: &Engine, document: &str) -> Vec<String> {
    let variables = document.lines().find_map(|line| line.strip_prefix("# variables "));
    let variables: Map<String, Json> =
        variables.map(|text| serde_json::from_str(text).expect("variables")).unwrap_or_default();
    let operation_name = document.contains("query Q").then(|| "Q".to_owned());
    let request = Request::new(document, Principal::local());
    let request = Request { variables, operation_name, ..request };
    let answer = engine.execute(request).await.json().expect("JSON");
    let errors = answer["errors"].as_array().cloned().unwrap_or_default();
    errors.iter().map(line).collect()
}

fn line(error: &Json) -> String {
    let place = &error["locations"][0];
    let place = match place["line"].as_u64() {
        Some(line) => format!("{line}:{}", place["column"]),
        None => "-".to_owned(),
    };
    let hint = match &error["extensions"]["hint"] {
        Json::String(hint) => format!(" ({hint})"),
        _ => String::new(),
    };
    let message = error["message"].as_str().expect("text");
    format!("{place} {message}{hint}")
}

/// Checks one file, and gives what it refuses with which words.
async fn check(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("cases");
    let of_definitions = path.to_string_lossy().ends_with("-definitions.txt");
    let schema = parts(&text).into_iter().find(|(kind, _)| *kind == "schema");
    let shared = schema.map(|(_, sdl)| engine(sdl).expect("a valid schema"));
    let (mut out, mut refused, mut accepted) = (String::new(), BTreeSet::new(), BTreeSet::new());
    for (kind, body) in parts(&text) {
        let Some((kind, class)) = kind.split_once(": ") else { continue };
        let faults = match (&shared, of_definitions) {
            (_, true) => engine(body).err().map(|error| error.to_string()).into_iter().collect(),
            (Some(engine), _) => refusals(engine, body).await,
            (None, _) => panic!("{} has no schema", path.display()),
        };
        let (wanted, classes) = match kind {
            "refused" => (true, &mut refused),
            _ => (false, &mut accepted),
        };
        assert_eq!(!faults.is_empty(), wanted, "{}: {kind}: {class}: {faults:?}", path.display());
        assert!(classes.insert(class), "{}: {kind}: {class} is there twice", path.display());
        if wanted {
            out.push_str(&format!("{class}\n"));
            faults.iter().for_each(|fault| out.push_str(&format!("  {fault}\n")));
        }
    }
    assert_eq!(refused, accepted, "{}", path.display());
    out
}

#[tokio::test]
async fn rules_refuse_what_they_must_and_no_more() {
    let cases = folder().join("spec");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(cases)
        .expect("files of cases")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| !path.to_string_lossy().ends_with(".out.txt"))
        .collect();
    paths.sort();
    assert!(paths.len() >= 4, "there are only {} files", paths.len());
    let mut wrong = Vec::new();
    for path in paths {
        let golden = path.with_extension("out.txt");
        wrong.extend(testkit::golden::compare(&golden, &check(&path).await).err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The answer to a question without variables.
async fn ask(engine: &Engine, query: &str) -> Json {
    engine.execute(Request::new(query, Principal::local())).await.json().expect("JSON")
}

#[tokio::test]
async fn introspection_tells_of_what_the_engine_offers() {
    let sdl = "type Query { a(in: In, p: P): Int }  input In @oneOf { x: Int }  input P { x: Int }";
    let query = "{
      one: __type(name: \"In\") { isOneOf } plain: __type(name: \"P\") { isOneOf }
      object: __type(name: \"Query\") { isOneOf fields { args { type { isOneOf } } } }
      itself: __type(name: \"__Type\") { fields { name } }
      __schema { directives { name args { name defaultValue type { kind } } } }
    }";
    let answer = ask(&engine(sdl).expect("a schema"), query).await;
    assert_eq!(answer["errors"], Json::Null);
    let data = &answer["data"];
    assert_eq!(data["one"]["isOneOf"], true);
    assert_eq!(data["plain"]["isOneOf"], false);
    assert_eq!(data["object"]["isOneOf"], Json::Null);
    assert_eq!(data["object"]["fields"][0]["args"][0]["type"]["isOneOf"], true);
    assert_eq!(data["itself"]["fields"][10]["name"], "isOneOf");
    let names = |data: &Json| -> Vec<String> {
        let all = data["__schema"]["directives"].as_array().expect("directives").iter();
        all.map(|directive| directive["name"].as_str().expect("a name").to_owned()).collect()
    };
    let known = ["skip", "include", "deprecated", "specifiedBy", "oneOf"];
    assert_eq!(names(data)[..5], known);
    assert_eq!(names(data)[5..], ["defer", "stream"]);
    let plain = Engine::plain(sdl, Arc::new(Nothing)).expect("a schema");
    let answer = ask(&plain, "{ __schema { directives { name } } }").await;
    assert_eq!(names(&answer["data"]), known);
    let answer = ask(&plain, "{ ... @defer { a } }").await;
    assert_eq!(answer["errors"][0]["message"], "cannot find directive `@defer` in this document");
}

#[tokio::test]
async fn a_text_that_a_message_quotes_does_not_class_the_error() {
    let engine = engine("type Query { a: Int }").expect("a schema");
    let defer = "... @defer(label: \"parser recursion limit reached\") { a }";
    let answer = ask(&engine, &format!("{{ {defer} {defer} b }}")).await;
    let errors = answer["errors"].as_array().expect("two errors");
    assert_eq!(errors.len(), 2, "{answer}");
    for error in errors {
        assert_eq!(error["extensions"]["code"], "INVALID_INPUT", "{answer}");
    }
}
