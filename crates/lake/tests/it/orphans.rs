//! What the clean-up finds of what crashes leave, in both formats and beside the tables.

use std::sync::Arc;
use std::time::Duration;

use frame::{DataType, Scan, ScanRequest, Search, Value, WriteOp};
use futures::TryStreamExt;
use lake::{Change, Config, Lake, TableChange};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use schema::ObjectType;
use schema::plan::Step;
use testkit::counting_store::{Call, CountingStore, Fault};

use crate::lab::{self, Lab, batch, film, info, keyed, lance, object, row, schema_of, write};

const DAY: i64 = 24 * 3600 * 1_000_000;

fn card() -> ObjectType {
    let fields = [("id", DataType::String, false), ("title", DataType::String, true)];
    lance(keyed(object("Card", "cards", &fields), &["id"]))
}

fn searched_film() -> ObjectType {
    let mut object = film();
    object.fields.get_mut("title").unwrap().search = true;
    object
}

/// Two films and two cards, each of which were changed once.
async fn lab() -> Lab {
    let lab = Lab::new(vec![searched_film(), card()]).await;
    for title in ["first", "second"] {
        let films = vec![batch(&lab.lake, "Film", &[row("a", title, 1), row("b", title, 2)])];
        write(&lab.lake, "Film", WriteOp::Upsert(films)).await.unwrap();
        let cards: Vec<Vec<Value>> =
            ["a", "b"].map(|id| vec![id.into(), title.into()]).into_iter().collect();
        let cards = vec![batch(&lab.lake, "Card", &cards)];
        write(&lab.lake, "Card", WriteOp::Upsert(cards)).await.unwrap();
    }
    // The files' own times are the machine's, which is after the test's clock began.
    lab.clock.advance(3650 * DAY);
    lab
}

async fn objects(lake: &Lake) -> Vec<String> {
    let listed: Vec<_> = lake.config().objects.list(None).try_collect().await.unwrap();
    let mut names: Vec<String> = listed.iter().map(|meta| meta.location.to_string()).collect();
    names.sort();
    names
}

async fn put(lake: &Lake, path: &str, bytes: impl Into<object_store::PutPayload>) {
    lake.config().objects.put(&Path::from(path), bytes.into()).await.unwrap();
}

async fn found(lake: &Lake, text: &str) -> usize {
    let mut request = ScanRequest::new("Film", ["id"], base::Principal::local());
    request.search = Some(Search { fields: vec![], text: text.to_owned() });
    let batches: Vec<_> = lake.scan(request).await.unwrap().try_collect().await.unwrap();
    batches.iter().map(arrow::array::RecordBatch::num_rows).sum()
}

#[tokio::test]
async fn what_dead_writers_left_goes_and_nothing_else_does() {
    let lab = lab().await;
    assert_eq!(found(&lab.lake, "second").await, 2);
    lab.lake.clean_orphans(Duration::ZERO).await.unwrap();
    let before = objects(&lab.lake).await;
    let [film, card] =
        [lab.lake.table("Film").await.unwrap(), lab.lake.table("Card").await.unwrap()];
    let first = film.iceberg().unwrap().metadata_log()[0].metadata_file.clone();
    let first = lab.lake.locations().path(&first).unwrap();
    let metadata = lab.lake.config().objects.get(&first).await.unwrap().bytes().await.unwrap();
    let name = first.filename().unwrap().to_owned();
    let left = [
        format!("_tables/{}.lance/data/left.lance", card.id),
        format!("_tables/{}.lance/_versions/1-left.manifest", card.id),
        format!("_tables/{}.lance/_transactions/1-left.txn", card.id),
        format!("_companions/{}/media.lance/data/left.lance", film.id),
        format!("_text/{}/left.0.text", film.id),
        format!("test/ghosts-01234567/metadata/{name}"),
    ];
    for path in &left {
        put(&lab.lake, path, metadata.clone()).await;
    }
    // Folders that are not ours, or that cannot be told from such.
    let theirs = ["notes/of/others.txt", "other/theirs-1/metadata/00000-x.metadata.json"];
    for path in theirs {
        put(&lab.lake, path, "{}").await;
    }
    let cleaned = lab.lake.clean_orphans(Duration::ZERO).await.unwrap();
    assert_eq!(cleaned.files, left.len() as u64);
    let mut expected = before;
    expected.extend(theirs.map(str::to_owned));
    expected.sort();
    assert_eq!(objects(&lab.lake).await, expected);
    assert_eq!(found(&lab.other(2).await, "second").await, 2);
}

#[tokio::test]
async fn a_text_index_goes_with_its_data_file() {
    let lab = lab().await;
    assert_eq!(found(&lab.lake, "second").await, 2);
    let texts = |names: &[String]| names.iter().filter(|name| name.starts_with("_text/")).count();
    let before = texts(&objects(&lab.lake).await);
    lab.lake.compact("Film").await.unwrap();
    assert_eq!(found(&lab.lake, "second").await, 2);
    lab.lake.expire("Film", Some(Duration::ZERO)).await.unwrap();
    lab.clock.advance(DAY);
    lab.lake.expire("Film", Some(Duration::ZERO)).await.unwrap();
    lab.lake.clean_orphans(Duration::ZERO).await.unwrap();
    let after = objects(&lab.lake).await;
    let files = lab.lake.status_of("Film").await.unwrap().files as usize;
    // A list and one part for each data file that lives.
    assert_eq!(texts(&after), 2 * files);
    assert!(before > 0);
    assert_eq!(found(&lab.other(2).await, "second").await, 2);
}

/// What was doomed, and is still there.
async fn doomed(lake: &Lake, folder: &str) -> Vec<String> {
    let sql = "SELECT path FROM lake_doomed ORDER BY path";
    let rows = lake.catalog().database().query(sql, &[]).await.unwrap();
    let paths = rows.iter().map(|row| row.text("path").unwrap());
    paths.filter(|path| path.starts_with(folder)).collect()
}

/// The clean-up of what is left comes days later.
#[tokio::test]
async fn text_indexes_are_doomed_with_their_data_files_by_whatever_fields() {
    let lab = lab().await;
    assert_eq!(found(&lab.lake, "second").await, 2);
    let texts = async || {
        let names = objects(&lab.lake).await.into_iter();
        names.filter(|name| name.starts_with("_text/")).collect::<Vec<_>>()
    };
    let mut old = texts().await;
    assert!(old.len() >= 2, "{old:?}");
    // The index of one of the files by other fields, as an earlier schema had them.
    let (of_file, _) = old[0].rsplit_once('-').unwrap();
    let other = [format!("{of_file}-other.json"), format!("{of_file}-other.0.text")];
    for path in &other {
        put(&lab.lake, path, "{}").await;
    }
    old.extend(other);
    old.sort();
    let films = vec![batch(&lab.lake, "Film", &[row("a", "third", 1), row("b", "third", 2)])];
    write(&lab.lake, "Film", WriteOp::Upsert(films)).await.unwrap();
    lab.lake.compact("Film").await.unwrap();
    assert_eq!(found(&lab.lake, "third").await, 2);
    lab.lake.expire("Film", Some(Duration::ZERO)).await.unwrap();
    lab.clock.advance(DAY);
    lab.lake.expire("Film", Some(Duration::ZERO)).await.unwrap();
    assert_eq!(doomed(&lab.lake, "_text/").await, old);
    let files = lab.lake.status_of("Film").await.unwrap().files as usize;
    assert_eq!(texts().await.len(), old.len() + 2 * files);
    assert_eq!(found(&lab.other(2).await, "third").await, 2);
    lab.lake.clean_orphans(Duration::ZERO).await.unwrap();
    assert_eq!((texts().await.len(), doomed(&lab.lake, "").await.len()), (2 * files, 0));
    assert_eq!(found(&lab.other(3).await, "third").await, 2);
}

#[tokio::test]
async fn the_removal_of_dropped_tables_that_was_cut_off_is_finished_by_the_next() {
    let lab = lab().await;
    found(&lab.lake, "second").await;
    let (old, none) = (lab.lake.schema(), schema_of(vec![]));
    for type_name in ["Film", "Card"] {
        let drop = Step::DropTable { type_name: type_name.into() };
        lab.lake.execute_step(&drop, &old, &none, &|_| {}).await.unwrap();
    }
    lab.lake.clean_orphans(Duration::ZERO).await.unwrap();
    assert!(objects(&lab.lake).await.len() > 10, "they can be restored");
    lab.clock.advance(8 * DAY);
    let store = CountingStore::new(Arc::clone(&lab.lake.config().objects));
    let config = Config { objects: Arc::new(store.clone()), ..lab.lake.config().clone() };
    let lake = Lake::open(config, Arc::new(none.clone())).await.unwrap();
    let restore = Step::RestoreTable { type_name: "Film".into() };
    for nth in [1, 3, 5] {
        store.fail_nth(Call::Delete, nth, Fault::Broken);
        lake.clean_orphans(Duration::ZERO).await.unwrap_err();
        // A table that lost files does not come back.
        let refused = lake.execute_step(&restore, &none, &old, &|_| {}).await.unwrap_err();
        assert_eq!(refused.kind(), base::Kind::NotFound);
        let restorable = lake.catalog().dropped().await.unwrap();
        assert_eq!(restorable.len(), 0, "a table that lost files could come back");
    }
    store.heal();
    lake.clean_orphans(Duration::ZERO).await.unwrap();
    assert_eq!(objects(&lake).await, Vec::<String>::new());
    assert_eq!(lake.clean_orphans(Duration::ZERO).await.unwrap(), Default::default());
}

#[tokio::test]
async fn a_stage_that_is_never_committed_is_found() {
    let lab = lab().await;
    lab.lake.clean_orphans(Duration::ZERO).await.unwrap();
    let before = objects(&lab.lake).await;
    let staged = lab.stage("Film", &[row("c", "never", 3)]).await;
    let change = TableChange { type_name: "Film".into(), change: Change::Insert(staged.clone()) };
    assert!(objects(&lab.lake).await.len() > before.len());
    lab.lake.clean_orphans(Duration::ZERO).await.unwrap();
    assert_eq!(objects(&lab.lake).await, before);
    // Its commit is refused rather than made without its files.
    lab.lake.commit(vec![change], info("late")).await.unwrap_err();
    assert_eq!(lab::rows(&lab.lake, "Film").await.len(), 2);
}
