//! Compaction, expiry, clean-up, rollback, backup.

use std::time::Duration;

use frame::{Value, WriteOp};
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
    let listed =
        futures::TryStreamExt::try_next(&mut store.list(Some(&Path::from("objects")))).await;
    let name = listed.unwrap().unwrap().location;
    store.put(&name, "broken".into()).await.unwrap();
    let config = Config {
        objects: std::sync::Arc::new(LocalStore::open(&folder.path().join("new")).unwrap()),
        database: meta::Database::open("sqlite::memory:").await.unwrap(),
        ..lab.lake.config().clone()
    };
    let refused = Lake::restore(&target, &config).await.unwrap_err();
    assert_eq!(refused.kind(), base::Kind::Corrupt);
}
