//! Tables in the Lance format: written by key, imported, asked beside Iceberg tables, changed.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use base::{Kind, Principal};
use frame::convert::rows_of;
use frame::{DataType, Scan, ScanRequest, SnapshotRef, Value, WriteOp};
use futures::TryStreamExt;
use lake::import::{ImportMode, ImportRequest};
use lake::source::Origin;
use lake::{Change, Lake, SqlOptions, TableChange};
use schema::plan::Step;
use schema::{ObjectType, Schema};

use crate::lab::{Lab, batch, fields_of, info, keyed, lance, object, play, row, schema_of, write};

fn film() -> ObjectType {
    let fields = [
        ("id", DataType::String, false),
        ("title", DataType::String, false),
        ("year", DataType::Int, true),
    ];
    lance(keyed(object("Film", "films", &fields), &["id"]))
}

async fn films() -> Lab {
    Lab::new(vec![film(), play()]).await
}

async fn rows_at(lake: &Lake, at: Option<SnapshotRef>) -> Vec<Vec<Value>> {
    let schema = lake.schema();
    let fields = fields_of(schema.type_named("Film").unwrap().1);
    let names: Vec<_> = fields.iter().map(|field| Arc::clone(&field.name)).collect();
    let request = ScanRequest { at, ..ScanRequest::new("Film", names, Principal::local()) };
    let batches: Vec<RecordBatch> = lake.scan(request).await.unwrap().try_collect().await.unwrap();
    let mut rows: Vec<Vec<Value>> =
        batches.iter().flat_map(|batch| rows_of(batch, &fields).unwrap()).collect();
    rows.sort();
    rows
}

async fn rows(lake: &Lake) -> Vec<Vec<Value>> {
    rows_at(lake, None).await
}

async fn insert(lake: &Lake, rows: &[Vec<Value>]) -> base::Result<i64> {
    let op = WriteOp::Insert(vec![batch(lake, "Film", rows)]);
    write(lake, "Film", op).await.map(|receipt| receipt.snapshot)
}

async fn upsert(lake: &Lake, rows: &[Vec<Value>]) -> i64 {
    write(lake, "Film", WriteOp::Upsert(vec![batch(lake, "Film", rows)])).await.unwrap().snapshot
}

#[tokio::test]
async fn rows_are_written_by_key_and_read_at_any_version() {
    let lab = films().await;
    assert_eq!(rows(&lab.lake).await, Vec::<Vec<Value>>::new());
    let first = insert(&lab.lake, &[row("a", "Alien", 1979), row("b", "Brazil", 1984)]).await;
    let taken = insert(&lab.lake, &[row("a", "Again", 2000)]).await.unwrap_err();
    assert_eq!(taken.kind(), Kind::AlreadyExists);
    upsert(&lab.lake, &[row("b", "Brazil", 1985), row("c", "Cube", 1997)]).await;
    write(&lab.lake, "Film", WriteOp::Delete(vec![vec!["a".into()]])).await.unwrap();
    let left = vec![row("b", "Brazil", 1985), row("c", "Cube", 1997)];
    assert_eq!(rows(&lab.lake).await, left);
    assert_eq!(rows(&lab.other(2).await).await, left);
    let then = rows_at(&lab.lake, Some(SnapshotRef::Id(first.unwrap()))).await;
    assert_eq!(then, vec![row("a", "Alien", 1979), row("b", "Brazil", 1984)]);
    let snapshots = lab.lake.snapshots("Film").await.unwrap();
    assert_eq!(snapshots.iter().map(|snapshot| snapshot.rows).collect::<Vec<_>>(), [2, 3, 2]);
}

#[tokio::test]
async fn many_small_changes_leave_what_a_map_has() {
    for seed in 0..4 {
        let lab = films().await;
        let rng = base::rng::Rng::seeded(seed);
        let mut map = std::collections::BTreeMap::new();
        for year in 0..40 {
            let from = rng.below(12);
            let ids: Vec<String> =
                (from..from + 1 + rng.below(5)).map(|id| format!("{:02}", id % 12)).collect();
            if rng.below(4) == 0 {
                let keys = ids.iter().map(|id| vec![id.as_str().into()]).collect();
                write(&lab.lake, "Film", WriteOp::Delete(keys)).await.unwrap();
                map.retain(|id, _| !ids.contains(id));
            } else {
                let changed: Vec<_> = ids.iter().map(|id| row(id, "t", year)).collect();
                upsert(&lab.lake, &changed).await;
                map.extend(ids.into_iter().map(|id| (id, year)));
            }
        }
        let expected: Vec<Vec<Value>> = map.iter().map(|(id, year)| row(id, "t", *year)).collect();
        assert_eq!(rows(&lab.lake).await, expected);
    }
}

/// What one of many that write at the same time does with a row of its own.
async fn at_once(lake: &Lake, kind: u64, id: &str, year: i64) -> Result<i64, Kind> {
    let whole = batch(lake, "Film", &[row(id, "t", year)]);
    let op = match kind {
        0 => WriteOp::Insert(vec![whole]),
        1 => WriteOp::Upsert(vec![whole]),
        2 => WriteOp::Update(vec![whole.project(&[0, 2]).unwrap()]),
        _ => WriteOp::Delete(vec![vec![id.into()]]),
    };
    let written = write(lake, "Film", op).await;
    written.map(|receipt| receipt.snapshot).map_err(|error| error.kind())
}

#[tokio::test]
async fn changes_of_many_at_once_share_versions_and_each_is_refused_for_itself() {
    let lab = films().await;
    let rng = base::rng::Rng::seeded(7);
    let mut map = std::collections::BTreeMap::new();
    for year in 1..12 {
        let kinds: Vec<u64> = (0..20).map(|_| rng.below(4)).collect();
        let ids: Vec<String> = (0..20).map(|id| format!("{id:02}")).collect();
        let asked = kinds.iter().zip(&ids);
        let asked = asked.map(|(kind, id)| at_once(&lab.lake, *kind, id, year));
        let answers = futures::future::join_all(asked).await;
        for ((kind, id), answer) in kinds.into_iter().zip(ids).zip(&answers) {
            let expected = match (kind, map.contains_key(&id)) {
                (0, true) => Err(Kind::AlreadyExists),
                (2, false) => Err(Kind::NotFound),
                _ => Ok(()),
            };
            assert_eq!(answer.map(drop), expected, "{kind} {id} in {year}");
            match (kind, answer) {
                (3, _) => drop(map.remove(&id)),
                (_, Ok(_)) => drop(map.insert(id, year)),
                (_, Err(_)) => {}
            }
        }
        let expected: Vec<Vec<Value>> = map.iter().map(|(id, year)| row(id, "t", *year)).collect();
        assert_eq!(rows(&lab.lake).await, expected, "{year}");
        let versions: std::collections::BTreeSet<i64> =
            answers.into_iter().filter_map(Result::ok).collect();
        assert!(versions.len() <= 3, "{versions:?}");
    }
}

#[tokio::test]
async fn of_creates_of_one_key_that_come_at_once_one_succeeds() {
    let lab = films().await;
    let asked = (0..8).map(|year| at_once(&lab.lake, 0, "same", year));
    let answers = futures::future::join_all(asked).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
    let refused: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
    assert_eq!(refused, [Kind::AlreadyExists; 7]);
    assert_eq!(rows(&lab.lake).await.len(), 1);
}

/// Maintenance has made a version for this reason.
async fn tidied(lake: &Lake, summary: &str) -> i64 {
    testkit::wait_for_async(summary, std::time::Duration::from_secs(60), async || {
        let snapshots = lake.snapshots("Film").await.unwrap();
        snapshots.iter().rfind(|one| one.summary.as_ref() == summary).map(|one| one.id)
    })
    .await
}

#[tokio::test]
async fn fragments_of_small_changes_are_joined_and_every_version_stays_readable() {
    let lab = films().await;
    let mut states = Vec::new();
    for year in 0..60 {
        let id = format!("{:02}", year % 37);
        let version = match year % 9 {
            8 => {
                let delete = WriteOp::Delete(vec![vec![id.as_str().into()]]);
                write(&lab.lake, "Film", delete).await.unwrap().snapshot
            }
            _ => upsert(&lab.lake, &[row(&id, "t", year)]).await,
        };
        states.push((version, rows(&lab.lake).await));
    }
    tidied(&lab.lake, "compact").await;
    let last =
        testkit::wait_for_async("few fragments", std::time::Duration::from_secs(60), async || {
            let last = lab.lake.snapshots("Film").await.unwrap().pop().unwrap();
            (last.files < 20).then_some(last)
        })
        .await;
    let (_, present) = states.last().unwrap();
    assert_eq!((rows(&lab.lake).await, last.rows), (present.clone(), present.len() as u64));
    for (version, then) in &states {
        assert_eq!(&rows_at(&lab.lake, Some(SnapshotRef::Id(*version))).await, then);
    }
    let asked = lab.lake.compact("Film").await.unwrap();
    assert!(asked.removed > 0 && asked.added == 1, "{asked:?}");
    assert_eq!(rows(&lab.lake).await, *present);
}

#[tokio::test]
async fn a_large_table_gets_an_index_of_its_key_beside_changes() {
    let lab = films().await;
    let id = |number: u64| format!("{number:05}");
    let mut map: std::collections::BTreeMap<String, i64> =
        (0..12_000).map(|number| (id(number), 0)).collect();
    let first: Vec<_> = map.keys().map(|id| row(id, "t", 0)).collect();
    insert(&lab.lake, &first).await.unwrap();
    let rng = base::rng::Rng::seeded(1);
    let other = lab.other(2).await;
    for round in 0..2 {
        for year in 1..40 {
            let lake = if year % 2 == 0 { &lab.lake } else { &other };
            let id = id(rng.below(12_500));
            if year % 5 == 0 {
                write(lake, "Film", WriteOp::Delete(vec![vec![id.as_str().into()]])).await.unwrap();
                map.remove(&id);
            } else {
                upsert(lake, &[row(&id, "t", year)]).await;
                map.insert(id, year);
            }
        }
        // The second time all changes are made beside the index.
        tidied(&lab.lake, "index the key").await;
        let expected: Vec<_> = map.iter().map(|(id, year)| row(id, "t", *year)).collect();
        assert_eq!(rows(&lab.lake).await, expected, "{round}");
    }
    let (taken, _) = map.first_key_value().unwrap();
    let refused = insert(&lab.lake, &[row(taken, "t", 1)]).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::AlreadyExists);
}

#[tokio::test]
async fn a_change_that_finds_nothing_to_do_is_remembered_too() {
    let lab = films().await;
    insert(&lab.lake, &[row("a", "A", 1)]).await.unwrap();
    let delete = || frame::WriteRequest {
        table: "Film".into(),
        op: WriteOp::Delete(vec![vec!["b".into()]]),
        idempotency_key: Some("once".into()),
        principal: Principal::local(),
    };
    let first = frame::Write::write(&lab.lake, delete()).await.unwrap();
    insert(&lab.lake, &[row("b", "B", 2)]).await.unwrap();
    let again = frame::Write::write(&lab.lake, delete()).await.unwrap();
    assert_eq!((first.rows, again.replayed, again.snapshot), (0, true, first.snapshot));
    assert_eq!(rows(&lab.lake).await.len(), 2);
}

#[tokio::test]
async fn a_rollback_brings_an_earlier_version_back() {
    let lab = films().await;
    let first = upsert(&lab.lake, &[row("a", "Alien", 1979)]).await;
    upsert(&lab.lake, &[row("a", "Aliens", 1986), row("b", "Brazil", 1985)]).await;
    let back = lab.lake.rollback("Film", first, "ada").await.unwrap();
    assert_eq!((back.rows, &*back.author), (1, "ada"));
    assert_eq!(rows(&lab.lake).await, [row("a", "Alien", 1979)]);
    upsert(&lab.lake, &[row("c", "Cube", 1997)]).await;
    assert_eq!(rows(&lab.lake).await.len(), 2);
    let missing = lab.lake.rollback("Film", 99, "ada").await.unwrap_err();
    assert_eq!(missing.kind(), Kind::NotFound);
}

#[tokio::test]
async fn near_rows_are_found_and_times_are_kept() {
    let fields = [
        ("id", DataType::String, false),
        ("note", DataType::String, true),
        ("at", DataType::DateTime, true),
    ];
    let mut noted = lance(keyed(object("Note", "notes", &fields), &["id"]));
    let spec = schema::VectorSpec {
        model: Some("text-small".into()),
        dimension: u32::try_from(media::Model::open("text-small", None).unwrap().dimension())
            .unwrap(),
        metric: schema::Metric::Cosine,
    };
    noted.fields.get_mut("note").unwrap().vector = Some(spec);
    let lab = Lab::new(vec![noted]).await;
    let notes = [("1", "a ship sails the sea"), ("2", "the sea has a ship"), ("3", "taxes")];
    let notes: Vec<Vec<Value>> = notes
        .iter()
        .map(|(id, note)| vec![(*id).into(), (*note).into(), Value::DateTime(7)])
        .collect();
    let op = WriteOp::Upsert(vec![batch(&lab.lake, "Note", &notes)]);
    write(&lab.lake, "Note", op).await.unwrap();
    let mut request = ScanRequest::new("Note", ["id", "at"], Principal::local());
    request.nearest = Some(frame::Nearest {
        field: "note".into(),
        query: frame::NearestQuery::Rows(vec!["1".into()]),
        count: 1,
        exact: true,
    });
    let batches: Vec<RecordBatch> =
        lab.lake.scan(request).await.unwrap().try_collect().await.unwrap();
    let fields = [
        frame::Field::new("id", DataType::String, false),
        frame::Field::new("at", DataType::DateTime, true),
    ];
    let found = rows_of(&batches[0], &fields).unwrap();
    assert_eq!(found, [vec!["2".into(), Value::DateTime(7)]]);
}

#[tokio::test]
async fn sql_joins_both_formats() {
    let lab = films().await;
    upsert(&lab.lake, &[row("a", "Alien", 1979), row("c", "Cube", 1997)]).await;
    let plays = [
        vec!["a".into(), Value::DateTime(0), Value::Int(60)],
        vec!["a".into(), Value::DateTime(1), Value::Int(30)],
    ];
    let staged = lab.stage("Play", &plays).await;
    let change = TableChange { type_name: "Play".into(), change: Change::Append(staged) };
    lab.lake.commit(vec![change], info("load")).await.unwrap();
    let text = "SELECT title, sum(seconds) AS seconds FROM films \
                LEFT JOIN plays ON films.id = plays.\"filmId\" GROUP BY title ORDER BY title";
    let answer = lab.lake.sql(text, SqlOptions::new(Principal::local())).await.unwrap();
    let batches: Vec<RecordBatch> = answer.stream.try_collect().await.unwrap();
    insta::assert_snapshot!(pretty_format_batches(&batches).unwrap(), @r"
    +-------+---------+
    | title | seconds |
    +-------+---------+
    | Alien | 90      |
    | Cube  |         |
    +-------+---------+
    ");
}

#[tokio::test]
async fn of_racing_creates_of_one_key_one_succeeds() {
    let lab = films().await;
    let other = lab.other(2).await;
    let mine = [row("a", "Mine", 1)];
    let theirs = [row("a", "Theirs", 2)];
    let (left, right) = tokio::join!(insert(&lab.lake, &mine), insert(&other, &theirs));
    assert_eq!(u8::from(left.is_ok()) + u8::from(right.is_ok()), 1, "{left:?} {right:?}");
    assert_eq!(rows(&lab.lake).await.len(), 1);
}

fn request(lab: &Lab, name: &str, text: &str, mode: ImportMode) -> ImportRequest {
    let path = lab.folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    ImportRequest { mode, ..ImportRequest::new(Origin::Path(path), "Film", Principal::local()) }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_imported_once_in_every_mode() {
    let lab = films().await;
    let two = "id,title,year\na,Alien,1979\nb,Brazil,1984\n";
    let import = request(&lab, "two.csv", two, ImportMode::Append);
    let report = lab.lake.import(import.clone(), &mut |_| ()).await.unwrap();
    assert_eq!((report.rows, report.parts), (2, 1));
    let again = lab.lake.import(import, &mut |_| ()).await.unwrap();
    assert!(again.skipped_as_already_imported);
    let more = "id,title,year\nb,Brazil,1985\nc,Cube,1997\n";
    let taken = request(&lab, "more.csv", more, ImportMode::Append);
    let taken = lab.lake.import(taken, &mut |_| ()).await.unwrap_err();
    assert_eq!(taken.kind(), Kind::AlreadyExists);
    assert_eq!(rows(&lab.lake).await.len(), 2);
    let import = request(&lab, "more.csv", more, ImportMode::Upsert);
    lab.lake.import(import, &mut |_| ()).await.unwrap();
    let three = [row("a", "Alien", 1979), row("b", "Brazil", 1985), row("c", "Cube", 1997)];
    assert_eq!(rows(&lab.lake).await, three);
    let one = request(&lab, "one.csv", "id,title\nd,Dune\n", ImportMode::Replace);
    lab.lake.import(one, &mut |_| ()).await.unwrap();
    assert_eq!(rows(&lab.lake).await, [vec!["d".into(), "Dune".into(), Value::Null]]);
    let latest = lab.lake.snapshots("Film").await.unwrap().pop().unwrap();
    assert_eq!(&*latest.summary, "import one.csv");
}

async fn change(lab: &Lab, new: ObjectType, step: Step) -> base::Result<()> {
    let new = schema_of(vec![new, play()]);
    let result = lab.lake.execute_step(&step, &lab.lake.schema(), &new, &|_| {}).await;
    if result.is_ok() {
        // What was done once is found done.
        lab.lake.execute_step(&step, &lab.lake.schema(), &new, &|_| {}).await?;
        lab.lake.set_schema(Arc::new(new));
    }
    result
}

fn with(fields: &[(&str, DataType, bool)]) -> ObjectType {
    lance(keyed(object("Film", "films", fields), &["id"]))
}

#[tokio::test]
async fn columns_are_added_renamed_widened_and_dropped() {
    let lab = films().await;
    upsert(&lab.lake, &[row("a", "Alien", 1979)]).await;
    let (id, text) = (("id", DataType::String, false), DataType::String);
    let named = |title| (title, text.clone(), false);
    let longer = ("year", DataType::Long, true);
    let wider = with(&[id.clone(), named("title"), longer.clone()]);
    let step = Step::WidenColumn { type_name: "Film".into(), field: "year".into() };
    change(&lab, wider, step).await.unwrap();
    let renamed = with(&[id.clone(), named("name"), longer.clone()]);
    let (from, to) = ("title".into(), "name".into());
    change(&lab, renamed, Step::RenameColumn { type_name: "Film".into(), from, to }).await.unwrap();
    let added = with(&[id.clone(), named("name"), longer, ("seen", DataType::Boolean, true)]);
    let step = Step::AddColumn { type_name: "Film".into(), field: "seen".into() };
    change(&lab, added, step).await.unwrap();
    assert_eq!(
        rows(&lab.lake).await,
        [vec!["a".into(), "Alien".into(), Value::Int(1979), Value::Null]]
    );
    let dropped = with(&[id, named("name"), ("seen", DataType::Boolean, true)]);
    let step = Step::DropColumn { type_name: "Film".into(), field: "year".into() };
    change(&lab, dropped, step).await.unwrap();
    let rows_now = rows(&lab.lake).await;
    assert_eq!(rows_now, [vec!["a".into(), "Alien".into(), Value::Null]]);
    assert_eq!(rows(&lab.other(3).await).await, rows_now);
}

#[test]
fn what_is_not_offered_is_refused_before_anything_is_touched() {
    let (old, new) = (Schema::empty(), schema_of(vec![film()]));
    let refused = |step: &Step| refusal(step, &old, &new);
    let type_name: Arc<str> = "Film".into();
    assert_eq!(refused(&Step::CreateTable { type_name: Arc::clone(&type_name) }), None);
    for step in [
        Step::ChangeKey { type_name: Arc::clone(&type_name) },
        Step::RestoreColumn { type_name, field: "title".into() },
    ] {
        assert_eq!(refused(&step), Some(Kind::Unsupported), "{step:?}");
    }
}

fn refusal(step: &Step, old: &Schema, new: &Schema) -> Option<Kind> {
    lake::steps::check(&[step], old, new).err().map(|error| error.kind())
}
