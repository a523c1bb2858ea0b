//! The example schema of the repository has an API that answers.

use std::path::Path;
use std::sync::Arc;

use base::{Clock, Principal};
use mesh::{Engine, Request};
use serde_json::json;

use crate::fixture::tables;

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
