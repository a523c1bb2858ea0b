//! A real object store that speaks S3, for tests: SeaweedFS. In: the program that setup installed.
//! Out: an endpoint on loopback with an access key, and fresh buckets. Not here: clients of S3.
//!
//! As with Postgres, a shell stands between the test and the server: when its input ends, by
//! whatever death the test dies, it stops the server and removes its files.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::{free_port, wait_for};

/// The name of the only key.
pub const KEY_ID: &str = "headwater-test";
/// The key.
pub const KEY: &str = "headwater-test-key";

const PROGRAM: &str = ".tools/seaweedfs/bin/weed";

/// Who may do what.
const IDENTITIES: &str = include_str!("seaweed.json");

/// Runs the server until the input ends, then stops it.
const GUARD: &str = include_str!("seaweed.sh");

/// A running server; stopped and removed when dropped, or when the test process ends.
#[derive(Debug)]
pub struct Seaweed {
    port: u16,
    files: u16,
    guard: Child,
    buckets: AtomicU32,
}

impl Seaweed {
    /// Starts a server of its own; `None`, with a notice, when it is not installed.
    ///
    /// # Panics
    /// When it is installed and does not start.
    pub fn start() -> Option<Seaweed> {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(PROGRAM);
        if !program.is_file() {
            // Past the capture of the test harness, which would hide it from passing tests.
            let notice = "skipped: SeaweedFS is not installed; `cargo xtask setup` installs it\n";
            drop(std::io::stderr().write_all(notice.as_bytes()));
            return None;
        }
        Some(start(&program))
    }

    /// The server that all tests of this process share.
    pub fn shared() -> Option<&'static Seaweed> {
        static SHARED: OnceLock<Option<Seaweed>> = OnceLock::new();
        SHARED.get_or_init(Seaweed::start).as_ref()
    }

    /// Makes an empty bucket; gives its name.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn new_bucket(&self) -> String {
        let name = format!("test-{}", self.buckets.fetch_add(1, Ordering::Relaxed));
        // A bucket is a folder of the file server behind.
        wait_for("a new bucket", Duration::from_secs(60), || {
            let answer = exchange(self.files, &format!("POST /buckets/{name}/"))?;
            answer.split(' ').nth(1).filter(|status| status.starts_with('2')).map(|_| ())
        });
        name
    }

    /// The loopback port of the S3 endpoint.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The S3 endpoint.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Seaweed {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        drop(self.guard.wait());
    }
}

fn start(program: &Path) -> Seaweed {
    let folder = tempfile::Builder::new().prefix("headwater-s3-").tempdir().expect("a folder");
    // From here on the guard removes the folder.
    let folder: PathBuf = folder.keep();
    std::fs::create_dir(folder.join("data")).expect("a folder for the objects");
    std::fs::write(folder.join("identities.json"), IDENTITIES).expect("a file of identities");
    let ports: Vec<u16> = (0..8).map(|_| free_port()).collect();
    let guard = Command::new("/bin/sh")
        .args(["-c", GUARD, "guard"])
        .arg(program)
        .arg(&folder)
        .args(ports.iter().map(u16::to_string))
        .current_dir(&folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a guarding shell");
    let server = Seaweed { port: ports[6], files: ports[4], guard, buckets: AtomicU32::new(0) };
    wait_for("SeaweedFS to answer", Duration::from_secs(120), || {
        let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert!(!log.contains("address already in use"), "SeaweedFS did not start: {log}");
        let answer = exchange(server.port, "GET /status")?;
        answer.starts_with("HTTP/1.1 200").then_some(())
    });
    server
}

/// One request without a body; `None` when nobody answers.
fn exchange(port: u16, line: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let request = format!(
        "{line} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    Some(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_there_and_closed_to_strangers() {
        let Some(server) = Seaweed::shared() else { return };
        let bucket = server.new_bucket();
        assert_ne!(bucket, server.new_bucket());
        let answer = exchange(server.port(), &format!("GET /{bucket}")).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    }
}
