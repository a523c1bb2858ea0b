//! A list of named steps, each timed and counted, with one table at the end.

use std::time::{Duration, Instant};

use anyhow::Result;

/// What one step did.
struct Done {
    name: &'static str,
    took: Duration,
    outcome: Outcome,
}

enum Outcome {
    Passed(Counts),
    Failed(anyhow::Error),
}

/// How much a step looked at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Things that passed.
    pub(crate) passed: u64,
    /// Things that were left out, each with its reason: they are shown, never silent.
    pub(crate) skipped: Vec<String>,
    /// What the things are: `tests`, `files`, `rules`.
    pub(crate) unit: &'static str,
}

impl Counts {
    /// Nothing was left out.
    pub(crate) fn of(passed: u64, unit: &'static str) -> Self {
        Counts { passed, skipped: Vec::new(), unit }
    }
}

/// Steps run one after the other; a failed one does not stop the others unless it must.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<Done>,
}

impl Steps {
    /// Runs a step and remembers how it ended.
    pub(crate) fn run(&mut self, name: &'static str, step: impl FnOnce() -> Result<Counts>) {
        println!("\n── {name}");
        let start = Instant::now();
        let outcome = match step() {
            Ok(counts) => Outcome::Passed(counts),
            Err(error) => {
                eprintln!("{name} failed: {error:#}");
                Outcome::Failed(error)
            }
        };
        self.done.push(Done { name, took: start.elapsed(), outcome });
    }

    /// Whether every step so far passed.
    pub(crate) fn all_passed(&self) -> bool {
        self.done.iter().all(|done| matches!(done.outcome, Outcome::Passed(_)))
    }

    /// Prints the table; an error when a step failed.
    pub(crate) fn finish(self) -> Result<()> {
        println!("\n{:<12} {:>8}  {:>7}  what", "step", "seconds", "passed");
        let mut failed = Vec::new();
        let mut total = 0;
        for done in &self.done {
            let seconds = done.took.as_secs_f64();
            match &done.outcome {
                Outcome::Passed(counts) => {
                    total += counts.passed;
                    println!(
                        "{:<12} {seconds:>8.1}  {:>7}  {}",
                        done.name, counts.passed, counts.unit
                    );
                    for reason in &counts.skipped {
                        println!("{:<12} {:>8}  {:>7}  skipped: {reason}", "", "", "");
                    }
                }
                Outcome::Failed(error) => {
                    failed.push(done.name);
                    let first = error.to_string();
                    let first = first.lines().next().unwrap_or_default();
                    println!("{:<12} {seconds:>8.1}  {:>7}  {first}", done.name, "FAILED");
                }
            }
        }
        if failed.is_empty() {
            println!("\npassed {total} checks in {} steps", self.done.len());
            return Ok(());
        }
        anyhow::bail!("{} of {} steps failed: {}", failed.len(), self.done.len(), failed.join(", "))
    }
}
