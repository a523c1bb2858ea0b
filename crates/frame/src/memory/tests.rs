//! The promises of `Scan` and `Write`, on tables in memory.

use futures::TryStreamExt;
use proptest::prelude::*;

use super::*;
use crate::convert::{batch_of, rows_of};
use crate::{
    BinaryOp, ChangesRequest, DataType, Expr, LimitBy, Nearest, NearestQuery, Order, Search, State,
    WriteOp,
};
use base::{Kind, Principal};

fn fields() -> Vec<Field> {
    vec![
        Field::new("id", DataType::String, false),
        Field::new("year", DataType::Int, true),
        Field::new("text", DataType::String, true),
    ]
}

fn row(id: &str, year: Option<i64>, text: &str) -> Vec<Value> {
    vec![id.into(), year.map_or(Value::Null, Value::Int), text.into()]
}

fn tables() -> MemoryTables {
    let tables = MemoryTables::new(Clock::fixed(Timestamp::from_micros(1_000)));
    let table = MemoryTable::new("Film", fields(), &["id"]).expect("known fields");
    let table = table.searchable("text").expect("a field");
    let embed = |value: &Value| match value {
        Value::Int(year) => Some([*year as f32].as_slice().into()),
        _ => None,
    };
    tables.add(table.vectors("year", Distance::L2, embed).expect("a field"));
    tables.add(MemoryTable::new("Play", fields(), &[]).expect("known fields"));
    tables
}

fn request(op: WriteOp) -> WriteRequest {
    let table = if matches!(op, WriteOp::Append(_)) { "Play" } else { "Film" };
    WriteRequest { table: table.into(), op, idempotency_key: None, principal: Principal::local() }
}

fn batches(rows: &[Vec<Value>]) -> Vec<arrow::array::RecordBatch> {
    vec![batch_of(&fields(), rows).expect("rows of the table")]
}

fn scan_of(fields: &[&str]) -> ScanRequest {
    ScanRequest::new("Film", fields.iter().copied(), Principal::local())
}

async fn ids(tables: &MemoryTables, request: ScanRequest) -> Vec<String> {
    let batches: Vec<_> =
        tables.scan(request).await.expect("a scan").try_collect().await.expect("batches");
    let id = [Field::new("id", DataType::String, false)];
    batches
        .iter()
        .flat_map(|batch| rows_of(batch, &id).expect("own form"))
        .map(|row| row[0].to_string())
        .collect()
}

async fn filled() -> MemoryTables {
    let tables = tables();
    let rows = [
        row("a", Some(3), "red planet"),
        row("b", Some(1), "blue planet"),
        row("c", None, "red moon"),
        row("d", Some(3), "blue moon"),
    ];
    tables.write(request(WriteOp::Insert(batches(&rows)))).await.expect("a write");
    tables
}

#[tokio::test]
async fn order_after_and_limit_page_through_all_rows_with_nulls_last() {
    let tables = filled().await;
    let mut scan = scan_of(&["id"]);
    scan.order = vec![Order::by("year", true), Order::by("id", false)];
    assert_eq!(ids(&tables, scan.clone()).await, ["a", "d", "b", "c"]);
    scan.after = Some(vec![Value::Int(3), "d".into()]);
    scan.limit = Some(1);
    assert_eq!(ids(&tables, scan).await, ["b"]);
}

#[tokio::test]
async fn limit_by_takes_the_first_rows_of_each_group() {
    let tables = filled().await;
    let mut scan = scan_of(&["id"]);
    scan.order = vec![Order::by("id", true)];
    scan.limit_by = Some(LimitBy { field: "year".into(), count: 1 });
    assert_eq!(ids(&tables, scan).await, ["d", "c", "b"]);
}

#[tokio::test]
async fn search_and_predicate_both_hold() {
    let tables = filled().await;
    let mut scan = scan_of(&["id"]);
    scan.search = Some(Search { fields: vec![], text: "moon".to_owned() });
    let year = Expr::field("year", DataType::Int);
    let three = Expr::literal(Value::Int(3), DataType::Int);
    scan.predicate = Some(year.predicate(BinaryOp::Eq, three));
    assert_eq!(tables.count(scan.clone()).await.expect("a count"), 1);
    assert_eq!(ids(&tables, scan).await, ["d"]);
}

#[tokio::test]
async fn a_row_is_not_its_own_neighbour() {
    let tables = filled().await;
    let mut scan = scan_of(&["id"]);
    let query = NearestQuery::Rows(vec!["a".into(), "c".into(), "b".into()]);
    scan.nearest = Some(Nearest { field: "year".into(), query, count: 1, exact: true });
    assert_eq!(ids(&tables, scan).await, ["d", "a"]);
}

#[tokio::test]
async fn old_snapshots_stay_readable() {
    let tables = filled().await;
    let first = tables.snapshot("Film").await.expect("a snapshot");
    tables.clock.advance(10);
    tables.write(request(WriteOp::Delete(vec![vec!["a".into()]]))).await.expect("a write");
    assert_eq!(ids(&tables, scan_of(&["id"])).await, ["b", "c", "d"]);
    for at in [SnapshotRef::Id(first), SnapshotRef::Time(Timestamp::from_micros(1_009))] {
        let scan = ScanRequest { at: Some(at), ..scan_of(&["id"]) };
        assert_eq!(ids(&tables, scan).await.len(), 4);
    }
    let unknown = ScanRequest { at: Some(SnapshotRef::Id(99)), ..scan_of(&["id"]) };
    assert_eq!(tables.scan(unknown).await.err().expect("no snapshot").kind(), Kind::NotFound);
}

#[tokio::test]
async fn an_existing_key_is_not_inserted_and_nothing_is_written() {
    let tables = filled().await;
    let rows = [row("x", None, ""), row("a", None, "")];
    let error = tables.write(request(WriteOp::Insert(batches(&rows)))).await.expect_err("a exists");
    assert_eq!(error.kind(), Kind::AlreadyExists);
    assert_eq!(ids(&tables, scan_of(&["id"])).await.len(), 4);
}

#[tokio::test]
async fn an_update_changes_only_its_columns_and_needs_the_row() {
    let tables = filled().await;
    let part = [fields()[0].clone(), fields()[1].clone()];
    let update = |id: &str| {
        let batch = batch_of(&part, &[vec![id.into(), Value::Int(9)]]).expect("a batch");
        request(WriteOp::Update(vec![batch]))
    };
    tables.write(update("a")).await.expect("a write");
    let mut scan = scan_of(&["id", "year", "text"]);
    scan.limit = Some(1);
    let batches: Vec<_> = tables.scan(scan).await.expect("a scan").try_collect().await.expect("ok");
    let rows = rows_of(&batches[0], &fields()).expect("own form");
    assert_eq!(rows, [row("a", Some(9), "red planet")]);
    assert_eq!(tables.write(update("zz")).await.expect_err("no row").kind(), Kind::NotFound);
}

#[tokio::test]
async fn a_repeated_idempotency_key_changes_nothing() {
    let tables = tables();
    let keyed = |text: &str| WriteRequest {
        idempotency_key: Some("k".into()),
        ..request(WriteOp::Append(batches(&[row("a", None, text)])))
    };
    let first = tables.write(keyed("one")).await.expect("a write");
    let again = tables.write(keyed("one")).await.expect("the same write");
    assert_eq!((again.replayed, again.snapshot), (true, first.snapshot));
    assert_eq!(tables.write(keyed("two")).await.expect_err("another").kind(), Kind::Conflict);
    tables.clock.advance(24 * 60 * 60 * 1_000_000);
    assert!(!tables.write(keyed("two")).await.expect("a day later").replayed);
}

#[tokio::test]
async fn a_missing_required_value_is_refused() {
    let tables = tables();
    let part = [Field::new("year", DataType::Int, true)];
    let batch = batch_of(&part, &[vec![Value::Int(1)]]).expect("a batch");
    let error = tables.write(request(WriteOp::Upsert(vec![batch]))).await.expect_err("no id");
    assert_eq!(error.to_string(), "a required field has no value");
}

/// One random change of the table, as `(operation, key, year)`.
type Change = (u8, u8, i64);

/// What a map from key to year says after the changes: the reference.
fn expected(changes: &[Change]) -> std::collections::BTreeMap<String, i64> {
    let mut rows = std::collections::BTreeMap::new();
    for (op, key, year) in changes {
        let key = format!("k{key}");
        match op {
            0 => {
                rows.entry(key).or_insert(*year);
            }
            1 => {
                rows.insert(key, *year);
            }
            _ => {
                rows.remove(&key);
            }
        }
    }
    rows
}

proptest! {
    #[test]
    fn random_changes_leave_what_a_map_would_hold(
        changes in prop::collection::vec((0_u8..3, 0_u8..5, 0_i64..100), 0..20)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let kept = runtime.block_on(async {
            let tables = tables();
            for (op, key, year) in &changes {
                let rows = [row(&format!("k{key}"), Some(*year), "")];
                let op = match op {
                    0 => WriteOp::Insert(batches(&rows)),
                    1 => WriteOp::Upsert(batches(&rows)),
                    _ => WriteOp::Delete(vec![vec![rows[0][0].clone()]]),
                };
                // A refused insert changes nothing, which is what the reference says too.
                let _ = tables.write(request(op)).await;
            }
            let scan = tables.scan(scan_of(&["id", "year"])).await.expect("a scan");
            let batches: Vec<_> = scan.try_collect().await.expect("batches");
            batches.iter().flat_map(|b| rows_of(b, &fields()[..2]).expect("rows")).collect::<Vec<_>>()
        });
        let kept: std::collections::BTreeMap<String, i64> = kept
            .into_iter()
            .map(|row| match &row[1] {
                Value::Int(year) => (row[0].to_string(), *year),
                other => panic!("a year is a number, not {other}"),
            })
            .collect();
        prop_assert_eq!(kept, expected(&changes));
    }
}

/// The rows of changes, each with whether it went.
async fn changed(tables: &MemoryTables, table: &str, from: i64, to: i64) -> Vec<Vec<Value>> {
    let request = ChangesRequest {
        table: table.into(),
        fields: vec!["id".into(), "year".into()],
        from,
        to,
        principal: Principal::local(),
    };
    let batches: Vec<_> =
        tables.changes(request).await.expect("states").try_collect().await.expect("batches");
    let fields = [
        Field::new("id", DataType::String, false),
        Field::new("year", DataType::Int, true),
        Field::new(crate::WENT, DataType::Boolean, false),
    ];
    batches.iter().flat_map(|batch| rows_of(batch, &fields).expect("own form")).collect()
}

#[tokio::test]
async fn changes_are_what_went_and_then_what_came() {
    let tables = tables();
    let rows = [row("a", Some(1), ""), row("b", Some(2), "")];
    tables.write(request(WriteOp::Insert(batches(&rows)))).await.expect("new rows");
    let rows = [row("a", Some(1), ""), row("b", Some(3), ""), row("c", None, "")];
    tables.write(request(WriteOp::Upsert(batches(&rows)))).await.expect("rows");
    tables.write(request(WriteOp::Delete(vec![vec!["a".into()]]))).await.expect("a key");
    let told = |id: &str, year: Option<i64>, went: bool| {
        vec![id.into(), year.map_or(Value::Null, Value::Int), Value::Boolean(went)]
    };
    assert_eq!(
        changed(&tables, "Film", 1, 2).await,
        [told("b", Some(2), true), told("b", Some(3), false), told("c", None, false)]
    );
    assert_eq!(changed(&tables, "Film", 2, 3).await, [told("a", Some(1), true)]);
    assert_eq!(
        changed(&tables, "Film", 0, 3).await,
        [told("b", Some(3), false), told("c", None, false)]
    );
    assert_eq!(changed(&tables, "Film", 3, 3).await, Vec::<Vec<Value>>::new());
    let states = tables.since("Film", 1).await.expect("a state");
    assert_eq!(states, [2, 3].map(|id| State { id, is_same: false }));
    assert_eq!(tables.since("Film", 9).await.expect_err("no state").kind(), Kind::NotFound);
}

#[tokio::test]
async fn equal_rows_are_counted_in_changes() {
    let tables = tables();
    let twice = [row("a", Some(1), ""), row("a", Some(1), "")];
    for _ in 0..2 {
        tables.write(request(WriteOp::Append(batches(&twice)))).await.expect("rows");
    }
    assert_eq!(changed(&tables, "Play", 1, 2).await.len(), 2);
    assert_eq!(changed(&tables, "Play", 0, 2).await.len(), 4);
}
