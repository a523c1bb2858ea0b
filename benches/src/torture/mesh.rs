//! A graph of services, one of which fails in every way that is known, under clients that wait and clients that
//! leave; then random inputs.
//!
//! ```text
//! clients → headwater up → films, prices (well) and stars (fails) → judge
//! ```
//!
//! In: a seed. Out: what was asked and found. While the stars fail, all else is in every answer and the error names
//! them; answers come in time; the breaker opens and closes; when clients have left, nothing of them stays:
//! calls, places, sockets, files, memory. Not here: the random inputs, which a program of `mesh` makes.

#[path = "mesh/client.rs"]
mod client;
#[path = "mesh/fuzz.rs"]
mod fuzz;
#[path = "mesh/judge.rs"]
mod judge;
#[path = "mesh/source.rs"]
mod source;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use base::rng::Rng;
use base::size::format_bytes;
use futures::StreamExt as _;

use crate::node::{Node, headwater};
use crate::note;
pub(crate) use source::Fault;
use source::Source;

/// Every fault.
pub(crate) static FAULTS: [Fault; 10] = [
    Fault::Slow,
    Fault::Hung,
    Fault::HungAfterHead,
    Fault::ClosesEarly,
    Fault::HalfBody,
    Fault::WrongTypes,
    Fault::Fails,
    Fault::GzipBomb,
    Fault::WrongLength,
    Fault::Garbage,
];

/// Calls of a service at once.
const PLACES: usize = 16;
/// Clients that ask at once while a service fails, and how often each.
const CLIENTS: usize = 16;
const QUESTIONS: usize = 6;
/// Clients at once of those that leave.
const LEAVING: usize = 200;
/// How long a service may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How much longer an answer may take on a busy machine.
const SLACK: Duration = Duration::from_secs(8);
/// How long things may take to come to rest.
const REST: Duration = Duration::from_secs(60);
/// What may be more at the end than at the beginning.
const MORE_FILES: u64 = 48;
const MORE_MEMORY: u64 = 128 << 20;

/// What to do.
#[derive(Clone, Debug)]
pub(crate) struct Asked<'a> {
    /// Clients that leave.
    pub(crate) clients: u64,
    /// Seconds of random inputs.
    pub(crate) seconds: u64,
    /// The faults.
    pub(crate) faults: &'a [Fault],
    /// The guard to break.
    pub(crate) sabotage: Option<&'a str>,
}

/// The settings of one run; a sabotage breaks one of them.
#[derive(Clone, Copy, Debug)]
struct Guards {
    timeout: &'static str,
    answer_bytes: &'static str,
    places: usize,
}

impl Guards {
    fn of(sabotage: Option<&str>) -> Result<Guards> {
        let whole = Guards { timeout: "2s", answer_bytes: "1MiB", places: PLACES };
        Ok(match sabotage {
            None => whole,
            Some("no-timeout") => Guards { timeout: "60s", ..whole },
            Some("drop-limit") => Guards { answer_bytes: "1GiB", ..whole },
            // As if one place had been lost on the way.
            Some("leak-permit") => Guards { places: PLACES - 1, ..whole },
            Some(other) => bail!(
                "this suite cannot sabotage `{other}`; it can `no-timeout`, `drop-limit` and `leak-permit`"
            ),
        })
    }
}

/// A node over three services.
struct Mesh {
    _films: Source,
    _prices: Source,
    stars: Source,
    node: Node,
    _folder: tempfile::TempDir,
}

/// What the node holds.
#[derive(Clone, Copy, Debug)]
struct Held {
    files: u64,
    memory: u64,
}

/// One run.
pub(crate) async fn run(seed: u64, asked: Asked<'_>) -> Result<String> {
    let (rng, began) = (Rng::seeded(seed), Instant::now());
    let mesh = Mesh::start(Guards::of(asked.sabotage)?).await?;
    let mut questions = mesh.ask(QUESTIONS, judge::whole).await?;
    let before = mesh.held()?;
    let mut faults = asked.faults.to_vec();
    shuffle(&mut faults, &rng);
    for fault in &faults {
        let asked = mesh.strike(*fault).await;
        questions += asked.with_context(|| format!("while the stars were {fault:?}"))?;
        note(&format!("{fault:?} after {:.0} s", began.elapsed().as_secs_f64()));
    }
    mesh.leave(asked.clients, &rng).await?;
    let after = mesh.rest(before).await?;
    mesh.use_all_places().await?;
    mesh.ask(1, judge::whole).await?;
    drop(mesh);
    let (faults, clients) = (faults.len(), asked.clients);
    let grown = format!(
        "files {} → {}, memory {} → {}",
        before.files,
        after.files,
        format_bytes(before.memory),
        format_bytes(after.memory)
    );
    let inputs = fuzz::run(seed, asked.seconds).await?;
    let took = began.elapsed().as_secs();
    Ok(format!(
        "{questions} answers under {faults} faults, {clients} clients that left, {grown}; {inputs}; {took} s"
    ))
}

fn shuffle<T>(items: &mut [T], rng: &Rng) {
    for last in (1..items.len()).rev() {
        items.swap(last, rng.below(last as u64 + 1) as usize);
    }
}

impl Mesh {
    async fn start(guards: Guards) -> Result<Mesh> {
        let films = Source::start(source::films).await?;
        let prices = Source::start(source::prices).await?;
        let stars = Source::start(source::stars).await?;
        let folder = tempfile::tempdir()?;
        let schema = folder.path().join("schema");
        std::fs::create_dir(&schema)?;
        let modules = [
            ("films", "type Query { films: [Film!]! }", "title: String", &films),
            ("prices", "", "price: Int", &prices),
            ("stars", "", "stars: Int", &stars),
        ];
        let mut settings = "[limits]\nconcurrent_requests = 2048\n".to_owned();
        for (name, query, field, source) in modules {
            let timeout = guards.timeout;
            let url = &source.url;
            let sdl = format!(
                "extend schema @module(name: \"{name}\", owner: \"{name}-team\")\n\
                 @source(name: \"{name}\", kind: GRAPHQL, url: \"{url}\", timeout: \"{timeout}\", breaker: \"50% of 10 in 10s\")\n\
                 @link(url: \"https://specs.apollo.dev/federation/v2.3\", import: [\"@key\"])\n\
                 {query}\ntype Film @key(fields: \"id\") {{ id: ID! {field} }}\n"
            );
            std::fs::write(schema.join(format!("{name}.graphql")), sdl)?;
            let Guards { places, answer_bytes, .. } = guards;
            settings += &format!(
                "[sources.{name}]\nconcurrency = {places}\nanswer_bytes = \"{answer_bytes}\"\n"
            );
        }
        std::fs::write(folder.path().join("headwater.toml"), settings)?;
        headwater(folder.path(), &["apply", "--yes", "--quiet"])?;
        let node = Node::start(folder.path())?;
        Ok(Mesh { _films: films, _prices: prices, stars, node, _folder: folder })
    }

    /// Lets clients ask at once, each so often, and judges each answer; gives how many there were.
    async fn ask(
        &self,
        each: usize,
        judge: impl Fn(&serde_json::Value) -> Result<()>,
    ) -> Result<usize> {
        let clients = (0..CLIENTS).map(|_| async {
            for _ in 0..each {
                let (answer, took) = client::ask(&self.node.address).await?;
                judge(&answer)?;
                ensure!(took < TIMEOUT + SLACK, "an answer took {:.1} s", took.as_secs_f64());
            }
            Ok::<_, anyhow::Error>(each)
        });
        let counts = futures::future::try_join_all(clients).await?;
        Ok(counts.into_iter().sum())
    }

    /// Lets the stars fail in one way, and come back.
    async fn strike(&self, fault: Fault) -> Result<usize> {
        let opened = || async {
            let numbers = client::metrics(&self.node.address).await?;
            Ok::<_, anyhow::Error>(
                numbers.of("headwater_source_breaker_opened_total{source=\"stars\""),
            )
        };
        let before = opened().await?;
        self.stars.heard();
        self.stars.set(Some(fault));
        let asked = self.ask(QUESTIONS, |answer| judge::partial(answer, fault)).await?;
        let (heard, after) = (self.stars.heard(), opened().await?);
        let is_opened = after > before;
        ensure!(
            is_opened == fault.opens(),
            "the breaker opened {} times, the stars heard {heard} of {asked} calls",
            after - before
        );
        ensure!(!is_opened || heard < asked, "the stars were not left alone: {heard} calls");
        self.stars.set(None);
        self.recover().await?;
        Ok(asked)
    }

    /// Waits until the stars are asked and answer again; the breaker is closed then.
    async fn recover(&self) -> Result<()> {
        let until = Instant::now() + REST;
        loop {
            let (answer, _) = client::ask(&self.node.address).await?;
            let numbers = client::metrics(&self.node.address).await?;
            let is_closed = |name: &str| {
                let series = "headwater_source_breaker_state{source=\"";
                numbers.of(&format!("{series}{name}\",owner=\"{name}-team\",state=\"closed\"")) == 1
            };
            if judge::whole(&answer).is_ok()
                && ["films", "prices", "stars"].into_iter().all(is_closed)
            {
                break;
            }
            ensure!(Instant::now() < until, "the stars are well and not asked again: {answer}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.ask(1, judge::whole).await.map(drop)
    }

    /// Lets clients come and leave while the stars are slow.
    async fn leave(&self, clients: u64, rng: &Rng) -> Result<()> {
        self.stars.set(Some(Fault::Slow));
        let failed = AtomicUsize::new(0);
        let leaving = (0..clients).map(|number| {
            let (rng, failed) = (Rng::seeded(rng.next_u64() ^ number), &failed);
            async move {
                // The node may close first.
                if client::leave(&self.node.address, &rng).await.is_err() {
                    failed.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        futures::stream::iter(leaving).buffer_unordered(LEAVING).collect::<()>().await;
        self.stars.set(None);
        let failed = failed.into_inner() as u64;
        ensure!(failed * 10 <= clients, "{failed} of {clients} clients were not let in");
        Ok(())
    }

    /// Waits until nothing is left of clients; gives what the node holds then.
    async fn rest(&self, before: Held) -> Result<Held> {
        let until = Instant::now() + REST;
        loop {
            let numbers = client::metrics(&self.node.address).await?;
            let held = self.held()?;
            let left = [
                // The request for the page is in flight itself.
                ("requests", numbers.of("headwater_requests_in_flight").saturating_sub(1)),
                ("calls", numbers.of("headwater_source_calls_in_flight{")),
                ("waiting calls", numbers.of("headwater_source_calls_queued{")),
                ("files", held.files.saturating_sub(before.files + MORE_FILES)),
                ("bytes of memory", held.memory.saturating_sub(before.memory + MORE_MEMORY)),
            ];
            let Some((what, count)) = left.into_iter().find(|(_, count)| *count > 0) else {
                return Ok(held);
            };
            ensure!(Instant::now() < until, "{count} {what} stay behind: {before:?} → {held:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Every place of a service can be taken still: none was lost.
    async fn use_all_places(&self) -> Result<()> {
        // Calls that the node has left are not its own any more, and would be counted beside those that are.
        let until = Instant::now() + REST;
        while self.stars.running() > 0 {
            let running = self.stars.running();
            ensure!(Instant::now() < until, "the stars still answer {running} calls of nobody");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.stars.set(Some(Fault::Slow));
        let mut most = 0;
        for _ in 0..20 {
            self.stars.most();
            let asking = (0..PLACES * 3).map(|_| client::ask(&self.node.address));
            for answer in futures::future::join_all(asking).await {
                answer?;
            }
            most = most.max(self.stars.most());
            if most >= PLACES {
                break;
            }
        }
        self.stars.set(None);
        ensure!(most == PLACES, "{most} calls ran at once, and {PLACES} places are set");
        self.recover().await
    }

    /// What the node's process holds now.
    fn held(&self) -> Result<Held> {
        let process = PathBuf::from(format!("/proc/{}", self.node.process.id()));
        let status = std::fs::read_to_string(process.join("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes: u64 =
            line.context("no memory is stated")?.trim().trim_end_matches(" kB").parse()?;
        let files = std::fs::read_dir(process.join("fd"))?.count() as u64;
        Ok(Held { files, memory: kilobytes << 10 })
    }
}
