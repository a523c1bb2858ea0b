//! A service over HTTP: GraphQL over HTTP has the words, [`Transport`] the patience.
//!
//! In: calls of a route. Out: bodies of answers. A body that tells GraphQL errors is an answer whatever
//! its status is: it says more than the status does.

use std::sync::Arc;
use std::time::Duration;

use base::Kind;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderValue, header};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{CallError, Service, ServiceCall, Told, socket, sse};
use crate::transport::{self, Answer, Call, CallErrorKind, Content, Freshness, Transport};

/// What is asked for; services of before the specification know the second only.
const ACCEPT: HeaderValue =
    HeaderValue::from_static("application/graphql-response+json, application/json;q=0.9");

/// A GraphQL service that is reached over HTTP.
#[derive(Debug)]
pub struct Remote {
    transport: Arc<Transport>,
    ttl: Option<Duration>,
    /// Whether an answer that is too old stands in when the service does not answer.
    stands_in: bool,
}

impl Remote {
    /// The service at the other end of `transport`. With a time to live, an answer without errors is
    /// used again for the same call with the same headers.
    pub fn new(transport: Arc<Transport>, ttl: Option<Duration>) -> Self {
        Remote { transport, ttl, stands_in: true }
    }

    /// What is older than its time to live is never used.
    #[must_use]
    pub fn without_stale(self) -> Self {
        Remote { stands_in: false, ..self }
    }

    fn outgoing(&self, call: ServiceCall<'_>) -> Call {
        let is_query = !call.is_mutation;
        let mut sent = Call::post("", call.body, call.principal.clone());
        sent.headers.insert(header::ACCEPT, ACCEPT);
        sent.client_headers = Arc::clone(call.headers);
        sent.idempotent = is_query;
        let ttl = self.ttl.filter(|_| is_query);
        sent.freshness = ttl.map(|ttl| {
            let stale = if self.stands_in { ttl } else { Duration::ZERO };
            Freshness { ttl, stale, keep: is_whole }
        });
        sent
    }

    async fn subscribe_by_socket(&self, sent: Call) -> Result<Told, CallError> {
        let opened = self.transport.open_socket(&sent, socket::PROTOCOL).await;
        let (socket, told) = opened.map_err(failed)?;
        let limit = self.transport.timeout();
        let asked = tokio::time::timeout(limit, socket::open(socket, &sent.body, &told)).await;
        asked.unwrap_or_else(|_| {
            let detail = format!("the socket was not acknowledged within {limit:?}");
            Err(failed(transport::CallError::new(CallErrorKind::Timeout, detail)))
        })
    }
}

impl Service for Remote {
    fn call<'a>(&'a self, call: ServiceCall<'a>) -> BoxFuture<'a, Result<Bytes, CallError>> {
        Box::pin(async move {
            match self.transport.call(&self.outgoing(call)).await {
                Ok(answer) if answer.status.is_success() => Ok(answer.body),
                Ok(answer) => match told(&answer) {
                    true => Ok(answer.body),
                    false => Err(refused(&answer)),
                },
                Err(error) => match error.answer {
                    Some(answer) if told(&answer) => Ok(answer.body),
                    answer => Err(failed(transport::CallError { answer, ..error })),
                },
            }
        })
    }

    fn subscribe<'a>(&'a self, call: ServiceCall<'a>) -> BoxFuture<'a, Result<Told, CallError>> {
        Box::pin(async move {
            let mut sent = Call::post("", call.body, call.principal.clone());
            sent.client_headers = Arc::clone(call.headers);
            if self.transport.has_sockets() {
                return self.subscribe_by_socket(sent).await;
            }
            sent.content = Content::Events;
            match self.transport.call_stream(&sent).await {
                Ok(stream) => Ok(sse::answers(stream, self.transport.answer_bytes())),
                Err(error) => Err(failed(error)),
            }
        })
    }
}

pub(super) fn failed(error: transport::CallError) -> CallError {
    CallError::new(error.kind.kind(), error.kind.to_string()).caused_by(error.detail)
}

/// What of an answer decides what it is.
#[derive(Deserialize)]
struct Outline {
    errors: Option<Vec<IgnoredAny>>,
}

fn outline(answer: &Answer) -> Option<Outline> {
    serde_json::from_slice(&answer.body).ok()
}

/// Whether an answer tells errors as GraphQL does.
fn told(answer: &Answer) -> bool {
    let errors = outline(answer).and_then(|outline| outline.errors);
    errors.is_some_and(|errors| !errors.is_empty())
}

/// Whether an answer has no errors, and may be used again.
fn is_whole(answer: &Answer) -> bool {
    outline(answer).is_some_and(|outline| outline.errors.is_none_or(|errors| errors.is_empty()))
}

fn refused(answer: &Answer) -> CallError {
    let message = format!("the source answered with status {}", answer.status.as_u16());
    CallError::new(Kind::Unavailable, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Origin;
    use http::{HeaderMap, StatusCode};

    fn answer(body: &'static str) -> Answer {
        let (status, headers) = (StatusCode::OK, HeaderMap::new());
        let (body, trailers) = (Bytes::from_static(body.as_bytes()), None);
        Answer { status, headers, body, trailers, origin: Origin::Source }
    }

    #[test]
    fn what_tells_errors_is_passed_on_and_what_is_whole_is_kept() {
        let cases = [
            ("{\"data\":{\"a\":1}}", false, true),
            ("{\"data\":{\"a\":1},\"errors\":[]}", false, true),
            ("{\"data\":null,\"errors\":[{\"message\":\"no\"}]}", true, false),
            ("{\"message\":\"not found\"}", false, true),
            ("{\"errors\":\"many\"}", false, false),
            ("<html>", false, false),
        ];
        for (body, is_told, is_kept) in cases {
            assert_eq!(told(&answer(body)), is_told, "{body}");
            assert_eq!(is_whole(&answer(body)), is_kept, "{body}");
        }
    }
}
