//! The example schema of the repository has an API that answers.

use std::path::Path;
use std::sync::Arc;

use base::{Clock, Principal};
use mesh::{Engine, Limits, Request, Settings};
use serde_json::{Map, json};

use crate::fixture::{compiled, fixture_with, tables};

#[tokio::test]
async fn the_movies_answer() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/movies/schema");
    let sources = schema::read_folder(&folder).expect("the example");
    let schema = match schema::compile(&sources) {
        Ok(schema) => Arc::new(schema),
        Err(diagnostics) => panic!("{}", diagnostics.render(&sources, false)),
    };
    let tables = tables(&schema, Clock::system());
    let engine = Engine::new(schema, Arc::new(tables)).expect("a valid API");
    let query = "mutation {
      upsertFilms(inputs: [{id: 1, title: \"Heat\", year: 1995, genres: [\"Crime\"]}]) { count }
      upsertUser(input: {id: 7}) { node { id } }
      appendRating(input: {userId: 7, filmId: 1, stars: 5, at: \"2026-01-01T00:00:00Z\"}) { count }
    }";
    let answer = engine.execute(Request::new(query, Principal::local())).await;
    assert_eq!(answer.errors, 0, "{}", String::from_utf8_lossy(&answer.body));
    let query =
        "{ users { nodes { ratings { stars film { title decade ratings { user { id } } } } } } }";
    let answer = engine.execute(Request::new(query, Principal::local())).await;
    let film = json!({"title": "Heat", "decade": 1990, "ratings": [{"user": {"id": "7"}}]});
    assert_eq!(
        answer.json().expect("JSON"),
        json!({"data": {"users": {"nodes": [{"ratings": [{"stars": 5, "film": film}]}]}}})
    );
}

#[test]
fn the_body_of_a_request_is_read_or_refused_with_words() {
    let read = |body: &str| {
        Request::from_json(body.as_bytes(), Principal::local())
            .map(|request| (request.query, request.variables.len()))
            .map_err(|error| error.to_string())
    };
    assert_eq!(read("{\"query\": \"{a}\", \"variables\": {\"x\": 1}}"), Ok(("{a}".to_owned(), 1)));
    assert_eq!(read("{\"query\": \"{a}\", \"variables\": null}"), Ok(("{a}".to_owned(), 0)));
    for (body, message) in [
        ("{", "the body of the request is not JSON"),
        ("[]", "the body of the request is not an object"),
        ("{}", "the request has no text in `query`"),
        ("{\"query\": \"{a}\", \"variables\": []}", "`variables` is not an object"),
        ("{\"query\": \"{a}\", \"operationName\": 1}", "`operationName` is not text"),
    ] {
        assert_eq!(read(body), Err(message.to_owned()));
    }
}

#[tokio::test]
async fn words_about_the_values_of_an_enum_reach_the_api() {
    let schema = compiled(
        "extend schema @module(name: \"m\", owner: \"o\")
        type A @key(fields: \"id\") @table(format: ICEBERG) { id: ID!  mood: Mood }
        enum Mood { \"Like rain.\" SAD  GLAD @deprecated(reason: \"seldom\") }",
    );
    let tables = tables(&schema, Clock::system());
    let engine = Engine::new(schema, Arc::new(tables)).expect("a valid API");
    let query = "{ __type(name: \"Mood\") {
      enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
    } }";
    let answer = engine.execute(Request::new(query, Principal::local())).await;
    assert_eq!(
        answer.json().expect("JSON")["data"]["__type"]["enumValues"],
        json!([
            {"name": "SAD", "description": "Like rain.", "isDeprecated": false, "deprecationReason": null},
            {"name": "GLAD", "description": null, "isDeprecated": true, "deprecationReason": "seldom"},
        ])
    );
}

#[tokio::test]
async fn a_request_that_is_too_dear_is_explained_all_the_same() {
    let limits = Limits { cost: 500.0, ..Limits::default() };
    let fixture = fixture_with(Settings { limits, ..Settings::default() }).await;
    let query = "query A($n: Int!) { films(first: $n) { nodes { plays(first: 5) { seconds } } } }
      query B { films { totalCount } }";
    let explained = |name: &str, first: i64| {
        let variables = Map::from_iter([("n".to_owned(), json!(first))]);
        let request = Request::new(query, Principal::local());
        let operation_name = Some(name.to_owned());
        let text = fixture.engine.explain(&Request { operation_name, variables, ..request });
        text.expect("a plan").lines().next().map(str::to_owned)
    };
    let line = |text: &str| Some(format!("query, root fields at once, cost {text}"));
    assert_eq!(explained("A", 10), line("61"));
    let dear = "601: refused when it is run, as at most 500 is allowed";
    assert_eq!(explained("A", 100), line(dear));
    assert_eq!(explained("B", 100), line("1"));
}
