//! Compaction, expiry, clean-up, rollback, backup.

use std::time::Duration;

use base::{Kind, Principal, Timestamp};
use frame::{DataType, Scan, ScanRequest, SnapshotRef, Value, WriteOp};
use futures::TryStreamExt;
use futures::future::join_all;
use lake::store::LocalStore;
use lake::{Change, Config, Lake, TableChange};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::lab::{self, Lab, batch, film, info, row, write};

const DAY: i64 = 24 * 3600 * 1_000_000;

async fn insert(lake: &Lake, rows: &[Vec<Value>]) {
    let staged = lab::stage(lake, "Film", rows).await;
    let change = TableChange { type_name: "Film".into(), change: Change::Insert(staged) };
    lake.commit(vec![change], info("test")).await.unwrap();
}

async fn delete(lake: &Lake, keys: &[&str]) {
    let keys = keys.iter().map(|key| vec![Value::from(*key)]).collect();
    let change = TableChange { type_name: "Film".into(), change: Change::Delete(keys) };
    lake.commit(vec![change], info("test")).await.unwrap();
}

/// Five commits of twenty films, and one that deletes three.
async fn busy() -> Lab {
    let lab = Lab::new(vec![film()]).await;
    for part in 0..5 {
        let rows: Vec<_> =
            (0..20).map(|n| row(&format!("{part}-{n:02}"), "t", i64::from(n))).collect();
        insert(&lab.lake, &rows).await;
    }
    delete(&lab.lake, &["0-00", "1-01", "2-02"]).await;
    lab
}

#[tokio::test]
async fn compaction_joins_files_applies_deletes_and_keeps_every_row() {
    let lab = busy().await;
    let before = lab.rows("Film").await;
    let done = lab.lake.compact("Film").await.unwrap();
    assert!(done.removed >= 16 && done.added <= 4 && done.removed_deletes >= 1, "{done:?}");
    assert_eq!(lab.rows("Film").await, before);
    let status = &lab.lake.status().await.unwrap()[0];
    assert_eq!((status.rows, status.files, status.deleted_rows), (97, 4, 0));
    assert_eq!(lab.lake.compact("Film").await.unwrap(), Default::default());
}

#[tokio::test]
async fn rows_that_are_changed_during_compactions_stay_changed() {
    let lab = busy().await;
    let other = lab.other(2).await;
    let change = async {
        for n in 3..9 {
            let key = format!("3-{n:02}");
            let rows = vec![batch(&other, "Film", &[row(&key, "changed", 1)])];
            write(&other, "Film", WriteOp::Upsert(rows)).await.unwrap();
        }
    };
    let compact = async {
        for _ in 0..3 {
            lab.lake.compact("Film").await.unwrap();
        }
    };
    futures::future::join(change, compact).await;
    let rows = lab.rows("Film").await;
    assert_eq!(rows.len(), 97);
    assert_eq!(rows.iter().filter(|row| row[1] == Value::from("changed")).count(), 6);
}

#[tokio::test]
async fn many_small_commits_are_compacted_by_themselves() {
    let lab = Lab::new(vec![film()]).await;
    for n in 0..70 {
        let rows = vec![batch(&lab.lake, "Film", &[row(&format!("{n}"), "t", n)])];
        write(&lab.lake, "Film", WriteOp::Insert(rows)).await.unwrap();
    }
    testkit::wait_for_async("a compaction", Duration::from_secs(60), async || {
        let snapshots = lab.lake.snapshots("Film").await.unwrap();
        snapshots.into_iter().find(|snapshot| snapshot.summary.as_ref() == "compact")
    })
    .await;
    assert_eq!(lab.rows("Film").await.len(), 70);
}

/// Each commit writes the list of all snapshots, so that those that are past their time go between two
/// rounds of maintenance.
#[tokio::test]
async fn old_snapshots_go_while_commits_come() {
    let lab = Lab::new(vec![film()]).await;
    let config = Config { retain: Duration::ZERO, ..lab.lake.config().clone() };
    let lake = Lake::open(config, lab.lake.schema()).await.unwrap();
    for n in 0..130 {
        lab.clock.advance(1000);
        let rows = vec![batch(&lake, "Film", &[row(&format!("{n}"), "t", n)])];
        write(&lake, "Film", WriteOp::Insert(rows)).await.unwrap();
    }
    testkit::wait_for_async("an expiry", Duration::from_secs(60), async || {
        let kept = lake.snapshots("Film").await.unwrap().len();
        (kept < 100).then_some(())
    })
    .await;
    assert_eq!(lab.rows("Film").await.len(), 130);
}

/// The names of all turns that were ever taken.
async fn turns(lake: &Lake) -> Vec<String> {
    let sql = "SELECT name FROM meta_leases ORDER BY name";
    let rows = lake.catalog().database().query(sql, &[]).await.unwrap();
    rows.iter().map(|row| row.text("name").unwrap()).collect()
}

/// A command that ends with its one task would take its turns with it, and nobody else could do its work
/// before they run out.
#[tokio::test]
async fn a_process_that_ends_soon_takes_no_turns() {
    let lab = Lab::new(vec![film()]).await;
    let hasty = Config { tends: false, retain: Duration::ZERO, ..lab.lake.config().clone() };
    let hasty = Lake::open(hasty, lab.lake.schema()).await.unwrap();
    for n in 0..130 {
        lab.clock.advance(1000);
        let staged = lab::stage(&hasty, "Film", &[row(&format!("{n}"), "t", n)]).await;
        let change = TableChange { type_name: "Film".into(), change: Change::Insert(staged) };
        hasty.commit(vec![change], info("test")).await.unwrap();
    }
    assert_eq!(hasty.snapshots("Film").await.unwrap().len(), 130);
    assert_eq!(turns(&hasty).await, [""; 0]);
    // Who switches only compaction off lets old snapshots go, with the next commit.
    let other = Config { compact: false, retain: Duration::ZERO, ..lab.lake.config().clone() };
    let other = Lake::open(other, lab.lake.schema()).await.unwrap();
    insert(&other, &[row("other", "t", 1)]).await;
    testkit::wait_for_async("an expiry", Duration::from_secs(20), async || {
        (other.snapshots("Film").await.unwrap().len() < 100).then_some(())
    })
    .await;
    assert!(turns(&other).await.iter().any(|name| name.starts_with("expire ")));
}

/// How many films there were.
async fn films_at(lake: &Lake, at: Timestamp) -> base::Result<u64> {
    let at = Some(SnapshotRef::Time(at));
    let request = ScanRequest { at, ..ScanRequest::new("Film", ["id"], Principal::local()) };
    let batches: Vec<_> = lake.scan(request).await?.try_collect().await?;
    Ok(batches.iter().map(|batch| batch.num_rows() as u64).sum())
}

/// Of many snapshots within their time older ones are thinned out, which no reader of the newest notices.
#[tokio::test]
async fn too_many_snapshots_are_thinned_out_while_commits_come() {
    let lab = Lab::new(vec![film()]).await;
    let config = Config { snapshots: Some(100), ..lab.lake.config().clone() };
    let lake = Lake::open(config, lab.lake.schema()).await.unwrap();
    for n in 0..250 {
        lab.clock.advance(60_000_000);
        let rows = vec![batch(&lake, "Film", &[row(&format!("{n}"), "t", n)])];
        write(&lake, "Film", WriteOp::Insert(rows)).await.unwrap();
    }
    let kept = testkit::wait_for_async("a thinning", Duration::from_secs(60), async || {
        let kept = lake.snapshots("Film").await.unwrap();
        (kept.len() < 150).then_some(kept)
    })
    .await;
    assert_eq!(lab.rows("Film").await.len(), 250);
    // The first hour of a history of four is still there, by its oldest state.
    assert!(kept[0].rows < 60, "{:?}", kept[0]);
    assert_eq!(films_at(&lake, kept[0].at).await.unwrap(), kept[0].rows);
    // A moment between two of them has no answer, rather than the next best one.
    let gap = kept.windows(2).find(|pair| pair[1].rows > pair[0].rows + 1).unwrap();
    let between = Timestamp::from_micros(gap[1].at.as_micros() - 1_000_000);
    let error = films_at(&lake, between).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    let hint = format!("the nearest are {} of", gap[0].id);
    assert!(error.to_string().contains("is not kept"), "{error}");
    assert!(error.hint_text().is_some_and(|text| text.contains(&hint)), "{error:?}");
    // Within what is whole, each moment has its answer.
    let last = kept.last().unwrap();
    let a_moment = Timestamp::from_micros(last.at.as_micros() + 1_000_000);
    assert_eq!(films_at(&lake, a_moment).await.unwrap(), 250);
}

/// A large file is not written anew because single rows of it change, and what is deleted of it does
/// not pile up in ever more delete files.
#[tokio::test]
async fn a_large_file_stays_beside_small_commits() {
    let fields = [
        ("id", DataType::String, false),
        ("title", DataType::String, false),
        ("year", DataType::Int, true),
    ];
    let film = lab::keyed(lab::object("Film", "films", &fields), &["id"]);
    let lab = Lab::new(vec![film]).await;
    let title = |n: u64| base::rng::Rng::seeded(n).uuid().to_string();
    let rows: Vec<_> = (0..20_000).map(|n| row(&title(n), &title(n + 1_000_000), 1)).collect();
    insert(&lab.lake, &rows).await;
    for n in 0..60 {
        let rows = vec![batch(&lab.lake, "Film", &[row(&title(n), "changed", n as i64)])];
        write(&lab.lake, "Film", WriteOp::Upsert(rows)).await.unwrap();
    }
    let status = testkit::wait_for_async("compactions", Duration::from_secs(60), async || {
        let status = lab.lake.status_of("Film").await.unwrap();
        (status.delete_files < 16 && status.files < 17).then_some(status)
    })
    .await;
    assert!(status.bytes > 1 << 19, "{status:?}");
    // The first file has its rows still, those that are deleted too.
    assert!(status.deleted_rows >= 60, "{status:?}");
    let after = lab.rows("Film").await;
    assert_eq!(after.len(), 20_000);
    assert_eq!(after.iter().filter(|row| row[1] == Value::from("changed")).count(), 60);
}

#[tokio::test]
async fn expired_snapshots_go_with_the_files_that_only_they_needed() {
    let lab = busy().await;
    lab.lake.compact("Film").await.unwrap();
    lab.clock.advance(DAY);
    insert(&lab.lake, &[row("new", "t", 1)]).await;
    let rows = lab.rows("Film").await;
    let expired = lab.lake.expire("Film", Some(Duration::from_secs(3600))).await.unwrap();
    assert_eq!(expired.snapshots as usize + lab.lake.snapshots("Film").await.unwrap().len(), 11);
    assert!(expired.files > 20, "{expired:?}");
    lab.lake.verify().await.unwrap();
    assert_eq!(lab::rows(&lab.other(2).await, "Film").await, rows);
}

#[tokio::test]
async fn orphans_go_when_they_are_old_and_nothing_else_does() {
    let lab = busy().await;
    let orphan = lab.stage("Film", &[row("never", "t", 1)]).await;
    // The files' own times are the machine's, which is after the test's clock began.
    lab.clock.advance(365 * 10 * DAY);
    let cleaned = lab.lake.clean_orphans(Duration::from_secs(20 * 365 * 86_400)).await.unwrap();
    assert_eq!(cleaned.files, 0, "the grace period holds");
    let cleaned = lab.lake.clean_orphans(Duration::ZERO).await.unwrap();
    assert!(cleaned.files >= orphan.data.len() as u64);
    let path = lab.lake.locations().path(orphan.data[0].file_path()).unwrap();
    assert!(lab.lake.config().objects.head(&path).await.is_err());
    lab.lake.verify().await.unwrap();
    assert_eq!(lab::rows(&lab.other(2).await, "Film").await.len(), 97);
}

#[tokio::test]
async fn a_rollback_brings_the_rows_of_a_snapshot_back() {
    let lab = busy().await;
    let before = lab.rows("Film").await;
    let snapshot = lab.lake.snapshots("Film").await.unwrap().pop().unwrap();
    delete(&lab.lake, &["4-00"]).await;
    insert(&lab.lake, &[row("x", "t", 1)]).await;
    let back = lab.lake.rollback("Film", snapshot.id, "ada").await.unwrap();
    assert_eq!((back.rows, back.author.as_ref()), (97, "ada"));
    assert_eq!(lab.rows("Film").await, before);
    let refused = lab.lake.rollback("Film", 42, "ada").await.unwrap_err();
    assert_eq!(refused.to_string(), "table `films` has no snapshot 42");
}

#[tokio::test]
async fn a_backup_taken_while_others_write_restores_to_one_moment() {
    let lab = busy().await;
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("backup");
    let writes = (0..5).map(|n| {
        let lake = lab.lake.clone();
        async move { insert(&lake, &[row(&format!("during {n}"), "t", n)]).await }
    });
    let (report, _) =
        futures::future::join(lab.lake.backup(&target, &|_| {}), join_all(writes)).await;
    assert!(report.unwrap().objects > 10);
    let restored = folder.path().join("restored");
    std::fs::create_dir(&restored).unwrap();
    let config = Config {
        objects: std::sync::Arc::new(LocalStore::open(&restored.join("objects")).unwrap()),
        database: meta::Database::open(&format!("sqlite://{}", restored.join("meta.db").display()))
            .await
            .unwrap(),
        ..lab.lake.config().clone()
    };
    Lake::restore(&target, &config).await.unwrap();
    let lake = Lake::open(config.clone(), lab.lake.schema()).await.unwrap();
    let rows = lab::rows(&lake, "Film").await;
    assert!((97..=102).contains(&rows.len()));
    insert(&lake, &[row("after", "t", 1)]).await;
    lake.clean_orphans(Duration::from_secs(3600)).await.unwrap();
    assert!(Lake::restore(&target, &config).await.is_err(), "only into an empty project");
}

#[tokio::test]
async fn a_damaged_backup_is_refused() {
    let lab = busy().await;
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("backup");
    lab.lake.backup(&target, &|_| {}).await.unwrap();
    let store = LocalStore::open(&target).unwrap();
    let listed = store.list(Some(&Path::from("objects"))).try_next().await;
    let name = listed.unwrap().unwrap().location;
    store.put(&name, "broken".into()).await.unwrap();
    let config = Config {
        objects: std::sync::Arc::new(LocalStore::open(&folder.path().join("new")).unwrap()),
        database: meta::Database::open("sqlite::memory:").await.unwrap(),
        ..lab.lake.config().clone()
    };
    let refused = Lake::restore(&target, &config).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Corrupt);
}

/// How many objects there are below a folder.
async fn objects(lake: &Lake, folder: &str) -> usize {
    let listed = lake.config().objects.list(Some(&Path::from(folder)));
    listed.try_collect::<Vec<_>>().await.unwrap().len()
}

#[tokio::test]
async fn a_scan_that_runs_keeps_the_files_of_an_expired_snapshot() {
    let lab = busy().await;
    let other = lab.other(2).await;
    let sql = "SELECT count(*) FROM films";
    // A scan of the other node reads the files that the compaction and the expiry give up.
    let node = base::ids::NodeId::generate(&base::rng::Rng::seeded(9));
    other.pin_scans(node).await.unwrap();
    let options = lake::SqlOptions::new(Principal::local());
    let scan = other.sql("SELECT id FROM films ORDER BY id", options).await.unwrap();
    lab.lake.compact("Film").await.unwrap();
    lab.clock.advance(DAY);
    insert(&lab.lake, &[row("new", "t", 1)]).await;
    let expired = lab.lake.expire("Film", Some(Duration::from_secs(3600))).await.unwrap();
    assert!(expired.files > 20, "{expired:?}");
    let before = objects(&lab.lake, "").await;
    // Nobody has pinned anything, but the grace has not passed either.
    let cleaned = lab.lake.clean_orphans(Duration::from_secs(3600)).await.unwrap();
    assert_eq!((cleaned.files, objects(&lab.lake, "").await), (0, before));
    // A long scan holds them even when the grace has passed.
    pin(&other, node, 0).await;
    let cleaned = lab.lake.clean_orphans(Duration::ZERO).await.unwrap();
    assert_eq!(cleaned.files, 0, "what a scan may read is kept");
    let rows: Vec<_> = scan.stream.try_collect().await.unwrap();
    let rows: usize =
        rows.iter().map(|batch: &arrow::record_batch::RecordBatch| batch.num_rows()).sum();
    assert_eq!(rows, 97);
    // The scan has ended, and with it the pin.
    other.pin_scans(node).await.unwrap();
    unpin(&other, node).await;
    let cleaned = lab.lake.clean_orphans(Duration::ZERO).await.unwrap();
    assert_eq!(cleaned.files, expired.files);
    lab.lake.verify().await.unwrap();
    let options = lake::SqlOptions::new(Principal::local());
    let answer = other.sql(sql, options).await.unwrap();
    let count: Vec<_> = answer.stream.try_collect().await.unwrap();
    assert!(format!("{:?}", count[0].column(0)).contains("98"));
}

/// As a scan of more than a minute pins, which no test waits for.
async fn pin(lake: &Lake, node: base::ids::NodeId, number: i64) {
    let sql = "INSERT INTO lake_pins (node, number, beat) VALUES ($1, $2, 1)";
    let params = [node.to_string().into(), number.into()];
    lake.catalog().database().execute(sql, &params).await.unwrap();
}

async fn unpin(lake: &Lake, node: base::ids::NodeId) {
    let sql = "DELETE FROM lake_pins WHERE node = $1";
    lake.catalog().database().execute(sql, &[node.to_string().into()]).await.unwrap();
}

#[tokio::test]
async fn old_versions_of_lance_tables_go_with_the_files_that_only_they_needed() {
    let lab = Lab::new(vec![lab::lance(film())]).await;
    for part in 0..6 {
        let rows: Vec<_> =
            (0..20).map(|n| row(&format!("{part}-{n:02}"), "t", i64::from(n))).collect();
        let op = WriteOp::Upsert(vec![batch(&lab.lake, "Film", &rows)]);
        write(&lab.lake, "Film", op).await.unwrap();
    }
    for n in 0..4 {
        let op = WriteOp::Delete(vec![vec![Value::from(format!("0-{n:02}").as_str())]]);
        write(&lab.lake, "Film", op).await.unwrap();
    }
    let versions = lab.lake.snapshots("Film").await.unwrap();
    assert_eq!((versions.len(), versions.last().unwrap().rows), (10, 116));
    let table = lab.lake.table("Film").await.unwrap();
    let folder = format!("_tables/{}.lance", table.id);
    let before = objects(&lab.lake, &folder).await;
    // What is younger than is kept stays.
    assert_eq!(lab.lake.expire("Film", Some(Duration::from_secs(60))).await.unwrap().snapshots, 0);
    lab.clock.advance(DAY);
    let expired = lab.lake.expire("Film", Some(Duration::from_secs(60))).await.unwrap();
    assert_eq!(expired.snapshots, 9);
    assert!(expired.files >= 12, "{expired:?}");
    assert_eq!(objects(&lab.lake, &folder).await, before, "a scan may still read them");
    let cleaned = lab.lake.clean_orphans(Duration::ZERO).await.unwrap();
    assert_eq!(
        (cleaned.files, objects(&lab.lake, &folder).await),
        (expired.files, before - expired.files as usize)
    );
    // The table is whole, and can be changed and read by another node.
    let other = lab.other(2).await;
    let op = WriteOp::Upsert(vec![batch(&other, "Film", &[row("new", "t", 1)])]);
    write(&other, "Film", op).await.unwrap();
    let snapshots = other.snapshots("Film").await.unwrap();
    assert_eq!((snapshots.len(), snapshots.last().unwrap().rows), (2, 117));
}

#[tokio::test]
async fn a_file_that_a_crash_left_in_a_lance_table_is_an_orphan() {
    let lab = Lab::new(vec![lab::lance(film())]).await;
    let op = WriteOp::Upsert(vec![batch(&lab.lake, "Film", &[row("a", "t", 1)])]);
    write(&lab.lake, "Film", op).await.unwrap();
    let table = lab.lake.table("Film").await.unwrap();
    let left = Path::from(format!("_tables/{}.lance/data/left.lance", table.id));
    lab.lake.config().objects.put(&left, "left".into()).await.unwrap();
    let cleaned = lab.lake.clean_orphans(Duration::from_secs(3600)).await.unwrap();
    assert_eq!(cleaned.files, 0, "a stage may be about to commit it");
    let cleaned = lab.lake.clean_orphans(Duration::ZERO).await.unwrap();
    assert_eq!((cleaned.files, cleaned.bytes), (1, 4));
    assert_eq!(lab.lake.snapshots("Film").await.unwrap().last().unwrap().rows, 1);
}

#[tokio::test]
async fn one_node_maintains_a_table_at_a_time() {
    let lab = busy().await;
    lab.clock.advance(30 * DAY);
    let table = lab.lake.table("Film").await.unwrap();
    let (database, clock) = (lab.lake.catalog().database(), &lab.clock);
    let name = format!("maintain {}", table.id);
    let node = base::ids::NodeId::generate(&base::rng::Rng::seeded(5));
    let minute = Duration::from_secs(60);
    let lease = meta::leases::acquire(database, clock, &name, node, minute).await.unwrap().unwrap();
    lab.lake.maintain().await.unwrap();
    let snapshots = async || lab.lake.snapshots("Film").await.unwrap().len();
    assert_eq!(snapshots().await, 6, "another node has its turn");
    meta::leases::release(database, &lease).await.unwrap();
    lab.lake.maintain().await.unwrap();
    assert_eq!(snapshots().await, 1);
    assert_eq!(lab.lake.running().await.unwrap(), []);
}

/// Films whose titles are searched.
fn searched_film() -> schema::ObjectType {
    let mut object = film();
    object.fields.get_mut("title").unwrap().search = true;
    object
}

#[tokio::test]
async fn text_indexes_are_made_before_anybody_asks_and_go_with_their_files() {
    let lab = Lab::new(vec![searched_film()]).await;
    for part in 0..3 {
        let rows: Vec<_> = (0..20).map(|n| row(&format!("{part}-{n:02}"), "moon", n)).collect();
        insert(&lab.lake, &rows).await;
    }
    let unindexed = async || lab.lake.status_of("Film").await.unwrap().unindexed_rows;
    assert_eq!(unindexed().await, 60);
    lab.lake.maintain().await.unwrap();
    assert_eq!(unindexed().await, 0);
    let table = lab.lake.table("Film").await.unwrap();
    let folder = format!("_text/{}", table.id);
    assert_eq!(objects(&lab.lake, &folder).await, 24);
    // Joined files have indexes of their own; those of before go when no snapshot needs them.
    lab.lake.compact("Film").await.unwrap();
    assert_eq!(unindexed().await, 60);
    lab.lake.maintain().await.unwrap();
    assert_eq!(objects(&lab.lake, &folder).await, 32);
    lab.lake.clean_orphans(Duration::ZERO).await.unwrap();
    assert_eq!(objects(&lab.lake, &folder).await, 32, "older snapshots are searched, too");
    lab.clock.advance(DAY);
    lab.lake.expire("Film", Some(Duration::from_secs(3600))).await.unwrap();
    lab.lake.clean_orphans(Duration::ZERO).await.unwrap();
    assert_eq!((objects(&lab.lake, &folder).await, unindexed().await), (8, 0));
}

#[tokio::test]
async fn dropped_tables_of_both_formats_can_be_restored_until_their_time_is_over() {
    for object in [searched_film(), lab::lance(film())] {
        let lab = Lab::new(vec![object]).await;
        let op = WriteOp::Upsert(vec![batch(&lab.lake, "Film", &[row("a", "moon", 1)])]);
        write(&lab.lake, "Film", op).await.unwrap();
        lab.lake.maintain().await.unwrap();
        let drop = schema::plan::Step::DropTable { type_name: "Film".into() };
        let (schema, none) = (lab.lake.schema(), lab::schema_of(vec![]));
        lab.lake.execute_step(&drop, &schema, &none, &|_| {}).await.unwrap();
        let before = objects(&lab.lake, "").await;
        assert!(before > 2, "{before}");
        let cleaned = lab.lake.clean_orphans(Duration::ZERO).await.unwrap();
        assert_eq!((cleaned.tables, objects(&lab.lake, "").await), (0, before));
        let config = Config { retain: Duration::ZERO, ..lab.lake.config().clone() };
        let strict = Lake::open(config, schema).await.unwrap();
        let cleaned = strict.clean_orphans(Duration::ZERO).await.unwrap();
        assert_eq!((cleaned.tables, objects(&lab.lake, "").await), (1, 0), "{cleaned:?}");
    }
}
