//! `cargo xtask test`: every check there is, in the order of what fails soonest, with counts.
//!
//! Clippy is the compiler here: `clippy-driver` wraps rustc for the workspace's own crates in every
//! build step, so lints, tests and the demo share one set of artefacts and DataFusion is compiled
//! once, not once for `check` and once for `build`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{self, cargo, command, root, run_quietly, tools};
use crate::setup;
use crate::steps::{Counts, Steps};
use crate::{tidy, torture};

/// What to check.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct Options {
    /// Only the named steps: fmt, tidy, deny, build, rust, torture, python, web.
    #[arg(long)]
    only: Vec<String>,
    /// Take the machine as it is: install nothing.
    #[arg(long)]
    no_setup: bool,
}

/// Runs the checks.
pub(crate) fn run_steps(options: &Options, steps: &mut Steps) {
    let wanted =
        |name: &str| options.only.is_empty() || options.only.iter().any(|only| only == name);
    if wanted("fmt") {
        steps.run("fmt", format);
    }
    if wanted("tidy") {
        steps.run("tidy", || Ok(Counts::of(tidy::check()?, "rules")));
    }
    if wanted("deny") {
        steps.run("deny", deny);
    }
    // The formatter and the walls take seconds; nobody should wait for a build to hear of them.
    if !steps.all_passed() {
        return;
    }
    if wanted("web") {
        steps.run("web build", web_build);
    }
    if wanted("build") {
        steps.run("build", build);
    }
    if !steps.all_passed() {
        return;
    }
    if wanted("rust") {
        steps.run("rust", rust);
    }
    if wanted("torture") {
        steps.run("torture", torture::sample);
    }
    if wanted("python") {
        steps.run("python", python);
    }
    if wanted("web") {
        steps.run("web", web);
    }
}

/// Runs the checks and prints the table.
pub(crate) fn run(options: &Options) -> Result<()> {
    if !options.no_setup {
        setup::run(&setup::Options::default())?;
    }
    let mut steps = Steps::default();
    run_steps(options, &mut steps);
    steps.finish()
}

/// Makes cargo compile the workspace's crates with clippy's driver, warnings denied.
pub(crate) fn with_clippy(command: &mut Command) -> &mut Command {
    let driver = run_quietly(process::command("rustup").args(["which", "clippy-driver"]));
    let Ok(driver) = driver else {
        return command;
    };
    command
        .env("RUSTC_WORKSPACE_WRAPPER", driver.trim())
        .env("CLIPPY_ARGS", "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__")
        .env("CARGO_INCREMENTAL", "0")
}

fn format() -> Result<Counts> {
    process::run(cargo().args(["fmt", "--all", "--check"]))?;
    let files = run_quietly(command("git").args(["ls-files", "*.rs"]))?;
    Ok(Counts::of(files.lines().count() as u64, "files formatted"))
}

fn deny() -> Result<Counts> {
    let program = process::tool("cargo-deny");
    if !program.is_file() {
        bail!("cargo-deny is missing; run `cargo xtask setup`");
    }
    // Crates of other platforms are looked at too, and no build has fetched them on a new machine.
    process::run(cargo().args(["fetch", "--quiet", "--locked"]))?;
    // Advisories need a database from the network, so that only bans, licences and sources run here.
    process::run(command(program).args([
        "--offline",
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ]))?;
    Ok(Counts::of(3, "kinds of dependency checks"))
}

/// Builds every program and every test. Everything that needs a program comes through here: another
/// choice of packages or targets would have other features, and build DataFusion anew.
pub(crate) fn build_workspace() -> Result<()> {
    process::run(with_clippy(cargo().args(["build", "--workspace", "--all-targets", "--locked"])))
}

fn build() -> Result<Counts> {
    if run_quietly(command("rustup").args(["which", "clippy-driver"])).is_err() {
        bail!("clippy is missing; run `rustup component add clippy`");
    }
    build_workspace()?;
    let packages = run_quietly(cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let packages: serde_json::Value = serde_json::from_str(&packages)?;
    let count = packages["packages"].as_array().map_or(0, Vec::len);
    Ok(Counts::of(count as u64, "crates without a warning"))
}

fn rust() -> Result<Counts> {
    let nextest = process::tool("cargo-nextest");
    if !nextest.is_file() {
        bail!("cargo-nextest is missing; run `cargo xtask setup`");
    }
    let log = process::target().join("nextest.log");
    let output = with_clippy(
        command(nextest)
            .args(["nextest", "run", "--workspace", "--locked", "--no-fail-fast"])
            .args(["--status-level", "slow", "--final-status-level", "fail", "--color", "never"]),
    )
    .output()
    .context("failed to start cargo-nextest")?;
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    std::fs::write(&log, &text)?;
    print_tail(&text, if output.status.success() { 3 } else { 400 });
    if !output.status.success() {
        bail!("Rust tests failed; the whole log is {}", log.display());
    }
    let passed = count_before(&text, " passed").context("nextest printed no summary")?;
    let skipped = visible_skips(&text);
    Ok(Counts { passed, skipped, unit: "Rust tests" })
}

/// Tests that cannot run here say so in a line that starts with `skipped:`.
fn visible_skips(text: &str) -> Vec<String> {
    let mut reasons: Vec<String> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("skipped: "))
        .map(ToOwned::to_owned)
        .collect();
    reasons.sort();
    reasons.dedup();
    reasons
}

/// The number before the last occurrence of `word` in the summary: `412 passed`.
fn count_before(text: &str, word: &str) -> Option<u64> {
    let line = text.lines().rev().find(|line| line.contains("Summary") && line.contains(word))?;
    let before = &line[..line.find(word)?];
    before.rsplit(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn print_tail(text: &str, lines: usize) {
    let all: Vec<&str> = text.lines().collect();
    for line in &all[all.len().saturating_sub(lines)..] {
        println!("{line}");
    }
}

fn python() -> Result<Counts> {
    let folder = root().join("tests/tools");
    if !folder.join("requirements.txt").is_file() {
        return Ok(Counts::of(0, "Python tests (none yet)"));
    }
    let text = pytest(&folder, &[])?;
    print_tail(&text, 2);
    let passed = text
        .lines()
        .rev()
        .find_map(|line| line.split(" passed").next()?.rsplit(' ').next()?.parse().ok())
        .context("pytest printed no summary")?;
    let reason = |line: &str| Some(line.strip_prefix("SKIPPED ")?.to_owned());
    let skipped = text.lines().filter_map(reason).collect();
    Ok(Counts { passed, skipped, unit: "Python tests" })
}

/// Runs the Python tests of a folder on the built binary.
fn pytest(folder: &Path, more: &[(&str, &str)]) -> Result<String> {
    let interpreter = tools().join("python/bin/python");
    if !interpreter.is_file() {
        bail!("the Python environment is missing; run `cargo xtask setup`");
    }
    run_quietly(
        command(interpreter)
            .args(["-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider"])
            .arg(folder)
            .env("HEADWATER", binary())
            .env("HEADWATER_JARS", tools().join("jars"))
            .env("HEADWATER_REFERENCE", tools().join("reference"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .envs(more.iter().copied()),
    )
}

/// Runs all tests with other tools, those that take long too, on files and on real servers.
pub(crate) fn all_tools() -> Result<()> {
    let folder = root().join("tests/tools");
    let reference = tools().join("reference");
    if !reference.is_dir() {
        let target = format!("-DoutputDirectory={}", reference.display());
        let pom = folder.join("java/pom.xml");
        run_quietly(
            command("mvn")
                .args(["-q", "-B", "dependency:copy-dependencies", "-f"])
                .arg(pom)
                .arg(target),
        )?;
    }
    for backend in ["files", "servers"] {
        let text = pytest(&folder, &[("HEADWATER_TOOLS", "all"), ("HEADWATER_BACKEND", backend)])?;
        println!("on {backend}:");
        print_tail(&text, 20);
    }
    Ok(())
}

/// The built binary.
pub(crate) fn binary() -> std::path::PathBuf {
    process::target().join("debug/headwater")
}

fn web_build() -> Result<Counts> {
    let web = root().join("web");
    if !web.join("package.json").is_file() {
        return Ok(Counts::of(0, "UI builds (none yet)"));
    }
    if !node_is_ready(&web) {
        return Ok(skipped("Node.js is absent; the committed build of the UI is served"));
    }
    run_quietly(command("npm").args(["run", "--silent", "build"]).current_dir(&web))?;
    Ok(Counts::of(1, "UI build"))
}

fn web() -> Result<Counts> {
    let web = root().join("web");
    if !web.join("package.json").is_file() {
        return Ok(Counts::of(0, "browser tests (none yet)"));
    }
    if !node_is_ready(&web) {
        return Ok(skipped("Node.js is absent"));
    }
    let text = run_quietly(
        command("npm")
            .args(["test", "--silent"])
            .current_dir(&web)
            .env("HEADWATER", binary())
            .env("CHROMIUM", "/usr/bin/chromium"),
    )?;
    print_tail(&text, 12);
    let passed = text
        .lines()
        .rev()
        .find_map(|line| {
            let line = line.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
            line.strip_prefix("pass ")?.trim().parse().ok()
        })
        .context("the browser tests printed no `pass N` line")?;
    Ok(Counts::of(passed, "browser tests"))
}

fn node_is_ready(folder: &Path) -> bool {
    process::is_installed("npm") && folder.join("node_modules").is_dir()
}

fn skipped(reason: &str) -> Counts {
    Counts { passed: 0, skipped: vec![reason.to_owned()], unit: "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_line_gives_the_count() {
        let text =
            "x\n     Summary [   1.2s] 413 tests run: 412 passed (3 slow), 1 failed, 2 skipped\n";
        assert_eq!(count_before(text, " passed"), Some(412));
        assert_eq!(count_before("nothing", " passed"), None);
    }

    #[test]
    fn skips_are_listed_once() {
        let text = "skipped: no Spark\n  skipped: no Spark\nok\n";
        assert_eq!(visible_skips(text), ["no Spark"]);
    }
}
