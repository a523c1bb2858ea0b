//! Questions: SQL, scans, time travel, text and vector search, on real tables.

use arrow::record_batch::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use base::{Kind, Principal};
use frame::{
    BinaryOp, DataType, Expr, Nearest, NearestQuery, Order, Scan, ScanRequest, Search, SnapshotRef,
    Value,
};
use futures::TryStreamExt;
use lake::{Change, Lake, SqlOptions, TableChange};
use schema::{Metric, ObjectType, VectorSpec};

use crate::lab::{Lab, film, info, keyed, object, play, row};

async fn load(lab: &Lab, type_name: &str, rows: &[Vec<Value>]) -> i64 {
    let staged = lab.stage(type_name, rows).await;
    let change = if type_name == "Play" { Change::Append(staged) } else { Change::Upsert(staged) };
    let changes = vec![TableChange { type_name: type_name.into(), change }];
    lab.lake.commit(changes, info("load")).await.unwrap()[0].id
}

async fn delete(lab: &Lab, type_name: &str, key: &str) {
    let change = Change::Delete(vec![vec![key.into()]]);
    let changes = vec![TableChange { type_name: type_name.into(), change }];
    lab.lake.commit(changes, info("delete")).await.unwrap();
}

async fn sql(lake: &Lake, text: &str) -> String {
    sql_at(lake, text, None).await
}

async fn sql_at(lake: &Lake, text: &str, at: Option<SnapshotRef>) -> String {
    let options = SqlOptions { at, ..SqlOptions::new(Principal::local()) };
    let answer = lake.sql(text, options).await.unwrap();
    let batches: Vec<RecordBatch> = answer.stream.try_collect().await.unwrap();
    pretty_format_batches(&batches).unwrap().to_string()
}

fn ask(table: &str, fields: &[&str]) -> ScanRequest {
    ScanRequest::new(table, fields.iter().copied(), Principal::local())
}

async fn answer(lake: &Lake, request: ScanRequest) -> String {
    let batches: Vec<RecordBatch> = lake.scan(request).await.unwrap().try_collect().await.unwrap();
    pretty_format_batches(&batches).unwrap().to_string()
}

async fn films() -> Lab {
    let lab = Lab::new(vec![film(), play()]).await;
    let rows = [row("a", "Alien", 1979), row("b", "Brazil", 1985), row("c", "Cube", 1997)];
    load(&lab, "Film", &rows).await;
    let plays = [
        vec!["a".into(), Value::DateTime(0), Value::Int(60)],
        vec!["a".into(), Value::DateTime(86_400_000_000), Value::Int(30)],
        vec!["c".into(), Value::DateTime(1), Value::Null],
    ];
    load(&lab, "Play", &plays).await;
    lab
}

#[tokio::test]
async fn an_answer_without_rows_has_its_columns() {
    let lab = films().await;
    let mut none = ask("Film", &["id", "title"]);
    let id = Expr::field("id", DataType::String);
    none.predicate = Some(id.predicate(BinaryOp::Eq, Expr::literal("z".into(), DataType::String)));
    let without_rows = Lab::new(vec![film()]).await;
    let all = ask("Film", &["id", "title"]);
    for (lake, request) in [(&lab.lake, none), (&without_rows.lake, all)] {
        let stream = lake.scan(request).await.unwrap();
        let batches: Vec<RecordBatch> = stream.try_collect().await.unwrap();
        assert_eq!(batches.len(), 1);
        assert_eq!((batches[0].num_rows(), batches[0].num_columns()), (0, 2));
    }
}

#[tokio::test]
async fn sql_joins_tables_by_their_plural_names() {
    let lab = films().await;
    let joined = sql(
        &lab.lake,
        "SELECT title, sum(seconds) AS seconds, count(*) AS plays FROM films \
         JOIN test.plays ON films.id = plays.filmId GROUP BY title ORDER BY title",
    )
    .await;
    insta::assert_snapshot!(joined, @r"
    +-------+---------+-------+
    | title | seconds | plays |
    +-------+---------+-------+
    | Alien | 90      | 2     |
    | Cube  |         | 1     |
    +-------+---------+-------+
    ");
}

#[tokio::test]
async fn deleted_and_replaced_rows_are_not_seen_but_older_snapshots_keep_them() {
    let lab = films().await;
    let before = lab.lake.snapshot("Film").await.unwrap();
    load(&lab, "Film", &[row("b", "Brazil!", 1986)]).await;
    delete(&lab, "Film", "a").await;
    let question = "SELECT count(*) AS n, min(year), max(title) FROM films";
    insta::assert_snapshot!(sql(&lab.lake, question).await, @r"
    +---+-----------------+------------------+
    | n | min(films.year) | max(films.title) |
    +---+-----------------+------------------+
    | 2 | 1986            | Cube             |
    +---+-----------------+------------------+
    ");
    let then = sql_at(&lab.lake, question, Some(SnapshotRef::Id(before))).await;
    insta::assert_snapshot!(then, @r"
    +---+-----------------+------------------+
    | n | min(films.year) | max(films.title) |
    +---+-----------------+------------------+
    | 3 | 1979            | Cube             |
    +---+-----------------+------------------+
    ");
}

#[tokio::test]
async fn scans_filter_order_page_and_limit() {
    let lab = films().await;
    let year = || Expr::field("year", DataType::Int);
    let after_1980 = year().predicate(BinaryOp::Gt, Expr::literal(1980.into(), DataType::Int));
    let mut request = ask("Film", &["title", "id"]);
    request.predicate = Some(after_1980.clone());
    request.order = vec![Order::by("year", true)];
    insta::assert_snapshot!(answer(&lab.lake, request.clone()).await, @r"
    +--------+----+
    | title  | id |
    +--------+----+
    | Cube   | c  |
    | Brazil | b  |
    +--------+----+
    ");
    request.after = Some(vec![Value::Int(1997)]);
    insta::assert_snapshot!(answer(&lab.lake, request.clone()).await, @r"
    +--------+----+
    | title  | id |
    +--------+----+
    | Brazil | b  |
    +--------+----+
    ");
    assert_eq!(lab.lake.count(request).await.unwrap(), 2);
}

#[tokio::test]
async fn mistakes_in_sql_are_explained() {
    let lab = films().await;
    let fails = async |text: &str| {
        let error = lab.lake.sql(text, SqlOptions::new(Principal::local())).await.unwrap_err();
        let place = error.place().map(|place| format!("{}:{}", place.line, place.column));
        let hint = error.hint_text().unwrap_or("-").to_owned();
        format!("{} at {} ({hint})", error, place.unwrap_or("-".into()))
    };
    insta::assert_snapshot!(fails("SELECT titel FROM films").await, @"there is no column `titel` here at 1:8 (did you mean `title`?)");
    insta::assert_snapshot!(fails("SELECT *\nFROM filmz").await, @"there is no table `filmz` at 2:6 (did you mean `films`?)");
    insta::assert_snapshot!(fails("DELETE FROM films").await, @"SQL only reads here, and `DELETE` does not at - (change rows with a GraphQL mutation, or many at once with `headwater import`)");
    insta::assert_snapshot!(fails("SELECT title FORM films").await, @"this is no SQL that can be read: expected: end of statement, found: films at 1:19 (-)");
    assert!(
        fails("SELECT upper(year, 1) FROM films").await.starts_with("function 'upper' expects")
    );
}

#[tokio::test]
async fn a_look_at_one_key_reads_one_bucket() {
    let lab = films().await;
    let plan = lab
        .lake
        .explain_sql("SELECT title FROM films WHERE id = 'a'", SqlOptions::new(Principal::local()))
        .await
        .unwrap();
    assert_eq!(plan.matches(".parquet").count(), 1, "{plan}");
}

fn article() -> ObjectType {
    let fields = [
        ("id", DataType::String, false),
        ("title", DataType::String, true),
        ("body", DataType::String, true),
        ("year", DataType::Int, false),
    ];
    let mut object = keyed(object("Article", "articles", &fields), &["id"]);
    for field in ["title", "body"] {
        object.fields.get_mut(field).unwrap().search = true;
    }
    let spec =
        VectorSpec { model: Some("text-small".into()), dimension: 256, metric: Metric::Cosine };
    object.fields.get_mut("body").unwrap().vector = Some(spec);
    object
}

async fn articles() -> Lab {
    let lab = Lab::new(vec![article()]).await;
    let row = |id: &str, title: &str, body: &str, year: i64| {
        vec![id.into(), title.into(), body.into(), year.into()]
    };
    let rows = [
        row("1", "The red planet", "Mars is the fourth planet from the sun", 2001),
        row("2", "Moons", "the moons of the red planet are small", 2002),
        row("3", "Bread", "flour, water, salt and time", 2003),
    ];
    load(&lab, "Article", &rows).await;
    let more = [row("4", "Planetary roads", "red dust on every planet and moon", 2004)];
    load(&lab, "Article", &more).await;
    lab
}

async fn ids(lake: &Lake, request: ScanRequest) -> Vec<String> {
    let batches: Vec<RecordBatch> = lake.scan(request).await.unwrap().try_collect().await.unwrap();
    let values = batches.iter().flat_map(|batch| {
        frame::convert::values_of(batch.column(0).as_ref(), &DataType::String).unwrap()
    });
    values.map(|value| value.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn text_is_found_in_all_files_and_never_in_deleted_rows() {
    let lab = articles().await;
    let found = async |text: &str| {
        let mut request = ask("Article", &["id"]);
        request.search = Some(Search { fields: vec![], text: text.to_owned() });
        let mut found = ids(&lab.lake, request).await;
        found.sort();
        found.join(" ")
    };
    assert_eq!(found("red planet").await, "1 2 4");
    assert_eq!(found("\"red planet\"").await, "1 2");
    assert_eq!(found("planet*").await, "1 2 4");
    assert_eq!(found("plamet~ -moons").await, "1 4");
    assert_eq!(found("flour OR mars").await, "1 3");
    delete(&lab, "Article", "1").await;
    assert_eq!(found("red planet").await, "2 4");
    let error = lab
        .lake
        .scan(ScanRequest {
            search: Some(Search { fields: vec![], text: "-only".to_owned() }),
            ..ask("Article", &["id"])
        })
        .await
        .err()
        .unwrap();
    assert_eq!(error.kind(), Kind::InvalidInput);
}

#[tokio::test]
async fn better_matches_come_first_and_filters_hold() {
    let lab = articles().await;
    let mut request = ask("Article", &["id"]);
    request.search = Some(Search { fields: vec![], text: "planet".to_owned() });
    assert_eq!(ids(&lab.lake, request.clone()).await[0], "1");
    request.limit = Some(1);
    assert_eq!(ids(&lab.lake, request.clone()).await, ["1"]);
    let year = Expr::field("year", DataType::Int);
    request.predicate =
        Some(year.predicate(BinaryOp::Gt, Expr::literal(2001.into(), DataType::Int)));
    request.limit = None;
    assert_eq!(lab.lake.count(request.clone()).await.unwrap(), 2);
    let batches: Vec<RecordBatch> =
        lab.lake.scan(request).await.unwrap().try_collect().await.unwrap();
    assert_eq!(batches[0].schema().field(1).name(), "_score");
}

#[tokio::test]
async fn near_texts_are_found_with_filters_and_a_row_is_not_its_own_neighbour() {
    let lab = articles().await;
    let mut request = ask("Article", &["id"]);
    request.nearest = Some(Nearest {
        field: "body".into(),
        query: NearestQuery::Rows(vec!["1".into(), "3".into(), "no such row".into()]),
        count: 2,
        exact: false,
    });
    let near = ids(&lab.lake, request.clone()).await;
    assert_eq!(near.len(), 4, "{near:?}");
    assert!(!near[..2].contains(&"1".to_owned()) && !near[2..].contains(&"3".to_owned()));
    let year = Expr::field("year", DataType::Int);
    request.predicate =
        Some(year.predicate(BinaryOp::Eq, Expr::literal(2003.into(), DataType::Int)));
    assert_eq!(ids(&lab.lake, request).await, ["3"]);
}

#[tokio::test]
async fn statistics_of_columns_say_what_is_in_them() {
    let lab = films().await;
    let statistics = lab.lake.column_statistics("Film").await.unwrap();
    let year = statistics.iter().find(|column| column.field.as_ref() == "year").unwrap();
    assert_eq!((year.rows, year.sampled, year.nulls, year.distinct), (3, 3, 0, Some(3)));
    assert_eq!((&year.min, &year.max), (&Some(Value::Int(1979)), &Some(Value::Int(1997))));
    let plays = lab.lake.column_statistics("Play").await.unwrap();
    assert_eq!(plays.iter().map(|column| column.nulls).collect::<Vec<_>>(), [0, 0, 1]);
}

#[tokio::test]
async fn counts_and_extremes_come_from_manifests_alone() {
    let lab = films().await;
    let question = "SELECT count(*), min(year), max(year) FROM films";
    let options = || SqlOptions::new(Principal::local());
    let plan = lab.lake.explain_sql(question, options()).await.unwrap();
    assert!(!plan.contains(".parquet"), "{plan}");
    delete(&lab, "Film", "a").await;
    let plan = lab.lake.explain_sql(question, options()).await.unwrap();
    assert!(plan.contains(".parquet"), "a deleted row may have been the smallest: {plan}");
}

#[tokio::test]
async fn the_past_is_found_by_time_and_a_time_before_it_is_refused() {
    let lab = films().await;
    let then = lab.clock.now();
    lab.clock.advance(1_000_000);
    delete(&lab, "Film", "a").await;
    let question = "SELECT count(*) AS n FROM films";
    let (now, past) = (
        sql(&lab.lake, question).await,
        sql_at(&lab.lake, question, Some(SnapshotRef::Time(then))).await,
    );
    assert!(now.contains("| 2 |") && past.contains("| 3 |"), "{now}\n{past}");
    let options = SqlOptions {
        at: Some(SnapshotRef::Time(base::Timestamp::from_micros(0))),
        ..SqlOptions::new(Principal::local())
    };
    let error = lab.lake.sql(question, options).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
}

#[tokio::test]
async fn text_is_indexed_by_a_step_that_can_be_repeated() {
    let lab = articles().await;
    let step = schema::plan::Step::BuildSearch { type_name: "Article".into() };
    let schema = lab.lake.schema();
    for _ in 0..2 {
        lab.lake.execute_step(&step, &schema, &schema, &|_| {}).await.unwrap();
    }
    let mut request = ask("Article", &["id"]);
    request.search = Some(Search { fields: vec!["title".into()], text: "planet".to_owned() });
    assert_eq!(ids(&lab.lake, request).await, ["1"]);
}

#[tokio::test]
async fn more_rows_than_the_limit_are_cut_or_refused() {
    let lab = films().await;
    let options = SqlOptions { row_limit: Some(2), ..SqlOptions::new(Principal::local()) };
    let answer = lab.lake.sql("SELECT * FROM films", options).await.unwrap();
    let batches: Vec<RecordBatch> = answer.stream.try_collect().await.unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 2);
}
