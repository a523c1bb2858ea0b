//! What groups of rows answer, one promise of [`crate::aggregate`] at a time.

use base::{Clock, Kind, Principal, Timestamp};
use futures::TryStreamExt;
use std::sync::Arc;

use crate::convert::{batch_of, rows_of};
use crate::{
    Aggregate, BinaryOp, DataType, DateUnit, Expr, Field, GroupBy, GroupKey, Measure, MeasureOf,
    MemoryTable, MemoryTables, Order, Scan, ScanRequest, Value, Write, WriteOp, WriteRequest,
};

const PRICE: DataType = DataType::Decimal { precision: 38, scale: 2 };

fn fields() -> Vec<Field> {
    [
        ("id", DataType::Int),
        ("kind", DataType::String),
        ("n", DataType::Int),
        ("l", DataType::Long),
        ("f", DataType::Float),
        ("price", PRICE),
        ("at", DataType::DateTime),
        ("tags", DataType::List { item: Box::new(DataType::String), nullable: false }),
    ]
    .map(|(name, data_type)| Field::new(name, data_type, name != "id"))
    .to_vec()
}

fn field(name: &str) -> Expr {
    let known = fields().into_iter().find(|field| field.name.as_ref() == name);
    Expr::field(name, known.expect("a field").data_type)
}

fn price(unscaled: i128) -> Value {
    Value::Decimal { unscaled, scale: 2 }
}

fn moment(text: &str) -> Value {
    Value::DateTime(Timestamp::parse(text).expect("a time").as_micros())
}

/// Rows of `kind, n, f, price, at`.
type Given = (&'static str, Option<i64>, Option<f64>, Option<i128>, &'static str);

async fn table(rows: &[Given]) -> MemoryTables {
    let tables = MemoryTables::new(Clock::fixed(Timestamp::from_micros(0)));
    tables.add(MemoryTable::new("T", fields(), &["id"]).expect("known fields"));
    let rows = rows.iter().enumerate().map(|(id, (kind, n, f, decimal, at))| {
        vec![
            Value::Int(id as i64),
            if kind.is_empty() { Value::Null } else { (*kind).into() },
            n.map_or(Value::Null, Value::Int),
            n.map_or(Value::Null, Value::Int),
            f.map_or(Value::Null, Value::Float),
            decimal.map_or(Value::Null, price),
            if at.is_empty() { Value::Null } else { moment(at) },
            Value::Null,
        ]
    });
    let rows: Vec<Vec<Value>> = rows.collect();
    let batch = batch_of(&fields(), &rows).expect("rows of the table");
    let write = WriteRequest {
        table: "T".into(),
        op: WriteOp::Insert(vec![batch]),
        idempotency_key: None,
        principal: Principal::local(),
    };
    tables.write(write).await.expect("a write");
    tables
}

async fn some() -> MemoryTables {
    table(&[
        ("a", Some(1), Some(0.5), Some(100), "2026-01-31T23:59:59Z"),
        ("a", Some(4), Some(1.5), Some(101), "2026-02-01T00:00:00Z"),
        ("a", None, None, None, "2026-02-28T10:30:00Z"),
        ("b", Some(4), Some(f64::NAN), Some(-50), ""),
        ("", Some(-1), Some(-0.0), Some(0), "1969-12-31T23:00:00Z"),
    ])
    .await
}

fn by(name: &str, by: GroupBy) -> GroupKey {
    GroupKey { name: "key".into(), input: field(name), by }
}

fn measured(of: MeasureOf) -> Measure {
    Measure { name: "m".into(), of }
}

fn request(aggregate: Aggregate) -> ScanRequest {
    let order = aggregate.group.iter().map(|key| Order::by(key.name.clone(), false)).collect();
    let none: [Arc<str>; 0] = [];
    let request = ScanRequest::new("T", none, Principal::local());
    ScanRequest { aggregate: Some(aggregate), order, ..request }
}

async fn answer(tables: &MemoryTables, request: ScanRequest) -> base::Result<Vec<Vec<String>>> {
    let columns = request.aggregate.as_ref().expect("groups").columns(&request)?;
    let batches: Vec<_> = tables.scan(request).await?.try_collect().await?;
    let rows = batches.iter().flat_map(|batch| rows_of(batch, &columns).expect("own form"));
    Ok(rows.map(|row| row.iter().map(Value::to_string).collect()).collect())
}

/// What one measure says of each kind: null comes last.
async fn check(of: MeasureOf, expected: [&str; 3]) {
    let group = vec![by("kind", GroupBy::Value)];
    let asked = Aggregate { group, measures: vec![measured(of)], having: None };
    let rows = answer(&some().await, request(asked)).await.expect("an answer");
    let expected =
        ["a", "b", "null"].into_iter().zip(expected).map(|(key, value)| vec![key, value]);
    assert_eq!(rows, expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn measures_pass_over_nulls() {
    check(MeasureOf::Rows, ["3", "1", "1"]).await;
    check(MeasureOf::Count(field("n")), ["2", "1", "1"]).await;
    check(MeasureOf::CountDistinct(field("price")), ["2", "1", "1"]).await;
    check(MeasureOf::Sum(field("n")), ["5", "4", "-1"]).await;
    check(MeasureOf::Avg(field("n")), ["2.5", "4", "-1"]).await;
    check(MeasureOf::Min(field("n")), ["1", "4", "-1"]).await;
    check(MeasureOf::Max(field("at")), ["2026-02-28T10:30:00Z", "null", "1969-12-31T23:00:00Z"])
        .await;
    check(MeasureOf::Count(field("tags")), ["0", "0", "0"]).await;
}

#[tokio::test]
async fn floats_are_ordered_with_nan_above_all() {
    check(MeasureOf::Max(field("f")), ["1.5", "NaN", "-0"]).await;
    check(MeasureOf::Min(field("f")), ["0.5", "NaN", "-0"]).await;
    check(MeasureOf::Sum(field("f")), ["2", "NaN", "0"]).await;
    check(MeasureOf::Avg(field("f")), ["1", "NaN", "0"]).await;
}

#[tokio::test]
async fn decimals_stay_exact() {
    check(MeasureOf::Sum(field("price")), ["2.01", "-0.50", "0.00"]).await;
    check(MeasureOf::Avg(field("price")), ["1.01", "-0.50", "0.00"]).await;
    let narrow = DataType::Decimal { precision: 12, scale: 2 };
    assert_eq!(
        MeasureOf::Avg(Expr::field("x", narrow)).data_type().ok(),
        Some(DataType::Decimal { precision: 38, scale: 6 })
    );
}

#[tokio::test]
async fn percentiles_are_interpolated() {
    let share = |share| MeasureOf::Percentile(field("n"), share);
    check(share(0.0), ["1", "4", "-1"]).await;
    check(share(0.5), ["2.5", "4", "-1"]).await;
    check(share(0.25), ["1.75", "4", "-1"]).await;
    check(share(1.0), ["4", "4", "-1"]).await;
    check(MeasureOf::Percentile(field("price"), 1.0), ["1.01", "-0.5", "0"]).await;
}

#[tokio::test]
async fn groups_by_parts_of_the_calendar_keep_the_type() {
    let counted = |unit| Aggregate {
        group: vec![by("at", GroupBy::Truncated(unit))],
        measures: vec![measured(MeasureOf::Rows)],
        having: None,
    };
    let rows = answer(&some().await, request(counted(DateUnit::Month))).await.expect("months");
    let expected = [
        ["1969-12-01T00:00:00Z", "1"],
        ["2026-01-01T00:00:00Z", "1"],
        ["2026-02-01T00:00:00Z", "2"],
        ["null", "1"],
    ];
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn groups_by_buckets_are_named_by_their_lower_bounds() {
    let counted = |name, width| Aggregate {
        group: vec![by(name, GroupBy::Bucket(width))],
        measures: vec![measured(MeasureOf::Rows)],
        having: None,
    };
    let tables = some().await;
    let rows = answer(&tables, request(counted("n", Value::Int(3)))).await.expect("buckets");
    assert_eq!(rows, [["-3", "1"], ["0", "1"], ["3", "2"], ["null", "1"]]);
    let rows = answer(&tables, request(counted("price", price(75)))).await.expect("buckets");
    assert_eq!(rows, [["-0.75", "1"], ["0.00", "1"], ["0.75", "2"], ["null", "1"]]);
    let rows = answer(&tables, request(counted("f", Value::Float(1.0)))).await.expect("buckets");
    assert_eq!(rows, [["0", "2"], ["1", "1"], ["NaN", "1"], ["null", "1"]]);
}

#[tokio::test]
async fn of_no_rows_there_is_one_group_unless_rows_are_grouped() {
    let measures = vec![
        Measure { name: "rows".into(), of: MeasureOf::Rows },
        Measure { name: "sum".into(), of: MeasureOf::Sum(field("n")) },
        Measure { name: "max".into(), of: MeasureOf::Max(field("kind")) },
        Measure { name: "p".into(), of: MeasureOf::Percentile(field("f"), 0.5) },
    ];
    let tables = table(&[]).await;
    let all = Aggregate { measures: measures.clone(), ..Aggregate::default() };
    let rows = answer(&tables, request(all)).await.expect("an answer");
    assert_eq!(rows, [["0", "null", "null", "null"]]);
    let grouped = Aggregate { group: vec![by("kind", GroupBy::Value)], measures, having: None };
    assert!(answer(&tables, request(grouped)).await.expect("an answer").is_empty());
}

fn at_least(name: &str, data_type: DataType, least: Value) -> Expr {
    let least = Expr::literal(least, data_type.clone());
    Expr::field(name, data_type).predicate(BinaryOp::GtEq, least)
}

#[tokio::test]
async fn where_is_before_groups_and_having_after_them() {
    let asked = Aggregate {
        group: vec![by("kind", GroupBy::Value)],
        measures: vec![measured(MeasureOf::Rows)],
        having: Some(at_least("m", DataType::Long, Value::Int(2))),
    };
    let asked = ScanRequest {
        predicate: Some(at_least("n", DataType::Int, Value::Int(2))),
        ..request(asked)
    };
    // Of `a` only one row is left by the predicate, though the group had three.
    assert!(answer(&some().await, asked.clone()).await.expect("an answer").is_empty());
    let without = ScanRequest { predicate: None, ..asked };
    assert_eq!(answer(&some().await, without).await.expect("an answer"), [["a", "3"]]);
}

#[tokio::test]
async fn groups_are_ordered_by_measures_and_go_on_after_a_position() {
    let asked = Aggregate {
        group: vec![by("kind", GroupBy::Value)],
        measures: vec![measured(MeasureOf::Max(field("n")))],
        having: None,
    };
    let order = vec![Order::by("m", true), Order::by("key", false)];
    let first = ScanRequest { order, limit: Some(1), ..request(asked) };
    let rows = answer(&some().await, first.clone()).await.expect("an answer");
    assert_eq!(rows, [["a", "4"]]);
    let next = ScanRequest { after: Some(vec![Value::Int(4), "a".into()]), limit: None, ..first };
    let rows = answer(&some().await, next).await.expect("an answer");
    assert_eq!(rows, [["b", "4"], ["null", "-1"]]);
}

#[tokio::test]
async fn a_sum_that_its_type_cannot_hold_is_an_error() {
    let most = 10_i128.pow(38) - 1;
    let tables = table(&[
        ("a", None, None, Some(most), ""),
        ("a", None, None, Some(-1), ""),
        ("a", None, None, Some(1), ""),
        ("b", None, None, Some(most), ""),
        ("b", None, None, Some(1), ""),
    ])
    .await;
    let asked = |kind: &str, of| {
        let kind = Expr::literal(kind.into(), DataType::String);
        let predicate = Some(field("kind").predicate(BinaryOp::Eq, kind));
        let measures = vec![measured(of)];
        ScanRequest { predicate, ..request(Aggregate { measures, ..Aggregate::default() }) }
    };
    let sum = answer(&tables, asked("a", MeasureOf::Sum(field("price")))).await.expect("fits");
    assert_eq!(sum, [["999999999999999999999999999999999999.99"]]);
    let error = answer(&tables, asked("b", MeasureOf::Sum(field("price")))).await;
    let error = error.expect_err("it exceeds the type");
    assert_eq!(error.kind(), Kind::InvalidInput);
    let expected = "failed to add up the rows of a group: the sum exceeds `Decimal(38, 2)`";
    assert_eq!(error.to_string(), expected);
    // The mean of the same rows lies between them, and is told.
    let mean = answer(&tables, asked("b", MeasureOf::Avg(field("price")))).await.expect("fits");
    assert_eq!(mean, [["500000000000000000000000000000000000.00"]]);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let tables = some().await;
    let none = Aggregate::default;
    let of = |of| Aggregate { measures: vec![measured(of)], ..none() };
    let grouped = |name: &str, key| Aggregate { group: vec![by(name, key)], ..none() };
    for (asked, expected) in [
        (none(), "nothing is asked of the groups"),
        (of(MeasureOf::Sum(field("kind"))), "`String` has no sum"),
        (of(MeasureOf::Avg(field("at"))), "`DateTime` has no mean"),
        (of(MeasureOf::Min(field("tags"))), "`[String!]` has no order"),
        (of(MeasureOf::Percentile(field("kind"), 0.5)), "`String` has no percentiles"),
        (of(MeasureOf::Percentile(field("n"), 1.5)), "`1.5` is not a share from 0 to 1"),
        (of(MeasureOf::Percentile(field("n"), f64::NAN)), "`NaN` is not a share from 0 to 1"),
        (grouped("n", GroupBy::Truncated(DateUnit::Day)), "`Int` has no calendar to group by"),
        (grouped("tags", GroupBy::Value), "`[String!]` has no values that rows can be grouped by"),
        (grouped("kind", GroupBy::Bucket(Value::Int(1))), "`String` has no buckets to group by"),
        (grouped("n", GroupBy::Bucket(Value::Int(0))), "`0` is not the width of a bucket of `Int`"),
        (
            Aggregate {
                group: vec![by("n", GroupBy::Value), by("kind", GroupBy::Value)],
                ..none()
            },
            "two columns of the answer are called `key`",
        ),
    ] {
        let error = answer(&tables, request(asked)).await.expect_err("refused");
        assert_eq!((error.kind(), error.to_string().as_str()), (Kind::InvalidInput, expected));
    }
    let fields = ScanRequest { fields: vec!["n".into()], ..request(of(MeasureOf::Rows)) };
    assert_eq!(
        answer(&tables, fields.clone()).await.expect_err("fields").kind(),
        Kind::InvalidInput
    );
    assert_eq!(tables.count(fields).await.expect_err("groups").kind(), Kind::InvalidInput);
    let order = vec![Order::by("n", false)];
    let unknown = ScanRequest { order, ..request(of(MeasureOf::Rows)) };
    assert_eq!(answer(&tables, unknown).await.expect_err("no column").kind(), Kind::NotFound);
}
