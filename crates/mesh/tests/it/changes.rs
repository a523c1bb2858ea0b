//! Mutations: serial, all or nothing, and one winner when two race.

use base::{Principal, Scope};
use mesh::Request;
use serde_json::{Value as Json, json};

use crate::fixture::fixture;

#[tokio::test]
async fn of_racing_creates_of_one_key_exactly_one_succeeds() {
    let fixture = fixture().await;
    let create = |title: usize| {
        let query = format!(
            "mutation {{ createFilm(input: {{id: \"new\", title: \"{title}\", genres: []}}) {{ node {{ title }} }} }}"
        );
        let fixture = &fixture;
        async move { fixture.ask(&query).await }
    };
    let answers = futures::future::join_all((0..8).map(create)).await;
    let created: Vec<&Json> =
        answers.iter().filter(|answer| answer["errors"] == Json::Null).collect();
    assert_eq!(created.len(), 1);
    for refused in answers.iter().filter(|answer| answer["errors"] != Json::Null) {
        assert_eq!(refused["data"]["createFilm"], Json::Null);
        assert_eq!(refused["errors"][0]["extensions"]["code"], "ALREADY_EXISTS");
    }
    let kept = fixture.ask("{ film(id: \"new\") { title } }").await;
    assert_eq!(kept["data"]["film"], created[0]["data"]["createFilm"]["node"]);
}

#[tokio::test]
async fn mutations_run_in_order_and_each_sees_the_last() {
    let fixture = fixture().await;
    let answer = fixture
        .ask(
            "mutation {
              a: updateFilm(input: {id: \"f1\", year: 1}) { node { year } }
              b: updateFilm(input: {id: \"zz\", year: 1}) { node { year } }
              c: updateFilm(input: {id: \"f1\", title: \"x\"}) { node { year title } }
            }",
        )
        .await;
    assert_eq!(
        answer["data"],
        json!({"a": {"node": {"year": 1}}, "b": null, "c": {"node": {"year": 1, "title": "x"}}})
    );
    assert_eq!(answer["errors"][0]["extensions"]["code"], "NOT_FOUND");
}

#[tokio::test]
async fn a_repeated_idempotency_key_changes_nothing() {
    let fixture = fixture().await;
    let append = "mutation { appendPlay(input: {userId: \"p1\", filmId: \"f1\", at: \"2026-02-01T00:00:00+01:00\", seconds: 1}, idempotencyKey: \"k\") { count replayed snapshot } }";
    let first = fixture.ask(append).await;
    let again = fixture.ask(append).await;
    assert_eq!(first["data"]["appendPlay"]["replayed"], false);
    assert_eq!(again["data"]["appendPlay"]["replayed"], true);
    assert_eq!(first["data"]["appendPlay"]["snapshot"], again["data"]["appendPlay"]["snapshot"]);
    let count = fixture.ask("{ plays { totalCount } }").await;
    assert_eq!(count["data"]["plays"]["totalCount"], 7);
}

#[tokio::test]
async fn a_reader_may_not_change_anything() {
    let fixture = fixture().await;
    let reader = Principal { scope: Scope::Read, ..Principal::local() };
    let request = Request::new("mutation { deleteFilm(id: \"f1\") { count } }", reader);
    let answer = fixture.run(request).await.json().expect("JSON");
    assert_eq!(answer["errors"][0]["extensions"]["code"], "DENIED");
    let film = fixture.ask("{ film(id: \"f1\") { id } }").await;
    assert_eq!(film["data"]["film"]["id"], "f1");
}

#[tokio::test]
async fn one_wrong_row_of_many_writes_none() {
    let fixture = fixture().await;
    let create = "mutation($rows: [SeatInput!]!) { createSeatList(inputs: $rows) { count } }";
    let rows = json!([{"hall": "C", "number": 1}, {"hall": "A", "number": 1}]);
    let answer = fixture.ask_with(create, json!({ "rows": rows })).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "ALREADY_EXISTS");
    let seat = fixture.ask("{ seat(hall: \"C\", number: 1) { free } }").await;
    assert_eq!(seat["data"]["seat"], Json::Null);
}

#[tokio::test]
async fn a_change_that_cannot_be_read_back_is_made_and_says_so() {
    let fixture = fixture().await;
    *fixture.source.broken.lock() = Some("Film");
    let create = |id: &str| {
        format!(
            "mutation {{
              one: createFilm(input: {{id: \"{id}\", title: \"a\", genres: []}}) {{ snapshot node {{ title }} }}
              many: createFilms(inputs: [{{id: \"{id}2\", title: \"b\", genres: []}}]) {{ count nodes {{ title }} }}
              blind: createFilm(input: {{id: \"{id}3\", title: \"c\", genres: []}}) {{ replayed }}
            }}"
        )
    };
    let answer = fixture.ask(&create("new")).await;
    let data = &answer["data"];
    assert!(data["one"]["snapshot"].is_string(), "{answer}");
    assert_eq!(data["one"]["node"], Json::Null);
    assert_eq!(data["many"], json!({"count": 1, "nodes": [null]}));
    assert_eq!(data["blind"], json!({"replayed": false}));
    let errors = answer["errors"].as_array().expect("two errors");
    let paths: Vec<&Json> = errors.iter().map(|error| &error["path"]).collect();
    assert_eq!(paths, [&json!(["one", "node"]), &json!(["many", "nodes", 0])]);
    for error in errors {
        assert_eq!(error["message"], "the change was made, but not read back: the disk is on fire");
        assert_eq!(error["extensions"]["table"], "films");
    }
    *fixture.source.broken.lock() = None;
    let film = fixture.ask("{ film(id: \"new\") { title } }").await;
    assert_eq!(film["data"]["film"]["title"], "a");
}
