//! `cargo xtask bench lake`: the lake beside the tools that people use today.
//!
//! In: which sections, and whether quickly. Out: one JSON line for each row of the table that xtask
//! prints. Ours and the peer are measured in turns in this same run, on the same rows. Not here: the
//! table itself, installing peers (`xtask`).
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a report is what this is for")]

#[path = "lake/commits.rs"]
mod commits;
#[path = "lake/data.rs"]
mod data;
mod folder;
#[path = "lake/images.rs"]
mod images;
#[path = "lake/import.rs"]
mod import;
#[path = "lake/measure.rs"]
mod measure;
#[path = "lake/peer.rs"]
mod peer;
mod program;
#[path = "lake/project.rs"]
mod project;
#[path = "lake/query.rs"]
mod query;
mod row;
mod s3;
#[path = "lake/serve.rs"]
mod serve;
#[path = "lake/text.rs"]
mod text;
#[path = "lake/vectors.rs"]
mod vectors;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use crate::measure::Row;

/// What the binary allocates by.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What to measure.
#[derive(Clone, Debug, Parser)]
struct Arguments {
    /// Small inputs: to see that it runs, not to quote.
    #[arg(long)]
    quick: bool,
    /// Only these sections.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Section>,
    /// Where data and projects are made; kept for the next run.
    #[arg(long, env = "HEADWATER_BENCH_FOLDER")]
    folder: PathBuf,
    /// The Python that has the peers.
    #[arg(long, env = "HEADWATER_BENCH_PYTHON")]
    python: Option<PathBuf>,
    /// The Python that has Spark.
    #[arg(long, env = "HEADWATER_BENCH_SPARK")]
    spark: Option<PathBuf>,
    /// The folder of the peers' programs.
    #[arg(long, env = "HEADWATER_BENCH_PEERS")]
    peers: PathBuf,
    /// The folder of the pictures.
    #[arg(long, env = "HEADWATER_BENCH_PICTURES")]
    pictures: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Section {
    Import,
    Query,
    Vectors,
    Text,
    Images,
    Commits,
    Serve,
}

/// The sections in the order in which they are run: later ones use the tables of earlier ones.
const SECTIONS: &[Section] = &[
    Section::Import,
    Section::Query,
    Section::Vectors,
    Section::Text,
    Section::Images,
    Section::Commits,
    Section::Serve,
];

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result =
        runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(run(&arguments)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    std::fs::create_dir_all(&arguments.folder)?;
    let wanted = |section: &&Section| arguments.only.is_empty() || arguments.only.contains(section);
    for section in SECTIONS.iter().filter(wanted) {
        eprintln!("{section:?} …");
        for row in section.run(arguments).await? {
            println!("{}", serde_json::to_string(&row)?);
        }
    }
    Ok(())
}

impl Section {
    async fn run(self, arguments: &Arguments) -> anyhow::Result<Vec<Row>> {
        match self {
            Section::Import => import::run(arguments).await,
            Section::Query => query::run(arguments).await,
            Section::Vectors => vectors::run(arguments).await,
            Section::Text => text::run(arguments).await,
            Section::Images => images::run(arguments).await,
            Section::Commits => commits::run(arguments).await,
            Section::Serve => serve::run(arguments).await,
        }
    }
}
