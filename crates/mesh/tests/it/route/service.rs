//! Sources of a graph in process, an engine over them, and what they were asked.

use std::sync::Arc;

use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Schema};
use base::Principal;
use bytes::Bytes;
use futures::future::BoxFuture;
use mesh::{CallError, Engine, Limits, Request, Service, ServiceCall, Settings};
use parking_lot::Mutex;
use schema::graph::Graph;
use serde_json::{Map, Value as Json, json};

use super::interpreter::{Answer, execute};
use super::world::World;

/// What the services of a graph share.
pub(super) struct Shared {
    pub(super) world: Mutex<Arc<World>>,
    /// Each call: the source's name, and the body.
    pub(super) calls: Mutex<Vec<(String, Json)>>,
    /// What was wrongly asked.
    pub(super) wrongs: Mutex<Vec<String>>,
    /// Sources that do not answer, and how.
    pub(super) failures: Mutex<Vec<(String, Failure)>>,
}

/// How a source fails.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    Refused,
    Text(String),
}

/// One source.
struct InProcess {
    index: usize,
    name: String,
    schema: Valid<Schema>,
    shared: Arc<Shared>,
}

impl Service for InProcess {
    fn call<'a>(&'a self, call: ServiceCall<'a>) -> BoxFuture<'a, Result<Bytes, CallError>> {
        Box::pin(async move { self.answer(&call.body) })
    }
}

impl InProcess {
    fn answer(&self, body: &[u8]) -> Result<Bytes, CallError> {
        let body: Json = serde_json::from_slice(body).expect("a request in JSON");
        self.shared.calls.lock().push((self.name.clone(), body.clone()));
        let failures = self.shared.failures.lock().clone();
        match failures.into_iter().find(|(name, _)| *name == self.name) {
            Some((_, Failure::Refused)) => {
                let error = CallError::new(base::Kind::Unavailable, "the connection is refused");
                return Err(error.caused_by("127.0.0.1:4001 is down"));
            }
            Some((_, Failure::Text(text))) => return Ok(text.into()),
            None => {}
        }
        let query = body["query"].as_str().expect("a text");
        let document = ExecutableDocument::parse_and_validate(&self.schema, query, "call.graphql");
        let document = match document {
            Ok(document) => document,
            Err(failed) => {
                self.wrongs(vec![format!("`{}` is asked\n{query}\n{}", self.name, failed.errors)]);
                return Ok(r#"{"errors":[{"message":"invalid"}]}"#.into());
            }
        };
        let declared = document.operations.iter().next().expect("an operation").variables.len();
        let variables = body["variables"].as_object().cloned().unwrap_or_default();
        if variables.len() > declared {
            self.wrongs(vec![format!("too many variables are passed on: {body}")]);
        }
        let world = self.shared.world.lock().clone();
        let answer = execute(&world, Some(self.index), &self.schema, &document, &variables);
        self.wrongs(answer.wrongs);
        let mut out = json!({"data": answer.data});
        if !answer.errors.is_empty() {
            let errors = answer.errors.into_iter();
            out["errors"] =
                errors.map(|(path, message)| json!({"message": message, "path": path})).collect();
        }
        Ok(out.to_string().into())
    }

    fn wrongs(&self, wrongs: Vec<String>) {
        self.shared.wrongs.lock().extend(wrongs);
    }
}

/// The schema that a federated source answers by.
fn executable(graph: &Graph, index: usize) -> Valid<Schema> {
    let source = &graph.sources[index];
    let types = source.schema.types.values();
    let keyed = types.filter(|ty| ty.is_object() && ty.directives().has("key"));
    let keyed: Vec<&str> = keyed.map(|ty| ty.name().as_str()).collect();
    let mut sdl = source.schema.to_string();
    let root = source.schema.root_operation(apollo_compiler::ast::OperationType::Query);
    if !keyed.is_empty() {
        let head = if root.is_some() { "extend type Query" } else { "type Query" };
        sdl.push_str(&format!(
            "\nscalar _Any\nunion _Entity = {}\n{head} {{ _entities(representations: [_Any!]!): [_Entity]! }}",
            keyed.join(" | ")
        ));
    }
    Schema::parse_and_validate(sdl, "source.graphql").expect("a source")
}

/// A graph with its services.
pub(super) struct Federation {
    pub(super) graph: Arc<Graph>,
    pub(super) shared: Arc<Shared>,
    pub(super) engine: Arc<Engine>,
}

impl Federation {
    pub(super) fn new(graph: Arc<Graph>) -> Self {
        let shared = Arc::new(Shared {
            world: Mutex::new(Arc::new(World::new(graph.clone(), 1, 0))),
            calls: Mutex::default(),
            wrongs: Mutex::default(),
            failures: Mutex::default(),
        });
        let services = (0..graph.sources.len()).map(|index| {
            let name = graph.sources[index].name.to_string();
            let schema = executable(&graph, index);
            let service = InProcess { index, name, schema, shared: shared.clone() };
            Arc::new(service) as Arc<dyn Service>
        });
        let time = std::time::Duration::from_secs(3_600);
        let (aliases, errors, fields) = (10_000, 10_000, 100_000);
        let limits =
            Limits { time, aliases, errors, fields, selections: 1_000_000, ..Limits::default() };
        let rng = base::rng::Rng::seeded(7);
        let settings = Settings { limits, rng, incremental: true, ..Settings::default() };
        let engine = Engine::over_graph(graph.clone(), services.collect(), settings);
        Federation { graph, shared, engine: Arc::new(engine.expect("an engine")) }
    }

    pub(super) fn set_world(&self, seed: u64, broken: u64) {
        *self.shared.world.lock() = Arc::new(World::new(self.graph.clone(), seed, broken));
    }

    /// The answer of the engine.
    pub(super) async fn ask(&self, text: &str, variables: &Map<String, Json>) -> Json {
        self.shared.calls.lock().clear();
        self.shared.wrongs.lock().clear();
        let request = Request::new(text, Principal::local());
        let request = Request { variables: variables.clone(), ..request };
        self.engine.execute(request).await.json().expect("JSON")
    }

    /// The answer of one service that has everything.
    pub(super) fn monolith(&self, text: &str, variables: &Map<String, Json>) -> Option<Answer> {
        let schema = &self.graph.api;
        let document =
            ExecutableDocument::parse_and_validate(schema, text, "query.graphql").ok()?;
        let world = self.shared.world.lock().clone();
        Some(execute(&world, None, schema, &document, variables))
    }
}
