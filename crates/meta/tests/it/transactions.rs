//! Transactions: what is committed, what is not, and what is refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{Error, Kind};
use futures::FutureExt;
use meta::{Database, Param};
use proptest::prelude::*;
use tokio::sync::Notify;

use crate::backends::{Place, on_each};

const INSERT: &str = "INSERT INTO test_items (id, name) VALUES ($1, $2)";

async fn ids(database: &Database) -> Vec<i64> {
    let rows = database.query("SELECT id FROM test_items ORDER BY id", &[]).await.expect("rows");
    rows.iter().map(|row| row.int("id").expect("an id")).collect()
}

#[tokio::test]
async fn values_come_back_as_they_went_in() {
    on_each(async |place| {
        let database = place.open_with_tables().await;
        let sql =
            "INSERT INTO test_items (id, name, data, flag, weight) VALUES ($1, $2, $3, $4, $5)";
        let rows: [[Param; 5]; 3] = [
            [1.into(), "é\n'".into(), vec![0_u8, 255].into(), true.into(), 0.5.into()],
            [i64::MIN.into(), "".into(), Vec::new().into(), false.into(), (-1e300).into()],
            [i64::MAX.into(), Param::Null, Param::Null, Param::Null, Param::Null],
        ];
        for row in &rows {
            database.execute(sql, row).await.unwrap();
        }
        let read = database.query("SELECT * FROM test_items ORDER BY id", &[]).await.unwrap();
        let [low, one, high] = read.as_slice() else { panic!("three rows, not {}", read.len()) };
        assert_eq!(low.int("id").unwrap(), i64::MIN);
        assert_eq!(
            (one.text("name").unwrap(), one.bool("flag").unwrap()),
            ("é\n'".to_owned(), true)
        );
        assert_eq!(one.blob("data").unwrap(), [0, 255]);
        assert_eq!((low.blob("data").unwrap(), low.text("name").unwrap()), (vec![], String::new()));
        assert!((low.float("weight").unwrap() - -1e300).abs() < f64::EPSILON);
        assert!(!low.bool("flag").unwrap());
        assert_eq!(high.int("id").unwrap(), i64::MAX);
        assert_eq!((high.opt_text("name").unwrap(), high.opt_blob("data").unwrap()), (None, None));
        assert_eq!(high.opt_float("weight").unwrap(), None);
    })
    .await;
}

/// One row is read by another way than several are: in the same form, with placeholders in any order,
/// and as fresh, also when somebody else has opened the same database and writes.
#[tokio::test]
async fn one_row_is_read_like_many_and_as_fresh() {
    on_each(async |place| {
        let (database, other) = (place.open_with_tables().await, place.open().await);
        let sql = "SELECT id, name, data, flag, weight FROM test_items WHERE name = $2 AND id = $1";
        for id in 0..20_i64 {
            let asked: [Param; 2] = [id.into(), "é'".into()];
            assert_eq!(database.query_one(sql, &asked).await.unwrap(), None);
            let insert = "INSERT INTO test_items (id, name, data, flag, weight) \
                          VALUES ($1, $2, $3, $4, $5)";
            let row =
                [id.into(), "é'".into(), vec![0_u8, 255].into(), (id % 2 == 0).into(), 0.5.into()];
            other.execute(insert, &row).await.unwrap();
            let one = database.query_one(sql, &asked).await.unwrap().unwrap();
            let [same] = &database.query(sql, &asked).await.unwrap()[..] else { panic!("one row") };
            assert_eq!(one.columns(), same.columns());
            assert_eq!(one.int("id").unwrap(), id);
            assert_eq!(one.text("name").unwrap(), same.text("name").unwrap());
            assert_eq!(one.blob("data").unwrap(), same.blob("data").unwrap());
            assert_eq!(one.bool("flag").unwrap(), same.bool("flag").unwrap());
            assert_eq!(one.opt_float("weight").unwrap(), same.opt_float("weight").unwrap());
        }
        let error = database.query_one("SELECT id FROM test_items", &[]).await.unwrap_err();
        assert!(error.message().contains("gave 20"), "{error}");
        let error = database.query_one("SELECT nothing FROM test_items", &[]).await.unwrap_err();
        assert!(error.message().contains("failed to run the statement"), "{error}");
        database.close().await;
        let error = database.query_one(sql, &[1.into(), "a".into()]).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable, "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_column_that_is_missing_null_or_of_another_type_is_named() {
    on_each(async |place| {
        let database = place.open().await;
        let sql = "SELECT CAST(1 AS BIGINT) AS a, CAST(NULL AS TEXT) AS b";
        let row = database.query_one(sql, &[]).await.unwrap().unwrap();
        for (error, words) in [
            (row.int("c").unwrap_err(), "the query has no column `c`; it has `a`, `b`"),
            (row.text("b").unwrap_err(), "column `b` of the metadata database is null"),
            (
                row.text("a").unwrap_err(),
                "column `a` of the metadata database holds a BIGINT, not a TEXT",
            ),
        ] {
            assert_eq!((error.kind(), error.message()), (Kind::Internal, words));
        }
    })
    .await;
}

#[tokio::test]
async fn sums_and_counts_are_integers() {
    on_each(async |place| {
        let database = place.open_with_tables().await;
        for id in [70_000_i64, -1, 123_456_789_012] {
            database.execute(INSERT, &[id.into(), Param::Null]).await.unwrap();
        }
        let sql = "SELECT SUM(id) AS total, COUNT(*) AS items, SUM(id) - 123456859011 AS zero,
                   SUM(-id) AS negative FROM test_items";
        let row = database.query_one(sql, &[]).await.unwrap().unwrap();
        assert_eq!(row.int("total").unwrap(), 123_456_859_011);
        assert_eq!(row.int("negative").unwrap(), -123_456_859_011);
        assert_eq!((row.int("items").unwrap(), row.int("zero").unwrap()), (3, 0));
    })
    .await;
}

#[tokio::test]
async fn a_second_row_of_one_key_already_exists() {
    on_each(async |place| {
        let database = place.open_with_tables().await;
        database.execute(INSERT, &[1.into(), Param::Null]).await.unwrap();
        let error = database.execute(INSERT, &[1.into(), "again".into()]).await.unwrap_err();
        assert_eq!(error.kind(), Kind::AlreadyExists);
    })
    .await;
}

#[tokio::test]
async fn a_read_cannot_write() {
    on_each(async |place| {
        let database = place.open_with_tables().await;
        let insert = "INSERT INTO test_items (id) VALUES (1) RETURNING id";
        let error = database.query(insert, &[]).await.unwrap_err();
        assert_eq!(error.message(), "a read transaction was asked to change data");
        let error = database.read(|tx| tx.execute(insert, &[]).boxed()).await.unwrap_err();
        assert_eq!(error.message(), "a read transaction was asked to execute a statement");
        assert_eq!(ids(&database).await, [0_i64; 0]);
    })
    .await;
}

#[tokio::test]
async fn an_error_of_the_closure_rolls_back() {
    on_each(async |place| {
        let database = place.open_with_tables().await;
        let outcome: base::Result<()> = database
            .write(|tx| {
                async move {
                    tx.execute(INSERT, &[1.into(), Param::Null]).await?;
                    Err(Error::invalid("no"))
                }
                .boxed()
            })
            .await;
        assert_eq!(outcome.unwrap_err().message(), "no");
        assert_eq!(ids(&database).await, [0_i64; 0]);
    })
    .await;
}

#[tokio::test]
async fn a_failed_statement_cannot_be_ignored() {
    on_each(async |place| {
        let database = place.open_with_tables().await;
        let outcome = database
            .write(|tx| {
                async move {
                    tx.execute(INSERT, &[1.into(), Param::Null]).await?;
                    drop(tx.execute(INSERT, &[1.into(), Param::Null]).await);
                    let later = tx.execute(INSERT, &[2.into(), Param::Null]).await;
                    assert_eq!(later.unwrap_err().kind(), Kind::Internal);
                    Ok(())
                }
                .boxed()
            })
            .await;
        assert_eq!(outcome.unwrap_err().kind(), Kind::Internal);
        assert_eq!(ids(&database).await, [0_i64; 0]);
    })
    .await;
}

#[tokio::test]
async fn a_dropped_write_rolls_back_and_lets_the_next_one_in() {
    on_each(async |place| {
        let database = place.open_with_tables().await;
        let written = Arc::new(Notify::new());
        let signal = Arc::clone(&written);
        let stuck = database.write(move |tx| {
            let signal = Arc::clone(&signal);
            async move {
                tx.execute(INSERT, &[1.into(), Param::Null]).await?;
                signal.notify_one();
                std::future::pending::<()>().await;
                Ok(())
            }
            .boxed()
        });
        tokio::select! {
            _ = stuck => unreachable!("it waits for ever"),
            () = written.notified() => {}
        }
        database.execute(INSERT, &[2.into(), Param::Null]).await.unwrap();
        assert_eq!(ids(&database).await, [2]);
    })
    .await;
}

#[tokio::test]
async fn a_read_sees_one_snapshot() {
    on_each(async |place| {
        let database = place.open_with_tables().await;
        let other = database.clone();
        let (before, after) = database
            .read(move |tx| {
                let other = other.clone();
                async move {
                    let count = "SELECT id FROM test_items";
                    let before = tx.query(count, &[]).await?.len();
                    other.execute(INSERT, &[1.into(), Param::Null]).await?;
                    Ok((before, tx.query(count, &[]).await?.len()))
                }
                .boxed()
            })
            .await
            .unwrap();
        assert_eq!((before, after), (0, 0));
        assert_eq!(ids(&database).await, [1]);
    })
    .await;
}

#[tokio::test]
async fn a_database_in_memory_is_shared_by_its_clones_only() {
    let database = Database::open("sqlite::memory:").await.unwrap();
    database.migrate("test", crate::backends::STEPS).await.unwrap();
    database.clone().execute(INSERT, &[1.into(), Param::Null]).await.unwrap();
    assert_eq!(ids(&database).await, [1]);
    let other = Database::open("sqlite::memory:").await.unwrap();
    assert!(other.query("SELECT id FROM test_items", &[]).await.is_err());
}

/// One step of a random transaction.
#[derive(Clone, Debug)]
enum Step {
    Put(i64, String),
    Remove(i64),
}

fn transactions() -> impl Strategy<Value = Vec<(Vec<Step>, bool)>> {
    let step = prop_oneof![
        (0..6_i64, "[a-z]{0,3}").prop_map(|(id, name)| Step::Put(id, name)),
        (0..6_i64).prop_map(Step::Remove),
    ];
    proptest::collection::vec((proptest::collection::vec(step, 0..5), any::<bool>()), 0..8)
}

/// Runs each transaction, committing or failing it at its end; gives what the table then holds.
async fn run_all(place: &Place, transactions: &[(Vec<Step>, bool)]) -> BTreeMap<i64, String> {
    let database = place.open_with_tables().await;
    for (steps, commits) in transactions {
        let (steps, commits) = (steps.clone(), *commits);
        let outcome = database.write(move |tx| {
            let steps = steps.clone();
            async move {
                for step in &steps {
                    apply(tx, step).await?;
                }
                if commits { Ok(()) } else { Err(Error::invalid("rolled back")) }
            }
            .boxed()
        });
        assert_eq!(outcome.await.is_ok(), commits);
    }
    let rows = database.query("SELECT id, name FROM test_items", &[]).await.expect("rows");
    let pair = |row: &meta::Row| Ok((row.int("id")?, row.text("name")?));
    rows.iter().map(pair).collect::<base::Result<_>>().expect("ids and names")
}

async fn apply(tx: &mut meta::Tx, step: &Step) -> base::Result<u64> {
    match step {
        Step::Put(id, name) => {
            let sql = "INSERT INTO test_items (id, name) VALUES ($1, $2)
                       ON CONFLICT (id) DO UPDATE SET name = excluded.name";
            tx.execute(sql, &[(*id).into(), name.into()]).await
        }
        Step::Remove(id) => {
            tx.execute("DELETE FROM test_items WHERE id = $1", &[(*id).into()]).await
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn transactions_act_like_a_map_that_is_replaced_whole(transactions in transactions()) {
        let mut expected = BTreeMap::new();
        for (steps, commits) in &transactions {
            let mut next = expected.clone();
            for step in steps {
                match step {
                    Step::Put(id, name) => drop(next.insert(*id, name.clone())),
                    Step::Remove(id) => drop(next.remove(id)),
                }
            }
            if *commits {
                expected = next;
            }
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(on_each(async |place| {
            assert_eq!(run_all(&place, &transactions).await, expected);
        }));
    }
}
