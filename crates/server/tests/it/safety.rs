//! What `[graphql]` of the settings does to requests over HTTP: bounds, budgets, who is told about types.

use serde_json::{Value, json};

use crate::client::Answer;
use crate::lab::Lab;

const MODERN: &str = "application/graphql-response+json";

/// Asks as somebody who reached a proxy from an address, or with a token.
fn ask(lab: &Lab, query: &str, more: &[(&str, &str)]) -> Answer {
    let headers = [("content-type", "application/json"), ("accept", MODERN)];
    let body = json!({ "query": query }).to_string();
    lab.send("POST /graphql", &[&headers, more].concat(), body.as_bytes())
}

fn code(answer: &Answer) -> Value {
    answer.json()["errors"][0]["extensions"]["code"].clone()
}

/// A question that settings refuse, and that without them is answered.
#[track_caller]
fn check_bound(settings: &str, query: &str, words: &str) {
    let bounded = Lab::with(settings).with_items();
    let answer = ask(&bounded, query, &[]);
    assert_eq!(code(&answer), "LIMIT_EXCEEDED", "{settings}: {}", answer.text());
    assert!(answer.text().contains(words), "{settings}: {}", answer.text());
    let answer = ask(&Lab::new().with_items(), query, &[]);
    assert_eq!((answer.status, answer.json().get("errors")), (200, None), "{}", answer.text());
}

#[test]
fn settings_reach_the_limits_of_the_engine() {
    check_bound(
        "[graphql]\ndepth = 2",
        "{ items { nodes { id } } }",
        "nests selections 3 times; at most 2 are allowed",
    );
    check_bound(
        "[graphql]\ncost = 2",
        "{ items(first: 2) { nodes { id } } }",
        "the operation costs 3; at most 2 is allowed",
    );
    let long = format!("{{ {} }}", "items { nodes { id name price label } } ".repeat(40));
    check_bound("[graphql]\ntokens = 100", &long, "token limit reached");
    let aliases: String = (0..40).map(|n| format!("name_of_an_item_{n}: name ")).collect();
    check_bound(
        "[graphql]\nresponse_bytes = \"1KiB\"",
        &format!("{{ items {{ nodes {{ {aliases} }} }} }}"),
        "the answer is larger than 1.0 KiB",
    );
}

#[test]
fn the_body_of_a_question_has_a_bound_of_its_own() {
    let lab = Lab::with("[graphql]\nrequest_bytes = \"2KiB\"");
    let large = json!({"query": "{ __typename }", "operationName": " ".repeat(3000)});
    let answer = lab.post("/graphql", &large);
    assert_eq!(answer.status, 413, "{}", answer.text());
    assert!(answer.text().contains("raise `graphql.request_bytes`"), "{}", answer.text());
    // Other bodies have the bound of all.
    let answer =
        lab.post("/operations/sql", &json!({"sql": format!("SELECT 1 {}", " ".repeat(3000))}));
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn a_batch_of_requests_is_refused_in_words() {
    let lab = Lab::new();
    let batch = json!([{"query": "{ __typename }"}, {"query": "{ __typename }"}]);
    let answer = lab.post("/graphql", &batch);
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("requests are answered one by one"), "{}", answer.text());
}

#[test]
fn a_refusal_has_the_form_that_the_client_takes() {
    let lab = Lab::new();
    let headers = [("content-type", "application/json"), ("accept", MODERN)];
    let answer = lab.send("POST /graphql", &headers, b"{}");
    let expected = json!({"errors": [{
        "message": "there is no `query`",
        "extensions": {
            "code": "INVALID_INPUT",
            "hint": "send `{\"query\": \"{ … }\"}`, or a `documentId`",
        },
    }]});
    assert_eq!((answer.status, answer.json()), (400, expected));
    assert!(answer.header("content-type").unwrap().starts_with(MODERN));
    let plain = lab.send("POST /graphql", &headers[..1], b"{}");
    assert_eq!((plain.status, &plain.json()["code"]), (400, &json!("INVALID_INPUT")));
}

/// Strangers reach a server on loopback through a proxy; the owner of the machine and whoever has a
/// token are known.
const PROXIED: &str = "[server]\nbehind_proxy = true\n";

#[test]
fn types_are_told_to_those_who_are_known() {
    let query = "{ __type(name: \"Item\") { name } }";
    let allowed = |audience: &str| {
        let settings = format!("{PROXIED}[graphql]\nintrospection = \"{audience}\"");
        let lab = Lab::with(&settings);
        let bearer = format!("Bearer {}", lab.token("read"));
        let stranger = ask(&lab, query, &[]);
        let known = ask(&lab, query, &[("authorization", &bearer)]);
        [stranger, known].map(|answer| match answer.json().get("data") {
            Some(data) => data["__type"]["name"] == "Item",
            None => {
                assert_eq!(code(&answer), "DENIED");
                false
            }
        })
    };
    assert_eq!(allowed("all"), [true, true]);
    assert_eq!(allowed("signed-in"), [false, true]);
    assert_eq!(allowed("off"), [false, false]);
    // By default, as it is for those who are known; without a proxy, that is the owner, too.
    let default = Lab::with(PROXIED);
    assert_eq!(code(&ask(&default, query, &[])), "DENIED");
    assert_eq!(ask(&Lab::new(), query, &[]).status, 200);
    let other_ways = Lab::with("[graphql]\nintrospection = \"off\"");
    let answer = other_ways.call("query", json!({ "query": query })).done();
    assert_eq!(answer["errors"][0]["extensions"]["code"], "DENIED", "{answer}");
}

#[test]
fn names_are_suggested_to_those_who_are_known() {
    let hint = |lab: &Lab, more: &[(&str, &str)]| {
        let answer = ask(lab, "{ itens { totalCount } }", more).json();
        answer["errors"][0]["extensions"]["hint"].clone()
    };
    let lab = Lab::with(PROXIED);
    let bearer = format!("Bearer {}", lab.token("read"));
    assert_eq!(hint(&lab, &[]), Value::Null);
    assert_eq!(hint(&lab, &[("authorization", &bearer)]), "did you mean `items`?");
    let off = Lab::with("[graphql]\nsuggestions = \"off\"");
    assert_eq!(hint(&off, &[]), Value::Null);
}

/// A budget of 10 that fills at 2 a second: the question costs 1 for the request and 4 for the page.
const POOR: &str = "[graphql.budget]\na_second = 2\nsaved = 10\n";
const PAGE: &str = "{ items(first: 3) { nodes { id } } }";

#[test]
fn a_client_that_has_spent_its_budget_is_told_when_to_come_back() {
    let lab = Lab::with(&format!("{PROXIED}{POOR}")).with_items();
    let from = |address: &str| ask(&lab, PAGE, &[("x-forwarded-for", address)]);
    // 10 - 5 - 5 - 5: the third one overdraws the account by 5.
    for _ in 0..3 {
        assert_eq!(from("192.0.2.1").status, 200);
    }
    let refused = from("192.0.2.1");
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("3")));
    let error = &refused.json()["errors"][0];
    assert_eq!(error["extensions"]["code"], "LIMIT_EXCEEDED");
    assert_eq!(error["extensions"]["retryable"], true);
    assert_eq!(error["message"], "the budget is spent for the next 3 s");
    // Others have budgets of their own, and what a client says of itself does not count.
    assert_eq!(from("192.0.2.2").status, 200);
    assert_eq!(from("192.0.2.9, 192.0.2.1").status, 429);
    assert_eq!(from("192.0.2.1, 192.0.2.9").status, 200);
    lab.clock.advance(2_400_000);
    assert_eq!(from("192.0.2.1").header("retry-after"), Some("1"));
    lab.clock.advance(100_000);
    assert_eq!(from("192.0.2.1").status, 200);
    let metrics = lab.get("/metrics").text();
    assert!(metrics.contains("headwater_graphql_over_budget_total 3\n"), "{metrics}");
    assert!(metrics.contains("headwater_graphql_budgets 3\n"), "{metrics}");
}

#[test]
fn a_token_has_a_budget_and_the_owner_of_the_machine_has_none() {
    let lab = Lab::with(POOR).with_items();
    let [one, same, other] = ["read", "read", "write"].map(|scope| lab.token(scope));
    let spend = |token: &str| lab.post_as(token, "/graphql", &json!({ "query": PAGE })).status;
    assert_eq!([spend(&one), spend(&same), spend(&one)], [200; 3]);
    // Both tokens speak for one subject.
    assert_eq!((spend(&one), spend(&same), spend(&other)), (429, 429, 200));
    let query = lab.post_as(&one, "/operations/query", &json!({ "query": PAGE })).done();
    assert_eq!(query["errors"][0]["extensions"]["code"], "LIMIT_EXCEEDED", "{query}");
    for _ in 0..20 {
        assert_eq!(ask(&lab, PAGE, &[]).status, 200);
    }
}

#[test]
fn a_document_that_is_refused_costs_too() {
    let lab = Lab::with(&format!("{PROXIED}[graphql.budget]\na_second = 1\nsaved = 3\n"));
    let statuses: Vec<u16> = (0..6).map(|_| ask(&lab, "{ nobody }", &[]).status).collect();
    assert_eq!(statuses, [400, 400, 400, 400, 429, 429]);
}
