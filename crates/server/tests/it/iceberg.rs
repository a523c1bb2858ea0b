//! The Iceberg REST catalog, byte by byte: every file of `tests/iceberg` is a list of requests to one
//! server, and beside it lies what it answers.

use std::path::Path;

use serde_json::{Value, json};
use testkit::golden;
use testkit::redact::Redactor;

use crate::lab::Lab;

/// Sends the requests of a file and compares the answers.
fn check(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/iceberg");
    let requests = std::fs::read_to_string(folder.join(format!("{name}.requests"))).unwrap();
    let lab = Lab::new().with_items();
    let mut redact = Redactor::new(lab.folder.path());
    redact.rule(r#"("(?:last-updated-ms|timestamp-ms)": )\d+"#, "${1}0").unwrap();
    redact.rule(r#"-[0-9a-f]{8}(["/])"#, "-[SHORT]$1").unwrap();
    redact.rule(r#""total-files-size": "\d+""#, r#""total-files-size": "[SIZE]""#).unwrap();
    let mut out = String::new();
    for line in requests.lines() {
        if line.is_empty() || line.starts_with('#') {
            out.push_str(&format!("{line}\n"));
            continue;
        }
        let (method, rest) = line.split_once(' ').unwrap();
        let (path, body) = rest.split_once(' ').unwrap_or((rest, ""));
        let headers = [("content-type", "application/json")];
        let answer = lab.send(&format!("{method} /iceberg/v1/{path}"), &headers, body.as_bytes());
        out.push_str(&format!("\n> {line}\n{}\n", answer.status));
        if method != "HEAD" && !answer.body.is_empty() {
            out.push_str(&format!("{}\n", pretty(&answer.json())));
        }
    }
    golden::check(folder.join(format!("{name}.answers")), &redact.redact(&out));
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(&sorted(value)).unwrap()
}

/// Objects in the order of their names: maps have none of their own.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().map(|(k, v)| (k.clone(), sorted(v))).collect();
            fields.sort_by(|left, right| left.0.cmp(&right.0));
            fields.into_iter().collect()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

#[test]
fn namespaces_are_answered_as_the_specification_says() {
    check("namespaces");
}

#[test]
fn tables_and_views_are_answered_as_the_specification_says() {
    check("tables");
}

#[test]
fn a_table_that_did_not_change_is_not_sent_again() {
    let lab = Lab::new().with_items();
    let path = "GET /iceberg/v1/namespaces/shop/tables/items";
    let first = lab.send(path, &[], b"");
    let etag = first.header("etag").unwrap().to_owned();
    assert_eq!(lab.send(path, &[("if-none-match", &etag)], b"").status, 304);
    let options = json!({"typeName": "Item", "displayName": "more.csv"});
    assert_eq!(lab.import(&options, b"id,name,price\nz,rug,1\n").done()["rows"], 1);
    let after = lab.send(path, &[("if-none-match", &etag)], b"");
    assert_eq!(after.status, 200);
    assert_ne!(after.header("etag"), Some(etag.as_str()));
}

#[test]
fn credentials_come_to_those_who_ask_and_end_with_an_hour() {
    let lab = Lab::new().with_items();
    let path = "GET /iceberg/v1/namespaces/shop/tables/items";
    let plain = lab.send(path, &[], b"").json();
    assert!(plain["config"].get("s3.secret-access-key").is_none(), "{plain}");
    let vended = [("x-iceberg-access-delegation", "vended-credentials")];
    let lent = lab.send(path, &vended, b"").json();
    let config = &lent["storage-credentials"][0]["config"];
    assert_eq!(lent["storage-credentials"][0]["prefix"], lent["metadata"]["location"]);
    assert_eq!(config["s3.session-token-expires-at-ms"], "1795424400000");
    let signing = [("x-iceberg-access-delegation", "remote-signing")];
    let signed = lab.send(path, &signing, b"").json();
    assert_eq!(signed["config"]["s3.remote-signing-enabled"], "true");
    assert!(signed["config"].get("s3.secret-access-key").is_none(), "{signed}");
    let more = lab.send(&format!("{path}/credentials"), &[], b"").json();
    assert!(more["storage-credentials"][0]["config"]["s3.access-key-id"].is_string(), "{more}");
}

#[test]
fn the_same_key_makes_a_change_once_and_gives_the_same_answer() {
    let lab = Lab::new();
    let key = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
    let headers = [("content-type", "application/json"), ("idempotency-key", key)];
    let make = |name: &str| {
        let body = json!({ "namespace": [name] }).to_string();
        lab.send("POST /iceberg/v1/namespaces", &headers, body.as_bytes())
    };
    let first = make("once");
    let again = make("once");
    assert_eq!((first.status, again.status), (200, 200));
    assert_eq!(first.json(), again.json());
    assert_eq!(make("other").json()["error"]["type"], "UnprocessableEntityException");
    // Another key is another request, and the namespace is there.
    let other = "017f22e2-79b0-7cc3-98c4-dc0c0c073990";
    let headers = [("content-type", "application/json"), ("idempotency-key", other)];
    let body = b"{\"namespace\": [\"once\"]}";
    let taken = lab.send("POST /iceberg/v1/namespaces", &headers, body);
    assert_eq!(taken.json()["error"]["type"], "AlreadyExistsException");
    let odd = [("content-type", "application/json"), ("idempotency-key", "x")];
    let answer = lab.send("POST /iceberg/v1/namespaces", &odd, b"{\"namespace\": [\"x\"]}");
    assert_eq!(answer.status, 400);
}

#[test]
fn a_token_is_exchanged_and_ends_with_the_one_it_was_made_from() {
    let lab = Lab::with("[server]\nrequire_tokens = false\n");
    let made = lab.token_for("write", None);
    let secret = made["secret"].as_str().unwrap();
    let exchange = |secret: &str| {
        let form = format!(
            "grant_type=client_credentials&client_id=x&client_secret={secret}&scope=catalog"
        );
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        lab.send("POST /iceberg/v1/oauth/tokens", &headers, form.as_bytes())
    };
    let refused = exchange("hw_nothing_x");
    assert_eq!((refused.status, refused.json()["error"].as_str()), (401, Some("invalid_client")));
    let granted = exchange(secret).json();
    let token = granted["access_token"].as_str().unwrap();
    assert_eq!(granted["expires_in"], 3600);
    let list = |token: &str| {
        lab.post_as(
            token,
            "/iceberg/v1/namespaces",
            &json!({"namespace": [token.len().to_string()]}),
        )
    };
    assert_eq!(list(token).status, 200);
    let changed = token.replace("_write_", "_admin_");
    assert_eq!(list(&changed).json()["error"]["type"], "NotAuthorizedException");
    lab.call("tokenRevoke", json!({"id": made["id"]})).done();
    assert_eq!(list(token).status, 401);
}

#[test]
fn what_a_token_may_not_do_is_forbidden() {
    let lab = Lab::new();
    let read = lab.token("read");
    let answer = lab.post_as(&read, "/iceberg/v1/namespaces", &json!({"namespace": ["x"]}));
    assert_eq!(
        (answer.status, answer.json()["error"]["type"].as_str()),
        (403, Some("ForbiddenException"))
    );
}
