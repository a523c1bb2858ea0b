//! Runs a file of conformance cases against the engine; `cargo xtask conformance FILE` starts it.
//!
//! In: a file of cases, packed by gzip or not. Out: the first failures, each with its document, what
//! was expected and what was found, and `passed N, failed M`; the exit status is 1 when any failed.
//! Not here: how a case is read (`cases`) and asked (`subject`), which the tests use too.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what the program does")]

mod cases;
mod subject;

use std::path::PathBuf;
use std::process::ExitCode;

use base::{Error, Result};

use subject::{Failure, Verdicts};

/// How many failures are shown; the rest is counted.
const SHOWN: usize = 10;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(verdicts) => report(&verdicts),
        Err(error) => {
            let place = error.place().map_or_else(String::new, |place| format!("{place}: "));
            eprintln!("error: {place}{}", base::error_chain(&error).join(": "));
            if let Some(hint) = error.hint_text() {
                eprintln!("hint: {hint}");
            }
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<Verdicts> {
    let file = std::env::args_os().nth(1).map(PathBuf::from).ok_or_else(|| {
        Error::invalid("no file of cases is named").hint("`cargo xtask conformance FILE.jsonl.gz`")
    })?;
    subject::run(cases::open(&file)?).await
}

fn report(verdicts: &Verdicts) -> ExitCode {
    for failure in verdicts.failures.iter().take(SHOWN) {
        print(failure);
    }
    if verdicts.failures.len() > SHOWN {
        println!("{} more failures are not shown", verdicts.failures.len() - SHOWN);
    }
    println!("passed {}, failed {}", verdicts.passed, verdicts.failures.len());
    if verdicts.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print(failure: &Failure) {
    println!("case {}", failure.id);
    let parts = [
        ("document", &failure.document),
        ("expected", &failure.expected),
        ("found", &failure.found),
    ];
    for (name, text) in parts {
        println!("  {name}:");
        text.lines().for_each(|line| println!("    {line}"));
    }
}
