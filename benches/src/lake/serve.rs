//! What `headwater up` needs: time from its start to the first answer, memory when idle and after
//! many requests.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::measure::{Row, kilobytes, median};
use crate::{Arguments, data, program, project};

const SDL: &str = r#"extend schema @module(name: "bench", owner: "bench")
type Person @key(fields: "id") @table(format: ICEBERG, plural: "people", bucket: { by: "id", count: 16 }, sort: "id") {
  id: Long!
  name: String!
  country: String!
  joined: Date!
  score: Float!
}
"#;

/// Milliseconds from the start of the process to its first answer.
const FIRST_ANSWER: f64 = 150.0;
/// Memory of a server that nobody asks, in MiB.
const IDLE: f64 = 150.0;
/// Memory of a server under load, in MiB.
const LOADED: f64 = 1024.0;

pub(crate) async fn run(arguments: &Arguments) -> Result<Vec<Row>> {
    let folder = arguments.folder.join("served");
    let count = if arguments.quick { 10_000 } else { 1_000_000 };
    let file = data::people(&arguments.folder, count)?;
    project::make(&folder, SDL)?;
    project::run(&folder, &["import", "Person", file.to_str().context("no text")?])?;
    let (mut starts, mut idle, mut loaded) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..if arguments.quick { 2 } else { 7 } {
        let mut server = Server::start(&folder)?;
        starts.push(server.first_answer()?);
        idle.push(server.memory()?);
        for key in 0..if arguments.quick { 50 } else { 2000 } {
            server.person(key * 7919 % count)?;
        }
        server.aggregate()?;
        loaded.push(server.memory()?);
        server.stop()?;
    }
    Ok(vec![
        Row::cost("serve: start to first answer", median(starts), "ms").bound(FIRST_ANSWER),
        Row::cost("serve: memory, idle", median(idle), "MiB").bound(IDLE),
        Row::cost("serve: memory after 2,000 requests", median(loaded), "MiB").bound(LOADED),
    ])
}

struct Server {
    child: Child,
    started: Instant,
    address: String,
}

impl Server {
    /// Starts the server; the address is known once it says so.
    fn start(folder: &std::path::Path) -> Result<Server> {
        let started = Instant::now();
        let mut command = program::command(folder, &["up", "--listen", "127.0.0.1:0"])?;
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        let said = lines.next().context("the server said nothing")??;
        let address = said.rsplit_once("http://").context("the server named no address")?.1;
        let address = address.trim_end_matches('/').to_owned();
        Ok(Server { child, started, address })
    }

    /// Milliseconds from the start to the answer of a query.
    fn first_answer(&self) -> Result<f64> {
        self.person(1)?;
        Ok(self.started.elapsed().as_secs_f64() * 1000.0)
    }

    fn person(&self, key: u64) -> Result<()> {
        let answer =
            self.post("/graphql", &format!("{{ person(id: {key}) {{ id name score }} }}"))?;
        ensure!(answer.contains("\"name\""), "the server answered {answer}");
        Ok(())
    }

    fn aggregate(&self) -> Result<()> {
        let answer =
            self.post("/graphql", "{ people(first: 500) { totalCount nodes { id name } } }")?;
        ensure!(answer.contains("totalCount"), "the server answered {answer}");
        Ok(())
    }

    fn post(&self, path: &str, query: &str) -> Result<String> {
        let body = serde_json::json!({ "query": query }).to_string();
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            self.address,
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        match answer.starts_with("HTTP/1.1 200") {
            true => Ok(answer),
            false => bail!("the server answered {answer}"),
        }
    }

    /// Resident memory in MiB.
    fn memory(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        Ok(kilobytes(&status, "VmRSS:").context("no memory is stated")? as f64 / 1024.0)
    }

    fn stop(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop());
    }
}
