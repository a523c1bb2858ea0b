//! The GraphQL scenarios of `tests/graphql`, whose golden answers come from tables in memory, over
//! real tables: the lake must answer the same.

use std::path::{Path, PathBuf};

use base::Principal;
use serde_json::{Map, Value, json};
use server::{Project, Settings, operations};
use testkit::TempProject;

use crate::backends::Backend;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/graphql")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

async fn call(project: &Project, operation: &str, request: Value) -> Value {
    operations::call(project, &Principal::local(), operation, request, &mut |_| {})
        .await
        .unwrap_or_else(|error| panic!("{operation}: {}: {:?}", error.message, error.causes))
}

/// The fixture's schema with its tables in a format. Lance tables offer no text search.
fn schema_in(format: &str) -> String {
    let sdl = read(&folder().join("fixture/schema.graphql"));
    match format {
        "LANCE" => sdl.replace("ICEBERG", "LANCE").replace(" @search", ""),
        _ => sdl,
    }
}

/// A project with the rows of the fixture.
async fn filled(folder_of: &TempProject, format: &str, settings: Settings) -> Project {
    let project = Project::open(folder_of.path(), settings).await.unwrap();
    let schema = json!({ "files": [["catalog.graphql", schema_in(format)]] });
    call(&project, "apply", json!({ "schema": schema })).await;
    let rows: Value = serde_json::from_str(&read(&folder().join("fixture/rows.json"))).unwrap();
    for (list, field, type_name) in [
        ("people", "createPeople", "Person"),
        ("films", "createFilms", "Film"),
        ("plays", "appendPlays", "Play"),
        ("seatList", "createSeatList", "Seat"),
    ] {
        let query = format!(
            "mutation($rows: [{type_name}Input!]!) {{ {field}(inputs: $rows) {{ count }} }}"
        );
        let request = json!({ "query": query, "variables": { "rows": rows[list] } });
        let answer = call(&project, "query", request).await;
        assert_eq!(answer["errors"], Value::Null, "{list}");
    }
    project
}

/// The names of a document's operations, in order; one without a name is `None`.
fn operation_names(text: &str) -> Vec<Option<String>> {
    let names: Vec<Option<String>> = text
        .lines()
        .filter_map(|line| line.strip_prefix("query ").or_else(|| line.strip_prefix("mutation ")))
        .map(|rest| rest.chars().take_while(|c| c.is_alphanumeric()).collect::<String>())
        .filter(|name| !name.is_empty())
        .map(Some)
        .collect();
    if names.is_empty() { vec![None] } else { names }
}

/// The golden answers, one for each operation.
fn golden(text: &str) -> Vec<Value> {
    let without_names: String =
        text.lines().filter(|line| !line.starts_with("// ")).collect::<Vec<_>>().join("\n");
    let answers = serde_json::Deserializer::from_str(&without_names).into_iter::<Value>();
    answers.map(Result::unwrap).collect()
}

/// What both must agree on. Ids of snapshots are random in a lake and count in memory; a lake ranks
/// by BM25, memory by words found; a lake calls a table by its SQL name. A reference into the log is
/// drawn anew for each error.
fn comparable(answer: &mut Value) {
    match answer {
        Value::Object(fields) => {
            for (name, value) in fields {
                if ["snapshot", "score", "message", "reference"].contains(&name.as_str()) {
                    *value = Value::Null;
                }
                comparable(value);
            }
        }
        Value::Array(items) => {
            items.iter_mut().for_each(comparable);
            if items.iter().any(|item| item.get("score").is_some()) {
                items.sort_by_key(Value::to_string);
            }
        }
        _ => {}
    }
}

async fn differences(path: &Path, format: &str, settings: Settings) -> Vec<String> {
    let text = read(path);
    let variables = path.with_extension("vars.json");
    let variables: Map<String, Value> = match std::fs::read_to_string(&variables) {
        Ok(text) => serde_json::from_str(&text).unwrap(),
        Err(_) => Map::new(),
    };
    let folder_of = TempProject::empty();
    let project = filled(&folder_of, format, settings).await;
    let mut found = Vec::new();
    let names = operation_names(&text);
    let expected = golden(&read(&path.with_extension("out.json")));
    assert_eq!(names.len(), expected.len(), "{}", path.display());
    for (name, mut expected) in names.into_iter().zip(expected) {
        let request = json!({ "query": text, "operationName": name, "variables": variables });
        let mut answer = call(&project, "query", request).await;
        comparable(&mut answer);
        comparable(&mut expected);
        if answer != expected {
            found.push(format!(
                "{} {name:?} {format}\n  memory {expected}\n  lake   {answer}",
                path.display()
            ));
        }
    }
    found
}

async fn check(format: &str, backend: Backend) {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "graphql"))
        // Plans do not depend on what the tables are.
        .filter(|path| !path.ends_with("explain.graphql"))
        .filter(|path| format != "LANCE" || !read(path).contains("search"))
        .collect();
    paths.sort();
    assert!(paths.len() > 10, "{paths:?}");
    let mut found = Vec::new();
    for path in &paths {
        let Some(settings) = backend.settings() else { return };
        found.extend(differences(path, format, settings).await);
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn iceberg_tables_answer_as_tables_in_memory_do() {
    check("ICEBERG", Backend::Local).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lance_tables_answer_as_tables_in_memory_do() {
    check("LANCE", Backend::Local).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn iceberg_tables_on_postgres_and_s3_answer_as_tables_in_memory_do() {
    check("ICEBERG", Backend::Servers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lance_tables_on_postgres_and_s3_answer_as_tables_in_memory_do() {
    check("LANCE", Backend::Servers).await;
}
