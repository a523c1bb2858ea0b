//! The clients: each reads rows that nobody changes, reads its own, and writes those, at a steady rate.
//!
//! In: what all clients share. Out: what each saw. Every answer must be the one that the version which
//! the client names gives of what the client knows to be stored; a request that fails is an error,
//! except a write that a change has made impossible and that says so. Not here: the changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use base::rng::Rng;
use serde_json::{Value, json};
use tokio::time::MissedTickBehavior;

use super::connection::Connection;
use super::picture;
use super::versions::{KINDS, Kind, Known, Row, Version};

/// Clients, half of them on each server.
pub(super) const CLIENTS: usize = 24;
/// Rows of each type that a client owns.
const OWN: u64 = 12;
/// What a client does with each version at least.
const LEAST: u64 = 20;
/// One in so many requests is about pictures, when there are any.
const PICTURES: u64 = 4;
/// One in so many requests is a statement of SQL.
const STATEMENTS: u64 = 64;
/// Of so many pictures that are read, the bytes of one are read too.
const BYTES: u64 = 4;

/// What all clients share.
pub(super) struct Shared {
    pub(super) versions: Vec<Version>,
    /// The newest version that clients may know, from 0.
    pub(super) known: AtomicUsize,
    pub(super) done: AtomicBool,
    /// The version that each client knows.
    pub(super) at: Vec<AtomicUsize>,
    /// Rows of each kind that nobody changes.
    pub(super) rows: [u64; KINDS.len()],
    /// Requests a second, of all clients together.
    pub(super) rate: f64,
    /// What a client does with each version at most.
    pub(super) most: u64,
}

/// What one client saw.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) requests: usize,
    pub(super) refused: usize,
    pub(super) pictures: usize,
    pub(super) statements: usize,
    pub(super) reads: Vec<u64>,
    pub(super) writes: Vec<u64>,
}

/// A client of one server.
pub(super) struct Client {
    shared: Arc<Shared>,
    number: usize,
    connection: Connection,
    rng: Rng,
    version: usize,
    own: Vec<Option<Row>>,
    seen: Seen,
}

impl Client {
    pub(super) async fn new(
        shared: &Arc<Shared>,
        number: usize,
        address: &str,
        seed: u64,
    ) -> Result<Client> {
        Ok(Client {
            shared: Arc::clone(shared),
            number,
            connection: Connection::open(address).await?,
            rng: Rng::seeded(seed.wrapping_mul(1000).wrapping_add(number as u64)),
            version: 0,
            own: vec![None; OWN as usize * KINDS.len()],
            seen: Seen::default(),
        })
    }

    /// Works until all changes are made.
    pub(super) async fn work(mut self) -> Result<Seen> {
        let shared = Arc::clone(&self.shared);
        let mut ticks =
            tokio::time::interval(Duration::from_secs_f64(CLIENTS as f64 / shared.rate));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let (mut turns, mut is_idle) = (0, false);
        while !shared.done.load(Ordering::Acquire) {
            ticks.tick().await;
            let known = shared.known.load(Ordering::Acquire);
            if turns >= LEAST.min(shared.most) && known > self.version {
                (self.version, turns) = (known, 0);
            }
            shared.at[self.number].store(self.version, Ordering::Release);
            if turns >= shared.most {
                is_idle = true;
                continue;
            }
            if std::mem::take(&mut is_idle) {
                // A server lets connections go that are not used for long.
                self.connection = Connection::open(&self.connection.address).await?;
            }
            turns += 1;
            let (number, version) = (self.number, self.version + 1);
            self.one().await.with_context(|| format!("client {number} of version {version}"))?;
        }
        Ok(self.seen)
    }

    async fn one(&mut self) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let [_, photos] = shared.rows;
        let is_photo = photos > 0 && self.rng.below(PICTURES) == 0;
        let kind = if is_photo { Kind::Photo } else { Kind::Item };
        let known = &shared.versions[self.version].types[kind as usize];
        let place = self.rng.below(OWN);
        let id = format!("c{}-{place}", self.number);
        let own = place as usize + kind as usize * OWN as usize;
        match self.rng.below(4) {
            0 => {
                let row = Row::new(id, self.rng.below(1_000_000) as i64);
                if self.write(known, &row).await? {
                    self.own[own] = Some(row);
                }
                Ok(())
            }
            1 => {
                let wanted = self.own[own].clone();
                self.read(known, &Row::new(id, 0), wanted.as_ref()).await
            }
            _ => {
                let number = self.rng.below(shared.rows[kind as usize]);
                let row = Row::new(format!("s{number}"), number as i64);
                if self.rng.below(STATEMENTS) == 0 {
                    return self.select(kind, &row).await;
                }
                self.read(known, &row, Some(&row)).await
            }
        }
    }

    /// Writes a row; says whether it was written, or refused because the change of the schema that
    /// comes makes it impossible.
    async fn write(&mut self, known: &Known, row: &Row) -> Result<bool> {
        let question = upsert(known, row);
        let start = Instant::now();
        let answer = self.connection.ask(self.version + 1, &question).await?;
        self.seen.writes.push(micros(start));
        self.seen.requests += 1;
        if answer["errors"].is_null() {
            return Ok(true);
        }
        let next = self.shared.versions.get(self.version + 1);
        let words = answer["errors"].to_string();
        let allowed =
            next.is_some_and(|next| next.refuses) && words.contains("generate the client again");
        ensure!(allowed, "{question}: {words}");
        self.seen.refused += 1;
        Ok(false)
    }

    /// Reads a row by SQL, which speaks of the deployed version: of columns that all versions have.
    async fn select(&mut self, kind: Kind, row: &Row) -> Result<()> {
        let (one, id) = (kind.one(), &row.id);
        let statement =
            format!("SELECT id, code, CAST(size AS BIGINT) AS size FROM {one}s WHERE id = '{id}'");
        let start = Instant::now();
        let answer = self.connection.operation("sql", &json!({ "sql": statement })).await?;
        self.seen.reads.push(micros(start));
        self.seen.requests += 1;
        self.seen.statements += 1;
        let wanted = json!([[row.id, row.code(), row.size.to_string()]]);
        ensure!(answer["done"]["rows"] == wanted, "{statement}: {answer} instead of {wanted}");
        Ok(())
    }

    async fn read(&mut self, known: &Known, row: &Row, wanted: Option<&Row>) -> Result<()> {
        let question = one(known, &known.key_of(row), None);
        let start = Instant::now();
        let answer = self.connection.ask(self.version + 1, &question).await?;
        self.seen.reads.push(micros(start));
        self.seen.requests += 1;
        let url = check(known, &question, answer, wanted)?;
        let (Some(url), Some(row)) = (url, wanted) else { return Ok(()) };
        if self.rng.below(BYTES) == 0 {
            let bytes = self.connection.get(&url).await?;
            self.seen.requests += 1;
            self.seen.pictures += 1;
            ensure!(bytes == picture::bytes(row.size), "{url} is not the picture of `{}`", row.id);
        }
        Ok(())
    }
}

fn micros(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// The question for one row, as it is or as a snapshot has it.
pub(super) fn one(known: &Known, key: &str, snapshot: Option<&str>) -> Value {
    let as_of = snapshot.map(|id| format!(", asOf: {{snapshot: \"{id}\"}}")).unwrap_or_default();
    let (one, by, below) = (known.kind.one(), known.key, known.selection());
    json!({ "query": format!("{{ {one}({by}: \"{key}\"{as_of}) {{ {below} }} }}") })
}

/// The mutation that writes a row.
pub(super) fn upsert(known: &Known, row: &Row) -> Value {
    let name = known.kind.name();
    let text = format!(
        "mutation ($input: {name}Input!) {{ upsert{name}(input: $input) {{ snapshot node {{ id }} }} }}"
    );
    json!({ "query": text, "variables": { "input": known.input(row) } })
}

/// Holds an answer against the row that it must be; gives where the row's picture is to be had.
pub(super) fn check(
    known: &Known,
    question: &Value,
    mut answer: Value,
    wanted: Option<&Row>,
) -> Result<Option<String>> {
    let wanted = wanted.map_or(Value::Null, |row| known.answer(row));
    let image = answer.pointer_mut(&format!("/data/{}/image", known.kind.one()));
    let url = image.and_then(Value::as_object_mut).and_then(|image| image.remove("url"));
    let url = url.and_then(|url| url.as_str().map(str::to_owned));
    ensure!(
        answer["errors"].is_null() && answer["data"][known.kind.one()] == wanted,
        "{question}: {answer} instead of {wanted}"
    );
    Ok(url)
}
