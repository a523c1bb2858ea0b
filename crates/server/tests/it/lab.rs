//! A server in this process over a project of its own, with a clock that stands. In: settings. Out:
//! an address to talk to; everything is gone with the value. Not here: how to talk (`client`).

use std::net::SocketAddr;

use base::{Clock, Principal, Timestamp};
use serde_json::{Value, json};
use server::{Project, Serving, Settings, operations};
use testkit::TempProject;
use tokio::runtime::Runtime;

use crate::client::{self, Answer};

/// The moment at which every test begins.
pub(crate) const START: &str = "2026-11-23T08:00:00Z";

/// The schema of most tests.
pub(crate) const SHOP: &str = include_str!("shop.graphql");

/// Rows of `Item`.
pub(crate) const ITEMS: &str = "id,name,price\na,lamp,12.5\nb,chair,40\nc,\"table, round\",99.25\n";

/// A running server.
pub(crate) struct Lab {
    pub(crate) folder: TempProject,
    pub(crate) clock: Clock,
    pub(crate) address: SocketAddr,
    serving: Option<Serving>,
    runtime: Runtime,
}

impl Lab {
    /// A server with default settings on a deployed schema.
    pub(crate) fn new() -> Lab {
        Lab::with("")
    }

    /// A server on a deployed schema, with sections of a settings file.
    pub(crate) fn with(settings: &str) -> Lab {
        Lab::open(TempProject::with_schema(SHOP), settings, true)
    }

    /// A server on a project in which nothing was applied.
    pub(crate) fn fresh() -> Lab {
        Lab::open(TempProject::with_schema(SHOP), "", false)
    }

    /// A server on a folder.
    pub(crate) fn open(folder: TempProject, settings: &str, with_schema: bool) -> Lab {
        let runtime = runtime();
        let (mut project, clock) = runtime.block_on(open(&folder, settings));
        if with_schema {
            let request = apply_request(SHOP);
            runtime.block_on(run(&project, "apply", request)).unwrap();
        }
        if project.settings.server.listen.port() == 8080 {
            project.settings.server.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        }
        let serving = runtime.block_on(server::serve(project)).unwrap();
        Lab { folder, clock, address: serving.address(), serving: Some(serving), runtime }
    }

    /// Makes a token in process and gives its secret.
    pub(crate) fn token(&self, scope: &str) -> String {
        self.token_for(scope, None)["secret"].as_str().unwrap().to_owned()
    }

    /// Makes a token in process, as the command line does.
    pub(crate) fn token_for(&self, scope: &str, expires_in: Option<&str>) -> Value {
        self.in_process("tokenCreate", json!({
            "subject": format!("{scope}er"), "team": "shop", "scope": scope, "expiresIn": expires_in,
        }))
    }

    /// Runs an operation on the same project in another handle, as another process would.
    pub(crate) fn in_process(&self, operation: &str, request: Value) -> Value {
        self.runtime.block_on(async {
            let mut project = Project::open(self.folder.path(), Settings::default()).await.unwrap();
            project.clock = self.clock.clone();
            run(&project, operation, request).await.unwrap()
        })
    }

    /// Sends a request with these headers beside `Host`, `Connection` and `Content-Length`.
    pub(crate) fn send(&self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        client::exchange(self.address, &message(line, headers, body)).expect("an answer")
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send(&format!("GET {path}"), &[], b"")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        let headers = [("content-type", "application/json")];
        self.send(&format!("POST {path}"), &headers, body.to_string().as_bytes())
    }

    pub(crate) fn post_as(&self, token: &str, path: &str, body: &Value) -> Answer {
        let token = format!("Bearer {token}");
        let headers = [("content-type", "application/json"), ("authorization", &token)];
        self.send(&format!("POST {path}"), &headers, body.to_string().as_bytes())
    }

    /// Carries an operation out over HTTP.
    pub(crate) fn call(&self, operation: &str, request: Value) -> Answer {
        self.post(&format!("/operations/{operation}"), &request)
    }

    /// Uploads a file.
    pub(crate) fn import(&self, options: &Value, body: &[u8]) -> Answer {
        let line = format!("POST /import?options={}", encoded(&options.to_string()));
        self.send(&line, &[("content-type", "application/octet-stream")], body)
    }

    /// Brings the rows of [`ITEMS`] in.
    pub(crate) fn with_items(self) -> Lab {
        let options = json!({"typeName": "Item", "displayName": "items.csv"});
        assert_eq!(self.import(&options, ITEMS.as_bytes()).done()["rows"], 3);
        self
    }

    /// The rows of a SQL query.
    #[track_caller]
    pub(crate) fn rows(&self, sql: &str) -> Value {
        self.call("sql", json!({ "sql": sql })).done()["rows"].clone()
    }

    /// Whether the server is there and well.
    #[track_caller]
    pub(crate) fn assert_healthy(&self) {
        let answer = self.get("/health");
        assert_eq!((answer.status, &answer.json()["status"]), (200, &json!("ok")));
    }

    /// Begins to stop; the result comes when everything has ended.
    pub(crate) fn stop(&mut self) -> std::thread::JoinHandle<base::Result<()>> {
        let serving = self.serving.take().unwrap();
        let handle = self.runtime.handle().clone();
        std::thread::spawn(move || handle.block_on(serving.stop()))
    }

    pub(crate) fn url(&self) -> String {
        self.serving.as_ref().unwrap().url()
    }
}

/// The runtime of a test.
pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Opens a project whose clock stands at [`START`].
pub(crate) async fn open(folder: &TempProject, settings: &str) -> (Project, Clock) {
    let settings = Settings::parse(settings, "headwater.toml").unwrap();
    let mut project = Project::open(folder.path(), settings).await.unwrap();
    let clock = Clock::fixed(Timestamp::parse(START).unwrap());
    project.clock = clock.clone();
    (project, clock)
}

/// Carries an operation out in process.
pub(crate) async fn run(
    project: &Project,
    operation: &str,
    request: Value,
) -> Result<Value, Value> {
    let result =
        operations::call(project, &Principal::local(), operation, request, &mut |_| {}).await;
    result.map_err(|error| serde_json::to_value(error).unwrap())
}

/// A request for `apply` and `plan`.
pub(crate) fn apply_request(sdl: &str) -> Value {
    json!({"schema": {"files": [["main.graphql", sdl]]}})
}

/// A request with its head; headers of the same names replace ours, `-` leaves them out.
pub(crate) fn message(line: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let length = body.len().to_string();
    let ours = [("host", "127.0.0.1"), ("connection", "close"), ("content-length", &length)];
    let mut head = format!("{line} HTTP/1.1\r\n");
    let is_named = |name: &str| headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
    for (name, value) in ours.iter().filter(|(name, _)| !is_named(name)).chain(headers) {
        if *value != "-" {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

/// Percent-encodes everything but letters and digits.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}
