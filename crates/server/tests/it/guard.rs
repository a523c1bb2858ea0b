//! Who may call: hosts that are ours, pages that are ours, bodies that say they are JSON.

use serde_json::json;

use crate::lab::Lab;

const QUERY: &str = r#"{"query": "{ __typename }"}"#;

/// Posts a question with a header more.
fn ask(lab: &Lab, headers: &[(&str, &str)]) -> crate::client::Answer {
    let json = [("content-type", "application/json")];
    lab.send("POST /graphql", &[&json, headers].concat(), QUERY.as_bytes())
}

#[track_caller]
fn check_refused(answer: &crate::client::Answer, status: u16, code: &str, words: &str) {
    let error = answer.json();
    assert_eq!((answer.status, error["code"].as_str()), (status, Some(code)), "{error}");
    assert!(error["message"].as_str().unwrap().contains(words), "{error}");
    assert!(error["hint"].is_string(), "{error}");
}

#[test]
fn a_rebound_name_is_refused() {
    let lab = Lab::new();
    for host in ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "", "127.0.0.2"] {
        let answer = ask(&lab, &[("host", host)]);
        check_refused(&answer, 421, "DENIED", "does not answer for the host");
    }
    // Nothing is told before the host is known to be ours, not even that the server is well.
    check_refused(
        &lab.send("GET /health", &[("host", "evil.example")], b""),
        421,
        "DENIED",
        "host",
    );
    for host in ["localhost", "LOCALHOST:1", "127.0.0.1:80", "[::1]:80"] {
        assert_eq!(ask(&lab, &[("host", host)]).status, 200, "{host}");
    }
}

#[test]
fn a_request_with_two_hosts_is_refused() {
    let lab = Lab::new();
    let answer = lab.send("GET /health", &[("host", "localhost"), ("Host", "evil.example")], b"");
    check_refused(&answer, 400, "INVALID_INPUT", "more than one host");
}

#[test]
fn a_page_of_another_origin_is_refused() {
    let lab = Lab::new();
    for origin in ["https://evil.example", "null", "http://127.0.0.1.evil.example", "\u{e9}"] {
        check_refused(&ask(&lab, &[("origin", origin)]), 403, "DENIED", "may not call this server");
    }
    let answer = ask(&lab, &[("origin", "http://127.0.0.1"), ("origin", "https://evil.example")]);
    check_refused(&answer, 403, "DENIED", "evil.example");
}

#[test]
fn the_servers_own_pages_may_call() {
    let lab = Lab::new();
    let own = format!("http://{}", lab.address);
    let answer = ask(&lab, &[("host", &lab.address.to_string()), ("origin", &own)]);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), Some(own.as_str()));
}

#[test]
fn an_allowed_host_and_origin_may_call_and_others_still_may_not() {
    let lab = Lab::with(
        "[server]\nallow_hosts = [\"Data.Example\"]\nallow_origins = [\"https://App.example\"]",
    );
    let host = ("host", "data.example:443");
    assert_eq!(ask(&lab, &[host, ("origin", "https://app.example")]).status, 200);
    assert_eq!(ask(&lab, &[host, ("origin", "http://app.example")]).status, 403);
    assert_eq!(ask(&lab, &[("host", "other.example")]).status, 421);
}

#[test]
fn a_page_of_an_allowed_origin_gets_leave_to_send_what_a_generated_client_sends() {
    let lab = Lab::with("[server]\nallow_origins = [\"https://app.example\"]");
    let asks = |origin| {
        let headers = [("origin", origin), ("access-control-request-method", "POST")];
        lab.send("OPTIONS /graphql", &headers, b"")
    };
    let leave = asks("https://app.example");
    assert_eq!(leave.status, 204);
    assert_eq!(leave.header("access-control-allow-origin"), Some("https://app.example"));
    let allowed = leave.header("access-control-allow-headers").unwrap();
    for name in ["content-type", "authorization", "headwater-schema", "headwater-client"] {
        assert!(allowed.split(", ").any(|one| one == name), "{allowed}");
    }
    assert_eq!(asks("https://evil.example").status, 403);
}

#[test]
fn a_body_that_a_form_could_send_is_refused() {
    let lab = Lab::new();
    let kinds = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json"];
    for path in ["/graphql", "/system", "/operations/status", "/export"] {
        for kind in kinds {
            let answer = lab.send(&format!("POST {path}"), &[("content-type", kind)], b"{}");
            check_refused(&answer, 415, "INVALID_INPUT", "must be JSON");
        }
        check_refused(&lab.send(&format!("POST {path}"), &[], b"{}"), 415, "INVALID_INPUT", "JSON");
    }
    for kind in ["application/json; charset=utf-8", "Application/JSON"] {
        let answer = lab.send("POST /graphql", &[("content-type", kind)], QUERY.as_bytes());
        assert_eq!(answer.status, 200, "{kind}");
    }
}

#[test]
fn a_question_by_get_that_a_foreign_page_could_send_is_refused() {
    let lab = Lab::new().with_items();
    let query = crate::lab::encoded("{ items { totalCount } }");
    let ask =
        |headers: &[(&str, &str)]| lab.send(&format!("GET /graphql?query={query}"), headers, b"");
    let site = |site| ("sec-fetch-site", site);
    // A picture, a script or a link: a browser of today says so, one of yesterday says nothing.
    for foreign in [&[][..], &[site("cross-site")], &[site("same-site")], &[site("")]] {
        check_refused(&ask(foreign), 403, "DENIED", "a page of another site");
        // A content type that forms can send needs no leave either.
        let form = [foreign, &[("content-type", "text/plain")]].concat();
        check_refused(&ask(&form), 403, "DENIED", "a page of another site");
    }
    let meant = [
        &[site("same-origin")][..],
        &[site("none")],
        &[("headwater-preflight", "1")],
        &[("apollo-require-preflight", "true")],
        &[("content-type", "application/json"), site("cross-site")],
    ];
    for headers in meant {
        let answer = ask(headers);
        assert_eq!(
            (answer.status, &answer.json()["data"]["items"]["totalCount"]),
            (200, &json!(3))
        );
    }
    // A page of another origin is refused whatever else it sends.
    let origin = ("origin", "https://evil.example");
    let answer = ask(&[origin, ("headwater-preflight", "1")]);
    check_refused(&answer, 403, "DENIED", "may not call this server");
}

#[test]
fn a_mutation_by_get_is_refused_and_changes_nothing() {
    let lab = Lab::new().with_items();
    let mutation = crate::lab::encoded(r#"mutation { deleteItem(id: "a") { count } }"#);
    let line = format!("GET /graphql?query={mutation}");
    let answer = lab.send(&line, &[("headwater-preflight", "1")], b"");
    check_refused(&answer, 405, "INVALID_INPUT", "cannot be asked for with GET");
    assert_eq!(answer.header("allow"), Some("POST"));
    assert_eq!(lab.rows("SELECT count(*) FROM items"), json!([["3"]]));
}

#[test]
fn a_method_that_is_not_offered_is_answered_with_those_that_are() {
    let lab = Lab::new();
    for (line, allowed) in [
        ("GET /operations/sql", "POST"),
        ("DELETE /graphql", "POST"),
        ("GET /import", "POST"),
        ("POST /health", "GET"),
        ("POST /page", "GET"),
    ] {
        let answer = lab.send(line, &[], b"");
        check_refused(&answer, 405, "INVALID_INPUT", "is not offered");
        let methods = answer.header("allow").unwrap_or_default();
        assert!(methods.contains(allowed), "{line}: {methods}");
    }
}

#[test]
fn loopback_serves_its_owner_without_a_token() {
    let lab = Lab::new();
    assert!(lab.url().starts_with("http://127.0.0.1:"), "{}", lab.url());
    assert_eq!(lab.call("tokenList", json!({})).done(), json!([]));
}

#[test]
fn answers_carry_headers_that_keep_pages_apart() {
    let lab = Lab::new();
    let answer = lab.get("/");
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
}
