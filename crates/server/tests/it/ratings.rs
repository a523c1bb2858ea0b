//! A service of ratings for tests: a federated subgraph in a few lines. In: what it is to do. Out: an
//! address, and what it was asked. It says of each item more than it is asked for, as only the fields
//! that a client wants may be in an answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use serde_json::{Value, json};

/// Its module; the settings say where it is.
pub(crate) const MODULE: &str = r#"extend schema @module(name: "ratings", owner: "critics")
  @source(name: "ratings", kind: GRAPHQL, url: "http://ratings.internal/graphql", breaker: "off")
  @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key"])

type Query {
  topRatings: [Rating!]
}

type Mutation {
  rate(item: ID!, stars: Float!): Rating
}

type Rating {
  text: String!
  item: Item
}

type Item @key(fields: "id") {
  id: ID!
  rating: Float
}
"#;

/// A call as it came.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    /// The lines of the head.
    pub(crate) head: Vec<String>,
    pub(crate) body: Value,
}

#[derive(Default)]
struct State {
    heard: Mutex<Vec<Heard>>,
    fails: AtomicBool,
}

/// The service, until the test ends.
pub(crate) struct Ratings {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

impl Ratings {
    pub(crate) fn start() -> Ratings {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || serve(&stream, &state));
            }
        });
        Ratings { address, state }
    }

    /// The settings that say where it is.
    pub(crate) fn settings(&self) -> String {
        format!("[sources.ratings]\nurl = \"http://{}/graphql\"\n", self.address)
    }

    /// Whether it answers with status 500 from now on.
    pub(crate) fn fail(&self, fails: bool) {
        self.state.fails.store(fails, Ordering::Relaxed);
    }

    /// What it was asked since the last look.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        std::mem::take(&mut self.state.heard.lock())
    }
}

/// Answers the calls of a connection until it is closed.
fn serve(stream: &TcpStream, state: &State) {
    let mut reader = BufReader::new(stream);
    while let Some(heard) = read(&mut reader) {
        let answer = answer(&heard.body).to_string();
        state.heard.lock().push(heard);
        let (status, body) = match state.fails.load(Ordering::Relaxed) {
            true => ("500 Internal Server Error", "out of order".to_owned()),
            false => ("200 OK", answer),
        };
        let kind = if status == "200 OK" { "application/json" } else { "text/plain" };
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        if (&mut &*stream).write_all(&[head.as_bytes(), body.as_bytes()].concat()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<&TcpStream>) -> Option<Heard> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let length = head.iter().find_map(|line| line.strip_prefix("content-length: "))?;
    let mut body = vec![0; length.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(Heard { head, body: serde_json::from_slice(&body).ok()? })
}

fn answer(asked: &Value) -> Value {
    let query = asked["query"].as_str().unwrap_or_default();
    if let Some(asked) = asked["variables"]["representations"].as_array() {
        let rated = |item: &Value| {
            let stars = item["id"].as_str().unwrap_or_default().len() as f64 + 0.5;
            // It knows nothing of `b`.
            match item["id"].as_str() {
                Some("b") => Value::Null,
                _ => json!({"__typename": "Item", "id": item["id"], "rating": stars, "own": 1}),
            }
        };
        return json!({"data": {"_entities": asked.iter().map(rated).collect::<Vec<_>>()}});
    }
    let rating = |text: &str, id: &str| json!({"__typename": "Rating", "text": text, "item": {"__typename": "Item", "id": id, "rating": 4.5}});
    match query.contains("rate") && query.starts_with("mutation") {
        true => json!({"data": {"rate": rating("noted", "a")}}),
        false => json!({"data": {"topRatings": [
            rating("bright", "a"), rating("gone", "zz"), rating("round", "c"),
        ]}}),
    }
}
