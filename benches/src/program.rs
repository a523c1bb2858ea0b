//! The binary beside the program that measures it.
//!
//! In: a project's folder. Out: commands of the binary there, to be changed, or carried out. Not here: what
//! is measured.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

/// The binary beside this program.
pub(crate) fn binary() -> Result<PathBuf> {
    let binary = std::env::current_exe()?.with_file_name("headwater");
    ensure!(binary.is_file(), "there is no `{}`: build the crate `cli`", binary.display());
    Ok(binary)
}

/// A command of the binary in the project.
pub(crate) fn command(folder: &Path, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(binary()?);
    command.args(arguments).current_dir(folder);
    Ok(command)
}

/// Carries a command out; the error is what it said.
pub(crate) fn finish(mut command: Command) -> Result<()> {
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let arguments: Vec<_> = command.get_args().map(|one| one.to_string_lossy()).collect();
    ensure!(output.status.success(), "`headwater {}`: {said}", arguments.join(" "));
    Ok(())
}
