//! `cargo xtask demo`: from a fresh checkout to a served project on real data.
//!
//! In: a folder (a temporary one by default). Out: a running `headwater up` and three things to
//! try. The sample is MovieLens 100k and photographs, both out of public packages; without a
//! network a generated sample takes their place, and the demo says so. Not here: making the sample
//! (`demo/sample.rs`).

mod sample;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::process::{self, command, root};
use crate::setup;
use crate::test::{binary, build_workspace};

/// Where and how.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// The project's folder; a new temporary one when left out.
    folder: Option<PathBuf>,
    /// The port on loopback.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Use the generated sample even when there is a network.
    #[arg(long)]
    offline: bool,
    /// Make and import, but do not serve.
    #[arg(long)]
    no_serve: bool,
}

/// Files of the sample with the types they go into, in the order of import.
const IMPORTS: [(&str, &str); 4] =
    [("Film", "films.csv"), ("User", "users.csv"), ("Rating", "ratings.csv"), ("Photo", "photos")];

/// Builds, makes, imports, serves.
pub(crate) fn run(options: &Options) -> Result<()> {
    setup::run(&setup::Options::rust_only())?;
    println!("building Headwater; the first time takes about a quarter of an hour on two cores");
    build_workspace()?;
    let project = match &options.folder {
        Some(folder) => std::path::absolute(folder)?,
        None => std::env::temp_dir().join(format!("headwater-demo-{}", std::process::id())),
    };
    make_project(&project, options.offline)?;
    print_things_to_try(&project, options.port);
    if options.no_serve {
        return Ok(());
    }
    let listen = format!("127.0.0.1:{}", options.port);
    process::run(headwater(&project).args(["up", "--listen", &listen]))
}

/// The binary, working on the project.
fn headwater(project: &Path) -> std::process::Command {
    let mut command = command(binary());
    command.arg("--project").arg(project);
    command
}

fn make_project(project: &Path, offline: bool) -> Result<()> {
    let schema = project.join("schema");
    fs::create_dir_all(&schema)
        .with_context(|| format!("failed to make the folder {}", schema.display()))?;
    for entry in fs::read_dir(root().join("examples/movies/schema"))? {
        let entry = entry?;
        fs::copy(entry.path(), schema.join(entry.file_name()))?;
    }
    println!("\nproject  {}", project.display());
    let sample = project.join("sample");
    let what = sample::make(&sample, offline)?;
    println!("sample   {what}\n");
    process::run(headwater(project).args(["apply", "--yes"]))?;
    for (type_name, file) in IMPORTS {
        process::run(headwater(project).arg("import").arg(type_name).arg(sample.join(file)))?;
    }
    Ok(())
}

fn print_things_to_try(project: &Path, port: u16) {
    let program = binary();
    println!(
        "
Three things to try, once the server says where it listens:

  1. Open http://127.0.0.1:{port}/ : Lake shows the photographs; pick one and ask for more like it.
  2. curl -s http://127.0.0.1:{port}/graphql -H 'content-type: application/json' \\
       -d '{{\"query\":\"{{ films(search: \\\"star\\\", first: 3) {{ nodes {{ title decade ratings(first: 2) {{ stars user {{ occupation }} }} }} }} }}\"}}'
  3. {} --project {} sql 'select f.title, count(*) n, avg(r.stars) s from ratings r join films f on f.id = r.\"filmId\" group by 1 order by n desc limit 5'

Ctrl-C stops the server; the project stays where it is.
",
        program.display(),
        project.display()
    );
}
