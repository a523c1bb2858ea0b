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

#[tokio::test]
async fn what_rows_by_key_refer_to_is_one_scan_for_all_of_them() {
    let fixture = fixture().await;
    let query = "{
      a: film(id: \"f1\") { title director { name films(first: 1) { id } } }
      b: film(id: \"f3\") { director { name films(first: 1) { id } } title }
      none: film(id: \"zz\") { director { name films(first: 1) { id } } }
      again: film(id: \"f1\") { who: director { name films(first: 1) { id } } }
      other: film(id: \"f2\") { director { id } }
    }";
    let answer = fixture.ask(query).await;
    let ada = json!({"name": "Ada Sol", "films": [{"id": "f1"}]});
    assert_eq!(
        answer,
        json!({"data": {
            "a": {"title": "The red planet", "director": ada},
            "b": {"director": {"name": "Bo Lind", "films": [{"id": "f3"}]}, "title": "Red moon rising"},
            "none": null, "again": {"who": ada}, "other": {"director": {"id": "p1"}}
        }})
    );
    // The films by key, their directors, the directors' films, and the one director who is asked
    // for something else.
    assert_eq!(fixture.scans(), 4);
}

#[tokio::test]
async fn a_hundred_rows_by_key_with_a_reference_are_two_scans() {
    let fixture = fixture().await;
    let rows: Vec<String> = (0..100)
        .map(|n| format!("a{n}: film(id: \"f{}\") {{ director {{ name }} }}", n % 5 + 1))
        .collect();
    let answer = fixture.ask(&format!("{{ {} }}", rows.join(" "))).await;
    assert_eq!(answer["errors"], json!(null));
    assert_eq!(answer["data"]["a97"], answer["data"]["a2"]);
    assert_eq!(fixture.scans(), 2);
}

#[tokio::test]
async fn nodes_beside_edges_share_what_they_ask() {
    let fixture = fixture().await;
    let inner = "title director { name } plays(last: 2) { seconds }";
    let answer = fixture
        .ask(&format!(
            "{{ films {{ nodes {{ {inner} }} edges {{ cursor node {{ {inner} }} }} }} }}"
        ))
        .await;
    assert_eq!(answer["errors"], json!(null));
    let films = &answer["data"]["films"];
    for (row, node) in films["nodes"].as_array().expect("rows").iter().enumerate() {
        assert_eq!(*node, films["edges"][row]["node"]);
    }
    assert_eq!(films["nodes"][0]["plays"], json!([{"seconds": 62}, {"seconds": 63}]));
    assert_eq!(fixture.scans(), 3);
}

#[tokio::test]
async fn the_same_list_with_other_arguments_is_another_scan() {
    let fixture = fixture().await;
    let query = "query($n: Int = 1, $m: Int = 1) { film(id: \"f1\") {
      a: plays(last: $n) { seconds } b: plays(last: $n) { seconds } c: plays(last: $m) { seconds }
      d: plays(last: $n) { seconds at } e: plays(last: $n) { s: seconds }
    } }";
    let answer = fixture.ask_with(query, json!({"m": 2})).await;
    let last = json!([{"seconds": 63}]);
    let film = &answer["data"]["film"];
    assert_eq!((&film["a"], &film["b"]), (&last, &last));
    assert_eq!(film["c"], json!([{"seconds": 62}, {"seconds": 63}]));
    assert_eq!(film["d"], json!([{"seconds": 63, "at": "2026-01-04T00:00:00Z"}]));
    assert_eq!(film["e"], json!([{"s": 63}]));
    // The film, and the plays for `c`, and for the others, whatever these ask of them.
    assert_eq!(fixture.scans(), 3);
}

#[tokio::test]
async fn what_is_left_out_of_one_place_is_still_in_the_other() {
    let fixture = fixture().await;
    let query = "query($no: Boolean = false) { films(first: 1) {
      nodes { director { name @include(if: $no) id } }
      edges { node { director { name id } } }
      pageInfo { hasNextPage }
    } }";
    let answer = fixture.ask(query).await;
    let films = &answer["data"]["films"];
    assert_eq!(films["nodes"], json!([{"director": {"id": "p1"}}]));
    assert_eq!(films["edges"], json!([{"node": {"director": {"name": "Ada Sol", "id": "p1"}}}]));
    assert_eq!(fixture.scans(), 2);
}

#[tokio::test]
async fn a_scan_that_fails_for_several_places_is_told_at_each() {
    let fixture = fixture().await;
    *fixture.source.broken.lock() = Some("Person");
    let query = "{
      a: film(id: \"f1\") { director { name } }
      b: film(id: \"f3\") { director { name } }
    }";
    let answer = fixture.ask(query).await;
    let errors = answer["errors"].as_array().expect("two errors");
    let places: Vec<_> = errors.iter().map(|it| (&it["path"], &it["locations"][0])).collect();
    let (a, b) = (json!(["a", "director"]), json!(["b", "director"]));
    let (first, second) = (json!({"line": 2, "column": 27}), json!({"line": 3, "column": 27}));
    assert_eq!(places, [(&a, &first), (&b, &second)]);
}
