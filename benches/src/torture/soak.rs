//! Whether anything grows: two nodes under mixed load for a long time, one of them restarted again and
//! again.
//!
//! ```text
//! load (reads, searches, mutations, SQL, imports, schema changes, compactions, restarts) + samples → bounds
//! ```
//!
//! In: a seed and seconds. Out: what was asked, what was answered with an error, and what the node that
//! is never restarted held after the warm-up and at the end: memory, open files, sockets, the store and
//! the metadata. More growth than stated is a failure. Not here: whether answers are right (`serial`).

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use base::rng::Rng;
use base::size::format_bytes;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::node::{Node, headwater};

/// Keys that are written again and again.
const KEYS: u64 = 300;
/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Samples of a run, at most one a second.
const SAMPLES: u64 = 120;
/// What may come on top of the warmed-up state: this share, and this much.
const MEMORY: Bound = Bound { share: 0.3, and: 96 << 20 };
const FILES: Bound = Bound { share: 0.2, and: 48 };
const SOCKETS: Bound = Bound { share: 0.2, and: 32 };
const STORE: Bound = Bound { share: 0.5, and: 64 << 20 };
const METADATA: Bound = Bound { share: 0.5, and: 24 << 20 };
/// Codes of errors that a client of nodes that come and go must expect.
const EXPECTED: [&str; 4] = ["UNAVAILABLE", "CONFLICT", "STALE", "CANCELLED"];

/// What objects are.
const TABLES: &str = "table metadata";
const MANIFESTS: &str = "manifests";
const ROWS: &str = "data and delete files";
const TEXTS: &str = "text indexes";
const OTHERS: &str = "others";

const SETTINGS: &str = "[maintenance]\nretain = \"10s\"\n";

/// How much a figure may grow.
#[derive(Clone, Copy, Debug)]
struct Bound {
    share: f64,
    and: u64,
}

/// What one node and the project hold at one moment.
#[derive(Clone, Debug, Default)]
struct Sample {
    memory: u64,
    files: u64,
    sockets: u64,
    /// Bytes of the objects, by what they are.
    store: BTreeMap<&'static str, u64>,
    metadata: u64,
}

impl Sample {
    fn of_kind(&self, kind: &str) -> u64 {
        self.store.get(kind).copied().unwrap_or(0)
    }
}

fn sdl(extra: bool) -> String {
    let extra = if extra { "extra: String" } else { "" };
    format!(
        "extend schema @module(name: \"bank\", owner: \"bank\")\n\
         type Account @key(fields: \"id\") @table(format: ICEBERG, plural: \"accounts\", bucket: {{ by: \"id\", count: 2 }}) {{\n\
         id: ID! amount: Long! note: String @search {extra} }}\n"
    )
}

/// A project, its nodes, and what is known of the load.
struct Soak {
    folder: PathBuf,
    nodes: [Mutex<Node>; 2],
    over: AtomicBool,
    asked: Mutex<BTreeMap<&'static str, u64>>,
    /// Answers with an error, by what was asked, the error's code, and its words.
    refused: Mutex<BTreeMap<String, u64>>,
}

/// One run; says what it saw.
pub(crate) async fn run(seed: u64, seconds: u64) -> Result<String> {
    let folder = tempfile::tempdir()?;
    fs::create_dir(folder.path().join("schema"))?;
    fs::write(folder.path().join("schema/bank.graphql"), sdl(false))?;
    fs::write(folder.path().join("headwater.toml"), SETTINGS)?;
    headwater(folder.path(), &["apply", "--yes", "--quiet"])?;
    let nodes = [Mutex::new(Node::start(folder.path())?), Mutex::new(Node::start(folder.path())?)];
    let soak = Arc::new(Soak {
        folder: folder.path().to_path_buf(),
        nodes,
        over: AtomicBool::new(false),
        asked: Mutex::default(),
        refused: Mutex::default(),
    });
    let until = Instant::now() + Duration::from_secs(seconds);
    let workers: Vec<_> = JOBS
        .iter()
        .enumerate()
        .map(|(number, job)| {
            let (soak, job) = (Arc::clone(&soak), *job);
            let rng = Rng::seeded(seed.wrapping_mul(100).wrapping_add(number as u64));
            std::thread::spawn(move || soak.work(job, &rng, until))
        })
        .collect();
    let samples = soak.samples(seconds, until)?;
    soak.over.store(true, Ordering::SeqCst);
    for worker in workers {
        worker.join().map_err(|_| anyhow::anyhow!("a worker panicked"))??;
    }
    soak.report(&samples)
}

/// What one thread does.
#[derive(Clone, Copy, Debug)]
enum Job {
    Read,
    Write,
    Sql,
    Import,
    Change,
    Compact,
    Restart,
}

const JOBS: [Job; 9] = [
    Job::Read,
    Job::Read,
    Job::Write,
    Job::Write,
    Job::Sql,
    Job::Import,
    Job::Change,
    Job::Compact,
    Job::Restart,
];

impl Soak {
    fn work(&self, job: Job, rng: &Rng, until: Instant) -> Result<()> {
        let mut round = 0;
        while !self.over.load(Ordering::SeqCst) && Instant::now() < until {
            round += 1;
            match job {
                Job::Read => self.read(rng)?,
                Job::Write => self.write(rng)?,
                Job::Sql => self.operation(
                    rng,
                    "sql",
                    &json!({ "sql": "SELECT count(*), sum(amount) FROM accounts", "at": null, "limit": null }),
                )?,
                Job::Import => self.import(round)?,
                Job::Change => self.change(round)?,
                Job::Compact => self.operation(rng, "compact", &json!({ "typeName": "Account" }))?,
                Job::Restart => self.restart()?,
            }
            std::thread::park_timeout(pause(job, rng));
        }
        Ok(())
    }

    fn read(&self, rng: &Rng) -> Result<()> {
        let id = rng.below(KEYS);
        let query = match rng.below(3) {
            0 => format!("{{ account(id: \"k{id}\") {{ id amount note }} }}"),
            1 => "{ accounts(first: 20, orderBy: [{ amount: DESC }]) { totalCount nodes { id amount } } }".to_owned(),
            _ => format!("{{ accounts(search: \"word{}\", first: 5) {{ nodes {{ id }} }} }}", id % 20),
        };
        self.graphql(rng, "read", &query)
    }

    fn write(&self, rng: &Rng) -> Result<()> {
        let (id, amount) = (rng.below(KEYS), rng.below(1 << 40));
        let query = match rng.below(5) {
            0 => format!("mutation {{ deleteAccount(id: \"k{id}\") {{ snapshot }} }}"),
            _ => format!(
                "mutation {{ upsertAccount(input: {{ id: \"k{id}\", amount: \"{amount}\", note: \"word{} of many\" }}) {{ snapshot }} }}",
                id % 20
            ),
        };
        self.graphql(rng, "write", &query)
    }

    fn graphql(&self, rng: &Rng, what: &'static str, query: &str) -> Result<()> {
        self.post(rng, what, "/graphql", &json!({ "query": query }))
    }

    fn operation(&self, rng: &Rng, name: &'static str, request: &Value) -> Result<()> {
        self.post(rng, name, &format!("/operations/{name}"), request)
    }

    /// Asks a node. That a node is away is no error here; that it answers with one is counted.
    fn post(&self, rng: &Rng, what: &'static str, path: &str, body: &Value) -> Result<()> {
        let address = self.nodes[rng.below(2) as usize].lock().address.clone();
        *self.asked.lock().entry(what).or_default() += 1;
        let Ok(answer) = exchange(&address, path, &body.to_string()) else {
            self.note(format!("{what}: no answer"));
            return Ok(());
        };
        if let Some((code, words)) = error_of(&answer) {
            self.note(format!("{what}: {code}: {}", alike(words)));
            ensure!(EXPECTED.contains(&code.as_str()), "{what} was answered by {answer}");
        }
        Ok(())
    }

    /// Counts what was refused in the same words.
    fn note(&self, refused: String) {
        *self.refused.lock().entry(refused).or_default() += 1;
    }

    fn import(&self, round: u64) -> Result<()> {
        let mut text = String::from("id,amount,note\n");
        for id in 0..KEYS {
            text.push_str(&format!("k{id},{round},word{} of a file\n", id % 20));
        }
        fs::write(self.folder.join("accounts.csv"), text)?;
        self.command("import", &["import", "Account", "accounts.csv", "--mode", "upsert"])
    }

    fn change(&self, round: u64) -> Result<()> {
        fs::write(self.folder.join("schema/bank.graphql"), sdl(round % 2 == 1))?;
        self.command("change", &["apply", "--yes", "--allow-destructive", "Account.extra"])
    }

    fn command(&self, what: &'static str, arguments: &[&str]) -> Result<()> {
        *self.asked.lock().entry(what).or_default() += 1;
        if let Err(error) = headwater(&self.folder, arguments) {
            let said = format!("{error:#}");
            let words = words_of(&said);
            let expected = ["changed", "meanwhile", "another", "busy"];
            ensure!(expected.iter().any(|word| words.contains(word)), "{what}: {said}");
            self.note(format!("{what}: {words}"));
        }
        Ok(())
    }

    /// Kills the second node and starts it anew.
    fn restart(&self) -> Result<()> {
        self.nodes[1].lock().process.kill();
        let started = Node::start(&self.folder)?;
        *self.nodes[1].lock() = started;
        *self.asked.lock().entry("restart").or_default() += 1;
        Ok(())
    }

    fn samples(&self, seconds: u64, until: Instant) -> Result<Vec<Sample>> {
        let every = Duration::from_secs((seconds / SAMPLES).max(1));
        let mut samples = Vec::new();
        while Instant::now() < until {
            samples.push(self.sample()?);
            std::thread::park_timeout(every.min(until.saturating_duration_since(Instant::now())));
        }
        Ok(samples)
    }

    fn sample(&self) -> Result<Sample> {
        let process = PathBuf::from(format!("/proc/{}", self.nodes[0].lock().process.id()));
        let status = fs::read_to_string(process.join("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes: u64 =
            line.context("no memory is stated")?.trim().trim_end_matches(" kB").parse()?;
        let mut sample = Sample { memory: kilobytes << 10, ..Sample::default() };
        for entry in fs::read_dir(process.join("fd"))? {
            sample.files += 1;
            // It may have been closed meanwhile.
            let target = fs::read_link(entry?.path()).unwrap_or_default();
            sample.sockets += u64::from(target.to_string_lossy().starts_with("socket:"));
        }
        let state = self.folder.join(".headwater");
        count_below(&state.join("objects"), &mut sample.store)?;
        sample.metadata = ["meta.db", "meta.db-wal"]
            .map(|name| fs::metadata(state.join(name)).map_or(0, |file| file.len()))
            .iter()
            .sum();
        Ok(sample)
    }

    /// Holds the last third of the samples against the second.
    fn report(&self, samples: &[Sample]) -> Result<String> {
        let third = samples.len() / 3;
        ensure!(third > 0, "a soak needs some seconds more");
        let (warm, late) = (&samples[third..2 * third], &samples[2 * third..]);
        let mut said = Vec::new();
        let mut grown = Vec::new();
        type Figure = (&'static str, fn(&Sample) -> u64, Bound, bool);
        let figures: [Figure; 5] = [
            ("memory", |one| one.memory, MEMORY, true),
            ("open files", |one| one.files, FILES, false),
            ("sockets", |one| one.sockets, SOCKETS, false),
            ("store", |one| one.store.values().sum(), STORE, true),
            ("metadata", |one| one.metadata, METADATA, true),
        ];
        for (name, figure, bound, is_bytes) in figures {
            let (before, after) = (median(warm, figure), median(late, figure));
            let show = |n: u64| if is_bytes { format_bytes(n) } else { n.to_string() };
            said.push(format!("{name} {} → {}", show(before), show(after)));
            let most = before + (before as f64 * bound.share) as u64 + bound.and;
            if after > most {
                grown.push(format!("{name} grew from {} to {}", show(before), show(after)));
            }
        }
        let kinds = [TABLES, MANIFESTS, ROWS, TEXTS, OTHERS].map(|kind| {
            let (before, after) =
                [warm, late].map(|part| median(part, |one| one.of_kind(kind))).into();
            format!("{kind} {} → {}", format_bytes(before), format_bytes(after))
        });
        said.push(format!("of the store {}", kinds.join(", ")));
        let said = said.join(", ");
        let (asked, refused) = (self.asked.lock(), self.refused.lock());
        let grown = grown.join("; ");
        ensure!(grown.is_empty(), "{grown}; {said}; asked {asked:?}, refused {refused:?}");
        Ok(format!("{said}; asked {asked:?}, refused {refused:?}"))
    }
}

/// Until a job's next round. Imports and changes draw it, for two loops of about one length end up
/// meeting each other in every round, or in none.
fn pause(job: Job, rng: &Rng) -> Duration {
    match job {
        Job::Read | Job::Write => Duration::from_millis(5),
        Job::Sql => Duration::from_millis(100),
        Job::Compact => Duration::from_secs(2),
        Job::Import | Job::Change => Duration::from_millis(2000 + rng.below(4000)),
        Job::Restart => Duration::from_secs(9),
    }
}

fn median(samples: &[Sample], figure: impl Fn(&Sample) -> u64) -> u64 {
    let mut all: Vec<u64> = samples.iter().map(figure).collect();
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or(0)
}

/// Adds the bytes of the objects in a folder and below.
fn count_below(folder: &Path, bytes: &mut BTreeMap<&'static str, u64>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // A file may go while the folder is read, and so may a folder.
        let Ok(metadata) = entry.metadata() else { continue };
        if !metadata.is_dir() {
            *bytes.entry(kind_of(&entry.path())).or_default() += metadata.len();
        } else if let Err(error) = count_below(&entry.path(), bytes)
            && entry.path().try_exists()?
        {
            return Err(error);
        }
    }
    Ok(())
}

fn kind_of(object: &Path) -> &'static str {
    let path = object.to_string_lossy();
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        _ if path.contains("/_text/") => TEXTS,
        Some("json") => TABLES,
        Some("avro") => MANIFESTS,
        Some("parquet") => ROWS,
        _ => OTHERS,
    }
}

/// The code and the words of an answer that is an error: of GraphQL, of an operation, or of one that had
/// reported before.
fn error_of(answer: &Value) -> Option<(String, &str)> {
    let (graphql, late) = (&answer["errors"][0], &answer["error"]);
    let code = graphql["extensions"]["code"].as_str();
    let code = code.or(late["code"].as_str()).or(answer["code"].as_str())?;
    let words = [graphql, late, answer].into_iter().find_map(|error| error["message"].as_str());
    Some((code.to_uppercase(), words.unwrap_or_default()))
}

/// What a command said was wrong, and why; hints and remarks are left out.
fn words_of(said: &str) -> String {
    let (mut words, marks) = (Vec::new(), ["error: ", "caused by: "]);
    for line in said.lines() {
        words.extend(marks.iter().find_map(|mark| Some(line.split_once(mark)?.1)));
    }
    if words.is_empty() { alike(said) } else { alike(&words.join("; ")) }
}

/// The same for words that differ in numbers and ids alone.
fn alike(words: &str) -> String {
    let has_digit = |word: &str| word.contains(|c: char| c.is_ascii_digit());
    let words = words.split_whitespace().map(|word| if has_digit(word) { "N" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

fn exchange(node: &str, path: &str, body: &str) -> Result<Value> {
    let mut stream = TcpStream::connect(node)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: {node}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let Some((_, body)) = answer.split_once("\r\n\r\n") else { bail!("an answer without a body") };
    // Answers of operations come line by line, the last of which counts.
    let last = body.lines().rev().find(|line| line.starts_with('{')).unwrap_or("{}");
    Ok(serde_json::from_str(last).unwrap_or(Value::Null))
}
