//! The binary beside this program, as commands and as nodes.
//!
//! In: a project's folder. Out: commands carried out, and nodes that end when they are dropped. Not here:
//! what is asked of a node.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use testkit::{Victim, seaweed};

use crate::program;

/// A command of the binary in a project's folder, with the key of the test's object store.
fn keyed(folder: &Path, arguments: &[&str]) -> Result<Command> {
    let mut command = program::command(folder, arguments)?;
    command.stdin(Stdio::null());
    command.env("AWS_ACCESS_KEY_ID", seaweed::KEY_ID).env("AWS_SECRET_ACCESS_KEY", seaweed::KEY);
    Ok(command)
}

/// Runs a command of the binary in a project's folder.
pub(crate) fn headwater(folder: &Path, arguments: &[&str]) -> Result<()> {
    program::finish(keyed(folder, arguments)?)
}

/// A running node; ended when dropped.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) address: String,
    pub(crate) process: Victim,
}

impl Node {
    /// Starts a node of the project; it answers when it says where.
    pub(crate) fn start(folder: &Path) -> Result<Node> {
        let mut up = keyed(folder, &["up", "--listen", "127.0.0.1:0"])?;
        let process = Victim::spawn(up.stderr(Stdio::null()));
        let line = process.wait_for_line(|line| line.contains("http://"));
        let address = line.rsplit("http://").next().context("a node names no address")?;
        Ok(Node { address: address.trim_end_matches('/').to_owned(), process })
    }
}
