//! The gateways that are measured: ours and its peers, each a process of its own on a core of its own.
//!
//! In: where the sources listen. Out: running gateways with their processor time and memory. Not here:
//! what is asked of them.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::client::{Connection, Target};
use crate::program;
use crate::row::kilobytes;
use crate::service::SERVICES;
use crate::sources::Addresses;

/// How long a gateway may take until it answers for the first time.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is tried until then.
const AGAIN: Duration = Duration::from_millis(100);
/// Ticks of `/proc/PID/stat` in a second: fixed for programs, whatever the kernel counts in itself.
const TICKS: f64 = 100.0;

/// Which gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ours,
    Grafbase,
    Hive,
    Apollo,
}

/// All of them, in the order in which they take turns.
pub(crate) const KINDS: [Kind; 4] = [Kind::Ours, Kind::Grafbase, Kind::Hive, Kind::Apollo];

const GRAFBASE: &str = "node_modules/@grafbase/cli-x86_64-unknown-linux-musl";
const HIVE: &str = "node_modules/@graphql-hive/gateway";
const APOLLO: &str = "node_modules/@apollo/gateway";

/// Where the programs and their files are.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// The peers' programs, `benches/peers/mesh`.
    pub(crate) peers: PathBuf,
    /// Where projects and settings are written.
    pub(crate) folder: PathBuf,
    /// The core that gateways run on.
    pub(crate) core: usize,
}

impl Kind {
    /// Its name with its version.
    pub(crate) fn name(self, places: &Places) -> String {
        match self {
            Kind::Ours => "Headwater".to_owned(),
            Kind::Grafbase => format!("Grafbase {} (CLI, dev)", version(places, GRAFBASE)),
            Kind::Hive => format!("Hive Gateway {} (router runtime)", version(places, HIVE)),
            Kind::Apollo => format!("Apollo Gateway {}", version(places, APOLLO)),
        }
    }
}

/// The version of an installed package.
fn version(places: &Places, package: &str) -> String {
    let text = fs::read_to_string(places.peers.join(package).join("package.json"));
    let package: Option<serde_json::Value> =
        text.ok().and_then(|text| serde_json::from_str(&text).ok());
    let version = package.and_then(|package| Some(package["version"].as_str()?.to_owned()));
    version.unwrap_or_else(|| "(not installed)".to_owned())
}

/// A running gateway; it ends when it is dropped, or when this program ends in whatever way.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) kind: Kind,
    pub(crate) target: Target,
    /// MiB of memory once it was ready.
    pub(crate) idle: f64,
    child: Child,
}

impl Gateway {
    /// Starts one over the sources and waits until it answers.
    ///
    /// # Errors
    /// Why it cannot run: what it says itself.
    pub(crate) async fn start(kind: Kind, places: &Places, sources: &Addresses) -> Result<Gateway> {
        match kind {
            Kind::Ours => {
                let folder = places.folder.join("headwater");
                write_project(&folder, sources)?;
                ours(places, &folder).await
            }
            Kind::Grafbase => grafbase(places, sources).await,
            Kind::Hive => node(kind, places, sources, "hive.log").await,
            Kind::Apollo => node(kind, places, sources, "apollo.log").await,
        }
    }

    /// Seconds of processor time so far, those of its children included.
    pub(crate) fn cpu(&self) -> Result<f64> {
        let mut ticks = 0;
        for process in family(self.child.id()) {
            let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
            // The name of the program, in brackets, may hold blanks.
            let (_, after) = stat.rsplit_once(')').context("`stat` has no name")?;
            let mut fields = after.split_whitespace().skip(11);
            for _ in 0..2 {
                ticks += fields.next().context("`stat` is short")?.parse::<u64>()?;
            }
        }
        Ok(ticks as f64 / TICKS)
    }

    /// MiB of memory that it holds.
    pub(crate) fn memory(&self) -> Result<f64> {
        let mut sum = 0;
        for process in family(self.child.id()) {
            let status = fs::read_to_string(format!("/proc/{process}/status"))?;
            sum += kilobytes(&status, "VmRSS:").context("no memory is stated")?;
        }
        Ok(sum as f64 / 1024.0)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A process with those that it started.
fn family(process: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
    let children = children.unwrap_or_default();
    let children = children.split_whitespace().filter_map(|child| child.parse().ok());
    std::iter::once(process).chain(children.flat_map(family)).collect()
}

/// A command on the gateways' core that does not outlive this program.
pub(crate) fn pinned(core: usize, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string(), "setpriv", "--pdeathsig", "KILL", "--"]).arg(program);
    command.stdin(Stdio::null());
    command
}

/// A project of ours whose modules are the services.
fn write_project(folder: &Path, sources: &Addresses) -> Result<()> {
    if folder.try_exists()? {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder.join("schema"))?;
    for ((name, sdl), url) in SERVICES.iter().zip(sources) {
        let head = format!(
            "extend schema @module(name: \"{name}\", owner: \"shop\")\n  \
             @source(name: \"{name}\", kind: GRAPHQL, url: \"{url}\", timeout: \"30s\")\n\n"
        );
        fs::write(folder.join(format!("schema/{name}.graphql")), head + sdl)?;
    }
    Ok(())
}

/// Ours over a project that is there: applied, then served.
pub(crate) async fn ours(places: &Places, folder: &Path) -> Result<Gateway> {
    program::finish(program::command(folder, &["apply", "--yes", "--quiet"])?)?;
    let mut command = pinned(places.core, program::binary()?);
    command.args(["up", "--listen", "127.0.0.1:0"]).current_dir(folder);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
    let said = lines.next().transpose()?.unwrap_or_default();
    let Some((_, address)) = said.rsplit_once("http://") else {
        let mut complaint = String::new();
        child.wait()?;
        if let Some(mut stderr) = child.stderr.take() {
            stderr.read_to_string(&mut complaint)?;
        }
        bail!("`headwater up`: {said}{complaint}");
    };
    let address = address.trim_end_matches('/').to_owned();
    // What it says later is read by nobody, and must not fill a pipe.
    discard(child.stderr.take());
    ready(Kind::Ours, child, Target { address, path: "/graphql" }).await
}

fn discard(stream: Option<std::process::ChildStderr>) {
    if let Some(mut stream) = stream {
        std::thread::spawn(move || std::io::copy(&mut stream, &mut std::io::sink()));
    }
}

/// Grafbase composes the services' SDL itself. Answers and entities are not cached, and with a header that
/// differs in each request no two requests can share a call.
async fn grafbase(places: &Places, sources: &Addresses) -> Result<Gateway> {
    let folder = places.folder.join("grafbase");
    fs::create_dir_all(&folder)?;
    let mut settings = String::from(
        "[[headers]]\nrule = \"forward\"\nname = \"x-viewer\"\n\n[graph]\nintrospection = false\n",
    );
    for ((name, sdl), url) in SERVICES.iter().zip(sources) {
        let path = folder.join(format!("{name}.graphql"));
        fs::write(&path, sdl)?;
        let path = path.display();
        settings.push_str(&format!(
            "\n[subgraphs.{name}]\nurl = \"{url}\"\nschema_path = \"{path}\"\n"
        ));
    }
    fs::write(folder.join("grafbase.toml"), settings)?;
    let target = free_target()?;
    let mut command = pinned(places.core, places.peers.join(GRAFBASE).join("grafbase"));
    command.arg("--home").arg(&folder).args(["dev", "--config", "grafbase.toml"]);
    command.args(["--listen-address", &target.address]).current_dir(&folder);
    start(Kind::Grafbase, command, target, &folder.join("grafbase.log")).await
}

/// A gateway in Node over a supergraph that is composed first.
async fn node(kind: Kind, places: &Places, sources: &Addresses, log: &str) -> Result<Gateway> {
    let supergraph = compose(places, sources)?;
    let target = free_target()?;
    let port = target.address.rsplit(':').next().unwrap_or_default().to_owned();
    let mut command = pinned(places.core, "node");
    command.current_dir(&places.peers).env("NODE_ENV", "production");
    match kind {
        Kind::Hive => {
            command.args(["node_modules/.bin/hive-gateway", "supergraph"]).arg(&supergraph);
            command.args(["-c", "hive.config.mjs", "-h", "127.0.0.1", "-p", &port]);
            // Its Rust planner and executor, the fastest of its settings in a trial by hand.
            command.arg("--hive-router-runtime");
        }
        _ => {
            command.arg("apollo.mjs").arg(&supergraph).arg(&port);
        }
    }
    start(kind, command, target, &places.folder.join(log)).await
}

/// The supergraph in a file.
fn compose(places: &Places, sources: &Addresses) -> Result<PathBuf> {
    let folder = places.folder.join("supergraph");
    fs::create_dir_all(&folder)?;
    let mut command = Command::new("node");
    command.arg("compose.mjs").arg(&folder).current_dir(&places.peers);
    for ((name, sdl), url) in SERVICES.iter().zip(sources) {
        fs::write(folder.join(format!("{name}.graphql")), sdl)?;
        command.arg(format!("{name}={url}"));
    }
    let output = command.output().context("failed to start Node.js")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the supergraph does not compose: {said}");
    let path = folder.join("supergraph.graphql");
    fs::write(&path, output.stdout)?;
    Ok(path)
}

async fn start(kind: Kind, mut command: Command, target: Target, log: &Path) -> Result<Gateway> {
    let output = fs::File::create(log)?;
    command.stdout(output.try_clone()?).stderr(output);
    let child = command.spawn().context("failed to start it")?;
    ready(kind, child, target).await.with_context(|| format!("see {}", log.display()))
}

/// Waits until a gateway answers.
async fn ready(kind: Kind, child: Child, target: Target) -> Result<Gateway> {
    let started = Instant::now();
    let mut gateway = Gateway { kind, target, idle: 0.0, child };
    loop {
        if let Some(ended) = gateway.child.try_wait()? {
            bail!("it ended with {ended}");
        }
        match hello(&gateway.target).await {
            Ok(()) => break,
            Err(error) if started.elapsed() > PATIENCE => {
                return Err(error.context("it does not answer"));
            }
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
    }
    gateway.idle = gateway.memory()?;
    Ok(gateway)
}

async fn hello(target: &Target) -> Result<()> {
    let mut connection = Connection::open(target).await?;
    let (status, answer) = connection.ask(0, br#"{"query":"{ __typename }"}"#).await?;
    let answer = String::from_utf8_lossy(&answer);
    ensure!(status == 200 && answer.contains("Query"), "status {status}: {answer}");
    Ok(())
}

fn free_target() -> Result<Target> {
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    Ok(Target { address, path: "/graphql" })
}
