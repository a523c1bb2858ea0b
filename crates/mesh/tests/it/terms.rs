//! Terms of a request: introspection, suggestions, and the charge before anything runs.

use base::{Kind, Principal};
use mesh::{GraphqlError, Request, Terms};
use parking_lot::Mutex;
use serde_json::{Value as Json, json};

use crate::fixture::fixture;

/// The answer to a query on these terms, and how many scans it took.
async fn ask(query: &str, terms: &Terms<'_>) -> (Json, usize) {
    let fixture = fixture().await;
    let request = Request::new(query, Principal::local());
    let answer = fixture.engine.execute_on(request, terms).await.json().expect("JSON");
    (answer, fixture.scans())
}

#[tokio::test]
async fn types_are_not_described_where_introspection_is_off() {
    let terms = Terms { introspection: false, ..Terms::default() };
    let hidden = [
        "{ __schema { types { name } } }",
        "{ films { totalCount } a: __type(name: \"Film\") { name } }",
        "{ ...Q } fragment Q on Query { ... { __schema { description } } }",
    ];
    for query in hidden {
        let (answer, scans) = ask(query, &terms).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "DENIED", "{answer}");
        assert_eq!((answer.get("data"), scans), (None, 0), "{query}");
        let (answer, _) = ask(query, &Terms::default()).await;
        assert_eq!(answer["errors"], Json::Null, "{query}");
    }
    let (answer, _) = ask("{ __typename films { __typename } }", &terms).await;
    assert_eq!(answer["data"]["__typename"], "Query");
}

#[tokio::test]
async fn names_are_not_suggested_where_suggestions_are_off() {
    let query = "{ films(fist: 1) { nodes { titel } } nobody }";
    let hints = |answer: &Json| {
        let errors = answer["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().filter(|error| error["extensions"]["hint"].is_string()).count()
    };
    let (told, _) = ask(query, &Terms::default()).await;
    let (silent, _) = ask(query, &Terms { suggestions: false, ..Terms::default() }).await;
    assert_eq!((hints(&told), hints(&silent)), (2, 0), "{told} {silent}");
    assert!(!silent.to_string().contains("title"), "{silent}");
    // A hint that names nothing of the schema stays.
    let several = "query A { __typename } query B { __typename }";
    let (answer, _) = ask(several, &Terms { suggestions: false, ..Terms::default() }).await;
    assert_eq!(hints(&answer), 1, "{answer}");
}

#[tokio::test]
async fn the_cost_is_charged_once_before_anything_is_read() {
    let charged = Mutex::new(Vec::new());
    let pays = |cost: f64| {
        charged.lock().push(cost);
        Ok(())
    };
    let query = "{ films(first: 2) { nodes { id } } }";
    let (answer, scans) = ask(query, &Terms { charge: &pays, ..Terms::default() }).await;
    assert_eq!((answer["errors"].clone(), scans), (Json::Null, 1));
    assert_eq!(*charged.lock(), [3.0]);
    let refuses = |_: f64| Err(GraphqlError::new(Kind::LimitExceeded, "no more today"));
    let (answer, scans) = ask(query, &Terms { charge: &refuses, ..Terms::default() }).await;
    assert_eq!((&answer["errors"][0]["message"], scans), (&json!("no more today"), 0));
    assert_eq!(answer.get("data"), None);
}

#[tokio::test]
async fn a_document_is_checked_in_all_its_operations() {
    let engine = fixture().await.engine;
    let good = "query A { films { totalCount } } mutation B { deleteFilm(id: \"x\") { count } }";
    assert_eq!(engine.check(good).expect("sound"), ["A", "B"]);
    assert_eq!(engine.check("{ films { totalCount } }").expect("sound"), [] as [&str; 0]);
    let bad = "query A { films { totalCount } } query B { films { titel } }";
    let errors = engine.check(bad).expect_err("`titel` is no field");
    assert_eq!(errors[0].locations, [(1, 52)], "{errors:?}");
    for nothing in ["", "fragment F on Film { id }", "{ films"] {
        engine.check(nothing).expect_err(nothing);
    }
}
