//! All automation of Headwater: `cargo xtask <command>`, the same on a laptop and in CI.
//!
//! In: the checkout. Out: installed tools, checks with counts, tables of measurements, a release.
//! Not here: anything a user of the product needs; that is the binary `headwater`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what automation does")]

mod bench;
mod bless;
mod conformance;
mod data;
mod demo;
mod dist;
mod process;
mod setup;
mod steps;
mod test;
mod tidy;
mod torture;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Everything one does to this repository")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what is missing on this machine and say what was done.
    Setup(setup::Options),
    /// Build, make a project, import a real sample, serve it.
    Demo(demo::Options),
    /// Run every check there is and print the counts; this is what CI runs.
    Test(test::Options),
    /// Check the walls of the house: crate directions, versions, documents, sizes.
    Tidy,
    /// Measure one data path beside its peer and print a table.
    Bench(bench::Options),
    /// Run one long fault suite.
    Torture(torture::Options),
    /// Run a file of GraphQL cases with known answers against the engine.
    Conformance(conformance::Options),
    /// Accept the present behaviour as the expected one in all golden files.
    Bless(bless::Options),
    /// Fetch public data sets for benchmarks into `.tools/data`, with checked digests.
    Data(data::Options),
    /// Make a stripped release binary, a container file and checksums under `target/dist`.
    Dist,
}

fn main() -> std::process::ExitCode {
    let result = match Arguments::parse().command {
        Command::Setup(options) => setup::run(&options),
        Command::Demo(options) => demo::run(&options),
        Command::Test(options) => test::run(&options),
        Command::Tidy => tidy::run(),
        Command::Bench(options) => bench::run(&options),
        Command::Torture(options) => torture::run(&options),
        Command::Conformance(options) => conformance::run(&options),
        Command::Bless(options) => bless::run(&options),
        Command::Data(options) => data::run(&options),
        Command::Dist => dist::run(),
    };
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            for cause in error.chain().skip(1) {
                eprintln!("  caused by: {cause}");
            }
            std::process::ExitCode::FAILURE
        }
    }
}
