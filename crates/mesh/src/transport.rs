//! Calls of one source over HTTP: fast while it is well, and bounded, patient and honest when it is not.
//!
//! ```text
//! Call → headers → cache → breaker → queue → ( attempt: pool → connection → body → decode ) → Answer
//!                    ^                          └── retry, under a budget ──┘
//!                    └────────────── an older answer when all of it fails
//! ```
//!
//! In: the settings of a source, then calls. Out: answers whose status and type were looked at, or
//! errors that say what the client may know and, apart from it, what the log should. Host and port are
//! those of the settings whatever a call says, and redirects are not followed. Dropping a call's future
//! ends the call at the source. Time for waiting counts: a call is over when its timeout or its
//! request's deadline is, whichever comes first. Nothing is global; a source ends with its
//! [`Transport`]. Not here: GraphQL, REST and gRPC, which make calls of plans.

mod address;
mod attempt;
mod body;
mod breaker;
mod budget;
mod cache;
mod call;
mod connect;
mod connection;
mod content;
mod decode;
mod grpc;
mod guard;
mod headers;
mod health;
mod pool;
mod queue;
mod retry;
mod settings;
mod socket;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use base::rng::Rng;
use base::{Clock, Result, Timestamp};
use http::uri::PathAndQuery;
use http::{HeaderMap, header};
use parking_lot::Mutex;
use tokio::time::Instant;

pub use breaker::BreakerState;
pub use call::{Answer, Call, CallError, CallErrorKind, Content, Freshness, Origin, Refusal};
pub(crate) use decode::{Coding, Undecoded};
pub use grpc::GrpcStatus;
pub(crate) use grpc::status as grpc_status;
pub use guard::{Guard, GuardSettings, Guarded};
pub(crate) use headers::TRACE;
pub use headers::{HeaderRule, ViewerPart};
pub use health::{BUCKETS, Errors, Health, Latency};
pub use settings::{
    BreakerSettings, Identity, Protocol, RetrySettings, Roots, SourceSettings, TlsSettings,
};
pub(crate) use socket::{Said, Socket};
pub use stream::AnswerStream;

use address::Address;
use attempt::{Got, Outgoing, Sender, Stage};
use breaker::{Breaker, Outcome, Ticket};
use budget::Budget;
use cache::{Cache, CacheKey, Found};
use connect::Connector;
use headers::HeaderRules;
use health::{Meters, add};
use pool::Pool;
use queue::{NoPlace, Place, Queue};
use retry::{Failed, Next, Reach, Situation};

/// The client of one source.
pub struct Transport {
    name: String,
    settings: SourceSettings,
    address: Address,
    /// What streams are asked at, where that is not the address itself.
    stream_target: Option<PathAndQuery>,
    rules: HeaderRules,
    clock: Clock,
    rng: Rng,
    cache: Cache,
    breaker: Option<Mutex<Breaker>>,
    budget: Budget,
    queue: Queue,
    calls: Arc<Pool>,
    /// Streams have places and connections of their own: they last, and calls must not wait for them.
    stream_places: Queue,
    streams: Arc<Pool>,
    meters: Arc<Meters>,
}

/// Where a call is; what is left here when it is ended from outside.
struct Progress<'a> {
    stage: Stage,
    admitted: Option<Admitted<'a>>,
}

/// The breaker's leave for one try; a try that is dropped says nothing about the source.
struct Admitted<'a> {
    transport: &'a Transport,
    ticket: Option<Ticket>,
}

impl Transport {
    /// A client that has not connected yet. `rng` spreads the waits of retries.
    ///
    /// # Errors
    /// When the settings could never work: a URL that is no source's, certificates that cannot be
    /// read, limits of 0, header rules for headers that belong to the connection.
    pub fn new(name: &str, settings: SourceSettings, clock: Clock, rng: Rng) -> Result<Self> {
        let made = Transport::made(name, settings, clock, rng);
        made.map_err(|error| error.context(format!("the source `{name}` cannot be set up")))
    }

    fn made(name: &str, settings: SourceSettings, clock: Clock, rng: Rng) -> Result<Self> {
        settings.check()?;
        let address = Address::parse(&settings.url)?;
        let stream_target = settings.stream_path.as_deref().map(|path| address.elsewhere(path));
        let connector = Connector::new(&address, &settings)?;
        let of_streams = match settings.sockets {
            true => Connector::new(
                &address,
                &SourceSettings { protocol: Protocol::Http1, ..settings.clone() },
            )?,
            false => connector.clone(),
        };
        let meters = Arc::new(Meters::default());
        let pool = |connector| Arc::new(Pool::new(connector, &settings, Arc::clone(&meters)));
        Ok(Transport {
            name: name.to_owned(),
            rules: HeaderRules::new(&settings.headers)?,
            cache: Cache::new(settings.cache_bytes),
            breaker: settings.breaker.clone().map(|breaker| Mutex::new(Breaker::new(breaker))),
            budget: Budget::new(&settings.retry),
            queue: Queue::new(settings.concurrency, settings.queue),
            calls: pool(connector),
            stream_places: Queue::new(settings.streams, 0),
            streams: pool(of_streams),
            settings,
            stream_target: stream_target.transpose()?,
            address,
            clock,
            rng,
            meters,
        })
    }

    /// Calls the source.
    ///
    /// # Errors
    /// When there is no answer: see [`CallErrorKind`]. A status of 4xx with a body of the type that
    /// the call expects is an answer.
    pub async fn call(&self, call: &Call) -> Result<Answer, CallError> {
        let (began, running) = (Instant::now(), self.meters.begin());
        let result = match self.outgoing(call, false) {
            Ok(outgoing) => self.call_or_earlier(&outgoing, began).await,
            Err(error) => Err(error),
        };
        running.end(result.as_ref().err().map(|error| error.kind), began.elapsed());
        result
    }

    /// Calls the source for an answer that goes on. The timeout holds until it begins.
    ///
    /// # Errors
    /// As [`Transport::call`]; also when too many streams are open, and for every status but 2xx.
    pub async fn call_stream(&self, call: &Call) -> Result<AnswerStream, CallError> {
        let (began, running) = (Instant::now(), self.meters.begin());
        let result = match self.outgoing(call, true) {
            Ok(outgoing) => self.within(&outgoing, began, true).await,
            Err(error) => Err(error),
        };
        running.end(result.as_ref().err().map(|error| error.kind), began.elapsed());
        let (got, place) = result?;
        let Got::Begun(head, flow) = got else { return Err(misplaced()) };
        let meters = Arc::clone(&self.meters);
        // A stream of gRPC may be silent for good: HTTP/2 itself asks whether the peer is there.
        let idle = (call.content != Content::Grpc).then_some(self.settings.stream_idle);
        Ok(AnswerStream::new(head, flow, place, idle, meters))
    }

    /// Opens a WebSocket that speaks this protocol. Out: also the headers that the rules of the source
    /// gave, for protocols that carry them in a message. The timeout holds until it is open.
    ///
    /// # Errors
    /// As [`Transport::call_stream`].
    pub(crate) async fn open_socket(
        &self,
        call: &Call,
        protocol: &'static str,
    ) -> Result<(Socket, HeaderMap), CallError> {
        let refused = |detail| CallError::new(CallErrorKind::Refused(Refusal::Request), detail);
        let told = self.rules.apply(&call.client_headers, &call.principal, &HeaderMap::new());
        let told = told.map_err(refused)?;
        let call = socket::opening(call, protocol, &self.rng);
        let (began, running) = (Instant::now(), self.meters.begin());
        let result = self.socket(&call, began).await;
        running.end(result.as_ref().err().map(|error| error.kind), began.elapsed());
        result.map(|socket| (socket, told))
    }

    async fn socket(&self, call: &Call, began: Instant) -> Result<Socket, CallError> {
        let outgoing = self.outgoing(call, true)?;
        let (got, place) = self.within(&outgoing, began, true).await?;
        let Got::Begun(head, flow) = got else { return Err(misplaced()) };
        let upgraded = flow.upgraded(head).await;
        let upgraded =
            upgraded.map_err(|detail| CallError::new(CallErrorKind::Protocol, detail))?;
        Ok(Socket::new(upgraded, place, &self.settings, &self.meters).await)
    }

    /// Whether streams are WebSockets.
    pub(crate) fn has_sockets(&self) -> bool {
        self.settings.sockets
    }

    /// How long a call may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.settings.timeout
    }

    /// Bytes that one answer may have.
    pub(crate) fn answer_bytes(&self) -> usize {
        self.settings.answer_bytes
    }

    /// The target of the page that the answer to a call of `current` names as the next one.
    ///
    /// # Errors
    /// When it is not below the source's address; in words.
    pub fn target_of(&self, link: &str, current: &str) -> Result<String, String> {
        self.address.target_of(link, current)
    }

    /// How the source does now.
    pub fn health(&self) -> Health {
        let breaker = self.breaker.as_ref().map(|breaker| breaker.lock().state(self.clock.now()));
        let (cache_entries, cache_bytes) = self.cache.size();
        Health {
            budget_left: self.budget.left(),
            breaker: breaker.map(|(state, _)| state),
            breaker_opened: breaker.map_or(0, |(_, opened)| opened),
            queued: self.queue.waiting(),
            cache_entries,
            cache_bytes,
            ..self.meters.read(&self.name)
        }
    }

    /// Sends no more calls: those that wait and those that come are told so; those that run end by
    /// themselves.
    pub fn close(&self) {
        self.queue.close();
        self.stream_places.close();
        self.calls.close();
        self.streams.close();
    }

    /// The call as it will be sent.
    fn outgoing<'a>(&self, call: &'a Call, is_stream: bool) -> Result<Outgoing<'a>, CallError> {
        let refused = |detail| CallError::new(CallErrorKind::Refused(Refusal::Request), detail);
        let limit = self.settings.request_bytes;
        if call.body.len() > limit {
            return Err(refused(format!("the body has {} of {limit} bytes", call.body.len())));
        }
        let target = match &self.stream_target {
            Some(target) if is_stream => target.clone(),
            _ => self.address.target(&call.target).map_err(refused)?,
        };
        let headers = self.rules.apply(&call.client_headers, &call.principal, &call.headers);
        let mut headers = headers.map_err(refused)?;
        headers.entry(header::ACCEPT).or_insert_with(|| call.content.accept());
        headers.insert(header::ACCEPT_ENCODING, attempt::accepted(&self.settings, is_stream));
        Ok(Outgoing { call, target, headers })
    }

    /// An earlier answer where one is good, else a call.
    async fn call_or_earlier(
        &self,
        outgoing: &Outgoing<'_>,
        began: Instant,
    ) -> Result<Answer, CallError> {
        let call = outgoing.call;
        let Some(freshness) = &call.freshness else { return self.whole(outgoing, began).await };
        let asked = call.question.as_ref().unwrap_or(&call.body);
        let key = CacheKey::of(&call.method, &outgoing.target, &outgoing.headers, asked);
        let stale = match self.cache.find(&key, self.clock.now()) {
            Found::Fresh(answer) => {
                add(&self.meters.cache_hits, 1);
                return Ok(Answer { origin: Origin::Cache, ..answer });
            }
            Found::Stale(answer) => Some(answer),
            Found::Nothing => None,
        };
        add(&self.meters.cache_misses, 1);
        match (self.whole(outgoing, began).await, stale) {
            (Ok(answer), _) => {
                if answer.status.is_success() && (freshness.keep)(&answer) {
                    self.cache.keep(key, &answer, freshness, self.clock.now());
                }
                Ok(answer)
            }
            (Err(error), Some(answer)) if error.kind.allows_stale() => {
                add(&self.meters.cache_stale, 1);
                Ok(Answer { origin: Origin::Stale(error.kind), ..answer })
            }
            (Err(error), _) => Err(error),
        }
    }

    async fn whole(&self, outgoing: &Outgoing<'_>, began: Instant) -> Result<Answer, CallError> {
        match self.within(outgoing, began, false).await?.0 {
            Got::Whole(answer) => Ok(answer),
            Got::Begun(..) => Err(misplaced()),
        }
    }

    /// Tries within the time that there is.
    async fn within(
        &self,
        outgoing: &Outgoing<'_>,
        began: Instant,
        is_stream: bool,
    ) -> Result<(Got, Place), CallError> {
        let own = began + self.settings.timeout;
        let until = outgoing.call.deadline.map_or(own, |deadline| deadline.min(own));
        let mut progress = Progress { stage: Stage::Queue, admitted: None };
        if until <= began {
            return Err(late(&mut progress, outgoing, until < own));
        }
        let sender = Sender {
            settings: &self.settings,
            address: &self.address,
            clock: &self.clock,
            meters: &self.meters,
            pool: if is_stream { &self.streams } else { &self.calls },
            until,
            is_stream,
        };
        let persisting = self.persist(&sender, outgoing, &mut progress);
        let ended = tokio::time::timeout_at(until, persisting).await;
        ended.unwrap_or_else(|_| Err(late(&mut progress, outgoing, until < own)))
    }

    /// Waits for a place, then tries until it goes well or must not be tried again.
    async fn persist<'a>(
        &'a self,
        sender: &Sender<'_>,
        outgoing: &Outgoing<'_>,
        progress: &mut Progress<'a>,
    ) -> Result<(Got, Place), CallError> {
        self.check_breaker()?;
        let place = self.place(sender.is_stream).await?;
        if Instant::now() >= sender.until {
            // The place came with the end of the time, which is about to end this.
            std::future::pending::<()>().await;
        }
        self.budget.pay_in();
        let (mut retries, mut was_stale) = (0, false);
        loop {
            progress.admitted = Some(self.admit()?);
            let attempt = sender.attempt(outgoing, was_stale, &mut progress.stage).await;
            let outcome = attempt.as_ref().map_or_else(|failed| failed.outcome, |_| Outcome::Well);
            if let Some(admitted) = progress.admitted.take() {
                admitted.settle(outcome);
            }
            let failed = match attempt {
                Ok(got) => return Ok((got, place)),
                Err(failed) => failed,
            };
            let situation = Situation {
                reach: failed.reach,
                idempotent: outgoing.call.idempotent,
                retries,
                was_stale,
                left: sender.until.saturating_duration_since(Instant::now()),
            };
            match retry::next(&situation, &self.settings.retry, self.rng.below(1_000)) {
                Next::GiveUp => return Err(final_error(failed, outgoing.call.idempotent)),
                Next::Afresh => was_stale = true,
                Next::After(wait) => {
                    // An open breaker would refuse the retry, and the failure says more.
                    if self.check_breaker().is_err() {
                        return Err(final_error(failed, outgoing.call.idempotent));
                    }
                    if !self.budget.take() {
                        add(&self.meters.retries_refused, 1);
                        return Err(final_error(failed, outgoing.call.idempotent));
                    }
                    add(&self.meters.retries, 1);
                    retries += 1;
                    progress.stage = Stage::Wait;
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    async fn place(&self, is_stream: bool) -> Result<Place, CallError> {
        let (queue, refusal) = match is_stream {
            true => (&self.stream_places, Refusal::Streams),
            false => (&self.queue, Refusal::Queue),
        };
        queue.place().await.map_err(|none| match none {
            NoPlace::Full => {
                CallError::new(CallErrorKind::Refused(refusal), "all places are taken")
            }
            NoPlace::Closed => {
                CallError::new(CallErrorKind::Cancelled, "the source was taken away")
            }
        })
    }

    /// Refuses at once what the breaker would refuse after a wait.
    fn check_breaker(&self) -> Result<(), CallError> {
        let Some(breaker) = &self.breaker else { return Ok(()) };
        if breaker.lock().would_admit(self.clock.now()) { Ok(()) } else { Err(broken_off()) }
    }

    fn admit(&self) -> Result<Admitted<'_>, CallError> {
        let Some(breaker) = &self.breaker else {
            return Ok(Admitted { transport: self, ticket: None });
        };
        let ticket = breaker.lock().admit(self.clock.now()).ok_or_else(broken_off)?;
        Ok(Admitted { transport: self, ticket: Some(ticket) })
    }
}

impl Admitted<'_> {
    fn settle(mut self, outcome: Outcome) {
        self.note(outcome);
    }

    fn note(&mut self, outcome: Outcome) {
        let Some(ticket) = self.ticket.take() else { return };
        let at = &self.transport;
        if let Some(breaker) = &at.breaker {
            settle(breaker, ticket, outcome, (at.clock.now(), &at.name));
        }
    }
}

/// Tells a breaker what came of a call, and the log when it turns.
fn settle(
    breaker: &Mutex<Breaker>,
    ticket: Ticket,
    outcome: Outcome,
    (now, source): (Timestamp, &str),
) {
    let mut breaker = breaker.lock();
    let before = breaker.state(now);
    breaker.settle(ticket, outcome, now);
    let after = breaker.state(now);
    drop(breaker);
    if before != after {
        tracing::warn!(source, before = ?before.0, after = ?after.0, "the breaker turned");
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        self.note(Outcome::Unknown);
    }
}

/// The time is over. It is the source's fault only if it had all the time that it should have, and was
/// asked: a request with a short deadline must not open the breaker for all others.
fn late(progress: &mut Progress<'_>, outgoing: &Outgoing<'_>, by_request: bool) -> CallError {
    let is_asked = matches!(progress.stage, Stage::Connect | Stage::Head | Stage::Body);
    let is_failure = is_asked && !by_request;
    if let Some(admitted) = progress.admitted.take() {
        admitted.settle(if is_failure { Outcome::Failed } else { Outcome::Unknown });
    }
    let whose = if by_request { "the request's deadline" } else { "the source's timeout" };
    let doing = match progress.stage {
        Stage::Queue => "waiting for a place",
        Stage::Wait => "waiting for the next try",
        Stage::Connect => "connecting",
        Stage::Head => "waiting for the answer",
        Stage::Body => "reading the answer",
    };
    let mut error =
        CallError::new(CallErrorKind::Timeout, format!("{whose} was over while {doing}"));
    error.retryable = outgoing.call.idempotent || !progress.stage.is_sent();
    error
}

/// The error of a call whose last try failed.
fn final_error(failed: Failed, idempotent: bool) -> CallError {
    let mut error = failed.error;
    error.retryable = match failed.reach {
        Reach::Stale | Reach::Unsent => true,
        Reach::Sent | Reach::Later(_) => idempotent,
        Reach::Final => error.retryable && idempotent,
    };
    error
}

fn broken_off() -> CallError {
    CallError::new(CallErrorKind::Refused(Refusal::Breaker), "the breaker is open")
}

/// A whole answer where a stream was asked for, or the reverse: never made.
fn misplaced() -> CallError {
    CallError::new(CallErrorKind::Protocol, "an answer took the way of another kind of call")
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transport").field("name", &self.name).finish_non_exhaustive()
    }
}
