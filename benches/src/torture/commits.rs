//! Five hundred commits at the same moment, from eight processes, over two nodes that share what
//! they stand on: SQLite and a folder, or PostgreSQL and an S3 server. Afterwards the table's chain
//! of snapshots must explain every acknowledged change, each exactly once.
//!
//! Each worker process sends its mutations all at once, half of its threads to either node, each
//! with an idempotency key; some are sent twice, to both nodes, and some race to create the same
//! key. After its change a worker reads the row over the *other* node: what it wrote must be there.
//! The verdict is `serial`'s: the chain is replayed step by step.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base::rng::Rng;
use lake::Lake;
use lake::store::{LocalStore, open_s3};
use meta::Database;
use object_store::ObjectStore;
use serde_json::{Value, json};
use testkit::{Postgres, Seaweed, wait_for};

use crate::ledger;
use crate::node::{Node, headwater};
use crate::s3;
use crate::serial::{Event, judge};

/// Processes that write.
const PROCESSES: u64 = 8;
/// Threads of a process, each with one commit: 504 altogether.
const THREADS: u64 = 63;
/// Keys that creates race for.
const RACED: u64 = 24;
/// Keys that upserts of all processes share.
const SHARED: u64 = 12;
/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(300);

/// What the nodes stand on.
#[derive(Clone, Debug)]
enum Backend {
    Local,
    Servers { metadata: String, objects: String, endpoint: String },
}

impl Backend {
    /// As the option says; `None` when the servers are not installed.
    fn named(name: &str) -> Result<Option<Backend>> {
        match name {
            "local" => Ok(Some(Backend::Local)),
            "servers" => Ok(Backend::servers()),
            other => bail!("there is no backend `{other}`; there are `local` and `servers`"),
        }
    }

    fn servers() -> Option<Backend> {
        let (postgres, seaweed) = (Postgres::shared()?, Seaweed::shared()?);
        Some(Backend::Servers {
            metadata: postgres.new_database(),
            objects: format!("s3://{}/project", seaweed.new_bucket()),
            endpoint: seaweed.endpoint(),
        })
    }

    fn settings(&self) -> String {
        let storage = match self {
            Backend::Local => String::new(),
            Backend::Servers { metadata, objects, endpoint } => format!(
                "metadata = \"{metadata}\"\nobjects = \"{objects}\"\n\n[storage.s3]\nendpoint = \"{endpoint}\"\n"
            ),
        };
        format!(
            "[storage]\nwarehouse = \"torture\"\n{storage}\n[limits]\nconcurrent_requests = 1024\n"
        )
    }

    /// The lake of the project, for the verdict.
    async fn lake(&self, folder: &Path) -> Result<Lake> {
        let (database, objects): (_, Arc<dyn ObjectStore>) = match self {
            Backend::Local => {
                let state = folder.join(".headwater");
                let url = format!("sqlite://{}", state.join("meta.db").display());
                let objects = LocalStore::open(&state.join("objects"))?;
                (Database::open(&url).await?, Arc::new(objects))
            }
            Backend::Servers { metadata, objects, endpoint } => {
                let objects = open_s3(objects, &s3::options(endpoint)).await?;
                (Database::open(metadata).await?, objects)
            }
        };
        ledger::open(objects, database, Rng::from_entropy()).await
    }
}

/// One run: two nodes, eight worker processes, then the verdict.
pub(crate) async fn run(seed: u64, backend: &str, sabotage: Option<&str>) -> Result<String> {
    let Some(backend) = Backend::named(backend)? else {
        bail!("PostgreSQL or SeaweedFS is not installed; run `cargo xtask setup`");
    };
    let folder = tempfile::tempdir()?;
    std::fs::create_dir(folder.path().join("schema"))?;
    std::fs::write(folder.path().join("schema/bank.graphql"), ledger::SDL)?;
    std::fs::write(folder.path().join("headwater.toml"), backend.settings())?;
    headwater(folder.path(), &["apply", "--yes", "--quiet"])?;
    let nodes = [Node::start(folder.path())?, Node::start(folder.path())?];
    let began = std::time::Instant::now();
    let workers: Vec<Child> = (0..PROCESSES)
        .map(|process| start(&nodes, seed.wrapping_mul(PROCESSES).wrapping_add(process)))
        .collect::<Result<_>>()?;
    let mut events = Vec::new();
    for worker in workers {
        events.extend(finish(worker)?);
    }
    let took = began.elapsed();
    drop(nodes);
    sabotaged(sabotage, &mut events)?;
    let lake = backend.lake(folder.path()).await?;
    let verdict = judge(&lake, &events).await?;
    let commits = PROCESSES * THREADS;
    Ok(format!("{commits} commits in {:.1} s, {verdict}", took.as_secs_f64()))
}

/// Breaks the record on purpose, as a node that lost or doubled a change would: the verdict must see
/// it.
fn sabotaged(sabotage: Option<&str>, events: &mut [Event]) -> Result<()> {
    match sabotage {
        None => Ok(()),
        Some("lose-commit") => {
            let set = events.iter_mut().find_map(|event| match event {
                Event::Set { rows, .. } => Some(rows),
                _ => None,
            });
            let rows = set.context("nothing was set")?;
            rows.push(("never-written".to_owned(), 1));
            Ok(())
        }
        Some(other) => bail!("this suite cannot sabotage `{other}`; it can `lose-commit`"),
    }
}

fn start(nodes: &[Node; 2], seed: u64) -> Result<Child> {
    Command::new(std::env::current_exe()?)
        .args(["commits-worker", "--seed", &seed.to_string()])
        .args(nodes.iter().flat_map(|node| ["--node", node.address.as_str()]))
        .stdout(Stdio::piped())
        .spawn()
        .context("failed to start a worker process")
}

fn finish(mut worker: Child) -> Result<Vec<Event>> {
    let output = worker.stdout.take().context("a worker has no output")?;
    let mut events = Vec::new();
    for line in BufReader::new(output).lines() {
        events.push(serde_json::from_str(&line?)?);
    }
    ensure!(worker.wait()?.success(), "a worker process failed");
    Ok(events)
}

/// The work of one process: all threads begin at once; events go to standard output.
pub(crate) fn work(seed: u64, nodes: &[String]) -> Result<()> {
    let [first, second] = nodes else { bail!("a worker needs two nodes") };
    let ready = Arc::new(Barrier::new(THREADS as usize));
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let ready = Arc::clone(&ready);
            let (mine, other) = match thread % 2 {
                0 => (first.clone(), second.clone()),
                _ => (second.clone(), first.clone()),
            };
            std::thread::spawn(move || {
                let rng = Rng::seeded(seed.wrapping_mul(1000).wrapping_add(thread));
                ready.wait();
                let work =
                    Work { mine, other, rng, name: format!("{seed}-{thread}"), seed, thread };
                work.change()
            })
        })
        .collect();
    let mut out = std::io::stdout().lock();
    for thread in threads {
        let events = thread.join().map_err(|_| anyhow::anyhow!("a thread panicked"))??;
        for event in events {
            writeln!(out, "{}", serde_json::to_string(&event)?)?;
        }
    }
    Ok(())
}

/// One thread.
struct Work {
    mine: String,
    other: String,
    rng: Rng,
    name: String,
    seed: u64,
    thread: u64,
}

impl Work {
    /// A value that no other change ever writes.
    fn mark(&self) -> i64 {
        (self.seed as i64 % 1_000_000) * 1_000 + self.thread as i64 + 1
    }

    fn change(&self) -> Result<Vec<Event>> {
        match self.rng.below(5) {
            0 => self.create(),
            1 => self.own(true),
            2 => self.own(false),
            _ => self.shared(),
        }
    }

    /// A row of a key that others want to create, too.
    fn create(&self) -> Result<Vec<Event>> {
        let id = format!("race-{}", self.rng.below(RACED));
        let query = format!(
            "mutation {{ createAccount(input: {{id: \"{id}\", amount: \"{}\"}}, idempotencyKey: \
             \"{}\") {{ snapshot }} }}",
            self.mark(),
            self.name
        );
        let answer = send(&self.mine, &query);
        if answer["errors"][0]["extensions"]["code"] == "ALREADY_EXISTS" {
            return Ok(vec![Event::Lost { id }]);
        }
        let snapshot = snapshot(&answer["data"]["createAccount"])?;
        Ok(vec![Event::Set { snapshot, rows: vec![(id, self.mark())] }])
    }

    /// A row of a key of its own, which the other node must show at once; sent to both when `twice`.
    fn own(&self, twice: bool) -> Result<Vec<Event>> {
        let id = format!("own-{}", self.name);
        let query = self.upsert(&id);
        let answer = send(&self.mine, &query);
        let made = snapshot(&answer["data"]["upsertAccount"])?;
        if twice {
            let again = send(&self.other, &query);
            let again = snapshot(&again["data"]["upsertAccount"])?;
            ensure!(again == made, "`{id}` was changed twice: in {made} and in {again}");
        }
        let found = send(&self.other, &format!("{{ account(id: \"{id}\") {{ amount }} }}"));
        let amount = &found["data"]["account"]["amount"];
        ensure!(
            amount.as_str().is_some_and(|amount| amount.parse() == Ok(self.mark())),
            "`{id}` was written over one node, and the other shows {amount}"
        );
        Ok(vec![Event::Set { snapshot: made, rows: vec![(id, self.mark())] }])
    }

    /// A row of a key that all write to.
    fn shared(&self) -> Result<Vec<Event>> {
        let id = format!("shared-{}", self.rng.below(SHARED));
        let answer = send(&self.mine, &self.upsert(&id));
        let snapshot = snapshot(&answer["data"]["upsertAccount"])?;
        Ok(vec![Event::Set { snapshot, rows: vec![(id, self.mark())] }])
    }

    fn upsert(&self, id: &str) -> String {
        format!(
            "mutation {{ upsertAccount(input: {{id: \"{id}\", amount: \"{}\"}}, idempotencyKey: \
             \"{}\") {{ snapshot }} }}",
            self.mark(),
            self.name
        )
    }
}

fn snapshot(answer: &Value) -> Result<i64> {
    let text = answer["snapshot"].as_str().with_context(|| format!("no snapshot: {answer}"))?;
    Ok(text.parse()?)
}

/// Sends a question until it is answered: a node may be busy, and a lost answer changes nothing,
/// for every change has its key.
fn send(node: &str, query: &str) -> Value {
    wait_for(&format!("an answer to {query}"), PATIENCE, || {
        let answer = exchange(node, query).ok()?;
        let code = &answer["errors"][0]["extensions"]["code"];
        let is_busy = *code == "UNAVAILABLE" || *code == "CONFLICT" || answer.get("code").is_some();
        (!is_busy).then_some(answer)
    })
}

fn exchange(node: &str, query: &str) -> Result<Value> {
    let body = json!({ "query": query }).to_string();
    let mut stream = TcpStream::connect(node)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "POST /graphql HTTP/1.1\r\nhost: {node}\r\nconnection: close\r\ncontent-type: \
         application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (_, body) = answer.split_once("\r\n\r\n").context("an answer without a body")?;
    Ok(serde_json::from_str(body)?)
}
