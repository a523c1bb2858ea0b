//! `cargo xtask torture NAME`: long fault suites. The seed comes first, `survived N of N` last.
//!
//! With `--sabotage WHAT` one named guard is broken on purpose; the suite must then *catch* it, and
//! that is what success means.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::process::{self, cargo, command};
use crate::steps::Counts;
use crate::test::build_workspace;

/// What to torture.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// The suite; without it, all are listed.
    name: Option<String>,
    /// How many runs.
    #[arg(long, default_value_t = 200)]
    runs: u32,
    /// The seed; drawn and printed when left out.
    #[arg(long)]
    seed: Option<u64>,
    /// Break this guard on purpose.
    #[arg(long)]
    sabotage: Option<String>,
    /// Only these activities, where a suite has several.
    #[arg(long)]
    only: Option<String>,
    /// Only lives that end in this way, `killed` or `dark`, where lives end in two.
    #[arg(long)]
    way: Option<String>,
    /// Seconds a run, where a suite runs by time.
    #[arg(long)]
    seconds: Option<u64>,
    /// Rows of a file, where a suite imports one.
    #[arg(long)]
    rows: Option<u64>,
    /// Rows with pictures, where a suite imports them.
    #[arg(long)]
    pictures: Option<u64>,
    /// Requests a second, where a suite has a steady load.
    #[arg(long)]
    rate: Option<f64>,
    /// Requests of a client to one version of the schema, at most, where a suite has versions.
    #[arg(long)]
    requests: Option<u64>,
    /// Only these faults of services, where a suite has them.
    #[arg(long)]
    faults: Option<String>,
    /// What the nodes stand on, where a suite has nodes: `local` or `servers`.
    #[arg(long)]
    backend: Option<String>,
    /// Run the optimised program, as benches do, and not the one of the tests.
    #[arg(long)]
    release: bool,
}

/// Suites with what they do.
const SUITES: &[(&str, &str)] = &[
    ("fsync", "a crash keeps what was synced and nothing else; sabotage: skip-fsync"),
    (
        "serial",
        "two processes change, import, compact and read; every answer equals some serial order",
    ),
    (
        "lake",
        "killed, or without power, in mutations, imports, applies, compactions, expiries and moves of \
         the store (`--only` one); sabotage: ack-before-sync, skip-conflict-check, early-expire",
    ),
    (
        "change",
        "ten changes of a schema over `--rows` rows and `--pictures` pictures while two servers are read \
         and written, `--rate` requests a second",
    ),
    (
        "tools",
        "Spark reads after every change, and Iceberg's own catalog tests run, on a served project",
    ),
    ("soak", "nothing grows: two nodes under mixed load for `--seconds`, one of them restarted"),
    (
        "commits",
        "500 commits at once from 8 processes over 2 nodes, `--backend local` or `servers`; \
         sabotage: lose-commit",
    ),
    (
        "mesh",
        "services that fail in every way (`--faults` some) under clients that leave (`--requests`), then \
         random inputs for `--seconds`; sabotage: no-timeout, drop-limit, leak-permit",
    ),
    ("memory", "an import of a large file (`--rows`) stays below 1 GiB"),
];

/// What every test run does of the long suites: few runs, always the same ones.
const SAMPLE: &[&[&str]] = &[
    &["fsync", "--runs", "5", "--seed", "1"],
    &["fsync", "--runs", "3", "--seed", "1", "--sabotage", "skip-fsync"],
    &["serial", "--runs", "1", "--seed", "1", "--seconds", "5"],
    &["lake", "--runs", "1", "--seed", "1", "--only", "mutate,import,compact,expire,apply"],
    &["lake", "--runs", "1", "--seed", "1", "--sabotage", "skip-conflict-check"],
    &["commits", "--runs", "1", "--seed", "1"],
    &["commits", "--runs", "1", "--seed", "2", "--backend", "servers"],
    &["commits", "--runs", "1", "--seed", "3", "--sabotage", "lose-commit"],
    &[
        "mesh",
        "--runs",
        "1",
        "--seed",
        "1",
        "--requests",
        "500",
        "--seconds",
        "10",
        "--faults",
        "fails,half-body",
    ],
    &[
        "mesh",
        "--runs",
        "1",
        "--seed",
        "1",
        "--requests",
        "20",
        "--seconds",
        "1",
        "--faults",
        "fails",
        "--sabotage",
        "leak-permit",
    ],
    &["memory", "--runs", "1", "--seed", "1", "--rows", "200000"],
    // So often by each version and no more, so that a slow machine needs longer and asks for the same.
    &[
        "change",
        "--runs",
        "1",
        "--seed",
        "3",
        "--rows",
        "200",
        "--pictures",
        "16",
        "--rate",
        "60",
        "--requests",
        "8",
    ],
];

/// Runs the sample; the programs are built already.
pub(crate) fn sample() -> Result<Counts> {
    for arguments in SAMPLE {
        process::run(command(program("debug")).args(*arguments))?;
    }
    Ok(Counts::of(SAMPLE.len() as u64, "seeded samples of torture suites"))
}

fn program(profile: &str) -> PathBuf {
    process::target().join(profile).join("torture")
}

/// Runs one suite.
pub(crate) fn run(options: &Options) -> Result<()> {
    let Some(name) = &options.name else {
        for (name, what) in SUITES {
            println!("{name:<12} {what}");
        }
        return Ok(());
    };
    if !SUITES.iter().any(|(known, _)| known == name) {
        let known: Vec<&str> = SUITES.iter().map(|(name, _)| *name).collect();
        bail!("there is no suite `{name}`; there are: {}", known.join(", "));
    }
    if name == "tools" {
        build_workspace()?;
        return crate::test::all_tools();
    }
    let program = if options.release {
        let build = ["build", "--quiet", "--release", "--locked", "-p", "benches", "-p", "cli"];
        process::run(cargo().args(build))?;
        let fuzz = ["build", "--quiet", "--release", "--locked", "-p", "mesh", "--example", "fuzz"];
        process::run(cargo().args(fuzz))?;
        program("release")
    } else {
        build_workspace()?;
        program("debug")
    };
    let seed = match options.seed {
        Some(seed) => seed,
        None => draw_seed()?,
    };
    println!("seed {seed}");
    let mut child = command(program);
    child.arg(name).args(["--runs", &options.runs.to_string(), "--seed", &seed.to_string()]);
    if let Some(sabotage) = &options.sabotage {
        child.args(["--sabotage", sabotage]);
    }
    if let Some(faults) = &options.faults {
        child.args(["--faults", faults]);
    }
    if let Some(way) = &options.way {
        child.args(["--way", way]);
    }
    if let Some(only) = &options.only {
        child.args(["--only", only]);
    }
    if let Some(seconds) = options.seconds {
        child.args(["--seconds", &seconds.to_string()]);
    }
    if let Some(rows) = options.rows {
        child.args(["--rows", &rows.to_string()]);
    }
    if let Some(pictures) = options.pictures {
        child.args(["--pictures", &pictures.to_string()]);
    }
    if let Some(rate) = options.rate {
        child.args(["--rate", &rate.to_string()]);
    }
    if let Some(requests) = options.requests {
        child.args(["--requests", &requests.to_string()]);
    }
    if let Some(backend) = &options.backend {
        child.args(["--backend", backend]);
    }
    process::run(&mut child)
}

fn draw_seed() -> Result<u64> {
    // The number of nanoseconds is random enough to start from, and it is printed.
    let text = process::run_quietly(command("date").arg("+%s%N"))?;
    Ok(text.trim().parse()?)
}
