//! A real Postgres server for tests. In: the server's programs, when they are installed. Out: URLs
//! of fresh databases. Not here: SQL.
//!
//! A shell stands between the test and the server: when its input ends, by whatever death the test
//! dies, it stops the server and removes its files. So a server may live in a static.

use std::io::Write;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::unistd::{Uid, User};

use crate::{free_port, wait_for};

const INSTALLATIONS: &str = "/usr/lib/postgresql";

/// Runs the server until the input ends, then stops it.
const GUARD: &str = include_str!("postgres.sh");

/// A running server; stopped and removed when dropped, or when the test process ends.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    port: u16,
    guard: Child,
    databases: AtomicU32,
}

impl Postgres {
    /// Starts a server of its own; `None`, with a notice, when Postgres is not installed.
    ///
    /// # Panics
    /// When it is installed and does not start.
    pub fn start() -> Option<Postgres> {
        let Some(programs) = find_programs(Path::new(INSTALLATIONS)) else {
            // Past the capture of the test harness, which would hide it from passing tests.
            let notice = "skipped: PostgreSQL is not installed; `cargo xtask setup` installs it\n";
            drop(std::io::stderr().write_all(notice.as_bytes()));
            return None;
        };
        Some(start(programs))
    }

    /// The server that all tests of this process share.
    pub fn shared() -> Option<&'static Postgres> {
        static SHARED: OnceLock<Option<Postgres>> = OnceLock::new();
        SHARED.get_or_init(Postgres::start).as_ref()
    }

    /// Makes an empty database; gives its URL.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn new_database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.run("createdb", &["--template=template0", &name]);
        format!("postgres://headwater@127.0.0.1:{}/{name}", self.port)
    }

    /// The loopback port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Runs SQL in the database that `url` names.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn execute(&self, url: &str, sql: &str) {
        let name = url.rsplit('/').next().unwrap_or_default();
        let database = format!("--dbname={name}");
        let stop = "--set=ON_ERROR_STOP=1";
        self.run("psql", &["--quiet", "--no-psqlrc", stop, &database, "--command", sql]);
    }

    /// Ends every connection to the database that `url` names, as a failover would.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn disconnect_all(&self, url: &str) {
        let name = url.rsplit('/').next().unwrap_or_default();
        let sql = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        );
        self.run("psql", &["--quiet", "--dbname=postgres", "--command", &sql]);
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let output = Command::new(self.programs.join(program))
            .args(["-h", "127.0.0.1", "-U", "headwater", "-p", &self.port.to_string()])
            .args(arguments)
            .output()
            .unwrap_or_else(|error| panic!("failed to run `{program}`: {error}"));
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "`{program}` failed: {complaint}");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        drop(self.guard.wait());
    }
}

/// The programs of the newest version under `installations`.
fn find_programs(installations: &Path) -> Option<PathBuf> {
    let versions = std::fs::read_dir(installations).ok()?.filter_map(Result::ok);
    versions
        .filter_map(|version| {
            let number: u32 = version.file_name().to_str()?.split('.').next()?.parse().ok()?;
            let programs = version.path().join("bin");
            programs.join("initdb").is_file().then_some((number, programs))
        })
        .max()
        .map(|(_, programs)| programs)
}

fn start(programs: PathBuf) -> Postgres {
    let folder = tempfile::Builder::new().prefix("headwater-pg-").tempdir().expect("a folder");
    let user = unprivileged_user();
    if let Some(user) = &user {
        chown(folder.path(), Some(user.uid.as_raw()), Some(user.gid.as_raw())).expect("a chown");
    }
    // From here on the guard removes the folder.
    let folder = folder.keep();
    initialise(&programs, &folder, user.as_ref());
    let port = free_port();
    let guard = command(&"/bin/sh".into(), user.as_ref())
        .args(["-c", GUARD, "guard"])
        .args([&programs, &folder])
        .arg(port.to_string())
        .current_dir(&folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a guarding shell");
    wait_until_ready(&programs, &folder, port);
    Postgres { programs, port, guard, databases: AtomicU32::new(0) }
}

fn initialise(programs: &Path, folder: &Path, user: Option<&User>) {
    let output = command(&programs.join("initdb"), user)
        .args(["--auth=trust", "--username=headwater", "--no-sync", "--encoding=UTF8"])
        .args(["--locale=C", "--pgdata"])
        .arg(folder.join("data"))
        .current_dir(folder)
        .output()
        .expect("a run of `initdb`");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`initdb` failed: {complaint}");
}

fn wait_until_ready(programs: &Path, folder: &Path, port: u16) {
    wait_for("Postgres to accept connections", Duration::from_secs(60), || {
        let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert!(!log.contains("FATAL:  could not"), "Postgres did not start: {log}");
        let ready = Command::new(programs.join("pg_isready"))
            .args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()])
            .status();
        ready.is_ok_and(|status| status.success()).then_some(())
    });
}

/// Postgres refuses to run as root; then `postgres`, or else `nobody`, runs it.
fn unprivileged_user() -> Option<User> {
    if !Uid::effective().is_root() {
        return None;
    }
    ["postgres", "nobody"].iter().find_map(|name| User::from_name(name).ok().flatten())
}

fn command(program: &PathBuf, user: Option<&User>) -> Command {
    let mut command = Command::new(program);
    if let Some(user) = user {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    command
}
