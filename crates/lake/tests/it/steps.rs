//! Steps of a schema change on tables that have rows.

use std::sync::Arc;

use base::{Kind, Result};
use frame::{DataType, Expr, Field, Scan, ScanRequest, SnapshotRef, Value};
use futures::TryStreamExt;
use lake::{Change, Lake, TableChange};
use schema::plan::Step;
use schema::{FieldKind, ObjectType};

use crate::lab::{self, Lab, bucketed, column, film, info, keyed, object, row, schema_of};

/// A lake with two films.
async fn lab() -> Lab {
    let lab = Lab::new(vec![film()]).await;
    add(&lab.lake, &[row("a", "A", 1), row("b", "B", 2)]).await;
    lab
}

async fn add(lake: &Lake, rows: &[Vec<Value>]) {
    let staged = lab::stage(lake, "Film", rows).await;
    let change = TableChange { type_name: "Film".into(), change: Change::Insert(staged) };
    lake.commit(vec![change], info("test")).await.unwrap();
}

/// Runs a step twice, since the second time must do nothing, and deploys the new schema.
async fn run(lab: &Lab, step: &Step, new: ObjectType) -> Result<()> {
    let (old, new) = (lab.lake.schema(), schema_of(vec![new]));
    lab.lake.execute_step(step, &old, &new, &|_| {}).await?;
    let version = match new.types.keys().next() {
        Some(name) => lab.lake.table(name).await?.version,
        None => 0,
    };
    lab.lake.execute_step(step, &old, &new, &|_| {}).await?;
    for name in new.types.keys() {
        assert_eq!(lab.lake.table(name).await?.version, version, "{step:?} was done twice");
    }
    lab.lake.set_schema(Arc::new(new));
    Ok(())
}

fn with(mut object: ObjectType, field: schema::FieldDef) -> ObjectType {
    object.fields.insert(Arc::clone(&field.name), field);
    object
}

fn field_step(make: fn(Arc<str>, Arc<str>) -> Step, field: &str) -> Step {
    make("Film".into(), field.into())
}

#[tokio::test]
async fn an_added_column_is_null_or_has_its_default() {
    let lab = lab().await;
    let nullable = with(film(), column("rating", DataType::Float, true));
    let step = |type_name, field| Step::AddColumn { type_name, field };
    run(&lab, &field_step(step, "rating"), nullable.clone()).await.unwrap();
    let table = lab.lake.table("Film").await.unwrap();
    assert!(table.iceberg().unwrap().current_schema().field_by_name("rating").is_some());
    let mut votes = column("votes", DataType::Int, false);
    let refused =
        run(&lab, &field_step(step, "votes"), with(nullable.clone(), votes.clone())).await;
    assert_eq!(
        refused.unwrap_err().to_string(),
        "field `Film.votes` is required, but table `films` has 2 rows without it"
    );
    if let FieldKind::Column(spec) = &mut votes.kind {
        spec.default = Some(Expr::literal(Value::Int(7), DataType::Int));
    }
    run(&lab, &field_step(step, "votes"), with(nullable, votes)).await.unwrap();
    let full = |id: &str, title: &str, year: i64| {
        let mut row = row(id, title, year);
        row.extend([Value::Null, Value::Int(7)]);
        row
    };
    assert_eq!(lab.rows("Film").await, [full("a", "A", 1), full("b", "B", 2)]);
}

/// A snapshot knows nothing of a column that must have a value today: it reads as its default there,
/// whether the question is planned or not.
#[tokio::test]
async fn an_earlier_snapshot_reads_with_the_columns_of_today() {
    let lab = lab().await;
    let before = lab.lake.table("Film").await.unwrap().snapshot_id();
    let mut votes = column("votes", DataType::Int, false);
    if let FieldKind::Column(spec) = &mut votes.kind {
        spec.default = Some(Expr::literal(Value::Int(7), DataType::Int));
    }
    let step = |type_name, field| Step::AddColumn { type_name, field };
    run(&lab, &field_step(step, "votes"), with(film(), votes)).await.unwrap();
    add(&lab.lake, &[[row("c", "C", 3), vec![Value::Int(8)]].concat()]).await;
    let fields = ["id", "votes"].map(Arc::<str>::from);
    let then = |limit| {
        let mut request = ScanRequest::new("Film", fields.to_vec(), base::Principal::local());
        request.at = Some(SnapshotRef::Id(before));
        request.limit = limit;
        let (lake, fields) = (
            lab.lake.clone(),
            [Field::new("id", DataType::String, false), Field::new("votes", DataType::Int, false)],
        );
        async move {
            let batches: Vec<_> = lake.scan(request).await.unwrap().try_collect().await.unwrap();
            let rows =
                batches.iter().flat_map(|batch| frame::convert::rows_of(batch, &fields).unwrap());
            let mut ids: Vec<Vec<Value>> = rows.collect();
            ids.sort_by_key(|row| row[0].as_str().map(str::to_owned));
            ids
        }
    };
    let wanted = [("a", 7), ("b", 7)].map(|(id, votes)| vec![Value::from(id), Value::Int(votes)]);
    // With a limit the rows are found without a plan.
    for limit in [None, Some(10)] {
        assert_eq!(then(limit).await, wanted, "{limit:?}");
    }
}

#[tokio::test]
async fn a_dropped_column_comes_back_with_its_values() {
    let lab = lab().await;
    let mut without = film();
    without.fields.shift_remove("year");
    let drop = field_step(|type_name, field| Step::DropColumn { type_name, field }, "year");
    run(&lab, &drop, without).await.unwrap();
    let table = lab.lake.table("Film").await.unwrap();
    assert!(table.iceberg().unwrap().current_schema().field_by_name("year").is_none());
    let restore = field_step(|type_name, field| Step::RestoreColumn { type_name, field }, "year");
    run(&lab, &restore, film()).await.unwrap();
    assert_eq!(lab.rows("Film").await, [row("a", "A", 1), row("b", "B", 2)]);
    // What is read after the change is read by id: a rewrite finds the old values.
    add(&lab.lake, &[row("c", "C", 3)]).await;
    lab.lake.compact("Film").await.unwrap();
    assert_eq!(lab.rows("Film").await.len(), 3);
}

#[tokio::test]
async fn a_renamed_column_keeps_its_values_and_its_id() {
    let lab = lab().await;
    let id = |lab: &Lab, name: &'static str| {
        let lake = lab.lake.clone();
        async move {
            let table = lake.table("Film").await.unwrap();
            table.iceberg().unwrap().current_schema().field_id_by_name(name)
        }
    };
    let before = id(&lab, "title").await;
    let mut renamed = film();
    let mut field = renamed.fields.shift_remove("title").unwrap();
    field.name = "name".into();
    if let FieldKind::Column(spec) = &mut field.kind {
        spec.column = "name".into();
    }
    renamed.fields.shift_insert(1, "name".into(), field);
    let step =
        Step::RenameColumn { type_name: "Film".into(), from: "title".into(), to: "name".into() };
    run(&lab, &step, renamed).await.unwrap();
    assert_eq!((id(&lab, "name").await, id(&lab, "title").await), (before, None));
    // A rewrite gives the files the new name.
    lab.lake.compact("Film").await.unwrap();
    add(&lab.lake, &[row("a2", "A2", 1)]).await;
}

#[tokio::test]
async fn a_column_is_widened_without_a_rewrite_and_converted_with_one() {
    let lab = lab().await;
    let mut wide = film();
    wide.fields.insert("year".into(), column("year", DataType::Long, true));
    let widen = field_step(|type_name, field| Step::WidenColumn { type_name, field }, "year");
    run(&lab, &widen, wide).await.unwrap();
    add(&lab.lake, &[row("c", "3", 1 << 40)]).await;
    let convert =
        |field| field_step(|type_name, field| Step::ConvertColumn { type_name, field }, field);
    let mut narrow = film();
    narrow.fields.insert("year".into(), column("year", DataType::Int, true));
    let refused = run(&lab, &convert("year"), narrow).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "1 rows of table `films` have a value of `year` that does not fit the new type: `1099511627776`"
    );
    let mut text = film();
    text.fields.insert("year".into(), column("year", DataType::String, true));
    run(&lab, &convert("year"), text).await.unwrap();
    let as_text = |id: &str, title: &str, year: &str| -> Vec<Value> {
        vec![id.into(), title.into(), year.into()]
    };
    assert_eq!(
        lab.rows("Film").await,
        [as_text("a", "A", "1"), as_text("b", "B", "2"), as_text("c", "3", "1099511627776")]
    );
}

#[tokio::test]
async fn new_buckets_and_a_new_order_rewrite_the_rows_where_they_belong() {
    let lab = lab().await;
    let again = || {
        let fields = [
            ("id", DataType::String, false),
            ("title", DataType::String, false),
            ("year", DataType::Int, true),
        ];
        keyed(object("Film", "films", &fields), &["id"])
    };
    let repartition = Step::Repartition { type_name: "Film".into() };
    run(&lab, &repartition, bucketed(again(), "id", 8)).await.unwrap();
    run(&lab, &repartition, again()).await.unwrap();
    let resort = Step::Resort { type_name: "Film".into() };
    run(&lab, &resort, lab::sorted(again(), "year", true)).await.unwrap();
    let table = lab.lake.table("Film").await.unwrap();
    let snapshot = table.iceberg().unwrap().current_snapshot().cloned();
    let read = lab::rows_at(&lab.lake, "Film", snapshot.as_deref()).await;
    assert_eq!(read, [row("b", "B", 2), row("a", "A", 1)]);
    assert_eq!(lab.lake.snapshots("Film").await.unwrap().last().unwrap().rows, 2);
}

#[tokio::test]
async fn a_key_that_does_not_tell_rows_apart_is_refused() {
    let lab = lab().await;
    add(&lab.lake, &[row("c", "A", 3)]).await;
    let step = Step::ChangeKey { type_name: "Film".into() };
    let by = |key: &str| {
        let mut object = keyed(film(), &[key]);
        object.fields.insert("year".into(), column("year", DataType::Int, false));
        object
    };
    let refused = run(&lab, &step, by("title")).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::AlreadyExists);
    assert_eq!(
        refused.to_string(),
        "`title` is no key of table `films`: 1 rows have values that an earlier row has"
    );
    run(&lab, &step, by("year")).await.unwrap();
}

#[tokio::test]
async fn a_dropped_table_can_be_restored_and_a_renamed_one_keeps_its_rows() {
    let lab = lab().await;
    let mut renamed = film();
    renamed.name = "Movie".into();
    let rename = Step::RenameTable { from: "Film".into(), to: "Movie".into() };
    run(&lab, &rename, renamed.clone()).await.unwrap();
    assert_eq!(lab.rows("Movie").await.len(), 2);
    let (full, none) = (schema_of(vec![renamed]), schema_of(vec![]));
    let drop = Step::DropTable { type_name: "Movie".into() };
    for _ in 0..2 {
        lab.lake.execute_step(&drop, &full, &none, &|_| {}).await.unwrap();
    }
    assert_eq!(lab.lake.table("Movie").await.unwrap_err().kind(), Kind::NotFound);
    let restore = Step::RestoreTable { type_name: "Movie".into() };
    for _ in 0..2 {
        lab.lake.execute_step(&restore, &none, &full, &|_| {}).await.unwrap();
    }
    assert_eq!(lab.rows("Movie").await.len(), 2);
}
