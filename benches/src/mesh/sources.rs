//! The program with the sources, from outside.
//!
//! In: the binary beside this program. Out: addresses, and counts of what the sources were asked. Not
//! here: what they answer (`mesh_sources.rs`).

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::gateway::pinned;
use crate::service::SERVICES;

/// Where each of [`SERVICES`] listens.
pub(crate) type Addresses = [String; SERVICES.len()];

/// The running sources; they end with their input.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) addresses: Addresses,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

/// What the sources were asked since the last time.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) struct Counts {
    pub(crate) calls: [u64; SERVICES.len()],
    /// Different values of the header that names the viewer.
    pub(crate) viewers: u64,
}

impl Counts {
    /// Calls of all sources.
    pub(crate) fn sum(&self) -> u64 {
        self.calls.iter().sum()
    }
}

impl Sources {
    /// Starts them on a core.
    pub(crate) fn start(core: usize) -> Result<Sources> {
        let program = std::env::current_exe()?.with_file_name("mesh-sources");
        ensure!(
            program.is_file(),
            "there is no `{}`: build the crate `benches`",
            program.display()
        );
        let mut command = pinned(core, program);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("the sources have no output")?);
        let addresses = Addresses::default();
        let mut sources = Sources { addresses, child, input, output };
        let said: Value = serde_json::from_str(&sources.line()?)?;
        for ((name, _), address) in SERVICES.iter().zip(&mut sources.addresses) {
            said[name].as_str().context("a source has no address")?.clone_into(address);
        }
        Ok(sources)
    }

    /// Makes them behave, for instance `{"delay_ms":4}`.
    pub(crate) fn behave(&mut self, mode: &str) -> Result<()> {
        self.say(mode).map(drop)
    }

    /// What they were asked since this or [`Sources::behave`] was called last.
    pub(crate) fn counts(&mut self) -> Result<Counts> {
        self.say(r#"{"count":true}"#)
    }

    fn say(&mut self, line: &str) -> Result<Counts> {
        let input = self.input.as_mut().context("the sources have ended")?;
        writeln!(input, "{line}")?;
        input.flush()?;
        Ok(serde_json::from_str(&self.line()?)?)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        let read = self.output.read_line(&mut line)?;
        ensure!(read > 0, "the sources ended");
        Ok(line)
    }
}

impl Drop for Sources {
    fn drop(&mut self) {
        self.input = None;
        drop(self.child.wait());
    }
}
