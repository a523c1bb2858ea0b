//! One call, over HTTP or by gRPC (`method`): in comes what is sent, out comes what was said, or why it is of no use. The same
//! read is made once while one call of the planner is answered. Only reads may come twice, and changes
//! that carry a key of their own. Not here: what the answer means for a field (`gather`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base::Kind;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use parking_lot::Mutex;
use schema::fetch::{Call, Fetch, OnError, Verb};
use tokio::sync::{OnceCell, Semaphore};

use super::object::Place;
use super::render::Sent;
use super::run::Run;
use super::write::Fault;
use super::{BOUNDS, Wire};
use crate::tape::Tape;
use crate::transport::{self, Answer, CallErrorKind, Content, Freshness};

/// Calls at once for one call of the planner; the source's own limit holds for all of them together.
const AT_ONCE: usize = 16;

/// Different calls for one call of the planner.
const MOST_CALLS: usize = 1_000;

/// Characters of a service's own words that are passed on.
pub(super) const MOST_WORDS: usize = 300;

/// What a service said.
#[derive(Clone, Debug)]
pub(super) enum Said {
    /// JSON, and the next page as `Link` has it.
    Json(Place, Option<String>),
    /// That all is well, and nothing else.
    Nothing,
    /// That there is no such thing.
    NotFound,
}

/// What makes two reads the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Same {
    verb: &'static str,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Option<String>,
}

/// What comes of a read, once for all who need it.
type Read = Arc<OnceCell<Result<Said, Fault>>>;

/// The reads that were made.
pub(super) struct Calls {
    known: Mutex<HashMap<Same, Read>>,
    places: Semaphore,
}

impl Default for Calls {
    fn default() -> Self {
        Calls { known: Mutex::default(), places: Semaphore::new(AT_ONCE) }
    }
}

impl Run<'_> {
    /// Reads something, or takes what was read.
    pub(super) async fn read(&self, fetch: &Fetch, sent: &Sent) -> Result<Said, Fault> {
        let headers = sent.headers.iter();
        let headers = headers.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
        let same = Same {
            verb: verb(fetch).as_str(),
            target: sent.target.clone(),
            headers: headers.collect(),
            body: sent.body.clone(),
        };
        let cell = {
            let mut known = self.calls.known.lock();
            let full = known.len() >= MOST_CALLS && !known.contains_key(&same);
            if full {
                let words =
                    format!("more than {MOST_CALLS} calls of `{}` are needed", self.rest.name);
                return Err(Fault::new(Kind::LimitExceeded, words));
            }
            Arc::clone(known.entry(same).or_default())
        };
        cell.get_or_init(|| self.call(fetch, sent, false)).await.clone()
    }

    /// Changes something.
    pub(super) async fn change(&self, fetch: &Fetch, sent: &Sent) -> Result<Said, Fault> {
        self.call(fetch, sent, true).await
    }

    async fn call(&self, fetch: &Fetch, sent: &Sent, is_change: bool) -> Result<Said, Fault> {
        let _place = self.calls.places.acquire().await;
        let call = self.outgoing(fetch, sent, is_change);
        if let (Wire::Grpc(methods), Call::Method(name)) = (&self.rest.wire, &fetch.call) {
            return self.method(methods, (name, fetch), call, is_change).await;
        }
        let answered = match self.rest.transport.call(&call).await {
            Ok(answer) => answer,
            Err(error) => match error.kind {
                CallErrorKind::Status(status) if is_gone(status) && !is_change => {
                    return Ok(Said::NotFound);
                }
                CallErrorKind::Status(status @ 400..500) => {
                    return Err(self.refused(status, None));
                }
                _ => return Err(self.unanswered(fetch, &error)),
            },
        };
        self.said(fetch, answered, is_change)
    }

    pub(super) fn outgoing(&self, fetch: &Fetch, sent: &Sent, is_change: bool) -> transport::Call {
        let mut call = transport::Call::get(sent.target.clone(), self.call.principal.clone());
        call.method = match verb(fetch) {
            Verb::Get => Method::GET,
            Verb::Post => Method::POST,
            Verb::Put => Method::PUT,
            Verb::Patch => Method::PATCH,
            Verb::Delete => Method::DELETE,
        };
        call.headers = sent.headers.clone();
        call.headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        call.client_headers = Arc::clone(self.call.headers);
        if let Some(body) = &sent.body {
            call.body = Bytes::from(body.clone());
            let json = HeaderValue::from_static("application/json");
            call.headers.insert(header::CONTENT_TYPE, json);
        }
        if is_change {
            call.content = Content::Any;
            call.idempotent = self.add_key(fetch, &mut call.headers);
        } else {
            call.freshness = self.freshness(fetch);
        }
        call
    }

    /// Whether a change carries a key, by which the service knows it when it comes again.
    fn add_key(&self, fetch: &Fetch, headers: &mut HeaderMap) -> bool {
        let Some(name) = &fetch.idempotency_key else { return false };
        let key = self.rest.rng.uuid().to_string();
        match (HeaderName::try_from(name.as_ref()), HeaderValue::try_from(key)) {
            (Ok(name), Ok(key)) => {
                headers.insert(name, key);
                true
            }
            _ => false,
        }
    }

    fn freshness(&self, fetch: &Fetch) -> Option<Freshness> {
        let ttl = fetch.ttl.or(self.rest.fetches.ttl)?;
        // Where answers are kept they stand in, unless something else is said.
        let stale = match self.on_error(fetch) {
            None | Some(OnError::Stale) => ttl,
            Some(OnError::Null | OnError::Propagate) => Duration::ZERO,
        };
        Some(Freshness { ttl, stale, keep: |_| true })
    }

    pub(super) fn on_error(&self, fetch: &Fetch) -> Option<OnError> {
        fetch.on_error.or(self.rest.fetches.on_error)
    }

    /// What an answer says.
    fn said(&self, fetch: &Fetch, answer: Answer, is_change: bool) -> Result<Said, Fault> {
        let status = answer.status.as_u16();
        if is_gone(status) && !is_change {
            return Ok(Said::NotFound);
        }
        if !answer.status.is_success() {
            return Err(self.refused(status, Some(&answer.body)));
        }
        if answer.body.is_empty() || answer.status == StatusCode::NO_CONTENT {
            return Ok(Said::Nothing);
        }
        let next = fetch.pages.as_ref().and_then(|_| next_link(&answer.headers));
        let parsed = Tape::parse(answer.body, &BOUNDS);
        match parsed {
            Ok(tape) => Ok(Said::Json(Place::root(Arc::new(tape)), next)),
            // Whatever a change says that is no JSON, it was made.
            Err(_) if is_change => Ok(Said::Nothing),
            Err(error) => {
                self.log(fetch, &error.to_string());
                let words = format!("`{}` did not answer with JSON", self.rest.name);
                Err(Fault::new(Kind::Unavailable, words))
            }
        }
    }

    /// The service heard the call and refused it: its words are for whoever made it.
    fn refused(&self, status: u16, body: Option<&[u8]>) -> Fault {
        let kind = match status {
            401 | 403 => Kind::Denied,
            404 | 410 => Kind::NotFound,
            409 | 412 => Kind::Conflict,
            _ => Kind::InvalidInput,
        };
        let mut words = format!("`{}` refused the call with status {status}", self.rest.name);
        if let Some(told) = body.and_then(told) {
            words = format!("{words}: {told}");
        }
        let mut fault = Fault::new(kind, words);
        fault.retryable = false;
        fault.status = Some(status);
        fault
    }

    pub(super) fn unanswered(&self, fetch: &Fetch, error: &transport::CallError) -> Fault {
        self.log(fetch, &error.detail);
        let words = format!("`{}` did not answer: {error}", self.rest.name);
        let mut fault = Fault::new(error.kind.kind(), words);
        fault.retryable = error.retryable;
        if let CallErrorKind::Status(status) = error.kind {
            fault.status = Some(status);
        }
        fault
    }

    pub(super) fn log(&self, fetch: &Fetch, detail: &str) {
        tracing::warn!(source = %self.rest.name, call = %fetch, "a call failed: {detail}");
    }
}

fn is_gone(status: u16) -> bool {
    matches!(status, 404 | 410)
}

fn verb(fetch: &Fetch) -> Verb {
    match &fetch.call {
        Call::Http { verb, .. } => *verb,
        // gRPC posts all of its messages.
        Call::Method(_) => Verb::Post,
    }
}

/// What a refusal says in words, where it is JSON as RFC 9457 or common practice has it.
fn told(body: &[u8]) -> Option<String> {
    let told: serde_json::Value = serde_json::from_slice(body).ok()?;
    let names = ["detail", "message", "error", "title"];
    let text = names.iter().find_map(|name| told.get(name)?.as_str())?;
    let plain: String = text.chars().filter(|c| !c.is_control()).take(MOST_WORDS).collect();
    (!plain.is_empty()).then_some(plain)
}

/// The target of `rel="next"` (RFC 8288).
fn next_link(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all(header::LINK).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(",").flat_map(|part| part.split_once('<'))).find_map(
        |(_, rest)| {
            let (target, parameters) = rest.split_once('>')?;
            let is_next = parameters.split(';').any(|parameter| {
                let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
                let mut relations = value.trim().trim_matches('"').split_ascii_whitespace();
                name.trim().eq_ignore_ascii_case("rel")
                    && relations.any(|one| one.eq_ignore_ascii_case("next"))
            });
            is_next.then(|| target.trim().to_owned())
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_in_links() {
        let check = |text: &str, expected: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::LINK, HeaderValue::from_str(text).expect("a header"));
            assert_eq!(next_link(&headers).as_deref(), expected, "{text}");
        };
        check("<http://a/f?page=2>; rel=\"next\"", Some("http://a/f?page=2"));
        check("</f?page=1>; rel=prev, </f?page=3>; rel=next", Some("/f?page=3"));
        check("</f?page=9>; title=\"x\"; REL=\"last next\"", Some("/f?page=9"));
        check("</f?page=9>; rel=\"last\"", None);
        check("nothing", None);
    }

    #[test]
    fn refusals_are_told_in_their_own_words() {
        assert_eq!(
            told(br#"{"title":"Bad","detail":"too many stars"}"#).unwrap(),
            "too many stars"
        );
        assert_eq!(told(br#"{"message":"no\nsuch film"}"#).unwrap(), "nosuch film");
        assert_eq!(told(b"<html>"), None);
        assert_eq!(told(br#"{"message":{"a":1}}"#), None);
    }
}
