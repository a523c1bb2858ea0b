//! The folder of a project, made by the binary.
//!
//! In: a folder and a schema. Out: an empty project with its tables. Not here: what is brought into them.

use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::program::{command, finish};

/// Makes an empty project with the tables of a schema; what was there is removed.
pub(crate) fn make(folder: &Path, sdl: &str) -> Result<()> {
    clear(folder)?;
    add_schema(folder, sdl)?;
    run(folder, &["apply", "--yes", "--quiet"])
}

/// Writes the schema of a project.
pub(crate) fn add_schema(folder: &Path, sdl: &str) -> Result<()> {
    fs::create_dir_all(folder.join("schema"))?;
    Ok(fs::write(folder.join("schema/bench.graphql"), sdl)?)
}

/// Makes a folder, or empties it.
pub(crate) fn clear(folder: &Path) -> Result<()> {
    if folder.try_exists()? {
        fs::remove_dir_all(folder)?;
    }
    Ok(fs::create_dir_all(folder)?)
}

/// Runs a command of the binary in the project.
pub(crate) fn run(folder: &Path, arguments: &[&str]) -> Result<()> {
    finish(command(folder, arguments)?)
}
