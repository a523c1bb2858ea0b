//! Files into tables: all or nothing, once only, resumed, and what is wrong told where it stands.

use std::collections::HashSet;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use base::{Kind, Principal};
use frame::{DataType, Value};
use lake::decode::FaultKind;
use lake::import::{ImportMode, ImportProgress, ImportReport, ImportRequest};
use lake::source::{Origin, ReadLimits};
use lake::steps::{Control, SchemaChange};
use lake::{Change, Lake, TableChange};
use schema::Schema;
use schema::plan::Step;

use crate::lab::{Lab, column, film, info, play, row, rows, schema_of};

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn request(path: &Path) -> ImportRequest {
    ImportRequest::new(Origin::Path(path.to_path_buf()), "Film", Principal::local())
}

async fn import(lake: &Lake, request: ImportRequest) -> base::Result<ImportReport> {
    lake.import(request, &mut |_| ()).await
}

const TWO: &str = "ID,title,YEAR\n1,Heat,1995\n2,Alien,1979\n";

fn two() -> Vec<Vec<Value>> {
    vec![row("1", "Heat", 1995), row("2", "Alien", 1979)]
}

/// What a roll-back took away can be imported again, and what one brought back need not be.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_taken_back_is_imported_again() {
    let lab = Lab::new(vec![film()]).await;
    let one = write(lab.folder.path(), "one.csv", "id,title,year\n3,Cube,1997\n");
    let before = import(&lab.lake, request(&one)).await.unwrap().snapshot;
    let path = write(lab.folder.path(), "films.csv", TWO);
    let with = import(&lab.lake, request(&path)).await.unwrap().snapshot;
    lab.lake.rollback("Film", before, "test").await.unwrap();
    assert_eq!(lab.rows("Film").await.len(), 1);
    assert!(import(&lab.lake, request(&one)).await.unwrap().skipped_as_already_imported);
    lab.lake.rollback("Film", with, "test").await.unwrap();
    assert!(import(&lab.lake, request(&path)).await.unwrap().skipped_as_already_imported);
    lab.lake.rollback("Film", before, "test").await.unwrap();
    let again = import(&lab.lake, request(&path)).await.unwrap();
    assert_eq!((again.rows, again.parts), (2, 1));
    assert_eq!(lab.rows("Film").await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_imported_once() {
    let lab = Lab::new(vec![film()]).await;
    let path = write(lab.folder.path(), "films.csv", TWO);
    let report = import(&lab.lake, request(&path)).await.unwrap();
    assert_eq!((report.rows, report.parts, report.skipped_as_already_imported), (2, 1, false));
    assert_eq!(lab.rows("Film").await, two());
    // Another name for the same content, from another process.
    let copy = write(lab.folder.path(), "copy.csv", TWO);
    let again = import(&lab.other(7).await, request(&copy)).await.unwrap();
    assert!(again.skipped_as_already_imported);
    assert_eq!((again.rows, again.snapshot), (2, report.snapshot));
    assert_eq!(lab.lake.snapshots("Film").await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_faulty_file_changes_nothing() {
    let lab = Lab::new(vec![film()]).await;
    let path =
        write(lab.folder.path(), "films.csv", "id,title,year\n1,Heat,1995\n2,Alien,MCMLXXIX\n");
    let error = import(&lab.lake, request(&path)).await.unwrap_err();
    let place = error.place().unwrap();
    assert_eq!((error.kind(), place.line, place.column), (Kind::InvalidInput, 3, 9));
    assert!(error.message().contains("field `year`"), "{error}");
    assert!(lab.lake.snapshots("Film").await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn faulty_rows_are_left_out_counted_and_written_down() {
    let lab = Lab::new(vec![film()]).await;
    let text = "id,title,year\n1,Heat,1995\nx\n3,,1990\n2,Alien,1979\n4,Jaws,?\n";
    let path = write(lab.folder.path(), "films.csv", text);
    let rejects = lab.folder.path().join("rejects.csv");
    let allowing =
        |max_errors| ImportRequest { max_errors, rejects: Some(rejects.clone()), ..request(&path) };
    let error = import(&lab.lake, allowing(2)).await.unwrap_err();
    assert!(error.message().contains("`--max-errors` allows 2"), "{error}");
    let report = import(&lab.lake, allowing(3)).await.unwrap();
    assert_eq!((report.rows, report.rejected), (2, 3));
    let kinds = [(FaultKind::Ragged, 1), (FaultKind::Missing, 1), (FaultKind::Type, 1)];
    assert_eq!(report.rejected_by_kind, kinds);
    assert_eq!(lab.rows("Film").await, two());
    let written = std::fs::read_to_string(&rejects).unwrap();
    assert_eq!(written.lines().count(), 4);
    assert!(
        written.contains(
            ",5,type,\"field `year`: expected an integer of 32 bits, found `?`\",\"4,Jaws,?\""
        ),
        "{written}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn modes_append_upsert_and_replace() {
    let lab = Lab::new(vec![film()]).await;
    let first = write(lab.folder.path(), "a.csv", TWO);
    import(&lab.lake, request(&first)).await.unwrap();
    let path = write(lab.folder.path(), "b.csv", "id,title,year\n2,Aliens,1986\n3,Jaws,1975\n");
    let error = import(&lab.lake, request(&path)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::AlreadyExists);
    assert_eq!(lab.rows("Film").await, two());
    let mode = ImportMode::Upsert;
    import(&lab.lake, ImportRequest { mode, ..request(&path) }).await.unwrap();
    let merged = vec![row("1", "Heat", 1995), row("2", "Aliens", 1986), row("3", "Jaws", 1975)];
    assert_eq!(lab.rows("Film").await, merged);
    let mode = ImportMode::Replace;
    import(&lab.lake, ImportRequest { mode, ..request(&first) }).await.unwrap();
    assert_eq!(lab.rows("Film").await, two());
    // A replacement that still stands is not made again; one that was followed by another change is.
    let again = import(&lab.lake, ImportRequest { mode, ..request(&first) }).await.unwrap();
    assert!(again.skipped_as_already_imported);
    let other = lab.stage("Film", &[row("9", "Nine", 2009)]).await;
    let change = TableChange { type_name: "Film".into(), change: Change::Append(other) };
    lab.lake.commit(vec![change], info("test")).await.unwrap();
    import(&lab.lake, ImportRequest { mode, ..request(&first) }).await.unwrap();
    assert_eq!(lab.rows("Film").await, two());
}

/// Rows in parts of 100, in blocks of 10.
fn large(count: u64) -> (String, impl Fn(&Path) -> ImportRequest) {
    let lines = (0..count).map(|i| format!("k{i:06},Film {i},{}\n", 1900 + i % 100));
    let text = std::iter::once("id,title,year\n".to_owned()).chain(lines).collect();
    let in_parts = |path: &Path| {
        let mut request = ImportRequest { part_rows: 100, ..request(path) };
        request.options.limits = ReadLimits { rows: 10, ..ReadLimits::default() };
        request
    };
    (text, in_parts)
}

/// Switches the lake from version 1 to version 2, with one more column, when it is told to; says when.
fn switching(
    lab: &Lab,
    new: Arc<Schema>,
) -> (mpsc::SyncSender<()>, mpsc::Receiver<()>, std::thread::JoinHandle<()>) {
    let ((begin, begins), (done, ends)) = (mpsc::sync_channel::<()>(1), mpsc::sync_channel(1));
    let (lake, old) = (lab.lake.clone(), lab.lake.schema());
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        begins.recv().unwrap();
        let step = Step::AddColumn { type_name: "Film".into(), field: "country".into() };
        runtime.block_on(async {
            let change = SchemaChange { steps: &[&step], old: &old, new: &new };
            let control = Control::new(&|_| {});
            lake.switch(change, Some((1, 2)), Vec::new(), &control).await.unwrap();
        });
        done.send(()).unwrap();
    });
    (begin, ends, thread)
}

/// A schema whose films have a country too.
fn wider(lab: &Lab) -> Arc<Schema> {
    let mut wider = film();
    let country = column("country", DataType::String, true);
    wider.fields.insert(Arc::clone(&country.name), country);
    let fingerprint = "wider".into();
    let new = Schema { fingerprint, ..schema_of(vec![wider]) };
    assert_ne!(new.fingerprint, lab.lake.schema().fingerprint);
    Arc::new(new)
}

/// Imports 450 rows in parts of 100 by the old schema; the new one comes while the third part is
/// gathered. The second one is being written meanwhile, or is already committed.
async fn overtaken(
    lab: &Lab,
    request: ImportRequest,
    new: &Arc<Schema>,
) -> base::Result<ImportReport> {
    let old = lab.lake.schema();
    let (begin, ends, thread) = switching(lab, Arc::clone(new));
    let mut overtaken = false;
    let mut progress = move |done: ImportProgress| {
        if done.rows > 220 && !mem::replace(&mut overtaken, true) {
            begin.send(()).unwrap();
            ends.recv().unwrap();
        }
    };
    let result = lab.lake.pinned(old, 1).import(request, &mut progress).await;
    thread.join().unwrap();
    result
}

async fn ids(lab: &Lab) -> HashSet<Value> {
    lab.rows("Film").await.into_iter().map(|row| row[0].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_a_new_schema_overtakes_goes_on_by_it() {
    let lab = Lab::new(vec![film()]).await;
    let (text, in_parts) = large(450);
    let path = write(lab.folder.path(), "films.csv", &text);
    let new = wider(&lab);
    let learnt = Arc::clone(&new);
    lab.lake.set_learn(Arc::new(move |_| {
        let learnt = Arc::clone(&learnt);
        Box::pin(async move { Ok(learnt) })
    }));
    let report = overtaken(&lab, in_parts(&path), &new).await.unwrap();
    assert_eq!((report.rows, report.resumed_after, report.parts), (450, 0, 5));
    lab.lake.set_schema(new);
    assert_eq!((ids(&lab).await.len(), lab.rows("Film").await.len()), (450, 450));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_cannot_learn_of_a_new_schema_says_so_and_goes_on_when_it_is_repeated() {
    let lab = Lab::new(vec![film()]).await;
    let (text, in_parts) = large(450);
    let path = write(lab.folder.path(), "films.csv", &text);
    let new = wider(&lab);
    let error = overtaken(&lab, in_parts(&path), &new).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Stale, "{error}");
    assert!(error.message().contains("schema version 2 was deployed meanwhile"), "{error}");
    let hint = error.hint_text().unwrap();
    // Parts end with a block, and the header stands in the first one.
    let is_said = |rows: &u64| hint.contains(&format!("rows up to {rows} are committed"));
    let committed = [109, 209].into_iter().find(is_said).expect(hint);
    lab.lake.set_schema(Arc::clone(&new));
    let report = import(&lab.lake.pinned(new, 2), in_parts(&path)).await.unwrap();
    assert_eq!((report.rows, report.resumed_after), (450, committed));
    assert_eq!((ids(&lab).await.len(), lab.rows("Film").await.len()), (450, 450));
}

#[tokio::test]
async fn a_file_is_another_one_when_its_type_has_other_columns_and_only_then() {
    let lab = Lab::new(vec![film()]).await;
    let path = write(lab.folder.path(), "films.csv", "id,title\na,A\n");
    let upsert = || ImportRequest { mode: ImportMode::Upsert, ..request(&path) };
    import(&lab.lake, upsert()).await.unwrap();
    let elsewhere = Schema { fingerprint: "elsewhere".into(), ..schema_of(vec![film()]) };
    lab.lake.set_schema(Arc::new(elsewhere));
    assert!(import(&lab.lake, upsert()).await.unwrap().skipped_as_already_imported);
    let (old, new) = (lab.lake.schema(), wider(&lab));
    let step = Step::AddColumn { type_name: "Film".into(), field: "country".into() };
    let control = Control::new(&|_| {});
    let change = SchemaChange { steps: &[&step], old: &old, new: &new };
    lab.lake.switch(change, Some((1, 2)), Vec::new(), &control).await.unwrap();
    lab.lake.set_schema(Arc::clone(&new));
    let lake = lab.lake.pinned(new, 2);
    assert!(!import(&lake, upsert()).await.unwrap().skipped_as_already_imported);
    assert!(import(&lake, upsert()).await.unwrap().skipped_as_already_imported);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_import_goes_on_after_its_last_part() {
    let lab = Lab::new(vec![film()]).await;
    let (text, in_parts) = large(450);
    let path = write(lab.folder.path(), "films.csv", &text);
    // The import is dropped in the middle of its third part, as a killed process would.
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let mut stop = Some(stop);
    let mut progress = |progress: ImportProgress| {
        if progress.rows >= 250
            && let Some(stop) = stop.take()
        {
            let _ = stop.send(());
        }
    };
    tokio::select! {
        biased;
        _ = stopped => {}
        result = lab.lake.import(in_parts(&path), &mut progress) => panic!("it ended: {result:?}"),
    }
    let committed = rows(&lab.lake, "Film").await.len() as u64;
    // Parts end with a block, and the header stands in the first one.
    assert!([109, 209, 309, 409].contains(&committed), "{committed}");
    let report = import(&lab.other(3).await, in_parts(&path)).await.unwrap();
    assert_eq!((report.rows, report.resumed_after), (450, committed));
    assert_eq!(report.parts, 5 - committed / 100);
    let found = lab.rows("Film").await;
    assert_eq!(found.len(), 450);
    assert_eq!(found[449][0], Value::from("k000449"));
    assert!(import(&lab.lake, in_parts(&path)).await.unwrap().skipped_as_already_imported);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_racing_imports_of_a_file_wins() {
    let lab = Lab::new(vec![play()]).await;
    let text: String = std::iter::once("filmId,at,seconds\n".to_owned())
        .chain((0..500).map(|i| format!("k{i},2026-11-23T08:00:00Z,{i}\n")))
        .collect();
    let path = write(lab.folder.path(), "plays.csv", &text);
    let of = |path: &Path| ImportRequest { type_name: "Play".into(), ..request(path) };
    let other = lab.other(2).await;
    let (mut quiet, mut silent) = (|_| (), |_| ());
    let (one, two) =
        tokio::join!(lab.lake.import(of(&path), &mut quiet), other.import(of(&path), &mut silent),);
    let skipped = [one.unwrap(), two.unwrap()].map(|report| report.skipped_as_already_imported);
    assert_eq!(skipped.iter().filter(|skipped| !**skipped).count(), 1, "{skipped:?}");
    assert_eq!(lab.rows("Play").await.len(), 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn upsert_needs_a_key_and_writing_needs_the_scope() {
    let lab = Lab::new(vec![play()]).await;
    let path = write(lab.folder.path(), "plays.csv", "filmId,at\na,2026-11-23\n");
    let mode = ImportMode::Upsert;
    let of = ImportRequest { type_name: "Play".into(), ..request(&path) };
    let error = import(&lab.lake, ImportRequest { mode, ..of.clone() }).await.unwrap_err();
    assert!(error.message().contains("no key"), "{error}");
    let reader = Principal { scope: base::Scope::Read, ..Principal::local() };
    let error = import(&lab.lake, ImportRequest { principal: reader, ..of }).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Denied);
    let missing = ImportRequest { type_name: Arc::from("Nothing"), ..request(&path) };
    assert_eq!(import(&lab.lake, missing).await.unwrap_err().kind(), Kind::NotFound);
}
