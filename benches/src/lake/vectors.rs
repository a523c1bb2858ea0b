//! Nearest rows among 100,000 vectors of 128 numbers, all and among the hundredth part that a filter
//! leaves, against `lancedb`, whose parameters are chosen by recall, not by name.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use base::Principal;
use frame::expr::{BinaryOp, Expr, Node, Span};
use frame::{DataType, Field, Nearest, NearestQuery, Scan, Value, Write, WriteOp, WriteRequest};
use futures::TryStreamExt as _;
use lake::Lake;
use serde_json::json;

use crate::measure::{Row, median, own_cpu};
use crate::peer::Peer;
use crate::{Arguments, data, project};

const SDL: &str = r#"extend schema @module(name: "bench", owner: "bench")
type Item @key(fields: "id") @table(format: ICEBERG, plural: "items", bucket: { by: "id", count: 4 }) {
  id: Long!
  shelf: Long!
  place: Vector! @vector(dimension: 128, metric: L2)
}
"#;

const DIMENSION: usize = 128;
const COUNT: usize = 10;
/// Rows with equal remainder by this are on one shelf: a filter leaves one of a hundred.
const SHELVES: usize = 100;
/// What both sides must find of the true neighbours.
const RECALL: f64 = 0.95;

pub(crate) async fn run(arguments: &Arguments) -> Result<Vec<Row>> {
    let size = if arguments.quick { 5_000 } else { 100_000 };
    let vectors = data::vectors(size, DIMENSION, 0);
    let queries = data::vectors(100, DIMENSION, 1);
    let folder = arguments.folder.join("items");
    project::make(&folder, SDL)?;
    let lake = project::open(&folder, SDL).await?;
    fill(&lake, &vectors).await?;
    lake.maintain().await?;
    let files = arguments.folder.join("vectors");
    fs::create_dir_all(&files)?;
    write(&files.join("vectors.f32"), &vectors)?;
    write(&files.join("queries.f32"), &queries)?;
    let given =
        json!({ "folder": files, "dimension": DIMENSION, "shelves": SHELVES, "count": COUNT });
    let mut peer = Peer::start(arguments, "vectors_lancedb.py", &[&given.to_string()])?;
    let mut rows = Vec::new();
    for shelf in [None, Some(7)] {
        rows.push(compare(arguments, &lake, (&vectors, &queries), shelf, peer.as_mut()).await?);
    }
    Ok(rows)
}

async fn fill(lake: &Lake, vectors: &[Vec<f32>]) -> Result<()> {
    let fields = [
        Field::new("id", DataType::Long, false),
        Field::new("shelf", DataType::Long, false),
        Field::new("place", DataType::Vector { dimension: DIMENSION as u32 }, false),
    ];
    let row = |(id, vector): (usize, &Vec<f32>)| {
        let shelf = Value::Int((id % SHELVES) as i64);
        vec![Value::Int(id as i64), shelf, Value::Vector(vector.clone().into())]
    };
    let rows: Vec<Vec<Value>> = vectors.iter().enumerate().map(row).collect();
    let batches = rows.chunks(10_000).map(|rows| frame::convert::batch_of(&fields, rows));
    let request = WriteRequest {
        table: "Item".into(),
        op: WriteOp::Insert(batches.collect::<base::Result<_>>()?),
        idempotency_key: None,
        principal: Principal::local(),
    };
    lake.write(request).await?;
    Ok(())
}

fn write(path: &Path, vectors: &[Vec<f32>]) -> Result<()> {
    let bytes: Vec<u8> = vectors.iter().flatten().flat_map(|one| one.to_le_bytes()).collect();
    Ok(fs::write(path, bytes)?)
}

async fn compare(
    arguments: &Arguments,
    lake: &Lake,
    (vectors, queries): (&[Vec<f32>], &[Vec<f32>]),
    shelf: Option<usize>,
    mut peer: Option<&mut Peer>,
) -> Result<Row> {
    let truth: Vec<HashSet<i64>> =
        queries.iter().map(|query| nearest(vectors, query, shelf)).collect();
    let rounds = if arguments.quick { 2 } else { 7 };
    let (mut ours, mut theirs, mut recall) = (Vec::new(), Vec::new(), (0.0, 0.0));
    for round in 0..=rounds {
        let before = own_cpu()?;
        let mut found = Vec::with_capacity(queries.len());
        for query in queries {
            found.push(ask(lake, query, shelf).await?);
        }
        let cost = own_cpu()? - before;
        recall.0 = part_found(&truth, &found);
        let peer_cost = match peer.as_mut() {
            None => None,
            Some(peer) => {
                let question = json!({ "shelf": shelf, "truth": truth, "recall": RECALL });
                let found = peer.ask(&question)?;
                recall.1 = found["recall"].as_f64().context("no recall")?;
                Some(found["search_cpu"].as_f64().context("no time")?)
            }
        };
        // The first round warms both up.
        if round > 0 {
            ours.push(queries.len() as f64 / cost);
            theirs.extend(peer_cost.map(|cost| queries.len() as f64 / cost));
        }
    }
    ensure!(recall.0 >= RECALL, "Headwater's recall is {:.3}", recall.0);
    let what = shelf.map_or("", |_| ", with a 1 % filter");
    let name = peer.map_or_else(String::new, |peer| {
        format!("{} (recall {:.3}, Headwater's {:.3})", peer.name, recall.1, recall.0)
    });
    let title = format!("vectors: {} × {DIMENSION}, 10 nearest{what}", vectors.len());
    let theirs = (!theirs.is_empty()).then(|| median(theirs));
    Ok(Row::rate(title, median(ours), "q/cpu-s").against(&name, theirs, 0.95))
}

async fn ask(lake: &Lake, query: &[f32], shelf: Option<usize>) -> Result<Vec<i64>> {
    let mut request = project::ask("Item", &["id"]);
    request.predicate = shelf.map(|shelf| on_shelf(shelf as i64));
    request.nearest = Some(Nearest {
        field: "place".into(),
        query: NearestQuery::Vectors(vec![query.to_vec()]),
        count: COUNT,
        exact: false,
    });
    let batches: Vec<_> = lake.scan(request).await?.try_collect().await?;
    let ids = batches.iter().filter_map(|batch| batch.column(0).as_primitive_opt::<Int64Type>());
    Ok(ids.flat_map(|ids| ids.values().to_vec()).collect())
}

fn on_shelf(shelf: i64) -> Expr {
    let of = |node, data_type| Expr { node, data_type, span: Span::default() };
    let field = of(Node::Field(vec!["shelf".to_owned()]), DataType::Long);
    let value = of(Node::Literal(Value::Int(shelf)), DataType::Long);
    of(Node::Binary(BinaryOp::Eq, Box::new(field), Box::new(value)), DataType::Boolean)
}

/// The true neighbours, by comparing all.
fn nearest(vectors: &[Vec<f32>], query: &[f32], shelf: Option<usize>) -> HashSet<i64> {
    let wanted = |id: &usize| shelf.is_none_or(|shelf| id % SHELVES == shelf);
    let far = |vector: &Vec<f32>| {
        vector.iter().zip(query).map(|(one, other)| (one - other).powi(2)).sum::<f32>()
    };
    let mut all: Vec<(f32, usize)> =
        (0..vectors.len()).filter(wanted).map(|id| (far(&vectors[id]), id)).collect();
    all.sort_by(|one, other| one.0.total_cmp(&other.0));
    all.truncate(COUNT);
    all.into_iter().map(|(_, id)| id as i64).collect()
}

fn part_found(truth: &[HashSet<i64>], found: &[Vec<i64>]) -> f64 {
    let all: usize = truth.iter().map(HashSet::len).sum();
    let hit = truth.iter().zip(found).map(|(truth, found)| {
        found.iter().collect::<HashSet<_>>().iter().filter(|id| truth.contains(**id)).count()
    });
    hit.sum::<usize>() as f64 / all as f64
}
