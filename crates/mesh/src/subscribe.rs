//! Subscriptions: one response for each event of a stream.
//!
//! ```text
//! Request → prepare → Plan → start (rows | source) → event → the ordinary plan over it → respond → Response
//! ```
//!
//! In: a request whose operation is a subscription. Out: responses, one an event, until the stream ends by
//! itself, by an error, or because nobody reads it: dropping a [`Subscription`] ends everything that it
//! holds, at a service too. What is wrong before the stream begins is the answer to the request. Not
//! here: how responses travel, how many streams somebody may have (`server`).

mod rows;
mod source;
mod step;
pub(crate) mod watch;

use std::sync::Arc;

use apollo_compiler::ast::OperationType;
use futures::StreamExt;
use futures::stream::BoxStream;
use http::HeaderMap;

use base::{Kind, Principal};

use crate::engine::{Data, Engine, Request, Response};
use crate::error::GraphqlError;
use crate::fetch::Session;
use crate::input::Variables;
use crate::parse;
use crate::plan::Plan;
use crate::terms::Terms;

/// A running subscription.
pub struct Subscription {
    events: BoxStream<'static, Response>,
}

impl Subscription {
    fn new(events: BoxStream<'static, Response>) -> Self {
        Subscription { events }
    }

    /// The response to the next event; `None` when the stream is over. A response that is `refused` is
    /// the last one: it says why the stream ended.
    pub async fn next(&mut self) -> Option<Response> {
        self.events.next().await
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}

/// A request whose events are awaited, with everything that an answer to one needs.
struct Asker {
    engine: Arc<Engine>,
    plan: Arc<Plan>,
    variables: Variables,
    principal: Principal,
    headers: Arc<HeaderMap>,
}

impl Asker {
    /// One event while it is answered.
    fn session(&self) -> Session<'_> {
        let request = Request {
            headers: Arc::clone(&self.headers),
            ..Request::new(String::new(), self.principal.clone())
        };
        Session::new(&self.engine, &self.plan, self.variables.clone(), request)
    }
}

impl Engine {
    /// Whether the operation that a request would run is a subscription, which [`Engine::subscribe`]
    /// answers. The text alone decides: whether it fits is said to each caller by what that one sees.
    pub fn is_subscription(&self, query: &str, operation_name: Option<&str>) -> bool {
        let wanted = OperationType::Subscription;
        parse::is_of(wanted, query, operation_name, &self.settings.limits)
    }

    /// Starts a subscription on the terms that hold for whoever asks.
    ///
    /// # Errors
    /// The answer to a request that cannot start: the document, its variables, its arguments, or the
    /// source of its events.
    pub async fn subscribe(
        self: &Arc<Self>,
        request: Request,
        terms: &Terms<'_>,
    ) -> Result<Subscription, Box<Response>> {
        let limits = &self.settings.limits;
        let seen = self.seen_by(&request.principal);
        let seen = seen.map_err(|error| Box::new(Response::unseen(&error)))?;
        let engine = seen.as_ref().unwrap_or(self);
        let started = tokio::time::timeout(limits.time, engine.start(request, terms)).await;
        match started {
            Ok(Ok(subscription)) => Ok(subscription),
            Ok(Err(errors)) => Err(Box::new(Response::refusal(&errors))),
            Err(_) => Err(Box::new(Response::too_late(limits.time))),
        }
    }

    async fn start(
        self: &Arc<Self>,
        request: Request,
        terms: &Terms<'_>,
    ) -> Result<Subscription, Vec<GraphqlError>> {
        let plan = self.prepare_noted(&request).map_err(|errors| terms.told(errors))?;
        if !plan.is_subscription {
            let error = GraphqlError::new(Kind::InvalidInput, "the operation is no subscription");
            return Err(vec![error.with("hint", "ask for it with an ordinary request")]);
        }
        let limits = &self.settings.limits;
        let (engine, plan) = self.direct_shared(plan, &request)?;
        let variables = engine.admit(&plan, &request, limits, terms)?;
        let Request { principal, headers, .. } = request;
        let asker = Asker { engine, plan, variables, principal, headers };
        let started = match &asker.engine.data {
            Data::Tables(_) => rows::start(asker).await,
            Data::Services(_) => source::start(asker).await,
            Data::Plain(_) => Err(untold()),
        };
        started.map_err(|error| vec![error])
    }
}

fn untold() -> GraphqlError {
    GraphqlError::new(Kind::Unsupported, "nothing behind this API tells of events")
}

/// What is said to whoever asks for a subscription as if it had one answer.
pub(crate) fn wants_a_stream() -> GraphqlError {
    GraphqlError::new(Kind::InvalidInput, "a subscription is answered by a stream of events").with(
        "hint",
        "ask with `Accept: text/event-stream`, or over a WebSocket by `graphql-transport-ws`",
    )
}
