//! A client for the films: over tables, with filters, aggregates, changes and exact numbers.

use std::convert::Infallible;

use base::Principal;
use mesh::{Engine, Request};
use schema::generate::client::Sending;
use serde_json::{Map, Value as Json, json};

use super::{check_goldens, compile, documents, folder, model};
use crate::fixture::{Fixture, fixture};

// As it is generated; `BLESS=1` writes it.
#[rustfmt::skip]
#[path = "../../../../../tests/clients/films/operations.rs.txt"]
pub(crate) mod operations;

use operations::{
    AddFilmVariables, AddPlayVariables, ChangeFilmVariables, Client, ClientError, DetailsVariables,
    FilmByIdVariables, FilmInput, FilmUpdate, FilmWhere, Genre, Given, HomeVariables, IntWhere,
    Long, PlayInput,
};

/// Sends the requests of a generated client to an engine in this process.
pub(super) struct InProcess<'a> {
    pub(super) engine: &'a Engine,
}

pub(super) struct Body(Option<Vec<u8>>);

impl operations::Reply for Body {
    type Error = Infallible;

    fn status(&self) -> u16 {
        200
    }

    fn content_type(&self) -> &str {
        "application/json"
    }

    async fn chunk(&mut self) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.0.take())
    }
}

impl operations::Transport for InProcess<'_> {
    type Error = Infallible;
    type Reply = Body;

    async fn send(&self, request: operations::Request) -> Result<Body, Infallible> {
        let has = |name: &str, value: &str| {
            request.headers.iter().any(|it| it.0 == name && it.1 == value)
        };
        assert!(has("headwater-client", "test/1") && has("headwater-schema", "0123456789abcdef"));
        let asked = Request::from_json(request.body.as_bytes(), Principal::local());
        Ok(Body(Some(self.engine.execute(asked.expect("a request")).await.body)))
    }
}

fn client(fixture: &Fixture) -> Client<InProcess<'_>> {
    Client::new(InProcess { engine: &fixture.engine }, "in process")
}

#[test]
fn the_client_of_the_films_is_as_written_down() {
    let sdl = schema::api::api_sdl(&crate::fixture::schema());
    check_goldens("films", &model(&sdl, &documents("films"), Sending::Text));
}

#[tokio::test]
async fn questions_in_rust_get_typed_answers() {
    let fixture = fixture().await;
    let client = client(&fixture);
    let recent = FilmWhere {
        year: IntWhere { gt: 2000.into(), ..IntWhere::default() }.into(),
        ..FilmWhere::default()
    };
    let mut variables = HomeVariables::new(true);
    variables.first = Some(3);
    variables.where_ = FilmWhere { not: recent.into(), ..FilmWhere::default() }.into();
    let home = client.home(&variables).await.expect("films");
    let films = home.films.expect("a page");
    let red = films.nodes.iter().find(|film| film.id == "f1").expect("the film");
    assert_eq!(red.genres, [Genre::Drama]);
    let plays = red.plays.as_ref().expect("they are included");
    assert_eq!(plays[0].seconds, 63);
    let director = red.director.as_ref().expect("a director");
    assert_eq!((director.name.as_str(), director.films.len()), ("Ada Sol", 2));
    let parts = red.film_parts().expect("a part of the film");
    assert_eq!(parts.director.map(|it| it.id), Some(director.id.clone()));
    let without = client.home(&HomeVariables::new(false)).await.expect("films");
    assert!(without.films.expect("a page").nodes.iter().all(|film| film.plays.is_none()));
    let nothing = client.film_by_id(&FilmByIdVariables::new("zz".to_owned())).await;
    assert_eq!(nothing.expect("no film").film, None);
    let details = client.details(&DetailsVariables::new("f1".to_owned())).await.expect("details");
    let film = details.film.expect("a film");
    assert_eq!(film.views, Some(Long(9_007_199_254_740_993)));
    assert_eq!(film.budget.as_deref(), Some("1200000.50"));
    assert_eq!(film.extra, Some(json!({"tags": ["a", 1, null]})));
    assert_eq!(film.studio.and_then(|it| it.type_).as_deref(), Some("Oslo"));
    let decades = client.decades().await.expect("groups").films_aggregate.expect("groups");
    assert!(decades.iter().any(|group| group.count == Long(2)));
}

#[tokio::test]
async fn what_is_left_out_stays_and_null_takes_away() {
    let fixture = fixture().await;
    let client = client(&fixture);
    let mut input = FilmInput::new("f6".to_owned(), vec![Genre::Drama]);
    input.title = "New".to_owned().into();
    input.views = Given::Value(Long(i64::MAX));
    input.year = Given::Value(1999);
    let mut add = AddFilmVariables::new(input);
    add.idempotency_key = Given::Value("k".to_owned());
    let added = client.add_film(&add).await.expect("added").create_film.expect("a change");
    assert_eq!(added.node.and_then(|it| it.views), Some(Long(i64::MAX)));
    let again = client.add_film(&add).await.expect("added").create_film.expect("a change");
    assert!(again.replayed && !added.replayed);
    for (year, wanted) in [(Given::Absent, Some(1999)), (Given::Null, None)] {
        let change = FilmUpdate { year, ..FilmUpdate::new("f6".to_owned()) };
        let changed = client.change_film(&ChangeFilmVariables::new(change)).await.expect("changed");
        let node = changed.update_film.and_then(|it| it.node).expect("a film");
        assert_eq!(node.year, wanted);
    }
    let play = PlayInput::new("p".into(), "f6".into(), "2026-11-30T10:00:00Z".into(), 5);
    client.add_play(&AddPlayVariables::new(play)).await.expect("a play");
}

#[tokio::test]
async fn errors_are_typed() {
    let fixture = fixture().await;
    let client = client(&fixture);
    let mut input = FilmInput::new("f1".to_owned(), Vec::new());
    input.title = "Twice".to_owned().into();
    let refused = client.add_film(&AddFilmVariables::new(input)).await.expect_err("a twin");
    assert_eq!(refused.code(), Some("ALREADY_EXISTS"), "{refused}");
    let ClientError::Graphql { errors, .. } = refused else { panic!("no error of the server") };
    assert_eq!(
        (errors[0].path.as_slice(), errors[0].owner()),
        ([json!("createFilm")].as_slice(), Some("catalog"))
    );
}

/// The answers of an engine to the requests of a folder, for programs without one.
pub(super) async fn recorded(engine: &Engine, name: &str, client: &super::Client) -> String {
    let text = std::fs::read_to_string(folder(name).join("asked.json")).expect("requests");
    let mut asked: Vec<Json> = serde_json::from_str(&text).expect("JSON");
    for asked in &mut asked {
        let named = |it: &&schema::generate::client::Operation| asked["operation"] == it.name;
        let operation = client.operations.iter().find(named).expect("an operation");
        let variables: Map<String, Json> = asked["variables"].as_object().expect("some").clone();
        let request = Request { variables, ..Request::new(&operation.text, Principal::local()) };
        let answer = engine.execute(request).await.json().expect("JSON");
        if let Some(data) = answer.get("data").filter(|data| data.is_object()) {
            let fits = super::accept::accept(client, operation.shape, data);
            assert_eq!(fits, Ok(()), "{} {data}", operation.name);
        }
        asked["answer"] = answer;
    }
    serde_json::to_string_pretty(&asked).expect("JSON")
}

#[tokio::test]
async fn programs_in_typescript_and_python_read_the_same_answers() {
    let fixture = fixture().await;
    let sdl = schema::api::api_sdl(&crate::fixture::schema());
    let client = model(&sdl, &documents("films"), Sending::Text);
    let answers = recorded(&fixture.engine, "films", &client).await;
    let workshop = compile::workshop(&folder("films"), &answers);
    compile::typescript(workshop.path());
    compile::python(workshop.path());
}
