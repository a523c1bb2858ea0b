//! Migrations: each step once, by whoever comes first, and never backwards.

use base::Kind;
use meta::Database;

use crate::backends::on_each;

const ONE: &[&str] = &["CREATE TABLE test_a (id BIGINT NOT NULL PRIMARY KEY, data BLOB)"];
const TWO: &[&str] =
    &[ONE[0], "ALTER TABLE test_a ADD COLUMN name TEXT; INSERT INTO test_a (id) VALUES (7)"];
const OTHER_ONE: &[&str] = &["CREATE TABLE test_a (id TEXT)"];
const BROKEN: &[&str] =
    &[ONE[0], "CREATE TABLE test_b (id BIGINT); CREATE TABLE nonsense nonsense"];

async fn rows(database: &Database) -> usize {
    database.query("SELECT id FROM test_a", &[]).await.expect("rows").len()
}

#[tokio::test]
async fn every_step_runs_once_and_new_ones_follow() {
    on_each(async |place| {
        let database = place.open().await;
        database.migrate("test", ONE).await.unwrap();
        for _ in 0..2 {
            database.migrate("test", TWO).await.unwrap();
            assert_eq!(rows(&database).await, 1);
        }
        assert_eq!(rows(&place.open().await).await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_newer_database_is_refused_by_the_version_that_wrote_it() {
    on_each(async |place| {
        let database = place.open().await;
        database.migrate("test", TWO).await.unwrap();
        let error = database.migrate("test", ONE).await.unwrap_err();
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(error.kind(), Kind::Unsupported);
        assert_eq!(
            error.message(),
            format!(
                "the metadata of `test` has version 2, written by headwater {version}; \
                 this headwater {version} reads versions up to 1"
            )
        );
        assert_eq!(error.hint_text(), Some(format!("use headwater {version} or newer").as_str()));
    })
    .await;
}

#[tokio::test]
async fn a_step_that_was_rewritten_is_refused() {
    on_each(async |place| {
        let database = place.open().await;
        database.migrate("test", ONE).await.unwrap();
        let error = database.migrate("test", OTHER_ONE).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported);
        assert!(error.message().starts_with("step 1 of the metadata of `test`"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_step_that_fails_leaves_nothing_behind() {
    on_each(async |place| {
        let database = place.open().await;
        let error = database.migrate("test", BROKEN).await.unwrap_err();
        assert_eq!(error.message(), "failed to upgrade the metadata of `test`");
        assert!(database.query("SELECT * FROM test_a", &[]).await.is_err());
        database.migrate("test", TWO).await.unwrap();
        assert_eq!(rows(&database).await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rivals_that_open_a_new_database_run_each_step_once() {
    on_each(async |place| {
        let rivals = (0..6).map(|_| {
            let url = place.url.clone();
            base::task::spawn("rival", async move {
                let database = Database::open(&url).await?;
                database.migrate("test", TWO).await
            })
        });
        for rival in rivals.collect::<Vec<_>>() {
            rival.await.unwrap().unwrap();
        }
        assert_eq!(rows(&place.open().await).await, 1);
    })
    .await;
}
