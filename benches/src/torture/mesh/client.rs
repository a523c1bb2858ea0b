//! Clients of the tortured graph: those that wait for their answers, and those that leave.
//!
//! In: a node's address. Out: answers with how long they took; pages of numbers. Not here: whether an answer is
//! right (`judge`).

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use base::rng::Rng;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Everything of all films.
pub(crate) const QUERY: &str = r#"{"query":"query All { films { id title price stars } }"}"#;

/// An answer later than this has not come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Asks for everything.
pub(crate) async fn ask(address: &str) -> Result<(Value, Duration)> {
    let began = Instant::now();
    let request = format!(
        "POST /graphql HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{QUERY}",
        QUERY.len()
    );
    let body = exchange(address, request.as_bytes()).await?;
    let answer = serde_json::from_slice(&body)
        .with_context(|| format!("an answer is `{}`", String::from_utf8_lossy(&body)))?;
    Ok((answer, began.elapsed()))
}

/// The page of numbers.
pub(crate) async fn metrics(address: &str) -> Result<Numbers> {
    let request = format!("GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    let page = exchange(address, request.as_bytes()).await?;
    Ok(Numbers(String::from_utf8(page)?))
}

/// A page of numbers.
pub(crate) struct Numbers(String);

impl Numbers {
    /// The sum of all series that begin so.
    pub(crate) fn of(&self, series: &str) -> u64 {
        let lines = self.0.lines().filter(|line| line.starts_with(series));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }
}

/// The body of an answer. The node closes after it.
async fn exchange(address: &str, request: &[u8]) -> Result<Vec<u8>> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = tokio::time::timeout(PATIENCE, exchange).await;
    let answer = answer.with_context(|| format!("no answer within {} s", PATIENCE.as_secs()))??;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.context("an answer without a head")?;
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let body = answer[end + 4..].to_vec();
    match head.contains("transfer-encoding: chunked") {
        true => chunks(&body),
        false => Ok(body),
    }
}

fn chunks(mut rest: &[u8]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n").context("half a chunk")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end])?.trim(), 16)?;
        if size == 0 {
            return Ok(body);
        }
        let Some(chunk) = rest.get(end + 2..end + 2 + size) else { bail!("half a chunk") };
        body.extend_from_slice(chunk);
        rest = rest.get(end + 4 + size..).context("a chunk without an end")?;
    }
}

/// Comes, asks for something or for a part of it, and leaves.
pub(crate) async fn leave(address: &str, rng: &Rng) -> Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    let head = format!(
        "POST /graphql HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        QUERY.len()
    );
    let whole = head.clone() + QUERY;
    let said = match rng.below(5) {
        0 => 0,
        1 => rng.below(head.len() as u64) as usize,
        2 => head.len() + rng.below(QUERY.len() as u64) as usize,
        _ => whole.len(),
    };
    stream.write_all(&whole.as_bytes()[..said]).await?;
    if rng.below(3) == 0 {
        // Some are patient for a moment, so that their calls are under way.
        let moment = Duration::from_millis(rng.below(200));
        let mut piece = [0; 16];
        drop(tokio::time::timeout(moment, stream.read(&mut piece)).await);
    }
    Ok(())
}
