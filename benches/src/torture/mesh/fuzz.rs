//! Random inputs, by the program `fuzz` of the crate `mesh`, one process for each kind: an abort ends only that.
//!
//! In: a seed and seconds. Out: how many inputs were tried; an error when one was found, which is kept in
//! `tests/fuzz` then.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use base::task;

/// What is fuzzed.
const KINDS: [&str; 5] = ["documents", "variables", "sdl", "requests", "answers"];

/// Tries inputs of every kind for these seconds altogether.
pub(super) async fn run(seed: u64, seconds: u64) -> Result<String> {
    let (program, tests) =
        (program()?, PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests")));
    let each = seconds.div_ceil(KINDS.len() as u64);
    let mut tried = Vec::new();
    for kind in KINDS {
        let (program, tests) = (program.clone(), tests.clone());
        let done = task::blocking("fuzz", move || fuzz(&program, &tests, kind, seed, each)).await;
        tried.push(format!("{} {kind}", done??));
    }
    Ok(format!("tried {}", tried.join(", ")))
}

/// The program beside this one.
fn program() -> Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name("examples").join("fuzz");
    ensure!(program.is_file(), "there is no `{}`: build the examples", program.display());
    Ok(program)
}

/// How many inputs were tried.
fn fuzz(program: &Path, tests: &Path, kind: &str, seed: u64, seconds: u64) -> Result<u64> {
    let folder = tempfile::tempdir()?;
    let current = folder.path().join("current");
    let output = std::process::Command::new(program)
        .arg(tests)
        .args([kind, &seed.to_string(), &seconds.to_string()])
        .arg(&current)
        .output()
        .with_context(|| format!("failed to start `{}`", program.display()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    match output.status.code() {
        Some(0) => {
            let count =
                said.lines().find_map(|line| line.strip_prefix("tried ")?.split(',').next());
            Ok(count.context("the fuzzer says nothing")?.parse()?)
        }
        Some(1) => bail!("{}", said.trim()),
        _ => {
            let kept = tests.join("fuzz").join(kind).join(format!("abort-{seed}.txt"));
            std::fs::create_dir_all(tests.join("fuzz").join(kind))?;
            std::fs::copy(&current, &kept)?;
            let error = String::from_utf8_lossy(&output.stderr);
            bail!("{} ended the process ({}): {}", kept.display(), output.status, error.trim());
        }
    }
}
