//! Transactions: what is committed, what is not, and what is refused.

use base::Kind;
use futures::FutureExt;
use meta::{Database, Param};

const STEPS: &[&str] = &["CREATE TABLE test_items (
    id BIGINT NOT NULL PRIMARY KEY, name TEXT, data BLOB, flag BOOLEAN, weight DOUBLE PRECISION)"];

async fn items(folder: &tempfile::TempDir) -> Database {
    let url = format!("sqlite://{}/meta.db", folder.path().display());
    let database = Database::open(&url).await.expect("an open database");
    database.migrate("test", STEPS).await.expect("migrated tables");
    database
}

#[tokio::test]
async fn values_come_back_as_they_went_in() {
    let folder = tempfile::tempdir().unwrap();
    let database = items(&folder).await;
    database
        .execute(
            "INSERT INTO test_items (id, name, data, flag, weight) VALUES ($1, $2, $3, $4, $5)",
            &[1.into(), "é".into(), vec![0_u8, 255].into(), true.into(), 0.5.into()],
        )
        .await
        .unwrap();
    let row = database
        .query_one("SELECT * FROM test_items WHERE id = $1", &[1.into()])
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.int("id").unwrap(), 1);
    assert_eq!(row.text("name").unwrap(), "é");
    assert_eq!(row.blob("data").unwrap(), [0, 255]);
    assert!(row.bool("flag").unwrap());
    assert_eq!(row.float("weight").unwrap().to_bits(), 0.5_f64.to_bits());
}

#[tokio::test]
async fn a_second_row_of_one_key_already_exists() {
    let folder = tempfile::tempdir().unwrap();
    let database = items(&folder).await;
    let insert = "INSERT INTO test_items (id, name) VALUES ($1, $2)";
    database.execute(insert, &[1.into(), Param::Null]).await.unwrap();
    let error = database.execute(insert, &[1.into(), Param::Null]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::AlreadyExists);
}

#[tokio::test]
async fn a_read_cannot_write() {
    let folder = tempfile::tempdir().unwrap();
    let database = items(&folder).await;
    let insert = "INSERT INTO test_items (id) VALUES (1) RETURNING id";
    let error = database.query(insert, &[]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Internal);
    let count = database.read(|tx| tx.query("SELECT 1 FROM test_items", &[]).boxed()).await;
    assert_eq!(count.unwrap().len(), 0);
}
