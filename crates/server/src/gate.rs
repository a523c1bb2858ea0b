//! What a question of GraphQL passes before it runs: which document it names, and what its caller may spend.
//!
//! ```text
//! GraphqlRequest → document (registered | persisted | text) → charge → Engine → Answer
//! ```
//!
//! In: a request, and who asks. Out: an answer, with a status of its own where HTTP needs one. One gate
//! stands before `/graphql` and before the operation `query`. Not here: headers, media types, execution.

pub(crate) mod budget;
pub(crate) mod documents;
mod named;
mod persisted;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base::{Kind as ErrorKind, Principal, Result, Scope, Timestamp};
use http::HeaderMap;
use mesh::{Engine, GraphqlError, Recorder, Request, Subscription, Terms};
use meta::Database;

use crate::project::Project;
use crate::settings::graphql::{self, Documents as Mode};
use crate::telemetry::family::{Family, Kind};
use crate::usage::{Asker, Usages};
use crate::wire::GraphqlRequest;
use budget::{Budgets, Client};
use documents::Documents;
pub(crate) use named::Hash;
use named::Named;
use persisted::Persisted;

/// What every request costs beside the cost of its operation: it is read, and may be refused.
const REQUEST_COST: f64 = 1.0;

/// Documents that are logged once each when they are not registered.
const LOGGED: usize = 1000;

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// What the caller may do.
    pub(crate) principal: Principal,
    /// Who pays.
    pub(crate) client: Client,
    /// Whether it is somebody: the owner of the machine, or whom a token speaks for.
    pub(crate) is_known: bool,
    /// What the request said beside its body.
    pub(crate) headers: Arc<HeaderMap>,
    /// Which program it is.
    pub(crate) asker: Asker,
    /// Where what its requests do is noted.
    pub(crate) recorder: Recorder,
}

impl Caller {
    /// The caller of an operation, who has passed as somebody.
    pub(crate) fn known(principal: &Principal) -> Self {
        let client = match *principal == Principal::local() {
            true => Client::Owner,
            false => Client::Subject(principal.subject.clone()),
        };
        let asker = Asker::named(&principal.subject, "");
        let (principal, headers) = (principal.clone(), Arc::default());
        let recorder = Recorder::default();
        Caller { principal, client, is_known: true, headers, asker, recorder }
    }
}

/// An answer, and what HTTP says beside it.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The answer.
    pub(crate) response: mesh::Response,
    /// A status that holds whatever the media type.
    pub(crate) status: Option<u16>,
    /// After how long the same request may be made again.
    pub(crate) retry_after: Option<Duration>,
    /// What follows the answer, for a client that takes parts.
    pub(crate) parts: Option<Box<mesh::Parts>>,
}

impl Answer {
    fn refusal(error: &GraphqlError) -> Self {
        let response = mesh::Response::refusal(std::slice::from_ref(error));
        Answer { response, status: None, retry_after: None, parts: None }
    }
}

/// A document that may be asked.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    /// Its text.
    pub(crate) text: String,
    /// Its hash, when it is to be kept once it has proved good.
    keep: Option<Hash>,
}

/// The gate of a project.
pub(crate) struct Gate {
    settings: graphql::Graphql,
    budgets: Budgets,
    persisted: Persisted,
    /// What is registered.
    documents: Documents,
    unregistered: AtomicU64,
    over_budget: AtomicU64,
    logged: Persisted,
    /// What was asked, by whom.
    pub(crate) usages: Usages,
}

impl Gate {
    pub(crate) fn new(settings: &graphql::Graphql) -> Self {
        let is_enforced = settings.documents == Mode::Enforce;
        let bytes = if is_enforced { 0 } else { settings.persisted_bytes.0 };
        Gate {
            budgets: Budgets::new(settings.budget.clone()),
            persisted: Persisted::new(bytes),
            logged: Persisted::new((LOGGED * persisted::ENTRY_BYTES) as u64),
            documents: Documents::default(),
            unregistered: AtomicU64::new(0),
            over_budget: AtomicU64::new(0),
            usages: Usages::default(),
            settings: settings.clone(),
        }
    }

    /// Hears how often the schema, the place of the objects and the documents changed; gives the count of
    /// the changes of which an engine knows.
    pub(crate) fn follow(&self, [schema, place, documents]: [i64; 3]) -> i64 {
        self.documents.follow(documents);
        schema + place
    }

    /// The document that a request names or brings. The outer error is of a request that names none; the
    /// inner one is an answer of GraphQL.
    pub(crate) async fn document(
        &self,
        database: &Database,
        request: &GraphqlRequest,
        caller: &Caller,
    ) -> Result<Result<Document, Answer>> {
        let found = match named::read(request)? {
            Named::Text { text, claims: None } if self.settings.documents == Mode::Off => {
                Ok(Document { text, keep: None })
            }
            named => self.find(database, named, caller).await?,
        };
        Ok(found.map_err(|error| {
            let is_denied = error.extensions.get("code") == Some(&ErrorKind::Denied.code().into());
            let status = is_denied.then_some(403);
            Answer { status, ..Answer::refusal(&error) }
        }))
    }

    async fn find(
        &self,
        database: &Database,
        named: Named,
        caller: &Caller,
    ) -> Result<Result<Document, GraphqlError>> {
        let registered = self.documents.now(database).await?;
        let hash = named.hash();
        if let Some(text) = registered.get(&hash) {
            return Ok(Ok(Document { text: text.to_string(), keep: None }));
        }
        Ok(match named {
            Named::Registered(hash) => Err(GraphqlError::new(
                ErrorKind::NotFound,
                format!("there is no document `sha256:{hash}`"),
            )
            .with("hint", "register it with `headwater documents register`")),
            Named::Text { text, claims } => {
                let keep = claims.filter(|_| self.persisted.is_on());
                self.let_pass(&hash, caller).map(|()| Document { text, keep })
            }
            Named::Persisted(hash) => match self.persisted.get(&hash) {
                Some(text) => {
                    let text = text.to_string();
                    self.let_pass(&hash, caller).map(|()| Document { text, keep: None })
                }
                None => Err(self.not_persisted()),
            },
        })
    }

    /// What the mode says of a document that is not registered. Whoever may change the schema may ask
    /// anything by the operation `query`, and `/graphql` makes no exception.
    fn let_pass(&self, hash: &Hash, caller: &Caller) -> Result<(), GraphqlError> {
        if self.settings.documents == Mode::Off {
            return Ok(());
        }
        self.unregistered.fetch_add(1, Ordering::Relaxed);
        self.log(hash, caller);
        if self.settings.documents == Mode::Report {
            return Ok(());
        }
        let message = "this server answers registered documents only, and this is none";
        Err(GraphqlError::new(ErrorKind::Denied, message)
            .with("hint", "register it with `headwater documents register`"))
    }

    /// Logs a document that is not registered, once.
    fn log(&self, hash: &Hash, caller: &Caller) {
        if self.logged.get(hash).is_none() {
            self.logged.insert(*hash, "".into());
            let subject = &caller.principal.subject;
            tracing::warn!(document = %hash, %subject, "a document that is not registered was asked");
        }
    }

    /// What Apollo's clients understand: to send the text, or never to send a hash again.
    fn not_persisted(&self) -> GraphqlError {
        let (message, code) = match self.persisted.is_on() {
            true => ("PersistedQueryNotFound", "PERSISTED_QUERY_NOT_FOUND"),
            false => ("PersistedQueryNotSupported", "PERSISTED_QUERY_NOT_SUPPORTED"),
        };
        GraphqlError::new(ErrorKind::NotFound, message).with("code", code)
    }

    /// Lets a request begin, for the price of being read.
    pub(crate) fn begin<'a>(
        &'a self,
        caller: &'a Caller,
        now: Timestamp,
    ) -> Result<Bill<'a>, Answer> {
        let (is_paid, is_noted) = (AtomicBool::new(false), AtomicBool::new(false));
        let bill = Bill { gate: self, caller, now, is_paid, is_noted, wait: OnceLock::new() };
        match bill.spend(REQUEST_COST, 0.0) {
            Ok(()) => Ok(bill),
            Err(error) => Err(bill.answer(Answer::refusal(&error).response)),
        }
    }

    /// What a caller is told of the API; nothing is charged or noted yet.
    fn terms(&self, bill: &Bill<'_>) -> Terms<'static> {
        let is_known = bill.caller.is_known;
        Terms {
            introspection: self.settings.introspection.has(is_known),
            suggestions: self.settings.suggestions.has(is_known),
            ..Terms::default()
        }
    }

    /// Runs a request; a document that proved good is kept for those who name it by its hash. With
    /// `takes_parts`, what is deferred follows the answer.
    pub(crate) async fn execute(
        &self,
        engine: &Arc<Engine>,
        request: Request,
        keep: Option<Hash>,
        bill: &Bill<'_>,
        takes_parts: bool,
    ) -> Answer {
        let charge = |cost| bill.charge(cost);
        let used = |usage: &Arc<mesh::Usage>| bill.note(usage);
        let terms = Terms { charge: &charge, used: &used, ..self.terms(bill) };
        let text = keep.map(|hash| (hash, request.query.as_str().into()));
        let (response, parts) = match takes_parts {
            false => (engine.execute_on(request, &terms).await, None),
            true => match engine.deliver(request, &terms).await {
                mesh::Answer::Whole(response) => (response, None),
                mesh::Answer::Parts(first, parts) => (first, Some(Box::new(parts))),
            },
        };
        if let Some((hash, text)) = text.filter(|_| !response.refused) {
            self.persisted.insert(hash, text);
        }
        Answer { parts, ..bill.answer(response) }
    }

    /// Starts a subscription, as [`Gate::execute`] runs a request. Each event is paid by what it was at the
    /// start: the streams that one client may hold are few.
    pub(crate) async fn subscribe(
        &self,
        engine: &Arc<Engine>,
        request: Request,
        keep: Option<Hash>,
        bill: &Bill<'_>,
    ) -> Result<Subscription, Answer> {
        let charge = |cost| bill.charge(cost);
        let used = |usage: &Arc<mesh::Usage>| bill.note(usage);
        let terms = Terms { charge: &charge, used: &used, ..self.terms(bill) };
        let text = keep.map(|hash| (hash, request.query.as_str().into()));
        let started = engine.subscribe(request, &terms).await;
        let subscription = started.map_err(|refused| bill.answer(*refused))?;
        if let Some((hash, text)) = text {
            self.persisted.insert(hash, text);
        }
        Ok(subscription)
    }

    /// Asks a document on behalf of an operation of the administration.
    pub(crate) async fn ask(
        &self,
        project: &Project,
        request: &GraphqlRequest,
        principal: &Principal,
    ) -> Result<mesh::Response> {
        let caller = Caller::known(principal);
        let bill = match self.begin(&caller, project.clock.now()) {
            Ok(bill) => bill,
            Err(refused) => return Ok(refused.response),
        };
        let document = match self.document(&project.database, request, &caller).await? {
            Ok(document) => document.text,
            // Whoever may change the schema may ask whatever fits it.
            Err(refused) => match &request.query {
                Some(text) if principal.scope == Scope::Admin && refused.status == Some(403) => {
                    text.clone()
                }
                _ => return Ok(refused.response),
            },
        };
        let request = request.of(document, principal.clone(), Arc::default());
        Ok(self.execute(&project.live().engine, request, None, &bill, false).await.response)
    }

    /// What it counts.
    pub(crate) fn families(&self) -> Vec<Family> {
        let counters = [
            (
                "unregistered_total",
                "Requests with documents that are not registered.",
                self.unregistered.load(Ordering::Relaxed),
            ),
            (
                "over_budget_total",
                "Requests that were refused because their client's budget was spent.",
                self.over_budget.load(Ordering::Relaxed),
            ),
            (
                "usage_missed_total",
                "Requests that there was no room to count.",
                self.usages.missed(),
            ),
        ];
        let gauges = [
            ("budgets", "Clients with an account.", self.budgets.clients() as u64),
            ("persisted_bytes", "Bytes of kept documents.", self.persisted.bytes() as u64),
        ];
        let family = |kind: Kind| {
            move |(name, help, value): (&str, &'static str, u64)| {
                Family::new(format!("headwater_graphql_{name}"), kind, help).with(value)
            }
        };
        let counters = counters.map(family(Kind::Counter)).into_iter();
        counters.chain(gauges.map(family(Kind::Gauge))).collect()
    }
}

impl Document {
    /// The hash under which the document is to be kept.
    pub(crate) fn keep(&self) -> Option<Hash> {
        self.keep
    }
}

/// What one request pays. A request that is asked again of a newer schema pays once.
pub(crate) struct Bill<'a> {
    gate: &'a Gate,
    caller: &'a Caller,
    now: Timestamp,
    is_paid: AtomicBool,
    is_noted: AtomicBool,
    wait: OnceLock<Duration>,
}

impl Bill<'_> {
    /// Counts what the operation uses. What is said of the API alone is not its use.
    fn note(&self, usage: &Arc<mesh::Usage>) {
        let is_counted =
            self.gate.settings.usage && !usage.coordinates.is_empty() && !self.caller.asker.is_ui();
        if is_counted && !self.is_noted.swap(true, Ordering::Relaxed) {
            self.gate.usages.count(usage, &self.caller.asker, self.now);
        }
    }

    fn charge(&self, cost: f64) -> Result<(), GraphqlError> {
        if self.is_paid.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        self.spend(cost, REQUEST_COST)
    }

    fn spend(&self, cost: f64, paid: f64) -> Result<(), GraphqlError> {
        let spent = self.gate.budgets.spend(&self.caller.client, cost, paid, self.now);
        spent.map_err(|wait| {
            self.gate.over_budget.fetch_add(1, Ordering::Relaxed);
            // A whole number of seconds is what the header can say.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            let wait = *self.wait.get_or_init(|| Duration::from_secs(seconds.max(1)));
            let message = format!("the budget is spent for the next {} s", wait.as_secs());
            GraphqlError::new(ErrorKind::LimitExceeded, message)
                .with("retryable", true)
                .with("hint", "ask for less, or more seldom; `graphql.budget` says how much")
        })
    }

    fn answer(&self, response: mesh::Response) -> Answer {
        let retry_after = self.wait.get().copied();
        Answer { response, status: retry_after.map(|_| 429), retry_after, parts: None }
    }
}
