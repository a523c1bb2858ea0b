//! One call and what came of it. In: method, target, headers and body as a part of the mesh made them,
//! with the headers of the client's request. Out: an answer whose status and type were looked at, or an
//! error with two texts: one for the client, and one for the log that may name addresses.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base::{Kind, Principal};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use tokio::time::Instant;

use super::grpc::GrpcStatus;

/// One call of a source.
#[derive(Clone, Debug)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// What follows the path of the source's URL: empty, or beginning with `/` or `?`.
    pub target: String,
    /// Headers that the mesh itself says: the type of the body and what it can read.
    pub headers: HeaderMap,
    /// The headers of the client's request, of which the source's rules choose.
    pub client_headers: Arc<HeaderMap>,
    /// Who asks.
    pub principal: Principal,
    /// The body.
    pub body: Bytes,
    /// Whether the call may arrive twice: true of queries, false of mutations.
    pub idempotent: bool,
    /// When the answer is of no use any more, if that is before the source's own timeout.
    pub deadline: Option<Instant>,
    /// What the answer must be.
    pub content: Content,
    /// How long the answer may be used for the same call.
    pub freshness: Option<Freshness>,
    /// What was asked, where the same question may have several bodies; `None` where the body says it.
    pub question: Option<Bytes>,
}

/// What an answer must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// `application/json` or any `+json`, in UTF-8.
    Json,
    /// `text/event-stream`.
    Events,
    /// `application/grpc`: the trailers say how the call went.
    Grpc,
    /// A WebSocket.
    Socket,
    /// Anything.
    Any,
}

/// How long an answer may be used for the same call.
#[derive(Clone, Copy, Debug)]
pub struct Freshness {
    /// In place of a call (`ttl`).
    pub ttl: Duration,
    /// From then on, only when the source does not answer (`onError: STALE`).
    pub stale: Duration,
    /// Whether an answer of a good status is worth keeping: one of GraphQL may be made of errors.
    pub keep: fn(&Answer) -> bool,
}

/// An answer of a source.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status: 2xx, or 4xx with a body of the right type.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, decompressed.
    pub body: Bytes,
    /// What came after the body; gRPC says there how the call went.
    pub trailers: Option<HeaderMap>,
    /// Where it is from.
    pub origin: Origin,
}

/// Where an answer is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The source.
    Source,
    /// An earlier answer within its time to live.
    Cache,
    /// An earlier answer beyond it, because the source failed in this way.
    Stale(CallErrorKind),
}

/// Why there is no answer. `Display` is for the client; [`CallError::detail`] is for the log.
#[derive(Clone, Debug)]
pub struct CallError {
    /// The kind, for code that must decide.
    pub kind: CallErrorKind,
    /// Whether the same call may succeed later, and could not be done twice by that.
    pub retryable: bool,
    /// What happened, with addresses and causes.
    pub detail: String,
    /// What the source said beside a status that is a failure, if it was of the right type.
    pub answer: Option<Box<Answer>>,
}

/// The kind of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallErrorKind {
    /// The time was over: the source's own, or that of the request.
    Timeout,
    /// The source could not be reached.
    Connect,
    /// The call was not sent.
    Refused(Refusal),
    /// What came was not HTTP, not whole, or not of the right type.
    Protocol,
    /// A body was beyond its limit.
    TooLarge,
    /// A status that is no answer: 3xx, 5xx, 408, 429, or 4xx with a body of another type.
    Status(u16),
    /// A status of gRPC that is a failure of the service.
    Grpc(GrpcStatus),
    /// The source was taken away while the call waited.
    Cancelled,
}

/// Why a call was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Most of the last calls failed.
    Breaker,
    /// Too many calls wait already.
    Queue,
    /// Too many streams are open already.
    Streams,
    /// Its target or a header cannot be sent, or its body is too large.
    Request,
}

impl Call {
    /// A `GET` that expects JSON.
    pub fn get(target: impl Into<String>, principal: Principal) -> Self {
        Call {
            method: Method::GET,
            target: target.into(),
            headers: HeaderMap::new(),
            client_headers: Arc::default(),
            principal,
            body: Bytes::new(),
            idempotent: true,
            deadline: None,
            content: Content::Json,
            freshness: None,
            question: None,
        }
    }

    /// A `POST` of JSON that expects JSON, and may not arrive twice.
    pub fn post(target: impl Into<String>, body: impl Into<Bytes>, principal: Principal) -> Self {
        let mut headers = HeaderMap::with_capacity(2);
        let json = http::HeaderValue::from_static("application/json");
        headers.insert(http::header::CONTENT_TYPE, json);
        let body = body.into();
        let method = Method::POST;
        Call { method, headers, body, idempotent: false, ..Call::get(target, principal) }
    }
}

impl CallError {
    pub(crate) fn new(kind: CallErrorKind, detail: impl Into<String>) -> Self {
        CallError { kind, retryable: kind.may_pass(), detail: detail.into(), answer: None }
    }
}

impl CallErrorKind {
    /// As the rest of Headwater names it.
    pub fn kind(self) -> Kind {
        match self {
            CallErrorKind::TooLarge => Kind::LimitExceeded,
            CallErrorKind::Refused(Refusal::Request) => Kind::InvalidInput,
            CallErrorKind::Cancelled => Kind::Cancelled,
            _ => Kind::Unavailable,
        }
    }

    /// Whether such a failure may pass by itself.
    fn may_pass(self) -> bool {
        match self {
            CallErrorKind::Timeout | CallErrorKind::Connect | CallErrorKind::Cancelled => true,
            CallErrorKind::Refused(refusal) => refusal != Refusal::Request,
            CallErrorKind::Protocol | CallErrorKind::TooLarge => false,
            CallErrorKind::Status(status) => matches!(status, 408 | 429 | 500 | 502..=504),
            CallErrorKind::Grpc(status) => status.may_pass(),
        }
    }

    /// Whether an earlier answer may stand in for this failure.
    pub(crate) fn allows_stale(self) -> bool {
        match self {
            CallErrorKind::Refused(refusal) => refusal != Refusal::Request,
            CallErrorKind::Status(status) => status >= 500 || status == 408 || status == 429,
            CallErrorKind::Grpc(status) => status.allows_stale(),
            CallErrorKind::Cancelled => false,
            _ => true,
        }
    }
}

impl fmt::Display for CallErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallErrorKind::Timeout => f.write_str("the source did not answer in time"),
            CallErrorKind::Connect => f.write_str("the source cannot be reached"),
            CallErrorKind::Refused(Refusal::Breaker) => {
                f.write_str("the source failed too often and is left alone for a while")
            }
            CallErrorKind::Refused(Refusal::Queue) => {
                f.write_str("too many calls wait for the source")
            }
            CallErrorKind::Refused(Refusal::Streams) => {
                f.write_str("too many streams of the source are open")
            }
            CallErrorKind::Refused(Refusal::Request) => {
                f.write_str("the call cannot be sent to the source")
            }
            CallErrorKind::Protocol => f.write_str("the source's answer is broken"),
            CallErrorKind::TooLarge => f.write_str("the source's answer is too large"),
            CallErrorKind::Status(status) => write!(f, "the source answered with status {status}"),
            CallErrorKind::Grpc(status) => write!(f, "the source answered with {status}"),
            CallErrorKind::Cancelled => f.write_str("the call was stopped"),
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl std::error::Error for CallError {}
