//! Events of a service that speaks as the usual libraries do: `graphql-ws` and `graphql-sse` behind one address,
//! under paths of their own. Its header comes from the settings, and who leaves is noticed there.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use testkit::TempProject;

use super::frames::Socket;
use super::{installed, until_streams};
use crate::lab::{Lab, SHOP};

const NEWS: &str = r#"extend schema @module(name: "news", owner: "desk")
  @source(name: "news", kind: GRAPHQL, url: "http://news/graphql", EVENTS)
  @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key"])

type Query { listeners: Int! }
type Subscription { counted(to: Int!): Note  endless: Note  broken: Note }
type Note { text: String!  item: Item }
type Item @key(fields: "id", resolvable: false) { id: ID! }
"#;

const WAYS: [&str; 2] =
    ["events: WEBSOCKET, eventsPath: \"/socket\"", "events: SSE, eventsPath: \"/events\""];

/// The service in a process of its own.
struct News {
    child: Child,
    url: String,
    _output: BufReader<ChildStdout>,
}

impl News {
    /// Starts it, where it is installed.
    fn start() -> Option<News> {
        let mut child = Command::new("node")
            .arg("service.mjs")
            .current_dir(installed()?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line:?}"));
        Some(News { child, url: url.to_owned(), _output: output })
    }

    /// A server that tells its events in one of the ways, and knows this key.
    fn lab(&self, way: &str, key: &str) -> Lab {
        let settings = format!(
            "[sources.news]\nurl = \"{}/graphql\"\nset = {{ x-api-key = \"{key}\" }}\n",
            self.url
        );
        let lab = Lab::open(TempProject::with_schema(SHOP), &settings, false);
        let news = NEWS.replace("EVENTS", way);
        let schema = json!({"schema": {"files": [["main.graphql", SHOP], ["news.graphql", news]]}});
        lab.call("apply", schema).done();
        lab.with_items()
    }
}

impl Drop for News {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// All that a subscription is told until its end.
fn heard(lab: &Lab, query: &str) -> Vec<Value> {
    let headers = [("content-type", "application/json"), ("accept", "text/event-stream")];
    let body = json!({ "query": query }).to_string();
    let answer = lab.send("POST /graphql", &headers, body.as_bytes()).text();
    let told = answer.lines().filter_map(|line| line.strip_prefix("data: {"));
    told.map(|json| serde_json::from_str(&format!("{{{json}")).unwrap()).collect()
}

#[test]
fn events_of_a_service_are_told_and_completed_by_tables() {
    let Some(news) = News::start() else { return };
    for way in WAYS {
        let lab = news.lab(way, "sesame");
        let told = heard(&lab, "subscription { counted(to: 2) { text item { name } } }");
        let event = |text: &str, name: &str| json!({"data": {"counted": {"text": text, "item": {"name": name}}}});
        assert_eq!(told, [event("number 1", "lamp"), event("number 2", "chair")], "{way}");
        let told = heard(&lab, "subscription { broken { text } }");
        assert_eq!(told.len(), 1, "{way}: {told:?}");
        assert_eq!(told[0]["errors"][0]["message"], "out of paper", "{way}: {told:?}");
    }
}

#[test]
fn a_service_that_refuses_is_named_and_what_it_said_is_logged_only() {
    let Some(news) = News::start() else { return };
    for (way, words) in WAYS.into_iter().zip(["closed the socket with 4403", "status 403"]) {
        let lab = news.lab(way, "wrong");
        let told = heard(&lab, "subscription { counted(to: 2) { text } }");
        assert_eq!(told.len(), 1, "{way}: {told:?}");
        let error = &told[0]["errors"][0];
        assert!(error["message"].as_str().unwrap().contains(words), "{way}: {error}");
        assert_eq!(error["extensions"]["source"], "news", "{way}: {error}");
    }
}

#[test]
fn who_leaves_is_noticed_at_the_service() {
    let Some(news) = News::start() else { return };
    for way in WAYS {
        let lab = news.lab(way, "sesame");
        let listeners = || {
            let answer = lab.post("/graphql", &json!({"query": "{ listeners }"})).json();
            answer["data"]["listeners"].as_u64().unwrap_or_else(|| panic!("{answer}"))
        };
        let mut socket = Socket::open(lab.address, "graphql-transport-ws").unwrap();
        socket.say("{\"type\":\"connection_init\"}");
        assert_eq!(socket.hear(), json!({"type": "connection_ack"}));
        let payload = json!({"query": "subscription { endless { text } }"});
        socket.say(&json!({"id": "1", "type": "subscribe", "payload": payload}).to_string());
        let first = json!({"data": {"endless": {"text": "first"}}});
        assert_eq!(socket.hear(), json!({"id": "1", "type": "next", "payload": first}), "{way}");
        assert_eq!(listeners(), 1, "{way}");
        drop(socket);
        until_streams(&lab, 0);
        let patience = std::time::Instant::now();
        while listeners() != 0 {
            assert!(patience.elapsed().as_secs() < 60, "{way}: somebody still listens");
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_service_that_speaks_no_websocket_says_so() {
    let Some(news) = News::start() else { return };
    let lab = news.lab("events: WEBSOCKET", "sesame");
    let told = heard(&lab, "subscription { counted(to: 2) { text } }");
    assert_eq!(told.len(), 1, "{told:?}");
    let error = &told[0]["errors"][0];
    assert!(error["message"].as_str().unwrap().contains("status 400"), "{error}");
    assert_eq!(error["extensions"]["source"], "news", "{error}");
}
