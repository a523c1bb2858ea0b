//! Runs requests: prepares a plan or finds it, fetches, responds.

use std::sync::Arc;
use std::time::Duration;

use apollo_compiler::ast::OperationType;
use apollo_compiler::collections::HashMap as ApolloMap;
use apollo_compiler::schema::Implementers;
use apollo_compiler::validation::Valid;
use apollo_compiler::{Name, Schema as ApiSchema};
use base::rng::Rng;
use base::{Clock, Error, Kind, Principal, Result};
use frame::{Evaluate, RowInterpreter};
use http::HeaderMap;
use schema::Schema;
use schema::api::Api;
use schema::graph::{Graph, SourceKind};
use serde_json::{Map, Value as Json};

use crate::error::GraphqlError;
use crate::fetch::cursor::CursorKey;
use crate::fetch::entities;
use crate::fetch::service::{self, InProcess, Service};
use crate::fetch::{Session, fetch};
use crate::incremental::schedule::Schedule;
use crate::incremental::{Answer, Job};
use crate::input;
use crate::limits::Limits;
use crate::plan::cache::{DocumentHash, PlanCache};
use crate::plan::inputs::Inputs;
use crate::plan::route::{Atlas, Route};
use crate::plan::{Backend, Ground, Plan, explain, plan};
use crate::policy::guarded;
use crate::policy::views::Views;
use crate::record::{Begun, Fault, Operation, Recorder, Work};
use crate::respond::{respond, respond_routed};
use crate::source::{MediaStore, RootResolver, Source};
use crate::subscribe::wants_a_stream;
use crate::subscribe::watch::Watchers;
use crate::terms::Terms;
use crate::usage::Usage;
use crate::{api_schema, parse, validate};

/// What an engine can be told beside its schema and its source.
#[derive(Clone)]
pub struct Settings {
    /// Bounds of one request.
    pub limits: Limits,
    /// Signs cursors. Nodes that answer for one another share it.
    pub cursor_key: [u8; 32],
    /// Computes `@derived` fields.
    pub evaluate: Arc<dyn Evaluate>,
    /// Keeps media that mutations bring; without one they are refused.
    pub media: Option<Arc<dyn MediaStore>>,
    /// Decides whether an earlier name still answers.
    pub clock: Clock,
    /// Draws the references by which faults in answers are found in the log.
    pub rng: Rng,
    /// Offers `@defer` and `@stream` where the SDL does not define them itself. They make parts of an
    /// answer for clients that take parts ([`Engine::deliver`]); other answers come in one piece.
    pub incremental: bool,
}

impl Default for Settings {
    /// A random cursor key, the row interpreter, no media, the machine's clock, plain answers.
    fn default() -> Self {
        let rng = Rng::from_entropy();
        let mut cursor_key = [0; 32];
        rng.fill(&mut cursor_key);
        Settings {
            limits: Limits::default(),
            cursor_key,
            evaluate: Arc::new(RowInterpreter),
            media: None,
            clock: Clock::system(),
            rng,
            incremental: false,
        }
    }
}

/// One GraphQL request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The document.
    pub query: String,
    /// Which of its operations to run.
    pub operation_name: Option<String>,
    /// Values of variables.
    pub variables: Map<String, Json>,
    /// Who asks.
    pub principal: Principal,
    /// The headers of the client's request, of which those that a source's rules name travel on.
    pub headers: Arc<HeaderMap>,
    /// Where what the request does is noted.
    pub recorder: Recorder,
}

impl Request {
    /// A request without variables.
    pub fn new(query: impl Into<String>, principal: Principal) -> Self {
        Request {
            query: query.into(),
            operation_name: None,
            variables: Map::new(),
            principal,
            headers: Arc::default(),
            recorder: Recorder::default(),
        }
    }

    /// Reads the body of a request as GraphQL over HTTP carries it: `query`, `operationName`,
    /// `variables`; `extensions` are passed over.
    pub fn from_json(body: &[u8], principal: Principal) -> Result<Self> {
        let hint = "send `{\"query\": \"{ … }\", \"variables\": {}}`";
        let body: Json = crate::exact::json(body).map_err(|error| {
            Error::invalid("the body of the request is not JSON").caused_by(error).hint(hint)
        })?;
        let Json::Object(mut body) = body else {
            return Err(Error::invalid("the body of the request is not an object").hint(hint));
        };
        let query = match body.remove("query") {
            Some(Json::String(query)) => query,
            _ => return Err(Error::invalid("the request has no text in `query`").hint(hint)),
        };
        let operation_name = match body.remove("operationName") {
            None | Some(Json::Null) => None,
            Some(Json::String(name)) => Some(name),
            Some(_) => return Err(Error::invalid("`operationName` is not text")),
        };
        let variables = match body.remove("variables") {
            None | Some(Json::Null) => Map::new(),
            Some(Json::Object(variables)) => variables,
            Some(_) => return Err(Error::invalid("`variables` is not an object")),
        };
        Ok(Request { operation_name, variables, ..Request::new(query, principal) })
    }
}

/// One GraphQL answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// The JSON, as it goes over the wire.
    pub body: Vec<u8>,
    /// Whether the request was refused before anything ran: there is no `data`.
    pub refused: bool,
    /// Whether its time was over before the answer was whole: there is no `data` either, but what it
    /// had begun may have been done.
    pub timed_out: bool,
    /// How many items `errors` has.
    pub errors: usize,
    /// What is told of the first of them in logs and counters.
    pub faults: Vec<Fault>,
    /// Whether the same request may be made of a newer engine: all errors are [`Kind::Stale`] and every
    /// root field is null, so that nothing was done; or a query of several sources has such an error
    /// of the tables.
    pub stale: bool,
}

impl Response {
    /// The body read back.
    pub fn json(&self) -> Result<Json> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Error::internal("an answer is not JSON").caused_by(error))
    }

    /// The answer to a request that is refused for these errors.
    pub fn refusal(errors: &[GraphqlError]) -> Self {
        let list: Vec<Json> = errors.iter().map(GraphqlError::to_json).collect();
        let body = serde_json::json!({ "errors": list }).to_string().into_bytes();
        let stale = !errors.is_empty() && errors.iter().all(GraphqlError::is_stale);
        let (errors, faults) = (errors.len(), Fault::of(errors));
        Response { body, refused: true, timed_out: false, errors, faults, stale }
    }

    /// The answer to a caller who sees nothing at all.
    pub(crate) fn unseen(error: &Error) -> Self {
        Response::refusal(&[GraphqlError::new(error.kind(), error.to_string())])
    }

    /// What kind of failure the answer is, when there is nothing in it but errors.
    fn kind(&self) -> Option<Kind> {
        let code = self.faults.first().map(|fault| Kind::from_code(&fault.code));
        code.filter(|_| self.refused || self.timed_out)
    }

    pub(crate) fn too_late(time: Duration) -> Self {
        let error = Response::late(time);
        Response { refused: false, timed_out: true, ..Response::refusal(&[error]) }
    }

    /// The error of what did not come in time.
    pub(crate) fn late(time: Duration) -> GraphqlError {
        let message = format!("the request took longer than {} s", time.as_secs_f64());
        GraphqlError::new(Kind::LimitExceeded, message)
            .with("hint", "a change may have been made: repeat it with its `idempotencyKey`")
    }
}

/// Begins to note an operation; what it does is noted below it.
fn noted(request: &mut Request) -> Option<Begun> {
    let step = request.recorder.begin(|| Work::Operation)?;
    request.recorder = step.below();
    Some(step)
}

/// What answers root fields.
pub(crate) enum Data {
    Plain(Arc<dyn RootResolver>),
    Tables(Arc<dyn Source>),
    /// In the order of the graph's sources.
    Services(Vec<Arc<dyn Service>>),
}

/// Executes GraphQL for one schema.
pub struct Engine {
    pub(crate) api_schema: Valid<ApiSchema>,
    pub(crate) implementers: ApolloMap<Name, Implementers>,
    pub(crate) backend: Backend,
    /// What derived fields read beyond the stored fields of their rows.
    inputs: Inputs,
    pub(crate) data: Data,
    pub(crate) settings: Settings,
    pub(crate) cursors: CursorKey,
    /// Of a graph with the tables of this project: the engine that answers for them.
    tables: Option<Arc<Engine>>,
    /// Who listens to which table.
    pub(crate) watchers: Watchers,
    /// Of a schema with policies: the engines of those who do not see all.
    views: Option<Views>,
    sdl: Arc<str>,
    plans: PlanCache,
}

impl Engine {
    /// An engine for the API of a central schema.
    pub fn new(schema: Arc<Schema>, source: Arc<dyn Source>) -> Result<Self> {
        Engine::with_settings(schema, source, Settings::default())
    }

    /// Likewise, with settings.
    pub fn with_settings(
        schema: Arc<Schema>,
        source: Arc<dyn Source>,
        settings: Settings,
    ) -> Result<Self> {
        let source = guarded(&schema, source);
        let views = Views::of(&schema, &source, &[], &settings);
        Ok(Engine { views, ..Engine::of_tables(schema, source, settings)? })
    }

    fn of_tables(schema: Arc<Schema>, source: Arc<dyn Source>, settings: Settings) -> Result<Self> {
        let api = Arc::new(Api::new(&schema));
        let sdl = api.sdl().clone();
        Engine::build(&sdl, Backend::Tables { schema, api }, Data::Tables(source), settings)
    }

    /// An engine for what some callers see of a schema. The tables hold its policies.
    pub(crate) fn of_view(
        whole: &Schema,
        seen: Arc<Schema>,
        source: Arc<dyn Source>,
        services: Vec<Arc<dyn Service>>,
        settings: Settings,
    ) -> Result<Self> {
        match seen.graph.clone() {
            Some(graph) => Engine::of_graph(graph, whole, seen, source, services, settings),
            None => Engine::of_tables(seen, source, settings),
        }
    }

    /// An engine for SDL without any directive of ours.
    pub fn plain(sdl: &str, resolver: Arc<dyn RootResolver>) -> Result<Self> {
        Engine::plain_with_settings(sdl, resolver, Settings::default())
    }

    /// Likewise, with settings.
    pub fn plain_with_settings(
        sdl: &str,
        resolver: Arc<dyn RootResolver>,
        settings: Settings,
    ) -> Result<Self> {
        Engine::build(sdl, Backend::Plain, Data::Plain(resolver), settings)
    }

    /// An engine for a composed graph, whose sources answer calls; the services stand in the order of
    /// the graph's sources.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] when there is not one service for each source, or the API of the graph
    /// is refused.
    pub fn over_graph(
        graph: Arc<Graph>,
        services: Vec<Arc<dyn Service>>,
        settings: Settings,
    ) -> Result<Self> {
        if services.len() != graph.sources.len() {
            let (given, wanted) = (services.len(), graph.sources.len());
            return Err(Error::invalid(format!(
                "the graph has {wanted} sources, but {given} services are given"
            )));
        }
        let sdl = graph.api.to_string();
        let backend = Backend::Graph(Arc::new(Atlas::new(graph)));
        Engine::build(&sdl, backend, Data::Services(services), settings)
    }

    /// An engine for the tables of a central schema and its services together; the services stand in
    /// the order of the graph's sources, without that of the tables. A schema without services is as
    /// [`Engine::with_settings`] has it. What asks the tables alone takes the same way as there.
    ///
    /// # Errors
    /// As [`Engine::over_graph`].
    pub fn federated(
        schema: Arc<Schema>,
        source: Arc<dyn Source>,
        services: Vec<Arc<dyn Service>>,
        settings: Settings,
    ) -> Result<Self> {
        let Some(graph) = schema.graph.clone() else {
            return Engine::with_settings(schema, source, settings);
        };
        let source = guarded(&schema, source);
        let views = Views::of(&schema, &source, &services, &settings);
        let whole = Arc::clone(&schema);
        let engine = Engine::of_graph(graph, &whole, schema, source, services, settings)?;
        Ok(Engine { views, ..engine })
    }

    /// An engine for a graph with the tables of this project, as they are `seen`.
    fn of_graph(
        graph: Arc<Graph>,
        whole: &Schema,
        seen: Arc<Schema>,
        source: Arc<dyn Source>,
        services: Vec<Arc<dyn Service>>,
        settings: Settings,
    ) -> Result<Self> {
        let tables = Arc::new(Engine::of_entities(whole, seen, source, settings.clone())?);
        let mut services = services.into_iter();
        let sources = graph.sources.iter().filter_map(|source| match source.kind {
            SourceKind::Lake => Some(Arc::new(InProcess(Arc::clone(&tables))) as Arc<dyn Service>),
            _ => services.next(),
        });
        let sources = sources.collect();
        let engine = Engine::over_graph(graph, sources, settings)?;
        Ok(Engine { tables: Some(tables), ..engine })
    }

    /// An engine for tables as one source of a graph. What a request may be is settled by the
    /// engine of the graph; its calls are longer than what the client wrote, and name fields that he may
    /// not see, because services need them: their values are held back all the same.
    pub(crate) fn of_entities(
        whole: &Schema,
        seen: Arc<Schema>,
        source: Arc<dyn Source>,
        mut settings: Settings,
    ) -> Result<Self> {
        let limits = &mut settings.limits;
        limits.tokens = limits.tokens.saturating_mul(8);
        limits.depth = limits.depth.saturating_mul(2);
        limits.aliases = limits.fields;
        limits.fields = limits.fields.saturating_mul(8);
        limits.selections = limits.selections.saturating_mul(8);
        limits.cost = f64::INFINITY;
        limits.input_items = limits.input_items.max(limits.rows);
        let api = Arc::new(Api::new(whole));
        let mut sdl = api.sdl().to_string();
        sdl.extend(entities::definitions(whole, api.sdl()));
        Engine::build(&sdl, Backend::Tables { schema: seen, api }, Data::Tables(source), settings)
    }

    fn build(sdl: &str, backend: Backend, data: Data, settings: Settings) -> Result<Self> {
        let api_schema = api_schema::read(sdl, settings.incremental)?;
        Ok(Engine {
            implementers: api_schema.implementers_map(),
            inputs: Inputs::of(&api_schema, &backend),
            api_schema,
            backend,
            data,
            cursors: CursorKey::new(settings.cursor_key),
            plans: PlanCache::new(settings.limits.plans, settings.limits.plan_fields),
            settings,
            tables: None,
            watchers: Watchers::default(),
            views: None,
            sdl: sdl.into(),
        })
    }

    /// The API as SDL, as those see it who see all.
    pub fn sdl(&self) -> &str {
        &self.sdl
    }

    /// Runs one request.
    pub async fn execute(&self, request: Request) -> Response {
        self.execute_on(request, &Terms::default()).await
    }

    /// Runs one request on the terms that hold for whoever asks.
    pub async fn execute_on(&self, request: Request, terms: &Terms<'_>) -> Response {
        match self.seen_by(&request.principal) {
            Ok(None) => self.execute_here(request, terms).await,
            Ok(Some(view)) => view.execute_here(request, terms).await,
            Err(error) => Response::unseen(&error),
        }
    }

    /// The engine of what a caller sees; `None` for this one.
    pub(crate) fn seen_by(&self, who: &Principal) -> Result<Option<Arc<Engine>>> {
        self.views.as_ref().map_or(Ok(None), |views| views.engine(who))
    }

    async fn execute_here(&self, mut request: Request, terms: &Terms<'_>) -> Response {
        let time = self.settings.limits.time;
        let step = noted(&mut request);
        let response = match tokio::time::timeout(time, self.run(request, terms)).await {
            Ok(response) => response,
            Err(_) => Response::too_late(time),
        };
        if let Some(step) = step {
            step.end(response.kind());
        }
        response
    }

    /// Runs one request of a client that takes its answer in parts: what `@defer` and `@stream` leave for
    /// later comes after the first part. The time limit is one for all parts.
    pub async fn deliver(self: &Arc<Self>, request: Request, terms: &Terms<'_>) -> Answer {
        match self.seen_by(&request.principal) {
            Ok(None) => self.deliver_here(request, terms).await,
            Ok(Some(view)) => view.deliver_here(request, terms).await,
            Err(error) => Answer::Whole(Response::unseen(&error)),
        }
    }

    async fn deliver_here(self: &Arc<Self>, mut request: Request, terms: &Terms<'_>) -> Answer {
        let step = noted(&mut request);
        let answer = self.begin(request, terms).await;
        match (step, answer) {
            (Some(step), Answer::Parts(response, parts)) => {
                Answer::Parts(response, parts.within(step))
            }
            (Some(step), Answer::Whole(response)) => {
                step.end(response.kind());
                Answer::Whole(response)
            }
            (None, answer) => answer,
        }
    }

    async fn begin(self: &Arc<Self>, request: Request, terms: &Terms<'_>) -> Answer {
        let time = self.settings.limits.time;
        let plan = match self.planned(&request, terms) {
            Ok(plan) => plan,
            Err(errors) => return Answer::Whole(Response::refusal(&errors)),
        };
        let (engine, plan) = match self.direct_shared(plan, &request) {
            Ok(direct) => direct,
            Err(errors) => return Answer::Whole(Response::refusal(&errors)),
        };
        let variables = match engine.admit(&plan, &request, &self.settings.limits, terms) {
            Ok(variables) => variables,
            Err(errors) => return Answer::Whole(Response::refusal(&errors)),
        };
        let is_plain = matches!(engine.backend, Backend::Plain);
        match Schedule::new(&plan, &variables, is_plain) {
            Err(error) => Answer::Whole(Response::refusal(&[error])),
            Ok(Some(schedule)) => {
                Job { engine, plan, variables, request, schedule, time }.answer().await
            }
            Ok(None) => {
                let session = Session::new(&engine, &plan, variables, request);
                let answered = tokio::time::timeout(time, engine.perform(&session)).await;
                Answer::Whole(answered.unwrap_or_else(|_| Response::too_late(time)))
            }
        }
    }

    /// Whether the operation that a request would run is a mutation. A document that cannot be parsed
    /// is none: running it says what is wrong with it. One that does not fit this schema may fit the
    /// next, so that its text alone decides.
    pub fn is_mutation(&self, query: &str, operation_name: Option<&str>) -> bool {
        match self.prepare(query, operation_name) {
            Ok(plan) => plan.is_mutation,
            Err(_) => {
                let wanted = OperationType::Mutation;
                parse::is_of(wanted, query, operation_name, &self.settings.limits)
            }
        }
    }

    /// Checks a document that is to be asked later, each of its operations as it would be planned; gives
    /// the names of the operations.
    pub fn check(&self, text: &str) -> std::result::Result<Vec<String>, Vec<GraphqlError>> {
        let limits = &self.settings.limits;
        let document = parse::parse(&self.api_schema, text, limits)?;
        let names = document.operations.named.keys();
        let names: Vec<String> = names.map(|name| name.to_string()).collect();
        if names.is_empty() {
            self.prepare(text, None)?;
        }
        for name in &names {
            self.prepare(text, Some(name))?;
        }
        Ok(names)
    }

    /// What an operation uses of the API.
    ///
    /// # Errors
    /// What is wrong with the document.
    pub fn usage(
        &self,
        text: &str,
        operation_name: Option<&str>,
    ) -> std::result::Result<Arc<Usage>, Vec<GraphqlError>> {
        Ok(Arc::clone(&self.prepare(text, operation_name)?.usage))
    }

    /// Shows how a request would be run, and its cost, without running it. What is too dear to run is
    /// shown, too: one explains a request to make it cheaper.
    pub fn explain(&self, request: &Request) -> Result<String> {
        match self.seen_by(&request.principal)? {
            Some(view) => view.explain_here(request),
            None => self.explain_here(request),
        }
    }

    fn explain_here(&self, request: &Request) -> Result<String> {
        let refuse = |errors: Vec<GraphqlError>| {
            let messages: Vec<String> = errors.into_iter().map(|error| error.message).collect();
            Error::invalid(format!("failed to plan the query: {}", messages.join("; ")))
        };
        let plan =
            self.prepare(&request.query, request.operation_name.as_deref()).map_err(refuse)?;
        let (engine, plan) = self.direct(&plan, request).map_err(refuse)?;
        let limits = &self.settings.limits;
        let variables = engine.variables(plan, &request.variables, limits).map_err(refuse)?;
        let cost = engine.cost(plan, &variables).map_err(|error| refuse(vec![error]))?;
        let calls = |source: usize, text: &str| match &engine.data {
            Data::Services(services) => {
                services.get(source).map(|service| service.explain(text)).unwrap_or_default()
            }
            _ => Vec::new(),
        };
        Ok(explain(plan, &engine.backend, (cost, limits.cost), &calls))
    }

    async fn run(&self, request: Request, terms: &Terms<'_>) -> Response {
        let plan = match self.planned(&request, terms) {
            Ok(plan) => plan,
            Err(errors) => return Response::refusal(&errors),
        };
        match self.direct(&plan, &request) {
            Ok((engine, plan)) => engine.answer(plan, request, &self.settings.limits, terms).await,
            Err(errors) => Response::refusal(&errors),
        }
    }

    /// The plan of a request that has an answer and not a stream of them.
    fn planned(
        &self,
        request: &Request,
        terms: &Terms<'_>,
    ) -> std::result::Result<Arc<Plan>, Vec<GraphqlError>> {
        let plan = self.prepare_noted(request).map_err(|errors| terms.told(errors))?;
        if plan.is_subscription {
            return Err(vec![wants_a_stream()]);
        }
        Ok(plan)
    }

    /// Who runs a plan, and the plan as they have it: what asks the tables alone, the tables' engine. That
    /// one knows what the caller may not see, so that values of variables are held against this API first.
    fn direct<'a>(
        &'a self,
        plan: &'a Plan,
        request: &Request,
    ) -> std::result::Result<(&'a Engine, &'a Plan), Vec<GraphqlError>> {
        match (&self.tables, &plan.direct) {
            (Some(tables), Some(direct)) => {
                self.variables(plan, &request.variables, &self.settings.limits)?;
                Ok((tables, direct))
            }
            _ => Ok((self, plan)),
        }
    }

    /// Likewise, for as long as a stream lasts.
    pub(crate) fn direct_shared(
        self: &Arc<Self>,
        plan: Arc<Plan>,
        request: &Request,
    ) -> std::result::Result<(Arc<Engine>, Arc<Plan>), Vec<GraphqlError>> {
        match (&self.tables, &plan.direct) {
            (Some(tables), Some(direct)) => {
                self.variables(&plan, &request.variables, &self.settings.limits)?;
                Ok((Arc::clone(tables), Arc::clone(direct)))
            }
            _ => Ok((Arc::clone(self), plan)),
        }
    }

    /// Whether a plan may run: gives the values of its variables, and has it paid and counted.
    pub(crate) fn admit(
        &self,
        plan: &Plan,
        request: &Request,
        limits: &Limits,
        terms: &Terms<'_>,
    ) -> std::result::Result<input::Variables, Vec<GraphqlError>> {
        let variables = self.variables(plan, &request.variables, limits)?;
        let allowed = terms
            .check(plan)
            .and_then(|()| self.check_names(plan))
            .and_then(|()| self.check_cost(plan, &variables, limits.cost))
            .inspect(|cost| request.recorder.cost(*cost));
        allowed.and_then(terms.charge).map_err(|error| vec![error])?;
        (terms.used)(&plan.usage);
        Ok(variables)
    }

    /// Runs a plan within the limits of the engine that took the request.
    async fn answer(
        &self,
        plan: &Plan,
        request: Request,
        limits: &Limits,
        terms: &Terms<'_>,
    ) -> Response {
        match self.admit(plan, &request, limits, terms) {
            Ok(variables) => self.perform(&Session::new(self, plan, variables, request)).await,
            Err(errors) => Response::refusal(&errors),
        }
    }

    /// Fetches everything and answers in one piece.
    async fn perform(&self, session: &Session<'_>) -> Response {
        if let (Some(route), Data::Services(services)) = (&session.plan.route, &self.data) {
            let answers = service::run(session, route, services).await;
            return respond_routed(session, route, answers);
        }
        let fetched = fetch(session).await;
        respond(session, &fetched)
    }

    /// parse → validate → plan, or the plan that is kept.
    pub(crate) fn prepare(
        &self,
        text: &str,
        operation_name: Option<&str>,
    ) -> std::result::Result<Arc<Plan>, Vec<GraphqlError>> {
        let hash = DocumentHash::of(text, operation_name);
        match self.plans.get(&hash) {
            Some(plan) => Ok(plan),
            None => self.make_plan(hash, text, operation_name),
        }
    }

    /// Likewise, noting which of both it was.
    pub(crate) fn prepare_noted(
        &self,
        request: &Request,
    ) -> std::result::Result<Arc<Plan>, Vec<GraphqlError>> {
        let (text, name) = (&request.query, request.operation_name.as_deref());
        let hash = DocumentHash::of(text, name);
        let kept = self.plans.get(&hash);
        let is_planned = kept.is_some();
        let plan = kept.map_or_else(
            || {
                let step = request.recorder.begin(|| Work::Plan);
                let made = self.make_plan(hash, text, name);
                if let Some(step) = step {
                    step.end(made.is_err().then_some(Kind::InvalidInput));
                }
                made
            },
            Ok,
        )?;
        request.recorder.operation(|| Operation {
            usage: Arc::clone(&plan.usage),
            kind: plan.kind(),
            is_planned,
        });
        Ok(plan)
    }

    fn make_plan(
        &self,
        hash: DocumentHash,
        text: &str,
        operation_name: Option<&str>,
    ) -> std::result::Result<Arc<Plan>, Vec<GraphqlError>> {
        let limits = &self.settings.limits;
        let document = parse::parse(&self.api_schema, text, limits)?;
        let valid = validate::validate(&self.api_schema, document, operation_name, limits)?;
        let ground = Ground {
            schema: &self.api_schema,
            implementers: &self.implementers,
            backend: &self.backend,
            inputs: &self.inputs,
        };
        let mut plan = plan(ground, &valid, limits).map_err(|error| vec![error])?;
        if let (Some(tables), Some(route)) = (&self.tables, &plan.route)
            && self.asks_tables_alone(route)
        {
            let direct = tables.prepare(text, operation_name).ok();
            plan.direct = direct.filter(|direct| plan.root.is_same_as(&direct.root));
        }
        let plan = Arc::new(plan);
        self.plans.insert(hash, plan.clone());
        Ok(plan)
    }

    /// Whether all calls are of the tables of this project.
    fn asks_tables_alone(&self, route: &Route) -> bool {
        let Backend::Graph(atlas) = &self.backend else { return false };
        let sources = &atlas.graph.sources;
        let is_tables = |source: usize| {
            sources.get(source).is_some_and(|source| source.kind == SourceKind::Lake)
        };
        route.groups.iter().all(|group| is_tables(group.source))
    }

    fn variables(
        &self,
        plan: &Plan,
        given: &Map<String, Json>,
        limits: &Limits,
    ) -> std::result::Result<input::Variables, Vec<GraphqlError>> {
        input::variables(&self.api_schema, &plan.variables, given, limits)
    }

    /// Refuses earlier names whose last day is over.
    fn check_names(&self, plan: &Plan) -> std::result::Result<(), GraphqlError> {
        if plan.earlier.is_empty() {
            return Ok(());
        }
        // Days in ISO form sort as text.
        let today = self.settings.clock.now().to_string();
        let over = |until: &str| today.get(..10).is_some_and(|today| today > until);
        match plan.earlier.iter().find(|(_, until)| over(until)) {
            Some((name, until)) => Err(GraphqlError::new(
                Kind::InvalidInput,
                format!("`{name}` is an earlier name that answered until {until}"),
            )
            .with("hint", "the schema says the present name in its deprecation")),
            None => Ok(()),
        }
    }

    fn cost(
        &self,
        plan: &Plan,
        variables: &input::Variables,
    ) -> std::result::Result<f64, GraphqlError> {
        crate::plan::cost::cost(&self.api_schema, &plan.root, variables)
    }

    fn check_cost(
        &self,
        plan: &Plan,
        variables: &input::Variables,
        limit: f64,
    ) -> std::result::Result<f64, GraphqlError> {
        if limit.is_infinite() {
            return Ok(0.0);
        }
        let cost = self.cost(plan, variables)?;
        if cost > limit {
            return Err(GraphqlError::new(
                Kind::LimitExceeded,
                format!("the operation costs {cost}; at most {limit} is allowed"),
            )
            .with("hint", "ask for fewer rows with `first`"));
        }
        Ok(cost)
    }
}
