//! The servers of the suite, and connections to them that stay open.
//!
//! In: a project's folder. Out: servers that end when they are dropped, and answers to what is asked of
//! them. Not here: what is asked (`load`, `past`).

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::memory::binary;

/// A server; ended when dropped.
pub(super) struct Node {
    child: Child,
    pub(super) address: String,
}

impl Node {
    pub(super) fn start(folder: &Path) -> Result<Node> {
        let mut child = Command::new(binary()?)
            .args(["up", "--listen", "127.0.0.1:0"])
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let output = child.stdout.take().context("the server has no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let address = line.trim().rsplit("http://").next().unwrap_or_default().to_owned();
        Ok(Node { child, address: address.trim_end_matches('/').to_owned() })
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already, and then there is nothing to end.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// Runs the binary in a project's folder.
pub(super) fn headwater(folder: &Path, arguments: &[&str]) -> Result<()> {
    let output = Command::new(binary()?).args(arguments).current_dir(folder).output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`headwater {}`: {text}", arguments.join(" "));
    Ok(())
}

/// A connection to a server.
pub(super) struct Connection {
    stream: TcpStream,
    pub(super) address: String,
}

impl Connection {
    pub(super) async fn open(address: &str) -> Result<Connection> {
        let stream = TcpStream::connect(address).await?;
        // A request goes out as a whole; without this its end may wait for the answer to its head.
        stream.set_nodelay(true)?;
        Ok(Connection { stream, address: address.to_owned() })
    }

    /// Asks a GraphQL question as a client of a version.
    pub(super) async fn ask(&mut self, version: usize, question: &Value) -> Result<Value> {
        let body = question.to_string();
        let head = format!(
            "POST /graphql HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
             headwater-schema: {version}\r\ncontent-length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        let (_, answer) = self.exchange(head + &body).await?;
        serde_json::from_slice(&answer).context("the answer is no JSON")
    }

    /// Gets what a path of the server names.
    pub(super) async fn get(&mut self, path: &str) -> Result<Vec<u8>> {
        let head = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.address);
        let (head, bytes) = self.exchange(head).await?;
        ensure!(head.starts_with("http/1.1 200"), "{path}: {head}");
        Ok(bytes)
    }

    async fn exchange(&mut self, request: String) -> Result<(String, Vec<u8>)> {
        self.stream.write_all(request.as_bytes()).await?;
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|part| part == b"\r\n\r\n") {
                break end + 4;
            }
            self.more(&mut bytes).await?;
        };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.context("the answer has no length")?.trim().parse()?;
        while bytes.len() < end + length {
            self.more(&mut bytes).await?;
        }
        Ok((head, bytes.split_off(end)))
    }

    async fn more(&mut self, bytes: &mut Vec<u8>) -> Result<()> {
        ensure!(self.stream.read_buf(bytes).await? > 0, "the server closed the connection");
        Ok(())
    }
}
