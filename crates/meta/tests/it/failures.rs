//! What goes wrong, and in which words and kinds it is told.

use std::time::Duration;

use base::rng::Rng;
use base::{Error, Kind};
use futures::FutureExt;
use meta::{Database, Options};
use testkit::{Postgres, TempProject};

use crate::backends::Place;

async fn refusal(url: &str) -> Error {
    Database::open(url).await.expect_err("a refusal")
}

#[tokio::test]
async fn a_url_of_an_unknown_kind_is_refused_with_examples() {
    let error = refusal("mysql://localhost/x").await;
    assert_eq!(error.kind(), Kind::InvalidInput);
    assert!(error.hint_text().unwrap().contains("sqlite:///"));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named_as_damaged() {
    let folder =
        TempProject::empty().file("meta.db", "this is not a database, it is a letter\n".repeat(99));
    let error = refusal(&folder.metadata_url()).await;
    assert_eq!(error.kind(), Kind::Corrupt);
    assert!(error.message().contains("meta.db` is damaged"), "{error}");
    assert!(error.hint_text().unwrap().contains("headwater restore"));
}

#[tokio::test]
async fn damaged_pages_are_told_as_damage() {
    let place = Place::sqlite();
    let database = place.open_with_tables().await;
    database
        .write(|tx| {
            async move {
                for id in 0..500_i64 {
                    let insert = "INSERT INTO test_items (id, data) VALUES ($1, $2)";
                    tx.execute(insert, &[id.into(), vec![7_u8; 500].into()]).await?;
                }
                Ok(())
            }
            .boxed()
        })
        .await
        .unwrap();
    database.close().await;
    let path = place.folder.path().join("meta.db");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[16_384..100_000].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let damaged = match Database::open(&place.url).await {
        Ok(database) => database.query("SELECT * FROM test_items", &[]).await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(damaged.kind(), Kind::Corrupt);
}

#[tokio::test]
async fn a_missing_folder_is_told_with_a_hint() {
    let folder = TempProject::empty();
    let error = refusal(&format!("sqlite://{}/none/meta.db", folder.path().display())).await;
    assert_eq!(error.kind(), Kind::Io);
    assert_eq!(error.hint_text(), Some("check that its folder exists and may be written"));
}

#[tokio::test]
async fn a_full_disk_fails_the_write_and_not_the_database() {
    let place = Place::sqlite();
    let database = place.open_with_tables().await;
    let insert = "INSERT INTO test_items (id, data) VALUES ($1, $2)";
    // SQLite answers a limit on its pages exactly as it answers a full disk.
    let error = database
        .write(move |tx| {
            async move {
                tx.query("PRAGMA max_page_count = 20", &[]).await?;
                tx.execute(insert, &[1.into(), vec![7_u8; 500_000].into()]).await
            }
            .boxed()
        })
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Io);
    assert!(error.hint_text().unwrap().starts_with("free space"));
    database.execute(insert, &[2.into(), vec![7_u8].into()]).await.unwrap();
    let rows = database.query("SELECT id FROM test_items", &[]).await.unwrap();
    assert_eq!(rows.len(), 1);
}

#[tokio::test]
async fn a_lock_that_stays_is_given_up_as_unavailable() {
    let place = Place::sqlite();
    let holder = place.open_with_tables().await;
    let patience = Duration::from_millis(200);
    let options = Options { patience, rng: Rng::seeded(1), ..Options::new() };
    let waiter = Database::open_with(&place.url, options).await.unwrap();
    let insert = "INSERT INTO test_items (id) VALUES ($1)";
    holder
        .write(move |tx| {
            let waiter = waiter.clone();
            async move {
                tx.execute(insert, &[1.into()]).await?;
                let error = waiter.execute(insert, &[2.into()]).await.unwrap_err();
                assert_eq!(error.kind(), Kind::Unavailable);
                assert!(error.message().contains("busy"), "{error}");
                Ok(())
            }
            .boxed()
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_unavailable_at_once() {
    let url = format!("postgres://headwater:secret@127.0.0.1:{}/x", testkit::free_port());
    let error = refusal(&url).await;
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(!base::error_chain(&error).join(" ").contains("secret"));
}

#[tokio::test]
async fn a_database_that_postgres_does_not_have_is_not_found() {
    let Some(server) = Postgres::shared() else { return };
    let error = refusal(&format!("postgres://headwater@127.0.0.1:{}/none", server.port())).await;
    assert_eq!(error.kind(), Kind::NotFound);
    assert_eq!(error.hint_text(), Some("create the database that the URL names"));
}

#[tokio::test]
async fn work_goes_on_after_a_failover() {
    let (Some(place), Some(server)) = (Place::postgres(), Postgres::shared()) else { return };
    let database = place.open_with_tables().await;
    let insert = "INSERT INTO test_items (id) VALUES ($1)";
    for id in 0..4_i64 {
        server.disconnect_all(&place.url);
        database.execute(insert, &[id.into()]).await.unwrap();
    }
    assert_eq!(database.query("SELECT id FROM test_items", &[]).await.unwrap().len(), 4);
}
