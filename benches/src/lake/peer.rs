//! A peer that stays up and answers questions: a Python program that reads a JSON line and writes one.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::Arguments;

/// A running peer; it ends when it is dropped.
pub(crate) struct Peer {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// Its name with its version, as it says itself.
    pub(crate) name: String,
}

impl Peer {
    /// Starts one of the programs in `benches/peers`; `None` when there is no Python with the peers.
    pub(crate) fn start(
        arguments: &Arguments,
        program: &str,
        given: &[&str],
    ) -> Result<Option<Peer>> {
        let Some(mut command) = python(arguments, program) else { return Ok(None) };
        command.args(given).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("failed to start {program}"))?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("a peer has no output")?);
        let mut peer = Peer { child, input, output, name: String::new() };
        let hello = peer.answer()?;
        peer.name = hello["name"].as_str().unwrap_or(program).to_owned();
        Ok(Some(peer))
    }

    /// Asks, and waits for the answer.
    pub(crate) fn ask(&mut self, question: &Value) -> Result<Value> {
        let input = self.input.as_mut().context("the peer has ended")?;
        writeln!(input, "{question}")?;
        input.flush()?;
        self.answer()
    }

    fn answer(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            bail!("the peer `{}` ended: {:?}", self.name, self.child.wait()?);
        }
        serde_json::from_str(&line).with_context(|| format!("a peer said {line}"))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // At the end of its input a peer ends by itself.
        self.input = None;
        drop(self.child.wait());
    }
}

/// A command that runs one of the programs to its end.
pub(crate) fn python(arguments: &Arguments, program: &str) -> Option<Command> {
    let python = match program.contains("spark") {
        true => arguments.spark.as_deref(),
        false => arguments.python.as_deref(),
    };
    let python = python.filter(|python| python.is_file())?;
    let mut command = Command::new(python);
    command.arg(script(arguments, program));
    Some(command)
}

fn script(arguments: &Arguments, program: &str) -> std::path::PathBuf {
    Path::new(&arguments.peers).join(program)
}
