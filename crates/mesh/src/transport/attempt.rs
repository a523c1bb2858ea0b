//! One try of a call. In: the call as it is sent. Out: a whole answer or the beginning of a stream, or
//! how it failed, how far it came and what that says about the source. Not here: whether there is
//! another try (`retry`), how long it may take (`transport`).

use std::sync::Arc;

use base::Clock;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use http_body_util::Full;
use tokio::time::Instant;

use super::address::Address;
use super::body::{NoBody, promised, whole};
use super::breaker::Outcome;
use super::call::{Answer, Call, CallError, CallErrorKind, Content, Origin};
use super::connection::{Flow, NotSent};
use super::decode::{self, Coding, Undecoded};
use super::grpc;
use super::health::{Meters, add};
use super::pool::Pool;
use super::retry::{Failed, Reach, retry_after};
use super::settings::SourceSettings;
use super::socket;

/// Bytes of a body beside a status that is a failure, and how much of it goes to the log.
const FAILURE_BYTES: usize = 64 << 10;
const LOGGED_BYTES: usize = 256;

/// A call as it is sent.
pub(crate) struct Outgoing<'a> {
    pub(crate) call: &'a Call,
    pub(crate) target: PathAndQuery,
    pub(crate) headers: HeaderMap,
}

/// What tries of a call share.
pub(crate) struct Sender<'a> {
    pub(crate) settings: &'a SourceSettings,
    pub(crate) address: &'a Address,
    pub(crate) clock: &'a Clock,
    pub(crate) meters: &'a Meters,
    pub(crate) pool: &'a Arc<Pool>,
    /// When the call ends.
    pub(crate) until: Instant,
    /// Whether the head of an answer is enough.
    pub(crate) is_stream: bool,
}

/// Where a call is, for whoever ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Queue,
    Wait,
    Connect,
    Head,
    Body,
}

/// What came of a try.
pub(crate) enum Got {
    Whole(Answer),
    Begun(http::response::Parts, Flow),
}

impl Stage {
    /// Whether the source may have seen the call.
    pub(crate) fn is_sent(self) -> bool {
        matches!(self, Stage::Head | Stage::Body)
    }
}

impl Sender<'_> {
    /// Tries once.
    pub(crate) async fn attempt(
        &self,
        outgoing: &Outgoing<'_>,
        afresh: bool,
        stage: &mut Stage,
    ) -> Result<Got, Failed> {
        *stage = Stage::Connect;
        let held = self.pool.take(afresh).await.map_err(|detail| Failed {
            error: CallError::new(CallErrorKind::Connect, detail),
            reach: Reach::Unsent,
            outcome: Outcome::Failed,
        })?;
        *stage = Stage::Head;
        let request = self.request(outgoing, held.is_http2());
        let is_kept = held.is_used() && !held.is_http2();
        let sent = held.send(request).await;
        add(&self.meters.bytes_sent, outgoing.call.body.len() as u64);
        let (head, flow) = sent.map_err(|error| unanswered(&error, is_kept))?;
        *stage = Stage::Body;
        if outgoing.call.content == Content::Socket
            && head.status == StatusCode::SWITCHING_PROTOCOLS
        {
            return match socket::check(&outgoing.headers, &head.headers) {
                Ok(()) => Ok(Got::Begun(head, flow)),
                Err(detail) => Err(broken(detail, Reach::Final)),
            };
        }
        let content = outgoing.call.content.check(&head.headers);
        match Verdict::of(head.status, content.is_ok() || has_no_body(&head)) {
            Verdict::Answer if self.is_stream => {
                if outgoing.call.content == Content::Grpc {
                    grpc::judge_head(&head)?;
                }
                begun(head, flow)
            }
            Verdict::Answer => {
                let answer = self.answer(head, flow).await?;
                let is_grpc = outgoing.call.content == Content::Grpc;
                Ok(Got::Whole(if is_grpc { grpc::judge(answer)? } else { answer }))
            }
            Verdict::WrongType => {
                let detail = format!("{}: {}", head.status, content.err().unwrap_or_default());
                Err(broken(detail, Reach::Final))
            }
            Verdict::Failure => Err(self.failure(head, flow, content.is_ok()).await),
        }
    }

    fn request(&self, outgoing: &Outgoing<'_>, is_http2: bool) -> Request<Full<bytes::Bytes>> {
        let mut request = Request::new(Full::new(outgoing.call.body.clone()));
        *request.method_mut() = outgoing.call.method.clone();
        *request.headers_mut() = outgoing.headers.clone();
        if is_http2 {
            *request.version_mut() = http::Version::HTTP_2;
            *request.uri_mut() = self.address.absolute(outgoing.target.clone());
        } else {
            *request.uri_mut() = outgoing.target.clone().into();
            request.headers_mut().insert(header::HOST, self.address.host_header.clone());
        }
        // Of a stream the beginning alone has a time, and whoever heard of it would end the stream then.
        let left = self.until.saturating_duration_since(Instant::now());
        let left = (!self.is_stream).then_some(left);
        if outgoing.call.content == Content::Grpc {
            grpc::mark(request.headers_mut(), left, self.settings.compression);
        }
        if let (Some(name), Some(left)) = (&self.settings.deadline_header, left) {
            let left = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
            request.headers_mut().insert(name.clone(), HeaderValue::from(left));
        }
        request
    }

    /// Reads the whole answer, and gives the connection back.
    async fn answer(&self, head: http::response::Parts, mut flow: Flow) -> Result<Answer, Failed> {
        let coding = Coding::of(&head.headers).map_err(|detail| broken(detail, Reach::Final))?;
        let (wire, limit) = (self.settings.wire_bytes, self.settings.answer_bytes);
        let wire = if coding == Coding::Plain { wire.min(limit) } else { wire };
        let read = whole(&mut flow, promised(&head.headers), wire).await;
        let read = read.map_err(|error| match error {
            NoBody::TooLarge(limit) => too_large(format!("the body is beyond {limit} bytes")),
            NoBody::Cut(error) => broken(chain(&error), Reach::Sent),
        })?;
        add(&self.meters.bytes_received, read.bytes.len() as u64);
        self.pool.give(flow.into_held());
        let body = coding.decode(read.bytes, limit).await.map_err(|error| match error {
            Undecoded::TooLarge => {
                too_large(format!("the decompressed body is beyond {limit} bytes"))
            }
            Undecoded::Broken(detail) => {
                broken(format!("the body's coding: {detail}"), Reach::Final)
            }
        })?;
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
            trailers: read.trailers,
            origin: Origin::Source,
        })
    }

    /// An answer whose status is a failure. Its body is read, so that the connection can be kept and
    /// the log can say more; that the body is broken changes nothing.
    async fn failure(&self, head: http::response::Parts, mut flow: Flow, is_typed: bool) -> Failed {
        let status = head.status;
        let kind = CallErrorKind::Status(status.as_u16());
        let mut error = CallError::new(kind, format!("status {status}"));
        let after = head.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let after = after.and_then(|text| retry_after(text, self.clock.now()));
        if let Ok(read) = whole(&mut flow, promised(&head.headers), FAILURE_BYTES).await {
            add(&self.meters.bytes_received, read.bytes.len() as u64);
            self.pool.give(flow.into_held());
            let coding = Coding::of(&head.headers).unwrap_or(Coding::Plain);
            let body = coding.decode(read.bytes, FAILURE_BYTES).await.unwrap_or_default();
            let logged = &body[..body.len().min(LOGGED_BYTES)];
            if !logged.is_empty() {
                error.detail += &format!(": {}", String::from_utf8_lossy(logged).escape_debug());
            }
            let (headers, trailers) = (head.headers, read.trailers);
            let origin = Origin::Source;
            let answer = Answer { status, headers, body, trailers, origin };
            error.answer = is_typed.then(|| Box::new(answer));
        }
        let reach = match status.as_u16() {
            502..=504 => Reach::Later(after),
            _ => Reach::Final,
        };
        let outcome = match status.as_u16() {
            500.. => Outcome::Failed,
            408 | 429 => Outcome::Unknown,
            _ => Outcome::Well,
        };
        Failed { error, reach, outcome }
    }
}

/// What a head is.
enum Verdict {
    /// An answer for the caller to read.
    Answer,
    /// A good status over something that the caller cannot read.
    WrongType,
    /// A failure.
    Failure,
}

impl Verdict {
    fn of(status: StatusCode, is_typed: bool) -> Self {
        match status.as_u16() {
            200..300 if is_typed => Verdict::Answer,
            100..300 => Verdict::WrongType,
            408 | 429 => Verdict::Failure,
            400..500 if is_typed => Verdict::Answer,
            _ => Verdict::Failure,
        }
    }
}

/// Whether a good answer says that nothing follows; nothing has no type.
fn has_no_body(head: &http::response::Parts) -> bool {
    head.status.is_success()
        && (head.status == StatusCode::NO_CONTENT || promised(&head.headers) == Some(0))
}

fn begun(head: http::response::Parts, flow: Flow) -> Result<Got, Failed> {
    match Coding::of(&head.headers) {
        Ok(Coding::Plain) if head.status.is_success() => Ok(Got::Begun(head, flow)),
        Ok(Coding::Plain) => {
            let kind = CallErrorKind::Status(head.status.as_u16());
            let error = CallError::new(kind, format!("status {}", head.status));
            Err(Failed { error, reach: Reach::Final, outcome: Outcome::Well })
        }
        Ok(_) => Err(broken("a stream is compressed, unasked".to_owned(), Reach::Final)),
        Err(detail) => Err(broken(detail, Reach::Final)),
    }
}

/// A call of which no answer came.
fn unanswered(failed: &NotSent, is_kept: bool) -> Failed {
    let (error, detail) = (&failed.error, chain(&failed.error));
    // hyper has a question for this, but gives it to servers only.
    if error.is_parse() && detail.contains("message head is too large") {
        return too_large(format!("the head of the answer: {detail}"));
    }
    let (kind, reach, outcome) = match failed.is_unseen {
        // Servers close connections that are idle; that says nothing about their health.
        true if is_kept => (CallErrorKind::Connect, Reach::Stale, Outcome::Unknown),
        true => (CallErrorKind::Connect, Reach::Unsent, Outcome::Failed),
        false if error.is_parse() => (CallErrorKind::Protocol, Reach::Final, Outcome::Failed),
        false => (CallErrorKind::Protocol, Reach::Sent, Outcome::Failed),
    };
    Failed { error: CallError::new(kind, detail), reach, outcome }
}

fn broken(detail: String, reach: Reach) -> Failed {
    let error = CallError::new(CallErrorKind::Protocol, detail);
    Failed { error, reach, outcome: Outcome::Failed }
}

/// A body beyond its limit says nothing about the source's health: a client may have asked for it, and
/// must not be able to open the breaker for all others.
fn too_large(detail: String) -> Failed {
    let error = CallError::new(CallErrorKind::TooLarge, detail);
    Failed { error, reach: Reach::Final, outcome: Outcome::Unknown }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    base::error_chain(error).join(": ")
}

/// What is asked for by `Accept-Encoding`.
pub(crate) fn accepted(settings: &SourceSettings, is_stream: bool) -> HeaderValue {
    let is_wanted = settings.compression && !is_stream;
    if is_wanted { decode::ACCEPTED.clone() } else { decode::IDENTITY.clone() }
}
