//! A WebSocket to a source (RFC 6455): messages of text, both ways. In: a connection over HTTP/1.1 whose
//! server agreed to speak it. Out: what it says, one message at a time. Nothing is read ahead beyond one
//! buffer of the connection, so a reader that is slow slows the source down; a source that is silent is
//! asked whether it is still there, and given up when it does not say so; dropping the socket closes its
//! connection. Not here: what messages mean.

use std::sync::Arc;
use std::time::Duration;

use base::rng::Rng;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderValue, Method, header};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};

use super::call::{Call, CallError, CallErrorKind, Content};
use super::connection::Held;
use super::health::{Counted, Meters, add};
use super::queue::Place;
use super::settings::SourceSettings;

/// An open WebSocket.
pub(crate) struct Socket {
    stream: WebSocketStream<TokioIo<Upgraded>>,
    idle: Duration,
    meters: Arc<Meters>,
    _held: Held,
    _place: Place,
    _counted: Counted,
}

/// What a source says.
#[derive(Debug)]
pub(crate) enum Said {
    Text(Bytes),
    /// It closed the socket, with this code and for this reason.
    Closed(Option<(u16, String)>),
}

/// The call that asks for a WebSocket which speaks `protocol`.
pub(super) fn opening(call: &Call, protocol: &'static str, rng: &Rng) -> Call {
    let mut nonce = [0; 16];
    rng.fill(&mut nonce);
    let mut headers = HeaderMap::with_capacity(5);
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
    // Base64 is made of characters that a header may have.
    if let Ok(key) = HeaderValue::from_str(&BASE64_STANDARD.encode(nonce)) {
        headers.insert(header::SEC_WEBSOCKET_KEY, key);
    }
    let content = Content::Socket;
    Call { method: Method::GET, headers, body: Bytes::new(), content, ..call.clone() }
}

/// Refuses an agreement that is none: an upgrade to something else, an answer to another question, a
/// protocol that was not asked for.
pub(super) fn check(asked: &HeaderMap, answered: &HeaderMap) -> Result<(), String> {
    let upgrade = answered.get(header::UPGRADE).map(HeaderValue::as_bytes);
    if !upgrade.is_some_and(|upgrade| upgrade.eq_ignore_ascii_case(b"websocket")) {
        return Err("the connection was upgraded to something else than a WebSocket".to_owned());
    }
    let key = asked.get(header::SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
    let expected = derive_accept_key(key.unwrap_or_default());
    let accepted = answered.get(header::SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
    if accepted != Some(expected.as_bytes()) {
        return Err("the WebSocket was accepted for another client".to_owned());
    }
    let [wanted, spoken] =
        [asked, answered].map(|headers| headers.get(header::SEC_WEBSOCKET_PROTOCOL));
    if wanted != spoken {
        return Err(format!("the WebSocket speaks {spoken:?} in place of {wanted:?}"));
    }
    Ok(())
}

impl Socket {
    pub(super) async fn new(
        (bytes, held): (Upgraded, Held),
        place: Place,
        settings: &SourceSettings,
        meters: &Arc<Meters>,
    ) -> Self {
        let most = Some(settings.answer_bytes);
        let config = WebSocketConfig::default().max_message_size(most).max_frame_size(most);
        let bytes = TokioIo::new(bytes);
        let stream = WebSocketStream::from_raw_socket(bytes, Role::Client, Some(config)).await;
        Socket {
            stream,
            idle: settings.stream_idle,
            meters: Arc::clone(meters),
            _held: held,
            _place: place,
            _counted: meters.stream(),
        }
    }

    /// Says something.
    ///
    /// # Errors
    /// When the connection breaks.
    pub(crate) async fn say(&mut self, text: String) -> Result<(), CallError> {
        add(&self.meters.bytes_sent, text.len() as u64);
        self.stream.send(Message::text(text)).await.map_err(|error| broken(&error))
    }

    /// What the source says next.
    ///
    /// # Errors
    /// When the connection breaks, a message is too large, or the source is silent for too long.
    pub(crate) async fn next(&mut self) -> Result<Said, CallError> {
        let mut was_asked = false;
        loop {
            match tokio::time::timeout(self.idle / 2, self.stream.next()).await {
                Ok(None) => return Ok(Said::Closed(None)),
                Ok(Some(Ok(Message::Close(frame)))) => {
                    let frame = frame.map(|frame| (frame.code.into(), frame.reason.to_string()));
                    return Ok(Said::Closed(frame));
                }
                Ok(Some(Ok(Message::Text(text)))) => {
                    add(&self.meters.bytes_received, text.len() as u64);
                    return Ok(Said::Text(Bytes::from(text)));
                }
                // Pings were answered, and whoever says anything is there.
                Ok(Some(Ok(_))) => was_asked = false,
                Ok(Some(Err(error))) => return Err(broken(&error)),
                Err(_) if was_asked => {
                    let detail = format!("the socket was silent for {:?}", self.idle);
                    return Err(CallError::new(CallErrorKind::Timeout, detail));
                }
                Err(_) => {
                    was_asked = true;
                    let asked = self.stream.send(Message::Ping(Bytes::new())).await;
                    asked.map_err(|error| broken(&error))?;
                }
            }
        }
    }
}

fn broken(error: &tungstenite::Error) -> CallError {
    let kind = match error {
        tungstenite::Error::Capacity(_) => CallErrorKind::TooLarge,
        _ => CallErrorKind::Protocol,
    };
    CallError::new(kind, base::error_chain(error).join(": "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Principal;

    /// The example of RFC 6455, 1.3.
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    fn agreed(changed: Option<(&'static str, &'static str)>) -> Result<(), String> {
        let call = Call::get("", Principal::local());
        let mut asked = opening(&call, "graphql-transport-ws", &Rng::seeded(1)).headers;
        asked.insert(header::SEC_WEBSOCKET_KEY, HeaderValue::from_static(KEY));
        let mut answered = HeaderMap::new();
        answered.insert("upgrade", HeaderValue::from_static("WebSocket"));
        answered.insert("sec-websocket-accept", HeaderValue::from_static(ACCEPT));
        answered.insert("sec-websocket-protocol", HeaderValue::from_static("graphql-transport-ws"));
        if let Some((name, value)) = changed {
            answered.insert(name, HeaderValue::from_static(value));
        }
        check(&asked, &answered)
    }

    #[test]
    fn a_server_agrees_to_what_was_asked_or_to_nothing() {
        assert_eq!(agreed(None), Ok(()));
        assert!(agreed(Some(("upgrade", "h2c"))).is_err());
        assert!(agreed(Some(("sec-websocket-accept", "AAAA"))).is_err());
        assert!(agreed(Some(("sec-websocket-protocol", "graphql-ws"))).is_err());
    }
}
