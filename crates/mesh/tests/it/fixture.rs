//! The films of `tests/graphql/fixture` in memory, behind an engine, with a count of scans.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use base::rng::Rng;
use base::{Clock, Principal, Result, Timestamp};
use frame::{
    BatchStream, ChangesRequest, Distance, Field, MemoryTable, MemoryTables, Scan, ScanRequest,
    State, Value, Write, WriteReceipt, WriteRequest,
};
use mesh::{Engine, Request, Response, Settings};
use schema::{FieldKind, Schema, Sources};
use serde_json::{Map, Value as Json, json};

/// `tests/graphql` of the repository.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/graphql")
}

fn read(file: &str) -> String {
    let path = folder().join("fixture").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The schema of the fixture.
pub(crate) fn schema() -> Arc<Schema> {
    compiled(&read("schema.graphql"))
}

/// A schema of one module.
pub(crate) fn compiled(sdl: &str) -> Arc<Schema> {
    let sources = Sources::from_texts([("catalog.graphql", sdl)]);
    match schema::compile(&sources) {
        Ok(schema) => Arc::new(schema),
        Err(diagnostics) => panic!("{}", diagnostics.render(&sources, false)),
    }
}

/// Empty tables for every table of a schema.
pub(crate) fn tables(schema: &Schema, clock: Clock) -> MemoryTables {
    let tables = MemoryTables::new(clock);
    for (_, object, spec) in schema.tables() {
        let fields: Vec<Field> = object
            .columns()
            .map(|(field, column)| {
                Field::new(field.name.clone(), column.data_type.clone(), field.nullable)
            })
            .collect();
        let key: Vec<&str> = spec.key.iter().map(|id| object.field(*id).name.as_ref()).collect();
        let mut table = MemoryTable::new(&object.name, fields, &key).expect("known fields");
        for field in object.fields.values() {
            if field.search {
                table = table.searchable(&field.name).expect("a stored field");
            }
            if let (Some(_), FieldKind::Column(_)) = (&field.vector, &field.kind) {
                table = table.vectors(&field.name, Distance::L2, vector).expect("a stored field");
            }
        }
        tables.add(table);
    }
    tables
}

fn vector(value: &Value) -> Option<Arc<[f32]>> {
    match value {
        Value::Vector(vector) => Some(vector.clone()),
        _ => None,
    }
}

/// Tables that count what is asked of them, and can be told to fail.
pub(crate) struct Counting {
    tables: MemoryTables,
    pub(crate) scans: AtomicUsize,
    pub(crate) counts: AtomicUsize,
    /// Looks at a table's present snapshot.
    pub(crate) looks: AtomicUsize,
    pub(crate) changes: AtomicUsize,
    pub(crate) broken: parking_lot::Mutex<Option<&'static str>>,
    pub(crate) fields: parking_lot::Mutex<Vec<Vec<Arc<str>>>>,
    pub(crate) requests: parking_lot::Mutex<Vec<ScanRequest>>,
}

impl Counting {
    /// Over these tables.
    pub(crate) fn over(tables: MemoryTables) -> Self {
        Counting {
            tables,
            scans: AtomicUsize::new(0),
            counts: AtomicUsize::new(0),
            looks: AtomicUsize::new(0),
            changes: AtomicUsize::new(0),
            broken: parking_lot::Mutex::new(None),
            fields: parking_lot::Mutex::default(),
            requests: parking_lot::Mutex::default(),
        }
    }
}

#[async_trait]
impl Scan for Counting {
    async fn scan(&self, request: ScanRequest) -> Result<BatchStream> {
        self.scans.fetch_add(1, Ordering::SeqCst);
        self.fields.lock().push(request.fields.clone());
        self.requests.lock().push(request.clone());
        if *self.broken.lock() == Some(request.table.as_ref()) {
            return Err(base::Error::new(base::Kind::Unavailable, "the disk is on fire"));
        }
        self.tables.scan(request).await
    }

    async fn count(&self, request: ScanRequest) -> Result<u64> {
        self.counts.fetch_add(1, Ordering::SeqCst);
        self.tables.count(request).await
    }

    async fn snapshot(&self, table: &str) -> Result<i64> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        self.tables.snapshot(table).await
    }

    async fn since(&self, table: &str, from: i64) -> Result<Vec<State>> {
        self.tables.since(table, from).await
    }

    async fn changes(&self, request: ChangesRequest) -> Result<BatchStream> {
        self.changes.fetch_add(1, Ordering::SeqCst);
        if *self.broken.lock() == Some(request.table.as_ref()) {
            return Err(base::Error::new(base::Kind::Corrupt, "the disk is on fire"));
        }
        self.tables.changes(request).await
    }
}

#[async_trait]
impl Write for Counting {
    async fn write(&self, request: WriteRequest) -> Result<WriteReceipt> {
        self.tables.write(request).await
    }
}

/// An engine over the filled fixture.
pub(crate) struct Fixture {
    pub(crate) engine: Arc<Engine>,
    pub(crate) source: Arc<Counting>,
    pub(crate) clock: Clock,
}

/// The filled fixture.
pub(crate) async fn fixture() -> Fixture {
    fixture_with(Settings::default()).await
}

/// Likewise, with settings.
pub(crate) async fn fixture_with(settings: Settings) -> Fixture {
    let schema = schema();
    let start = Timestamp::parse("2026-11-23T08:00:00Z").expect("a time");
    let clock = Clock::fixed(start);
    let source = Arc::new(Counting::over(tables(&schema, clock.clone())));
    let settings =
        Settings { cursor_key: [7; 32], clock: clock.clone(), rng: Rng::seeded(7), ..settings };
    let engine = Engine::with_settings(schema, source.clone(), settings).expect("a valid API");
    let fixture = Fixture { engine: Arc::new(engine), source, clock };
    fixture.fill().await;
    fixture
}

impl Fixture {
    async fn fill(&self) {
        let rows: Json = serde_json::from_str(&read("rows.json")).expect("JSON");
        for (list, type_name, verb) in [
            ("people", "Person", "create"),
            ("films", "Film", "create"),
            ("plays", "Play", "append"),
            ("seatList", "Seat", "create"),
        ] {
            let field = format!("{verb}{}{}", list[..1].to_uppercase(), &list[1..]);
            let query = format!(
                "mutation($rows: [{type_name}Input!]!) {{ {field}(inputs: $rows) {{ count }} }}"
            );
            let answer = self.ask_with(&query, json!({ "rows": rows[list] })).await;
            assert_eq!(answer["errors"], Json::Null, "{list}");
        }
        self.clock.advance(1_000_000);
        self.source.scans.store(0, Ordering::SeqCst);
        self.source.fields.lock().clear();
    }

    /// The answer to a query.
    pub(crate) async fn ask(&self, query: &str) -> Json {
        self.ask_with(query, json!({})).await
    }

    /// The answer to a query with variables.
    pub(crate) async fn ask_with(&self, query: &str, variables: Json) -> Json {
        let variables = match variables {
            Json::Object(variables) => variables,
            _ => Map::new(),
        };
        let request = Request { variables, ..Request::new(query, Principal::local()) };
        self.run(request).await.json().expect("JSON")
    }

    /// The response to a request.
    pub(crate) async fn run(&self, request: Request) -> Response {
        self.engine.execute(request).await
    }

    /// How many scans there were since the last time.
    pub(crate) fn scans(&self) -> usize {
        self.source.scans.swap(0, Ordering::SeqCst)
    }
}
