//! Values that are long or deep: they are answered or refused, and never take the stack of a thread.

use serde_json::{Value as Json, json};

use crate::fixture::fixture;

const FILMS: &str = "query($w: FilmWhere) { films(where: $w) { totalCount nodes { id } } }";

/// The answer on a thread with as much stack as those of a server have. An overflow of it would end
/// the whole test.
fn ask_on_a_small_stack(query: &str, variables: Json) -> Json {
    let query = query.to_owned();
    let thread = std::thread::Builder::new().stack_size(2 << 20);
    let asking = thread.spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.expect("a runtime");
        runtime.block_on(async { fixture().await.ask_with(&query, variables).await })
    });
    asking.expect("a thread").join().expect("an answer")
}

fn repeated(count: usize, item: Json) -> Json {
    Json::Array(vec![item; count])
}

#[test]
fn long_lists_of_conditions_are_answered_on_a_small_stack() {
    let most = 9_999;
    let mut alternatives = vec![json!({"year": {"eq": -1}}); most - 1];
    alternatives.push(json!({"year": {"eq": 2003}}));
    for (filter, wanted) in [
        (json!({ "or": alternatives }), json!(["f3"])),
        (json!({"not": {"or": alternatives}}), json!(["f1", "f2", "f5"])),
        (json!({"and": repeated(most, json!({"year": {"gt": 2000}}))}), json!(["f3"])),
        (json!({"genres": {"hasAny": repeated(most, json!("HORROR"))}}), json!(["f4"])),
        (json!({"genres": {"hasAll": repeated(most, json!("HORROR"))}}), json!(["f4"])),
        (json!({"title": {"in": repeated(most, json!("Moon"))}}), json!(["f4"])),
    ] {
        let answer = ask_on_a_small_stack(FILMS, json!({ "w": filter }));
        assert_eq!(answer["errors"], Json::Null);
        let ids = answer["data"]["films"]["nodes"].as_array().expect("rows").iter();
        assert_eq!(ids.map(|row| row["id"].clone()).collect::<Json>(), wanted);
    }
}

#[test]
fn rows_by_many_keys_of_two_fields_are_read_on_a_small_stack() {
    let rows: Vec<Json> = (0..1_500).map(|n| json!({"hall": "Z", "number": n})).collect();
    let query =
        "mutation($rows: [SeatInput!]!) { createSeatList(inputs: $rows) { nodes { number } } }";
    let answer = ask_on_a_small_stack(query, json!({ "rows": rows }));
    assert_eq!(answer["errors"], Json::Null);
    let nodes = answer["data"]["createSeatList"]["nodes"].as_array().expect("rows");
    let numbers: Vec<Option<i64>> = nodes.iter().map(|node| node["number"].as_i64()).collect();
    assert_eq!(numbers, (0..1_500).map(Some).collect::<Vec<_>>());
}

/// The first error of a request that is refused for its size.
fn refusal(query: &str, variables: Json) -> String {
    let answer = ask_on_a_small_stack(query, variables);
    let error = &answer["errors"][0];
    assert_eq!(error["extensions"]["code"], "LIMIT_EXCEEDED", "{error}");
    error["message"].as_str().expect("text").to_owned()
}

#[test]
fn lists_longer_than_is_allowed_are_refused() {
    let year = json!({"year": {"eq": 1}});
    for filter in [
        json!({"or": repeated(10_001, year.clone())}),
        json!({"not": {"and": repeated(50_000, json!({}))}}),
        json!({"year": {"notIn": repeated(10_001, json!(1))}}),
    ] {
        let message = refusal(FILMS, json!({ "w": filter }));
        assert!(message.starts_with("variable `$w` of type `FilmWhere`: "), "{message}");
        assert!(message.ends_with("items; at most 10000 are allowed"), "{message}");
    }
    let rows = repeated(10_001, json!({"hall": "A", "number": 1}));
    let query = "mutation($rows: [SeatInput!]!) { createSeatList(inputs: $rows) { count } }";
    let message = refusal(query, json!({ "rows": rows }));
    assert!(message.ends_with("a list has 10001 items; at most 10000 are allowed"), "{message}");
}

#[test]
fn a_filter_of_many_short_lists_is_refused() {
    let six = json!({"in": repeated(6_000, json!(1))});
    let query =
        "query($y: IntWhere) { films(where: {or: [{year: $y}, {year: $y}]}) { totalCount } }";
    let message = refusal(query, json!({ "y": six }));
    assert_eq!(message, "`where` compares with 12000 values; at most 10000 are allowed");
    let query = "query($y: IntWhere) {
      films { nodes { plays(where: {or: [{seconds: $y}, {seconds: $y}]}) { at } } }
    }";
    let message = refusal(query, json!({ "y": six }));
    assert_eq!(message, "`where` compares with 12000 values; at most 10000 are allowed");
}

/// A filter inside so many negations.
fn negated(times: usize) -> Json {
    (0..times).fold(json!({"year": {"eq": 2003}}), |inner, _| json!({ "not": inner }))
}

#[test]
fn deep_values_are_refused_and_those_within_the_limit_answered() {
    let answer = ask_on_a_small_stack(FILMS, json!({"w": negated(28)}));
    assert_eq!(answer["data"]["films"]["nodes"], json!([{"id": "f3"}]));
    for levels in [29, 120] {
        let message = refusal(FILMS, json!({"w": negated(levels)}));
        let wanted =
            "variable `$w` of type `FilmWhere`: lists and objects nest more than 30 levels";
        assert_eq!(message, wanted);
    }
    // What a document says itself is bounded by its nesting.
    let (open, close) = ("{not: ".repeat(60), "}".repeat(60));
    let query = format!(
        "query($w: FilmWhere!) {{ films(where: {open}$w{close}) {{ totalCount nodes {{ id }} }} }}"
    );
    let answer = ask_on_a_small_stack(&query, json!({"w": negated(28)}));
    assert_eq!(answer["data"]["films"]["nodes"], json!([{"id": "f3"}]));
}

#[test]
fn own_scalars_nest_as_json_does() {
    let deep = |levels| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    let query = "mutation($extra: JSON) {
      updateFilm(input: {id: \"f1\", extra: $extra}) { node { extra } }
    }";
    let answer = ask_on_a_small_stack(query, json!({"extra": deep(100)}));
    assert_eq!(answer["data"]["updateFilm"]["node"]["extra"], deep(100));
    let message = refusal(query, json!({"extra": deep(1_000)}));
    let wanted = "variable `$extra` of type `JSON`: a value nests more than 128 levels";
    assert_eq!(message, wanted);
}

#[test]
fn documents_that_nest_without_end_are_answered_on_a_small_stack() {
    let chain: Vec<String> =
        (0..1_000).map(|n| format!("fragment F{n} on Film {{ ...F{} }}", n + 1)).collect();
    let chain = chain.join(" ");
    let types = format!(
        "query($x: {}Int{}) {{ films {{ totalCount }} }}",
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    let fields = format!("{{ films {}", "{ nodes ".repeat(4_000));
    for (hostile, word) in [
        (
            format!("{{ films {{ nodes {{ ...F0 }} }} }} {chain} fragment F1000 on Film {{ id }}"),
            "too much",
        ),
        (
            format!(
                "{{ films {{ nodes {{ ...F0 }} }} }} {chain} fragment F1000 on Film {{ ...F0 }}"
            ),
            "too much",
        ),
        (types, "limit reached"),
        (fields, "limit reached"),
    ] {
        let answer = ask_on_a_small_stack(&hostile, Json::Null);
        assert_eq!(answer.get("data"), None);
        let message = answer["errors"][0]["message"].as_str().expect("text");
        assert!(message.contains(word), "{message}");
    }
}
