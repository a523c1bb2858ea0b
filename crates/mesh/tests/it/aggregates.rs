//! Groups of rows: how much is read for them, how many there may be, and whose faults they tell.

use frame::ScanRequest;
use mesh::{Limits, Settings};
use serde_json::{Value as Json, json};

use crate::fixture::{fixture, fixture_with};

#[tokio::test]
async fn everything_that_a_field_asks_is_one_scan() {
    let fixture = fixture().await;
    let answer = fixture
        .ask(
            "{ playsAggregate(
                 where: {seconds: {gt: 0}}, groupBy: [{filmId: VALUE}],
                 having: {max: {seconds: {gt: 60}}}, orderBy: [{avg: {seconds: DESC}}]
               ) {
                 keys { filmId } count sum { seconds } again: sum { seconds }
                 p50: percentile(p: 0.5) { seconds } p90: percentile(p: 0.9) { seconds }
               } }",
        )
        .await;
    assert_eq!(answer["errors"], Json::Null);
    assert_eq!(answer["data"]["playsAggregate"][0]["keys"]["filmId"], "f9");
    assert_eq!(fixture.scans(), 1);
    let request: ScanRequest = fixture.source.requests.lock().pop().expect("a scan");
    let aggregate = request.aggregate.expect("groups");
    let names: Vec<&str> = aggregate.measures.iter().map(|measure| &*measure.name).collect();
    let expected = [
        "count",
        "sum.seconds",
        "percentile(0.5).seconds",
        "percentile(0.9).seconds",
        "max.seconds",
        "avg.seconds",
    ];
    assert_eq!(names, expected);
    assert!(request.fields.is_empty());
}

#[tokio::test]
async fn what_is_left_out_is_not_measured() {
    let fixture = fixture().await;
    let query = "query($no: Boolean!) { filmsAggregate {
      count sum @include(if: $no) { year } max { year title @skip(if: true) }
    } }";
    let answer = fixture.ask_with(query, json!({"no": false})).await;
    assert_eq!(
        answer,
        json!({"data": {"filmsAggregate": [{"count": "5", "max": {"year": 2003}}]}})
    );
    let request = fixture.source.requests.lock().pop().expect("a scan");
    assert_eq!(request.aggregate.expect("groups").measures.len(), 2);
}

#[tokio::test]
async fn more_groups_than_a_page_are_an_error_unless_the_first_are_asked_for() {
    let limits = Limits { page: 3, ..Limits::default() };
    let fixture = fixture_with(Settings { limits, ..Settings::default() }).await;
    let by = |more: &str| {
        format!("{{ filmsAggregate(groupBy: [{{id: VALUE}}]{more}) {{ keys {{ id }} }} }}")
    };
    let answer = fixture.ask(&by("")).await;
    assert_eq!(answer["data"]["filmsAggregate"], Json::Null);
    assert_eq!(answer["errors"][0]["message"], "`filmsAggregate` has more than 3 groups");
    assert_eq!(answer["errors"][0]["extensions"]["code"], "LIMIT_EXCEEDED");
    let answer = fixture.ask(&by(", first: 3")).await;
    assert_eq!(answer["data"]["filmsAggregate"].as_array().map(Vec::len), Some(3));
    let answer = fixture.ask(&by(", first: 4")).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "LIMIT_EXCEEDED");
    let answer = fixture.ask(&by(", where: {year: {gt: 1990}}")).await;
    assert_eq!(answer["data"]["filmsAggregate"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn a_table_that_fails_takes_only_its_own_groups() {
    let fixture = fixture().await;
    *fixture.source.broken.lock() = Some("Play");
    let answer = fixture.ask("{ playsAggregate { count } filmsAggregate { count } }").await;
    let data = json!({"playsAggregate": null, "filmsAggregate": [{"count": "5"}]});
    assert_eq!(answer["data"], data);
    let extensions = json!({
        "code": "UNAVAILABLE", "retryable": true, "owner": "playback", "table": "plays"
    });
    assert_eq!(answer["errors"][0]["extensions"], extensions);
    assert_eq!(answer["errors"][0]["path"], json!(["playsAggregate"]));
}

#[tokio::test]
async fn a_number_that_json_cannot_say_is_null_and_leaves_the_others() {
    let fixture = fixture().await;
    // The largest double and itself have an infinite sum.
    for id in ["x", "y"] {
        let film = json!({"id": id, "title": "Huge", "genres": [], "stars": f64::MAX, "year": 1});
        let query = "mutation($film: FilmInput!) { createFilm(input: $film) { replayed } }";
        let answer = fixture.ask_with(query, json!({ "film": film })).await;
        assert_eq!(answer["errors"], Json::Null);
    }
    let query = "{ filmsAggregate(groupBy: [{title: VALUE}], having: {count: {eq: 2}}) {
      sum { stars year } } }";
    let answer = fixture.ask(query).await;
    let sum = &answer["data"]["filmsAggregate"][0]["sum"];
    assert_eq!(*sum, json!({"stars": null, "year": "2"}));
    assert_eq!(answer["errors"][0]["path"], json!(["filmsAggregate", 0, "sum", "stars"]));
}

#[tokio::test]
async fn long_conditions_do_no_harm() {
    let fixture = fixture().await;
    let many: Vec<Json> = (0..40_000).map(|n| json!({"count": {"eq": n}})).collect();
    let query = "query($h: FilmHaving) { filmsAggregate(having: $h) { count } }";
    let answer = fixture.ask_with(query, json!({"h": {"or": many}})).await;
    // A limit may refuse so many; whatever it says, the process lives.
    assert!(answer["data"]["filmsAggregate"].is_array() || answer["errors"].is_array());
    let answer = fixture.ask("{ filmsAggregate { count } }").await;
    assert_eq!(answer["data"]["filmsAggregate"], json!([{"count": "5"}]));
}

#[tokio::test]
async fn groups_cost_as_many_rows_as_they_may_be() {
    let limits = Limits { cost: 100.0, ..Limits::default() };
    let fixture = fixture_with(Settings { limits, ..Settings::default() }).await;
    let ask = async |arguments: &str| {
        let query = format!("{{ filmsAggregate{arguments} {{ sum {{ year }} avg {{ year }} }} }}");
        fixture.ask(&query).await
    };
    // Fifty groups are assumed, each an object with two inside it.
    let refused = ask("").await;
    let message = "the operation costs 150; at most 100 is allowed";
    assert_eq!(refused["errors"][0]["message"], message);
    assert_eq!(ask("(first: 33)").await["errors"], Json::Null);
    assert_ne!(ask("(first: 34)").await["errors"], Json::Null);
}
