//! Commits: what each change does, who wins a race, what an idempotency key remembers.

use std::sync::Arc;

use base::{Kind, Principal};
use frame::{DataType, Value, Write, WriteOp, WriteRequest};
use futures::future::join_all;
use lake::{Change, CommitInfo, TableChange};

use crate::lab::{self, Lab, batch, film, info, play, row, stage, write};

fn change(type_name: &str, change: Change) -> Vec<TableChange> {
    vec![TableChange { type_name: type_name.into(), change }]
}

#[tokio::test]
async fn each_kind_of_change_leaves_what_it_says() {
    let lab = Lab::new(vec![film()]).await;
    let commit = async |kind: Change| lab.lake.commit(change("Film", kind), info("test")).await;
    let staged = lab.stage("Film", &[row("a", "A", 1), row("b", "B", 2), row("c", "C", 3)]).await;
    commit(Change::Insert(staged)).await.unwrap();
    let staged = lab.stage("Film", &[row("b", "B2", 20), row("d", "D", 4)]).await;
    let snapshots = commit(Change::Upsert(staged)).await.unwrap();
    assert_eq!((snapshots[0].rows, snapshots[0].operation.as_ref()), (4, "overwrite"));
    commit(Change::Delete(vec![vec!["a".into()], vec!["zzz".into()]])).await.unwrap();
    assert_eq!(lab.rows("Film").await, [row("b", "B2", 20), row("c", "C", 3), row("d", "D", 4)]);
    let staged = lab.stage("Film", &[row("e", "E", 5)]).await;
    commit(Change::Replace(staged)).await.unwrap();
    assert_eq!(lab.rows("Film").await, [row("e", "E", 5)]);
    let snapshots = lab.lake.snapshots("Film").await.unwrap();
    let rows: Vec<u64> = snapshots.iter().map(|snapshot| snapshot.rows).collect();
    assert_eq!(rows, [3, 4, 3, 1]);
    assert_eq!((snapshots[0].author.as_ref(), snapshots[0].summary.as_ref()), ("ada", "test"));
}

#[tokio::test]
async fn an_insert_of_a_key_that_is_there_is_refused_and_changes_nothing() {
    let lab = Lab::new(vec![film()]).await;
    for rows in [vec![row("a", "A", 1)], vec![row("b", "B", 1), row("a", "A", 2)]] {
        let staged = lab.stage("Film", &rows).await;
        let result = lab.lake.commit(change("Film", Change::Insert(staged)), info("test")).await;
        if rows.len() == 2 {
            let refused = result.unwrap_err();
            assert_eq!(refused.kind(), Kind::AlreadyExists);
            assert_eq!(refused.to_string(), "table `films` already has a row with the key `a`");
        }
    }
    let staged = lab.stage("Film", &[row("x", "A", 1), row("x", "B", 1)]).await;
    let refused = lab.lake.commit(change("Film", Change::Insert(staged)), info("test")).await;
    assert_eq!(
        refused.unwrap_err().to_string(),
        "the new rows of table `films` have the key `x` twice"
    );
    assert_eq!(lab.rows("Film").await, [row("a", "A", 1)]);
}

#[tokio::test]
async fn of_rows_with_one_key_in_an_upsert_the_last_counts() {
    let lab = Lab::new(vec![film()]).await;
    let staged =
        lab.stage("Film", &[row("a", "first", 1), row("b", "B", 2), row("a", "last", 3)]).await;
    lab.lake.commit(change("Film", Change::Upsert(staged)), info("test")).await.unwrap();
    assert_eq!(lab.rows("Film").await, [row("a", "last", 3), row("b", "B", 2)]);
}

#[tokio::test]
async fn tables_of_one_commit_change_together_or_not_at_all() {
    let lab = Lab::new(vec![film(), play()]).await;
    let plays = [vec!["a".into(), Value::DateTime(0), Value::Int(1)]];
    let both = |films, plays| {
        vec![
            TableChange { type_name: "Film".into(), change: Change::Insert(films) },
            TableChange { type_name: "Play".into(), change: Change::Append(plays) },
        ]
    };
    let films = lab.stage("Film", &[row("a", "A", 1)]).await;
    let staged = lab.stage("Play", &plays).await;
    lab.lake.commit(both(films, staged), info("one")).await.unwrap();
    let films = lab.stage("Film", &[row("a", "again", 1)]).await;
    let staged = lab.stage("Play", &plays).await;
    lab.lake.commit(both(films, staged), info("two")).await.unwrap_err();
    assert_eq!((lab.rows("Film").await.len(), lab.rows("Play").await.len()), (1, 1));
}

#[tokio::test]
async fn small_writes_insert_update_upsert_and_delete() {
    let lab = Lab::new(vec![film()]).await;
    let lake = &lab.lake;
    let rows = |rows: &[Vec<Value>]| vec![batch(lake, "Film", rows)];
    let receipt =
        write(lake, "Film", WriteOp::Insert(rows(&[row("a", "A", 1), row("b", "B", 2)]))).await;
    assert_eq!(receipt.unwrap().rows, 2);
    let changes = vec![rows(&[row("b", "unused", 20)])[0].project(&[0, 2]).unwrap()];
    write(lake, "Film", WriteOp::Update(changes)).await.unwrap();
    write(lake, "Film", WriteOp::Upsert(rows(&[row("c", "C", 3), row("a", "A2", 10)])))
        .await
        .unwrap();
    let deleted =
        write(lake, "Film", WriteOp::Delete(vec![vec!["c".into()], vec!["q".into()]])).await;
    assert_eq!(deleted.unwrap().rows, 1);
    assert_eq!(lab.rows("Film").await, [row("a", "A2", 10), row("b", "B", 20)]);
    let refused =
        write(lake, "Film", WriteOp::Update(rows(&[row("z", "Z", 1)]))).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::NotFound);
    assert_eq!(refused.to_string(), "table `films` has no row with the key `z`");
    assert_eq!(lake.snapshots("Film").await.unwrap().last().unwrap().rows, 2);
}

#[tokio::test]
async fn rows_are_found_by_key_on_every_page_of_a_large_file() {
    const ROWS: usize = 20_000;
    let id = |at: usize| format!("{at:05}");
    let fields = [
        ("id", DataType::String, false),
        ("title", DataType::String, false),
        ("year", DataType::Int, true),
    ];
    // Without buckets all rows are in one file.
    let films = lab::keyed(lab::object("Film", "films", &fields), &["id"]);
    let lab = Lab::new(vec![films]).await;
    let lake = &lab.lake;
    let all: Vec<_> = (0..ROWS).map(|at| row(&id(at), "old", 0)).collect();
    let staged = lab.stage("Film", &all).await;
    lake.commit(change("Film", Change::Insert(staged)), info("all")).await.unwrap();
    // The first and the last row of a page, of the file, and one in the middle.
    let places = [0, 8_191, 8_192, 12_345, 16_383, 16_384, ROWS - 1];
    for at in places {
        let rows = |title: &str| vec![batch(lake, "Film", &[row(&id(at), title, 1)])];
        let refused = write(lake, "Film", WriteOp::Insert(rows("twice"))).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::AlreadyExists, "{at}");
        write(lake, "Film", WriteOp::Upsert(rows("new"))).await.unwrap();
    }
    let mut expected = all;
    for at in places {
        expected[at] = row(&id(at), "new", 1);
    }
    assert_eq!(lab.rows("Film").await, expected);
    let keys = places.map(|at| vec![id(at).as_str().into()]).to_vec();
    assert_eq!(write(lake, "Film", WriteOp::Delete(keys)).await.unwrap().rows, 7);
    assert_eq!(lake.snapshots("Film").await.unwrap().last().unwrap().rows, ROWS as u64 - 7);
}

#[tokio::test]
async fn of_racing_inserts_of_one_key_exactly_one_succeeds() {
    let lab = Lab::new(vec![film()]).await;
    let lakes = [lab.lake.clone(), lab.other(2).await, lab.other(3).await];
    let insert = async |number: usize| {
        let lake = &lakes[number % lakes.len()];
        let rows = vec![batch(lake, "Film", &[row("same", &format!("writer {number}"), 1)])];
        write(lake, "Film", WriteOp::Insert(rows)).await
    };
    let results = join_all((0..12).map(insert)).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    let refused = results.into_iter().filter_map(Result::err);
    assert!(refused.into_iter().all(|error| error.kind() == Kind::AlreadyExists));
    assert_eq!(lab.rows("Film").await.len(), 1);
}

#[tokio::test]
async fn racing_updates_of_different_columns_of_one_row_are_both_kept() {
    let lab = Lab::new(vec![film()]).await;
    let lakes = [lab.lake.clone(), lab.other(2).await];
    let start = vec![batch(&lab.lake, "Film", &[row("a", "old", 0)])];
    write(&lab.lake, "Film", WriteOp::Insert(start)).await.unwrap();
    let whole = batch(&lab.lake, "Film", &[row("a", "new", 7)]);
    let title = write(&lakes[0], "Film", WriteOp::Update(vec![whole.project(&[0, 1]).unwrap()]));
    let year = write(&lakes[1], "Film", WriteOp::Update(vec![whole.project(&[0, 2]).unwrap()]));
    let (title, year) = futures::future::join(title, year).await;
    title.unwrap();
    year.unwrap();
    assert_eq!(lab.rows("Film").await, [row("a", "new", 7)]);
}

#[tokio::test]
async fn many_small_writes_at_once_share_few_snapshots() {
    let lab = Lab::new(vec![film()]).await;
    let insert = async |number: i64| {
        let rows = vec![batch(&lab.lake, "Film", &[row(&format!("{number:03}"), "t", number)])];
        write(&lab.lake, "Film", WriteOp::Insert(rows)).await.unwrap().snapshot
    };
    let snapshots = join_all((0..100).map(insert)).await;
    assert_eq!(lab.rows("Film").await.len(), 100);
    let listed = lab.lake.snapshots("Film").await.unwrap();
    assert!(listed.len() <= 5, "{} snapshots", listed.len());
    let known: Vec<i64> = listed.iter().map(|snapshot| snapshot.id).collect();
    assert!(snapshots.iter().all(|snapshot| known.contains(snapshot)));
}

fn with_key(lake: &lake::Lake, key: &str, title: &str) -> WriteRequest {
    WriteRequest {
        table: "Film".into(),
        op: WriteOp::Upsert(vec![batch(lake, "Film", &[row("a", title, 1)])]),
        idempotency_key: Some(Arc::from(key)),
        principal: Principal::local(),
    }
}

#[tokio::test]
async fn an_idempotency_key_makes_a_change_once_a_day() {
    let lab = Lab::new(vec![film()]).await;
    let first = lab.lake.write(with_key(&lab.lake, "k", "A")).await.unwrap();
    let again = lab.lake.write(with_key(&lab.lake, "k", "A")).await.unwrap();
    assert_eq!((again.snapshot, again.replayed), (first.snapshot, true));
    let other = lab.lake.write(with_key(&lab.lake, "k", "B")).await.unwrap_err();
    assert_eq!(other.kind(), Kind::Conflict);
    assert_eq!(other.to_string(), "the idempotency key `k` was used for another change");
    lab.clock.advance(25 * 3600 * 1_000_000);
    let next_day = lab.lake.write(with_key(&lab.lake, "k", "B")).await.unwrap();
    assert!(!next_day.replayed);
    assert_eq!(lab.rows("Film").await, [row("a", "B", 1)]);
}

#[tokio::test]
async fn the_same_keyed_change_at_the_same_time_is_made_once() {
    let lab = Lab::new(vec![film()]).await;
    let lakes = [lab.lake.clone(), lab.other(2).await];
    let send = async |number: usize| {
        let lake = &lakes[number % 2];
        lake.write(with_key(lake, "k", "A")).await.unwrap()
    };
    let receipts = join_all((0..6).map(send)).await;
    assert_eq!(receipts.iter().filter(|receipt| !receipt.replayed).count(), 1);
    assert!(receipts.iter().all(|receipt| receipt.snapshot == receipts[0].snapshot));
    assert_eq!(lab.lake.snapshots("Film").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_commit_runs_its_statements_in_the_same_transaction() {
    let lab = Lab::new(vec![film()]).await;
    let database = lab.lake.catalog().database();
    database.execute("CREATE TABLE journal (line TEXT)", &[]).await.unwrap();
    let also = vec![("INSERT INTO journal (line) VALUES ($1)".to_owned(), vec!["done".into()])];
    let info = CommitInfo { also, ..info("import") };
    let staged = lab.stage("Film", &[row("a", "A", 1)]).await;
    lab.lake.commit(change("Film", Change::Insert(staged.clone())), info.clone()).await.unwrap();
    lab.lake.commit(change("Film", Change::Insert(staged)), info).await.unwrap_err();
    let lines = database.query("SELECT line FROM journal", &[]).await.unwrap();
    assert_eq!(lines.len(), 1);
}

#[tokio::test]
async fn commits_survive_in_a_lake_that_is_opened_anew() {
    let lab = Lab::new(vec![film()]).await;
    let staged = lab.stage("Film", &[row("a", "A", 1)]).await;
    lab.lake.commit(change("Film", Change::Insert(staged)), info("test")).await.unwrap();
    let other = lab.other(9).await;
    assert_eq!(lab::rows(&other, "Film").await, [row("a", "A", 1)]);
    let staged = stage(&other, "Film", &[row("b", "B", 1)]).await;
    other.commit(change("Film", Change::Insert(staged)), info("test")).await.unwrap();
    assert_eq!(lab.rows("Film").await.len(), 2);
}
