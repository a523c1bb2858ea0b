//! Copies of the database: whole, of one moment, and good on either kind of database.

use base::Kind;
use futures::FutureExt;
use meta::{Database, Param, changes};

use crate::backends::{Place, STEPS, on_each};

const LINKED: &[&str] = &[
    "CREATE TABLE test_z (id BIGINT NOT NULL PRIMARY KEY); INSERT INTO test_z (id) VALUES (9)",
    "CREATE TABLE test_linked (id BIGINT NOT NULL PRIMARY KEY, z BIGINT NOT NULL REFERENCES test_z (id))",
];

async fn fill(database: &Database) {
    database.migrate("test", STEPS).await.expect("tables");
    database.migrate("linked", LINKED).await.expect("tables");
    let sql = "INSERT INTO test_items (id, name, data, flag, weight) VALUES ($1, $2, $3, $4, $5)";
    let filled = database.write(move |tx| {
        async move {
            for id in 0..1234_i64 {
                let data = id.to_be_bytes().to_vec();
                let flag: Param = if id == 3 { Param::Null } else { (id % 2 == 0).into() };
                tx.execute(sql, &[id.into(), "x".into(), data.into(), flag, 2.0.into()]).await?;
            }
            tx.execute("INSERT INTO test_linked (id, z) VALUES (1, 9)", &[]).await?;
            changes::bump(tx, "items").await
        }
        .boxed()
    });
    filled.await.expect("rows");
}

async fn content(database: &Database) -> Vec<(i64, Option<bool>, Vec<u8>, String)> {
    let rows = database.query("SELECT * FROM test_items ORDER BY id", &[]).await.expect("rows");
    let read = |row: &meta::Row| {
        let weight = row.float("weight")?.to_string();
        Ok((row.int("id")?, row.bool("flag").ok(), row.blob("data")?, weight))
    };
    rows.iter().map(read).collect::<base::Result<_>>().expect("values")
}

#[tokio::test]
async fn a_copy_holds_everything_and_fills_either_database() {
    on_each(async |place| {
        let database = place.open().await;
        fill(&database).await;
        let path = place.folder.path().join("copy.db");
        database.snapshot_to(&path).await.unwrap();
        on_each(async |target| {
            let restored = target.open().await;
            restored.restore_from(&path).await.unwrap();
            assert_eq!(content(&restored).await, content(&database).await);
            assert_eq!(changes::poll(&restored, "items").await.unwrap(), 1);
            for sql in ["SELECT * FROM test_linked", "SELECT * FROM test_z"] {
                assert_eq!(restored.query(sql, &[]).await.unwrap().len(), 1);
            }
            restored.migrate("test", STEPS).await.unwrap();
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn nothing_is_overwritten() {
    on_each(async |place| {
        let database = place.open_with_tables().await;
        let path = place.folder.path().join("copy.db");
        database.snapshot_to(&path).await.unwrap();
        assert_eq!(database.snapshot_to(&path).await.unwrap_err().kind(), Kind::AlreadyExists);
        assert_eq!(database.restore_from(&path).await.unwrap_err().kind(), Kind::AlreadyExists);
        let missing = place.folder.path().join("none.db");
        assert_eq!(database.restore_from(&missing).await.unwrap_err().kind(), Kind::NotFound);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_copy_made_while_others_write_is_of_one_moment() {
    on_each(async |place| {
        let database = place.open_with_tables().await;
        let writer = database.clone();
        // Both tables change in every transaction, so a copy of one moment has them equal.
        let writing = base::task::spawn("writer", async move {
            for id in 0.. {
                let both = writer.write(move |tx| {
                    async move {
                        tx.execute("INSERT INTO test_items (id) VALUES ($1)", &[id.into()]).await?;
                        changes::bump(tx, "items").await
                    }
                    .boxed()
                });
                both.await?;
            }
            Ok::<(), base::Error>(())
        });
        for number in 0..3 {
            let path = place.folder.path().join(format!("{number}.db"));
            database.snapshot_to(&path).await.unwrap();
            let target = Place::sqlite();
            let copy = target.open().await;
            copy.restore_from(&path).await.unwrap();
            let items = copy.query("SELECT id FROM test_items", &[]).await.unwrap().len() as i64;
            assert_eq!(items, changes::poll(&copy, "items").await.unwrap());
        }
        assert!(!writing.is_finished());
        writing.abort();
    })
    .await;
}
