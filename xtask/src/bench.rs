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

/// Variables that tell a bench where things are.
type Environment = Vec<(&'static str, PathBuf)>;

/// One bench.
struct Bench {
    name: &'static str,
    /// What is built.
    build: &'static [&'static str],
    /// The program, below the folder of optimised builds.
    program: &'static str,
    /// Data sets that it reads.
    data: &'static [&'static str],
    /// Where it finds peers from `benches/peers`, which this installs.
    peers: Option<fn() -> Result<Environment>>,
    what: &'static str,
}

const BENCHES: &[Bench] = &[
    Bench {
        name: "embed",
        build: &["-p", "media", "--example", "bench_embed"],
        program: "examples/bench_embed",
        data: &["emoji", "digits"],
        peers: None,
        what: "the built-in image model against colour histogram and perceptual hash, recall at 10",
    },
    Bench {
        name: "lake",
        build: &["-p", "benches", "-p", "cli"],
        program: "bench-lake",
        data: &["emoji"],
        peers: Some(lake_peers),
        what: "import, queries, vectors, text, images, commits and serving against the tools in use today",
    },
    Bench {
        name: "mesh",
        build: &["-p", "benches", "-p", "cli"],
        program: "bench-mesh",
        data: &[],
        peers: Some(mesh_peers),
        what: "our gateway beside Grafbase, Hive Gateway and Apollo Gateway: processor time for a request",
    },
];

/// One measured quantity, as the bench program prints it.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Row {
    /// What was measured.
    row: String,
    /// Our median; absent when ours could not run.
    ours: Option<f64>,
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
    /// with `absolute`, the bound on our own number. A row without one has no goal.
    #[serde(default)]
    bound: Option<f64>,
    /// Whether the bound is on our own number alone.
    #[serde(default)]
    absolute: bool,
    /// What else is to be said, in lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

fn yes() -> bool {
    true
}

impl Row {
    /// How many times better than the peer.
    fn ratio(&self) -> Option<f64> {
        let (ours, peer) = (self.ours?, self.peer?);
        Some(if self.larger_is_better { ours / peer } else { peer / ours })
    }

    /// Whether the goal holds; nothing where there is none. What could not run does not hold.
    fn holds(&self) -> Option<bool> {
        let bound = self.bound?;
        if !self.absolute {
            return Some(self.ratio().is_some_and(|ratio| ratio >= bound));
        }
        let within = |ours| if self.larger_is_better { ours >= bound } else { ours <= bound };
        Some(self.ours.is_some_and(within))
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
    if let Some(peers) = bench.peers {
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

/// Where the bench `lake` finds its peers and their data.
fn lake_peers() -> Result<Environment> {
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

/// Where the bench `mesh` finds its peers. Without Node.js only ours is measured, and goals do not hold.
fn mesh_peers() -> Result<Environment> {
    let programs = process::root().join("benches/peers/mesh");
    setup::node_peers(&programs)?;
    let folder = process::target().join("bench/mesh");
    Ok(vec![("HEADWATER_BENCH_FOLDER", folder), ("HEADWATER_BENCH_PEERS", programs)])
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
        let figure = |of: Option<f64>| of.map_or_else(|| "absent".to_owned(), number);
        let goal = row.bound.is_some();
        let peer = if row.peer.is_none() && (row.absolute || !goal) {
            String::new()
        } else {
            figure(row.peer)
        };
        let ratio = row.ratio().map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        let holds = row.holds().map_or("", |holds| if holds { "yes" } else { "no" });
        text.push_str(&format!(
            "{:<44} {:>12} {peer:>12} {:<10} {ratio:>7}  {:<12} {holds:<5}\n",
            row.row,
            figure(row.ours),
            row.unit,
            row.goal
        ));
        if !row.peer_name.is_empty() {
            text.push_str(&format!("    peer: {}\n", row.peer_name));
        }
        for note in &row.notes {
            text.push_str(&format!("    {note}\n"));
        }
    }
    let goals: Vec<bool> = rows.iter().filter_map(Row::holds).collect();
    let held = goals.iter().filter(|holds| **holds).count();
    text.push_str(&format!("holds {held} of {}\n", goals.len()));
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
            ours: Some(ours),
            peer,
            peer_name: String::new(),
            unit: "s".to_owned(),
            goal: String::new(),
            larger_is_better,
            bound: Some(bound),
            absolute: false,
            notes: Vec::new(),
        }
    }

    #[test]
    fn a_ratio_is_always_better_when_larger() {
        assert_eq!(row(30.0, Some(10.0), true, 3.0).holds(), Some(true));
        assert_eq!(row(29.0, Some(10.0), true, 3.0).holds(), Some(false));
        assert_eq!(row(10.0, Some(30.0), false, 3.0).holds(), Some(true));
    }

    #[test]
    fn an_absent_peer_is_not_held() {
        assert_eq!(row(30.0, None, true, 0.0).holds(), Some(false));
        assert!(table(&[row(30.0, None, true, 0.0)]).ends_with("holds 0 of 1\n"));
    }

    #[test]
    fn ours_that_cannot_run_is_not_held_and_says_why() {
        let notes = vec!["Headwater cannot run: no".to_owned()];
        let mut row = Row { ours: None, notes, ..row(0.0, Some(1.0), true, 0.0) };
        assert!(table(&[row.clone()]).ends_with("    Headwater cannot run: no\nholds 0 of 1\n"));
        row.absolute = true;
        assert_eq!(row.holds(), Some(false));
    }

    #[test]
    fn a_row_without_a_goal_is_not_counted() {
        let row = Row { bound: None, ..row(30.0, None, true, 0.0) };
        assert_eq!(row.holds(), None);
        assert!(table(&[row]).ends_with("holds 0 of 0\n"));
    }
}
