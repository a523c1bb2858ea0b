//! The mesh over a service of calls gives what the mesh over tables of the same rows gives, for queries
//! drawn at random. The service answers batches in another order each time and leaves out what it does not
//! have.

use std::fmt::Write as _;
use std::sync::Arc;

use base::rng::Rng;
use mesh::Engine;
use parking_lot::Mutex;
use serde_json::{Map, Value as Json, json};

use super::lab::{Lab, compiled};
use crate::transport::server;

const TABLES: &str = r#"extend schema @module(name: "films", owner: "films")
type Film @key(fields: "id") @table(plural: "films") {
  id: ID!
  title: String!
  year: Int
  genre: Genre
  directorId: ID
  director: Person @ref(by: "directorId")
}
type Person @key(fields: "id") @table(plural: "people") {
  id: ID!
  name: String
  born: Int
  films: [Film!]! @ref(by: "directorId", order: "id")
}
enum Genre { SCI_FI DRAMA }
"#;

const CALLS: &str = r#"extend schema @module(name: "films", owner: "films")
  @source(name: "films", kind: REST, url: "http://films.test/v1")
type Film @key(fields: "id") @fetch(get: "/films?ids={id,}", result: "items", maxBatch: 3) {
  id: ID!
  title: String!
  year: Int
  genre: Genre
  directorId: ID @wire(name: "director_id")
  director: Person @ref(by: "directorId")
}
type Person @key(fields: "id") @fetch(get: "/people/{id}") {
  id: ID!
  name: String @wire(name: "full_name")
  born: Int
  films: [Film!]! @fetch(get: "/films?director={id&}", result: "items", key: "director_id", maxBatch: 2)
}
enum Genre { SCI_FI @wire(name: "sci-fi") DRAMA @wire(name: "drama") }
type Query {
  film(id: ID!): Film @fetch(get: "/films/{id}")
  person(id: ID!): Person @fetch(get: "/people/{id}")
}
"#;

struct Rows {
    films: Vec<Json>,
    people: Vec<Json>,
}

fn rows(rng: &Rng) -> Rows {
    let people = (0..6).map(|n| {
        let name = (n != 2).then(|| format!("Pär \"{n}\""));
        json!({"id": format!("p{n}"), "name": name, "born": 1900 + n * 7})
    });
    let films = (0..15).map(|n| {
        // Some directors are nobody's.
        let director = rng.below(8);
        let director = (director < 6).then(|| format!("p{director}"));
        let genre = ["SCI_FI", "DRAMA"].get(rng.below(3) as usize);
        json!({"id": format!("f{n:02}"), "title": format!("Film {n}"), "year": (n % 4 != 0).then_some(1990 + n),
               "genre": genre, "directorId": director})
    });
    Rows { films: films.collect(), people: people.collect() }
}

/// A row as the service says it.
fn said(row: &Json) -> Json {
    let mut row = row.clone();
    let object = row.as_object_mut().expect("an object");
    if let Some(name) = object.remove("name") {
        object.insert("full_name".to_owned(), name);
    }
    if let Some(director) = object.remove("directorId") {
        object.insert("director_id".to_owned(), director);
    }
    if let Some(genre) = object.get("genre").and_then(Json::as_str) {
        let genre = genre.to_lowercase().replace('_', "-");
        object.insert("genre".to_owned(), genre.into());
    }
    row
}

fn answer(rows: &Rows, rng: &Rng, target: &str) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let one = |all: &[Json], id: &str| match all.iter().find(|row| row["id"] == id) {
        Some(row) => server::json(&said(row).to_string()),
        None => server::answer("404 Not Found", "content-type: application/json\r\n", "{}"),
    };
    if let Some(id) = path.strip_prefix("/v1/films/") {
        return one(&rows.films, id);
    }
    if let Some(id) = path.strip_prefix("/v1/people/") {
        return one(&rows.people, id);
    }
    let values = |name: &str| -> Vec<String> {
        let parts = query.split('&').filter_map(|part| part.strip_prefix(&format!("{name}=")));
        parts.flat_map(|part| part.split(',')).map(str::to_owned).collect()
    };
    let (ids, directors) = (values("ids"), values("director"));
    let is_in = |all: &[String], value: &Json| all.iter().any(|one| *value == **one);
    let films = rows.films.iter();
    let mut found: Vec<Json> = films
        .filter(|film| is_in(&ids, &film["id"]) || is_in(&directors, &film["directorId"]))
        .map(said)
        .collect();
    // By key any order will do; a list keeps that of its items.
    if !ids.is_empty() {
        for at in (1..found.len()).rev() {
            found.swap(at, rng.below(at as u64 + 1) as usize);
        }
    }
    server::json(&json!({ "items": found }).to_string())
}

async fn tables(rows: &Rows) -> Engine {
    let schema = compiled(&[("films.graphql".to_owned(), TABLES.to_owned())]);
    let clock = base::Clock::system();
    let source = Arc::new(crate::fixture::tables(&schema, clock));
    let engine =
        Engine::with_settings(schema, source, mesh::Settings::default()).expect("an engine");
    let fill = "mutation($f: [FilmInput!]!, $p: [PersonInput!]!) { createFilms(inputs: $f) { count } createPeople(inputs: $p) { count } }";
    let variables = json!({"f": rows.films, "p": rows.people});
    let answer = ask(&engine, fill, variables.as_object().cloned().unwrap_or_default()).await;
    assert_eq!(answer["errors"], Json::Null, "{answer}");
    engine
}

async fn ask(engine: &Engine, query: &str, variables: Map<String, Json>) -> Json {
    let request = mesh::Request::new(query, base::Principal::local());
    let request = mesh::Request { variables, ..request };
    engine.execute(request).await.json().expect("JSON")
}

/// A random query: roots by key, under aliases, and what lies below.
fn draw(rng: &Rng) -> String {
    let mut query = "query($yes: Boolean! $no: Boolean!) {".to_owned();
    for root in 0..1 + rng.below(3) {
        let is_film = rng.below(2) == 0;
        let (name, id) = match is_film {
            true => ("film", format!("f{:02}", rng.below(17))),
            false => ("person", format!("p{}", rng.below(7))),
        };
        let _ = write!(query, " r{root}: {name}(id: \"{id}\")");
        set(rng, is_film, 2, &mut query);
    }
    // Every variable is used.
    query + " used: __typename @include(if: $yes) @skip(if: $no) }"
}

fn set(rng: &Rng, is_film: bool, depth: usize, query: &mut String) {
    query.push_str(" {");
    let leaves: &[&str] = match is_film {
        true => &["id", "title", "year", "genre", "directorId", "__typename"],
        false => &["id", "name", "born", "__typename"],
    };
    for number in 0..1 + rng.below(4) {
        let leaf = leaves[rng.below(leaves.len() as u64) as usize];
        let when = ["", "", "", " @include(if: $yes)", " @skip(if: $no)", " @include(if: $no)"];
        let when = when[rng.below(6) as usize];
        match rng.below(2) {
            0 => _ = write!(query, " a{depth}{number}: {leaf}{when}"),
            _ => _ = write!(query, " {leaf}"),
        }
    }
    if depth > 0 {
        for alias in 0..1 + rng.below(2) {
            let field = if is_film { "director" } else { "films" };
            let _ = write!(query, " b{alias}: {field}");
            set(rng, !is_film, depth - 1, query);
        }
    }
    query.push_str(" }");
}

#[tokio::test]
async fn calls_and_tables_of_the_same_rows_give_the_same_answers() {
    let rng = Rng::seeded(20_261_130);
    let rows = Arc::new(rows(&rng));
    let tables = tables(&rows).await;
    let (kept, order) = (Arc::clone(&rows), Mutex::new(Rng::seeded(5)));
    let answerer =
        Arc::new(move |_: &str, target: &str, _: &str| answer(&kept, &order.lock(), target));
    let calls = Lab::open(&[("films.graphql".to_owned(), CALLS.to_owned())], answerer).await;
    let mut some = 0;
    for number in 0..120 {
        let query = draw(&rng);
        let variables = json!({"yes": true, "no": false}).as_object().cloned().unwrap_or_default();
        let wanted = ask(&tables, &query, variables.clone()).await;
        let found = calls.ask(&query, variables).await;
        assert_eq!(found["data"], wanted["data"], "{number}: {query}\n{found}");
        assert_eq!(found["errors"], Json::Null, "{number}: {query}");
        some += usize::from(wanted["data"].to_string().contains("Film "));
        // Of one kind of object on one level no more than its batches are asked, and none twice.
        let mut heard = calls.heard();
        let count = heard.len();
        heard.dedup();
        assert_eq!(heard.len(), count, "{query}\n{heard:?}");
    }
    assert!(some > 50, "only {some} answers had films");
}
