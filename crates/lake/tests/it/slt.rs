//! SQL as data: every file of `tests/sql` is run against a lake with films and plays.

use std::path::Path;

use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use base::{Error, Principal, Result};
use frame::Value;
use futures::TryStreamExt;
use lake::{Change, Lake, SqlOptions, TableChange};
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner};

use crate::lab::{Lab, film, info, play, row};

struct Connection(Lake);

#[async_trait]
impl AsyncDB for Connection {
    type Error = Error;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>> {
        let answer = self.0.sql(sql, SqlOptions::new(Principal::local())).await?;
        let batches: Vec<RecordBatch> = answer.stream.try_collect().await?;
        let types = vec![DefaultColumnType::Any; answer.schema.fields().len()];
        Ok(DBOutput::Rows { types, rows: batches.iter().flat_map(texts).collect() })
    }

    async fn shutdown(&mut self) {}
}

fn texts(batch: &RecordBatch) -> Vec<Vec<String>> {
    let options = FormatOptions::default().with_null("NULL");
    let columns: Vec<ArrayFormatter<'_>> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap())
        .collect();
    let text = |row: usize, column: &ArrayFormatter<'_>| match column.value(row).to_string() {
        text if text.is_empty() => "(empty)".to_owned(),
        text => text,
    };
    (0..batch.num_rows())
        .map(|row| columns.iter().map(|column| text(row, column)).collect())
        .collect()
}

async fn filled(lab: Lab) -> Lab {
    let films = [
        row("a", "Alien", 1979),
        row("b", "Brazil", 1985),
        row("c", "Cube", 1997),
        vec!["d".into(), "Dune".into(), Value::Null],
    ];
    let day = 86_400_000_000;
    let play =
        |film: &str, at: i64, seconds: Value| vec![film.into(), Value::DateTime(at), seconds];
    let plays = [
        play("a", 0, Value::Int(60)),
        play("a", day, Value::Int(30)),
        play("c", day + 1, Value::Int(5)),
        play("c", 2 * day, Value::Null),
    ];
    for (type_name, rows) in [("Film", films.as_slice()), ("Play", plays.as_slice())] {
        let change = Change::Append(lab.stage(type_name, rows).await);
        let changes = vec![TableChange { type_name: type_name.into(), change }];
        lab.lake.commit(changes, info("load")).await.unwrap();
    }
    lab
}

#[tokio::test]
async fn sql_files_give_what_they_say() {
    check(&filled(Lab::new(vec![film(), play()]).await).await).await;
}

#[tokio::test]
async fn sql_files_give_what_they_say_on_postgres_and_s3() {
    if let Some(lab) = Lab::on_servers(vec![film(), play()]).await {
        check(&filled(lab).await).await;
    }
}

async fn check(lab: &Lab) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/sql");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "slt"));
    files.sort();
    assert!(!files.is_empty(), "there are SQL files");
    for file in files {
        let mut runner = Runner::new(|| async { Ok(Connection(lab.lake.clone())) });
        runner.run_file_async(&file).await.unwrap_or_else(|error| {
            panic!("{}", error.display(false));
        });
    }
}
