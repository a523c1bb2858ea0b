//! The events of a service over a WebSocket, by the protocol `graphql-transport-ws`: `connection_init`,
//! `connection_ack`, `subscribe`, then `next` with an answer each, until `error` or `complete`.
//!
//! In: an open socket and a request. Out: the bodies of answers. The headers that the rules of the source
//! give travel in the payload of `connection_init`, too, where most services look for them. Not here:
//! connections (`transport`).

use base::Kind;
use bytes::Bytes;
use futures::StreamExt;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json};

use super::remote::failed;
use super::{CallError, Told};
use crate::transport::{Said, Socket};

/// The subprotocol.
pub(super) const PROTOCOL: &str = "graphql-transport-ws";

/// The one operation of a socket.
const OPERATION: &str = "1";

/// A message of the service.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    id: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

/// What a message comes to.
#[derive(Debug)]
enum Step {
    Acknowledged,
    Answer(Bytes),
    /// The operation failed as a whole: an answer of errors, the last one.
    Last(Bytes),
    Complete,
    Ping,
    Nothing,
}

/// Greets the service, and asks it. `told` are the headers that the rules give.
///
/// # Errors
/// When the service does not agree.
pub(super) async fn open(
    mut socket: Socket,
    body: &Bytes,
    told: &HeaderMap,
) -> Result<Told, CallError> {
    let init = serde_json::json!({"type": "connection_init", "payload": params(told)});
    say(&mut socket, init.to_string()).await?;
    loop {
        match next(&mut socket).await? {
            Some(Step::Acknowledged) => break,
            Some(Step::Nothing) => {}
            Some(step) => return Err(unexpected(&format!("{step:?} before `connection_ack`"))),
            None => return Err(closed(None)),
        }
    }
    let body = std::str::from_utf8(body).map_err(|_| unexpected("a request that is no text"))?;
    // Not by `json!`: the request is text already.
    let subscribe = format!("{{\"id\":\"{OPERATION}\",\"type\":\"subscribe\",\"payload\":{body}}}");
    say(&mut socket, subscribe).await?;
    Ok(futures::stream::unfold(Some(socket), events).boxed())
}

/// The next event, and the socket where more may follow.
async fn events(socket: Option<Socket>) -> Option<(Result<Bytes, CallError>, Option<Socket>)> {
    let mut socket = socket?;
    loop {
        return match next(&mut socket).await {
            Ok(Some(Step::Answer(body))) => Some((Ok(body), Some(socket))),
            Ok(Some(Step::Last(body))) => Some((Ok(body), None)),
            Ok(Some(Step::Complete)) => None,
            Ok(Some(Step::Acknowledged | Step::Ping | Step::Nothing)) => continue,
            Ok(None) => Some((Err(closed(None)), None)),
            Err(error) => Some((Err(error), None)),
        };
    }
}

/// What the service says next, when its pings are answered; `None` when it closed the socket.
async fn next(socket: &mut Socket) -> Result<Option<Step>, CallError> {
    match socket.next().await.map_err(failed)? {
        Said::Closed(None) => Ok(None),
        Said::Closed(reason) => Err(closed(reason)),
        Said::Text(text) => match step(&text)? {
            Step::Ping => {
                say(socket, "{\"type\":\"pong\"}".to_owned()).await?;
                Ok(Some(Step::Nothing))
            }
            step => Ok(Some(step)),
        },
    }
}

async fn say(socket: &mut Socket, text: String) -> Result<(), CallError> {
    socket.say(text).await.map_err(failed)
}

fn step(text: &Bytes) -> Result<Step, CallError> {
    let message: Message<'_> =
        serde_json::from_slice(text).map_err(|error| unexpected(&error.to_string()))?;
    let is_ours = message.id.as_deref() == Some(OPERATION);
    let payload = message.payload.map(RawValue::get);
    Ok(match (message.kind, payload) {
        ("connection_ack", _) => Step::Acknowledged,
        ("ping", _) => Step::Ping,
        ("pong", _) => Step::Nothing,
        ("next", Some(answer)) if is_ours => Step::Answer(text.slice_ref(answer.as_bytes())),
        ("error", Some(errors)) if is_ours => Step::Last(format!("{{\"errors\":{errors}}}").into()),
        ("complete", _) if is_ours => Step::Complete,
        (kind, _) => return Err(unexpected(&format!("a message of the type `{kind}`"))),
    })
}

/// The headers as `connection_init` has them; those that are no text stay away.
fn params(told: &HeaderMap) -> Json {
    let texts = told.iter().filter_map(|(name, value)| {
        Some((name.as_str().to_owned(), Json::from(value.to_str().ok()?)))
    });
    Json::Object(texts.collect::<Map<_, _>>())
}

/// What the service closed the socket with; codes from 4400 are the protocol's own words.
fn closed(reason: Option<(u16, String)>) -> CallError {
    let Some((code, reason)) = reason else {
        return CallError::new(Kind::Unavailable, "the socket was closed before it was complete");
    };
    let kind = match code {
        4401 | 4403 => Kind::Denied,
        _ => Kind::Unavailable,
    };
    CallError::new(kind, format!("the source closed the socket with {code}")).caused_by(reason)
}

fn unexpected(what: &str) -> CallError {
    let message = format!("the socket does not follow `{PROTOCOL}`");
    CallError::new(Kind::Unavailable, message).caused_by(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a message comes to, as text.
    fn check(text: &'static str, expected: &str) {
        let found = match step(&Bytes::from_static(text.as_bytes())) {
            Ok(Step::Answer(body)) => format!("answer {}", String::from_utf8_lossy(&body)),
            Ok(Step::Last(body)) => format!("last {}", String::from_utf8_lossy(&body)),
            Ok(step) => format!("{step:?}"),
            Err(error) => format!("fault: {}", error.cause.unwrap_or_default()),
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn messages_are_read_as_the_protocol_has_them() {
        check(r#"{"type":"connection_ack"}"#, "Acknowledged");
        check(r#"{"type":"connection_ack","payload":{"a":1}}"#, "Acknowledged");
        check(r#"{"type":"ping"}"#, "Ping");
        check(r#"{"type":"pong","payload":null}"#, "Nothing");
        check(
            r#"{"id":"1","type":"next","payload":{"data": {"a":1}}}"#,
            r#"answer {"data": {"a":1}}"#,
        );
        check(
            r#"{"id":"1","type":"error","payload":[{"message":"no"}]}"#,
            r#"last {"errors":[{"message":"no"}]}"#,
        );
        check(r#"{"id":"1","type":"complete"}"#, "Complete");
        check(r#"{"id":"2","type":"complete"}"#, "fault: a message of the type `complete`");
        check(r#"{"id":"1","type":"next"}"#, "fault: a message of the type `next`");
        check(r#"{"type":"ka"}"#, "fault: a message of the type `ka`");
    }

    #[test]
    fn headers_that_are_text_travel_in_the_first_message() {
        let mut told = HeaderMap::new();
        told.insert("authorization", http::HeaderValue::from_static("Bearer x"));
        told.insert("x-odd", http::HeaderValue::from_bytes(b"\xff").expect("a value"));
        assert_eq!(params(&told), serde_json::json!({"authorization": "Bearer x"}));
    }
}
