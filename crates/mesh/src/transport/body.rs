//! The body of an answer, whole and within its limits. In: a flow whose head has come. Out: its bytes
//! as they travelled, with the trailers; a body of one piece is not copied. Limits hold for what comes,
//! not for what the head promises, but a promise beyond the limit is believed at once. Not here:
//! decompression (`decode`), streams (`stream`).

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};

use super::connection::Flow;

/// Memory is set aside for what the head promises only up to here; more must come first.
const TRUSTED: usize = 256 << 10;

/// A whole body.
#[derive(Debug, Default)]
pub(crate) struct Whole {
    pub(crate) bytes: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
}

/// Why there is none.
#[derive(Debug)]
pub(crate) enum NoBody {
    /// It is beyond this limit.
    TooLarge(usize),
    /// The connection ended, or broke the rules, in the middle.
    Cut(hyper::Error),
}

/// The length that the head promises.
pub(crate) fn promised(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads to the end.
pub(crate) async fn whole(
    flow: &mut Flow,
    promised: Option<usize>,
    limit: usize,
) -> Result<Whole, NoBody> {
    if promised.is_some_and(|promised| promised > limit) {
        return Err(NoBody::TooLarge(limit));
    }
    let (mut first, mut rest) = (Bytes::new(), BytesMut::new());
    let mut trailers = None;
    while let Some(frame) = flow.frame().await {
        let data = match frame.map_err(NoBody::Cut)?.into_data() {
            Ok(data) => data,
            Err(other) => {
                trailers = other.into_trailers().ok();
                continue;
            }
        };
        if first.len() + rest.len() + data.len() > limit {
            return Err(NoBody::TooLarge(limit));
        }
        if first.is_empty() && rest.is_empty() {
            first = data;
            continue;
        }
        if rest.is_empty() {
            rest.reserve(promised.unwrap_or(0).min(TRUSTED).max(first.len() + data.len()));
            rest.extend_from_slice(&std::mem::take(&mut first));
        }
        rest.extend_from_slice(&data);
    }
    let bytes = if rest.is_empty() { first } else { rest.freeze() };
    Ok(Whole { bytes, trailers })
}
