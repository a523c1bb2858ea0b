//! What became of a table between two states: what went and what came makes the one out of the other, and
//! nothing is told that is the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::rng::Rng;
use base::{Kind, Principal};
use frame::convert::rows_of;
use frame::{
    ChangesRequest, DataType, Field, Scan, ScanRequest, SnapshotRef, State, Value, WENT, WriteOp,
};
use futures::TryStreamExt;
use lake::Lake;
use schema::ObjectType;

use crate::lab::{Lab, batch, bucketed, fields_of, keyed, lance, object, play, row, write};

fn film() -> ObjectType {
    let fields = [
        ("id", DataType::String, false),
        ("title", DataType::String, false),
        ("year", DataType::Int, true),
    ];
    keyed(object("Film", "films", &fields), &["id"])
}

/// How often each row is there.
type Bag = BTreeMap<Vec<Value>, i64>;

fn add(bag: &mut Bag, rows: Vec<Vec<Value>>, by: i64) {
    for row in rows {
        *bag.entry(row).or_default() += by;
    }
    bag.retain(|_, count| *count != 0);
}

/// The rows that went, and those that came.
async fn changes(lake: &Lake, type_name: &str, from: i64, to: i64) -> [Vec<Vec<Value>>; 2] {
    let schema = lake.schema();
    let mut fields = fields_of(schema.type_named(type_name).unwrap().1);
    let request = ChangesRequest {
        table: type_name.into(),
        fields: fields.iter().map(|field| Arc::clone(&field.name)).collect(),
        from,
        to,
        principal: Principal::local(),
    };
    fields.push(Field::new(WENT, DataType::Boolean, false));
    let batches: Vec<_> = lake.changes(request).await.unwrap().try_collect().await.unwrap();
    let (mut went, mut came) = (Vec::new(), Vec::new());
    for mut row in batches.iter().flat_map(|batch| rows_of(batch, &fields).unwrap()) {
        match row.pop() {
            Some(Value::Boolean(true)) if came.is_empty() => went.push(row),
            Some(Value::Boolean(false)) => came.push(row),
            other => panic!("rows that went come first: {other:?}"),
        }
    }
    [went, came]
}

async fn at(lake: &Lake, type_name: &str, id: i64) -> Bag {
    let mut bag = Bag::new();
    if id != 0 {
        let schema = lake.schema();
        let fields = fields_of(schema.type_named(type_name).unwrap().1);
        let names: Vec<_> = fields.iter().map(|field| Arc::clone(&field.name)).collect();
        let at = Some(SnapshotRef::Id(id));
        let request = ScanRequest { at, ..ScanRequest::new(type_name, names, Principal::local()) };
        let batches: Vec<_> = lake.scan(request).await.unwrap().try_collect().await.unwrap();
        add(
            &mut bag,
            batches.iter().flat_map(|batch| rows_of(batch, &fields).unwrap()).collect(),
            1,
        );
    }
    bag
}

/// Checks every step of a table's line, and from its beginning to each state.
async fn check(lake: &Lake, type_name: &str) -> usize {
    let states = lake.since(type_name, 0).await.unwrap();
    let mut before = 0;
    let mut same = 0;
    for State { id, is_same } in &states {
        for from in [before, 0] {
            let [went, came] = changes(lake, type_name, from, *id).await;
            let both: Vec<_> = went.iter().filter(|row| came.contains(row)).collect();
            assert!(both.is_empty(), "{both:?} went and came from {from} to {id}");
            if *is_same && from == before {
                same += 1;
                assert!(went.is_empty() && came.is_empty(), "{went:?} {came:?}");
            }
            let mut bag = at(lake, type_name, from).await;
            add(&mut bag, went, -1);
            add(&mut bag, came, 1);
            assert_eq!(bag, at(lake, type_name, *id).await, "from {from} to {id}");
        }
        let rest = lake.since(type_name, *id).await.unwrap();
        assert!(states.ends_with(&rest), "{rest:?}");
        before = *id;
    }
    assert_eq!(lake.snapshot(type_name).await.unwrap(), before);
    same
}

/// Changes of all kinds, and compactions between them.
async fn live(lake: &Lake, rng: &Rng) {
    for turn in 0..24 {
        let key = |rng: &Rng| format!("k{}", rng.below(12));
        let count = rng.below(5) + 1;
        let some: BTreeMap<String, Vec<Value>> = (0..count)
            .map(|_| {
                let id = key(rng);
                let text = format!("t{}", rng.below(2));
                (id.clone(), row(&id, &text, i64::from(turn % 3)))
            })
            .collect();
        let some: Vec<Vec<Value>> = some.into_values().collect();
        let op = match rng.below(6) {
            0 => WriteOp::Delete(vec![
                vec![key(rng).as_str().into()],
                vec![key(rng).as_str().into()],
            ]),
            1 => {
                lake.compact("Film").await.unwrap();
                continue;
            }
            _ => WriteOp::Upsert(vec![batch(lake, "Film", &some)]),
        };
        write(lake, "Film", op).await.unwrap();
    }
    lake.compact("Film").await.unwrap();
}

#[tokio::test]
async fn every_step_of_an_iceberg_table_is_what_went_and_what_came() {
    let mut same = 0;
    for (seed, film) in [(1, film()), (2, bucketed(film(), "id", 3))] {
        let lab = Lab::new(vec![film]).await;
        live(&lab.lake, &Rng::seeded(seed)).await;
        same += check(&lab.lake, "Film").await;
    }
    assert!(same > 0, "nothing was compacted");
}

#[tokio::test]
async fn every_step_of_a_lance_table_is_what_went_and_what_came() {
    let lab = Lab::new(vec![lance(film())]).await;
    live(&lab.lake, &Rng::seeded(3)).await;
    assert!(check(&lab.lake, "Film").await > 0, "nothing was joined");
}

#[tokio::test]
async fn equal_rows_of_a_type_without_a_key_are_counted() {
    let lab = Lab::new(vec![play()]).await;
    let schema = lab.lake.schema();
    let fields = fields_of(schema.type_named("Play").unwrap().1);
    let one: Vec<Value> = fields
        .iter()
        .map(|field| match field.data_type {
            DataType::String => "u".into(),
            DataType::DateTime => Value::DateTime(7),
            _ => Value::Int(1),
        })
        .collect();
    for _ in 0..3 {
        let rows = [one.clone(), one.clone()];
        let op = WriteOp::Append(vec![batch(&lab.lake, "Play", &rows)]);
        write(&lab.lake, "Play", op).await.unwrap();
    }
    lab.lake.compact("Play").await.unwrap();
    check(&lab.lake, "Play").await;
    let last = lab.lake.snapshot("Play").await.unwrap();
    let [went, came] = changes(&lab.lake, "Play", 0, last).await;
    assert_eq!((went.len(), came.len()), (0, 6));
}

#[tokio::test]
async fn a_state_that_is_not_kept_says_to_read_anew() {
    for film in [film(), lance(film())] {
        let lab = Lab::new(vec![film]).await;
        let op = WriteOp::Upsert(vec![batch(&lab.lake, "Film", &[row("a", "A", 1)])]);
        write(&lab.lake, "Film", op).await.unwrap();
        let error = lab.lake.since("Film", 77).await.unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound, "{error}");
        assert!(error.hint_text().unwrap_or_default().contains("read it anew"), "{error:?}");
    }
}
