//! What gRPC adds to a call over HTTP/2: how long it may take, and how it went. In: an answer with its
//! headers and trailers. Out: the status in them, and whether it is an answer for the caller to read or
//! a failure of the service, which counts for the breaker and may be followed by another try. Not here:
//! messages (`source::grpc`).

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::breaker::Outcome;
use super::call::{Answer, CallError, CallErrorKind, Origin};
use super::retry::{Failed, Reach};

/// How a call went, by the numbers of gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GrpcStatus {
    /// It went well.
    Ok = 0,
    /// It was given up.
    Cancelled = 1,
    /// Something failed that has no name.
    Unknown = 2,
    /// What was asked for can never be given.
    InvalidArgument = 3,
    /// The time was over.
    DeadlineExceeded = 4,
    /// There is no such thing.
    NotFound = 5,
    /// There is such a thing already.
    AlreadyExists = 6,
    /// The caller must not.
    PermissionDenied = 7,
    /// Something is used up.
    ResourceExhausted = 8,
    /// The service is not in the state that this needs.
    FailedPrecondition = 9,
    /// Another call was in the way.
    Aborted = 10,
    /// Beyond the end.
    OutOfRange = 11,
    /// The service has no such method.
    Unimplemented = 12,
    /// The service is broken.
    Internal = 13,
    /// The service cannot answer now.
    Unavailable = 14,
    /// Data is lost.
    DataLoss = 15,
    /// The service does not know who asks.
    Unauthenticated = 16,
}

use GrpcStatus as S;

const ALL: [(GrpcStatus, &str); 17] = [
    (S::Ok, "OK"),
    (S::Cancelled, "CANCELLED"),
    (S::Unknown, "UNKNOWN"),
    (S::InvalidArgument, "INVALID_ARGUMENT"),
    (S::DeadlineExceeded, "DEADLINE_EXCEEDED"),
    (S::NotFound, "NOT_FOUND"),
    (S::AlreadyExists, "ALREADY_EXISTS"),
    (S::PermissionDenied, "PERMISSION_DENIED"),
    (S::ResourceExhausted, "RESOURCE_EXHAUSTED"),
    (S::FailedPrecondition, "FAILED_PRECONDITION"),
    (S::Aborted, "ABORTED"),
    (S::OutOfRange, "OUT_OF_RANGE"),
    (S::Unimplemented, "UNIMPLEMENTED"),
    (S::Internal, "INTERNAL"),
    (S::Unavailable, "UNAVAILABLE"),
    (S::DataLoss, "DATA_LOSS"),
    (S::Unauthenticated, "UNAUTHENTICATED"),
];

/// What the service says of a failure is kept up to this many bytes.
const MOST_WORDS: usize = 1024;

impl GrpcStatus {
    /// As gRPC names it.
    pub fn as_str(self) -> &'static str {
        ALL[self as usize].1
    }

    /// A number that nobody knows is `UNKNOWN`, as gRPC has it.
    fn of(number: &str) -> Option<Self> {
        let number: usize = number.trim().parse().ok()?;
        Some(ALL.get(number).map_or(S::Unknown, |(status, _)| *status))
    }

    /// Whether it is the service that failed, and not the call that was wrong.
    fn is_fault(self) -> bool {
        matches!(
            self,
            S::Unknown | S::DeadlineExceeded | S::Internal | S::Unavailable | S::DataLoss
        )
    }

    /// Whether it says nothing of the service's health.
    fn is_neither(self) -> bool {
        matches!(self, S::Cancelled | S::ResourceExhausted)
    }

    /// Whether the same call may succeed later.
    pub(crate) fn may_pass(self) -> bool {
        matches!(
            self,
            S::Unavailable | S::DeadlineExceeded | S::ResourceExhausted | S::Aborted | S::Cancelled
        )
    }

    /// Whether an earlier answer may stand in.
    pub(crate) fn allows_stale(self) -> bool {
        self.is_fault() || self == S::ResourceExhausted
    }
}

impl fmt::Display for GrpcStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a call went, and what the service says of it: in the trailers, or in the head of an answer that has
/// nothing else.
pub(crate) fn status(headers: &HeaderMap, trailers: Option<&HeaderMap>) -> Option<(S, String)> {
    let map = [trailers, Some(headers)]
        .into_iter()
        .flatten()
        .find(|map| map.contains_key("grpc-status"))?;
    let status = S::of(map.get("grpc-status")?.to_str().ok()?)?;
    let words = map.get("grpc-message").map(HeaderValue::as_bytes).unwrap_or_default();
    Some((status, decoded(words)))
}

/// Percent-decodes; what is no such code stays as it is.
fn decoded(text: &[u8]) -> String {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut bytes = Vec::with_capacity(text.len().min(MOST_WORDS));
    let mut at = 0;
    while at < text.len() && bytes.len() < MOST_WORDS {
        match (text[at], digit(text.get(at + 1)), digit(text.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                at += 3;
            }
            (byte, ..) => {
                bytes.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What every call says of itself; a stream, whose beginning alone has a time, does not say how much is left.
pub(crate) fn mark(headers: &mut HeaderMap, left: Option<Duration>, is_compressed: bool) {
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    let accepted = if is_compressed { "gzip, identity" } else { "identity" };
    let name = HeaderName::from_static("grpc-accept-encoding");
    headers.insert(name, HeaderValue::from_static(accepted));
    if let Some(Ok(timeout)) = left.map(|left| HeaderValue::try_from(timeout(left))) {
        headers.insert(HeaderName::from_static("grpc-timeout"), timeout);
    }
}

/// At most eight digits and a unit.
fn timeout(left: Duration) -> String {
    let (micros, millis) = (left.as_micros(), left.as_millis());
    match (micros, millis) {
        (0..100_000_000, _) => format!("{micros}u"),
        (_, 0..100_000_000) => format!("{millis}m"),
        _ => format!("{}S", left.as_secs().min(99_999_999)),
    }
}

/// Whether a stream begins: one that says at once how it went has ended.
pub(crate) fn judge_head(head: &Parts) -> Result<(), Failed> {
    if !head.headers.contains_key("grpc-status") {
        return Ok(());
    }
    let (status, headers) = (head.status, head.headers.clone());
    let (body, trailers) = (Bytes::new(), None);
    judge(Answer { status, headers, body, trailers, origin: Origin::Source }).map(drop)
}

/// Whether a whole answer is one for the caller to read.
pub(crate) fn judge(answer: Answer) -> Result<Answer, Failed> {
    let Some((status, words)) = status(&answer.headers, answer.trailers.as_ref()) else {
        let detail = "the answer does not say how the call went: it is not whole".to_owned();
        let error = CallError::new(CallErrorKind::Protocol, detail);
        return Err(Failed { error, reach: Reach::Sent, outcome: Outcome::Failed });
    };
    if !status.is_fault() && !status.is_neither() {
        return Ok(answer);
    }
    let detail = format!("{status}: {}", words.escape_debug());
    let error = CallError::new(CallErrorKind::Grpc(status), detail);
    // Only a service that cannot answer now asks to be called again.
    let reach = if status == S::Unavailable { Reach::Later(None) } else { Reach::Final };
    let outcome = if status.is_neither() { Outcome::Unknown } else { Outcome::Failed };
    Err(Failed { error, reach, outcome })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn numbers_are_those_of_grpc() {
        for (index, (status, _)) in ALL.iter().enumerate() {
            assert_eq!(*status as usize, index);
        }
        assert_eq!(S::of("14"), Some(S::Unavailable));
        assert_eq!(S::of("99"), Some(S::Unknown));
        assert_eq!(S::of("x"), None);
    }

    #[test]
    fn trailers_say_how_a_call_went_or_the_head_alone_does() {
        let both = headers(&[("grpc-status", "5"), ("grpc-message", "no%20film %zz")]);
        let found = (S::NotFound, "no film %zz".to_owned());
        assert_eq!(status(&HeaderMap::new(), Some(&both)), Some(found.clone()));
        assert_eq!(status(&both, None), Some(found.clone()));
        assert_eq!(status(&both, Some(&HeaderMap::new())), Some(found));
        assert_eq!(status(&HeaderMap::new(), None), None);
    }

    #[test]
    fn times_have_eight_digits_at_most() {
        assert_eq!(timeout(Duration::from_millis(1500)), "1500000u");
        assert_eq!(timeout(Duration::from_secs(300)), "300000m");
        assert_eq!(timeout(Duration::from_secs(1 << 40)), "99999999S");
    }
}
