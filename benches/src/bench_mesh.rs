//! `cargo xtask bench mesh`: our gateway beside those that people use today.
//!
//! ```text
//! sources ← gateway (a core of its own) ← load, answers checked → turns → rows
//! ```
//!
//! In: which scenarios, and whether quickly. Out: one JSON line for each row of the table that xtask
//! prints, and every turn in `mesh-turns.json`. What counts is processor time of the gateway for a
//! request: sources and load have the other core, and there is no third. Not here: the table itself,
//! installing peers (`xtask`).
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a report is what this is for")]

#[path = "mesh/client.rs"]
mod client;
mod folder;
#[path = "mesh/gateway.rs"]
mod gateway;
#[path = "mesh/graph.rs"]
mod graph;
#[path = "mesh/load.rs"]
mod load;
#[path = "mesh/people.rs"]
mod people;
mod program;
#[path = "mesh/report.rs"]
mod report;
mod row;
#[path = "mesh/scenario.rs"]
mod scenario;
#[path = "mesh/service.rs"]
mod service;
#[path = "mesh/sources.rs"]
mod sources;
#[path = "mesh/turns.rs"]
mod turns;
#[path = "mesh/work.rs"]
mod work;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use clap::Parser;

use crate::gateway::Places;
use crate::scenario::{SCENARIOS, Scenario};
use crate::turns::Length;

/// What to measure.
#[derive(Clone, Debug, Parser)]
struct Arguments {
    /// Short turns: to see that it runs, not to quote.
    #[arg(long)]
    quick: bool,
    /// Only these scenarios.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Scenario>,
    /// Where projects and settings are written.
    #[arg(long, env = "HEADWATER_BENCH_FOLDER")]
    folder: PathBuf,
    /// The folder of the peers' programs.
    #[arg(long, env = "HEADWATER_BENCH_PEERS")]
    peers: PathBuf,
}

fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start() -> Result<()> {
    let arguments = Arguments::parse();
    let cores = std::thread::available_parallelism()?.get();
    ensure!(cores > 1, "the gateway needs a core of its own, and there is one core");
    // What is started before the threads is inherited by them.
    pin(0)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(&arguments, cores - 1))
}

/// Keeps this program, and so the load, on a core.
fn pin(core: usize) -> Result<()> {
    let process = std::process::id().to_string();
    let output = Command::new("taskset").args(["-pc", &core.to_string(), &process]).output();
    let output = output.context("failed to start `taskset` of util-linux")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "failed to pin to core {core}: {said}");
    Ok(())
}

async fn run(arguments: &Arguments, core: usize) -> Result<()> {
    std::fs::create_dir_all(&arguments.folder)?;
    let folder = std::path::absolute(&arguments.folder)?;
    let places = Places { peers: std::path::absolute(&arguments.peers)?, folder, core };
    let length = if arguments.quick { Length::QUICK } else { Length::FULL };
    let whole = scenario::whole()?;
    let wanted = |one: &&Scenario| arguments.only.is_empty() || arguments.only.contains(one);
    let mut all = Vec::new();
    for &scenario in SCENARIOS.iter().filter(wanted) {
        eprintln!("{} …", scenario.title());
        scenario.check_size(&whole)?;
        let outcomes = turns::run(scenario, &places, length, &whole).await?;
        for row in report::rows(scenario, &outcomes) {
            println!("{}", serde_json::to_string(&row)?);
        }
        all.push(report::record(scenario, &outcomes));
        let text = serde_json::to_string_pretty(&all)?;
        std::fs::write(places.folder.join("mesh-turns.json"), text)?;
    }
    Ok(())
}
