//! Subscriptions as the usual clients hear them: the npm packages `graphql-sse` and `graphql-ws` against a
//! server of this process; and what no such client would say, byte by byte. The clients need `node` and
//! what `npm ci` puts into `tests/subscriptions`; without them those tests say that they were skipped.

mod frames;
mod services;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::client;
use crate::lab::{Lab, message};
use frames::Socket;

/// The folder with the clients, when they are installed.
fn installed() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/subscriptions");
    let is_there = folder.join("node_modules/graphql-ws/package.json").is_file();
    if is_there && Command::new("node").arg("--version").output().is_ok() {
        return Some(folder);
    }
    // Past the capture of the test harness, which would hide it from a passing test.
    let notice = "skipped: tests/subscriptions is not installed; `cargo xtask setup` installs it\n";
    drop(std::io::stderr().write_all(notice.as_bytes()));
    None
}

/// A client in a process of its own.
struct Client {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Client {
    fn start(folder: &Path, protocol: &str, lab: &Lab, token: Option<&str>) -> Client {
        let mut child = Command::new("node")
            .args(["listen.mjs", protocol, &format!("{}graphql", lab.url())])
            .args(token)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Client { child, input, output }
    }

    fn tell(&mut self, line: &Value) {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{line}").unwrap();
        input.flush().unwrap();
    }

    fn ask(&mut self, id: &str, query: &str) {
        self.tell(&json!({ "id": id, "query": query }));
    }

    /// The next line.
    #[track_caller]
    fn hear(&mut self) -> Value {
        let mut line = String::new();
        assert!(self.output.read_line(&mut line).unwrap() > 0, "the client has ended");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// The change that an operation tells next.
    #[track_caller]
    fn change(&mut self, id: &str) -> Value {
        let line = self.hear();
        assert_eq!(line["id"], id, "{line}");
        let change = &line["next"]["data"]["itemChanged"];
        assert!(change.is_object(), "{line}");
        change.clone()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.input.take());
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn upsert(lab: &Lab, id: &str, price: f64) -> String {
    let query = format!(
        "mutation {{ upsertItem(input: {{id: \"{id}\", name: \"N\", price: {price}}}) {{ snapshot }} }}"
    );
    let answer = lab.post("/graphql", &json!({ "query": query })).json();
    let snapshot = answer["data"]["upsertItem"]["snapshot"].as_str();
    snapshot.unwrap_or_else(|| panic!("{answer}")).to_owned()
}

const CHANGED: &str = "subscription { itemChanged { kind key { id } snapshot node { price } } }";

/// How many streams and sockets the node has.
fn streams(lab: &Lab) -> u64 {
    let metrics = lab.get("/metrics").text();
    let line = metrics.lines().find_map(|line| line.strip_prefix("headwater_graphql_streams "));
    line.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{metrics}"))
}

/// Waits until the node has so many; each look is a request of its own.
fn until_streams(lab: &Lab, count: u64) {
    let patience = std::time::Instant::now();
    while streams(lab) != count {
        assert!(patience.elapsed().as_secs() < 60, "there are still {} streams", streams(lab));
        std::thread::yield_now();
    }
}

#[test]
fn both_clients_hear_changes_and_go_on_after_a_snapshot() {
    let Some(folder) = installed() else { return };
    for (protocol, held) in [("sse", 1), ("ws", 2)] {
        let lab = Lab::new().with_items();
        let mut client = Client::start(&folder, protocol, &lab, None);
        let mut last = upsert(&lab, "a", 0.5);
        let after =
            |last: &str| CHANGED.replace("itemChanged", &format!("itemChanged(after: \"{last}\")"));
        client.ask("1", &after(&last));
        until_streams(&lab, held);
        for price in [1.5, 2.5] {
            last = upsert(&lab, "a", price);
            let expected = json!({
                "kind": "UPSERTED", "key": {"id": "a"}, "snapshot": last, "node": {"price": price},
            });
            assert_eq!(client.change("1"), expected);
        }
        client.tell(&json!({"stop": "1"}));
        if protocol == "ws" {
            assert_eq!(client.hear(), json!({"id": "1", "complete": true}));
        }
        // Nothing is missed between two subscriptions, and nothing is told twice.
        let missed = upsert(&lab, "b", 7.0);
        let gone = "mutation { deleteItem(id: \"c\") { snapshot } }";
        let gone = lab.post("/graphql", &json!({ "query": gone })).json();
        client.ask("2", &after(&last));
        let mut told = Vec::new();
        while told.len() < 2 {
            let line = client.hear();
            if line["id"] == "2" && line.get("next").is_some() {
                told.push(line["next"]["data"]["itemChanged"].clone());
            }
        }
        let keys: Vec<&str> = told.iter().map(|one| one["key"]["id"].as_str().unwrap()).collect();
        assert_eq!(keys, ["b", "c"], "{told:?}");
        assert_eq!(told[0]["snapshot"], missed.as_str());
        assert_eq!(told[1]["kind"], "DELETED");
        assert_eq!(told[1]["snapshot"], gone["data"]["deleteItem"]["snapshot"]);
        drop(client);
        until_streams(&lab, 0);
    }
}

#[test]
fn both_clients_get_single_answers_and_errors() {
    let Some(folder) = installed() else { return };
    for protocol in ["sse", "ws"] {
        let lab = Lab::new().with_items();
        let mut client = Client::start(&folder, protocol, &lab, None);
        client.ask("q", "{ item(id: \"a\") { name } }");
        let answer = json!({"id": "q", "next": {"data": {"item": {"name": "lamp"}}}});
        assert_eq!(client.hear(), answer);
        assert_eq!(client.hear(), json!({"id": "q", "complete": true}));
        client.ask("e", "subscription { itemChanged { kind nothing } }");
        let error = client.hear();
        let message = match protocol {
            "sse" => &error["next"]["errors"][0]["message"],
            _ => &error["error"][0]["message"],
        };
        assert!(message.as_str().unwrap().contains("nothing"), "{error}");
        if protocol == "sse" {
            assert_eq!(client.hear(), json!({"id": "e", "complete": true}));
        }
        client.ask("s", "subscription { itemChanged(after: \"5\") { kind } }");
        let error = client.hear().to_string();
        assert!(error.contains("not kept any more") && error.contains("read it anew"), "{error}");
    }
}

#[test]
fn a_token_is_taken_and_its_end_ends_streams() {
    let Some(folder) = installed() else { return };
    for protocol in ["sse", "ws"] {
        let lab = Lab::with("graphql.heartbeat = \"50ms\"\n");
        let token = lab.token_for("read", None);
        let mut client = Client::start(&folder, protocol, &lab, Some("hw_wrong"));
        client.ask("1", CHANGED);
        let refused = client.hear();
        let told = refused.to_string();
        assert!(told.contains("401") || told.contains("4403"), "{told}");
        drop(client);
        let secret = token["secret"].as_str().unwrap();
        let mut client = Client::start(&folder, protocol, &lab, Some(secret));
        client.ask("1", CHANGED);
        until_streams(&lab, if protocol == "sse" { 1 } else { 2 });
        lab.in_process("tokenRevoke", json!({"id": token["id"]}));
        let end = client.hear().to_string();
        assert!(end.contains("UNAUTHENTICATED") || end.contains("4403"), "{end}");
    }
}

#[test]
fn what_is_against_the_protocol_closes_the_socket_with_its_code() {
    let lab = Lab::with("graphql.connection_subscriptions = 2\ngraphql.request_bytes = \"1KiB\"\n");
    let init = "{\"type\":\"connection_init\"}";
    let subscribe = |id: &str| {
        json!({"id": id, "type": "subscribe", "payload": {"query": CHANGED}}).to_string()
    };
    let check = |said: &[&str], code: u16| {
        let mut socket = Socket::open(lab.address, "graphql-transport-ws").unwrap();
        for text in said {
            socket.say(text);
        }
        assert_eq!(socket.closed(), code, "{said:?}");
    };
    check(&["nonsense"], 4400);
    check(&[init, "{\"type\":\"start\"}"], 4400);
    check(&[&subscribe("1")], 4401);
    check(&[init, init], 4429);
    check(&[init, &subscribe("1"), &subscribe("1")], 4409);
    check(&[init, &subscribe("1"), &subscribe("2"), &subscribe("3")], 4429);
    // Another protocol of that name's history is not spoken.
    let mut old = Socket::open(lab.address, "graphql-ws").unwrap();
    assert_eq!(old.closed(), 4406);
    // Too large a message ends the connection without a word.
    let mut socket = Socket::open(lab.address, "graphql-transport-ws").unwrap();
    socket.say(&format!("{{\"type\":\"ping\",\"payload\":{{\"a\":\"{}\"}}}}", "x".repeat(2_000)));
    assert_eq!(socket.closed(), 0);
    until_streams(&lab, 0);
    let mut socket = Socket::open(lab.address, "graphql-transport-ws").unwrap();
    socket.say("{\"type\":\"ping\",\"payload\":{\"a\":1}}");
    assert_eq!(socket.hear(), json!({"type": "pong", "payload": {"a": 1}}));
}

#[test]
fn a_socket_that_runs_nothing_is_closed() {
    let lab = Lab::with("graphql.socket_idle = \"1ms\"\ngraphql.heartbeat = \"10ms\"\n");
    let mut socket = Socket::open(lab.address, "graphql-transport-ws").unwrap();
    socket.say("{\"type\":\"connection_init\"}");
    assert_eq!(socket.hear(), json!({"type": "connection_ack"}));
    assert_eq!(socket.closed(), 1000);
}

#[test]
fn a_page_of_another_origin_gets_no_socket() {
    let lab = Lab::new();
    let refused = Socket::open_from(lab.address, "graphql-transport-ws", "http://evil.example");
    assert_eq!(refused.err(), Some(403));
}

#[test]
fn streams_of_a_node_are_bounded() {
    let lab = Lab::with("graphql.subscriptions = 1\n");
    let _held = Socket::open(lab.address, "graphql-transport-ws").unwrap();
    assert_eq!(Socket::open(lab.address, "graphql-transport-ws").err(), Some(503));
    let headers = [("content-type", "application/json"), ("accept", "text/event-stream")];
    let body = json!({ "query": CHANGED }).to_string();
    let refused = lab.send("POST /graphql", &headers, body.as_bytes());
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.text().contains("graphql.subscriptions"), "{}", refused.text());
    // Questions need no place.
    let body = json!({"query": "{ __typename }"}).to_string();
    let answer = lab.send("POST /graphql", &headers, body.as_bytes());
    assert_eq!(
        answer.text(),
        "event: next\ndata: {\"data\":{\"__typename\":\"Query\"}}\n\nevent: complete\ndata:\n\n"
    );
}

#[test]
fn a_silent_stream_says_that_it_is_alive_and_ends_with_the_server() {
    let mut lab = Lab::with("graphql.heartbeat = \"10ms\"\n");
    let body = json!({ "query": CHANGED }).to_string();
    let headers = [("content-type", "application/json"), ("accept", "text/event-stream")];
    let mut stream = client::connect(lab.address);
    stream.write_all(&message("POST /graphql", &headers, body.as_bytes())).unwrap();
    let mut heard = Vec::new();
    let mut piece = [0; 1024];
    while !String::from_utf8_lossy(&heard).contains(":\n\n") {
        let length = stream.read(&mut piece).unwrap();
        assert!(length > 0, "{}", String::from_utf8_lossy(&heard));
        heard.extend_from_slice(&piece[..length]);
    }
    let head = String::from_utf8_lossy(&heard).to_ascii_lowercase();
    assert!(head.contains("content-type: text/event-stream"), "{head}");
    assert!(!head.contains("content-encoding"), "{head}");
    let began = std::time::Instant::now();
    let stopped = lab.stop();
    stream.read_to_end(&mut heard).unwrap();
    assert!(String::from_utf8_lossy(&heard).contains("event: complete"), "no end");
    stopped.join().unwrap().unwrap();
    // Long before the server would give up on requests in flight.
    assert!(began.elapsed().as_secs() < 15, "{:?}", began.elapsed());
}
