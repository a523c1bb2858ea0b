//! Runs requests: prepares a plan or finds it, fetches, responds.

use std::sync::Arc;

use apollo_compiler::collections::HashMap as ApolloMap;
use apollo_compiler::schema::Implementers;
use apollo_compiler::validation::Valid;
use apollo_compiler::{Name, Schema as ApiSchema};
use base::rng::Rng;
use base::{Clock, Error, Kind, Principal, Result};
use frame::{Evaluate, RowInterpreter};
use schema::Schema;
use schema::api::Api;
use serde_json::{Map, Value as Json};

use crate::error::GraphqlError;
use crate::fetch::cursor::CursorKey;
use crate::fetch::{Session, fetch};
use crate::input;
use crate::limits::Limits;
use crate::plan::cache::{DocumentHash, PlanCache};
use crate::plan::{Backend, Plan, explain, plan};
use crate::respond::respond;
use crate::source::{MediaStore, RootResolver, Source};
use crate::terms::Terms;
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
}

impl Request {
    /// A request without variables.
    pub fn new(query: impl Into<String>, principal: Principal) -> Self {
        Request { query: query.into(), operation_name: None, variables: Map::new(), principal }
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
        Ok(Request { query, operation_name, variables, principal })
    }
}

/// One GraphQL answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// The JSON, as it goes over the wire.
    pub body: Vec<u8>,
    /// Whether the request was refused before anything ran: there is no `data`.
    pub refused: bool,
    /// How many items `errors` has.
    pub errors: usize,
    /// Whether all errors are [`Kind::Stale`] and every root field is null: nothing was done, and the
    /// same request may be made of a newer engine.
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
        Response { body, refused: true, errors: errors.len(), stale }
    }
}

/// What answers root fields.
pub(crate) enum Data {
    Plain(Arc<dyn RootResolver>),
    Tables(Arc<dyn Source>),
}

/// Executes GraphQL for one schema.
pub struct Engine {
    pub(crate) api_schema: Valid<ApiSchema>,
    pub(crate) implementers: ApolloMap<Name, Implementers>,
    pub(crate) backend: Backend,
    pub(crate) data: Data,
    pub(crate) settings: Settings,
    pub(crate) cursors: CursorKey,
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
            Err(_) => Response::refusal(&[GraphqlError::new(
                Kind::LimitExceeded,
                format!("the request took longer than {} s", time.as_secs_f64()),
            )
            .with("hint", "a change may have been made: repeat it with its `idempotencyKey`")]),
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

    /// Shows how a request would be run, and its cost, without running it.
    pub fn explain(&self, request: &Request) -> Result<String> {
        let refuse = |errors: Vec<GraphqlError>| {
            let messages: Vec<String> = errors.into_iter().map(|error| error.message).collect();
            Error::invalid(format!("failed to plan the query: {}", messages.join("; ")))
        };
        let plan =
            self.prepare(&request.query, request.operation_name.as_deref()).map_err(refuse)?;
        let variables = self.variables(&plan, &request.variables).map_err(refuse)?;
        let cost = self.check_cost(&plan, &variables).map_err(|error| refuse(vec![error]))?;
        Ok(explain(&plan, &self.backend, cost))
    }

    async fn run(&self, request: Request, terms: &Terms<'_>) -> Response {
        let plan = match self.prepare(&request.query, request.operation_name.as_deref()) {
            Ok(plan) => plan,
            Err(errors) => return Response::refusal(&terms.told(errors)),
        };
        let variables = match self.variables(&plan, &request.variables) {
            Ok(variables) => variables,
            Err(errors) => return Response::refusal(&errors),
        };
        let allowed = terms
            .check(&plan)
            .and_then(|()| self.check_names(&plan))
            .and_then(|()| self.check_cost(&plan, &variables));
        if let Err(error) = allowed.and_then(terms.charge) {
            return Response::refusal(&[error]);
        }
        let session = Session::new(self, &plan, variables, request.principal);
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
        let plan = plan(&self.api_schema, &self.implementers, &self.backend, &valid, limits)
            .map_err(|error| vec![error])?;
        let plan = Arc::new(plan);
        self.plans.insert(hash, plan.clone());
        Ok(plan)
    }

    fn variables(
        &self,
        plan: &Plan,
        given: &Map<String, Json>,
    ) -> std::result::Result<input::Variables, Vec<GraphqlError>> {
        input::variables(&self.api_schema, &plan.variables, given).map_err(|errors| {
            let errors = errors.into_iter();
            errors.map(|error| GraphqlError::new(Kind::InvalidInput, error)).collect()
        })
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

    fn check_cost(
        &self,
        plan: &Plan,
        variables: &input::Variables,
    ) -> std::result::Result<f64, GraphqlError> {
        let cost = crate::plan::cost::cost(&self.api_schema, &plan.root, variables)?;
        let limit = self.settings.limits.cost;
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
