//! Random `where` arguments against a reference that knows nothing of expressions.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::fixture::{Fixture, fixture};

/// A filter as JSON; `holds` below says what it means.
fn filters() -> impl Strategy<Value = Json> {
    let number = prop_oneof![Just(0), Just(1995), Just(2000), Just(2003)];
    let year = (prop_oneof!["eq", "ne", "lt", "lte", "gt", "gte"], number.clone())
        .prop_map(|(op, number)| json!({"year": {op: number}}));
    let years = (prop_oneof!["in", "notIn"], prop::collection::vec(number, 0..3))
        .prop_map(|(op, numbers)| json!({"year": {op: numbers}}));
    let null = any::<bool>().prop_map(|is_null| json!({"year": {"isNull": is_null}}));
    let title = (prop_oneof!["contains", "startsWith", "endsWith"], "(The|planet|moon|[ou])")
        .prop_map(|(op, text)| json!({"title": {op: text}}));
    let genre = prop_oneof![Just("DRAMA"), Just("COMEDY"), Just("HORROR")];
    let genres = (prop_oneof!["hasAny", "hasAll"], prop::collection::vec(genre, 0..3))
        .prop_map(|(op, genres)| json!({"genres": {op: genres}}));
    let leaf = prop_oneof![year, years, null, title, genres];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let many = prop::collection::vec(inner.clone(), 0..3);
        prop_oneof![
            many.clone().prop_map(|items| json!({"and": items})),
            many.prop_map(|items| json!({"or": items})),
            inner.prop_map(|inner| json!({"not": inner})),
        ]
    })
}

/// Three-valued: `None` is unknown.
fn holds(filter: &Json, film: &Json) -> Option<bool> {
    let (name, condition) = filter.as_object()?.iter().next()?;
    let all = |items: &Json| -> Vec<Option<bool>> {
        items.as_array().expect("a list").iter().map(|item| holds(item, film)).collect()
    };
    match name.as_str() {
        "and" => fold(&all(condition), false),
        "or" => fold(&all(condition), true),
        "not" => holds(condition, film).map(|holds| !holds),
        field => on_field(condition, &film[field]),
    }
}

/// `decisive` decides; else unknown stays unknown; else the opposite.
fn fold(parts: &[Option<bool>], decisive: bool) -> Option<bool> {
    if parts.contains(&Some(decisive)) {
        return Some(decisive);
    }
    if parts.contains(&None) { None } else { Some(!decisive) }
}

fn on_field(condition: &Json, value: &Json) -> Option<bool> {
    let (op, operand) = condition.as_object()?.iter().next()?;
    if op == "isNull" {
        return Some(Json::Bool(value.is_null()) == *operand);
    }
    if value.is_null() {
        return None;
    }
    let order = || value.as_i64().expect("a number").cmp(&operand.as_i64().expect("a number"));
    let text = || (value.as_str().expect("text"), operand.as_str().expect("text"));
    let within = |item: &Json| value.as_array().expect("a list").contains(item);
    let items = || operand.as_array().expect("a list");
    Some(match op.as_str() {
        "eq" => order().is_eq(),
        "ne" => order().is_ne(),
        "lt" => order().is_lt(),
        "lte" => order().is_le(),
        "gt" => order().is_gt(),
        "gte" => order().is_ge(),
        "in" => items().contains(value),
        "notIn" => !items().contains(value),
        "contains" => text().0.contains(text().1),
        "startsWith" => text().0.starts_with(text().1),
        "endsWith" => text().0.ends_with(text().1),
        "hasAny" => items().iter().any(within),
        "hasAll" => items().iter().all(within),
        other => panic!("no operator `{other}`"),
    })
}

async fn wanted(fixture: &Fixture, filter: &Json) -> Json {
    let query =
        "query($w: FilmWhere) { films(where: $w) { nodes { id year title genres } totalCount } }";
    let answer = fixture.ask_with(query, json!({ "w": filter })).await;
    assert_eq!(answer["errors"], Json::Null, "{filter}");
    answer["data"]["films"].clone()
}

#[test]
fn filters_mean_what_the_reference_says() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    let fixture = runtime.block_on(fixture());
    let all = runtime.block_on(wanted(&fixture, &json!({})));
    let all = all["nodes"].as_array().expect("rows");
    proptest!(|(filter in filters())| {
        let expected: Vec<&Json> =
            all.iter().filter(|film| holds(&filter, film) == Some(true)).collect();
        let found = runtime.block_on(wanted(&fixture, &filter));
        prop_assert_eq!(&found["nodes"], &json!(expected));
        prop_assert_eq!(&found["totalCount"], &json!(expected.len()));
    });
}

#[tokio::test]
async fn a_condition_that_is_null_is_refused_and_not_dropped() {
    let fixture = fixture().await;
    let query = "query($w: FilmWhere) { films(where: $w) { nodes { id } } }";
    let condition = "leave it out where it is not wanted";
    let field = "leave it out where it is not wanted, or use `isNull`";
    let operand = "leave the operator out, or use `isNull`";
    for (filter, place, what, hint) in [
        (json!({"year": null}), "where.year", "null is not a condition", field),
        (json!({"studio": null}), "where.studio", "null is not a condition", field),
        (json!({"studio": {"city": null}}), "where.studio.city", "null is not a condition", field),
        (json!({"not": null}), "where.not", "null is not a condition", condition),
        (json!({"and": null}), "where.and", "null is not a condition", condition),
        (json!({"or": [{"or": null}]}), "where.or", "null is not a condition", condition),
        (json!({"not": {"year": null}}), "where.year", "null is not a condition", field),
        (
            json!({"year": {"eq": null}}),
            "where.year.eq",
            "null is not a value to compare with",
            operand,
        ),
        (
            json!({"year": {"isNull": null}}),
            "where.year.isNull",
            "null is not a value to compare with",
            operand,
        ),
    ] {
        let answer = fixture.ask_with(query, json!({ "w": filter })).await;
        assert_eq!(answer["data"]["films"], Json::Null, "{filter}");
        let error = &answer["errors"][0];
        assert_eq!(error["message"], format!("`{place}`: {what}"), "{filter}");
        assert_eq!(error["extensions"]["hint"], hint, "{filter}");
        assert_eq!(error["extensions"]["code"], "INVALID_INPUT", "{filter}");
    }
    assert_eq!(fixture.scans(), 0);
}

#[tokio::test]
async fn a_variable_that_is_null_is_refused_and_one_that_is_absent_leaves_its_condition_out() {
    let fixture = fixture().await;
    let query = "query($is: Boolean, $year: IntWhere, $w: FilmWhere) {
      films(where: {budget: {isNull: $is}, year: $year, not: $w}) { totalCount }
    }";
    for (variables, message) in [
        (json!({"is": null}), "`where.budget.isNull`: null is not a value to compare with"),
        (json!({"year": null}), "`where.year`: null is not a condition"),
        (json!({"w": null}), "`where.not`: null is not a condition"),
    ] {
        let answer = fixture.ask_with(query, variables).await;
        assert_eq!(answer["data"]["films"], Json::Null);
        assert_eq!(answer["errors"][0]["message"], message);
    }
    let answer = fixture.ask(query).await;
    assert_eq!(answer, json!({"data": {"films": {"totalCount": 5}}}));
    let answer = fixture.ask_with(query, json!({"is": false})).await;
    assert_eq!(answer, json!({"data": {"films": {"totalCount": 2}}}));
}

#[tokio::test]
async fn one_value_in_the_place_of_a_list_widens_no_filter() {
    let fixture = fixture().await;
    for operator in ["in", "notIn"] {
        let query = format!(
            "query($y: Int!) {{ films(where: {{year: {{{operator}: $y}}}}) {{ nodes {{ id }} }} }}"
        );
        let answer = fixture.ask_with(&query, json!({"y": 1995})).await;
        assert_eq!(answer.get("data"), None, "{answer}");
        let message = "variable `$y` of type `Int!` stands where `[Int!]` is expected";
        assert_eq!(answer["errors"][0]["message"], message);
    }
    let query = "query($y: [Int!]) { films(where: {year: {in: $y}}) { nodes { id } } }";
    let answer = fixture.ask_with(query, json!({"y": 2003})).await;
    assert_eq!(answer, json!({"data": {"films": {"nodes": [{"id": "f3"}]}}}));
}
