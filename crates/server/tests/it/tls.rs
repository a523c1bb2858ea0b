//! Beyond loopback: the server starts only where tokens and encryption are, and really encrypts.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;

use base::Kind;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::json;
use testkit::TempProject;

use crate::client;
use crate::lab::{Lab, message, open, run, runtime};

const BEYOND: &str = "[server]\nlisten = \"0.0.0.0:0\"";

/// What a start says that must be refused.
#[track_caller]
fn refusal(settings: &str, with_token: bool) -> base::Error {
    let (folder, runtime) = (TempProject::empty(), runtime());
    runtime.block_on(async {
        let (project, _) = open(&folder, settings).await;
        if with_token {
            let request = json!({"subject": "a", "team": "b", "scope": "admin"});
            run(&project, "tokenCreate", request).await.unwrap();
        }
        server::serve(project).await.err().expect("it must not start")
    })
}

#[track_caller]
fn check(error: &base::Error, message: &str, hint: &str) {
    assert_eq!(error.kind(), Kind::Denied, "{error}");
    assert!(error.message().contains(message), "{error}");
    assert!(error.hint_text().unwrap().contains(hint), "{:?}", error.hint_text());
}

#[test]
fn beyond_loopback_a_token_must_exist() {
    let error = refusal(BEYOND, false);
    check(&error, "can be reached from other machines, and there is no token", "token create");
    let error = refusal(&format!("{BEYOND}\nbehind_proxy = true"), false);
    check(&error, "there is no token", "token create");
}

#[test]
fn beyond_loopback_requests_must_be_encrypted() {
    check(&refusal(BEYOND, true), "would not be encrypted", "--behind-proxy");
}

#[test]
fn demanded_tokens_must_exist_on_loopback_too() {
    let error = refusal("[server]\nlisten = \"127.0.0.1:0\"\nrequire_tokens = true", false);
    check(&error, "tokens are demanded and there is none", "token create");
}

#[test]
fn a_taken_address_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = refusal(&format!("[server]\nlisten = \"{address}\""), false);
    assert!(error.message().contains(&format!("failed to listen at `{address}`")), "{error}");
}

#[test]
fn a_certificate_that_is_none_is_named() {
    let folder = TempProject::empty().file("c.pem", "no certificate").file("k.pem", "no key");
    let path = folder.path().display();
    let error = refusal(
        &format!(
            "[server]\nlisten = \"127.0.0.1:0\"\ntls_certificate = \"{path}/c.pem\"\ntls_key = \"{path}/k.pem\""
        ),
        false,
    );
    assert!(error.message().contains("c.pem") && error.message().contains("k.pem"), "{error}");
}

#[test]
fn behind_a_proxy_it_serves_in_plain_and_demands_tokens() {
    let folder = TempProject::empty();
    let token = make_token(&folder);
    let settings = format!("{BEYOND}\nbehind_proxy = true\nallow_hosts = [\"data.example\"]");
    let lab = Lab::open(folder, &settings, false);
    assert!(lab.url().starts_with("http://"));
    let ask = |headers: &[(&str, &str)]| {
        let headers = [&[("host", "data.example"), ("content-type", "application/json")], headers];
        lab.send("POST /operations/status", &headers.concat(), b"{}")
    };
    let refused = ask(&[]);
    assert_eq!((refused.status, &refused.json()["code"]), (401, &json!("UNAUTHENTICATED")));
    assert_eq!(ask(&[("authorization", &format!("Bearer {token}"))]).status, 200);
    // Whoever watches over the server needs no token, whoever reads its counters does.
    assert_eq!(lab.send("GET /health", &[("host", "data.example")], b"").status, 200);
    assert_eq!(lab.send("GET /metrics", &[("host", "data.example")], b"").status, 401);
}

fn make_token(folder: &TempProject) -> String {
    let request = json!({"subject": "ann", "team": "shop", "scope": "admin"});
    let answer = runtime().block_on(async {
        let (project, _) = open(folder, "").await;
        run(&project, "tokenCreate", request).await.unwrap()
    });
    answer["secret"].as_str().unwrap().to_owned()
}

#[test]
fn tls_is_served_and_plain_requests_are_not_answered() {
    let certified = rcgen::generate_simple_self_signed(["data.example".to_owned()]).unwrap();
    let folder = TempProject::empty()
        .file("c.pem", certified.cert.pem())
        .file("k.pem", certified.signing_key.serialize_pem());
    let token = make_token(&folder);
    let path = folder.path().display();
    let settings = format!(
        "{BEYOND}\nallow_hosts = [\"data.example\"]\ntls_certificate = \"{path}/c.pem\"\ntls_key = \"{path}/k.pem\""
    );
    let lab = Lab::open(folder, &settings, false);
    assert!(lab.url().starts_with("https://"), "{}", lab.url());
    let token = format!("Bearer {token}");
    let headers = [("host", "data.example"), ("authorization", token.as_str())];
    let request = message("GET /metrics", &headers, b"");
    let answer = over_tls(&lab, certified.cert.der().clone(), &request);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.text().contains("headwater_requests_total"), "{}", answer.text());
    assert!(!client::send_and_hang_up(lab.address, &request).starts_with(b"HTTP/1.1 200"));
}

fn over_tls(lab: &Lab, trusted: CertificateDer<'static>, request: &[u8]) -> client::Answer {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("data.example").unwrap();
    let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let socket = TcpStream::connect(("127.0.0.1", lab.address.port())).unwrap();
    let mut stream = rustls::StreamOwned::new(connection, socket);
    stream.write_all(request).unwrap();
    client::read(&mut stream).unwrap()
}
