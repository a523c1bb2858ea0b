//! A lake in a temporary folder, types to fill it with, and a plain reader that knows nothing of
//! how the lake reads: data files and position deletes, row by row.

use std::path::Path;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use base::rng::Rng;
use base::{Clock, Place, Principal, Result, Team, Timestamp};
use frame::{DataType, Field, Value, Write, WriteOp, WriteReceipt, WriteRequest};
use futures::TryStreamExt;
use indexmap::IndexMap;
use lake::store::{LocalStore, S3Keys, S3Options};
use lake::{CommitInfo, Config, Lake, Limits, StagedFiles};
use schema::plan::Step;
use schema::{
    Bucket, ColumnSpec, FieldDef, FieldId, FieldKind, Module, ObjectKind, ObjectType, OrderBy,
    PartitionField, PartitionTransform, Schema, TableFormat, TableSpec,
};

/// The moment at which every test begins.
pub(crate) const START: &str = "2026-11-23T08:00:00Z";

/// A lake in a folder of its own.
pub(crate) struct Lab {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) lake: Lake,
    pub(crate) clock: Clock,
}

impl Lab {
    /// A lake whose tables are made for all types of the schema.
    pub(crate) async fn new(types: Vec<ObjectType>) -> Lab {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::fixed(Timestamp::parse(START).unwrap());
        let schema = Arc::new(schema_of(types));
        let lake = open(folder.path(), Arc::clone(&schema), &clock, 1).await;
        create_tables(&lake).await;
        Lab { folder, lake, clock }
    }

    /// Likewise on PostgreSQL and an S3 server; `None` when they are not installed.
    pub(crate) async fn on_servers(types: Vec<ObjectType>) -> Option<Lab> {
        let (postgres, seaweed) = (testkit::Postgres::shared()?, testkit::Seaweed::shared()?);
        let clock = Clock::fixed(Timestamp::parse(START).unwrap());
        let place = format!("s3://{}/lab", seaweed.new_bucket());
        let objects = lake::store::open_s3(&place, &s3_options(&seaweed.endpoint())).await.unwrap();
        let database = meta::Database::open(&postgres.new_database()).await.unwrap();
        let schema = Arc::new(schema_of(types));
        let lake = open_on(objects, database, schema, &clock, 1).await;
        create_tables(&lake).await;
        Some(Lab { folder: tempfile::tempdir().unwrap(), lake, clock })
    }

    /// Another handle on the same folder, as another process has it.
    pub(crate) async fn other(&self, seed: u64) -> Lake {
        open(self.folder.path(), self.lake.schema(), &self.clock, seed).await
    }

    /// Stages rows.
    pub(crate) async fn stage(&self, type_name: &str, rows: &[Vec<Value>]) -> StagedFiles {
        stage(&self.lake, type_name, rows).await
    }

    /// The table's rows, sorted.
    pub(crate) async fn rows(&self, type_name: &str) -> Vec<Vec<Value>> {
        rows(&self.lake, type_name).await
    }
}

/// How the test's object store is reached.
fn s3_options(endpoint: &str) -> S3Options {
    let keys = S3Keys {
        id: testkit::seaweed::KEY_ID.into(),
        secret: base::Secret::new(testkit::seaweed::KEY),
        token: None,
    };
    S3Options {
        endpoint: Some(endpoint.into()),
        region: "us-east-1".into(),
        keys: Some(keys),
        bucket_in_host: false,
        request: std::time::Duration::from_secs(20),
        patience: std::time::Duration::from_secs(45),
    }
}

async fn create_tables(lake: &Lake) {
    let schema = lake.schema();
    for (name, _) in &schema.types {
        let step = Step::CreateTable { type_name: Arc::clone(name) };
        lake.execute_step(&step, &schema_of(vec![]), &schema, &|_| {}).await.unwrap();
    }
}

/// Opens a lake over a folder.
pub(crate) async fn open(folder: &Path, schema: Arc<Schema>, clock: &Clock, seed: u64) -> Lake {
    let objects = Arc::new(LocalStore::open(&folder.join("objects")).unwrap());
    open_over(folder, objects, schema, clock, seed).await
}

/// Likewise, with its objects in a store of the caller's.
pub(crate) async fn open_over(
    folder: &Path,
    objects: Arc<dyn object_store::ObjectStore>,
    schema: Arc<Schema>,
    clock: &Clock,
    seed: u64,
) -> Lake {
    let url = format!("sqlite://{}", folder.join("meta.db").display());
    let database = meta::Database::open(&url).await.unwrap();
    open_on(objects, database, schema, clock, seed).await
}

async fn open_on(
    objects: Arc<dyn object_store::ObjectStore>,
    database: meta::Database,
    schema: Arc<Schema>,
    clock: &Clock,
    seed: u64,
) -> Lake {
    let config = Config {
        warehouse: "test".into(),
        objects,
        database,
        clock: clock.clone(),
        rng: Rng::seeded(seed),
        limits: Limits::default(),
        compact: true,
        tends: true,
        retain: std::time::Duration::from_secs(7 * 24 * 3600),
        snapshots: None,
    };
    Lake::open(config, schema).await.unwrap()
}

/// A schema of these types in one module.
pub(crate) fn schema_of(types: Vec<ObjectType>) -> Schema {
    Schema {
        modules: vec![Module {
            name: "test".into(),
            owner: Team::new("tests"),
            file: "test.graphql".into(),
            text: "".into(),
        }],
        types: types.into_iter().map(|object| (Arc::clone(&object.name), object)).collect(),
        enums: IndexMap::new(),
        services: Vec::new(),
        graph: None,
        holder: schema::Holder::Lake,
        fingerprint: "test".into(),
    }
}

fn place() -> Place {
    Place { file: "test.graphql".into(), line: 1, column: 1 }
}

/// A table type without a key.
pub(crate) fn object(name: &str, table: &str, fields: &[(&str, DataType, bool)]) -> ObjectType {
    let fields = fields.iter().map(|(name, data_type, nullable)| {
        (Arc::from(*name), column(name, data_type.clone(), *nullable))
    });
    ObjectType {
        name: name.into(),
        description: None,
        module: 0,
        owner: Team::new("tests"),
        kind: ObjectKind::Table(TableSpec {
            format: TableFormat::Iceberg,
            name: table.into(),
            plural: None,
            relation: None,
            elsewhere: false,
            key: Vec::new(),
            bucket: None,
            partition: Vec::new(),
            sort: Vec::new(),
            retain: None,
        }),
        fields: fields.collect(),
        was: Vec::new(),
        policy: schema::Policy::default(),
        place: place(),
    }
}

/// A stored field.
pub(crate) fn column(name: &str, data_type: DataType, nullable: bool) -> FieldDef {
    FieldDef {
        name: name.into(),
        description: None,
        kind: FieldKind::Column(ColumnSpec {
            column: name.into(),
            data_type,
            enum_name: None,
            embedded: None,
            is_id: false,
            default: None,
        }),
        nullable,
        arguments: Vec::new(),
        was: Vec::new(),
        search: false,
        vector: None,
        cost: None,
        list_size: None,
        deprecated: None,
        policy: schema::Policy::default(),
        place: place(),
    }
}

fn id(object: &ObjectType, field: &str) -> FieldId {
    object.field_named(field).unwrap().0
}

fn spec(object: &mut ObjectType) -> &mut TableSpec {
    match &mut object.kind {
        ObjectKind::Table(spec) => spec,
        ObjectKind::Embedded => panic!("not a table"),
    }
}

/// Gives a type a key.
pub(crate) fn keyed(mut object: ObjectType, key: &[&str]) -> ObjectType {
    let key = key.iter().map(|field| id(&object, field)).collect();
    spec(&mut object).key = key;
    object
}

/// Gives a type buckets.
pub(crate) fn bucketed(mut object: ObjectType, by: &str, count: u32) -> ObjectType {
    let by = id(&object, by);
    spec(&mut object).bucket = Some(Bucket { by, count });
    object
}

/// Gives a type a partition.
pub(crate) fn partitioned(
    mut object: ObjectType,
    by: &str,
    transform: PartitionTransform,
) -> ObjectType {
    let field = id(&object, by);
    spec(&mut object).partition.push(PartitionField { field, transform });
    object
}

/// Gives a type an order.
pub(crate) fn sorted(mut object: ObjectType, by: &str, descending: bool) -> ObjectType {
    let field = id(&object, by);
    spec(&mut object).sort.push(OrderBy { field, descending });
    object
}

/// Puts a type into the Lance format.
pub(crate) fn lance(mut object: ObjectType) -> ObjectType {
    spec(&mut object).format = TableFormat::Lance;
    object
}

/// Films with a key, in four buckets.
pub(crate) fn film() -> ObjectType {
    let fields = [
        ("id", DataType::String, false),
        ("title", DataType::String, false),
        ("year", DataType::Int, true),
    ];
    bucketed(keyed(object("Film", "films", &fields), &["id"]), "id", 4)
}

/// Plays without a key, by day.
pub(crate) fn play() -> ObjectType {
    let fields = [
        ("filmId", DataType::String, false),
        ("at", DataType::DateTime, false),
        ("seconds", DataType::Int, true),
    ];
    let object = sorted(object("Play", "plays", &fields), "at", false);
    partitioned(object, "at", PartitionTransform::Day)
}

/// The stored fields of a type.
pub(crate) fn fields_of(object: &ObjectType) -> Vec<Field> {
    let columns = object.columns();
    columns
        .map(|(field, column)| {
            Field::new(Arc::clone(&field.name), column.data_type.clone(), field.nullable)
        })
        .collect()
}

/// A batch of a type with these rows.
pub(crate) fn batch(lake: &Lake, type_name: &str, rows: &[Vec<Value>]) -> RecordBatch {
    let schema = lake.schema();
    let fields = fields_of(schema.type_named(type_name).unwrap().1);
    frame::convert::batch_of(&fields, rows).unwrap()
}

/// Stages rows.
pub(crate) async fn stage(lake: &Lake, type_name: &str, rows: &[Vec<Value>]) -> StagedFiles {
    let mut stage = lake.stage(type_name).await.unwrap();
    stage.write(batch(lake, type_name, rows)).await.unwrap();
    stage.finish().await.unwrap()
}

/// Makes one small change.
pub(crate) async fn write(lake: &Lake, type_name: &str, op: WriteOp) -> Result<WriteReceipt> {
    let table = type_name.into();
    let principal = Principal::local();
    lake.write(WriteRequest { table, op, idempotency_key: None, principal }).await
}

/// Who commits in tests.
pub(crate) fn info(summary: &str) -> CommitInfo {
    CommitInfo { author: "ada".into(), summary: summary.into(), ..CommitInfo::default() }
}

/// A film.
pub(crate) fn row(id: &str, title: &str, year: i64) -> Vec<Value> {
    vec![id.into(), title.into(), year.into()]
}

/// All rows of the present snapshot, sorted.
pub(crate) async fn rows(lake: &Lake, type_name: &str) -> Vec<Vec<Value>> {
    let table = lake.table(type_name).await.unwrap();
    let metadata = table.iceberg().unwrap();
    let snapshot = metadata.current_snapshot().cloned();
    let mut all = rows_at(lake, type_name, snapshot.as_deref()).await;
    all.sort();
    all
}

/// All rows of a snapshot, in the order of the files.
pub(crate) async fn rows_at(
    lake: &Lake,
    type_name: &str,
    snapshot: Option<&iceberg::spec::Snapshot>,
) -> Vec<Vec<Value>> {
    let schema = lake.schema();
    let fields = fields_of(schema.type_named(type_name).unwrap().1);
    let table = lake.table(type_name).await.unwrap();
    let content = lake.files().content(table.iceberg().unwrap(), snapshot).await.unwrap();
    let mut all = Vec::new();
    let columns = Arc::clone(table.iceberg().unwrap().current_schema());
    for file in &content.data {
        let deleted = lake.files().deleted(file).await.unwrap();
        let mut position = 0;
        let mut batches = lake.files().open(file.data()).await.unwrap().build().unwrap();
        while let Some(batch) = batches.try_next().await.unwrap() {
            for row in 0..batch.num_rows() {
                if !deleted.contains(&position) {
                    // Files know columns by id: a name is what a column had when they were written.
                    let value = |field: &Field| {
                        let id = columns.field_id_by_name(&field.name).unwrap().to_string();
                        let fields = batch.schema();
                        let is = |column: &arrow::datatypes::FieldRef| {
                            column.metadata().get("PARQUET:field_id") == Some(&id)
                        };
                        let Some(place) = fields.fields().iter().position(is) else {
                            return Value::Null;
                        };
                        let column = batch.column(place);
                        frame::convert::value_at(column.as_ref(), row, &field.data_type).unwrap()
                    };
                    all.push(fields.iter().map(value).collect::<Vec<_>>());
                }
                position += 1;
            }
        }
    }
    all
}

/// One of several, at random.
pub(crate) fn pick<'a, T>(rng: &Rng, choices: &'a [T]) -> &'a T {
    &choices[rng.below(choices.len() as u64) as usize]
}
