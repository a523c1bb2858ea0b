//! Long fault suites, started by `cargo xtask torture NAME`: the seed in, `survived N of N` out.
//!
//! With `--sabotage` one named guard is broken on purpose, and success means that the suite caught
//! it. Not here: printing the seed, choosing the suite's program (`xtask`).
#![recursion_limit = "256"]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a report is what this is for")]

#[path = "torture/change.rs"]
mod change;
#[path = "torture/commits.rs"]
mod commits;
#[path = "torture/crash.rs"]
mod crash;
#[path = "torture/fsync.rs"]
mod fsync;
#[path = "torture/ledger.rs"]
mod ledger;
#[path = "torture/memory.rs"]
mod memory;
#[path = "torture/mesh.rs"]
mod mesh;
#[path = "torture/node.rs"]
mod node;
mod program;
mod s3;
#[path = "torture/serial.rs"]
mod serial;
#[path = "torture/soak.rs"]
mod soak;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};

/// What to do.
#[derive(Parser)]
struct Arguments {
    /// The suite.
    suite: Suite,
    /// How many runs.
    #[arg(long, default_value_t = 20)]
    runs: u64,
    /// The first run's seed; the next ones follow it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Break this guard.
    #[arg(long)]
    sabotage: Option<String>,
    /// Seconds a run, where a suite runs by time.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Rows of a file, where a suite imports one.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// Rows with pictures, where a suite imports them.
    #[arg(long, default_value_t = 0)]
    pictures: u64,
    /// Requests a second, where a suite has a steady load.
    #[arg(long, default_value_t = 200.0)]
    rate: f64,
    /// Requests of a client to one version of the schema, at most, where a suite has versions.
    #[arg(long, default_value_t = u64::MAX)]
    requests: u64,
    /// Only these activities, where a suite has several.
    #[arg(long, value_delimiter = ',')]
    only: Vec<crash::Activity>,
    /// Only lives that end in this way, where lives end in two.
    #[arg(long)]
    way: Option<crash::Way>,
    /// Only these faults of services, where a suite has them.
    #[arg(long, value_delimiter = ',')]
    faults: Vec<mesh::Fault>,
    /// What the nodes stand on, where a suite has nodes: `local` or `servers`.
    #[arg(long, default_value = "local")]
    backend: String,
    /// Of a worker process: the nodes.
    #[arg(long, hide = true)]
    node: Vec<String>,
    /// Of a worker process: the project's folder.
    #[arg(long, hide = true)]
    folder: Option<std::path::PathBuf>,
    #[command(flatten)]
    doom: crash::Doom,
}

impl Arguments {
    fn mesh(&self) -> mesh::Asked<'_> {
        let faults =
            if self.faults.is_empty() { mesh::FAULTS.as_slice() } else { self.faults.as_slice() };
        // Without a bound, as many as the goal says.
        let clients = if self.requests == u64::MAX { 10_000 } else { self.requests };
        let (seconds, sabotage) = (self.seconds, self.sabotage.as_deref());
        mesh::Asked { clients, seconds, faults, sabotage }
    }

    fn change(&self) -> change::Asked {
        let Arguments { rows, pictures, rate, requests, .. } = *self;
        change::Asked { rows, pictures, rate, requests }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Suite {
    /// A crash keeps what was synced and nothing else; everything acknowledged is there.
    Fsync,
    /// Two processes change, import, compact and read; every answer equals some serial order.
    Serial,
    /// An import of a large file stays within its memory.
    Memory,
    /// Killed, or without power, in the middle of imports, mutations, compactions and expiries.
    Lake,
    /// Ten changes of a schema under load: no error, no wrong answer.
    Change,
    /// Nothing grows: two nodes under mixed load, one of them restarted again and again.
    Soak,
    /// A graph of services, one of which fails in every way, and random inputs.
    Mesh,
    /// Five hundred commits at once from eight processes over two nodes.
    Commits,
    /// One of the eight processes.
    CommitsWorker,
    /// One of the two processes.
    SerialWorker,
    /// The process that is killed.
    LakeVictim,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result =
        runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(run(&arguments)));
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Prints a line of a report.
fn say(text: &str) {
    println!("{text}");
}

/// Says how far a long run is, beside its report.
fn note(text: &str) {
    eprintln!("{text}");
}

/// Runs the suite; `false` when a run did not survive, or a sabotage was not caught.
async fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    if let (Suite::SerialWorker, Some(folder)) = (arguments.suite, &arguments.folder) {
        serial::work(folder, arguments.seed, arguments.seconds).await?;
        return Ok(true);
    }
    let sabotage = arguments.sabotage.as_deref();
    if arguments.suite == Suite::LakeVictim {
        crash::victim(&arguments.doom, arguments.seed, &arguments.only, sabotage).await?;
        return Ok(true);
    }
    if arguments.suite == Suite::Lake {
        return lake_suite(arguments).await;
    }
    if arguments.suite == Suite::CommitsWorker {
        commits::work(arguments.seed, &arguments.node)?;
        return Ok(true);
    }
    let mut survived = 0;
    for index in 0..arguments.runs {
        let seed = arguments.seed.wrapping_add(index);
        let outcome = match arguments.suite {
            Suite::Fsync => fsync::run(seed, sabotage).await,
            Suite::Serial => serial::run(seed, arguments.seconds).await,
            Suite::Memory => memory::run(seed, arguments.rows).await,
            Suite::Change => change::run(seed, arguments.change()).await,
            Suite::Soak => soak::run(seed, arguments.seconds).await,
            Suite::Mesh => mesh::run(seed, arguments.mesh()).await,
            Suite::Commits => commits::run(seed, &arguments.backend, sabotage).await,
            Suite::SerialWorker | Suite::CommitsWorker => {
                anyhow::bail!("a worker needs `--folder`")
            }
            Suite::Lake | Suite::LakeVictim => anyhow::bail!("this suite counts for itself"),
        };
        match outcome {
            Ok(what) => {
                survived += 1;
                println!("run {seed}: {what}");
            }
            Err(error) => println!("run {seed}: FAILED: {error:#}"),
        }
    }
    if let Some(sabotage) = sabotage {
        let caught = arguments.runs - survived;
        println!("sabotage `{sabotage}` was caught in {caught} of {} runs", arguments.runs);
        return Ok(caught > 0);
    }
    println!("survived {survived} of {}", arguments.runs);
    Ok(survived == arguments.runs)
}

/// Ends the lake in the middle of its work.
async fn lake_suite(arguments: &Arguments) -> anyhow::Result<bool> {
    let sabotage = arguments.sabotage.as_deref();
    let asked = crash::Asked {
        runs: arguments.runs,
        seed: arguments.seed,
        only: &arguments.only,
        way: arguments.way,
        sabotage,
    };
    let (runs, good) = crash::run(asked).await?;
    match sabotage {
        Some(name) => say(&format!("sabotage `{name}`: caught {good} of {runs}")),
        None => say(&format!("survived {good} of {runs}")),
    }
    Ok(runs == good)
}
