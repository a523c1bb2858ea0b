//! Runs requests: prepares a plan or finds it, fetches, responds.

use std::sync::Arc;
use std::time::Duration;

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
use crate::input;
use crate::limits::Limits;
use crate::plan::cache::{DocumentHash, PlanCache};
use crate::plan::route::{Atlas, Route};
use crate::plan::{Backend, Plan, explain, plan};
use crate::respond::{respond, respond_routed};
use crate::source::{MediaStore, RootResolver, Source};
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
    /// Offers `@defer` and `@stream` where the SDL does not define them itself. An answer comes in one
    /// piece all the same, as the proposal allows.
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
        }
    }

    /// Reads the body of a request as GraphQL over HTTP carries it: `query`, `operationName`,
    /// `variables`; `extensions` are passed over.
    pub fn from_json(body: &[u8], principal: Principal) -> Result<Self> {
        let hint = "send `{\"query\": \"{ … }\", \"variables\": {}}`";
        let body: Json = serde_json::from_slice(body).map_err(|error| {
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
        Ok(Request { query, operation_name, variables, principal, headers: Arc::default() })
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
        Response { body, refused: true, timed_out: false, errors: errors.len(), stale }
    }

    fn too_late(time: Duration) -> Self {
        let message = format!("the request took longer than {} s", time.as_secs_f64());
        let error = GraphqlError::new(Kind::LimitExceeded, message)
            .with("hint", "a change may have been made: repeat it with its `idempotencyKey`");
        Response { refused: false, timed_out: true, ..Response::refusal(&[error]) }
    }
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
    pub(crate) data: Data,
    pub(crate) settings: Settings,
    pub(crate) cursors: CursorKey,
    /// Of a graph with the tables of this project: the engine that answers for them.
    tables: Option<Arc<Engine>>,
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
        let api = Arc::new(Api::new(&schema));
        let sdl = api.sdl().clone();
        Engine::build(&sdl, Backend::Tables { schema, api }, Data::Tables(source), settings)
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
        let tables = Arc::new(Engine::of_entities(schema, source, settings.clone())?);
        let mut services = services.into_iter();
        let sources = graph.sources.iter().filter_map(|source| match source.kind {
            SourceKind::Lake => Some(Arc::new(InProcess(Arc::clone(&tables))) as Arc<dyn Service>),
            _ => services.next(),
        });
        let sources = sources.collect();
        let engine = Engine::over_graph(graph, sources, settings)?;
        Ok(Engine { tables: Some(tables), ..engine })
    }

    /// An engine for the tables as one source of a graph. What a request may be is settled by the
    /// engine of the graph; its calls are longer than what the client wrote.
    fn of_entities(
        schema: Arc<Schema>,
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
        let api = Arc::new(Api::new(&schema));
        let mut sdl = api.sdl().to_string();
        sdl.extend(entities::definitions(&schema));
        Engine::build(&sdl, Backend::Tables { schema, api }, Data::Tables(source), settings)
    }

    fn build(sdl: &str, backend: Backend, data: Data, settings: Settings) -> Result<Self> {
        let api_schema = api_schema::read(sdl, settings.incremental)?;
        Ok(Engine {
            implementers: api_schema.implementers_map(),
            api_schema,
            backend,
            data,
            cursors: CursorKey::new(settings.cursor_key),
            plans: PlanCache::new(settings.limits.plans, settings.limits.plan_fields),
            settings,
            tables: None,
            sdl: sdl.into(),
        })
    }

    /// The API as SDL.
    pub fn sdl(&self) -> &str {
        &self.sdl
    }

    /// Runs one request.
    pub async fn execute(&self, request: Request) -> Response {
        self.execute_on(request, &Terms::default()).await
    }

    /// Runs one request on the terms that hold for whoever asks.
    pub async fn execute_on(&self, request: Request, terms: &Terms<'_>) -> Response {
        let time = self.settings.limits.time;
        match tokio::time::timeout(time, self.run(request, terms)).await {
            Ok(response) => response,
            Err(_) => Response::too_late(time),
        }
    }

    /// Whether the operation that a request would run is a mutation. A document that cannot be parsed
    /// is none: running it says what is wrong with it. One that does not fit this schema may fit the
    /// next, so that its text alone decides.
    pub fn is_mutation(&self, query: &str, operation_name: Option<&str>) -> bool {
        match self.prepare(query, operation_name) {
            Ok(plan) => plan.is_mutation,
            Err(_) => parse::is_mutation(query, operation_name, &self.settings.limits),
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
        let refuse = |errors: Vec<GraphqlError>| {
            let messages: Vec<String> = errors.into_iter().map(|error| error.message).collect();
            Error::invalid(format!("failed to plan the query: {}", messages.join("; ")))
        };
        let plan =
            self.prepare(&request.query, request.operation_name.as_deref()).map_err(refuse)?;
        let (engine, plan) = self.direct(&plan);
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
        match self.prepare(&request.query, request.operation_name.as_deref()) {
            Ok(plan) => {
                let (engine, plan) = self.direct(&plan);
                engine.answer(plan, request, &self.settings.limits, terms).await
            }
            Err(errors) => Response::refusal(&terms.told(errors)),
        }
    }

    /// Who runs a plan, and the plan as they have it: what asks the tables alone, the tables' engine.
    fn direct<'a>(&'a self, plan: &'a Plan) -> (&'a Engine, &'a Plan) {
        match (&self.tables, &plan.direct) {
            (Some(tables), Some(direct)) => (tables, direct),
            _ => (self, plan),
        }
    }

    /// Runs a plan within the limits of the engine that took the request.
    async fn answer(
        &self,
        plan: &Plan,
        request: Request,
        limits: &Limits,
        terms: &Terms<'_>,
    ) -> Response {
        let variables = match self.variables(plan, &request.variables, limits) {
            Ok(variables) => variables,
            Err(errors) => return Response::refusal(&errors),
        };
        let allowed = terms
            .check(plan)
            .and_then(|()| self.check_names(plan))
            .and_then(|()| self.check_cost(plan, &variables, limits.cost));
        if let Err(error) = allowed.and_then(terms.charge) {
            return Response::refusal(&[error]);
        }
        (terms.used)(&plan.usage);
        let session = Session::new(self, plan, variables, request.principal, request.headers);
        if let (Some(route), Data::Services(services)) = (&plan.route, &self.data) {
            let answers = service::run(&session, route, services).await;
            return respond_routed(&session, route, answers);
        }
        let fetched = fetch(&session).await;
        respond(&session, &fetched)
    }

    /// parse → validate → plan, or the plan that is kept.
    fn prepare(
        &self,
        text: &str,
        operation_name: Option<&str>,
    ) -> std::result::Result<Arc<Plan>, Vec<GraphqlError>> {
        let hash = DocumentHash::of(text, operation_name);
        if let Some(plan) = self.plans.get(&hash) {
            return Ok(plan);
        }
        let limits = &self.settings.limits;
        let document = parse::parse(&self.api_schema, text, limits)?;
        let valid = validate::validate(&self.api_schema, document, operation_name, limits)?;
        let mut plan = plan(&self.api_schema, &self.implementers, &self.backend, &valid, limits)
            .map_err(|error| vec![error])?;
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
