//! The rows that a text search finds, as a table with a `_score`.
//!
//! In: a scan request with a search. Out: a provider of the matching rows of the snapshot, with the
//! columns that the request needs. Not here: the index (`search`), predicate, order and limit, which
//! are applied above.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch};
use arrow::datatypes::{DataType as ArrowType, Field as ArrowField, Schema, SchemaRef};
use base::{Error, Kind, Result};
use datafusion::catalog::TableProvider;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use frame::{Node, Search, SnapshotRef};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use schema::{ObjectType, TableFormat};

use super::columns::Columns;
use super::engine::{Engine, View, iceberg_provider};
use super::manifests::FileEntry;
use super::provider::IcebergProvider;
use super::rows::{projected, rows_of};
use super::scan::{Asked, DISTANCE, SCORE};
use crate::search::{FileTexts, Hits, Part, find};
use crate::{Lake, Table};

/// Files that are read at once.
const FILES_AT_ONCE: usize = 4;

impl Asked {
    /// The rows that the search finds.
    pub(crate) async fn searched(
        &self,
        lake: &Lake,
        search: &Search,
    ) -> Result<Arc<dyn TableProvider>> {
        let fields = searched_fields(&self.object)?;
        let asked = asked_positions(&self.object.name, &fields, search)?;
        let at = self.request.at;
        let (provider, parts) = lake.text_parts(&self.table, &self.object, at).await?;
        let most = lake.inner.config.limits.rows;
        let texts = &provider.engine.texts;
        let hits = find(texts, &parts, &search.text, fields.len(), &asked, most).await?;
        let hits = without_deleted(&provider, hits).await?;
        let wanted = self.needed_columns(&provider.columns)?;
        found_table(&provider, hits, &wanted, self.best_are_enough())
    }

    /// How many of the best hits decide the answer, when nothing but the score does.
    pub(crate) fn best_are_enough(&self) -> Option<usize> {
        let request = &self.request;
        let only_score = request.predicate.is_none()
            && request.order.is_empty()
            && request.limit_by.is_none()
            && request.nearest.is_none()
            && request.after.is_none()
            // Of groups the limit counts the groups.
            && request.aggregate.is_none();
        request.limit.filter(|_| only_score)
    }

    /// The fields that the request reads, by API name.
    pub(crate) fn needed_fields(&self) -> Vec<String> {
        let request = &self.request;
        let mut names = self.field_names();
        match &request.aggregate {
            Some(aggregate) => aggregate.inputs().for_each(|input| fields_of(input, &mut names)),
            None => names.extend(request.order.iter().map(|order| order.field.as_ref().to_owned())),
        }
        names.extend(request.limit_by.iter().map(|limit| limit.field.as_ref().to_owned()));
        if let Some(predicate) = &request.predicate {
            fields_of(predicate, &mut names);
        }
        if let Some(nearest) = &request.nearest {
            names.push(nearest.field.as_ref().to_owned());
            let key = self.object.table().map(|table| table.key.as_slice()).unwrap_or_default();
            names.extend(key.iter().map(|id| self.object.field(*id).name.as_ref().to_owned()));
        }
        names.retain(|name| name != SCORE && name != DISTANCE);
        names
    }

    /// Positions of the columns that the request reads.
    fn needed_columns(&self, columns: &Columns) -> Result<Vec<usize>> {
        let mut wanted = Vec::new();
        for name in self.needed_fields() {
            let column = self.spec(&name)?.column.as_ref();
            let index = columns.schema.index_of(column).map_err(|_| missing_column(column))?;
            if !wanted.contains(&index) {
                wanted.push(index);
            }
        }
        Ok(wanted)
    }
}

fn missing_column(column: &str) -> Error {
    Error::new(Kind::Stale, format!("the table has no column `{column}` yet"))
        .hint("run `headwater apply` to carry the schema's changes out")
}

impl Lake {
    /// The text indexes of a snapshot's files, built where they are missing.
    pub(crate) async fn text_parts(
        &self,
        table: &Table,
        object: &ObjectType,
        at: Option<SnapshotRef>,
    ) -> Result<(IcebergProvider, Vec<Arc<Vec<Part>>>)> {
        if table.format == TableFormat::Lance {
            return Err(Error::new(
                Kind::Unsupported,
                "text search in Lance tables is not offered",
            ));
        }
        let engine = &self.inner.query;
        let provider = iceberg_provider(engine, table, Some(object), at, View::Current).await?;
        let texts = provider.text_columns(object, &searched_fields(object)?)?;
        let folder = text_folder(table);
        let mut parts = Vec::with_capacity(provider.files.data.len());
        for entry in &provider.files.data {
            parts.push(engine.texts.parts(&folder, &file_texts(&provider, entry, &texts)).await?);
        }
        Ok((provider, parts))
    }
}

/// A data file with searched texts.
pub(crate) struct SearchedFile {
    pub(crate) texts: FileTexts,
    /// Bytes of the file.
    pub(crate) bytes: u64,
}

/// The data files of a snapshot of a table.
pub(crate) async fn searched_files(
    lake: &Lake,
    table: &Table,
    object: &ObjectType,
) -> Result<Vec<SearchedFile>> {
    let engine = &lake.inner.query;
    let provider = iceberg_provider(engine, table, Some(object), None, View::Current).await?;
    let texts = provider.text_columns(object, &searched_fields(object)?)?;
    let file = |entry: &Arc<FileEntry>| SearchedFile {
        texts: file_texts(&provider, entry, &texts),
        bytes: entry.file.file_size_in_bytes(),
    };
    Ok(provider.files.data.iter().map(file).collect())
}

/// API names of all fields that an expression reads.
pub(crate) fn fields_of(expr: &frame::Expr, names: &mut Vec<String>) {
    match &expr.node {
        Node::Field(path) => names.extend(path.first().cloned()),
        Node::Literal(_) | Node::Viewer(_) => {}
        Node::Unary(_, operand)
        | Node::InList(operand, _)
        | Node::Contains(operand, _)
        | Node::Cast(operand) => fields_of(operand, names),
        Node::Binary(_, left, right) => {
            fields_of(left, names);
            fields_of(right, names);
        }
        Node::Case { branches, otherwise } => {
            for (condition, result) in branches {
                fields_of(condition, names);
                fields_of(result, names);
            }
            otherwise.iter().for_each(|otherwise| fields_of(otherwise, names));
        }
        Node::Coalesce(operands) | Node::Call(_, operands) => {
            operands.iter().for_each(|operand| fields_of(operand, names));
        }
    }
}

/// Fields with `@search`, by API name, in the order of the type.
pub(crate) fn searched_fields(object: &ObjectType) -> Result<Vec<Arc<str>>> {
    let fields: Vec<Arc<str>> = object
        .columns()
        .filter(|(def, _)| def.search)
        .map(|(def, _)| Arc::clone(&def.name))
        .collect();
    if fields.is_empty() {
        return Err(Error::invalid(format!("table `{}` has no text index", object.name))
            .hint("add `@search` to a field"));
    }
    Ok(fields)
}

pub(crate) fn asked_positions(
    table: &str,
    fields: &[Arc<str>],
    search: &Search,
) -> Result<Vec<usize>> {
    if search.fields.is_empty() {
        return Ok((0..fields.len()).collect());
    }
    let position = |name: &Arc<str>| {
        fields.iter().position(|field| field == name).ok_or_else(|| {
            Error::invalid(format!("field `{name}` of `{table}` has no text index"))
                .hint("add `@search` to the field")
        })
    };
    search.fields.iter().map(position).collect()
}

/// Where the indexes of a table's files lie.
pub(crate) fn text_folder(table: &Table) -> Path {
    Path::from(format!("_text/{}", table.id))
}

impl IcebergProvider {
    fn text_columns(&self, object: &ObjectType, fields: &[Arc<str>]) -> Result<Vec<usize>> {
        let column = |field: &Arc<str>| {
            let spec = object.fields.get(field).and_then(|def| def.column());
            let name = spec.map_or("", |spec| spec.column.as_ref());
            self.columns.schema.index_of(name).map_err(|_| missing_column(name))
        };
        fields.iter().map(column).collect()
    }
}

fn file_texts(provider: &IcebergProvider, entry: &Arc<FileEntry>, texts: &[usize]) -> FileTexts {
    let ids: Vec<String> = texts
        .iter()
        .map(|index| provider.columns.file_id(*index).unwrap_or(-1).to_string())
        .collect();
    let (provider, file, texts) = (provider.clone(), Arc::clone(entry), texts.to_vec());
    FileTexts {
        key: format!("{}\n{}", entry.file.file_path(), ids.join(",")),
        rows: entry.file.record_count(),
        read: Box::new(move || {
            let (provider, file, texts) = (provider.clone(), Arc::clone(&file), texts.clone());
            async move {
                let rows =
                    rows_of(&provider.engine, &provider.columns, &file, &texts, None).await?;
                Ok(rows)
            }
            .boxed()
        }),
    }
}

async fn without_deleted(provider: &IcebergProvider, hits: Vec<Hits>) -> Result<Vec<Hits>> {
    let data = &provider.files.data;
    let hit: Vec<Arc<FileEntry>> = data
        .iter()
        .zip(&hits)
        .filter(|(_, hits)| !hits.is_empty())
        .map(|(entry, _)| Arc::clone(entry))
        .collect();
    let deleted = provider.engine.manifests.deleted_rows(&provider.files, &hit).await?;
    let living = data.iter().zip(hits).map(|(entry, mut hits)| {
        if let Some(gone) = deleted.get(entry.file.file_path()) {
            hits.retain(|(position, _)| gone.binary_search(position).is_err());
        }
        hits
    });
    Ok(living.collect())
}

fn found_table(
    provider: &IcebergProvider,
    hits: Vec<Hits>,
    wanted: &[usize],
    best: Option<usize>,
) -> Result<Arc<dyn TableProvider>> {
    let hits = match best {
        Some(count) => keep_best(hits, count),
        None => hits,
    };
    let mut fields = projected(&provider.columns, wanted).fields().to_vec();
    fields.push(Arc::new(ArrowField::new(SCORE, ArrowType::Float64, false)));
    let schema = Arc::new(Schema::new(fields));
    let files = provider.files.data.iter().cloned().zip(hits);
    let found = Found {
        engine: Arc::clone(&provider.engine),
        columns: Arc::clone(&provider.columns),
        files: files.filter(|(_, hits)| !hits.is_empty()).map(Arc::new).collect(),
        wanted: wanted.to_vec(),
        schema: Arc::clone(&schema),
    };
    let table = StreamingTable::try_new(schema, vec![Arc::new(found)]);
    Ok(Arc::new(table.map_err(super::failure::of_query)?))
}

/// Only the hits with the best scores.
fn keep_best(hits: Vec<Hits>, count: usize) -> Vec<Hits> {
    let mut scores: Vec<f32> = hits.iter().flatten().map(|(_, score)| *score).collect();
    if scores.len() <= count || count == 0 {
        return hits;
    }
    scores.sort_unstable_by(|left, right| right.total_cmp(left));
    let least = scores[count - 1];
    let good = |hits: Hits| hits.into_iter().filter(|(_, score)| *score >= least).collect();
    hits.into_iter().map(good).collect()
}

/// Found rows on the way, file by file.
#[derive(Debug)]
struct Found {
    engine: Arc<Engine>,
    columns: Arc<Columns>,
    files: Vec<Arc<(Arc<FileEntry>, Hits)>>,
    wanted: Vec<usize>,
    schema: SchemaRef,
}

impl PartitionStream for Found {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let files: Vec<_> = self.files.iter().map(|file| self.read(Arc::clone(file))).collect();
        let batches = stream::iter(files)
            .buffered(FILES_AT_ONCE)
            .try_flatten()
            .map_err(|error: Error| DataFusionError::External(Box::new(error)));
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches))
    }
}

impl Found {
    fn read(
        &self,
        file: Arc<(Arc<FileEntry>, Hits)>,
    ) -> impl Future<Output = Result<frame::BatchStream>> + Send + 'static {
        let (engine, columns) = (Arc::clone(&self.engine), Arc::clone(&self.columns));
        let (wanted, schema) = (self.wanted.clone(), Arc::clone(&self.schema));
        async move {
            let (entry, hits) = file.as_ref();
            let positions: Vec<u64> = hits.iter().map(|(position, _)| *position).collect();
            let rows = rows_of(&engine, &columns, entry, &wanted, Some(&positions)).await?;
            let (mut next, file) = (0, Arc::clone(&file));
            let scored: frame::BatchStream = Box::pin(rows.map(move |batch| {
                let batch = batch?;
                let scores = file.1.get(next..next + batch.num_rows());
                next += batch.num_rows();
                with_scores(&batch, &schema, scores)
            }));
            Ok(scored)
        }
    }
}

fn with_scores(
    batch: &RecordBatch,
    schema: &SchemaRef,
    scores: Option<&[(u64, f32)]>,
) -> Result<RecordBatch> {
    let scores =
        scores.ok_or_else(|| Error::internal("a search read rows that it did not find"))?;
    let scores = scores.iter().map(|(_, score)| f64::from(*score));
    let mut arrays: Vec<ArrayRef> = batch.columns().to_vec();
    arrays.push(Arc::new(Float64Array::from_iter_values(scores)));
    RecordBatch::try_new(Arc::clone(schema), arrays)
        .map_err(|error| Error::internal("found rows do not fit their table").caused_by(error))
}
