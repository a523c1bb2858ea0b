//! Route to answers: calls of services, each made as soon as what it needs has answered.
//!
//! ```text
//! Route → start (body) → call → Tape → take (faults, results) → expand (objects) → … → Answers
//! ```
//!
//! In: a route with the values of variables. Out: the tapes of all answers and, for objects that other
//! sources add to, where each one's additions stand. No object is built: an object is a position in a
//! tape. Calls run at once; what they bring is read by one task, one after the other. Not here: the
//! wire (whoever implements [`Service`]), the answer's text (`respond`).

mod batch;
mod expand;
mod faults;
mod in_process;
mod remote;
mod represent;
mod socket;
mod spot;
mod sse;

use std::sync::Arc;

use base::{Error, Kind, Principal, Scope};
use bytes::Bytes;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, FuturesUnordered};
use http::HeaderMap;
use schema::graph::SourceKind;

pub(crate) use faults::Faults;
pub use in_process::InProcess;
pub use remote::Remote;
pub(crate) use represent::Withheld;
pub(crate) use spot::Spot;

use super::Session;
use crate::error::{GraphqlError, is_for_operators};
use crate::plan::route::{Group, PassedValue, Route};
use crate::plan::{Backend, Conditions};
use crate::record::{Begun, Recorder, SourceCall, Work};
use crate::tape::{Bounds, Form, Tape};
use batch::Batch;
use faults::Answerer;

/// Answers the calls of one source.
pub trait Service: Send + Sync {
    /// Sends a GraphQL request as GraphQL over HTTP has it. Out: the body of the answer, whatever
    /// errors it tells of.
    ///
    /// # Errors
    /// When there is no answer.
    fn call<'a>(&'a self, call: ServiceCall<'a>) -> BoxFuture<'a, Result<Bytes, CallError>>;

    /// Opens the stream of a subscription. Out: the body of an answer for each event, until the source
    /// has no more. Dropping the stream ends it at the source.
    ///
    /// # Errors
    /// When the stream does not begin; always where the source has none.
    fn subscribe<'a>(&'a self, call: ServiceCall<'a>) -> BoxFuture<'a, Result<Told, CallError>> {
        let _ = call;
        let error = CallError::new(Kind::Unsupported, "it tells of no events");
        Box::pin(async move { Err(error) })
    }

    /// What a call with this text comes to, a line each, where that is more than the call itself.
    fn explain(&self, query: &str) -> Vec<String> {
        let _nothing_more = query;
        Vec::new()
    }
}

/// The events of a source.
pub type Told = BoxStream<'static, Result<Bytes, CallError>>;

/// One call of a service.
#[derive(Clone, Debug)]
pub struct ServiceCall<'a> {
    /// `query` and `variables`.
    pub body: Bytes,
    /// Who asks.
    pub principal: &'a Principal,
    /// The headers of the client's request; a source's rules choose among them.
    pub headers: &'a Arc<HeaderMap>,
    /// Whether the call must not be made twice.
    pub is_mutation: bool,
    /// Where what the call does in this process is noted.
    pub recorder: Recorder,
}

/// Why a call has no answer.
#[derive(Clone, Debug)]
pub struct CallError {
    /// What kind of failure.
    pub kind: Kind,
    /// What callers may know.
    pub message: String,
    /// What only the log says: addresses, causes.
    pub cause: Option<String>,
    /// Of a stream of a table: the snapshot after which one may go on.
    pub snapshot: Option<String>,
}

impl CallError {
    /// A failure whose message callers may know.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        CallError { kind, message: message.into(), cause: None, snapshot: None }
    }

    /// Adds what the log says.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }
}

/// What all calls brought.
#[derive(Default)]
pub(crate) struct Answers {
    /// For each group its answer, unless it failed or was not called.
    pub(crate) tapes: Vec<Option<Tape>>,
    /// For each group what it says of each object of its node.
    pub(crate) results: Vec<Vec<Spot>>,
    /// For each node its objects: a position for each base.
    objects: Vec<Vec<Spot>>,
    /// For each node how many objects it has.
    counts: Vec<usize>,
    pub(crate) faults: Faults,
}

impl Answers {
    /// Where a slot of an object stands.
    pub(crate) fn slot(&self, route: &Route, node: usize, ordinal: usize, slot: usize) -> Spot {
        let shape = &route.nodes[node];
        let found = match slot.checked_sub(shape.bases) {
            None => self.objects[node].get(ordinal * shape.bases + slot),
            Some(_) => self.results[shape.slots[slot]].get(ordinal),
        };
        found.copied().unwrap_or(Spot::NONE)
    }

    /// What a slot's field is; what the slot itself is when it is no object.
    pub(crate) fn field(&self, group: usize, spot: Spot, key: &str) -> Spot {
        let (Some(at), Some(tape)) = (spot.at(), &self.tapes[group]) else { return spot };
        match tape.form(at) {
            Form::Object => tape.get(at, key).map_or(Spot::NONE, Spot::of),
            Form::Null => spot,
            _ => Spot::NONE,
        }
    }

    pub(crate) fn form(&self, group: usize, spot: Spot) -> Option<Form> {
        Some(self.tapes[group].as_ref()?.form(spot.at()?))
    }
}

/// How far a group is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waiting,
    Called,
    Done,
}

/// A request while its calls run.
struct Run<'a> {
    session: &'a Session<'a>,
    route: &'a Route,
    services: &'a [Arc<dyn Service>],
    answers: Answers,
    stages: Vec<Stage>,
    /// How many expansions are made, of those in the route.
    is_expanded: Vec<bool>,
    /// Of calls by key: which item of the answer belongs to which object.
    items: Vec<Vec<Spot>>,
    scratch: Vec<Spot>,
}

/// A call that has ended.
type Called = (usize, Result<Bytes, CallError>);

/// Makes all calls of a route.
pub(crate) async fn run(
    session: &Session<'_>,
    route: &Route,
    services: &[Arc<dyn Service>],
) -> Answers {
    Calls::new(session, route, services).finish().await
}

/// The call that opens the stream of a subscription: the source, and the body.
pub(crate) fn opening(
    session: &Session<'_>,
    route: &Route,
    services: &[Arc<dyn Service>],
) -> Option<(usize, Bytes)> {
    let group = opener(route)?;
    let body = Run::new(session, route, services).start(group)?;
    Some((route.groups[group].source, body))
}

/// Makes the calls that follow an event, whose answer came by itself.
pub(crate) async fn follow(
    session: &Session<'_>,
    route: &Route,
    services: &[Arc<dyn Service>],
    event: Bytes,
) -> Answers {
    let mut calls = Calls::new(session, route, services);
    if let Some(group) = opener(route) {
        calls.run.take(group, Ok(event));
        calls.run.expand();
    }
    calls.finish().await
}

/// Why a stream did not begin, or broke off.
pub(crate) fn not_opened(
    session: &Session<'_>,
    route: &Route,
    services: &[Arc<dyn Service>],
    error: &CallError,
) -> GraphqlError {
    Run::new(session, route, services).told(opener(route).unwrap_or(0), error)
}

/// The call of the root field.
fn opener(route: &Route) -> Option<usize> {
    route.groups.iter().position(|group| group.node == 0 && group.entity.is_none())
}

/// The calls of a request, each made as soon as it can be.
pub(crate) struct Calls<'a> {
    run: Run<'a>,
    open: FuturesUnordered<BoxFuture<'a, Called>>,
}

impl<'a> Calls<'a> {
    /// Those of a route, none of them made.
    pub(crate) fn new(
        session: &'a Session<'a>,
        route: &'a Route,
        services: &'a [Arc<dyn Service>],
    ) -> Self {
        let mut run = Run::new(session, route, services);
        if session.plan.is_mutation
            && let Err(error) = session.principal.require(Scope::Write)
        {
            run.refuse(&error);
        }
        Calls { run, open: FuturesUnordered::new() }
    }

    /// Makes all calls that are not made yet.
    async fn finish(mut self) -> Answers {
        while self.advance().await {}
        self.run.answers
    }

    /// Makes the calls that can be made, and takes what one brings; false when all are done.
    pub(crate) async fn advance(&mut self) -> bool {
        // What needs no call is done at once, and somebody may wait for it alone.
        let mut is_nearer = false;
        while let Some(group) = self.run.ready() {
            match self.run.start(group) {
                Some(body) => self.open.push(self.run.call(group, body)),
                None => is_nearer = true,
            }
            self.run.expand();
        }
        if is_nearer {
            return true;
        }
        let Some((group, called)) = self.open.next().await else { return false };
        self.run.take(group, called);
        self.run.expand();
        true
    }

    /// Whether a call is done, or will not be made.
    pub(crate) fn is_done(&self, group: usize) -> bool {
        self.run.stages.get(group) == Some(&Stage::Done)
    }

    /// What the calls brought so far; put it back before the next call is made.
    pub(crate) fn answers(&mut self) -> &mut Answers {
        &mut self.run.answers
    }
}

impl<'a> Run<'a> {
    fn new(session: &'a Session<'a>, route: &'a Route, services: &'a [Arc<dyn Service>]) -> Self {
        let (groups, nodes) = (route.groups.len(), route.nodes.len());
        let mut counts = vec![0; nodes];
        if let Some(root) = counts.first_mut() {
            *root = 1;
        }
        let answers = Answers {
            tapes: (0..groups).map(|_| None).collect(),
            results: vec![Vec::new(); groups],
            objects: vec![Vec::new(); nodes],
            counts,
            faults: Faults::new(groups),
        };
        Run {
            session,
            route,
            services,
            answers,
            stages: vec![Stage::Waiting; groups],
            is_expanded: vec![false; route.expansions.len()],
            items: vec![Vec::new(); groups],
            scratch: Vec::new(),
        }
    }

    /// A group that can be called now.
    fn ready(&self) -> Option<usize> {
        let is_done = |group: &usize| self.stages[*group] == Stage::Done;
        (0..self.stages.len()).find(|index| {
            self.stages[*index] == Stage::Waiting
                && self.route.groups[*index].after.iter().all(is_done)
        })
    }

    /// Ends all groups with an error, before any of them is called.
    fn refuse(&mut self, error: &Error) {
        let fault = self.answers.faults.add(GraphqlError::from(error));
        for group in 0..self.stages.len() {
            self.end(group, Spot::failed(fault));
        }
    }

    /// Makes the body of a call; nothing when there is nothing to ask.
    fn start(&mut self, group: usize) -> Option<Bytes> {
        let planned = &self.route.groups[group];
        let variables = &self.session.variables;
        let holds = |when: &Conditions| when.hold(variables);
        let is_asked = planned.when.as_ref().is_none_or(|when| when.iter().any(holds));
        let count = self.answers.counts[planned.node];
        if !is_asked || count == 0 {
            self.end(group, Spot::NONE);
            return None;
        }
        let mut batch = Batch::new(&planned.prefix);
        if let Some(entity) = &planned.entity {
            batch.open(&entity.quoted);
            let mut items = Vec::with_capacity(count);
            for ordinal in 0..count {
                items
                    .push(self.answers.represent(self.route, planned, entity, ordinal, &mut batch));
            }
            self.items[group] = items;
            if let Err(error) = self.session.charge(count) {
                let fault = self.answers.faults.add(GraphqlError::from(&error));
                self.end(group, Spot::failed(fault));
                return None;
            }
            if batch.is_empty() {
                // Each object says by itself why it cannot be asked for.
                self.answers.results[group] = std::mem::take(&mut self.items[group]);
                self.stages[group] = Stage::Done;
                return None;
            }
            batch.close();
        }
        self.stages[group] = Stage::Called;
        Some(self.finish_body(planned, batch))
    }

    /// Adds the values of variables.
    fn finish_body(&self, planned: &Group, batch: Batch) -> Bytes {
        let variables = &self.session.variables;
        let mut is_first = planned.entity.is_none();
        let mut body = batch.into_body();
        for passed in &planned.variables {
            let start = body.len();
            if !is_first {
                body.push(b',');
            }
            body.extend_from_slice(&passed.quoted);
            match &passed.value {
                PassedValue::Conditions(when) => {
                    let holds = when.iter().any(|when| when.hold(variables));
                    body.extend_from_slice(if holds { b"true" } else { b"false" });
                }
                PassedValue::Variable(name) => match variables.get(name.as_str()) {
                    // Writing a value to a list of bytes cannot fail.
                    Some(value) => drop(serde_json::to_writer(&mut body, value)),
                    None => {
                        body.truncate(start);
                        continue;
                    }
                },
            }
            is_first = false;
        }
        body.extend_from_slice(b"}}");
        body.into()
    }

    fn call(&self, group: usize, body: Bytes) -> BoxFuture<'a, Called> {
        let planned = &self.route.groups[group];
        let Session { principal, headers, recorder, .. } = self.session;
        let step = recorder.begin(|| Work::Call(self.noted(group, body.len())));
        let headers = recorder.headers(headers, step.as_ref());
        let recorder = step.as_ref().map(Begun::below).unwrap_or_default();
        let (service, is_mutation) = (&self.services[planned.source], planned.is_mutation);
        Box::pin(async move {
            let call = ServiceCall { body, principal, headers: &headers, is_mutation, recorder };
            let called = service.call(call).await;
            if let Some(mut step) = step {
                if let (Some(Work::Call(call)), Ok(answer)) = (step.work(), &called) {
                    call.received = answer.len();
                }
                step.end(called.as_ref().err().map(|error| error.kind));
            }
            (group, called)
        })
    }

    /// What is noted of a call.
    fn noted(&self, group: usize, sent: usize) -> SourceCall {
        let Answerer { name, owner, is_tables } = self.answerer(group);
        // Several objects may share an item of the batch.
        let items = self.items[group].iter().filter_map(|item| item.at());
        let batch = items.map(|at| at.0 as usize + 1).max().unwrap_or(0);
        SourceCall { source: name, owner, is_tables, batch, sent, received: 0 }
    }

    /// Ends a group with the same result for all objects.
    fn end(&mut self, group: usize, spot: Spot) {
        let count = self.answers.counts[self.route.groups[group].node];
        // An object that could not be asked for says why by itself.
        let items = std::mem::take(&mut self.items[group]);
        let spots = (0..count).map(|ordinal| match items.get(ordinal) {
            Some(item) if item.at().is_none() => *item,
            _ => spot,
        });
        self.answers.results[group] = spots.collect();
        self.stages[group] = Stage::Done;
    }

    /// Takes what a call brought.
    fn take(&mut self, group: usize, called: Result<Bytes, CallError>) {
        let limits = &self.session.engine.settings.limits;
        let bounds = Bounds { bytes: limits.answer_bytes, depth: limits.answer_depth };
        let tape = called.and_then(|bytes| {
            Tape::parse(bytes, &bounds).map_err(|error| {
                CallError::new(Kind::Unavailable, "the answer is not JSON that can be read")
                    .caused_by(error.to_string())
            })
        });
        match tape {
            Ok(tape) => self.take_tape(group, tape),
            Err(error) => {
                let fault = self.blame(group, &error);
                self.end(group, Spot::failed(fault));
            }
        }
    }

    fn take_tape(&mut self, group: usize, tape: Tape) {
        let first = self.answers.faults.take(group, &tape, &self.answerer(group));
        let data = tape.get(tape.root(), "data");
        let Some(data) = data else {
            let fault = first.unwrap_or_else(|| {
                let error = CallError::new(Kind::Unavailable, "the answer has no data");
                self.blame(group, &error)
            });
            self.answers.tapes[group] = Some(tape);
            self.end(group, Spot::failed(fault));
            return;
        };
        if self.route.groups[group].entity.is_none() {
            self.answers.tapes[group] = Some(tape);
            self.end(group, Spot::of(data));
            return;
        }
        let entities = tape.get(data, "_entities");
        let found: Option<Vec<Spot>> = entities
            .filter(|entities| tape.form(*entities) == Form::List)
            .map(|entities| tape.items(entities).map(Spot::of).collect());
        let fault = match (&found, first) {
            (Some(_), _) => None,
            (None, Some(first)) => Some(first),
            (None, None) => {
                let error = CallError::new(Kind::Unavailable, "the answer has no entities");
                Some(self.blame(group, &error))
            }
        };
        self.answers.tapes[group] = Some(tape);
        match (found, fault) {
            (Some(found), _) => self.place(group, &found),
            (None, fault) => self.end(group, fault.map_or(Spot::NONE, Spot::failed)),
        }
    }

    /// Gives each object the item of the answer that it was asked for by.
    fn place(&mut self, group: usize, found: &[Spot]) {
        let items = std::mem::take(&mut self.items[group]);
        let spots = items.into_iter().map(|item| match item.at() {
            Some(at) => found.get(at.0 as usize).copied().unwrap_or(Spot::NONE),
            None => item,
        });
        self.answers.results[group] = spots.collect();
        self.stages[group] = Stage::Done;
    }

    /// Who answers a group.
    fn answerer(&self, group: usize) -> Answerer {
        let source = self.route.groups[group].source;
        let graph = match &self.session.engine.backend {
            Backend::Graph(atlas) => atlas.graph.sources.get(source),
            _ => None,
        };
        match graph {
            Some(source) => Answerer {
                name: source.name.clone(),
                owner: source.owner.as_str().into(),
                is_tables: source.kind == SourceKind::Lake,
            },
            None => Answerer { name: "".into(), owner: "".into(), is_tables: false },
        }
    }

    /// The error of a call that has no answer.
    fn blame(&mut self, group: usize, error: &CallError) -> usize {
        let error = self.told(group, error);
        self.answers.faults.add(error)
    }

    /// What is told of a call that has no answer. What only the log may say is told there.
    fn told(&self, group: usize, error: &CallError) -> GraphqlError {
        let Answerer { name, owner, .. } = self.answerer(group);
        let told = match is_for_operators(error.kind) {
            true => "the call failed",
            false => error.message.as_str(),
        };
        let message = format!("`{name}` did not answer: {told}");
        let mut found = GraphqlError::new(error.kind, message)
            .with("source", name.as_ref())
            .with("owner", owner.as_ref())
            .with("retryable", error.kind.is_retryable());
        if let Some(snapshot) = &error.snapshot {
            found = found.with("snapshot", snapshot.as_str());
        }
        if error.cause.is_some() || is_for_operators(error.kind) {
            let reference = self.session.engine.settings.rng.uuid().to_string();
            let cause = error.cause.as_deref().unwrap_or_default();
            tracing::error!(reference, source = %name, "{}: {cause}", error.message);
            found = found
                .with("reference", reference)
                .with("hint", "the server's log has the cause under this reference");
        }
        found
    }
}
