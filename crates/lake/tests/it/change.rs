//! Changes of tables that go on being read and written: what a change prepares is seen by nobody, may
//! break off after any unit, and becomes true at one moment.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base::{Error, Kind, Result};
use frame::{DataType, Expr, Scan, ScanRequest, Value, Write, WriteOp, WriteRequest};
use futures::TryStreamExt;
use futures::future::BoxFuture;
use lake::steps::{Control, SchemaChange};
use lake::{Change, Lake, SqlOptions, TableChange};
use parking_lot::Mutex;
use schema::plan::Step;
use schema::{FieldKind, ObjectType, Schema};

use crate::lab::{self, Lab, column, film, info, row, schema_of};

/// Files that the rows of the lab are in.
const FILES: u64 = 6;

/// A lake with one film a file.
async fn lab() -> Lab {
    let lab = Lab::new(vec![film()]).await;
    for number in 0..FILES {
        insert(&lab.lake, number).await;
    }
    lab
}

async fn insert(lake: &Lake, number: u64) {
    let staged = lab::stage(lake, "Film", &[film_row(number)]).await;
    let change = TableChange { type_name: "Film".into(), change: Change::Insert(staged) };
    lake.commit(vec![change], info("test")).await.unwrap();
}

fn film_row(number: u64) -> Vec<Value> {
    row(&format!("f{number}"), &format!("title {number}"), number as i64)
}

fn votes() -> (ObjectType, Step) {
    let mut votes = column("votes", DataType::Int, false);
    if let FieldKind::Column(spec) = &mut votes.kind {
        spec.default = Some(Expr::literal(Value::Int(7), DataType::Int));
    }
    let mut object = film();
    object.fields.insert(Arc::clone(&votes.name), votes);
    (object, Step::AddColumn { type_name: "Film".into(), field: "votes".into() })
}

/// The columns that SQL shows of the table.
async fn shown(lake: &Lake) -> Vec<String> {
    let options = SqlOptions::new(base::Principal::local());
    let answer = lake.sql("SELECT * FROM films", options).await.unwrap();
    answer.schema.fields().iter().map(|field| field.name().clone()).collect()
}

/// Prepares a step in units of one row, and ends after `units` of them.
async fn prepare(lake: &Lake, step: &Step, old: &Schema, new: &Schema, units: u64) -> Result<()> {
    let done = Arc::new(AtomicU64::new(0));
    let between = move |_: u64| -> BoxFuture<'static, Result<()>> {
        let done = Arc::clone(&done);
        Box::pin(async move {
            if done.fetch_add(1, Ordering::Relaxed) + 1 >= units {
                return Err(Error::new(Kind::Cancelled, "enough"));
            }
            Ok(())
        })
    };
    let control = Control { between: &between, unit_rows: 1, ..Control::new(&|_| {}) };
    lake.prepare_step(step, SchemaChange { steps: &[step], old, new }, &control).await
}

async fn rows(lake: &Lake, fields: &[&str]) -> Vec<Vec<Value>> {
    let request = ScanRequest::new("Film", fields.iter().copied(), base::Principal::local());
    let batches: Vec<_> = lake.scan(request).await.unwrap().try_collect().await.unwrap();
    let schema = lake.schema();
    let (_, object) = schema.type_named("Film").unwrap();
    let field = |name: &&str| {
        let (def, spec) = object.columns().find(|(def, _)| *def.name == **name).unwrap();
        frame::Field::new(Arc::clone(&def.name), spec.data_type.clone(), true)
    };
    let fields: Vec<frame::Field> = fields.iter().map(field).collect();
    let mut rows: Vec<Vec<Value>> =
        batches.iter().flat_map(|batch| frame::convert::rows_of(batch, &fields).unwrap()).collect();
    rows.sort_by_key(|row| row[0].to_string());
    rows
}

#[tokio::test]
async fn a_backfill_that_breaks_off_after_any_unit_goes_on() {
    for units in 1..FILES {
        let lab = lab().await;
        let (object, step) = votes();
        let (old, new) = (lab.lake.schema(), schema_of(vec![object]));
        let broken = prepare(&lab.lake, &step, &old, &new, units).await;
        assert_eq!(broken.unwrap_err().kind(), Kind::Cancelled, "after {units} units");
        // Nobody sees what was prepared, and everybody writes as before.
        assert_eq!(shown(&lab.lake).await, ["id", "title", "year"], "after {units} units");
        insert(&lab.lake, FILES + 1).await;
        lab.lake.compact("Film").await.unwrap();
        lab.lake.execute_step(&step, &old, &new, &|_| {}).await.unwrap();
        lab.lake.set_schema(Arc::new(new));
        assert_eq!(shown(&lab.lake).await, ["id", "title", "year", "votes"]);
        let all = rows(&lab.lake, &["id", "votes"]).await;
        assert_eq!(all.len() as u64, FILES + 1);
        assert!(all.iter().all(|row| row[1] == Value::Int(7)), "{all:?}");
    }
}

#[tokio::test]
async fn a_commit_for_an_older_schema_is_said_as_the_deployed_one_says_it() {
    let lab = lab().await;
    let mut renamed = film();
    let mut field = renamed.fields.shift_remove("title").unwrap();
    field.name = "name".into();
    field.was = vec![schema::Was { name: "title".into(), until: None }];
    if let FieldKind::Column(spec) = &mut field.kind {
        spec.column = "name".into();
    }
    renamed.fields.shift_insert(1, "name".into(), field);
    let step =
        Step::RenameColumn { type_name: "Film".into(), from: "title".into(), to: "name".into() };
    let (old, new) = (lab.lake.schema(), Arc::new(schema_of(vec![renamed])));
    let before = lab.lake.pinned(Arc::clone(&old), 1);
    let control = Control::new(&|_| {});
    let change = SchemaChange { steps: &[&step], old: &old, new: &new };
    lab.lake.switch(change, Some((1, 2)), Vec::new(), &control).await.unwrap();
    let after = lab.lake.pinned(Arc::clone(&new), 2);
    assert_eq!(rows(&before, &["id", "title"]).await, rows(&after, &["id", "name"]).await);
    // This process has not learnt the new schema, and cannot write for the old one.
    let write = || {
        let fields = [("id", "f0"), ("title", "other")];
        let fields = fields.map(|(name, value)| {
            (frame::Field::new(name, DataType::String, false), Value::String(value.into()))
        });
        let (fields, row): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
        let batch = frame::convert::batch_of(&fields, &[row]).unwrap();
        WriteRequest {
            table: "Film".into(),
            op: WriteOp::Update(vec![batch]),
            idempotency_key: None,
            principal: base::Principal::local(),
        }
    };
    assert_eq!(before.write(write()).await.unwrap_err().kind(), Kind::Stale);
    // An import was staged for the old schema: the commit refuses it in its own transaction.
    let staged = lab::stage(&before, "Film", &[film_row(9)]).await;
    let change = TableChange { type_name: "Film".into(), change: Change::Insert(staged) };
    let refused = before.commit(vec![change], info("test")).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Stale, "{refused}");
    let learnt = Arc::clone(&new);
    lab.lake.set_learn(Arc::new(move |_| {
        let learnt = Arc::clone(&learnt);
        Box::pin(async move { Ok(learnt) })
    }));
    before.write(write()).await.unwrap();
    assert_eq!(rows(&after, &["id", "name"]).await[0][1], Value::String("other".into()));
    lab.lake.catalog().retire(&[]).await.unwrap();
    let retired = before.table("Film").await.unwrap_err();
    assert_eq!(retired.kind(), Kind::Stale, "{retired}");
}

#[tokio::test]
async fn values_of_a_dropped_column_stay_until_the_contract() {
    let lab = lab().await;
    let mut without = film();
    without.fields.shift_remove("year");
    let (old, new) = (lab.lake.schema(), Arc::new(schema_of(vec![without])));
    let before = lab.lake.pinned(Arc::clone(&old), 1);
    let step = Step::DropColumn { type_name: "Film".into(), field: "year".into() };
    let control = Control::new(&|_| {});
    let change = SchemaChange { steps: &[&step], old: &old, new: &new };
    let seen = rows(&before, &["id", "year"]).await;
    lab.lake.switch(change, Some((1, 2)), Vec::new(), &control).await.unwrap();
    lab.lake.set_schema(Arc::clone(&new));
    assert_eq!(shown(&lab.lake).await, ["id", "title"]);
    // A compaction writes files anew, and keeps what only the old schema has.
    assert!(lab.lake.compact("Film").await.unwrap().removed > 0);
    assert_eq!(rows(&before, &["id", "year"]).await, seen);
    lab.lake.catalog().retire(&[]).await.unwrap();
    lab.lake.contract(change, &control).await.unwrap();
    assert_eq!(shown(&lab.lake).await, ["id", "title"]);
    let table = lab.lake.table("Film").await.unwrap();
    assert_eq!(table.iceberg().unwrap().current_schema().as_struct().fields().len(), 2);
}

/// Rows that come between the last look and the hold.
const MUCH: u64 = 5_000;

/// Adds films, in whichever format they are.
async fn insert_many(lake: &Lake, numbers: RangeInclusive<u64>) -> Result<()> {
    let many: Vec<_> = numbers.map(film_row).collect();
    let batch = lab::batch(lake, "Film", &many);
    lab::write(lake, "Film", WriteOp::Insert(vec![batch])).await.map(drop)
}

#[tokio::test]
async fn writers_do_not_wait_until_much_is_copied_into_another_format() {
    for (from, to) in [(film(), lab::lance(film())), (lab::lance(film()), film())] {
        let lab = Lab::new(vec![from]).await;
        insert_many(&lab.lake, 0..=0).await.unwrap();
        let copied = Arc::new(Mutex::new(Vec::new()));
        let (seen, lake) = (Arc::clone(&copied), lab.lake.clone());
        let between = move |rows: u64| -> BoxFuture<'static, Result<()>> {
            let (seen, lake) = (Arc::clone(&seen), lake.clone());
            Box::pin(async move {
                let copied = {
                    let mut seen = seen.lock();
                    seen.push(rows);
                    seen.iter().sum::<u64>()
                };
                // The first look copies one row, the look before the hold two; then much comes.
                match copied {
                    1 => insert_many(&lake, 1..=2).await?,
                    3 => insert_many(&lake, 3..=MUCH).await?,
                    _ => {}
                }
                Ok(())
            })
        };
        let step = Step::ChangeFormat { type_name: "Film".into() };
        let (old, new) = (lab.lake.schema(), Arc::new(schema_of(vec![to])));
        let control = Control { between: &between, unit_rows: 1, ..Control::new(&|_| {}) };
        let change = SchemaChange { steps: &[&step], old: &old, new: &new };
        lab.lake.prepare_step(&step, change, &control).await.unwrap();
        lab.lake.switch(change, None, Vec::new(), &control).await.unwrap();
        lab.lake.set_schema(new);
        assert_eq!(rows(&lab.lake, &["id", "title"]).await.len() as u64, MUCH + 1);
        // Whoever holds the table does not look whether to pause: these rows came without a hold.
        assert_eq!(copied.lock().iter().sum::<u64>(), MUCH + 1, "{:?}", copied.lock());
    }
}
