//! A typed client of `tests/clients` in Rust over HTTP, and what the operation `generate` says of documents.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};
use testkit::TempProject;

use crate::client::exchange;
use crate::lab::{Lab, message, runtime};

// As it is generated; the tests of `mesh` hold it to that.
#[rustfmt::skip]
#[path = "../../../../tests/clients/films/operations.rs.txt"]
mod operations;

use operations::{
    AddPlayVariables, Client, DecadesOperation, DetailsOperation, DetailsVariables,
    FilmByIdVariables, HomeOperation, HomeVariables, Operation, PlayInput,
};

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A server over the films.
fn films() -> Lab {
    let sdl = read("tests/graphql/fixture/schema.graphql");
    let lab = Lab::open(TempProject::with_schema(&sdl), "", false);
    lab.call("apply", json!({"schema": {"files": [["catalog.graphql", sdl]]}})).done();
    let rows: Value = serde_json::from_str(&read("tests/graphql/fixture/rows.json")).unwrap();
    let query = "mutation($people: [PersonInput!]!, $films: [FilmInput!]!, $plays: [PlayInput!]!) {
        createPeople(inputs: $people) { count }  createFilms(inputs: $films) { count }
        appendPlays(inputs: $plays) { count }
    }";
    let answer = lab.post("/graphql", &json!({"query": query, "variables": rows})).json();
    assert_eq!(answer["errors"], Value::Null);
    lab
}

/// Sends by a connection each.
struct Wire(SocketAddr);

struct Body {
    status: u16,
    kind: String,
    bytes: Option<Vec<u8>>,
}

impl operations::Reply for Body {
    type Error = Infallible;

    fn status(&self) -> u16 {
        self.status
    }

    fn content_type(&self) -> &str {
        &self.kind
    }

    async fn chunk(&mut self) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.bytes.take())
    }
}

impl operations::Transport for Wire {
    type Error = Infallible;
    type Reply = Body;

    async fn send(&self, request: operations::Request) -> Result<Body, Infallible> {
        let headers = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let headers: Vec<_> = headers.collect();
        let sent = message(&format!("POST {}", request.url), &headers, request.body.as_bytes());
        let answer = exchange(self.0, &sent).expect("an answer");
        let kind = answer.header("content-type").unwrap_or_default().to_owned();
        Ok(Body { status: answer.status, kind, bytes: Some(answer.body) })
    }
}

/// A client of the schema that is deployed, whose fingerprint is another one than the written client's.
fn client(lab: &Lab) -> Client<Wire> {
    Client::new(Wire(lab.address), "/graphql").with_header("headwater-schema", "")
}

/// What the server says to the text of an operation.
fn said<O: Operation>(lab: &Lab, variables: &O::Variables) -> Value {
    let answer = lab.post("/graphql", &json!({"query": O::TEXT, "variables": variables})).json();
    assert_eq!(answer["errors"], Value::Null);
    answer["data"].clone()
}

#[test]
fn answers_that_are_read_and_written_again_are_what_the_server_said() {
    let lab = films();
    let client = client(&lab);
    runtime().block_on(async {
        let mut home = HomeVariables::new(true);
        home.first = Some(4);
        let read = client.home(&home).await.unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), said::<HomeOperation>(&lab, &home));
        assert!(read.films.unwrap().nodes.iter().any(|film| film.director.is_some()));
        let details = DetailsVariables::new("f1".to_owned());
        let read = serde_json::to_value(client.details(&details).await.unwrap()).unwrap();
        assert_eq!(read, said::<DetailsOperation>(&lab, &details));
        let read = serde_json::to_value(client.decades().await.unwrap()).unwrap();
        assert_eq!(read, said::<DecadesOperation>(&lab, &operations::NoVariables {}));
        let play = PlayInput::new("p1".into(), "f1".into(), "2026-11-30T10:00:00Z".into(), 7);
        let added = client.add_play(&AddPlayVariables::new(play)).await.unwrap();
        assert_eq!(added.append_play.unwrap().count, 1);
    });
}

#[test]
fn a_client_of_a_schema_that_is_not_served_is_told_so() {
    let lab = films();
    let client = client(&lab).with_header("headwater-schema", operations::SCHEMA);
    let variables = FilmByIdVariables::new("f1".to_owned());
    let refused = runtime().block_on(client.film_by_id(&variables)).unwrap_err();
    assert!(refused.code().is_some() && refused.to_string().contains("schema"), "{refused}");
}

#[test]
fn a_client_is_generated_for_documents_over_http() {
    let lab = Lab::new();
    let generate = |text: &str, send: &str| {
        let documents = json!([{"file": "a.graphql", "text": text}]);
        let request = json!({"target": "rust", "documents": documents, "send": send});
        lab.call("generate", request)
    };
    let files = generate("query Count { items { totalCount } }", "id").done()["files"].clone();
    assert_eq!((&files[0][0], &files[1][0]), (&json!("operations.rs"), &json!("documents.json")));
    assert!(files[1][1].as_str().unwrap().contains("query Count { items { totalCount } }"));
    let refused = generate("query Count {\n  items { totalCout }\n}", "text").error();
    let found = &refused["diagnostics"][0];
    assert_eq!(
        (&found["file"], &found["line"], &found["column"]),
        (&json!("a.graphql"), &json!(2), &json!(11))
    );
    assert_eq!(found["hint"], "did you mean `totalCount`?");
    assert_eq!(
        generate("query A { __typename }", "post").error()["message"],
        "documents are not sent by `post`"
    );
}
