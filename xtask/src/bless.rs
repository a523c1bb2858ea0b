//! `cargo xtask bless`: accepts the present behaviour as the expected one in every golden file, and
//! shows what changed, so that a reviewer sees behaviour as a diff.

use anyhow::Result;

use crate::process::{self, command};
use crate::test::with_clippy;

/// What to bless.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Only tests of this crate.
    #[arg(short, long)]
    package: Option<String>,
    /// Only tests whose name contains this.
    filter: Option<String>,
}

/// Runs the tests with `BLESS=1`, then shows which golden files changed.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut tests = command(process::tool("cargo-nextest"));
    tests.args(["nextest", "run", "--workspace", "--all-targets", "--no-fail-fast"]);
    // A filter and not a choice of packages: another choice would build DataFusion anew.
    if let Some(package) = &options.package {
        tests.args(["-E", &format!("package(={package})")]);
    }
    if let Some(filter) = &options.filter {
        tests.arg(filter);
    }
    // `INSTA_UPDATE` is what insta's own snapshots obey.
    process::run(with_clippy(&mut tests).env("BLESS", "1").env("INSTA_UPDATE", "always"))?;
    process::run(command("git").args([
        "--no-pager",
        "diff",
        "--stat",
        "--",
        "tests",
        "crates",
        "docs",
    ]))
}
