//! Pages of connections: every row once, in order, whatever happens between pages.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::fixture::{Fixture, fixture};

const FORWARD: &str = "query($after: String, $first: Int, $by: [FilmOrderBy!] = [{year: DESC}]) {
  films(first: $first, after: $after, orderBy: $by) { nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } }
}";

const BACKWARD: &str = "query($before: String, $last: Int, $by: [FilmOrderBy!]) {
  films(last: $last, before: $before, orderBy: $by) { nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } }
}";

/// Pages of `count` by year, until there is none.
async fn pages(fixture: &Fixture, backward: bool, count: usize) -> Vec<Vec<String>> {
    pages_by(fixture, &json!([{"year": "DESC"}]), backward, count).await
}

async fn pages_by(
    fixture: &Fixture,
    order: &Json,
    backward: bool,
    count: usize,
) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut cursor = Json::Null;
    loop {
        let (query, variables) = match backward {
            true => (BACKWARD, json!({"before": cursor, "last": count, "by": order})),
            false => (FORWARD, json!({"after": cursor, "first": count, "by": order})),
        };
        let answer = fixture.ask_with(query, variables).await;
        assert_eq!(answer["errors"], Json::Null);
        let page = &answer["data"]["films"];
        let nodes = page["nodes"].as_array().expect("rows");
        pages.push(
            nodes.iter().map(|node| node["id"].as_str().expect("an id").to_owned()).collect(),
        );
        let (more, next) = match backward {
            true => (&page["pageInfo"]["hasPreviousPage"], &page["pageInfo"]["startCursor"]),
            false => (&page["pageInfo"]["hasNextPage"], &page["pageInfo"]["endCursor"]),
        };
        if more == false {
            return pages;
        }
        cursor = next.clone();
    }
}

#[tokio::test]
async fn pages_go_through_all_rows_both_ways() {
    let fixture = fixture().await;
    let forward = [["f3", "f1"].as_slice(), &["f2", "f5"], &["f4"]];
    assert_eq!(pages(&fixture, false, 2).await, forward);
    let backward = [["f5", "f4"].as_slice(), &["f1", "f2"], &["f3"]];
    assert_eq!(pages(&fixture, true, 2).await, backward);
    assert_eq!(pages(&fixture, true, 5).await, [["f3", "f1", "f2", "f5", "f4"]]);
}

#[tokio::test]
async fn later_pages_come_from_the_snapshot_of_the_first() {
    let fixture = fixture().await;
    let first = fixture.ask_with(FORWARD, json!({"first": 2})).await;
    let cursor = &first["data"]["films"]["pageInfo"]["endCursor"];
    fixture.ask("mutation { deleteFilm(id: \"f2\") { count } }").await;
    let second = fixture.ask_with(FORWARD, json!({"first": 9, "after": cursor})).await;
    assert_eq!(second["data"]["films"]["nodes"], json!([{"id": "f2"}, {"id": "f5"}, {"id": "f4"}]));
    assert_eq!(second["data"]["films"]["pageInfo"]["hasPreviousPage"], true);
}

#[tokio::test]
async fn a_cursor_of_another_query_is_refused() {
    let fixture = fixture().await;
    let first = fixture.ask_with(FORWARD, json!({"first": 2})).await;
    let cursor = &first["data"]["films"]["pageInfo"]["endCursor"];
    let other = "query($after: String) { films(after: $after) { nodes { id } } }";
    let answer = fixture.ask_with(other, json!({"after": cursor})).await;
    assert_eq!(answer["errors"][0]["message"], "the cursor belongs to another query");
    let answer = fixture.ask_with(other, json!({"after": "bm90IG91cnM"})).await;
    assert_eq!(answer["errors"][0]["message"], "the cursor is not one of this server");
}

#[tokio::test]
async fn a_type_without_a_key_is_paged_forward() {
    let fixture = fixture().await;
    let query = "query($after: String) { plays(first: 4, after: $after, orderBy: [{seconds: DESC}]) { nodes { seconds } pageInfo { hasNextPage endCursor } } }";
    let first = fixture.ask(query).await;
    let page = &first["data"]["plays"];
    assert_eq!(page["nodes"][0]["seconds"], 65);
    let second = fixture.ask_with(query, json!({"after": page["pageInfo"]["endCursor"]})).await;
    let page = &second["data"]["plays"];
    assert_eq!(page["nodes"], json!([{"seconds": 61}, {"seconds": 60}]));
    assert_eq!(page["pageInfo"]["hasNextPage"], false);
    let back = fixture.ask("{ plays(last: 1) { nodes { seconds } } }").await;
    assert_eq!(back["errors"][0]["extensions"]["code"], "UNSUPPORTED");
}

#[tokio::test]
async fn an_older_state_answers_and_pins_its_references() {
    let fixture = fixture().await;
    fixture
        .ask("mutation { updatePerson(input: {id: \"p1\", name: \"Ada Luna\"}) { snapshot } }")
        .await;
    let query =
        "query($time: DateTime!) { film(id: \"f1\", asOf: {time: $time}) { director { name } } }";
    let name = |answer: Json| answer["data"]["film"]["director"]["name"].clone();
    let before = fixture.ask_with(query, json!({"time": "2026-11-23T08:00:00.5Z"})).await;
    assert_eq!(name(before), "Ada Sol");
    let after = fixture.ask_with(query, json!({"time": "2026-11-23T09:00:00Z"})).await;
    assert_eq!(name(after), "Ada Luna");
}

#[tokio::test]
async fn an_earlier_name_answers_until_its_last_day() {
    let fixture = fixture().await;
    let query = "{ film(id: \"f1\") { name } }";
    assert_eq!(fixture.ask(query).await["data"]["film"]["name"], "The red planet");
    let days = 99 * 24 * 60 * 60 * 1_000_000;
    fixture.clock.advance(days);
    assert_eq!(
        fixture.ask(query).await["errors"][0]["message"],
        "`Film.name` is an earlier name that answered until 2027-03-01"
    );
}

#[test]
fn whatever_the_order_the_pages_are_the_whole_list() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    let fixture = runtime.block_on(fixture());
    let key = (
        prop_oneof!["year", "stars", "title", "budget", "views", "released", "directorId"],
        prop_oneof!["ASC", "DESC"],
    );
    let order = prop::collection::vec(key, 0..3).prop_map(|keys| {
        keys.into_iter().map(|(field, direction)| json!({field: direction})).collect::<Json>()
    });
    proptest!(ProptestConfig::with_cases(64), |(order in order, count in 1_usize..4, backward: bool)| {
        let mut pages = runtime.block_on(pages_by(&fixture, &order, backward, count));
        if backward {
            pages.reverse();
        }
        let whole = runtime.block_on(pages_by(&fixture, &order, false, 100));
        prop_assert_eq!(pages.concat(), whole.concat());
    });
}

#[tokio::test]
async fn every_edge_has_a_cursor_after_which_the_next_row_comes() {
    let fixture = fixture().await;
    let query = "query($after: String) { films(after: $after) { edges { cursor node { id } } pageInfo { startCursor endCursor } } }";
    let answer = fixture.ask(query).await;
    let edges = answer["data"]["films"]["edges"].as_array().expect("edges");
    let page = &answer["data"]["films"]["pageInfo"];
    assert_eq!(
        (&edges[0]["cursor"], &edges[4]["cursor"]),
        (&page["startCursor"], &page["endCursor"])
    );
    for (index, edge) in edges.iter().enumerate() {
        let next = fixture.ask_with(query, json!({"after": edge["cursor"]})).await;
        let rest = next["data"]["films"]["edges"].as_array().expect("edges");
        assert_eq!(
            rest.first().map(|edge| &edge["node"]),
            edges.get(index + 1).map(|edge| &edge["node"])
        );
    }
}
