//! What is beyond a limit is refused with the limit's name, before anything is read.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base::{Clock, Principal};
use bytes::Bytes;
use futures::future::BoxFuture;
use mesh::{
    CallError, Engine, Limits, Request, Root, RootResolver, Service, ServiceCall, Settings,
};
use serde_json::{Value as Json, json};

use crate::fixture::{compiled, fixture_with, tables};

/// Under the limits, one question is answered and another is refused with these words; without them
/// the other is answered, too, so that nothing but the limit stands in its way.
async fn check(limits: Limits, within: &str, beyond: &str, message: &str) {
    let fixture = fixture_with(Settings { limits, ..Settings::default() }).await;
    assert_eq!(fixture.ask(within).await["errors"], Json::Null, "{within}");
    let answer = fixture.ask(beyond).await;
    assert_eq!(answer["errors"][0]["message"], message);
    assert_eq!(answer["errors"][0]["extensions"]["code"], "LIMIT_EXCEEDED", "{message}");
    let unbounded = fixture_with(Settings::default()).await;
    assert_eq!(unbounded.ask(beyond).await["errors"], Json::Null, "{beyond}");
}

#[tokio::test]
async fn tokens_are_bounded() {
    // Enough for the rows of the fixture, which are put in by a mutation.
    let limits = Limits { tokens: 80, ..Limits::default() };
    let message = "token limit reached, aborting lexing";
    let alike = |name: &str| format!("{name}: films {{ nodes {{ id title year }} }} ");
    let long = format!("{{ {} }}", ["a", "b", "c", "d", "e", "f"].map(alike).concat());
    check(limits, "{ films { totalCount } }", &long, message).await;
}

#[tokio::test]
async fn nesting_is_bounded() {
    let message = "the operation nests selections 4 times; at most 3 are allowed";
    let limits = Limits { depth: 3, ..Limits::default() };
    let deep = "{ films { nodes { director { name } } } }";
    check(limits, "{ films { nodes { id } } }", deep, message).await;
}

#[tokio::test]
async fn aliases_are_bounded() {
    let message = "the document has 2 aliases; at most 1 are allowed";
    let limits = Limits { aliases: 1, ..Limits::default() };
    let two = "{ a: films { totalCount } b: films { totalCount } }";
    check(limits, "{ a: films { totalCount } }", two, message).await;
}

#[tokio::test]
async fn fields_are_bounded() {
    let message = "the operation asks for fields 5 times; at most 4 are allowed";
    let limits = Limits { fields: 4, ..Limits::default() };
    let five = "{ films { nodes { id title year stars } } }";
    check(limits, "{ films { nodes { id title } } }", five, message).await;
}

#[tokio::test]
async fn selections_are_bounded() {
    let message = "the operation spreads to more than 100 selections";
    let limits = Limits { selections: 100, ..Limits::default() };
    let spread = "...F ".repeat(60);
    let many = format!("{{ films {{ nodes {{ {spread} }} }} }} fragment F on Film {{ id title }}");
    check(limits, "{ films { nodes { id } } }", &many, message).await;
}

#[tokio::test]
async fn the_cost_is_bounded() {
    let message = "the operation costs 601; at most 500 is allowed";
    let limits = Limits { cost: 500.0, ..Limits::default() };
    let query = |count: usize| {
        format!("{{ films(first: {count}) {{ nodes {{ plays(first: 5) {{ seconds }} }} }} }}")
    };
    check(limits, &query(50), &query(100), message).await;
}

#[tokio::test]
async fn pages_are_bounded() {
    let message = "`first` is 4; at most 3 rows are given at once";
    let limits = Limits { page: 3, ..Limits::default() };
    let query = |count: usize| format!("{{ films(first: {count}) {{ nodes {{ id }} }} }}");
    check(limits, &query(3), &query(4), message).await;
}

#[tokio::test]
async fn rows_are_bounded() {
    let message = "the request reads more than 4 rows";
    let limits = Limits { rows: 4, ..Limits::default() };
    check(limits, "{ films(first: 3) { nodes { id } } }", "{ films { nodes { id } } }", message)
        .await;
}

#[tokio::test]
async fn written_rows_are_bounded() {
    let message = "51 rows are given; at most 50 are changed at once";
    let limits = Limits { written_rows: 50, ..Limits::default() };
    let mutation = |count: usize| {
        let inputs: Vec<String> =
            (0..count).map(|n| format!("{{id: \"x{n}\", name: \"x\"}}")).collect();
        format!("mutation {{ upsertPeople(inputs: [{}]) {{ count }} }}", inputs.join(" "))
    };
    check(limits, &mutation(50), &mutation(51), message).await;
}

#[tokio::test]
async fn the_place_of_a_page_without_a_key_is_bounded() {
    let limits = Limits { offset: 1, ..Limits::default() };
    for (limits, is_bounded) in [(limits, true), (Limits::default(), false)] {
        let fixture = fixture_with(Settings { limits, ..Settings::default() }).await;
        let mut after = String::new();
        for page in 0..3 {
            let query = format!(
                "{{ plays(first: 1 {after}) {{ nodes {{ seconds }} pageInfo {{ endCursor }} }} }}"
            );
            let answer = fixture.ask(&query).await;
            if is_bounded && page == 2 {
                let message = "a page of a type without a key lies at most 1 rows deep";
                assert_eq!(answer["errors"][0]["message"], message);
                break;
            }
            assert_eq!(answer["errors"], Json::Null, "page {page}");
            after = format!("after: {}", answer["data"]["plays"]["pageInfo"]["endCursor"]);
        }
    }
}

#[tokio::test]
async fn answers_are_bounded() {
    let message = "the answer is larger than 100 B";
    let limits = Limits { response_bytes: 100, ..Limits::default() };
    let large = "{ films { nodes { id title } } }";
    check(limits.clone(), "{ films { totalCount } }", large, message).await;
    // One error says it, whatever went wrong before, and nothing of the data is sent.
    let fixture = fixture_with(Settings { limits, ..Settings::default() }).await;
    let answer = fixture.ask(large).await;
    assert_eq!(answer["data"], Json::Null);
    assert_eq!(answer["errors"].as_array().map(Vec::len), Some(1), "{answer}");
    // The types of the API are an answer like any other.
    let types = fixture.ask("{ __schema { types { name } } }").await;
    assert_eq!(types["errors"][0]["message"], message);
}

/// Answers `list` with values that are no numbers, and `never` not at all.
struct Stubborn;

#[async_trait]
impl RootResolver for Stubborn {
    async fn resolve(&self, _: Root, field: &str, _: Json, _: &Principal) -> base::Result<Json> {
        match field {
            "list" => Ok(json!(["a", "b", "c", "d"])),
            _ => std::future::pending().await,
        }
    }
}

async fn stubborn(limits: Limits, query: &str) -> Json {
    let settings = Settings { limits, ..Settings::default() };
    let sdl = "type Query { list: [Int]  never: Int }";
    let engine = Engine::plain_with_settings(sdl, Arc::new(Stubborn), settings).expect("valid SDL");
    engine.execute(Request::new(query, Principal::local())).await.json().expect("JSON")
}

#[tokio::test]
async fn errors_are_bounded() {
    let answer = stubborn(Limits { errors: 3, ..Limits::default() }, "{ list }").await;
    assert_eq!(answer["data"]["list"], json!([null, null, null, null]));
    assert_eq!(answer["errors"].as_array().map(Vec::len), Some(4));
    assert_eq!(answer["errors"][3]["message"], "1 more errors are left out");
    let answer = stubborn(Limits { errors: 4, ..Limits::default() }, "{ list }").await;
    assert_eq!(answer["errors"][3]["path"], json!(["list", 3]), "all are told");
}

#[tokio::test]
async fn time_is_bounded() {
    let limits = Limits { time: Duration::from_millis(5), ..Limits::default() };
    let answer = stubborn(limits, "{ never }").await;
    let message = answer["errors"][0]["message"].as_str().unwrap_or_default();
    assert!(message.contains("longer than"), "{answer}");
}

/// Says the same whatever it is asked.
struct Says(&'static str);

impl Service for Says {
    fn call<'a>(&'a self, _: ServiceCall<'a>) -> BoxFuture<'a, Result<Bytes, CallError>> {
        Box::pin(async { Ok(Bytes::from_static(self.0.as_bytes())) })
    }
}

const NOTES: &str = "extend schema @module(name: \"notes\", owner: \"desk\")
  @source(name: \"notes\", kind: GRAPHQL, url: \"http://notes\")
type Query { note: Note }
type Note { text: String  inner: Note }
";

/// Asks a graph of tables and a service under limits.
async fn graph(limits: Limits, says: &'static str, query: &str) -> Json {
    let schema = compiled(NOTES);
    let source = Arc::new(tables(&schema, Clock::system()));
    let settings = Settings { limits, ..Settings::default() };
    let services: Vec<Arc<dyn Service>> = vec![Arc::new(Says(says))];
    let engine = Engine::federated(schema, source, services, settings).expect("a graph");
    engine.execute(Request::new(query, Principal::local())).await.json().expect("JSON")
}

const NOTE: &str = r#"{"data":{"note":{"text":"hello","inner":{"text":"there"}}}}"#;

#[tokio::test]
async fn calls_of_services_are_bounded() {
    let query = "{ note { text } schemaFingerprint }";
    let answer = graph(Limits { calls: 2, ..Limits::default() }, NOTE, query).await;
    assert_eq!(answer["data"]["note"], json!({"text": "hello"}), "{answer}");
    let answer = graph(Limits { calls: 1, ..Limits::default() }, NOTE, query).await;
    let message = "the operation needs more than 1 calls of services";
    assert_eq!(answer["errors"][0]["message"], message);
    assert_eq!(answer["errors"][0]["extensions"]["code"], "LIMIT_EXCEEDED");
}

#[tokio::test]
async fn answers_of_services_are_bounded() {
    let query = "{ note { text inner { text } } }";
    let whole = json!({"note": {"text": "hello", "inner": {"text": "there"}}});
    let broken = "`notes` did not answer: the answer is not JSON that can be read";
    let (bytes, depth) = (NOTE.len(), 4);
    for (answer_bytes, answer_depth) in [(bytes, depth), (bytes - 1, depth), (bytes, depth - 1)] {
        let limits = Limits { answer_bytes, answer_depth, ..Limits::default() };
        let answer = graph(limits, NOTE, query).await;
        if (answer_bytes, answer_depth) == (bytes, depth) {
            assert_eq!(answer, json!({ "data": whole }));
        } else {
            assert_eq!(answer["errors"][0]["message"], broken, "{answer}");
            assert_eq!(answer["data"], json!({"note": null}));
        }
    }
}

#[tokio::test]
async fn answers_over_services_are_bounded() {
    let limits = Limits { response_bytes: 40, ..Limits::default() };
    let answer = graph(limits.clone(), NOTE, "{ note { text } }").await;
    assert_eq!(answer, json!({"data": {"note": {"text": "hello"}}}));
    let answer = graph(limits, NOTE, "{ note { text inner { text } } }").await;
    assert_eq!(answer["data"], Json::Null, "{answer}");
    assert_eq!(answer["errors"][0]["message"], "the answer is larger than 40 B");
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
    let request = Request::new("{ schemaFingerprint }", Principal::local());
    let response = carried(fixture.engine.execute(request)).await;
    assert_eq!((response.refused, response.errors), (false, 0));
}
