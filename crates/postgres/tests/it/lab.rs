//! A table with a column of every type, in a database of its own and in memory. In: rows. Out: both, filled
//! through `Write`. Not here: questions.

use std::sync::Arc;

use base::rng::Rng;
use base::{Clock, Principal};
use frame::convert::{batch_of, rows_of};
use frame::{
    DataType, Field, MemoryTable, MemoryTables, Scan, ScanRequest, Value, Write, WriteOp,
    WriteRequest,
};
use futures::TryStreamExt as _;
use postgres::{Column, Connection, Database, Settings, Table, Tables};
use testkit::Postgres;

/// The table, with the types that databases really have.
const TABLE: &str = "
CREATE TYPE mood AS ENUM ('sad', 'ok', 'Glad');
CREATE DOMAIN small AS int2 CHECK (VALUE > -1000);
CREATE SCHEMA odd;
CREATE COLLATION odd.loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE odd.\"Thing s\" (
  id int4 PRIMARY KEY,
  i small, l int8, f float8, r float4, d numeric(12, 2), s text COLLATE \"und-x-icu\", w text COLLATE odd.loose, c char(4),
  b boolean, day date, at timestamptz, plain timestamp, u uuid, bin bytea,
  tags text[] COLLATE odd.loose, marks mood[], mood mood, number int8, js jsonb
);
CREATE INDEX ON odd.\"Thing s\" (s);
";

/// The fields, with what the database calls their columns.
pub(crate) fn fields() -> Vec<Field> {
    let list = |item| DataType::List { item: Box::new(item), nullable: true };
    let of = |name: &str, data_type| Field::new(name, data_type, name != "id");
    vec![
        of("id", DataType::Int),
        of("i", DataType::Int),
        of("l", DataType::Long),
        of("f", DataType::Float),
        of("r", DataType::Float),
        of("d", DataType::Decimal { precision: 14, scale: 3 }),
        of("s", DataType::String),
        // Here texts that differ in case only are one to the database.
        of("w", DataType::String),
        of("c", DataType::String),
        of("b", DataType::Boolean),
        of("day", DataType::Date),
        of("at", DataType::DateTime),
        of("plain", DataType::DateTime),
        of("u", DataType::Uuid),
        of("bin", DataType::Bytes),
        of("tags", list(DataType::String)),
        of("marks", list(DataType::String)),
        of("mood", DataType::String),
        // A number that text stands for, as keys often are.
        of("number", DataType::String),
        of("js", DataType::Json),
    ]
}

/// The table as the database calls it.
pub(crate) fn table() -> Table {
    let column = |field: Field| Column { column: Arc::clone(&field.name), field };
    Table {
        name: "Thing".into(),
        relation: Some("odd.Thing s".into()),
        columns: fields().into_iter().map(column).collect(),
        key: vec!["id".into()],
    }
}

/// Both places of the table.
pub(crate) struct Lab {
    pub(crate) server: &'static Postgres,
    pub(crate) url: String,
    pub(crate) database: Tables,
    pub(crate) memory: MemoryTables,
}

/// The database that a URL of the tests names.
pub(crate) fn open(url: &str, settings: Settings) -> Arc<Database> {
    let (_, rest) = url.split_once('@').expect("a user");
    let connection = Connection {
        url: format!("postgres://{rest}"),
        user: Some("headwater".to_owned()),
        password: None,
        roots: None,
        identity: None,
    };
    Arc::new(Database::new(&connection, settings).expect("an address"))
}

impl Lab {
    /// Empty tables; `None` when Postgres is not installed.
    pub(crate) fn empty() -> Option<Lab> {
        let server = Postgres::shared()?;
        let url = server.new_database();
        server.execute(&url, TABLE);
        let settings = Settings { writable: true, connections: 4, ..Settings::default() };
        let database = Tables::new(open(&url, settings), [table()]);
        let memory = MemoryTables::new(Clock::system());
        memory.add(MemoryTable::new("Thing", fields(), &["id"]).expect("a table"));
        Some(Lab { server, url, database, memory })
    }

    /// Tables with random rows.
    pub(crate) async fn filled(rng: &Rng, count: i64) -> Option<Lab> {
        let lab = Lab::empty()?;
        let rows: Vec<Vec<Value>> = (0..count).map(|id| row(rng, id)).collect();
        lab.write(WriteOp::Insert(vec![batch_of(&fields(), &rows).expect("a batch")])).await;
        Some(lab)
    }

    /// Makes a change in both places.
    pub(crate) async fn write(&self, op: WriteOp) {
        let request = || WriteRequest {
            table: "Thing".into(),
            op: op.clone(),
            idempotency_key: None,
            principal: Principal::local(),
        };
        let there = self.database.write(request()).await.expect("a change of the database");
        let here = self.memory.write(request()).await.expect("a change in memory");
        assert_eq!(there.rows, here.rows);
    }
}

/// The rows of an answer.
pub(crate) async fn rows(tables: &dyn Scan, request: ScanRequest) -> base::Result<Vec<Vec<Value>>> {
    let columns = match &request.aggregate {
        Some(asked) => asked.columns(&request)?,
        None => {
            let all = fields();
            let field = |name: &Arc<str>| all.iter().find(|field| field.name == *name).cloned();
            request.fields.iter().map(|name| field(name).expect("a field")).collect()
        }
    };
    let batches: Vec<_> = tables.scan(request).await?.try_collect().await?;
    let rows = batches.iter().map(|batch| rows_of(batch, &columns));
    Ok(rows.collect::<base::Result<Vec<_>>>()?.into_iter().flatten().collect())
}

/// A value of a field from few, so that values meet.
pub(crate) fn value(rng: &Rng, field: &Field) -> Value {
    if field.nullable && rng.below(5) == 0 {
        return Value::Null;
    }
    let some = |list: &[&str]| list[rng.below(list.len() as u64) as usize].to_owned();
    match (field.name.as_ref(), &field.data_type) {
        ("c", _) => Value::from(some(&["ab", "Ab", "b", "zz"]).as_str()),
        ("mood", _) => Value::from(some(&["sad", "ok", "Glad"]).as_str()),
        ("number", _) => Value::from(some(&["7", "10", "-3", "9000000000"]).as_str()),
        ("marks", _) => {
            let marks = ["sad", "ok", "Glad"][rng.below(3) as usize..].iter();
            Value::List(marks.map(|mark| Value::from(*mark)).collect())
        }
        (_, DataType::Boolean) => Value::Boolean(rng.below(2) == 0),
        (_, DataType::Int) => Value::Int(rng.below(7) as i64 - 3),
        (_, DataType::Long) => {
            Value::Int([0, 1, -1, 5_000_000_000, i64::MAX][rng.below(5) as usize])
        }
        // Halves: their sums are exact in whatever order they are added.
        (_, DataType::Float) => match rng.below(12) {
            0 => Value::Float(f64::NAN),
            half => Value::Float(half as f64 / 2.0 - 2.0),
        },
        (_, DataType::Decimal { scale, .. }) => {
            Value::Decimal { unscaled: (i128::from(rng.below(900)) - 450) * 10, scale: *scale }
        }
        (_, DataType::String) => {
            Value::from(some(&["", "a", "A", "ab", "b%_", "é", "Z", "a\"b'", "😀"]).as_str())
        }
        (_, DataType::Date) => Value::Date(rng.below(800) as i32 - 400),
        (_, DataType::DateTime) => {
            Value::DateTime((rng.below(40) as i64 - 20) * 77_777_777_777 + 1)
        }
        (_, DataType::Uuid) => Value::Uuid(uuid::Uuid::from_u128(u128::from(rng.below(4)) << 90)),
        (_, DataType::Bytes) => {
            Value::Bytes(vec![rng.below(3) as u8; rng.below(3) as usize].into())
        }
        (_, DataType::List { .. }) => {
            let items = (0..rng.below(3)).map(|_| match rng.below(4) {
                0 => Value::Null,
                _ => Value::from(some(&["a", "B", "", "x y"]).as_str()),
            });
            Value::List(items.collect())
        }
        (_, _) => Value::Json(some(&["{\"a\": 1}", "[1, null]", "\"x\""]).into()),
    }
}

fn row(rng: &Rng, id: i64) -> Vec<Value> {
    let values = fields().into_iter().map(|field| match field.name.as_ref() {
        "id" => Value::Int(id),
        _ => value(rng, &field),
    });
    values.collect()
}
