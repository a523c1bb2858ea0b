//! `cargo xtask bench NAME`: ours and the peer in the same run, one table whatever is measured.
//!
//! In: rows that a bench program prints as JSON lines. Out: a table with the ratio and whether the
//! goal holds, the same as JSON under `target/bench/`, and `holds N of M`. A peer that is absent
//! counts as not held.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::data;
use crate::process::{self, cargo, command, tools};
use crate::setup;

/// What to measure.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// The bench; without it, all are listed.
    name: Option<String>,
    /// Fewer rounds and smaller inputs: to see that it runs, not to quote.
    #[arg(long)]
    quick: bool,
    /// Print JSON instead of the table.
    #[arg(long)]
    json: bool,
    /// Only these sections of the bench, where it has some: `import,query`.
    #[arg(long)]
    only: Option<String>,
}

/// One bench.
struct Bench {
    name: &'static str,
    /// What is built.
    build: &'static [&'static str],
    /// The program, below the folder of optimised builds.
    program: &'static str,
    /// Data sets that it reads.
    data: &'static [&'static str],
    /// Whether it runs peers from `benches/peers`.
    peers: bool,
    what: &'static str,
}

const BENCHES: &[Bench] = &[
    Bench {
        name: "embed",
        build: &["-p", "media", "--example", "bench_embed"],
        program: "examples/bench_embed",
        data: &["emoji", "digits"],
        peers: false,
        what: "the built-in image model against colour histogram and perceptual hash, recall at 10",
    },
    Bench {
        name: "lake",
        build: &["-p", "benches", "-p", "cli"],
        program: "bench-lake",
        data: &["emoji"],
        peers: true,
        what: "import, queries, vectors, text, images, commits and serving against the tools in use today",
    },
];

/// One measured quantity, as the bench program prints it.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Row {
    /// What was measured.
    row: String,
    /// Our median.
    ours: f64,
    /// The peer's median; absent when the peer could not run.
    peer: Option<f64>,
    /// Who the peer is, with its version.
    #[serde(default)]
    peer_name: String,
    /// The unit of both.
    unit: String,
    /// The goal as the issue words it, for instance `>= 3x`.
    goal: String,
    /// Whether a larger number is better.
    #[serde(default = "yes")]
    larger_is_better: bool,
    /// The ratio that the goal asks for (ours / peer when larger is better, else peer / ours), or,
    /// with `absolute`, the bound on our own number.
    bound: f64,
    /// Whether the bound is on our own number alone.
    #[serde(default)]
    absolute: bool,
}

fn yes() -> bool {
    true
}

impl Row {
    /// How many times better than the peer.
    fn ratio(&self) -> Option<f64> {
        let peer = self.peer?;
        Some(if self.larger_is_better { self.ours / peer } else { peer / self.ours })
    }

    fn holds(&self) -> bool {
        if self.absolute {
            return if self.larger_is_better {
                self.ours >= self.bound
            } else {
                self.ours <= self.bound
            };
        }
        self.ratio().is_some_and(|ratio| ratio >= self.bound)
    }
}

/// Runs one bench.
pub(crate) fn run(options: &Options) -> Result<()> {
    let Some(name) = &options.name else {
        for bench in BENCHES {
            println!("{:<12} {}", bench.name, bench.what);
        }
        return Ok(());
    };
    let Some(bench) = BENCHES.iter().find(|bench| bench.name == name) else {
        let known: Vec<&str> = BENCHES.iter().map(|bench| bench.name).collect();
        bail!("there is no bench `{name}`; there are: {}", known.join(", "));
    };
    for set in bench.data {
        data::folder(set)?;
    }
    process::run(cargo().args(["build", "--quiet", "--release", "--locked"]).args(bench.build))?;
    let mut command = command(process::target().join("release").join(bench.program));
    if bench.peers {
        command.envs(peers()?);
    }
    if options.quick {
        command.arg("--quick");
    }
    if let Some(only) = &options.only {
        command.args(["--only", only]);
    }
    let output = command.stderr(std::process::Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("bench `{name}` ended with {}", output.status);
    }
    let rows = parse(&String::from_utf8(output.stdout)?)?;
    save(name, &rows)?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        print!("{}", table(&rows));
    }
    Ok(())
}

/// Where a bench finds its peers and their data.
fn peers() -> Result<Vec<(&'static str, PathBuf)>> {
    let programs = process::root().join("benches/peers");
    Ok(vec![
        ("HEADWATER_BENCH_FOLDER", process::target().join("bench/lake")),
        ("HEADWATER_BENCH_PYTHON", setup::peers(&programs)?),
        // Spark comes with the tools that the tests drive.
        ("HEADWATER_BENCH_SPARK", tools().join("python/bin/python")),
        ("HEADWATER_BENCH_JARS", tools().join("jars")),
        ("HEADWATER_BENCH_PEERS", programs),
        ("HEADWATER_BENCH_PICTURES", data::folder("emoji")?.join("package/img/google/64")),
    ])
}

fn parse(text: &str) -> Result<Vec<Row>> {
    let rows: Vec<Row> = text
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).with_context(|| format!("bad row: {line}")))
        .collect::<Result<_>>()?;
    if rows.is_empty() {
        bail!("the bench printed no row");
    }
    Ok(rows)
}

fn save(name: &str, rows: &[Row]) -> Result<()> {
    let folder = process::target().join("bench");
    fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{name}.json"));
    fs::write(&path, serde_json::to_string_pretty(rows)?)
        .with_context(|| format!("failed to write {}", path.display()))
}

fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "{:<44} {:>12} {:>12} {:<10} {:>7}  {:<12} {:<5}\n",
        "row", "ours", "peer", "unit", "ratio", "goal", "holds"
    );
    for row in rows {
        let peer = row.peer.map_or_else(|| "absent".to_owned(), number);
        let ratio = row.ratio().map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        let holds = if row.holds() { "yes" } else { "no" };
        text.push_str(&format!(
            "{:<44} {:>12} {peer:>12} {:<10} {ratio:>7}  {:<12} {holds:<5}\n",
            row.row,
            number(row.ours),
            row.unit,
            row.goal
        ));
        if !row.peer_name.is_empty() {
            text.push_str(&format!("    peer: {}\n", row.peer_name));
        }
    }
    let held = rows.iter().filter(|row| row.holds()).count();
    text.push_str(&format!("holds {held} of {}\n", rows.len()));
    text
}

/// Four significant digits, without an exponent.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1000.0 => format!("{value:.0}"),
        size if size >= 100.0 => format!("{value:.1}"),
        size if size >= 10.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ours: f64, peer: Option<f64>, larger_is_better: bool, bound: f64) -> Row {
        Row {
            row: "x".to_owned(),
            ours,
            peer,
            peer_name: String::new(),
            unit: "s".to_owned(),
            goal: String::new(),
            larger_is_better,
            bound,
            absolute: false,
        }
    }

    #[test]
    fn a_ratio_is_always_better_when_larger() {
        assert!(row(30.0, Some(10.0), true, 3.0).holds());
        assert!(!row(29.0, Some(10.0), true, 3.0).holds());
        assert!(row(10.0, Some(30.0), false, 3.0).holds());
    }

    #[test]
    fn an_absent_peer_is_not_held() {
        assert!(!row(30.0, None, true, 0.0).holds());
        assert!(table(&[row(30.0, None, true, 0.0)]).ends_with("holds 0 of 1\n"));
    }
}
