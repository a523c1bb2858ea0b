//! Answers a scan over all rows of one state: predicate and search, nearest, order, after, limits.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float32Array, Float64Array, RecordBatch, RecordBatchOptions, UInt32Array,
};
use arrow::datatypes::{DataType as ArrowType, Field as ArrowField, Schema as ArrowSchema};
use base::{Error, Result};

use super::search::Query;
use super::{Distance, MemoryTable, MemoryVectors, Row};
use crate::convert::array_of;
use crate::{Field, Nearest, NearestQuery, RowInterpreter, ScanRequest, Value};

/// Rows in one batch of an answer.
const BATCH_ROWS: usize = 1024;

/// A row that is still in, with what search and nearest said of it.
#[derive(Clone)]
struct Candidate {
    row: Row,
    score: f64,
    distance: f32,
    query: u32,
}

/// The batches of the answer.
pub(super) fn scan(
    table: &MemoryTable,
    rows: &[Row],
    request: &ScanRequest,
) -> Result<Vec<RecordBatch>> {
    let columns =
        request.fields.iter().map(|name| table.position(name)).collect::<Result<Vec<_>>>()?;
    let mut found = matching(table, rows, request)?;
    arrange(table, &mut found, request)?;
    if let Some(limit_by) = &request.limit_by {
        let position = table.position(&limit_by.field)?;
        let mut taken: HashMap<Value, usize> = HashMap::new();
        found.retain(|candidate| {
            let count = taken.entry(candidate.row[position].clone()).or_default();
            *count += 1;
            *count <= limit_by.count
        });
    }
    found.truncate(request.limit.unwrap_or(usize::MAX));
    // An answer without rows still has its schema.
    let chunks: Vec<&[Candidate]> =
        if found.is_empty() { vec![&[]] } else { found.chunks(BATCH_ROWS).collect() };
    chunks.into_iter().map(|chunk| batch(table, &columns, chunk, request)).collect()
}

/// How many rows match, whatever the order and the limits.
pub(super) fn count(table: &MemoryTable, rows: &[Row], request: &ScanRequest) -> Result<u64> {
    if request.aggregate.is_some() {
        return Err(Error::invalid("groups of rows are not counted"));
    }
    Ok(matching(table, rows, request)?.len() as u64)
}

/// The rows that match, whatever the order and the limits.
pub(super) fn matching_rows(
    table: &MemoryTable,
    rows: &[Row],
    request: &ScanRequest,
) -> Result<Vec<Row>> {
    let found = matching(table, rows, request)?;
    Ok(found.into_iter().map(|candidate| candidate.row).collect())
}

fn matching(table: &MemoryTable, rows: &[Row], request: &ScanRequest) -> Result<Vec<Candidate>> {
    let query = request.search.as_ref().map(|search| Query::parse(&search.text)).transpose()?;
    let searched = searched_fields(table, request)?;
    let mut found = Vec::new();
    for row in rows {
        if !wanted(table, row, request)? {
            continue;
        }
        let score = match &query {
            None => 0.0,
            Some(query) => {
                let texts = searched.iter().filter_map(|field| row[*field].as_str());
                match query.score(texts) {
                    Some(score) => score,
                    None => continue,
                }
            }
        };
        found.push(Candidate { row: row.clone(), score, distance: 0.0, query: 0 });
    }
    match &request.nearest {
        Some(nearest) => neighbours(table, rows, found, nearest),
        None => Ok(found),
    }
}

fn searched_fields(table: &MemoryTable, request: &ScanRequest) -> Result<Vec<usize>> {
    let Some(search) = &request.search else { return Ok(Vec::new()) };
    let named = search.fields.iter().map(|name| {
        let position = table.position(name)?;
        if table.search.contains(&position) {
            return Ok(position);
        }
        Err(Error::invalid(format!("field `{name}` of `{}` has no text index", table.name))
            .hint("add `@search` to the field"))
    });
    let named: Vec<usize> = named.collect::<Result<_>>()?;
    let fields = if named.is_empty() { table.search.clone() } else { named };
    if fields.is_empty() {
        return Err(Error::invalid(format!("table `{}` has no text index", table.name))
            .hint("add `@search` to a field"));
    }
    Ok(fields)
}

fn wanted(table: &MemoryTable, row: &Row, request: &ScanRequest) -> Result<bool> {
    let Some(predicate) = &request.predicate else { return Ok(true) };
    RowInterpreter.holds(predicate, &|path, _| value_in(table, row, path), &request.principal)
}

/// A field's value in a row; more names walk into embedded objects.
pub(super) fn value_in(table: &MemoryTable, row: &Row, path: &[String]) -> Result<Value> {
    let (first, rest) =
        path.split_first().ok_or_else(|| Error::internal("a field needs a name"))?;
    let position = table.position(first)?;
    let mut value = &row[position];
    let mut data_type = &table.fields[position].data_type;
    for name in rest {
        let (crate::DataType::Struct(fields), Value::Struct(parts)) = (data_type, value) else {
            return Ok(Value::Null);
        };
        let part =
            fields.iter().position(|field| field.name.as_ref() == name).ok_or_else(|| {
                Error::not_found(format!(
                    "table `{}` has no field `{}`",
                    table.name,
                    path.join(".")
                ))
            })?;
        (data_type, value) = (&fields[part].data_type, &parts[part]);
    }
    Ok(value.clone())
}

/// For each query the candidates that are nearest to it, nearest first.
fn neighbours(
    table: &MemoryTable,
    rows: &[Row],
    candidates: Vec<Candidate>,
    nearest: &Nearest,
) -> Result<Vec<Candidate>> {
    let vectors = table.vectors.get(&nearest.field).ok_or_else(|| {
        Error::invalid(format!("field `{}` of `{}` has no vectors", nearest.field, table.name))
            .hint("add `@vector` to the field")
    })?;
    let mut found = Vec::new();
    for (query, (own_key, vector)) in
        queries(table, rows, vectors, &nearest.query).into_iter().enumerate()
    {
        let Some(vector) = vector else { continue };
        let mut near = Vec::new();
        for candidate in &candidates {
            let Some(other) = (vectors.embed)(&candidate.row[vectors.field]) else { continue };
            if own_key.as_ref() == Some(&row_key(table, &candidate.row)) {
                continue;
            }
            let distance = distance(vectors.distance, &vector, &other)?;
            near.push(Candidate { distance, query: query as u32, ..candidate.clone() });
        }
        near.sort_by(|left, right| left.distance.total_cmp(&right.distance));
        near.truncate(nearest.count);
        found.extend(near);
    }
    Ok(found)
}

/// The key as `NearestQuery::Rows` spells it: one value, or a struct of several.
fn row_key(table: &MemoryTable, row: &Row) -> Value {
    let mut key = table.key_of(row);
    if key.len() == 1 { key.remove(0) } else { Value::Struct(key) }
}

/// A query's own row, when it is one, and its vector, when it has one.
type AskedVector = (Option<Value>, Option<Arc<[f32]>>);

/// What each query asks for.
fn queries(
    table: &MemoryTable,
    rows: &[Row],
    vectors: &MemoryVectors,
    query: &NearestQuery,
) -> Vec<AskedVector> {
    match query {
        NearestQuery::Vectors(given) => {
            given.iter().map(|vector| (None, Some(vector.as_slice().into()))).collect()
        }
        NearestQuery::Rows(keys) => {
            let by_key: HashMap<Value, &Row> =
                rows.iter().map(|row| (row_key(table, row), row)).collect();
            let vector_of = |key| (vectors.embed)(&by_key.get(key)?[vectors.field]);
            keys.iter().map(|key| (Some(key.clone()), vector_of(key))).collect()
        }
    }
}

fn distance(metric: Distance, left: &[f32], right: &[f32]) -> Result<f32> {
    if left.len() != right.len() {
        return Err(Error::invalid(format!(
            "a vector of {} numbers cannot be compared with one of {}",
            left.len(),
            right.len()
        )));
    }
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
    Ok(match metric {
        Distance::L2 => left.iter().zip(right).map(|(x, y)| (x - y) * (x - y)).sum(),
        Distance::Dot => 1.0 - dot(left, right),
        Distance::Cosine => {
            let lengths = (dot(left, left) * dot(right, right)).sqrt();
            if lengths == 0.0 { 1.0 } else { 1.0 - dot(left, right) / lengths }
        }
    })
}

/// Sorts, and passes over what does not come after the given position.
fn arrange(table: &MemoryTable, found: &mut Vec<Candidate>, request: &ScanRequest) -> Result<()> {
    let order = request
        .order
        .iter()
        .map(|order| Ok((SortKey::of(table, request, &order.field)?, order)))
        .collect::<Result<Vec<_>>>()?;
    found.sort_by(|left, right| {
        let keys =
            order.iter().map(|(key, order)| order.compare(&key.value(left), &key.value(right)));
        keys.fold(Ordering::Equal, Ordering::then)
    });
    let Some(after) = &request.after else { return Ok(()) };
    if after.len() != order.len() {
        return Err(Error::invalid("`after` needs one value for each item of the order"));
    }
    found.retain(|candidate| {
        let keys = order.iter().zip(after);
        let keys = keys.map(|((key, order), value)| order.compare(&key.value(candidate), value));
        keys.fold(Ordering::Equal, Ordering::then).is_gt()
    });
    Ok(())
}

/// What an item of the order looks at.
enum SortKey {
    Field(usize),
    Score,
    Distance,
}

impl SortKey {
    fn of(table: &MemoryTable, request: &ScanRequest, name: &str) -> Result<Self> {
        Ok(match name {
            "_score" if request.search.is_some() => SortKey::Score,
            "_distance" if request.nearest.is_some() => SortKey::Distance,
            name => SortKey::Field(table.position(name)?),
        })
    }

    fn value(&self, candidate: &Candidate) -> Value {
        match self {
            SortKey::Field(position) => candidate.row[*position].clone(),
            SortKey::Score => Value::Float(candidate.score),
            SortKey::Distance => Value::Float(candidate.distance.into()),
        }
    }
}

fn batch(
    table: &MemoryTable,
    columns: &[usize],
    rows: &[Candidate],
    request: &ScanRequest,
) -> Result<RecordBatch> {
    let mut fields: Vec<ArrowField> =
        columns.iter().map(|column| table.fields[*column].to_arrow()).collect();
    let mut arrays = columns
        .iter()
        .map(|column| {
            let Field { data_type, .. } = &table.fields[*column];
            array_of(rows.iter().map(|candidate| &candidate.row[*column]), data_type)
        })
        .collect::<Result<Vec<ArrayRef>>>()?;
    if request.search.is_some() {
        fields.push(ArrowField::new("_score", ArrowType::Float64, false));
        arrays.push(Arc::new(rows.iter().map(|row| Some(row.score)).collect::<Float64Array>()));
    }
    if request.nearest.is_some() {
        fields.push(ArrowField::new("_distance", ArrowType::Float32, false));
        arrays.push(Arc::new(rows.iter().map(|row| Some(row.distance)).collect::<Float32Array>()));
        fields.push(ArrowField::new("_query", ArrowType::UInt32, false));
        arrays.push(Arc::new(rows.iter().map(|row| Some(row.query)).collect::<UInt32Array>()));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(Arc::new(ArrowSchema::new(fields)), arrays, &options).map_err(
        |error| {
            Error::internal(format!("failed to answer from table `{}`", table.name))
                .caused_by(error)
        },
    )
}
