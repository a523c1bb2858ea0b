//! Two processes on one project: eight workers each change, import, compact and read for a stated
//! time. Afterwards every answer that any of them got must equal the table at some point of one
//! serial order, no acknowledged change may be missing, and none may be there twice.
//!
//! The serial order is the table's chain of snapshots. A worker logs each acknowledged change with
//! the snapshot that shows it, and each read with the snapshot that it saw. Amounts only ever grow
//! by stated additions of single keys that one worker owns, or are set by upserts of shared keys, so
//! that the state after each snapshot is known up to the order inside one snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use base::rng::Rng;
use base::{Kind, Principal};
use frame::{Scan, Value, Write, WriteOp, WriteReceipt, WriteRequest};
use lake::Lake;
use lake::import::{ImportMode, ImportRequest};
use lake::source::Origin;
use lake::store::LocalStore;
use meta::Database;
use schema::plan::Step;
use serde::{Deserialize, Serialize};

use crate::ledger::{self, Rows};

/// Workers of one process.
const WORKERS: u64 = 8;

/// Keys that all workers fight for.
const SHARED: u64 = 6;

/// What a worker did and saw, one JSON line each.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) enum Event {
    /// Rows set by an acknowledged upsert, insert or import.
    Set { snapshot: i64, rows: Vec<(String, i64)> },
    /// Rows removed by an acknowledged delete.
    Removed { snapshot: i64, ids: Vec<String> },
    /// A delete that found nothing at this snapshot.
    Absent { snapshot: i64, id: String },
    /// A create of a key that somebody else had created before.
    Lost { id: String },
    /// All rows at a snapshot.
    Seen { snapshot: i64, rows: Vec<(String, i64)> },
    /// A compaction.
    Compacted,
}

/// One run: two worker processes, then the verdict.
pub(crate) async fn run(seed: u64, seconds: u64) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let lake = open(folder.path(), Rng::seeded(seed)).await?;
    let schema = ledger::schema()?;
    let step = Step::CreateTable { type_name: ledger::TYPE.into() };
    lake.execute_step(&step, &schema::Schema::empty(), &schema, &|_| {}).await?;
    let workers: Vec<Child> = (0..2)
        .map(|process| start(folder.path(), seed.wrapping_mul(2).wrapping_add(process), seconds))
        .collect::<Result<_>>()?;
    let mut events = Vec::new();
    for worker in workers {
        events.extend(finish(worker)?);
    }
    judge(&lake, &events).await
}

fn start(folder: &Path, seed: u64, seconds: u64) -> Result<Child> {
    Command::new(std::env::current_exe()?)
        .arg("serial-worker")
        .arg("--folder")
        .arg(folder)
        .args(["--seed", &seed.to_string(), "--seconds", &seconds.to_string()])
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

async fn open(folder: &Path, rng: Rng) -> Result<Lake> {
    let database =
        Database::open(&format!("sqlite://{}", folder.join("meta.db").display())).await?;
    let store = Arc::new(LocalStore::open(&folder.join("objects"))?);
    ledger::open(store, database, rng).await
}

/// The work of one process; events go to standard output.
pub(crate) async fn work(folder: &Path, seed: u64, seconds: u64) -> Result<()> {
    let lake = open(folder, Rng::from_entropy()).await?;
    let until = Instant::now() + Duration::from_secs(seconds);
    let tasks: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let (lake, folder) = (lake.clone(), folder.to_path_buf());
            let rng = Rng::seeded(seed.wrapping_mul(1000).wrapping_add(worker));
            base::task::spawn("torture worker", async move {
                one_worker(&lake, &folder, &rng, &format!("{seed}-{worker}"), until).await
            })
        })
        .collect();
    let mut out = std::io::stdout().lock();
    for task in tasks {
        for event in task.await?? {
            writeln!(out, "{}", serde_json::to_string(&event)?)?;
        }
    }
    Ok(())
}

async fn one_worker(
    lake: &Lake,
    folder: &Path,
    rng: &Rng,
    name: &str,
    until: Instant,
) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    let mut count = 0;
    while Instant::now() < until {
        count += 1;
        let event = match rng.below(10) {
            0..=2 => Some(see(lake).await?),
            3 | 4 => Some(upsert(lake, rng, name, count).await?),
            5 | 6 => Some(create(lake, rng, name, count).await?),
            7 => remove(lake, rng, name, count).await?,
            8 => Some(import(lake, folder, rng, name, count).await?),
            _ => compact(lake).await?,
        };
        events.extend(event);
    }
    Ok(events)
}

/// A value that no other change ever writes: who saw it, saw this change.
fn mark(name: &str, count: u64) -> i64 {
    let hash = name.bytes().fold(7_i64, |hash, byte| (hash * 31 + i64::from(byte)) % 1_000_003);
    hash * 1_000_000 + count as i64
}

async fn see(lake: &Lake) -> Result<Event> {
    let snapshot = lake.snapshot(ledger::TYPE).await?;
    let at = (snapshot != 0).then_some(snapshot);
    let rows = match at {
        Some(_) => ledger::read(lake, at).await?,
        None => Rows::new(),
    };
    Ok(Event::Seen { snapshot, rows: marks(&rows) })
}

fn marks(rows: &Rows) -> Vec<(String, i64)> {
    rows.iter().map(|(id, (amount, _))| (id.clone(), *amount)).collect()
}

async fn write(lake: &Lake, op: WriteOp) -> base::Result<WriteReceipt> {
    let request = WriteRequest {
        table: ledger::TYPE.into(),
        op,
        idempotency_key: None,
        principal: Principal::local(),
    };
    lake.write(request).await
}

async fn upsert(lake: &Lake, rng: &Rng, name: &str, count: u64) -> Result<Event> {
    let mut rows = Rows::new();
    rows.insert(format!("shared-{}", rng.below(SHARED)), (mark(name, count), None));
    rows.insert(format!("own-{name}-{}", rng.below(20)), (mark(name, count), None));
    let snapshot = write(lake, WriteOp::Upsert(vec![ledger::batch(&rows)?])).await?.snapshot;
    Ok(Event::Set { snapshot, rows: marks(&rows) })
}

async fn create(lake: &Lake, rng: &Rng, name: &str, count: u64) -> Result<Event> {
    let id = format!("race-{}", rng.below(200));
    let rows = Rows::from([(id.clone(), (mark(name, count), None))]);
    match write(lake, WriteOp::Insert(vec![ledger::batch(&rows)?])).await {
        Ok(receipt) => Ok(Event::Set { snapshot: receipt.snapshot, rows: marks(&rows) }),
        Err(error) if error.kind() == Kind::AlreadyExists => Ok(Event::Lost { id }),
        Err(error) => Err(error.into()),
    }
}

async fn remove(lake: &Lake, rng: &Rng, name: &str, _: u64) -> Result<Option<Event>> {
    let id = format!("own-{name}-{}", rng.below(20));
    let receipt = write(lake, WriteOp::Delete(vec![vec![Value::from(id.as_str())]])).await?;
    let snapshot = receipt.snapshot;
    Ok(Some(match receipt.rows {
        0 => Event::Absent { snapshot, id },
        _ => Event::Removed { snapshot, ids: vec![id] },
    }))
}

async fn import(lake: &Lake, folder: &Path, rng: &Rng, name: &str, count: u64) -> Result<Event> {
    let mut text = String::from("id,amount\n");
    let mut rows = Vec::new();
    for index in 0..=rng.below(30) {
        let id = format!("own-{name}-{index}");
        text.push_str(&format!("{id},{}\n", mark(name, count)));
        rows.push((id, mark(name, count)));
    }
    let path = folder.join(format!("{name}-{count}.csv"));
    std::fs::write(&path, text)?;
    let mut request = ImportRequest::new(Origin::Path(path), ledger::TYPE, Principal::local());
    request.mode = ImportMode::Upsert;
    let report = lake.import(request, &mut |_| {}).await?;
    Ok(Event::Set { snapshot: report.snapshot, rows })
}

async fn compact(lake: &Lake) -> Result<Option<Event>> {
    match lake.compact(ledger::TYPE).await {
        Ok(_) => Ok(Some(Event::Compacted)),
        Err(error) if error.kind() == Kind::Conflict => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What happened in one snapshot.
#[derive(Default)]
struct Happened {
    set: BTreeMap<String, BTreeSet<i64>>,
    removed: BTreeSet<String>,
}

/// Replays the chain of snapshots and holds everything that was seen against it.
pub(crate) async fn judge(lake: &Lake, events: &[Event]) -> Result<String> {
    let mut happened: BTreeMap<i64, Happened> = BTreeMap::new();
    for event in events {
        match event {
            Event::Set { snapshot, rows } => {
                let happened = happened.entry(*snapshot).or_default();
                for (id, mark) in rows {
                    happened.set.entry(id.clone()).or_default().insert(*mark);
                }
            }
            Event::Removed { snapshot, ids } => {
                happened.entry(*snapshot).or_default().removed.extend(ids.iter().cloned());
            }
            _ => {}
        }
    }
    let chain: Vec<i64> =
        lake.snapshots(ledger::TYPE).await?.iter().map(|snapshot| snapshot.id).collect();
    for snapshot in happened.keys() {
        ensure!(
            chain.contains(snapshot),
            "an acknowledged change names snapshot {snapshot}, which is not in the chain"
        );
    }
    let states = replay(lake, &chain, &happened).await?;
    let mut reads = 0;
    for event in events {
        if let Event::Absent { snapshot, id } = event
            && let Some(state) = states.get(snapshot)
        {
            ensure!(!state.contains_key(id), "a delete missed `{id}`, which is in {snapshot}");
        }
        if let Event::Seen { snapshot, rows } = event
            && *snapshot != 0
        {
            reads += 1;
            let rows: BTreeMap<String, i64> = rows.iter().cloned().collect();
            let state = states.get(snapshot).with_context(|| {
                format!("a read saw snapshot {snapshot}, which is not in the chain")
            })?;
            ensure!(rows == *state, "a read of snapshot {snapshot} differs from what it holds");
        }
    }
    check_creates(events)?;
    Ok(format!("{} snapshots, {} events, {reads} reads", chain.len(), events.len()))
}

/// The state after each snapshot, each step of which must be explained by what was acknowledged.
async fn replay(
    lake: &Lake,
    chain: &[i64],
    happened: &BTreeMap<i64, Happened>,
) -> Result<BTreeMap<i64, BTreeMap<String, i64>>> {
    let mut states = BTreeMap::new();
    let mut before: BTreeMap<String, i64> = BTreeMap::new();
    let nothing = Happened::default();
    for snapshot in chain {
        let rows = ledger::read(lake, Some(*snapshot)).await?;
        let after: BTreeMap<String, i64> = marks(&rows).into_iter().collect();
        let happened = happened.get(snapshot).unwrap_or(&nothing);
        explain(*snapshot, &before, &after, happened)?;
        states.insert(*snapshot, after.clone());
        before = after;
    }
    Ok(states)
}

/// Every key is as before, or as one of the snapshot's own changes says, and no change of the
/// snapshot left its key as it was before.
fn explain(
    snapshot: i64,
    before: &BTreeMap<String, i64>,
    after: &BTreeMap<String, i64>,
    happened: &Happened,
) -> Result<()> {
    let keys: BTreeSet<&String> =
        before.keys().chain(after.keys()).chain(happened.set.keys()).collect();
    for key in keys {
        let (was, is) = (before.get(key), after.get(key));
        let sets = happened.set.get(key);
        let removed = happened.removed.contains(key);
        let explained = match is {
            Some(mark) if sets.is_some_and(|sets| sets.contains(mark)) => true,
            None if removed => true,
            _ => was == is && sets.is_none() && !removed,
        };
        ensure!(
            explained,
            "snapshot {snapshot}: `{key}` went from {was:?} to {is:?}, which no acknowledged change explains"
        );
    }
    Ok(())
}

/// Of racing creates of one key exactly one succeeded, and none lost against nobody.
fn check_creates(events: &[Event]) -> Result<()> {
    let mut created: BTreeMap<&str, u64> = BTreeMap::new();
    for event in events {
        if let Event::Set { rows, .. } = event {
            for (id, _) in rows.iter().filter(|(id, _)| id.starts_with("race-")) {
                *created.entry(id).or_default() += 1;
            }
        }
    }
    for (id, count) in &created {
        ensure!(*count == 1, "`{id}` was created {count} times");
    }
    for event in events {
        if let Event::Lost { id } = event {
            ensure!(
                created.contains_key(id.as_str()),
                "a create of `{id}` was refused, and nobody had created it"
            );
        }
    }
    Ok(())
}
