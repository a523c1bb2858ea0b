//! Fuzzes the engine and the schema; `cargo xtask torture mesh` starts it.
//!
//! ```text
//! fuzz TESTS KIND|all SEED SECONDS [CURRENT]
//! ```
//!
//! In: the folder `tests` of the repository, what to fuzz, a seed, for how long, and the file in which the input
//! stands that is tried. Out: what was found, one line each, and `tried N, found M`; what is found is kept in
//! `TESTS/fuzz/KIND` and makes the exit status 1. Not here: aborts, which the parent process sees.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what the program does")]

mod corpus;
mod mutate;
mod targets;
mod try_out;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use base::rng::Rng;

use targets::{Kind, Targets};
use try_out::{Found, Tries};

/// Inputs that are kept of one run.
const KEPT: usize = 20;

fn main() -> ExitCode {
    // What is found is told below; a trace of each panic would hide it.
    std::panic::set_hook(Box::new(|_| {}));
    match run() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// How many inputs were found.
fn run() -> Result<usize, Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |what: &str| arguments.next().ok_or(format!("`{what}` is missing"));
    let tests = PathBuf::from(next("TESTS")?);
    let kind = next("KIND")?;
    let rng = Rng::seeded(next("SEED")?.parse()?);
    let until = Instant::now() + Duration::from_secs(next("SECONDS")?.parse()?);
    let current = arguments.next().map(PathBuf::from);
    let kinds: Vec<Kind> =
        Kind::ALL.into_iter().filter(|known| kind == "all" || kind == known.name()).collect();
    if kinds.is_empty() {
        return Err(format!("there is no kind `{kind}`").into());
    }
    let seeds = kinds.iter().map(|kind| corpus::seeds(&tests, *kind));
    let seeds = seeds.collect::<std::io::Result<Vec<_>>>()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let targets = Targets::new()?;
    let (mut tried, mut found) = (0_u64, Vec::new());
    while Instant::now() < until && found.len() < KEPT {
        let at = (tried % kinds.len() as u64) as usize;
        let tries = Tries {
            runtime: &runtime,
            targets: &targets,
            seeds: &seeds[at],
            rng: &rng,
            current: current.as_deref(),
        };
        tried += 1;
        if let Some(one) = tries.one(kinds[at])? {
            keep(&tests, &one)?;
            found.push(one);
        }
    }
    println!("tried {tried}, found {}", found.len());
    Ok(found.len())
}

/// Keeps an input, so that every test run tries it again.
fn keep(tests: &Path, found: &Found) -> std::io::Result<()> {
    let folder = tests.join("fuzz").join(found.kind.name());
    std::fs::create_dir_all(&folder)?;
    let mut name = 0xcbf2_9ce4_8422_2325_u64;
    for byte in found.input.bytes() {
        // FNV-1a: the same input has the same name.
        name = (name ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    let file = folder.join(format!("{name:016x}.txt"));
    std::fs::write(&file, &found.input)?;
    println!("found {}: {} ({})", found.kind.name(), found.what, file.display());
    Ok(())
}
