//! Services of other libraries for tests: federated ones by @apollo/subgraph in Node and Strawberry in Python,
//! one of gRPC by grpcio. In: the programs of `tests/federation` and `tests/grpc`, and what setup installed.
//! Out: addresses on loopback. Not here: asking them.
//!
//! A service ends with its input, so that none outlives its test, whatever death that dies.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

/// Which library answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    /// @apollo/subgraph on graphql-js; it has all services, and `monolith`: the whole graph at once.
    Apollo,
    /// Strawberry, whose types are Python's; it has `reviews` and `inventory`.
    Strawberry,
    /// grpcio, which is gRPC's own; it has `films`, with reflection.
    Grpcio,
}

/// A running service.
#[derive(Debug)]
pub struct Federated {
    url: String,
    child: Child,
    input: Option<ChildStdin>,
}

impl Federated {
    /// Starts a service that the library has on a free port; `None`, with a notice, when the library is not
    /// installed.
    ///
    /// # Panics
    /// When it is installed and does not start.
    pub fn start(name: &str, library: Library) -> Option<Federated> {
        let (program, script) = library.programs();
        let (folder, is_there) = (library.folder(), library.is_installed());
        if !is_there {
            // Past the capture of the test harness, which would hide it from passing tests.
            let notice =
                format!("skipped: {library:?} is not installed; `cargo xtask setup` installs it\n");
            drop(std::io::stderr().write_all(notice.as_bytes()));
            return None;
        }
        let mut command = Command::new(program);
        command.arg(script).arg(name).current_dir(folder);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a service starts that is installed");
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let mut said = String::new();
        BufReader::new(output.expect("its output is piped"))
            .read_line(&mut said)
            .expect("a service says where it listens");
        let url = said.trim().strip_prefix("listening on ").map(ToOwned::to_owned);
        let url = url.unwrap_or_else(|| panic!("the service `{name}` said `{said}`"));
        Some(Federated { url, child, input })
    }

    /// Where it answers.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Federated {
    fn drop(&mut self) {
        self.input = None;
        drop(self.child.wait());
    }
}

impl Library {
    fn folder(self) -> PathBuf {
        root().join(if self == Library::Grpcio { "tests/grpc" } else { "tests/federation" })
    }

    /// The interpreter, and the script in its folder.
    fn programs(self) -> (PathBuf, &'static str) {
        match self {
            Library::Apollo => (PathBuf::from("node"), "service.mjs"),
            Library::Strawberry | Library::Grpcio => {
                (root().join(".tools/python/bin/python"), "service.py")
            }
        }
    }

    fn is_installed(self) -> bool {
        match self {
            Library::Apollo => {
                root().join("tests/federation/node_modules/@apollo/subgraph").is_dir()
            }
            Library::Strawberry | Library::Grpcio => {
                let (python, _) = self.programs();
                let package =
                    if self == Library::Grpcio { "grpc_reflection" } else { "strawberry" };
                let mut asking = Command::new(python);
                asking.args(["-c", &format!("import {package}")]).stderr(Stdio::null());
                asking.status().is_ok_and(|status| status.success())
            }
        }
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}
