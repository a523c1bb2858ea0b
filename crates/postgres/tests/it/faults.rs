//! What a database refuses, and what comes of one that fails: in words, and without its own words.

use std::sync::Arc;
use std::time::Duration;

use base::{Kind, Principal, error_chain};
use frame::convert::batch_of;
use frame::{
    DataType, Expr, Field, Nearest, NearestQuery, Scan, ScanRequest, Search, SnapshotRef, Value,
    Write, WriteOp, WriteRequest,
};
use postgres::{Column, Settings, Table, Tables};

use crate::lab::{Lab, open, rows, table};

fn request() -> ScanRequest {
    ScanRequest::new("Thing", ["id"], Principal::local())
}

fn put(id: i64, name: &str) -> WriteRequest {
    let fields = [Field::new("id", DataType::Int, false), Field::new("s", DataType::String, true)];
    let row = vec![Value::Int(id), Value::from(name)];
    WriteRequest {
        table: "Thing".into(),
        op: WriteOp::Insert(vec![batch_of(&fields, &[row]).expect("a batch")]),
        idempotency_key: None,
        principal: Principal::local(),
    }
}

async fn refused(tables: &Tables, request: ScanRequest) -> (Kind, String) {
    let error = rows(tables, request).await.expect_err("must be refused");
    (error.kind(), error_chain(&error).join(": "))
}

#[tokio::test]
async fn what_a_database_does_not_do_is_refused_in_words() {
    let Some(lab) = Lab::empty() else { return };
    let search = Some(Search { fields: Vec::new(), text: "x".to_owned() });
    let (kind, words) = refused(&lab.database, ScanRequest { search, ..request() }).await;
    assert_eq!(kind, Kind::Unsupported);
    assert!(words.contains("not searched by text"), "{words}");
    let query = NearestQuery::Vectors(vec![vec![1.0]]);
    let nearest = Some(Nearest { field: "id".into(), query, count: 1, exact: true });
    let (_, words) = refused(&lab.database, ScanRequest { nearest, ..request() }).await;
    assert!(words.contains("not searched by vectors"), "{words}");
    let (_, words) =
        refused(&lab.database, ScanRequest { at: Some(SnapshotRef::Id(7)), ..request() }).await;
    assert!(words.contains("no earlier states"), "{words}");
    let keyed = WriteRequest { idempotency_key: Some("k".into()), ..put(1, "a") };
    let error = lab.database.write(keyed).await.expect_err("must be refused");
    assert!(error.to_string().contains("remembers no keys"), "{error}");
    let (kind, _) = refused(&lab.database, ScanRequest { table: "No".into(), ..request() }).await;
    assert_eq!(kind, Kind::NotFound);
}

#[tokio::test]
async fn values_are_never_part_of_a_statement() {
    let Some(lab) = Lab::empty() else { return };
    let text = "'); DROP TABLE odd.\"Thing s\"; --\\ $1 \"";
    lab.database.write(put(1, text)).await.expect("a row");
    let field = || Expr::field("s", DataType::String);
    let literal = Expr::literal(Value::from(text), DataType::String);
    let predicate = Some(field().predicate(frame::BinaryOp::Eq, literal));
    let found = rows(&lab.database, ScanRequest { predicate, ..request() }).await.expect("rows");
    assert_eq!(found, [[Value::Int(1)]]);
    let nul = Some(field().is_in(vec![Value::from("a\0b")]));
    let (kind, _) = refused(&lab.database, ScanRequest { predicate: nul, ..request() }).await;
    assert_eq!(kind, Kind::InvalidInput);
}

#[tokio::test]
async fn a_database_that_is_only_read_is_only_read() {
    let Some(lab) = Lab::empty() else { return };
    let reader = Tables::new(open(&lab.url, Settings::default()), [table()]);
    let error = reader.write(put(1, "a")).await.expect_err("must be refused");
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (Kind::Denied, "rows of `Thing` are only read")
    );
    assert_eq!(reader.count(request()).await.expect("a count"), 0);
}

#[tokio::test]
async fn a_row_that_is_there_and_one_that_is_not_are_told_and_nothing_is_written() {
    let Some(lab) = Lab::empty() else { return };
    lab.database.write(put(1, "a")).await.expect("a row");
    let error = lab.database.write(put(1, "b")).await.expect_err("must be refused");
    assert_eq!(error.kind(), Kind::AlreadyExists);
    // The name of a constraint is the database's own affair.
    assert!(!error_chain(&error).join(" ").contains("pkey"), "{error}");
    let WriteOp::Insert(batches) = put(9, "c").op else { panic!("an insert") };
    let both = [put(1, "changed").op, WriteOp::Update(batches.clone())];
    let WriteOp::Insert(first) = &both[0] else { panic!("an insert") };
    let op = WriteOp::Update([first.clone(), batches].concat());
    let error = lab.database.write(WriteRequest { op, ..put(1, "") }).await.expect_err("no row 9");
    assert_eq!(error.kind(), Kind::NotFound);
    let all = ScanRequest::new("Thing", ["id", "s"], Principal::local());
    let found = rows(&lab.database, all).await.expect("rows");
    assert_eq!(found, [[Value::Int(1), Value::from("a")]]);
}

#[tokio::test]
async fn a_statement_ends_with_its_time_and_the_next_one_is_answered() {
    let Some(lab) = Lab::empty() else { return };
    lab.server.execute(&lab.url, "CREATE VIEW slow AS SELECT 1 AS id FROM pg_sleep(30)");
    let settings =
        Settings { timeout: Duration::from_millis(200), connections: 1, ..Settings::default() };
    let slow = Table { name: "Slow".into(), relation: Some("slow".into()), ..of_id() };
    let tables = Tables::new(open(&lab.url, settings), [slow, table()]);
    let asked = ScanRequest { table: "Slow".into(), ..request() };
    let (kind, words) = refused(&tables, asked).await;
    assert_eq!(
        (kind, words.as_str()),
        (Kind::Unavailable, "failed to read `Slow`: the statement took too long")
    );
    assert_eq!(tables.count(request()).await.expect("a count"), 0);
}

fn of_id() -> Table {
    let field = Field::new("id", DataType::Int, false);
    Table {
        name: "Thing".into(),
        relation: Some("odd.Thing s".into()),
        columns: vec![Column { column: "id".into(), field }],
        key: vec!["id".into()],
    }
}

#[tokio::test]
async fn a_lost_connection_and_a_changed_table_are_asked_again() {
    let Some(lab) = Lab::empty() else { return };
    lab.database.write(put(1, "a")).await.expect("a row");
    let wanted = || ScanRequest::new("Thing", ["id", "s"], Principal::local());
    assert_eq!(rows(&lab.database, wanted()).await.expect("rows").len(), 1);
    lab.server.disconnect_all(&lab.url);
    assert_eq!(rows(&lab.database, wanted()).await.expect("rows").len(), 1);
    lab.server.execute(&lab.url, "ALTER TABLE odd.\"Thing s\" ALTER COLUMN s TYPE varchar(40)");
    assert_eq!(rows(&lab.database, wanted()).await.expect("rows").len(), 1);
    lab.server.execute(&lab.url, "ALTER TABLE odd.\"Thing s\" DROP COLUMN s");
    let (kind, words) = refused(&lab.database, wanted()).await;
    assert_eq!(kind, Kind::Internal);
    assert!(words.contains("has no column `s`"), "{words}");
}

#[tokio::test]
async fn a_column_that_does_not_hold_what_the_schema_says_is_told_with_its_type() {
    let Some(lab) = Lab::empty() else { return };
    let told = async |column: &str, data_type: DataType| {
        let field = Field::new("x", data_type, true);
        let column = Column { column: column.into(), field };
        let of = Table { columns: vec![column], key: Vec::new(), ..of_id() };
        let tables = Tables::new(open(&lab.url, Settings::default()), [of]);
        let request = ScanRequest::new("Thing", ["x"], Principal::local());
        let error = tables.scan(request).await.err().expect("must be refused");
        error_chain(&error).join(": ")
    };
    let words = told("l", DataType::Int).await;
    let expected = "the database's table of `Thing` is not as the schema says: column `l` of \
                    `odd.Thing s` is `bigint`, which `x` of type `Int` does not hold";
    assert_eq!(words, expected);
    let list = DataType::List { item: Box::new(DataType::String), nullable: true };
    for (column, data_type) in [
        ("d", DataType::Decimal { precision: 12, scale: 1 }),
        ("d", DataType::Float),
        ("s", DataType::Uuid),
        ("tags", DataType::String),
        ("s", list),
        ("at", DataType::Date),
        ("js", DataType::String),
    ] {
        let shown = data_type.to_string();
        assert!(told(column, data_type).await.contains("does not hold"), "{column} {shown}");
    }
    assert!(told("gone", DataType::Int).await.contains("has no column `gone`"));
}

#[tokio::test]
async fn an_answer_is_no_longer_than_its_limits() {
    let Some(lab) = Lab::empty() else { return };
    let sql = "INSERT INTO odd.\"Thing s\" (id, s) SELECT n, repeat('x', 100) FROM generate_series(1, 50) n";
    lab.server.execute(&lab.url, sql);
    let of = |settings| Tables::new(open(&lab.url, settings), [table()]);
    let wide = ScanRequest::new("Thing", ["s"], Principal::local());
    let rows_only = of(Settings { rows: 49, ..Settings::default() });
    let (kind, words) = refused(&rows_only, wide.clone()).await;
    assert_eq!(
        (kind, words.as_str()),
        (Kind::LimitExceeded, "an answer of the database has more than 49 rows")
    );
    let (_, words) =
        refused(&of(Settings { bytes: 4_999, ..Settings::default() }), wide.clone()).await;
    assert!(words.contains("more than 4999 bytes"), "{words}");
    assert_eq!(
        rows(&of(Settings { rows: 50, bytes: 5_000, ..Settings::default() }), wide)
            .await
            .expect("rows")
            .len(),
        50
    );
}

#[tokio::test]
async fn a_database_that_is_not_there_is_unavailable_and_its_address_is_not_told() {
    let port = testkit::free_port();
    let url = format!("postgres://x@127.0.0.1:{port}/nowhere");
    let settings = Settings { timeout: Duration::from_millis(500), ..Settings::default() };
    let tables = Tables::new(open(&url, settings), [Table { name: Arc::from("Thing"), ..of_id() }]);
    let (kind, words) = refused(&tables, request()).await;
    assert_eq!(kind, Kind::Unavailable);
    assert!(!words.contains(&port.to_string()), "{words}");
}
