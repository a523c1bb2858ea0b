//! How much is read: one scan a level, only what is asked for.

use std::sync::atomic::Ordering;

use serde_json::json;

use crate::fixture::fixture;

#[tokio::test]
async fn three_levels_are_three_scans_however_many_rows() {
    let fixture = fixture().await;
    let answer = fixture
        .ask("{ people { nodes { name films { title plays(last: 2) { seconds } } } } }")
        .await;
    assert_eq!(answer["errors"], json!(null));
    assert_eq!(
        answer["data"]["people"]["nodes"][0]["films"][0]["plays"],
        json!([{"seconds": 62}, {"seconds": 63}])
    );
    assert_eq!(fixture.scans(), 3);
}

#[tokio::test]
async fn neighbours_of_many_rows_are_one_scan() {
    let fixture = fixture().await;
    fixture.ask("{ films { nodes { similar { title } similarEdges { distance } } } }").await;
    assert_eq!(fixture.scans(), 3);
}

#[tokio::test]
async fn only_columns_that_are_asked_for_are_read() {
    let fixture = fixture().await;
    fixture.ask("{ film(id: \"f1\") { decade director { name } } }").await;
    let fields = fixture.source.fields.lock();
    let names: Vec<Vec<&str>> =
        fields.iter().map(|fields| fields.iter().map(|field| field.as_ref()).collect()).collect();
    assert_eq!(names, [vec!["year", "directorId", "id"], vec!["name", "id"]]);
}

#[tokio::test]
async fn sort_keys_are_read_only_for_cursors() {
    let fixture = fixture().await;
    let by_year = "films(orderBy: [{year: ASC}])";
    fixture
        .ask(&format!("{{ {by_year} {{ nodes {{ title }} pageInfo {{ hasNextPage }} }} }}"))
        .await;
    fixture.ask(&format!("{{ {by_year} {{ edges {{ cursor }} }} }}")).await;
    let fields = fixture.source.fields.lock();
    let names: Vec<Vec<&str>> =
        fields.iter().map(|fields| fields.iter().map(|field| field.as_ref()).collect()).collect();
    assert_eq!(names, [vec!["title"], vec!["year", "id"]]);
}

#[tokio::test]
async fn rows_are_counted_only_when_the_total_is_asked_for() {
    let fixture = fixture().await;
    fixture.ask("{ films(first: 1) { nodes { id } } }").await;
    assert_eq!(fixture.source.counts.load(Ordering::SeqCst), 0);
    let answer = fixture.ask("{ films(first: 1, where: {year: {gt: 1990}}) { totalCount } }").await;
    assert_eq!(answer["data"]["films"]["totalCount"], 3);
    assert_eq!(fixture.source.counts.load(Ordering::SeqCst), 1);
    assert_eq!(fixture.scans(), 1, "a count alone reads no rows");
}

#[tokio::test]
async fn rows_without_references_are_not_looked_up() {
    let fixture = fixture().await;
    let answer = fixture.ask("{ film(id: \"f5\") { director { name } similar { id } } }").await;
    assert_eq!(answer["data"]["film"], json!({"director": null, "similar": []}));
    assert_eq!(fixture.scans(), 2);
}

#[tokio::test]
async fn a_table_that_fails_takes_only_its_own_part_of_the_answer() {
    let fixture = fixture().await;
    *fixture.source.broken.lock() = Some("Person");
    let answer = fixture
        .ask("{ film(id: \"f1\") { title director { name } } people { nodes { id } } }")
        .await;
    assert_eq!(
        answer["data"],
        json!({"film": {"title": "The red planet", "director": null}, "people": null})
    );
    let errors = answer["errors"].as_array().expect("two errors");
    assert_eq!(errors[0]["path"], json!(["film", "director"]));
    assert_eq!(
        errors[0]["extensions"],
        json!({"code": "UNAVAILABLE", "retryable": true, "owner": "catalog", "table": "people"})
    );
    assert_eq!(errors[1]["path"], json!(["people"]));
}

#[tokio::test]
async fn rows_by_key_share_a_scan() {
    let fixture = fixture().await;
    let query = "{
      a: film(id: \"f1\") { title } b: film(id: \"f3\") { id year } none: film(id: \"zz\") { id }
      again: film(id: \"f1\") { decade }
      seat(hall: \"A\", number: 2) { free } other: seat(hall: \"B\", number: 1) { free }
    }";
    let answer = fixture.ask(query).await;
    assert_eq!(
        answer,
        json!({"data": {
            "a": {"title": "The red planet"}, "b": {"id": "f3", "year": 2003}, "none": null,
            "again": {"decade": 1990}, "seat": {"free": false}, "other": {"free": true}
        }})
    );
    assert_eq!(fixture.scans(), 2);
}
