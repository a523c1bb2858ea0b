//! What a request of a stream comes to: one answer, or the events of a subscription.
//!
//! ```text
//! GraphqlRequest → gate (budget, document) → place → Engine → Running → events (`sse`) | messages (`socket`)
//! ```
//!
//! In: a request and who asks. Out: [`Running`], with the place that a subscription takes among those that
//! the node may have. Not here: the words of either protocol.

mod socket;
mod sse;

use std::sync::Arc;

use axum::http::{HeaderMap, Method, header};
use axum::response::Response;
use base::{Error, Result};
use mesh::Subscription;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(super) use socket::upgraded;
pub(super) use sse::{events, wants_events};

use super::super::{App, Shared};
use super::graphql::{Question, served, wanted_schema};
use crate::gate::{Answer, Caller};
use crate::telemetry::Seen;
use crate::telemetry::family::{Family, Kind};
use crate::wire::GraphqlRequest;

/// What a request comes to.
pub(super) enum Running {
    /// An answer, as to any request.
    Once(Answer),
    /// A stream of them.
    Many(Events),
}

/// The events of a subscription, and its place.
pub(super) struct Events {
    pub(super) subscription: Subscription,
    _place: OwnedSemaphorePermit,
}

/// Streams of a node.
pub(crate) struct Streams {
    places: Arc<Semaphore>,
    most: usize,
}

impl Streams {
    /// A node without streams, which may have this many.
    pub(crate) fn new(most: usize) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS);
        Streams { places: Arc::new(Semaphore::new(most)), most }
    }

    /// A place for one more.
    fn place(&self) -> Result<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            Error::new(base::Kind::Unavailable, "too many streams are open")
                .hint("try again in a moment, or raise `graphql.subscriptions`")
        })
    }

    /// How many there are.
    pub(crate) fn family(&self) -> Family {
        let open = self.most - self.places.available_permits();
        let name = "headwater_graphql_streams";
        let family = Family::new(name, Kind::Gauge, "Streams and WebSockets that are open.");
        family.with(open as u64)
    }
}

/// Starts what a request asks for.
pub(super) async fn begin(
    app: &App,
    headers: &HeaderMap,
    caller: &Caller,
    request: &GraphqlRequest,
    (method, seen): (&Method, Option<&Seen>),
) -> Result<Running> {
    let (project, gate) = (&app.project, &app.project.gate);
    project.refresh().await?;
    let bill = match gate.begin(caller, project.clock.now()) {
        Ok(bill) => bill,
        Err(refused) => return Ok(Running::Once(refused)),
    };
    let document = match gate.document(&project.database, request, caller).await? {
        Ok(document) => document,
        Err(refused) => return Ok(Running::Once(refused)),
    };
    if let Some(seen) = seen {
        seen.asked(&document.text);
    }
    let (wanted, live) = (wanted_schema(headers)?, project.live());
    let served = served(app, &live, wanted).await?;
    let (text, name) = (document.text.as_str(), request.operation_name.as_deref());
    let is_stream = served.engine.is_subscription(text, name);
    if *method == Method::GET && served.engine.is_mutation(text, name) {
        let error = Error::invalid("a mutation cannot be asked for with GET");
        return Err(error.hint("send it with POST"));
    }
    let question = Question { gate, request, caller, document, bill, takes_parts: false };
    if !is_stream {
        return Ok(Running::Once(question.settle(app, served, wanted.is_some()).await?));
    }
    let place = app.streams.place()?;
    let Question { document, bill, .. } = &question;
    let started = gate.subscribe(&served.engine, question.request(), document.keep(), bill).await;
    Ok(match started {
        Ok(subscription) => Running::Many(Events { subscription, _place: place }),
        Err(refused) => Running::Once(refused),
    })
}

/// Whether an answer goes on for as long as somebody listens.
pub(super) fn is_stream(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(sse::MEDIA_TYPE.as_bytes()))
}

/// Waits until the server is about to stop.
async fn closing(app: &Shared) {
    let mut closing = app.closing.subscribe();
    // Without a sender the server is gone, which is an end, too.
    drop(closing.wait_for(|is_closing| *is_closing).await);
}
