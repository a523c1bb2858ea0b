//! What is beyond a limit is refused with the limit's name, before anything is read.

use mesh::{Limits, Settings};
use serde_json::Value as Json;

use crate::fixture::fixture_with;

/// The first message of a query under limits, and how many scans there were.
async fn check(limits: Limits, query: &str, message: &str) {
    let fixture = fixture_with(Settings { limits, ..Settings::default() }).await;
    let answer = fixture.ask(query).await;
    assert_eq!(answer["errors"][0]["message"], message);
    assert_eq!(answer["errors"][0]["extensions"]["code"], "LIMIT_EXCEEDED", "{message}");
}

#[tokio::test]
async fn documents_are_bounded() {
    check(
        Limits { depth: 3, ..Limits::default() },
        "{ films { nodes { director { name } } } }",
        "the operation nests selections 4 times; at most 3 are allowed",
    )
    .await;
    check(
        Limits { aliases: 1, ..Limits::default() },
        "{ a: films { totalCount } b: films { totalCount } }",
        "the document has 2 aliases; at most 1 are allowed",
    )
    .await;
    check(
        Limits { fields: 4, ..Limits::default() },
        "{ films { nodes { id title year stars } } }",
        "the operation asks for fields 5 times; at most 4 are allowed",
    )
    .await;
    check(
        Limits { cost: 500.0, ..Limits::default() },
        "{ films(first: 100) { nodes { plays(first: 5) { seconds } } } }",
        "the operation costs 601; at most 500 is allowed",
    )
    .await;
}

#[tokio::test]
async fn rows_are_bounded() {
    check(
        Limits { page: 3, ..Limits::default() },
        "{ films(first: 4) { nodes { id } } }",
        "`first` is 4; at most 3 rows are given at once",
    )
    .await;
    check(
        Limits { rows: 4, ..Limits::default() },
        "{ films { nodes { id } } }",
        "the request reads more than 4 rows",
    )
    .await;
}

#[tokio::test]
async fn fragments_that_double_at_every_level_are_planned_once() {
    let fixture = fixture_with(Settings::default()).await;
    let mut query = "{ films { nodes { ...F0 } } }\n".to_owned();
    for level in 0..30 {
        query.push_str(&format!("fragment F{level} on Film {{ ...F{0} ...F{0} }}\n", level + 1));
    }
    query.push_str("fragment F30 on Film { id }");
    let answer = fixture.ask(&query).await;
    assert_eq!(answer["errors"], Json::Null);
    assert_eq!(answer["data"]["films"]["nodes"][0]["id"], "f1");
}

/// Thirty fragments, each spreading the next one under two variables: 2³⁰ ways to the last.
fn doubling(condition: impl Fn(usize) -> [String; 2]) -> String {
    let variables: Vec<String> = (0..30)
        .map(|level| format!("$a{level}: Boolean = true, $b{level}: Boolean = true"))
        .collect();
    let mut query =
        format!("query({}) {{ films {{ nodes {{ ...F0 }} }} }}\n", variables.join(", "));
    for level in 0..30 {
        let [a, b] = condition(level);
        let next = level + 1;
        query.push_str(&format!("fragment F{level} on Film {{ ...F{next} {a} ...F{next} {b} }}\n"));
    }
    query + "fragment F30 on Film { id }"
}

#[tokio::test]
async fn fragments_under_many_variables_are_refused_at_once() {
    let fixture = fixture_with(Settings::default()).await;
    let either = |n| [format!("@include(if: $a{n})"), format!("@skip(if: $b{n})")];
    let answer = fixture.ask(&doubling(either)).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "LIMIT_EXCEEDED", "{answer}");
    assert_eq!(
        answer["errors"][0]["message"],
        "the operation spreads to more than 100000 selections"
    );
    // Under the same variables everywhere there is one way that all others imply.
    let same = |_| ["@include(if: $a0)".to_owned(), "@include(if: $a0)".to_owned()];
    let query = doubling(same);
    let declared = query.find('{').expect("a selection");
    let query = format!("query($a0: Boolean = true) {}", &query[declared..]);
    let answer = fixture.ask(&query).await;
    assert_eq!(answer["errors"], Json::Null);
    assert_eq!(answer["data"]["films"]["nodes"][0]["id"], "f1");
}

#[tokio::test]
async fn fields_under_many_variables_are_refused_at_once() {
    let fixture = fixture_with(Settings::default()).await;
    let variables: Vec<String> =
        (0..12).map(|n| format!("$a{n}: Boolean = true, $b{n}: Boolean = true")).collect();
    let mut query =
        format!("query({}) {{ films {{ nodes {{ ...F0 }} }} }}\n", variables.join(", "));
    for level in 0..12 {
        let inner = |side| format!("similar @include(if: ${side}{level}) {{ ...F{} }}", level + 1);
        query.push_str(&format!("fragment F{level} on Film {{ {} {} }}\n", inner('a'), inner('b')));
    }
    let answer = fixture.ask(&(query + "fragment F12 on Film { id }")).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "LIMIT_EXCEEDED", "{answer}");
    assert_eq!(fixture.scans(), 0);
}

#[tokio::test]
async fn a_request_can_be_carried_by_any_thread() {
    fn carried<T: Send>(future: T) -> T {
        future
    }
    let fixture = fixture_with(Settings::default()).await;
    let request = mesh::Request::new("{ schemaFingerprint }", base::Principal::local());
    let response = carried(fixture.engine.execute(request)).await;
    assert_eq!((response.refused, response.errors), (false, 0));
}
