//! Answers in parts: what is not deferred first, and the rest as it comes.
//!
//! ```text
//! Plan + variables → schedule → pass (first part) → ledger: pending
//!                    fetch … → pass (led to places) → ledger: incremental, completed → … → hasNext: false
//! ```
//!
//! In: a plan whose document has `@defer` or `@stream`, and a client that takes parts. Out: a [`Whole`]
//! answer where nothing comes later, or [`Parts`], a stream of payloads as the proposal for incremental
//! delivery has them. All of it is one future that runs as far as parts are taken, and ends when they are
//! dropped. Not here: how parts travel (`server`).

pub(crate) mod ledger;
pub(crate) mod pass;
mod rest;
pub(crate) mod schedule;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use base::{Kind, Principal};
use futures::channel::mpsc::{Receiver, Sender, channel};
use futures::future::BoxFuture;
use futures::{SinkExt as _, Stream, StreamExt as _};
use http::HeaderMap;
use tokio::time::{Instant, timeout_at};

use crate::engine::{Engine, Response};
use crate::error::GraphqlError;
use crate::fetch::Session;
use crate::fetch::later::Later;
use crate::input::Variables;
use crate::plan::Plan;
use ledger::Ledger;
use rest::Rest;
use schedule::Schedule;

/// What a request is answered with.
#[derive(Debug)]
pub enum Answer {
    /// An answer in one piece.
    Whole(Response),
    /// The first part, whose body promises others, and these.
    Parts(Response, Parts),
}

/// The parts of an answer after the first, each the JSON of one payload. Dropping them ends the request.
pub struct Parts {
    producer: Option<BoxFuture<'static, ()>>,
    sent: Receiver<Sent>,
}

/// A payload after the first.
#[derive(Clone, Debug)]
pub struct Part {
    /// The JSON, as it goes over the wire.
    pub body: Vec<u8>,
    /// How many errors it tells.
    pub errors: usize,
    /// Whether no other one follows.
    pub is_last: bool,
}

enum Sent {
    First(Response, bool),
    Other(Part),
}

/// A request that is planned and allowed, with everything that it takes to answer it.
pub(crate) struct Job {
    pub(crate) engine: Arc<Engine>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) variables: Variables,
    pub(crate) principal: Principal,
    pub(crate) headers: Arc<HeaderMap>,
    pub(crate) schedule: Schedule,
    /// For the whole answer.
    pub(crate) time: Duration,
}

impl Job {
    /// Answers: the first part is waited for, the others come as they are asked for.
    pub(crate) async fn answer(self) -> Answer {
        // One payload may wait to be taken; the next is not begun before.
        let (out, sent) = channel(0);
        let mut parts = Parts { producer: Some(Box::pin(self.produce(out))), sent };
        match parts.next_sent().await {
            Some(Sent::First(response, true)) => Answer::Parts(response, parts),
            Some(Sent::First(response, false)) => Answer::Whole(response),
            Some(Sent::Other(_)) | None => {
                let message = "the request ended without an answer";
                Answer::Whole(Response::refusal(&[GraphqlError::new(Kind::Internal, message)]))
            }
        }
    }

    async fn produce(self, mut out: Sender<Sent>) {
        let Job { engine, plan, variables, principal, headers, schedule, time } = self;
        let until = Instant::now() + time;
        let mut session = Session::new(&engine, &plan, variables, principal, headers);
        session.later = Some(Later::new(&schedule));
        let Some(mut rest) = Rest::begin(&session, &schedule) else { return };
        if timeout_at(until, rest.first()).await.is_err() {
            return drop(out.send(Sent::First(Response::too_late(time), false)).await);
        }
        let mut ledger = Ledger::default();
        let (mut response, found) = rest.respond();
        let pending = ledger.begin(&schedule, found);
        if pending.is_empty() {
            return drop(out.send(Sent::First(response, false)).await);
        }
        promise(&mut response.body, &pending);
        if out.send(Sent::First(response, true)).await.is_err() {
            return;
        }
        // Who takes no part for as long as a request may take has gone.
        let gone = until + time;
        while let Some(part) = next(&mut ledger, &schedule, &mut rest, (until, time)).await {
            let is_last = part.is_last;
            let sent = timeout_at(gone, out.send(Sent::Other(part))).await;
            if is_last || !matches!(sent, Ok(Ok(()))) {
                return;
            }
        }
    }
}

/// Adds to a first part what is to come.
fn promise(body: &mut Vec<u8>, pending: &[u8]) {
    body.pop();
    body.extend_from_slice(b",\"pending\":");
    body.extend_from_slice(pending);
    body.extend_from_slice(b",\"hasNext\":true}");
}

/// The next payload, when there is something to send; nothing when all was sent.
async fn next(
    ledger: &mut Ledger,
    schedule: &Schedule,
    rest: &mut Rest<'_>,
    (until, time): (Instant, Duration),
) -> Option<Part> {
    while !ledger.is_over() {
        if Instant::now() >= until {
            return Some(part(ledger.give_up(&Response::late(time)), Vec::new()));
        }
        let (done, mut writing) = rest.split();
        let found =
            ledger.round(schedule, &|unit| done.is_done(unit), &mut |places| writing.write(places));
        if let Some(found) = found {
            let untold = if found.is_last { rest.untold() } else { Vec::new() };
            return Some(part(found, untold));
        }
        match timeout_at(until, rest.advance()).await {
            Ok(true) => {}
            Ok(false) => {
                let error = GraphqlError::new(Kind::Internal, "a part of the answer did not come");
                return Some(part(ledger.give_up(&error), Vec::new()));
            }
            Err(_) => return Some(part(ledger.give_up(&Response::late(time)), Vec::new())),
        }
    }
    None
}

fn part(part: ledger::Part, untold: Vec<GraphqlError>) -> Part {
    let ledger::Part { json, is_last, errors } = Ledger::with_errors(part, &untold);
    Part { body: json, errors, is_last }
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}

impl Parts {
    async fn next_sent(&mut self) -> Option<Sent> {
        futures::future::poll_fn(|context| self.poll_sent(context)).await
    }

    fn poll_sent(&mut self, context: &mut Context<'_>) -> Poll<Option<Sent>> {
        if let Poll::Ready(sent) = self.sent.poll_next_unpin(context) {
            return Poll::Ready(sent);
        }
        if let Some(producer) = &mut self.producer
            && producer.as_mut().poll(context).is_ready()
        {
            self.producer = None;
        }
        self.sent.poll_next_unpin(context)
    }
}

impl Stream for Parts {
    type Item = Part;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Part>> {
        match self.poll_sent(context) {
            Poll::Ready(Some(Sent::Other(part))) => Poll::Ready(Some(part)),
            Poll::Ready(Some(Sent::First(..)) | None) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}
