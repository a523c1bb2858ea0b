//! Questions to the imported tables, against DuckDB and DataFusion over the very same data files as
//! bare Parquet. All sides use all cores; what is compared is processor time, in turns.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use base::Principal;
use frame::expr::{BinaryOp, Expr, Node};
use frame::{DataType, Scan, Value};
use futures::TryStreamExt as _;
use lake::{Lake, SqlOptions};
use serde_json::json;

use crate::measure::{Row, median, own_cpu, quantile};
use crate::peer::Peer;
use crate::{Arguments, data, import, project};

const PEOPLE: &str = r#"extend schema @module(name: "bench", owner: "bench")
type Person @key(fields: "id") @table(format: ICEBERG, plural: "people", bucket: { by: "id", count: 16 }, sort: "id") {
  id: Long!
  name: String!
  country: String!
  joined: Date!
  score: Float!
}
"#;

/// How many times a question may cost what the better peer's does.
const TIMES: f64 = 1.0 / 1.2;

/// One question in SQL; `{n}` is another number each time.
struct Question {
    name: &'static str,
    /// Over which table.
    of: &'static str,
    sql: &'static str,
    repeat: u64,
}

const QUESTIONS: &[Question] = &[
    Question {
        name: "row by key",
        of: "people",
        sql: "SELECT * FROM people WHERE id = {n}",
        repeat: 40,
    },
    Question {
        name: "rows of one user",
        of: "plays",
        sql: "SELECT * FROM plays WHERE \"userId\" = {n}",
        repeat: 40,
    },
    Question {
        name: "filtered range",
        of: "plays",
        sql: "SELECT count(*), sum(seconds) FROM plays WHERE \"userId\" BETWEEN {n} AND {n} + 10000 AND rating > 4.5",
        repeat: 5,
    },
    Question {
        name: "top 10",
        of: "plays",
        sql: "SELECT * FROM plays ORDER BY seconds DESC, \"userId\", \"at\" LIMIT 10",
        repeat: 1,
    },
    Question {
        name: "group by",
        of: "plays",
        sql: "SELECT country, count(*), avg(seconds), max(rating) FROM plays GROUP BY country ORDER BY country",
        repeat: 1,
    },
];

pub(crate) async fn run(arguments: &Arguments) -> Result<Vec<Row>> {
    let plays = import::require(arguments)?;
    project::run(&plays, &["compact", "Play"])?;
    let people = arguments.folder.join("people");
    let count = if arguments.quick { 100_000 } else { 1_000_000 };
    let file = data::people(&arguments.folder, count)?;
    project::make(&people, PEOPLE)?;
    project::run(&people, &["import", "Person", file.to_str().context("no text")?])?;
    project::run(&people, &["compact", "Person"])?;
    let plays = project::open(&plays, import::SDL).await?;
    let people = project::open(&people, PEOPLE).await?;
    let lake = |of: &str| if of == "plays" { &plays } else { &people };
    let given = json!({
        "plays": files(&plays, "Play").await?,
        "people": files(&people, "Person").await?,
    });
    let mut duckdb = Peer::start(arguments, "query_duckdb.py", &[&given.to_string()])?;
    let mut datafusion = Peer::start(arguments, "query_datafusion.py", &[&given.to_string()])?;
    let mut rows = Vec::new();
    for question in QUESTIONS {
        let peers = [duckdb.as_mut(), datafusion.as_mut()];
        rows.push(compare(arguments, lake(question.of), question, peers).await?);
    }
    rows.push(end_to_end(&people, count).await?);
    Ok(rows)
}

/// The data files of a table, as paths of this machine.
async fn files(lake: &Lake, type_name: &str) -> Result<Vec<String>> {
    let table = lake.table(type_name).await?;
    let metadata = table.iceberg()?;
    let snapshot = metadata.current_snapshot().map(|snapshot| snapshot.as_ref());
    let content = lake.files().content(metadata, snapshot).await?;
    let root = lake_folder(lake)?;
    let path = |file: &str| Ok(root.join(lake.locations().path(file)?.as_ref()));
    content
        .data
        .iter()
        .map(|file| {
            path(file.data().file_path()).map(|path: std::path::PathBuf| path.display().to_string())
        })
        .collect()
}

/// The folder of the local store.
fn lake_folder(lake: &Lake) -> Result<std::path::PathBuf> {
    let database = lake.config().database.file().context("the bench runs on SQLite")?;
    let state = database.parent().context("the database has no folder")?;
    Ok(Path::new(state).join("objects"))
}

async fn compare(
    arguments: &Arguments,
    lake: &Lake,
    question: &Question,
    mut peers: [Option<&mut Peer>; 2],
) -> Result<Row> {
    let rounds = if arguments.quick { 3 } else { 9 };
    let (mut ours, mut theirs) = (Vec::new(), [Vec::new(), Vec::new()]);
    // The first round warms every side up and is not counted.
    for round in 0..=rounds {
        let first = round * question.repeat;
        let (cost, answer) = ask(lake, question, first).await?;
        for (peer, costs) in peers.iter_mut().zip(&mut theirs) {
            let Some(peer) = peer else { continue };
            let found = peer.ask(&json!({
                "of": question.of, "sql": question.sql, "first": first, "repeat": question.repeat,
            }))?;
            anyhow::ensure!(
                found["rows"].as_u64() == Some(answer),
                "`{}`: {} gives {} rows, Headwater {answer}",
                question.name,
                peer.name,
                found["rows"]
            );
            costs.push(found["cpu"].as_f64().context("a peer gave no time")?);
        }
        ours.push(cost);
    }
    let middle = |mut costs: Vec<f64>| {
        (costs.len() > 1).then(|| median(costs.split_off(1)) * 1000.0 / question.repeat as f64)
    };
    let named = peers.iter().map(|peer| peer.as_ref().map(|peer| peer.name.clone()));
    let best = named
        .zip(theirs)
        .filter_map(|(name, costs)| Some((name?, middle(costs)?)))
        .min_by(|left, right| left.1.total_cmp(&right.1));
    let (name, cost) = best.map_or((String::new(), None), |(name, cost)| (name, Some(cost)));
    let ours = middle(ours).unwrap_or(f64::NAN);
    Ok(Row::cost(format!("query: {}", question.name), ours, "cpu-ms").against(&name, cost, TIMES))
}

/// Asks the question as often as it says: processor seconds, and rows of all answers.
async fn ask(lake: &Lake, question: &Question, first: u64) -> Result<(f64, u64)> {
    let before = own_cpu()?;
    let mut rows = 0;
    for index in first..first + question.repeat {
        let text = question.sql.replace("{n}", &number(index).to_string());
        let answer = lake.sql(&text, SqlOptions::new(Principal::local())).await?;
        let batches: Vec<_> = answer.stream.try_collect().await?;
        rows += batches.iter().map(|batch| batch.num_rows() as u64).sum::<u64>();
    }
    Ok((own_cpu()? - before, rows))
}

/// The number of a question: spread over the keys, the same for every side.
fn number(index: u64) -> u64 {
    index.wrapping_mul(7919) % 90_000
}

/// A row by its key through the library, from the request to the batch, by the clock.
async fn end_to_end(people: &Lake, count: u64) -> Result<Row> {
    let mut times = Vec::new();
    for index in 0..400 {
        let mut request = project::ask("Person", &["id", "name", "country", "joined", "score"]);
        let key = (index * 7919 % count) as i64;
        request.predicate = Some(equals("id", key));
        request.limit = Some(1);
        let started = Instant::now();
        let batches: Vec<_> = people.scan(request).await?.try_collect().await?;
        times.push(started.elapsed().as_secs_f64() * 1000.0);
        let rows: usize = batches.iter().map(arrow::array::RecordBatch::num_rows).sum();
        anyhow::ensure!(rows == 1, "key {key} gave {rows} rows");
    }
    let p50 = quantile(times.split_off(40), 0.5);
    Ok(Row::cost("row by key through the library, p50", p50, "ms").bound(1.0))
}

/// `field = value`.
fn equals(field: &str, value: i64) -> Expr {
    let of = |node, data_type| Expr { node, data_type, span: frame::expr::Span::default() };
    let field = of(Node::Field(vec![field.to_owned()]), DataType::Long);
    let value = of(Node::Literal(Value::Int(value)), DataType::Long);
    of(Node::Binary(BinaryOp::Eq, Box::new(field), Box::new(value)), DataType::Boolean)
}
