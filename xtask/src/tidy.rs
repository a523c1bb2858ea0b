//! `cargo xtask tidy`: the walls of the house as a program.
//!
//! In: `cargo metadata`, `Cargo.lock`, the tracked files. Out: the list of all violations, and the
//! ten longest files. Not here: formatting and lints, which have tools of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result, bail};

use crate::process::{cargo, command, root, run_quietly};

/// Floors of the house: a crate may use crates of lower floors only, and on one floor none.
const FLOORS: [&[&str]; 7] = [
    &["base"],
    &["frame"],
    &["schema", "meta", "media", "postgres"],
    &["vault", "lake", "features", "sequence", "observe", "mesh", "jobs", "ha", "fleet"],
    &["server"],
    &["cli"],
    // Measures and tortures the whole; nothing uses it.
    &["benches"],
];

/// Crates that the whole project may name in one version only.
const ONE_VERSION: [&str; 4] = ["datafusion", "arrow", "parquet", "object_store"];

/// Crates that nobody may use, with the reason.
const FORBIDDEN: [(&str, &str); 6] = [
    ("apollo-federation", "Elastic licence"),
    ("apollo-router", "Elastic licence"),
    ("async-graphql", "the engine is our own"),
    ("graphql-composition", "frozen"),
    ("candle-core", "slow on CPUs"),
    ("openssl-sys", "one TLS stack: rustls"),
];

/// Engines and the only crates that may name them.
const HOME: [(&str, &[&str]); 10] = [
    ("datafusion", &["lake"]),
    ("iceberg", &["lake"]),
    ("lance", &["lake"]),
    ("parquet", &["lake"]),
    // The bench names it as the peer of our text search.
    ("tantivy", &["lake", "benches"]),
    ("kube", &["jobs"]),
    ("sqlx", &["meta", "postgres"]),
    ("rusqlite", &["meta"]),
    ("axum", &["server"]),
    ("s3s", &["server"]),
];

/// Lines past which a file must not grow.
const MOST_LINES: usize = 1000;

/// Prints the violations; an error when there is one.
pub(crate) fn run() -> Result<()> {
    let rules = check()?;
    println!("tidy: {rules} rules hold");
    Ok(())
}

/// Lists what violates one rule.
type Rule = fn() -> Result<Vec<String>>;

/// Checks every rule; gives how many there are.
pub(crate) fn check() -> Result<u64> {
    let rules: [(&str, Rule); 9] = [
        ("crates depend downwards only", directions),
        ("engines are named by their home only", homes),
        ("one engine version", versions),
        ("no forbidden dependency", forbidden),
        ("every file says what goes in and out", headers),
        ("no file past its length", lengths),
        ("no shortcut in code or tests", shortcuts),
        ("documents name real modules", documents),
        ("no path of one machine", machine_paths),
    ];
    let mut violations = Vec::new();
    for (rule, check) in rules {
        for violation in check().with_context(|| format!("failed to check `{rule}`"))? {
            violations.push(format!("{rule}: {violation}"));
        }
    }
    if violations.is_empty() {
        return Ok(rules.len() as u64);
    }
    bail!("{} violations\n  {}", violations.len(), violations.join("\n  "))
}

/// A package of the workspace with what it depends on directly: name, and whether only for tests.
struct Package {
    name: String,
    dependencies: Vec<(String, bool)>,
}

fn packages() -> Result<Vec<Package>> {
    let text = run_quietly(cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&text)?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    Ok(packages
        .iter()
        .map(|package| Package {
            name: package["name"].as_str().unwrap_or_default().to_owned(),
            dependencies: package["dependencies"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|dependency| {
                    let name = dependency["name"].as_str().unwrap_or_default().to_owned();
                    (name, dependency["kind"].as_str() == Some("dev"))
                })
                .collect(),
        })
        .collect())
}

fn floor(name: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&name))
}

fn directions() -> Result<Vec<String>> {
    let mut violations = Vec::new();
    for package in packages()? {
        let Some(own) = floor(&package.name) else {
            if !["testkit", "xtask"].contains(&package.name.as_str()) {
                violations
                    .push(format!("`{}` stands on no floor of xtask/src/tidy.rs", package.name));
            }
            continue;
        };
        for (dependency, is_dev) in &package.dependencies {
            if let Some(other) = floor(dependency)
                && other >= own
            {
                violations.push(format!("`{}` uses `{dependency}`", package.name));
            }
            if dependency == "testkit" && !is_dev && package.name != "benches" {
                violations.push(format!("`{}` uses `testkit` outside its tests", package.name));
            }
        }
    }
    Ok(violations)
}

fn homes() -> Result<Vec<String>> {
    let mut violations = Vec::new();
    for package in packages()? {
        for (dependency, is_dev) in &package.dependencies {
            for (engine, homes) in HOME {
                if dependency == engine && !is_dev && !homes.contains(&package.name.as_str()) {
                    violations.push(format!("`{}` names `{engine}`", package.name));
                }
            }
        }
    }
    Ok(violations)
}

fn locked() -> Result<BTreeMap<String, BTreeSet<String>>> {
    let text = fs::read_to_string(root().join("Cargo.lock"))?;
    let lock: toml::Value = toml::from_str(&text)?;
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in lock["package"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        let version = package["version"].as_str().unwrap_or_default();
        versions.entry(name.to_owned()).or_default().insert(version.to_owned());
    }
    Ok(versions)
}

fn versions() -> Result<Vec<String>> {
    let locked = locked()?;
    Ok(ONE_VERSION
        .iter()
        .filter_map(|name| {
            let versions = locked.get(*name)?;
            (versions.len() != 1).then(|| format!("`{name}` occurs as {versions:?}"))
        })
        .collect())
}

fn forbidden() -> Result<Vec<String>> {
    let locked = locked()?;
    Ok(FORBIDDEN
        .iter()
        .filter(|(name, _)| locked.contains_key(*name))
        .map(|(name, reason)| format!("`{name}` is in Cargo.lock ({reason})"))
        .collect())
}

fn tracked(pattern: &str) -> Result<Vec<String>> {
    let text = run_quietly(command("git").args(["ls-files", pattern]))?;
    // A file that was deleted but not yet committed is still listed.
    Ok(text.lines().filter(|path| root().join(path).is_file()).map(ToOwned::to_owned).collect())
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(root().join(path)).with_context(|| format!("failed to read `{path}`"))
}

fn headers() -> Result<Vec<String>> {
    let mut violations = Vec::new();
    for path in tracked("*.rs")? {
        if !read(&path)?.starts_with("//!") {
            violations.push(format!("{path} does not open with a `//!` paragraph"));
        }
    }
    Ok(violations)
}

fn lengths() -> Result<Vec<String>> {
    let mut lengths = Vec::new();
    for path in tracked("*.rs")? {
        lengths.push((read(&path)?.lines().count(), path));
    }
    lengths.sort_unstable_by(|a, b| b.cmp(a));
    println!("longest files:");
    for (lines, path) in lengths.iter().take(10) {
        println!("  {lines:>5} {path}");
    }
    Ok(lengths
        .into_iter()
        .filter(|(lines, _)| *lines > MOST_LINES)
        .map(|(lines, path)| format!("{path} has {lines} lines; the most is {MOST_LINES}"))
        .collect())
}

/// Words that must not stand in code, each split so that this file does not contain them.
fn shortcuts() -> Result<Vec<String>> {
    let everywhere = [
        concat!("#[ig", "nore"),
        concat!("#[should_", "panic"),
        concat!("todo", "!("),
        concat!("unimple", "mented!("),
        concat!("thread::", "sleep"),
    ];
    let mut violations = Vec::new();
    for path in tracked("*.rs")? {
        for (index, line) in read(&path)?.lines().enumerate() {
            let code = line.trim_start();
            for word in everywhere {
                // Waiting for a condition and for a random moment are `testkit`'s to offer.
                let offered = word.starts_with("thread") && path.starts_with("crates/testkit/");
                if code.contains(word) && !code.starts_with("//") && !offered {
                    violations.push(format!("{path}:{}: `{word}`", index + 1));
                }
            }
        }
    }
    Ok(violations)
}

/// Every `crates/…` path and every stage chain in ARCHITECTURE.md must exist in the tree.
fn documents() -> Result<Vec<String>> {
    let mut violations = Vec::new();
    for document in tracked("*.md")? {
        if document.starts_with("docs/decisions/") || document == "CHANGELOG.md" {
            continue;
        }
        for (index, line) in read(&document)?.lines().enumerate() {
            for quoted in line.split('`').skip(1).step_by(2) {
                if is_repository_path(quoted) && fs::symlink_metadata(root().join(quoted)).is_err()
                {
                    violations.push(format!("{document}:{}: `{quoted}` does not exist", index + 1));
                }
            }
        }
    }
    violations.extend(missing_crates()?);
    Ok(violations)
}

/// ARCHITECTURE.md has one line for each crate, and none for a crate that is not there.
fn missing_crates() -> Result<Vec<String>> {
    let Ok(text) = read("ARCHITECTURE.md") else {
        return Ok(vec!["ARCHITECTURE.md is missing".to_owned()]);
    };
    let listed: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.split('`').next())
        .collect();
    let present: BTreeSet<String> = packages()?.into_iter().map(|package| package.name).collect();
    let mut violations = Vec::new();
    for name in &present {
        if !listed.contains(name.as_str()) {
            violations.push(format!("ARCHITECTURE.md has no line for the crate `{name}`"));
        }
    }
    for name in listed {
        if !present.contains(name) {
            violations.push(format!("ARCHITECTURE.md lists `{name}`, which is no crate"));
        }
    }
    Ok(violations)
}

fn is_repository_path(text: &str) -> bool {
    let roots = ["crates/", "xtask/", "docs/", "tests/", "web/src/", "examples/", "benches/"];
    roots.iter().any(|root| text.starts_with(root)) && !text.contains(['*', '<', ' ', '{', '…'])
}

fn machine_paths() -> Result<Vec<String>> {
    let words = [concat!("/ro", "ot/"), concat!("/work", "/main"), concat!("/ho", "me/")];
    let mut violations = Vec::new();
    for path in tracked("*")? {
        let Ok(text) = fs::read_to_string(root().join(&path)) else {
            continue; // Not text.
        };
        for (index, line) in text.lines().enumerate() {
            for word in words {
                if line.contains(word) {
                    violations.push(format!("{path}:{}: `{word}`", index + 1));
                }
            }
        }
    }
    Ok(violations)
}
