//! What is fuzzed, and what must hold whatever comes in.
//!
//! In: a kind and an input. Out: whether everything that must hold does. A panic is for the caller to see,
//! and so is an input that never ends. Not here: where inputs come from.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base::{Clock, Principal, Timestamp};
use bytes::Bytes;
use frame::{Field, MemoryTable, MemoryTables};
use futures::future::BoxFuture;
use mesh::{CallError, Engine, Limits, Record, Request, Response, Service, ServiceCall, Settings};
use parking_lot::Mutex;
use schema::{Schema, Sources};
use serde_json::Value as Json;

/// An input that takes longer than this is found, too: the limits let nothing near it.
const LONGEST: Duration = Duration::from_secs(20);

/// Bytes of an answer.
const ANSWER: usize = 1 << 20;

/// What an input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A GraphQL document.
    Documents,
    /// The values of variables of known documents, as JSON.
    Variables,
    /// A module of a schema, or the SDL of a service.
    Sdl,
    /// The body of a client's request.
    Requests,
    /// The body of a service's answer.
    Answers,
}

impl Kind {
    pub(crate) const ALL: [Kind; 5] =
        [Kind::Documents, Kind::Variables, Kind::Sdl, Kind::Requests, Kind::Answers];

    /// The name of its folder in `tests/fuzz`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Documents => "documents",
            Kind::Variables => "variables",
            Kind::Sdl => "sdl",
            Kind::Requests => "requests",
            Kind::Answers => "answers",
        }
    }
}

/// A service that answers what it is told to.
struct Told(Arc<Mutex<Bytes>>);

impl Service for Told {
    fn call<'a>(&'a self, _: ServiceCall<'a>) -> BoxFuture<'a, Result<Bytes, CallError>> {
        let answer = self.0.lock().clone();
        Box::pin(async move { Ok(answer) })
    }
}

/// Engines that inputs are given to.
pub(crate) struct Targets {
    engine: Engine,
    answer: Arc<Mutex<Bytes>>,
}

/// What services say when answers are not what is fuzzed.
const ANSWER_OF_ALL: &str = r#"{"data":{"topReviews":[{"__typename":"Review","id":"1","text":"a","of":
    {"__typename":"Film","id":"f1"}}],"_entities":[{"__typename":"Film","id":"f1","rating":3,"reviews":[]}]}}"#;

/// Documents whose variables are fuzzed.
const ASKED: [&str; 4] = [
    "query($w: FilmWhere, $o: [FilmOrder!], $n: Int, $a: String) {
       films(where: $w, orderBy: $o, first: $n, after: $a) { totalCount nodes { id title rating } } }",
    "query($w: FilmWhere, $by: [ID!]) { a: films(where: {and: [$w, {id: {in: $by}}]}) { nodes { id } } }",
    "mutation($i: FilmInput!, $k: String) { upsertFilm(input: $i, idempotencyKey: $k) { node { id stars extra } } }",
    "mutation($i: [FilmInput!]!) { createFilms(inputs: $i) { count nodes { id studio { name } } } }",
];

/// The document that asks services of everything.
const ROUTED: &str =
    "{ topReviews { __typename id text of { id title year rating reviews { id text } } }
    films(first: 2) { nodes { id rating reviews { text of { title } } } } }";

impl Targets {
    /// Engines over a schema with tables and a service.
    pub(crate) fn new() -> Result<Targets, String> {
        let sources = Sources::from_texts([("films.graphql", FILMS), ("reviews.graphql", REVIEWS)]);
        let schema = schema::compile(&sources);
        let schema = schema.map_err(|diagnostics| diagnostics.render(&sources, false))?;
        let answer = Arc::new(Mutex::new(Bytes::from_static(ANSWER_OF_ALL.as_bytes())));
        let service: Arc<dyn Service> = Arc::new(Told(Arc::clone(&answer)));
        let engine = engine(Arc::new(schema), vec![service])?;
        Ok(Targets { engine, answer })
    }

    /// Gives an input to those who take its kind.
    pub(crate) async fn run(&self, kind: Kind, input: &str) -> Result<(), String> {
        let began = Instant::now();
        match kind {
            Kind::Documents => self.ask(Request::new(input, Principal::local())).await?,
            Kind::Variables => self.variables(input).await?,
            Kind::Sdl => sdl(input)?,
            Kind::Requests => self.request(input).await?,
            Kind::Answers => self.answered(input).await?,
        }
        match began.elapsed() {
            took if took > LONGEST => Err(format!("it took {:.1} s", took.as_secs_f64())),
            _ => Ok(()),
        }
    }

    async fn ask(&self, request: Request) -> Result<(), String> {
        let record = Record::new(None, true);
        let request = Request { recorder: record.recorder(), ..request };
        // Explaining and running must both be safe.
        let explained = self.engine.explain(&request);
        drop(explained);
        let response = self.engine.execute(request).await;
        check(&response)
    }

    async fn variables(&self, input: &str) -> Result<(), String> {
        let Ok(Json::Object(variables)) = serde_json::from_str(input) else { return Ok(()) };
        for document in ASKED {
            let request = Request::new(document, Principal::local());
            self.ask(Request { variables: variables.clone(), ..request }).await?;
        }
        Ok(())
    }

    async fn request(&self, input: &str) -> Result<(), String> {
        match Request::from_json(input.as_bytes(), Principal::local()) {
            Ok(request) => self.ask(request).await,
            Err(_) => Ok(()),
        }
    }

    async fn answered(&self, input: &str) -> Result<(), String> {
        let before =
            std::mem::replace(&mut *self.answer.lock(), Bytes::copy_from_slice(input.as_bytes()));
        let result = self.ask(Request::new(ROUTED, Principal::local())).await;
        *self.answer.lock() = before;
        result
    }
}

/// What must hold of every answer.
fn check(response: &Response) -> Result<(), String> {
    let answer = response.json().map_err(|error| format!("the answer is not JSON: {error}"))?;
    let errors = answer.get("errors").and_then(Json::as_array).map_or(0, Vec::len);
    if response.body.len() > ANSWER + (256 << 10) {
        return Err(format!("the answer has {} bytes", response.body.len()));
    }
    if response.refused && (answer.get("data").is_some() || errors == 0) {
        return Err(format!("a refusal has data, or no error: {answer}"));
    }
    if !response.refused && !response.timed_out && answer.get("data").is_none() {
        return Err(format!("an answer has no data: {answer}"));
    }
    for error in answer["errors"].as_array().into_iter().flatten() {
        // A value of a service that is not of its type is no fault of ours, and names the service.
        if error["extensions"]["code"] == "INTERNAL" && error["extensions"]["source"].is_null() {
            return Err(format!("an error of ours: {error}"));
        }
    }
    Ok(())
}

/// A module that compiles has an API, and says the same again.
fn sdl(input: &str) -> Result<(), String> {
    for file in [("films.graphql", FILMS), ("reviews.graphql", REVIEWS)] {
        let sources = Sources::from_texts([("a.graphql", input), file]);
        compiled(&sources)?;
    }
    compiled(&Sources::from_texts([("a.graphql", input)]))
}

fn compiled(sources: &Sources) -> Result<(), String> {
    let schema = match schema::compile(sources) {
        Ok(schema) => schema,
        Err(diagnostics) => {
            // Whoever wrote it reads this.
            let told = diagnostics.render(sources, false);
            return if told.is_empty() { Err("nothing is said".to_owned()) } else { Ok(()) };
        }
    };
    let nothing = Arc::new(Mutex::new(Bytes::new()));
    let services = schema.services.iter();
    let services: Vec<Arc<dyn Service>> =
        services.map(|_| Arc::new(Told(Arc::clone(&nothing))) as Arc<dyn Service>).collect();
    engine(Arc::new(schema), services).map(drop)
}

fn engine(schema: Arc<Schema>, services: Vec<Arc<dyn Service>>) -> Result<Engine, String> {
    let start = Timestamp::from_micros(1_700_000_000_000_000);
    let tables = tables(&schema, Clock::fixed(start))?;
    let limits = Limits {
        cost: 50_000.0,
        response_bytes: ANSWER,
        time: Duration::from_secs(5),
        ..Limits::default()
    };
    let settings = Settings { limits, clock: Clock::fixed(start), ..Settings::default() };
    Engine::federated(schema, Arc::new(tables), services, settings)
        .map_err(|error| format!("a schema that compiles has no API: {error}"))
}

fn tables(schema: &Schema, clock: Clock) -> Result<MemoryTables, String> {
    let tables = MemoryTables::new(clock);
    for (_, object, spec) in schema.tables() {
        let fields = object.columns().map(|(field, column)| {
            Field::new(field.name.clone(), column.data_type.clone(), field.nullable)
        });
        let key: Vec<&str> = spec.key.iter().map(|id| object.field(*id).name.as_ref()).collect();
        let table = MemoryTable::new(&object.name, fields.collect(), &key);
        tables.add(table.map_err(|error| format!("a table cannot be: {error}"))?);
    }
    Ok(tables)
}

/// Tables of the fuzzed API.
pub(crate) const FILMS: &str = include_str!("films.graphql");
/// The service beside them.
pub(crate) const REVIEWS: &str = include_str!("reviews.graphql");
/// What such a service answers.
pub(crate) const ANSWERED: &str = ANSWER_OF_ALL;
