//! Ten changes of a schema in a row, under a steady load of reads and writes through two servers on
//! one project.
//!
//! Clients say which version of the schema they know. While a change is carried out they know the
//! version before it; when it is deployed they learn the new one, one after the other, and only then
//! the old one goes out of service. Every answer must be the one that the version's schema gives of
//! what the client knows to be stored: rows that nobody changes, and rows of its own. In: a number of
//! rows. Out: requests, latencies, and that no answer was wrong; a request that fails is an error,
//! except a write that the switch has made impossible and that says so. Not here: crashes.

use std::fs;
use std::io::{BufRead, BufReader, BufWriter, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use base::rng::Rng;
use base::task::Task;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::MissedTickBehavior;

use crate::memory::binary;

/// Clients, half of them on each server.
const CLIENTS: usize = 8;
/// Requests a second, of all clients together.
const RATE: f64 = 200.0;
/// Rows that a client owns.
const OWN: u64 = 12;
/// What a client does with each version at least.
const LEAST: usize = 20;

/// A field of a version: its name, and what it holds of a row.
type Field = (&'static str, fn(&Row) -> Value);

/// One version of the schema, as its clients know it.
struct Version {
    what: &'static str,
    sdl: String,
    fields: Vec<Field>,
    key: &'static str,
    /// Whether writes of the version before may be refused once this one is deployed.
    refuses: bool,
    loses: &'static str,
}

#[derive(Clone, Debug)]
struct Row {
    id: String,
    name: String,
    size: i64,
    note: String,
}

impl Row {
    fn new(id: String, size: i64) -> Row {
        Row { name: format!("name {size}"), note: format!("note {size}"), id, size }
    }

    fn code(&self) -> String {
        format!("code-{}", self.id)
    }
}

fn sdl(key: &str, table: &str, fields: &[&str]) -> String {
    format!(
        "extend schema @module(name: \"main\", owner: \"core\")\n\
         type Item @key(fields: \"{key}\") @table(plural: \"items\"{table}) {{\n  {}\n}}\n",
        fields.join("\n  ")
    )
}

fn base_fields() -> Vec<Field> {
    vec![
        ("id", |row| json!(row.id)),
        ("name", |row| json!(row.name)),
        ("size", |row| json!(row.size)),
        ("note", |row| json!(row.note)),
        ("code", |row| json!(row.code())),
    ]
}

/// The schema that everything begins with, and the ten that follow it.
fn versions() -> Vec<Version> {
    let mut text = vec!["id: ID!", "name: String!", "size: Int!", "note: String", "code: String!"];
    let mut fields = base_fields();
    let mut all = Vec::new();
    let version = |what, sdl, fields: &Vec<Field>| Version {
        what,
        sdl,
        fields: fields.clone(),
        key: "id",
        refuses: false,
        loses: "",
    };
    all.push(version("the first schema", sdl("id", "", &text), &fields));
    text.push("color: String! @column(default: \"'red'\")");
    fields.push(("color", |_| json!("red")));
    all.push(version("a column with a default", sdl("id", "", &text), &fields));
    text[1] = "name: String! @search";
    all.push(version("text search", sdl("id", "", &text), &fields));
    text[1] = "title: String! @search @was(name: \"name\")";
    fields[1] = ("title", |row| json!(row.name));
    all.push(version("another name", sdl("id", "", &text), &fields));
    text[2] = "size: Long!";
    fields[2] = ("size", |row| json!(row.size.to_string()));
    all.push(version("a wider number", sdl("id", "", &text), &fields));
    text[3] = "note: String!";
    let narrow = version("a required field", sdl("id", "", &text), &fields);
    all.push(Version { refuses: true, ..narrow });
    text.pop();
    fields.pop();
    let dropped = version("a dropped column", sdl("id", "", &text), &fields);
    all.push(Version { loses: "Item.color", ..dropped });
    let bucket = ", bucket: {by: \"id\", count: 4}";
    all.push(version("buckets", sdl("id", bucket, &text), &fields));
    let sorted = ", bucket: {by: \"id\", count: 4}, sort: \"size desc\"";
    all.push(version("another order", sdl("id", sorted, &text), &fields));
    let keyed = version("another key", sdl("code", sorted, &text), &fields);
    all.push(Version { key: "code", refuses: true, ..keyed });
    text[1] = "title: String! @was(name: \"name\")";
    let lance = version("another format", sdl("code", ", format: LANCE", &text), &fields);
    all.push(Version { key: "code", ..lance });
    all
}

/// What all clients share.
struct Shared {
    versions: Vec<Version>,
    /// The newest version that clients may know, from 0.
    known: AtomicUsize,
    done: AtomicBool,
    rows: u64,
}

/// What one client saw.
#[derive(Default)]
struct Seen {
    requests: usize,
    refused: usize,
    reads: Vec<u64>,
    writes: Vec<u64>,
}

/// One run; says what it saw.
pub(crate) async fn run(seed: u64, rows: u64) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let versions = versions();
    fs::create_dir(folder.path().join("schema"))?;
    let schema = folder.path().join("schema/main.graphql");
    fs::write(&schema, &versions[0].sdl)?;
    headwater(folder.path(), &["apply", "--yes", "--quiet"])?;
    write_rows(&folder.path().join("items.csv"), rows)?;
    headwater(folder.path(), &["import", "Item", "items.csv", "--quiet"])?;
    let (one, two) = (Node::start(folder.path())?, Node::start(folder.path())?);
    let began = Instant::now();
    let shared = Arc::new(Shared {
        versions,
        known: AtomicUsize::new(0),
        done: AtomicBool::new(false),
        rows,
    });
    let at: Arc<Vec<AtomicUsize>> = Arc::new((0..CLIENTS).map(|_| AtomicUsize::new(0)).collect());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let address = if number % 2 == 0 { &one.address } else { &two.address };
            let client = Client {
                shared: Arc::clone(&shared),
                at: Arc::clone(&at),
                number,
                address: address.clone(),
                rng: Rng::seeded(seed.wrapping_mul(1000).wrapping_add(number as u64)),
            };
            base::task::spawn("client of a schema", client.work())
        })
        .collect();
    let changed = change(folder.path(), &schema, &shared, &at, &clients).await;
    shared.done.store(true, Ordering::Release);
    let mut all = Seen::default();
    for client in clients {
        let seen = client.await??;
        all.requests += seen.requests;
        all.refused += seen.refused;
        all.reads.extend(seen.reads);
        all.writes.extend(seen.writes);
    }
    changed?;
    Ok(summary(rows, all, began.elapsed()))
}

fn summary(rows: u64, all: Seen, took: Duration) -> String {
    format!(
        "10 changes over {rows} rows, {} requests, {:.0} a second: 0 errors, 0 wrong answers, {} \
         writes refused in words; reads {}; writes {}",
        all.requests,
        all.requests as f64 / took.as_secs_f64(),
        all.refused,
        latencies(all.reads),
        latencies(all.writes),
    )
}

fn latencies(mut micros: Vec<u64>) -> String {
    micros.sort_unstable();
    let at = |share: f64| {
        let place = (micros.len() as f64 * share) as usize;
        let place = place.min(micros.len().saturating_sub(1));
        micros.get(place).map_or(0.0, |micros| *micros as f64 / 1000.0)
    };
    format!("p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms", at(0.5), at(0.99), at(1.0))
}

/// Carries the ten changes out, each while the clients go on.
async fn change(
    folder: &Path,
    schema: &Path,
    shared: &Shared,
    at: &[AtomicUsize],
    clients: &[Task<Result<Seen>>],
) -> Result<()> {
    for (number, version) in shared.versions.iter().enumerate().skip(1) {
        let start = Instant::now();
        fs::write(schema, &version.sdl)?;
        let mut arguments = vec!["apply", "--yes", "--quiet", "--keep-old", "1h"];
        if !version.loses.is_empty() {
            arguments.extend(["--allow-destructive", version.loses]);
        }
        let folder = folder.to_owned();
        let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        let place = folder.clone();
        let apply = base::task::blocking("apply", move || {
            headwater(&place, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
        });
        apply.await?.with_context(|| version.what.to_owned())?;
        shared.known.store(number, Ordering::Release);
        while at.iter().any(|known| known.load(Ordering::Acquire) < number) {
            if clients.iter().any(Task::is_finished) {
                bail!("a client ended during `{}`", version.what);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let contract = move || headwater(&folder, &["apply", "--contract", "--quiet"]);
        base::task::blocking("contract", contract).await??;
        eprintln!("{:>2}. {}: {:.1} s", number, version.what, start.elapsed().as_secs_f64());
    }
    Ok(())
}

fn write_rows(path: &Path, rows: u64) -> Result<()> {
    let mut out = BufWriter::new(fs::File::create(path)?);
    writeln!(out, "id,name,size,note,code")?;
    for number in 0..rows {
        let row = Row::new(format!("s{number}"), number as i64);
        writeln!(out, "{},{},{},{},{}", row.id, row.name, row.size, row.note, row.code())?;
    }
    Ok(out.flush()?)
}

fn headwater(folder: &Path, arguments: &[&str]) -> Result<()> {
    let output = Command::new(binary()?).args(arguments).current_dir(folder).output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`headwater {}`: {text}", arguments.join(" "));
    Ok(())
}

/// A server; ended when dropped.
struct Node {
    child: Child,
    address: String,
}

impl Node {
    fn start(folder: &Path) -> Result<Node> {
        let mut child = Command::new(binary()?)
            .args(["up", "--listen", "127.0.0.1:0"])
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let output = child.stdout.take().context("the server has no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let address = line.trim().rsplit("http://").next().unwrap_or_default().to_owned();
        Ok(Node { child, address: address.trim_end_matches('/').to_owned() })
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already, and then there is nothing to end.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

struct Client {
    shared: Arc<Shared>,
    at: Arc<Vec<AtomicUsize>>,
    number: usize,
    address: String,
    rng: Rng,
}

impl Client {
    async fn work(self) -> Result<Seen> {
        let mut stream = TcpStream::connect(&self.address).await?;
        let mut own: Vec<Option<Row>> = vec![None; OWN as usize];
        let mut seen = Seen::default();
        let mut ticks = tokio::time::interval(Duration::from_secs_f64(CLIENTS as f64 / RATE));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let (mut version, mut turns) = (0, 0);
        while !self.shared.done.load(Ordering::Acquire) {
            ticks.tick().await;
            let known = self.shared.known.load(Ordering::Acquire);
            if turns >= LEAST && known > version {
                (version, turns) = (known, 0);
            }
            self.at[self.number].store(version, Ordering::Release);
            turns += 1;
            self.one(&mut stream, version, &mut own, &mut seen)
                .await
                .with_context(|| format!("client {} of version {}", self.number, version + 1))?;
        }
        Ok(seen)
    }

    async fn one(
        &self,
        stream: &mut TcpStream,
        version: usize,
        own: &mut [Option<Row>],
        seen: &mut Seen,
    ) -> Result<()> {
        let known = &self.shared.versions[version];
        let place = self.rng.below(OWN);
        let name = format!("c{}-{place}", self.number);
        match self.rng.below(4) {
            0 => {
                let row = Row::new(name, self.rng.below(1_000_000) as i64);
                let given = known.fields.iter().filter(|(name, _)| *name != "color");
                let given: Vec<String> =
                    given.map(|(name, of)| format!("{name}: {}", of(&row))).collect();
                let text = format!(
                    "mutation {{ upsertItem(input: {{{}}}) {{ node {{ id }} }} }}",
                    given.join(", ")
                );
                let answer = ask(stream, &self.address, version + 1, &text, seen).await?;
                if answer["errors"].is_null() {
                    own[place as usize] = Some(row);
                    return Ok(());
                }
                let next = self.shared.versions.get(version + 1);
                let words = answer["errors"].to_string();
                let allowed = next.is_some_and(|next| next.refuses)
                    && words.contains("generate the client again");
                ensure!(allowed, "{text}: {words}");
                seen.refused += 1;
                Ok(())
            }
            1 => {
                let wanted = own[place as usize].as_ref();
                let row = Row::new(name, 0);
                self.read(stream, version, &row, wanted, seen).await
            }
            _ => {
                let number = self.rng.below(self.shared.rows);
                let row = Row::new(format!("s{number}"), number as i64);
                self.read(stream, version, &row, Some(&row), seen).await
            }
        }
    }

    async fn read(
        &self,
        stream: &mut TcpStream,
        version: usize,
        row: &Row,
        wanted: Option<&Row>,
        seen: &mut Seen,
    ) -> Result<()> {
        let known = &self.shared.versions[version];
        let names: Vec<&str> = known.fields.iter().map(|(name, _)| *name).collect();
        let key = if known.key == "id" { row.id.clone() } else { row.code() };
        let text = format!("{{ item({}: \"{key}\") {{ {} }} }}", known.key, names.join(" "));
        let answer = ask(stream, &self.address, version + 1, &text, seen).await?;
        let wanted = wanted.map_or(Value::Null, |row| {
            Value::Object(
                known.fields.iter().map(|(name, of)| ((*name).to_owned(), of(row))).collect(),
            )
        });
        ensure!(
            answer["errors"].is_null() && answer["data"]["item"] == wanted,
            "{text}: {answer} instead of {wanted}"
        );
        Ok(())
    }
}

/// Asks one question over a connection that stays open.
async fn ask(
    stream: &mut TcpStream,
    host: &str,
    version: usize,
    text: &str,
    seen: &mut Seen,
) -> Result<Value> {
    let body = json!({ "query": text }).to_string();
    let head = format!(
        "POST /graphql HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n\
         headwater-schema: {version}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let start = Instant::now();
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|part| part == b"\r\n\r\n") {
            break end + 4;
        }
        ensure!(stream.read_buf(&mut bytes).await? > 0, "the server closed the connection");
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.context("the answer has no length")?.trim().parse()?;
    while bytes.len() < end + length {
        ensure!(stream.read_buf(&mut bytes).await? > 0, "the server closed the connection");
    }
    seen.requests += 1;
    let micros = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
    let kind = if text.starts_with("mutation") { &mut seen.writes } else { &mut seen.reads };
    kind.push(micros);
    Ok(serde_json::from_slice(&bytes[end..end + length])?)
}
