//! Removal: what goes together, what goes meanwhile, and what waits once more.

use std::sync::Arc;
use std::time::Duration;

use base::rng::Rng;
use base::{Clock, Principal, Timestamp};
use frame::{DataType, Field, Value, Write, WriteOp, WriteRequest};
use futures::TryStreamExt;
use indexmap::IndexMap;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parking_lot::Mutex;
use schema::plan::Step;
use schema::{Schema, Sources};
use testkit::counting_store::{Call, CountingStore, Fault};
use tokio::time::Instant;

use super::{Cleaned, doomed};
use crate::store::{Durability, LocalStore};
use crate::{Config, Lake, Limits};

const SDL: &str = r#"extend schema @module(name: "test", owner: "tests")
type Film @key(fields: "id") @table(format: ICEBERG, plural: "films") {
  id: ID!
  title: String
}"#;
/// Longer than anything that is to be removed waits.
const LONG: Duration = Duration::from_secs(600);

/// A lake over a store, with a table.
async fn lake(objects: Arc<dyn ObjectStore>) -> Lake {
    let sources = Sources::from_texts([("test.graphql", SDL)]);
    let schema = schema::compile(&sources);
    let schema =
        Arc::new(schema.unwrap_or_else(|found| panic!("{}", found.render(&sources, false))));
    let config = Config {
        warehouse: "test".into(),
        objects,
        database: meta::Database::open("sqlite::memory:").await.unwrap(),
        clock: Clock::fixed(Timestamp::parse("2026-11-24T08:00:00Z").unwrap()),
        rng: Rng::seeded(1),
        limits: Limits::default(),
        compact: false,
        tends: true,
        retain: LONG,
        snapshots: None,
    };
    let lake = Lake::open(config, Arc::clone(&schema)).await.unwrap();
    let none = Schema { types: IndexMap::new(), ..schema.as_ref().clone() };
    let step = Step::CreateTable { type_name: "Film".into() };
    lake.execute_step(&step, &none, &schema, &|_| {}).await.unwrap();
    lake
}

async fn add_film(lake: &Lake, id: &str) {
    let field = |name: &str, nullable| Field::new(name, DataType::String, nullable);
    let rows = [vec![Value::from(id), Value::from("t")]];
    let rows = frame::convert::batch_of(&[field("id", false), field("title", true)], &rows);
    let request = WriteRequest {
        table: "Film".into(),
        op: WriteOp::Insert(vec![rows.unwrap()]),
        idempotency_key: None,
        principal: Principal::local(),
    };
    lake.write(request).await.unwrap();
}

/// Objects that are doomed together.
async fn doom(lake: &Lake, paths: &[String]) {
    for path in paths {
        put(lake, path).await;
    }
    let statements = doomed::statements(paths, lake.config().clock.now());
    lake.catalog().swap(&[], &statements).await.unwrap();
}

async fn put(lake: &Lake, path: &str) {
    lake.config().objects.put(&Path::from(path), "x".into()).await.unwrap();
}

/// Objects that were superseded long ago.
async fn supersede(lake: &Lake, paths: &[String]) {
    for path in paths {
        put(lake, path).await;
        let location = lake.locations().location(path);
        lake.inner.superseded.push(location, Instant::now().checked_sub(LONG).unwrap());
    }
}

fn names(folder: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{folder}/{number:04}")).collect()
}

async fn objects(lake: &Lake, folder: &str) -> Vec<String> {
    let listed = lake.config().objects.list(Some(&Path::from(folder)));
    let mut names: Vec<String> =
        listed.map_ok(|meta| meta.location.to_string()).try_collect().await.unwrap();
    names.sort();
    names
}

async fn doomed_left(lake: &Lake) -> usize {
    doomed::paths(lake.catalog().database()).await.unwrap().len()
}

#[tokio::test]
async fn files_that_go_together_wait_for_the_disk_once_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let synced = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&synced);
    let hook = Durability::Watched(Arc::new(move |path: &std::path::Path| {
        log.lock().push(path.to_path_buf());
        Ok(())
    }));
    let store = LocalStore::open_with(folder.path(), hook).unwrap();
    let lake = lake(Arc::new(store)).await;
    // Two expiries, a moment apart.
    doom(&lake, &[names("one", 30), names("two", 30)].concat()).await;
    doom(&lake, &names("one/more", 60)).await;
    synced.lock().clear();
    let mut cleaned = Cleaned::default();
    lake.remove_doomed(Duration::ZERO, &mut cleaned).await.unwrap();
    assert_eq!((cleaned.files, doomed_left(&lake).await), (120, 0));
    assert_eq!(synced.lock().len(), 3, "{synced:?}");
}

#[tokio::test]
async fn superseded_files_go_between_those_that_only_old_snapshots_needed() {
    let lake = lake(Arc::new(InMemory::new())).await;
    doom(&lake, &names("doomed", 3)).await;
    supersede(&lake, &names("superseded", 500)).await;
    // Whoever has the turn to remove sees to both.
    lake.remove_doomed(Duration::ZERO, &mut Cleaned::default()).await.unwrap();
    assert_eq!(objects(&lake, "doomed").await, [""; 0]);
    assert_eq!(objects(&lake, "superseded").await, [""; 0]);
}

#[tokio::test]
async fn superseded_files_that_cannot_be_removed_wait_once_more() {
    let store = CountingStore::new(Arc::new(InMemory::new()));
    let lake = lake(Arc::new(store.clone())).await;
    let names = names("superseded", 300);
    supersede(&lake, &names).await;
    store.fail_nth(Call::Delete, 7, Fault::Broken);
    lake.drain_superseded().await;
    assert_eq!(objects(&lake, "superseded").await, names[6..7]);
    assert_eq!(lake.inner.superseded.take(Instant::now()), [""; 0]);
    let again = lake.inner.superseded.take(Instant::now() + LONG);
    assert_eq!(again, [lake.locations().location(&names[6])]);
}

#[tokio::test]
async fn a_store_that_is_away_is_waited_for_once() {
    let store = CountingStore::new(Arc::new(InMemory::new()));
    let lake = lake(Arc::new(store.clone())).await;
    supersede(&lake, &names("superseded", 500)).await;
    doom(&lake, &names("doomed", 500)).await;
    let before = store.counts().deletes;
    store.fail_from(Call::Delete, 1, Fault::Broken);
    lake.drain_superseded().await;
    assert_eq!(store.counts().deletes - before, 200);
    lake.remove_doomed(Duration::ZERO, &mut Cleaned::default()).await.unwrap_err();
    assert_eq!(store.counts().deletes - before, 400);
    store.heal();
    lake.remove_doomed(Duration::ZERO, &mut Cleaned::default()).await.unwrap();
    assert_eq!((objects(&lake, "doomed").await.len(), doomed_left(&lake).await), (0, 0));
}

#[tokio::test]
async fn a_file_that_cannot_be_removed_keeps_no_other() {
    let store = CountingStore::new(Arc::new(InMemory::new()));
    let lake = lake(Arc::new(store.clone())).await;
    let names = [names("doomed", 450), names("later", 5)];
    for some in &names {
        doom(&lake, some).await;
    }
    store.fail_nth(Call::Delete, 7, Fault::Broken);
    let mut cleaned = Cleaned::default();
    let error = lake.remove_doomed(Duration::ZERO, &mut cleaned).await.unwrap_err();
    assert_eq!(error.to_string(), "failed to remove `doomed/0006`");
    assert_eq!((cleaned.files, doomed_left(&lake).await), (449 + 5, 1));
    assert_eq!(objects(&lake, "doomed").await, names[0][6..7]);
    assert_eq!(objects(&lake, "later").await, [""; 0]);
    lake.remove_doomed(Duration::ZERO, &mut cleaned).await.unwrap();
    assert_eq!((cleaned.files, doomed_left(&lake).await), (455, 0));
}

#[tokio::test]
async fn metadata_that_dead_nodes_left_is_noted_and_what_may_be_asked_for_is_not() {
    let lake = lake(Arc::new(InMemory::new())).await;
    for n in 0..25 {
        add_film(&lake, &format!("{n}")).await;
    }
    while !lake.inner.superseded.take(Instant::now() + LONG).is_empty() {}
    let table = lake.table("Film").await.unwrap();
    let folder = table.iceberg().unwrap().location().to_owned();
    let folder = format!("{}/metadata", lake.locations().path(&folder).unwrap());
    // The first four fell out of the log by themselves, and were taken above as if they were removed.
    let forgotten = objects(&lake, &folder).await.into_iter();
    let forgotten: Vec<String> = forgotten.filter(|name| name.ends_with(".json")).take(5).collect();
    for path in &forgotten {
        lake.config().objects.delete(&Path::from(path.as_str())).await.unwrap();
    }
    let file = |number: u32| format!("{folder}/{number:05}-dead.metadata.json");
    for number in [0, 3, 25, 26, 30] {
        put(&lake, &file(number)).await;
    }
    assert!(table.metadata_location.contains("/00025-"), "{}", table.metadata_location);
    lake.note_dead(&table).await.unwrap();
    let mut noted = lake.inner.superseded.take(Instant::now() + LONG);
    noted.sort();
    let expected = [0, 3, 25].map(|number| lake.locations().location(&file(number)));
    assert_eq!(noted, expected);
    // All of it in a round, once the time is over.
    supersede(&lake, &[file(0), file(3), file(25)]).await;
    lake.maintain().await.unwrap();
    let left = objects(&lake, &folder).await;
    assert_eq!(left.iter().filter(|name| name.contains("-dead")).count(), 2, "{left:?}");
    add_film(&lake, "one more").await;
}

#[tokio::test]
async fn doomed_files_are_found_by_their_number() {
    let lake = lake(Arc::new(InMemory::new())).await;
    let database = lake.catalog().database();
    for sql in [
        "SELECT path FROM lake_doomed WHERE number = 1 AND path > '' ORDER BY path LIMIT 9",
        "SELECT DISTINCT number FROM lake_doomed ORDER BY number",
    ] {
        let rows = database.query(&format!("EXPLAIN QUERY PLAN {sql}"), &[]).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.text("detail").unwrap()).collect();
        assert!(plan.iter().all(|step| step.contains("lake_doomed_number")), "{plan:?}");
    }
}
