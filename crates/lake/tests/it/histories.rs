//! Histories at random: whatever is compacted, rolled back, let go and removed, and however columns come and
//! go meanwhile, each state that is kept can be read whole, by each version of the schema that is served.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use base::Principal;
use base::rng::Rng;
use frame::{DataType, Scan, ScanRequest, SnapshotRef, Value};
use futures::TryStreamExt;
use lake::steps::{Control, SchemaChange};
use lake::{Change, Config, Lake, TableChange};
use schema::plan::Step;
use schema::{ObjectType, Schema};

use crate::lab::{self, Lab, column, film, info, row, schema_of};

const MINUTE: i64 = 60_000_000;
/// Columns that come and go, and one that comes back when no state remembers it.
const GUESTS: [&str; 3] = ["one", "two", LONG_GONE];
const LONG_GONE: &str = "longGone";
/// Columns that stay.
const RESIDENTS: usize = 3;

/// A change of columns whose earlier version is still served.
struct Served {
    step: Step,
    old: Arc<Schema>,
    new: Arc<Schema>,
}

/// A table, and what each state of it held.
struct Past {
    lake: Lake,
    rng: Rng,
    states: HashMap<i64, Vec<Vec<Value>>>,
    made: i64,
    object: ObjectType,
    /// Columns that the table has ever had.
    met: HashSet<&'static str>,
    version: i64,
    served: Option<Served>,
}

impl Past {
    async fn step(&mut self) {
        match self.rng.below(13) {
            0..=3 => self.insert().await,
            4..=5 => self.delete().await,
            6 => drop(self.lake.compact("Film").await.unwrap()),
            7 => self.go_back().await,
            8 => drop(self.lake.expire("Film", None).await.unwrap()),
            9 => self.contract().await,
            10 => self.change_columns("one").await,
            11 => self.change_columns("two").await,
            _ => drop(self.lake.clean_orphans(Duration::ZERO).await.unwrap()),
        }
        let rows = self.rows().await;
        let kept = self.lake.snapshots("Film").await.unwrap();
        // A compaction makes several states, all of the same rows.
        for state in &kept {
            self.states.entry(state.id).or_insert_with(|| rows.clone());
        }
        assert!(kept.last().is_none_or(|present| self.states[&present.id] == rows));
        self.check_versions().await;
    }

    async fn rows(&self) -> Vec<Vec<Value>> {
        residents(lab::rows(&self.lake, "Film").await)
    }

    /// A column comes, goes, or comes back.
    async fn change_columns(&mut self, guest: &'static str) {
        self.contract().await;
        let (type_name, field): (Arc<str>, Arc<str>) = ("Film".into(), guest.into());
        let step = if self.object.fields.shift_remove(guest).is_some() {
            Step::DropColumn { type_name, field }
        } else {
            let guest_column = column(guest, DataType::Int, true);
            self.object.fields.insert(Arc::clone(&field), guest_column);
            match self.met.insert(guest) {
                true => Step::AddColumn { type_name, field },
                false => Step::RestoreColumn { type_name, field },
            }
        };
        let (old, new) = (self.lake.schema(), Arc::new(schema_of(vec![self.object.clone()])));
        let (change, control) =
            (SchemaChange { steps: &[&step], old: &old, new: &new }, Control::new(&|_| {}));
        let versions = Some((self.version, self.version + 1));
        self.lake.prepare_step(&step, change, &control).await.unwrap();
        self.lake.switch(change, versions, Vec::new(), &control).await.unwrap();
        self.version += 1;
        self.lake.set_schema(Arc::clone(&new));
        self.served = Some(Served { step, old, new });
    }

    /// Ends the service of the earlier version.
    async fn contract(&mut self) {
        let Some(Served { step, old, new }) = self.served.take() else { return };
        self.lake.catalog().retire(&[]).await.unwrap();
        let change = SchemaChange { steps: &[&step], old: &old, new: &new };
        self.lake.contract(change, &Control::new(&|_| {})).await.unwrap();
    }

    /// Each version that is served reads the states that are kept, of which one is drawn.
    async fn check_versions(&self) {
        let Some(Served { old, new, .. }) = &self.served else { return };
        let kept = self.lake.snapshots("Film").await.unwrap();
        if kept.is_empty() {
            return;
        }
        let state = kept[self.rng.below(kept.len() as u64) as usize].id;
        for (schema, version) in [(old, self.version - 1), (new, self.version)] {
            let lake = self.lake.pinned(Arc::clone(schema), version);
            let guests = GUESTS.iter().filter(|guest| schema_has(schema, guest)).copied();
            let mut request = ScanRequest::new("Film", guests.chain(["id"]), Principal::local());
            request.at = Some(SnapshotRef::Id(state));
            let batches: Vec<_> = lake.scan(request).await.unwrap().try_collect().await.unwrap();
            let rows: usize = batches.iter().map(arrow::array::RecordBatch::num_rows).sum();
            assert_eq!(rows, self.states[&state].len());
        }
    }

    async fn insert(&mut self) {
        let new = self.made..self.made + 1 + self.rng.below(4) as i64;
        self.made = new.end;
        let guests = self.object.fields.len() - RESIDENTS;
        let row = |n: i64| [row(&format!("{n}"), "t", n), vec![Value::Int(n); guests]].concat();
        let rows: Vec<_> = new.map(row).collect();
        let staged = lab::stage(&self.lake, "Film", &rows).await;
        self.commit(Change::Insert(staged)).await;
    }

    async fn delete(&mut self) {
        let key = self.rng.below(self.made as u64 + 1).to_string();
        self.commit(Change::Delete(vec![vec![key.as_str().into()]])).await;
    }

    async fn commit(&self, change: Change) {
        let change = TableChange { type_name: "Film".into(), change };
        self.lake.commit(vec![change], info("test")).await.unwrap();
    }

    async fn go_back(&mut self) {
        let snapshots = self.lake.snapshots("Film").await.unwrap();
        if snapshots.is_empty() {
            return;
        }
        let to = snapshots[self.rng.below(snapshots.len() as u64) as usize].id;
        self.lake.rollback("Film", to, "test").await.unwrap();
        assert_eq!(self.rows().await, self.states[&to]);
    }

    async fn check(&self) {
        let table = self.lake.table("Film").await.unwrap();
        for snapshot in table.iceberg().unwrap().snapshots() {
            let rows = lab::rows_at(&self.lake, "Film", Some(snapshot.as_ref())).await;
            assert_eq!(residents(rows), self.states[&snapshot.snapshot_id()]);
        }
        self.lake.verify().await.unwrap();
    }
}

/// The columns that stay, in the order of the rows.
fn residents(rows: Vec<Vec<Value>>) -> Vec<Vec<Value>> {
    let mut rows: Vec<_> = rows.into_iter().map(|row| row[..RESIDENTS].to_vec()).collect();
    rows.sort();
    rows
}

fn schema_has(schema: &Schema, field: &str) -> bool {
    schema.types["Film"].fields.contains_key(field)
}

#[tokio::test]
async fn every_state_that_is_kept_can_be_read_whole() {
    let (mut let_go, mut schemas_let_go) = (0, 0);
    for seed in 0..3 {
        let lab = Lab::new(vec![film()]).await;
        let config = Config {
            compact: false,
            snapshots: Some(12),
            retain: Duration::from_secs(90 * 60),
            ..lab.lake.config().clone()
        };
        let lake = Lake::open(config, lab.lake.schema()).await.unwrap();
        let rng = Rng::seeded(seed);
        let mut past = Past {
            lake,
            rng,
            states: HashMap::new(),
            made: 0,
            object: film(),
            met: HashSet::new(),
            version: 1,
            served: None,
        };
        // It comes and goes before anything else.
        past.change_columns(LONG_GONE).await;
        past.change_columns(LONG_GONE).await;
        for _ in 0..100 {
            lab.clock.advance(past.rng.below(4 * MINUTE as u64) as i64);
            past.step().await;
        }
        past.lake.clean_orphans(Duration::ZERO).await.unwrap();
        past.change_columns(LONG_GONE).await;
        past.check().await;
        let_go += past.states.len() - past.lake.snapshots("Film").await.unwrap().len();
        let table = past.lake.table("Film").await.unwrap();
        let ids: Vec<i32> =
            table.iceberg().unwrap().schemas_iter().map(|schema| schema.schema_id()).collect();
        schemas_let_go += ids.iter().max().unwrap() + 1 - ids.len() as i32;
    }
    assert!(let_go > 50 && schemas_let_go > 10, "{let_go} {schemas_let_go}");
}
