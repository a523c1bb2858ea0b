//! Messages in a body: each has a byte that says whether it is compressed, four for its length, and its
//! bytes. In: a body, or its pieces as they come. Out: messages, decompressed, all of them together within
//! a limit, so that a few bytes cannot become many. Not here: what is in a message (`message`).

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::HeaderMap;

use crate::transport::{Coding, Undecoded};

/// The bytes before each message.
const HEAD: usize = 5;

/// Why there are no messages.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unframed {
    /// They are beyond the limit.
    TooLarge,
    /// They are not what they should be, or not whole.
    Broken(String),
}

/// One message as it is sent.
pub(crate) fn framed(message: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(HEAD + message.len());
    out.put_u8(0);
    // A body has at most as many bytes as the settings say, far fewer than this holds.
    out.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    out.put_slice(message);
    out.freeze()
}

/// All messages of a whole body.
pub(crate) async fn messages(
    body: Bytes,
    headers: &HeaderMap,
    limit: usize,
) -> Result<Vec<Bytes>, Unframed> {
    let mut frames = Frames::new(headers, limit)?;
    frames.push(&body);
    let mut messages = Vec::new();
    let mut left = limit;
    while let Some(message) = frames.next().await? {
        left = left.checked_sub(message.len()).ok_or(Unframed::TooLarge)?;
        frames.limit = left;
        messages.push(message);
    }
    if frames.is_amid() {
        return Err(Unframed::Broken("the body ends within a message".to_owned()));
    }
    Ok(messages)
}

/// Messages of a body that comes in pieces.
pub(crate) struct Frames {
    coding: Coding,
    buffer: BytesMut,
    /// Bytes that one message may have.
    limit: usize,
}

impl Frames {
    /// Begins; the head says how messages are compressed that are.
    pub(crate) fn new(headers: &HeaderMap, limit: usize) -> Result<Self, Unframed> {
        let name = headers.get("grpc-encoding").map(|value| value.to_str().unwrap_or("?"));
        let coding = match name.map(str::trim) {
            None | Some("identity") => Coding::Plain,
            Some("gzip") => Coding::Gzip,
            Some("deflate") => Coding::Deflate,
            Some(other) => {
                let words = format!("the coding `{}` is not understood", other.escape_debug());
                return Err(Unframed::Broken(words));
            }
        };
        Ok(Frames { coding, buffer: BytesMut::new(), limit })
    }

    /// Takes a piece of the body.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// Whether a message has begun and is not whole.
    pub(crate) fn is_amid(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// The next message, if all of it has come.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Unframed> {
        let Some(head) = self.buffer.first_chunk::<HEAD>() else { return Ok(None) };
        let [flag, length @ ..] = *head;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        // What a head promises is believed, so that nothing is kept for what will be refused.
        if length > self.limit {
            return Err(Unframed::TooLarge);
        }
        if self.buffer.len() - HEAD < length {
            return Ok(None);
        }
        self.buffer.advance(HEAD);
        let bytes = self.buffer.split_to(length).freeze();
        let coding = match flag {
            0 => return Ok(Some(bytes)),
            1 if self.coding != Coding::Plain => self.coding,
            1 => return Err(Unframed::Broken("a message is compressed, unsaid how".to_owned())),
            _ => return Err(Unframed::Broken("a message begins with no flag".to_owned())),
        };
        let decoded = coding.decode(bytes, self.limit).await;
        decoded.map(Some).map_err(|error| match error {
            Undecoded::TooLarge => Unframed::TooLarge,
            Undecoded::Broken(detail) => Unframed::Broken(format!("a message's coding: {detail}")),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        let bytes = encoder.finish().unwrap();
        let mut frame = vec![1];
        frame.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
        frame.extend(bytes);
        frame
    }

    fn headers(coding: Option<&'static str>) -> HeaderMap {
        let name = HeaderName::from_static("grpc-encoding");
        coding.map(|coding| (name, HeaderValue::from_static(coding))).into_iter().collect()
    }

    async fn read(
        body: Vec<u8>,
        coding: Option<&'static str>,
        limit: usize,
    ) -> Result<Vec<Bytes>, Unframed> {
        messages(body.into(), &headers(coding), limit).await
    }

    #[tokio::test]
    async fn messages_follow_each_other_and_may_be_compressed() {
        // Long enough to become shorter.
        let two = "two ".repeat(50);
        let body = [framed(b"one").to_vec(), gzip(two.as_bytes()), framed(b"").to_vec()].concat();
        let found = read(body.clone(), Some("gzip"), 203).await.unwrap();
        assert_eq!(found, ["one", two.as_str(), ""]);
        assert_eq!(read(body.clone(), Some("gzip"), 199).await, Err(Unframed::TooLarge));
        let said = |found: Result<Vec<Bytes>, Unframed>| match found {
            Err(Unframed::Broken(words)) => words,
            other => panic!("{other:?}"),
        };
        assert!(said(read(body.clone(), None, 203).await).contains("unsaid how"));
        assert!(said(read(body, Some("br"), 203).await).contains("`br`"));
        assert!(said(read(vec![7, 0, 0, 0, 0], None, 6).await).contains("no flag"));
    }

    #[tokio::test]
    async fn half_a_message_is_none() {
        let body = framed(b"whole").to_vec();
        for cut in 1..body.len() {
            let found = read(body[..cut].to_vec(), None, 100).await;
            assert!(matches!(found, Err(Unframed::Broken(_))), "{cut}: {found:?}");
        }
    }

    #[tokio::test]
    async fn a_bomb_and_a_great_promise_stop_at_the_limit() {
        let bomb = gzip(&vec![0; 16 << 20]);
        assert!(bomb.len() < 100 << 10);
        assert_eq!(read(bomb, Some("gzip"), 1 << 20).await, Err(Unframed::TooLarge));
        assert_eq!(read(vec![0, 255, 255, 255, 255], None, 1 << 20).await, Err(Unframed::TooLarge));
    }

    #[tokio::test]
    async fn pieces_become_messages_as_they_come() {
        let body = [framed(b"one"), framed(b"two")].concat();
        let mut frames = Frames::new(&HeaderMap::new(), 10).unwrap();
        let mut found = Vec::new();
        for byte in body {
            frames.push(&[byte]);
            found.extend(frames.next().await.unwrap());
        }
        assert_eq!(found, ["one", "two"]);
        assert!(!frames.is_amid());
    }
}
