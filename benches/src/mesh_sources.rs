//! The sources of `cargo xtask bench mesh`: four federated services on loopback in one small program.
//!
//! In: lines of JSON on standard input that say how to behave (`{"delay_ms":4}`, `{"fail":"inventory"}`,
//! `{"hang":"inventory"}`) or ask (`{"count":true}`). Out: for each line one, the first with the
//! addresses. Ends with its input. Not here: what is answered (`mesh/service.rs`).
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the bench reads what this prints")]

#[path = "mesh/graph.rs"]
mod graph;
#[path = "mesh/service.rs"]
mod service;

use std::collections::HashSet;
use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use base::task;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};

use crate::service::{SERVICES, Service};

/// The header whose values are counted: every request of the bench has another one, and a gateway that
/// answers two requests by one call forwards it once.
const VIEWER: &str = "x-viewer";

/// What a line asks for; what it leaves out is as at the start.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Mode {
    delay_ms: u64,
    /// The service that answers 500.
    fail: Option<String>,
    /// The service that never answers.
    hang: Option<String>,
    /// Only tells the counts, and begins anew.
    count: bool,
}

#[derive(Debug, Default)]
struct Shared {
    mode: Mode,
    calls: [u64; SERVICES.len()],
    viewers: HashSet<Bytes>,
}

#[derive(Debug)]
struct Source {
    number: usize,
    name: &'static str,
    service: Service,
    shared: Arc<Mutex<Shared>>,
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(run())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let shared = Arc::new(Mutex::new(Shared::default()));
    let (mut addresses, mut accepting) = (serde_json::Map::new(), Vec::new());
    for (number, (name, sdl)) in SERVICES.into_iter().enumerate() {
        let service = federated(sdl)?;
        let source = Arc::new(Source { number, name, service, shared: Arc::clone(&shared) });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}/graphql", listener.local_addr()?);
        addresses.insert(name.to_owned(), address.into());
        accepting.push(task::spawn("accept", accept(listener, source)));
    }
    println!("{}", serde_json::Value::Object(addresses));
    task::blocking("obey", move || listen(&shared)).await??;
    Ok(())
}

/// A service with what federation adds to its SDL.
fn federated(sdl: &'static str) -> Result<Service> {
    let mut text = format!(
        "{sdl}\nscalar _Any\ntype _Service {{ sdl: String! }}\n\
         extend type Query {{ _service: _Service! }}\n"
    );
    let entities: Vec<&str> = entities(sdl).collect();
    if !entities.is_empty() {
        text.push_str(&format!("union _Entity = {}\n", entities.join(" | ")));
        let field = "_entities(representations: [_Any!]!): [_Entity]!";
        text.push_str(&format!("extend type Query {{ {field} }}\n"));
    }
    Service::over(&text, Some(sdl))
}

/// Names of the types with a key, as the SDL writes them: `type NAME … @key`.
fn entities(sdl: &str) -> impl Iterator<Item = &str> {
    sdl.lines()
        .filter(|line| line.contains("@key("))
        .filter_map(|line| line.strip_prefix("type ")?.split_whitespace().next())
}

/// Obeys line by line until the input ends.
fn listen(shared: &Mutex<Shared>) -> Result<()> {
    for line in std::io::stdin().lines() {
        let line = line?;
        let mode: Mode =
            serde_json::from_str(&line).with_context(|| format!("bad line `{line}`"))?;
        println!("{}", obey(shared, mode));
    }
    Ok(())
}

/// Changes how the sources behave, or tells what they were asked.
fn obey(shared: &Mutex<Shared>, mode: Mode) -> serde_json::Value {
    let mut shared = shared.lock();
    let counts = serde_json::json!({ "calls": shared.calls, "viewers": shared.viewers.len() });
    shared.calls = Default::default();
    shared.viewers.clear();
    if !mode.count {
        shared.mode = mode;
    }
    counts
}

async fn accept(listener: TcpListener, source: Arc<Source>) {
    let mut serving = Vec::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                serving.retain(|one: &task::Task<()>| !one.is_finished());
                serving.push(task::spawn("serve", serve(stream, Arc::clone(&source))));
            }
            Err(error) => eprintln!("a source failed to accept: {error}"),
        }
    }
}

async fn serve(stream: TcpStream, source: Arc<Source>) {
    // A connection without delay: answers are small, and the gateway waits for each.
    drop(stream.set_nodelay(true));
    let answer = |request| {
        let source = Arc::clone(&source);
        async move { source.answer(request).await }
    };
    let service = hyper::service::service_fn(answer);
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // A gateway that closes in the middle is no fault of the source.
    drop(connection.await);
}

impl Source {
    async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let mode = self.count(&request);
        let Ok(body) = request.into_body().collect().await else {
            return Ok(failure(StatusCode::BAD_REQUEST));
        };
        if mode.delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(mode.delay_ms)).await;
        }
        let is_this = |name: &Option<String>| name.as_deref() == Some(self.name);
        if is_this(&mode.hang) {
            std::future::pending::<()>().await;
        }
        if is_this(&mode.fail) {
            return Ok(failure(StatusCode::INTERNAL_SERVER_ERROR));
        }
        let mut response = Response::new(Full::new(self.service.answer(&body.to_bytes())));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(response)
    }

    fn count(&self, request: &Request<Incoming>) -> Mode {
        let mut shared = self.shared.lock();
        shared.calls[self.number] += 1;
        if let Some(viewer) = request.headers().get(VIEWER) {
            shared.viewers.insert(Bytes::copy_from_slice(viewer.as_bytes()));
        }
        shared.mode.clone()
    }
}

fn failure(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"the source fails")));
    *response.status_mut() = status;
    response
}
