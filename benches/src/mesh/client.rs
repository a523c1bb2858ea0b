//! One kept-alive HTTP/1.1 connection of the load generator, as small as it can be: it shares its core
//! with the sources.
//!
//! In: a request's bytes. Out: status and body. Not here: what is asked, whether the answer is right.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes that are read at once; a body whose length is known gets its room at once.
const ROOM: usize = 64 << 10;

/// Whom to ask.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Host and port.
    pub(crate) address: String,
    /// The path of GraphQL there.
    pub(crate) path: &'static str,
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    target: Target,
    output: Vec<u8>,
    input: BytesMut,
}

/// How long the body is.
enum Length {
    Known(usize),
    Chunked,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(target: &Target) -> Result<Connection> {
        let stream = TcpStream::connect(&target.address).await?;
        stream.set_nodelay(true)?;
        let (output, input) = (Vec::new(), BytesMut::new());
        Ok(Connection { stream, target: target.clone(), output, input })
    }

    /// Asks for a viewer and waits for the answer.
    pub(crate) async fn ask(&mut self, viewer: u64, body: &[u8]) -> Result<(u16, Bytes)> {
        let Target { address, path } = &self.target;
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
             accept: application/json\r\nx-viewer: {viewer}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        self.output.clear();
        self.output.extend_from_slice(head.as_bytes());
        self.output.extend_from_slice(body);
        tokio::time::timeout(PATIENCE, self.exchange())
            .await
            .with_context(|| format!("no answer within {} s", PATIENCE.as_secs()))?
    }

    async fn exchange(&mut self) -> Result<(u16, Bytes)> {
        self.stream.write_all(&self.output).await?;
        let head = loop {
            match self.input.windows(4).position(|four| four == b"\r\n\r\n") {
                Some(end) => break self.input.split_to(end + 4),
                None => self.read(ROOM).await?,
            }
        };
        let head = std::str::from_utf8(&head).context("an answer's head is not text")?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.with_context(|| format!("an answer begins with `{head}`"))?;
        let body = match length(head)? {
            Length::Known(length) => self.exactly(length).await?,
            Length::Chunked => self.chunks().await?,
        };
        Ok((status, body))
    }

    async fn read(&mut self, room: usize) -> Result<()> {
        self.input.reserve(room);
        if self.stream.read_buf(&mut self.input).await? == 0 {
            bail!("the connection was closed in the middle of an answer");
        }
        Ok(())
    }

    async fn exactly(&mut self, length: usize) -> Result<Bytes> {
        while self.input.len() < length {
            self.read((length - self.input.len()).max(ROOM)).await?;
        }
        Ok(self.input.split_to(length).freeze())
    }

    async fn chunks(&mut self) -> Result<Bytes> {
        let mut body = BytesMut::new();
        loop {
            let line = loop {
                match self.input.windows(2).position(|two| two == b"\r\n") {
                    Some(end) => break self.input.split_to(end + 2),
                    None => self.read(ROOM).await?,
                }
            };
            let size = std::str::from_utf8(&line)?.trim();
            let size =
                usize::from_str_radix(size, 16).with_context(|| format!("chunk `{size}`"))?;
            // Nobody here sends trailers: an empty line ends a chunk, and the last one too.
            let chunk = self.exactly(size + 2).await?;
            if size == 0 {
                return Ok(body.freeze());
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }
}

/// The length of the body that follows a head.
fn length(head: &str) -> Result<Length> {
    for line in head.lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("content-length") {
            return Ok(Length::Known(value.trim().parse()?));
        }
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Ok(Length::Chunked);
        }
    }
    bail!("an answer has no length: `{head}`")
}
