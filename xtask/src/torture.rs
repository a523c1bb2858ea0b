//! `cargo xtask torture NAME`: long fault suites. The seed comes first, `survived N of N` last.
//!
//! With `--sabotage WHAT` one named guard is broken on purpose; the suite must then *catch* it, and
//! that is what success means.

use anyhow::{Result, bail};

use crate::process::{self, cargo, command};

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
    /// Seconds a run, where a suite runs by time.
    #[arg(long)]
    seconds: Option<u64>,
}

/// Suites: name, cargo arguments that select the program, what it does.
const SUITES: &[(&str, &[&str], &str)] = &[
    (
        "fsync",
        &["-p", "benches", "--bin", "torture"],
        "a crash keeps what was synced and nothing else; sabotage: skip-fsync",
    ),
    (
        "serial",
        &["-p", "benches", "--bin", "torture"],
        "two processes change, import, compact and read; every answer equals some serial order",
    ),
];

/// Runs one suite.
pub(crate) fn run(options: &Options) -> Result<()> {
    let Some(name) = &options.name else {
        for (name, _, what) in SUITES {
            println!("{name:<12} {what}");
        }
        return Ok(());
    };
    let Some((_, target, _)) = SUITES.iter().find(|(known, _, _)| known == name) else {
        let known: Vec<&str> = SUITES.iter().map(|(name, _, _)| *name).collect();
        bail!("there is no suite `{name}`; there are: {}", known.join(", "));
    };
    let seed = match options.seed {
        Some(seed) => seed,
        None => draw_seed()?,
    };
    println!("seed {seed}");
    let mut child = cargo();
    child.args(["run", "--quiet", "--locked"]).args(*target).arg("--").arg(name);
    child.args(["--runs", &options.runs.to_string(), "--seed", &seed.to_string()]);
    if let Some(sabotage) = &options.sabotage {
        child.args(["--sabotage", sabotage]);
    }
    if let Some(seconds) = options.seconds {
        child.args(["--seconds", &seconds.to_string()]);
    }
    process::run(&mut child)
}

fn draw_seed() -> Result<u64> {
    // The number of nanoseconds is random enough to start from, and it is printed.
    let text = process::run_quietly(command("date").arg("+%s%N"))?;
    Ok(text.trim().parse()?)
}
