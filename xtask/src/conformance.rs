//! `cargo xtask conformance FILE`: the engine against a file of cases with known answers.
//!
//! In: JSON lines `{id, schema, query, variables, expected: {data, hasErrors}}`, packed by gzip or not.
//! Out: the first failures and `passed N, failed M`, as the example `conformance` of `mesh` prints
//! them. Not here: reading or asking anything.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::process::{self, cargo, command};

/// What to ask.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// The file of cases, `.jsonl` or `.jsonl.gz`.
    file: PathBuf,
}

/// Runs the cases; one that fails is an error.
pub(crate) fn run(options: &Options) -> Result<()> {
    // The program runs in the root, wherever we were started.
    let file = std::path::absolute(&options.file)
        .with_context(|| format!("failed to find `{}`", options.file.display()))?;
    let example = ["build", "--quiet", "--locked", "-p", "mesh", "--example", "conformance"];
    process::run(cargo().args(example))?;
    let program = process::target().join("debug/examples/conformance");
    if !command(program).arg(&file).status().context("failed to start the cases")?.success() {
        bail!("the cases in `{}` did not all pass", options.file.display());
    }
    Ok(())
}
