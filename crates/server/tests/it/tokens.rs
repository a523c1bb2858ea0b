//! Tokens over HTTP: what each scope may do, when a token ends, and that its secret is stored
//! nowhere.

use base::Scope;
use serde_json::{Value, json};
use server::operations::OPERATIONS;

use crate::lab::{Lab, START};

/// A server that demands tokens, and a token of each scope.
fn guarded() -> (Lab, [String; 3]) {
    let lab = Lab::new();
    let tokens = ["read", "write", "admin"].map(|scope| lab.token(scope));
    (lab, tokens)
}

fn scope_needed(operation: &str) -> Scope {
    OPERATIONS.iter().find(|(name, _)| *name == operation).unwrap().1
}

#[test]
fn a_token_is_made_listed_and_revoked() {
    let lab = Lab::new();
    let request = json!({"subject": "ann", "team": "shop", "scope": "write", "expiresIn": "30d"});
    let made = lab.call("tokenCreate", request).done();
    assert_eq!(made["createdAt"], START);
    assert_eq!(made["expiresAt"], "2026-12-23T08:00:00Z");
    let secret = made["secret"].as_str().unwrap();
    let mut listed = made.clone();
    listed.as_object_mut().unwrap().remove("secret");
    assert_eq!(lab.call("tokenList", json!({})).done(), json!([listed]));
    assert_eq!(lab.post_as(secret, "/operations/tables", &json!({})).status, 200);

    let revoked = lab.call("tokenRevoke", json!({"id": made["id"]})).done();
    assert_eq!(revoked["revokedAt"], START);
    check_refused(&lab, secret);
    // Revoking again changes nothing, and does not fail.
    lab.clock.advance(5_000_000);
    let again = lab.call("tokenRevoke", json!({"id": made["id"]})).done();
    assert_eq!(again["revokedAt"], START);
}

#[track_caller]
fn check_refused(lab: &Lab, secret: &str) {
    let answer = lab.post_as(secret, "/operations/tables", &json!({}));
    let error = answer.json();
    assert_eq!((answer.status, error["code"].as_str()), (401, Some("UNAUTHENTICATED")), "{error}");
    assert_eq!(error["message"], "the token is not valid");
    assert!(error["hint"].as_str().unwrap().contains("token create"), "{error}");
}

#[test]
fn a_token_that_is_not_valid_is_refused_whatever_is_wrong_with_it() {
    let lab = Lab::new();
    let good = lab.token("admin");
    let (id, secret) = good[3..].split_once('_').unwrap();
    let other = lab.token("admin");
    let foreign = other[3..].split_once('_').unwrap().1;
    for bad in [
        "x",
        "hw_",
        "hw__",
        &good[..good.len() - 1],
        &good.to_uppercase(),
        &format!("{good}x"),
        &format!("hw_{id}_"),
        &format!("hw_{id}_{foreign}"),
        &format!("hw_{}_{secret}", "0".repeat(32)),
        "hw_' OR '1'='1_x",
    ] {
        check_refused(&lab, bad);
    }
    assert_eq!(lab.post_as(&good, "/operations/tables", &json!({})).status, 200);
}

#[test]
fn a_token_ends_at_its_time() {
    let lab = Lab::new();
    let secret = lab.token_for("read", Some("1h"))["secret"].as_str().unwrap().to_owned();
    lab.clock.advance(3_600_000_000 - 1);
    assert_eq!(lab.post_as(&secret, "/operations/tables", &json!({})).status, 200);
    lab.clock.advance(1);
    check_refused(&lab, &secret);
}

#[test]
fn every_operation_demands_its_scope() {
    let (lab, tokens) = guarded();
    for (operation, _) in OPERATIONS {
        for (scope, token) in [Scope::Read, Scope::Write, Scope::Admin].iter().zip(&tokens) {
            // A request of a wrong shape shows that the door was passed, and does nothing.
            let answer = lab.post_as(token, &format!("/operations/{operation}"), &json!([1]));
            let error = answer.error();
            let is_denied = error["code"] == "DENIED";
            let expected = *scope < scope_needed(operation) && *operation != "import";
            assert_eq!(is_denied, expected, "{operation} as {scope:?}: {error}");
        }
    }
}

#[test]
fn scopes_hold_on_every_other_way_in() {
    let (lab, [read, write, _]) = guarded();
    let create = json!({"query": "mutation { createItem(input: {id: \"z\", name: \"z\"}) { node { id } } }"});
    for path in ["/graphql", "/operations/query"] {
        let answer = lab.post_as(&read, path, &create).text();
        assert!(answer.contains("DENIED"), "{path}: {answer}");
    }
    let compact = json!({"query": "mutation { compact { typeName } }"});
    assert!(lab.post_as(&write, "/system", &compact).text().contains("DENIED"));
    let headers = [("authorization", &*format!("Bearer {read}"))];
    let refused =
        lab.send("POST /import?options=%7B%22typeName%22%3A%22Item%22%7D", &headers, b"id\n1");
    assert_eq!((refused.status, &refused.json()["code"]), (403, &json!("DENIED")));
    assert_eq!(lab.rows("SELECT count(*) FROM items"), json!([["0"]]));
    let made = lab.post_as(&write, "/graphql", &create).json();
    assert_eq!(made["data"]["createItem"]["node"]["id"], "z", "{made}");
}

#[test]
fn a_server_that_demands_tokens_serves_data_to_nobody_else() {
    let folder = testkit::TempProject::with_schema(crate::lab::SHOP);
    let runtime = crate::lab::runtime();
    runtime.block_on(async {
        let (project, _) = crate::lab::open(&folder, "").await;
        let request = json!({"subject": "a", "team": "b", "scope": "read"});
        crate::lab::run(&project, "tokenCreate", request).await.unwrap();
    });
    let lab = Lab::open(folder, "[server]\nrequire_tokens = true", true);
    let body = json!({"query": "{ __typename }"});
    for path in ["/graphql", "/system", "/operations/status", "/export"] {
        assert_eq!(lab.post(path, &body).status, 401, "{path}");
    }
    for path in ["/metrics", "/media/Item/photo/00", "/graphql?query=%7B__typename%7D"] {
        assert_eq!(lab.get(path).status, 401, "{path}");
    }
    // Who asks is settled before the document is looked at.
    let mutation = crate::lab::encoded(r#"mutation { deleteItem(id: "a") { count } }"#);
    assert_eq!(lab.get(&format!("/graphql?query={mutation}")).status, 401);
    assert_eq!(lab.import(&json!({"typeName": "Item"}), b"id\n1\n").status, 401);
    // The page itself holds no data, and it is where a token is entered.
    assert_eq!(lab.get("/").status, 200);
    assert_eq!(lab.get("/health").status, 200);
}

#[test]
fn secrets_stand_nowhere_on_the_disk() {
    let (lab, tokens) = guarded();
    for token in &tokens {
        assert_eq!(lab.post_as(token, "/operations/tables", &json!({})).status, 200);
    }
    let secrets: Vec<&str> =
        tokens.iter().map(|token| token[3..].split_once('_').unwrap().1).collect();
    let ids: Vec<&str> = tokens.iter().map(|token| &token[3..35]).collect();
    let files = files_below(&lab.folder.path().join(".headwater"));
    let holds = |needle: &str| {
        files.iter().any(|bytes| bytes.windows(needle.len()).any(|part| part == needle.as_bytes()))
    };
    // The ids are found, so that this looks at the right bytes.
    assert!(ids.iter().all(|id| holds(id)), "{ids:?}");
    assert!(!secrets.iter().any(|secret| holds(secret)));
}

fn files_below(folder: &std::path::Path) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(std::fs::read(path).unwrap());
        }
    }
    found
}

#[test]
fn a_bad_request_for_a_token_is_worded() {
    let lab = Lab::new();
    let check = |request: Value, words: &str| {
        let error = lab.call("tokenCreate", request).error();
        assert_eq!(error["code"], "INVALID_INPUT", "{error}");
        assert!(error["message"].as_str().unwrap().contains(words), "{error}");
    };
    check(json!({"subject": "a", "team": "b", "scope": "root"}), "no scope `root`");
    check(json!({"subject": " ", "team": "b", "scope": "read"}), "a subject and a team");
    check(
        json!({"subject": "a", "team": "b", "scope": "read", "expiresIn": "soon"}),
        "`soon` is no duration",
    );
    check(
        json!({"subject": "a", "team": "b", "scope": "read", "expiresIn": "99999999999999d"}),
        "99999999999999d",
    );
    assert_eq!(lab.call("tokenList", json!({})).done(), json!([]));
    assert_eq!(lab.call("tokenRevoke", json!({"id": "nobody"})).error()["code"], "NOT_FOUND");
}
