//! Connections to a node that stay open.
//!
//! In: a node's address. Out: answers to what is asked of it. Not here: what is asked (`load`, `past`).

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

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

    /// Carries an operation out; gives what it says last.
    pub(super) async fn operation(&mut self, name: &str, request: &Value) -> Result<Value> {
        let body = request.to_string();
        let head = format!(
            "POST /operations/{name} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        let (_, answer) = self.exchange(head + &body).await?;
        let lines = String::from_utf8(answer)?;
        let last = lines.lines().last().context("the answer has no line")?;
        serde_json::from_str(last).context("the answer is no JSON")
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
        if head.contains("\r\ntransfer-encoding: chunked") {
            let body = self.chunks(bytes.split_off(end)).await?;
            return Ok((head, body));
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.context("the answer has no length")?.trim().parse()?;
        while bytes.len() < end + length {
            self.more(&mut bytes).await?;
        }
        Ok((head, bytes.split_off(end)))
    }

    /// The body that comes in chunks (RFC 9112, section 7.1), of which some bytes are here.
    async fn chunks(&mut self, mut bytes: Vec<u8>) -> Result<Vec<u8>> {
        let (mut body, mut at) = (Vec::new(), 0);
        loop {
            let line = loop {
                match bytes[at..].windows(2).position(|part| part == b"\r\n") {
                    Some(length) => break length,
                    None => self.more(&mut bytes).await?,
                }
            };
            let size = std::str::from_utf8(&bytes[at..at + line])?;
            let size = usize::from_str_radix(size.trim(), 16)?;
            let start = at + line + 2;
            while bytes.len() < start + size + 2 {
                self.more(&mut bytes).await?;
            }
            if size == 0 {
                return Ok(body);
            }
            body.extend_from_slice(&bytes[start..start + size]);
            at = start + size + 2;
        }
    }

    async fn more(&mut self, bytes: &mut Vec<u8>) -> Result<()> {
        ensure!(self.stream.read_buf(bytes).await? > 0, "the server closed the connection");
        Ok(())
    }
}
