//! Random changes, held to a table in memory.

use std::collections::BTreeMap;

use frame::{Value, WriteOp};
use lake::{Change, TableChange};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::lab::{self, Lab, batch, film, info, row, write};

/// A change of a few films.
#[derive(Clone, Debug)]
enum Op {
    Insert(Vec<(u8, i64)>),
    Upsert(Vec<(u8, i64)>),
    SmallUpsert(Vec<(u8, i64)>),
    Update(Vec<(u8, i64)>),
    Delete(Vec<u8>),
    SmallDelete(Vec<u8>),
    Replace(Vec<(u8, i64)>),
}

fn op() -> impl Strategy<Value = Op> {
    let pairs = || proptest::collection::vec((0..12_u8, 0..100_i64), 1..6);
    let keys = || proptest::collection::vec(0..12_u8, 1..4);
    prop_oneof![
        3 => pairs().prop_map(Op::Insert),
        3 => pairs().prop_map(Op::Upsert),
        3 => pairs().prop_map(Op::SmallUpsert),
        2 => pairs().prop_map(Op::Update),
        2 => keys().prop_map(Op::Delete),
        2 => keys().prop_map(Op::SmallDelete),
        1 => pairs().prop_map(Op::Replace),
    ]
}

type Model = BTreeMap<u8, i64>;

/// What the change makes of the model; nothing when it is refused.
fn apply(model: &Model, op: &Op) -> Option<Model> {
    let mut after = model.clone();
    match op {
        Op::Insert(pairs) => {
            for (key, year) in pairs {
                if after.insert(*key, *year).is_some() {
                    return None;
                }
            }
        }
        Op::Upsert(pairs) | Op::SmallUpsert(pairs) => after.extend(pairs.iter().copied()),
        Op::Update(pairs) => {
            for (key, year) in pairs {
                after.insert(*key, *year)?;
            }
        }
        Op::Delete(keys) | Op::SmallDelete(keys) => after.retain(|key, _| !keys.contains(key)),
        Op::Replace(pairs) => after = pairs.iter().copied().collect(),
    }
    Some(after)
}

fn film_row(key: u8, year: i64) -> Vec<Value> {
    row(&format!("film {key}"), "title", year)
}

async fn make(lab: &Lab, op: &Op) -> bool {
    let rows = |pairs: &[(u8, i64)]| -> Vec<Vec<Value>> {
        pairs.iter().map(|(key, year)| film_row(*key, *year)).collect()
    };
    let keys = |keys: &[u8]| -> Vec<Vec<Value>> {
        keys.iter().map(|key| vec![format!("film {key}").as_str().into()]).collect()
    };
    let staged = async |pairs: &[(u8, i64)]| lab.stage("Film", &rows(pairs)).await;
    let batches = |pairs: &[(u8, i64)]| vec![batch(&lab.lake, "Film", &rows(pairs))];
    let change = match op {
        Op::Insert(pairs) => Change::Insert(staged(pairs).await),
        Op::Upsert(pairs) => Change::Upsert(staged(pairs).await),
        Op::Replace(pairs) => Change::Replace(staged(pairs).await),
        Op::Delete(gone) => Change::Delete(keys(gone)),
        Op::SmallUpsert(pairs) => {
            return write(&lab.lake, "Film", WriteOp::Upsert(batches(pairs))).await.is_ok();
        }
        Op::Update(pairs) => {
            return write(&lab.lake, "Film", WriteOp::Update(batches(pairs))).await.is_ok();
        }
        Op::SmallDelete(gone) => {
            return write(&lab.lake, "Film", WriteOp::Delete(keys(gone))).await.is_ok();
        }
    };
    let change = TableChange { type_name: "Film".into(), change };
    lab.lake.commit(vec![change], info("test")).await.is_ok()
}

async fn check(ops: &[Op]) {
    let lab = Lab::new(vec![film()]).await;
    let mut model = Model::new();
    let mut states = vec![model.clone()];
    for op in ops {
        let after = apply(&model, op);
        assert_eq!(make(&lab, op).await, after.is_some(), "{op:?} on {model:?}");
        model = after.unwrap_or(model);
        let snapshots = lab.lake.snapshots("Film").await.unwrap();
        if snapshots.len() >= states.len() {
            states.push(model.clone());
        }
        assert_eq!(snapshots.last().map_or(0, |last| last.rows), model.len() as u64, "{op:?}");
    }
    let expected = |model: &Model| {
        let mut rows: Vec<_> = model.iter().map(|(key, year)| film_row(*key, *year)).collect();
        rows.sort();
        rows
    };
    assert_eq!(lab.rows("Film").await, expected(&model));
    // Every earlier state can still be read.
    let table = lab.lake.table("Film").await.unwrap();
    for (snapshot, state) in table.snapshots().iter().zip(&states[1..]) {
        let snapshot = table.iceberg().unwrap().snapshot_by_id(snapshot.id).unwrap();
        let mut rows = lab::rows_at(&lab.lake, "Film", Some(snapshot)).await;
        rows.sort();
        assert_eq!(rows, expected(state));
    }
}

#[test]
fn any_series_of_changes_leaves_what_a_table_in_memory_has() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let config = Config { cases: 12, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&proptest::collection::vec(op(), 1..10), |ops| {
            runtime.block_on(check(&ops));
            Ok(())
        })
        .unwrap();
}
