//! Ten changes of a schema in a row, under a steady load of reads and writes through two servers on
//! one project.
//!
//! ```text
//! state noted → apply → clients learn the version → generated clients run, states read → contract
//!             → states read
//! ```
//!
//! Clients say which version of the schema they know. While a change is carried out they know the
//! version before it; when it is deployed they learn the new one, one after the other, and only then
//! the old one goes out of service. Every answer must be the one that the version's schema gives of
//! what the client knows to be stored. In: numbers of rows and of pictures. Out: requests, latencies,
//! and that no answer was wrong. Not here: crashes.

use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use base::task::Task;

#[path = "change/connection.rs"]
mod connection;
#[path = "change/generated.rs"]
mod generated;
#[path = "change/load.rs"]
mod load;
#[path = "change/past.rs"]
mod past;
#[path = "change/picture.rs"]
mod picture;
#[path = "change/versions.rs"]
mod versions;

use crate::node::{Node, headwater};
use generated::Generated;
use load::{CLIENTS, Client, Seen, Shared};
use past::Past;
use versions::{KINDS, Kind, Row};

/// What a run is made with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// Rows without pictures.
    pub(crate) rows: u64,
    /// Rows with pictures.
    pub(crate) pictures: u64,
    /// Requests a second, of all clients together.
    pub(crate) rate: f64,
    /// Requests of a client to a version, at most: a run that must not depend on the clock is bounded by
    /// them.
    pub(crate) requests: u64,
}

/// One run; says what it saw.
pub(crate) async fn run(seed: u64, asked: Asked) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let project = Project::make(folder.path(), asked)?;
    let (one, two) = (Node::start(folder.path())?, Node::start(folder.path())?);
    let began = Instant::now();
    let shared = Arc::new(Shared {
        versions: project.versions,
        known: AtomicUsize::new(0),
        done: AtomicBool::new(false),
        at: (0..CLIENTS).map(|_| AtomicUsize::new(0)).collect(),
        rows: [asked.rows, asked.pictures],
        rate: asked.rate,
        most: asked.requests,
    });
    let mut clients = Vec::with_capacity(CLIENTS);
    for number in 0..CLIENTS {
        let address = if number % 2 == 0 { &one.address } else { &two.address };
        let client = Client::new(&shared, number, address, seed).await?;
        clients.push(base::task::spawn("client of a schema", client.work()));
    }
    let mut changes = Changes {
        folder: folder.path(),
        shared: &shared,
        clients: &clients,
        past: Past::new(&two.address),
        generated: Generated::new(folder.path())?,
        address: &one.address,
    };
    let changed = changes.run().await;
    let states = changes.past.len();
    shared.done.store(true, Ordering::Release);
    let mut all = Seen::default();
    for client in clients {
        all.add(client.await??);
    }
    changed?;
    Ok(summary(asked, all, states, began.elapsed()))
}

impl Seen {
    fn add(&mut self, other: Seen) {
        self.requests += other.requests;
        self.refused += other.refused;
        self.pictures += other.pictures;
        self.statements += other.statements;
        self.reads.extend(other.reads);
        self.writes.extend(other.writes);
    }
}

fn summary(asked: Asked, all: Seen, states: usize, took: Duration) -> String {
    format!(
        "10 changes over {} rows and {} pictures, {} requests, {:.0} a second: 0 errors, 0 wrong \
         answers, {} writes refused in words, {} pictures compared, {} rows read by SQL, {states} earlier states read; \
         reads {}; writes {}",
        asked.rows,
        asked.pictures,
        all.requests,
        all.requests as f64 / took.as_secs_f64(),
        all.refused,
        all.pictures,
        all.statements,
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

/// A project with rows.
struct Project {
    versions: Vec<versions::Version>,
}

impl Project {
    fn make(folder: &Path, asked: Asked) -> Result<Project> {
        let versions = versions::all(asked.pictures > 0);
        fs::create_dir(folder.join("schema"))?;
        fs::write(folder.join("schema/main.graphql"), &versions[0].sdl)?;
        // The states after each change are read again at the end.
        fs::write(folder.join("headwater.toml"), "[maintenance]\nsnapshots = 0\n")?;
        headwater(folder, &["apply", "--yes", "--quiet"])?;
        for (kind, count) in KINDS.into_iter().zip([asked.rows, asked.pictures]) {
            if count == 0 {
                continue;
            }
            if kind == Kind::Photo {
                picture::write_all(folder, count)?;
            }
            let file = format!("{}s.csv", kind.one());
            write_rows(&folder.join(&file), kind, count)?;
            headwater(folder, &["import", kind.name(), &file, "--quiet"])?;
        }
        Ok(Project { versions })
    }
}

fn write_rows(path: &Path, kind: Kind, count: u64) -> Result<()> {
    let mut out = BufWriter::new(fs::File::create(path)?);
    writeln!(out, "{}", kind.columns())?;
    for number in 0..count {
        let row = Row::new(format!("s{number}"), number as i64);
        writeln!(out, "{}", row.line(kind))?;
    }
    Ok(out.flush()?)
}

/// The changes, and what looks at their results.
struct Changes<'a> {
    folder: &'a Path,
    shared: &'a Shared,
    clients: &'a [Task<Result<Seen>>],
    past: Past,
    generated: Generated,
    address: &'a str,
}

impl Changes<'_> {
    /// Carries them out, each while the clients go on.
    async fn run(&mut self) -> Result<()> {
        self.generated.make(self.folder, 0)?;
        for number in 1..self.shared.versions.len() {
            let what = self.shared.versions[number].what;
            self.one(number).await.with_context(|| format!("change {number}, {what}"))?;
        }
        Ok(())
    }

    async fn one(&mut self, number: usize) -> Result<()> {
        let versions = &self.shared.versions;
        let (version, start) = (&versions[number], Instant::now());
        self.past.note(versions, number - 1).await?;
        fs::write(self.folder.join("schema/main.graphql"), &version.sdl)?;
        let mut arguments = vec!["apply", "--yes", "--quiet", "--keep-old", "1h"];
        for lost in &version.loses {
            arguments.extend(["--allow-destructive", lost]);
        }
        self.headwater(&arguments).await?;
        let applied = start.elapsed();
        self.generated.make(self.folder, number)?;
        self.shared.known.store(number, Ordering::Release);
        self.all_know(number).await?;
        let learnt = start.elapsed();
        for known in [number - 1, number] {
            // Some changes make writes of the older version impossible.
            let writes = known == number || !version.refuses;
            self.generated.check(self.address, &versions[known], known, writes)?;
            self.past.check(versions, known, number).await?;
        }
        self.headwater(&["apply", "--contract", "--quiet"]).await?;
        self.past.check(versions, number, number).await?;
        if version.breaks {
            self.generated.check_refused(self.address, &versions[number - 1], number - 1)?;
        }
        crate::note(&format!(
            "{number:>2}. {}: {:.1} s, of which the apply {:.1} s, until all knew {:.1} s",
            version.what,
            start.elapsed().as_secs_f64(),
            applied.as_secs_f64(),
            (learnt - applied).as_secs_f64()
        ));
        Ok(())
    }

    async fn headwater(&self, arguments: &[&str]) -> Result<()> {
        let folder = self.folder.to_owned();
        let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        let run =
            move || headwater(&folder, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
        base::task::blocking("headwater", run).await?
    }

    /// Waits until every client knows a version.
    async fn all_know(&self, number: usize) -> Result<()> {
        while self.shared.at.iter().any(|known| known.load(Ordering::Acquire) < number) {
            if self.clients.iter().any(Task::is_finished) {
                bail!("a client ended");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}
