//! GraphQL over server-sent events, each operation on a request of its own ("distinct connections").
//!
//! In: a request that accepts `text/event-stream`. Out: `next` for each answer, `complete` at the end. What
//! is wrong with the request itself is told by a status; what is wrong with its document or comes up later,
//! in the last `next`. A silent stream says that it is alive, and its caller is looked at again then.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use base::Error;
use bytes::Bytes;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::super::super::Shared;
use super::super::super::authenticate::caller;
use super::super::graphql::{accepts, failed, known, told};
use super::{Events, Running, begin, closing};
use crate::telemetry::Seen;
use crate::wire::{ErrorBody, GraphqlRequest};

/// The media type of events.
pub(super) const MEDIA_TYPE: &str = "text/event-stream";

/// Whether the answer is to be a stream of events.
pub(in super::super) fn wants_events(headers: &HeaderMap) -> bool {
    accepts(headers, MEDIA_TYPE)
}

/// A stream while it is written.
struct Stream {
    app: Shared,
    headers: HeaderMap,
    peer: IpAddr,
    events: Events,
    pace: Interval,
    is_over: bool,
}

/// Answers with a stream of events.
pub(in super::super) async fn events(
    app: Shared,
    headers: HeaderMap,
    peer: SocketAddr,
    seen: &Arc<Seen>,
    request: &GraphqlRequest,
    method: &Method,
) -> Response {
    let asked = async {
        let caller = known(&app, &headers, peer, seen).await?;
        begin(&app, &headers, &caller, request, (method, Some(seen.as_ref()))).await
    };
    let body = match asked.await {
        Err(error) => return failed(&headers, ErrorBody::from(&error)),
        Ok(Running::Once(answer)) => {
            seen.answered(&answer.response);
            // What has a status of its own is no matter of GraphQL.
            if answer.status.is_some() {
                return told(&headers, answer);
            }
            let mut text = next(&answer.response.body);
            text.extend_from_slice(COMPLETE);
            Body::from(text)
        }
        Ok(Running::Many(events)) => {
            let mut pace = interval(app.project.settings.graphql.heartbeat.0);
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let peer = peer.ip();
            let stream = Stream { app, headers, peer, events, pace, is_over: false };
            let pieces = futures::stream::unfold(Box::new(stream), |mut stream| async move {
                let piece = stream.piece().await?;
                Some((Ok::<Bytes, std::convert::Infallible>(piece), stream))
            });
            Body::from_stream(pieces)
        }
    };
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Proxies that gather answers would hold events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

const COMPLETE: &[u8] = b"event: complete\ndata:\n\n";

/// A comment, which readers pass over.
const ALIVE: &[u8] = b":\n\n";

/// An answer as an event.
fn next(body: &[u8]) -> Vec<u8> {
    let mut text = b"event: next\n".to_vec();
    for line in body.split(|byte| matches!(byte, b'\n' | b'\r')) {
        text.extend_from_slice(b"data: ");
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text.push(b'\n');
    text
}

impl Stream {
    /// The next piece; the last one has the end.
    async fn piece(&mut self) -> Option<Bytes> {
        if self.is_over {
            return None;
        }
        tokio::select! {
            biased;
            () = closing(&self.app) => {
                self.is_over = true;
                Some(Bytes::from_static(COMPLETE))
            }
            response = self.events.subscription.next() => Some(match response {
                Some(response) => {
                    let mut text = next(&response.body);
                    if response.refused {
                        self.is_over = true;
                        text.extend_from_slice(COMPLETE);
                    }
                    text.into()
                }
                None => {
                    self.is_over = true;
                    Bytes::from_static(COMPLETE)
                }
            }),
            _ = self.pace.tick() => Some(self.alive().await),
        }
    }

    /// Says that the stream is alive, if its caller may still ask.
    async fn alive(&mut self) -> Bytes {
        match caller(&self.app, &self.headers, self.peer).await {
            // The check itself failed, which says nothing of the caller.
            Ok(_) => Bytes::from_static(ALIVE),
            Err(error) if error.kind().is_retryable() => Bytes::from_static(ALIVE),
            Err(error) => {
                self.is_over = true;
                let mut text = next(&refusal(&error));
                text.extend_from_slice(COMPLETE);
                text.into()
            }
        }
    }
}

/// An error of ours as an answer of GraphQL.
pub(super) fn refusal(error: &Error) -> Vec<u8> {
    mesh::Response::refusal(&[mesh::GraphqlError::from(error)]).body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_data_never_ends_an_event() {
        assert_eq!(next(b"{\"a\":1}"), b"event: next\ndata: {\"a\":1}\n\n");
        assert_eq!(next(b"[1,\n\n2]"), b"event: next\ndata: [1,\ndata: \ndata: 2]\n\n");
    }

    #[test]
    fn only_who_asks_for_events_gets_them() {
        let wants = |accepted: &'static str| {
            let accepted = HeaderValue::from_static(accepted);
            wants_events(&HeaderMap::from_iter([(header::ACCEPT, accepted)]))
        };
        assert!(wants("text/event-stream"));
        assert!(!wants("application/json"));
    }
}
