//! Several `headwater up` that share PostgreSQL and an S3 server, each in a process and a project
//! folder of its own. In: a schema. Out: nodes to talk to, kill and cut off. Not here: what must hold
//! (`nodes`).

use std::process::{Command, Output};
use std::sync::Mutex;

use serde_json::{Value, json};
use testkit::{Postgres, Proxy, Seaweed, TempProject, Victim, seaweed};

use crate::binary;

/// What the nodes share.
pub(crate) struct Cluster {
    pub(crate) metadata: String,
    pub(crate) objects: String,
    postgres: u16,
    seaweed: u16,
}

/// One node; killed when dropped.
pub(crate) struct Node {
    pub(crate) folder: TempProject,
    pub(crate) url: String,
    process: Mutex<Victim>,
}

/// Ports in front of what a node stands on, to cut it off.
pub(crate) struct Wires {
    pub(crate) metadata: Proxy,
    pub(crate) objects: Proxy,
}

impl Cluster {
    /// A fresh database and a fresh bucket; `None` when the servers are not installed.
    pub(crate) fn start() -> Option<Cluster> {
        let (postgres, seaweed) = (Postgres::shared()?, Seaweed::shared()?);
        Some(Cluster {
            metadata: postgres.new_database(),
            objects: format!("s3://{}/project", seaweed.new_bucket()),
            postgres: postgres.port(),
            seaweed: seaweed.port(),
        })
    }

    /// A project folder of a node with this schema.
    pub(crate) fn folder(&self, schema: &str) -> TempProject {
        self.folder_at(schema, self.postgres, self.seaweed, ["30s", "20s", "45s"])
    }

    /// With how long a call of the database, one request and a call of the store may take.
    fn folder_at(
        &self,
        schema: &str,
        postgres: u16,
        seaweed: u16,
        [metadata_patience, request, patience]: [&str; 3],
    ) -> TempProject {
        let metadata =
            self.metadata.replace(&format!(":{}/", self.postgres), &format!(":{postgres}/"));
        let settings = format!(
            "[storage]\nmetadata = \"{metadata}\"\nmetadata_patience = \"{metadata_patience}\"\n\
             objects = \"{}\"\n\n[storage.s3]\nendpoint = \"http://127.0.0.1:{seaweed}\"\n\
             request_timeout = \"{request}\"\npatience = \"{patience}\"\n",
            self.objects
        );
        TempProject::with_schema(schema).file("headwater.toml", settings)
    }

    /// Starts a node on a folder of its own.
    pub(crate) fn node(&self, schema: &str) -> Node {
        Node::start(self.folder(schema))
    }

    /// Starts a node that can be cut off.
    pub(crate) fn wired_node(&self, schema: &str) -> (Node, Wires) {
        let wires =
            Wires { metadata: Proxy::start(self.postgres), objects: Proxy::start(self.seaweed) };
        let (metadata, objects) = (wires.metadata.port(), wires.objects.port());
        let folder = self.folder_at(schema, metadata, objects, ["3s", "3s", "5s"]);
        (Node::start(folder), wires)
    }
}

/// The binary with the key of the test's object store.
pub(crate) fn headwater() -> Command {
    let mut command = Command::new(binary());
    command
        .env_clear()
        .env("AWS_ACCESS_KEY_ID", seaweed::KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", seaweed::KEY)
        .env("NO_COLOR", "1");
    command
}

impl Node {
    /// Starts `headwater up` and waits until it listens.
    pub(crate) fn start(folder: TempProject) -> Node {
        let mut command = headwater();
        command.args(["up", "--listen", "127.0.0.1:0", "--project"]).arg(folder.path());
        let process = Victim::spawn(&mut command);
        let line = process.wait_for_line(|line| line.starts_with("serving "));
        let url = line.rsplit(' ').next().expect("an address").trim_end_matches('/').to_owned();
        Node { folder, url, process: Mutex::new(process) }
    }

    /// `kill -9`.
    pub(crate) fn kill(self) -> TempProject {
        self.end();
        self.folder
    }

    /// `kill -9` while others still talk to it.
    pub(crate) fn end(&self) {
        self.process.lock().expect("a lock").kill();
    }

    /// Asks a GraphQL question; the error is the whole answer.
    pub(crate) fn try_ask(&self, query: &str, variables: &Value) -> Result<Value, String> {
        let body = json!({ "query": query, "variables": variables }).to_string();
        let answer = self.post("/graphql", &body)?;
        let answer: Value = serde_json::from_str(&answer).map_err(|error| error.to_string())?;
        // A request that is refused before it is carried out has neither.
        match (answer.get("errors"), answer.get("data")) {
            (None, Some(data)) => Ok(data.clone()),
            _ => Err(answer.to_string()),
        }
    }

    /// Asks a GraphQL question that must be answered.
    #[track_caller]
    pub(crate) fn ask(&self, query: &str) -> Value {
        self.try_ask(query, &json!({})).unwrap_or_else(|error| panic!("{query}: {error}"))
    }

    /// Sends a JSON body; gives the body of the answer, be it an error or not.
    pub(crate) fn post(&self, path: &str, body: &str) -> Result<String, String> {
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let answer = agent
            .post(format!("{}{path}", self.url))
            .header("content-type", "application/json")
            .send(body);
        let mut answer = answer.map_err(|error| error.to_string())?;
        answer.body_mut().read_to_string().map_err(|error| error.to_string())
    }

    /// Runs a command of the command line against the node.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = headwater();
        command.args(["--server", &self.url, "--json"]).args(arguments);
        command.current_dir(self.folder.path());
        command
    }

    /// Runs a command that must succeed; gives its JSON.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Value {
        done(arguments, self.command(arguments).output().expect("the binary starts"))
    }
}

/// Runs a command in process on a folder; it must succeed.
#[track_caller]
pub(crate) fn run_on(folder: &TempProject, arguments: &[&str]) -> Value {
    let output = headwater()
        .args(["--json", "--project"])
        .arg(folder.path())
        .args(arguments)
        .output()
        .expect("the binary starts");
    done(arguments, output)
}

#[track_caller]
fn done(arguments: &[&str], output: Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {text}{complaint}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
}
