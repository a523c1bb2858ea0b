//! The rows whose vectors are near.
//!
//! ```text
//! request → missing vectors made → queries → candidates when the filter is selective
//!         → nearest contents → rows with them that the filter wants → more contents while too few
//! ```
//!
//! In: a scan request with `nearest`. Out: for each query its nearest rows, with `_distance` and
//! `_query`. A filter never costs neighbours: when it leaves few rows they are all compared, and
//! otherwise ever more contents are asked for until enough of their rows pass. Not here: vectors
//! (`companion`), order and limit, which are applied above.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, RecordBatch, StringArray, UInt32Array};
use arrow::datatypes::{DataType as ArrowType, Field, Schema, UInt32Type};
use base::{Error, Kind, Result};
use datafusion::catalog::TableProvider;
use datafusion::catalog::default_table_source::provider_as_source;
use datafusion::common::{Column, JoinType, ScalarValue};
use datafusion::datasource::MemTable;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, lit};
use frame::{DataType, Nearest, NearestQuery, SnapshotRef, Value};
use futures::TryStreamExt;
use schema::{FieldDef, ObjectType, TableFormat, VectorSpec};

use super::engine::{View, iceberg_provider};
use super::failure;
use super::rows::rows_of;
use super::scan::{Asked, DISTANCE, QUERY};
use super::translate::column;
use super::values::to_scalar;
use crate::companion::content::{content_hash, content_named, name_of};
use crate::companion::held::{Held, Position, VectorSet, subset};
use crate::companion::nearest::{Among, Near, by_index, nearest};
use crate::companion::vectors::{FileContents, Making, VectorSpace};
use crate::{Lake, Table, lance_table};

/// Rows that a filter may leave for all of them to be compared.
const CANDIDATES: usize = 50_000;
/// How many more contents are asked for when too few of their rows passed.
const MORE: usize = 8;
/// The hash of a row's content.
const HASH: &str = "_hash";
/// The hash of a near content.
const NEAR: &str = "_near";

/// One thing to be near to.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// The key of the row that asks, which is not its own neighbour.
    pub(super) own: Option<Vec<ScalarValue>>,
    pub(super) vector: Option<Vec<f32>>,
}

/// A field with vectors, and where they are.
pub(super) struct Searched<'a> {
    lake: &'a Lake,
    asked: &'a Asked,
    nearest: &'a Nearest,
    pub(super) column: String,
    pub(super) space: VectorSpace,
    pub(super) held: Held,
}

/// Contents in hex that alone can be near; all of them when there are none given.
type Candidates = Option<Vec<String>>;

impl Asked {
    /// The nearest rows of each query.
    pub(crate) async fn near(&self, lake: &Lake, nearest: &Nearest) -> Result<LogicalPlanBuilder> {
        let searched = Searched::open(lake, self, nearest).await?;
        let rows = searched.rows().await?;
        let table: Arc<dyn TableProvider> = Arc::new(rows);
        LogicalPlanBuilder::scan("t", provider_as_source(table), None).map_err(failure::of_query)
    }
}

impl Lake {
    /// Makes the vectors that the contents of a column lack in a snapshot.
    pub(crate) async fn make_missing_vectors(
        &self,
        table: &Table,
        object: &ObjectType,
        space: &VectorSpace,
        name: &str,
        at: Option<SnapshotRef>,
        making: &mut Making<'_>,
    ) -> Result<()> {
        if table.format == TableFormat::Lance {
            return self.make_missing_of_version(table, object, space, name, at, making).await;
        }
        let engine = &self.inner.query;
        let provider = iceberg_provider(engine, table, Some(object), at, View::Current).await?;
        let Ok(index) = provider.columns.schema.index_of(name) else { return Ok(()) };
        let key = |path: &str| file_key(path, provider.columns.file_id(index));
        let files: Vec<String> =
            provider.files.data.iter().map(|entry| key(entry.file.file_path())).collect();
        let seen = self.inner.companions.seen_files(space, &files).await?;
        let entries = provider.files.data.iter().zip(files);
        let missing: Vec<_> = entries.filter(|(_, file)| !seen.contains(file)).collect();
        making.of = missing.iter().map(|(entry, _)| entry.file.record_count()).sum();
        for (entry, file) in missing {
            let column = rows_of(engine, &provider.columns, entry, &[index], None).await?;
            self.make_vectors(table, space, FileContents { file, column }, making).await?;
        }
        Ok(())
    }
}

impl Lake {
    /// Likewise for a Lance table, which knows no files: what is looked at is a version as a whole.
    async fn make_missing_of_version(
        &self,
        table: &Table,
        object: &ObjectType,
        space: &VectorSpace,
        name: &str,
        at: Option<SnapshotRef>,
        making: &mut Making<'_>,
    ) -> Result<()> {
        let version = lance_table::version_at(self, table, at).await?;
        let file = format!("{}@{version}#{name}", lance_table::dataset_name(table));
        let files = std::slice::from_ref(&file);
        if version == 0 || self.inner.companions.seen_files(space, files).await?.contains(&file) {
            return Ok(());
        }
        let provider = lance_table::provider(self, table, Some(object), at).await?;
        if provider.schema().index_of(name).is_err() {
            return Ok(());
        }
        let plan = LogicalPlanBuilder::scan("t", provider_as_source(provider), None)
            .and_then(|rows| rows.project(vec![column(name)]))
            .and_then(LogicalPlanBuilder::build)
            .map_err(failure::of_query)?;
        let state = self.inner.query.session();
        let (_, contents) = self.inner.query.run(&state, &plan).await?;
        self.make_vectors(table, space, FileContents { file, column: contents }, making).await
    }
}

/// A column of a file, whatever the column is called.
fn file_key(path: &str, id: Option<i32>) -> String {
    format!("{path}#{}", id.unwrap_or(-1))
}

fn vector_field<'a>(asked: &'a Asked, field: &str) -> Result<(&'a FieldDef, &'a VectorSpec)> {
    asked.spec(field)?;
    let def = asked.object.fields.get(field);
    def.and_then(|def| Some((def, def.vector.as_ref()?))).ok_or_else(|| {
        Error::invalid(format!("field `{field}` of `{}` has no vectors", asked.object.name))
            .hint("add `@vector` to the field")
    })
}

impl<'a> Searched<'a> {
    /// Finds the vectors of the field; those that are missing are made first.
    pub(super) async fn open(
        lake: &'a Lake,
        asked: &'a Asked,
        nearest: &'a Nearest,
    ) -> Result<Searched<'a>> {
        let (def, spec) = vector_field(asked, &nearest.field)?;
        let column = def.column().map(|c| c.column.as_ref().to_owned()).unwrap_or_default();
        let space = VectorSpace::of(&asked.table, spec);
        let at = asked.request.at;
        let mut making = Making::silent();
        let (table, object) = (&asked.table, &asked.object);
        lake.make_missing_vectors(table, object, &space, &column, at, &mut making).await?;
        let held = lake.inner.companions.held(&space).await?;
        Ok(Searched { lake, asked, nearest, column, space, held })
    }
}

impl Searched<'_> {
    async fn rows(&self) -> Result<MemTable> {
        let questions = self.questions().await?;
        let candidates = self.candidates().await?;
        let all = self.vectors().await?;
        let mut count = self.nearest.count.saturating_mul(2).saturating_add(8);
        let mut likely = !self.nearest.exact;
        loop {
            let near = self.near(&questions, count, &candidates, likely).await?;
            let batches = self.rows_with(&questions, &near).await?;
            if (count >= all && !likely) || self.enough(&questions, &batches) {
                return self.table(batches);
            }
            count = count.saturating_mul(MORE);
            likely = false;
        }
    }

    async fn vectors(&self) -> Result<usize> {
        match &self.held {
            Held::All(set) => Ok(set.len()),
            Held::Beyond(dataset) => dataset
                .count_rows(None)
                .await
                .map_err(|error| crate::lance_store::failed("count vectors", error)),
            Held::Nothing => Ok(0),
        }
    }

    fn enough(&self, questions: &[Question], batches: &[RecordBatch]) -> bool {
        let mut counts = vec![0; questions.len()];
        for batch in batches {
            let queries = batch.column_by_name(QUERY);
            let queries = queries.and_then(|q| q.as_primitive_opt::<UInt32Type>());
            for query in queries.iter().flat_map(|queries| queries.values().iter()) {
                counts[*query as usize] += 1;
            }
        }
        let asking =
            questions.iter().zip(&counts).filter(|(question, _)| question.vector.is_some());
        asking.into_iter().all(|(_, found)| *found >= self.nearest.count)
    }

    /// What is asked, with its vectors.
    pub(super) async fn questions(&self) -> Result<Vec<Question>> {
        let questions = match &self.nearest.query {
            NearestQuery::Vectors(vectors) => vectors
                .iter()
                .map(|vector| Question { own: None, vector: Some(vector.clone()) })
                .collect(),
            NearestQuery::Rows(keys) => self.rows_asking(keys).await?,
        };
        for question in &questions {
            let wrong = question.vector.as_ref().filter(|v| v.len() != self.space.dimension);
            if let Some(vector) = wrong {
                let (has, wants) = (vector.len(), self.space.dimension);
                return Err(Error::invalid(format!(
                    "a vector of {has} numbers cannot be compared with one of {wants}"
                )));
            }
        }
        let most = self.lake.inner.config.limits.rows;
        if questions.len().saturating_mul(self.nearest.count) as u64 > most {
            return Err(Error::new(Kind::LimitExceeded, "too many neighbours are asked for")
                .hint("ask for fewer, or with fewer queries at once"));
        }
        Ok(questions)
    }

    /// The key columns with their types.
    pub(super) fn key(&self) -> Result<Vec<(String, DataType)>> {
        let key = self.asked.object.table().map(|table| table.key.as_slice()).unwrap_or_default();
        if key.is_empty() {
            let name = &self.asked.object.name;
            return Err(Error::invalid(format!("rows of `{name}` have no key to ask by")));
        }
        let columns = key.iter().map(|id| {
            let spec = self.asked.spec(&self.asked.object.field(*id).name)?;
            Ok((spec.column.as_ref().to_owned(), spec.data_type.clone()))
        });
        columns.collect()
    }

    async fn rows_asking(&self, keys: &[Value]) -> Result<Vec<Question>> {
        let columns = self.key()?;
        let own = keys.iter().map(|key| key_scalars(key, &columns));
        let own = own.collect::<Result<Vec<_>>>()?;
        let at = self.asked.request.at;
        let provider = self.lake.provider(&self.asked.table, at, View::Current).await?;
        let mut wanted = columns.iter().map(|(name, _)| column(name)).collect::<Vec<_>>();
        wanted.push(content_hash(column(&self.column)).alias(HASH));
        let plan = LogicalPlanBuilder::scan("t", provider_as_source(provider), None)
            .and_then(|rows| rows.filter(any_key(&columns, &own)))
            .and_then(|rows| rows.project(wanted))
            .and_then(LogicalPlanBuilder::build)
            .map_err(failure::of_query)?;
        let mut hashes: HashMap<Vec<ScalarValue>, String> = HashMap::new();
        for batch in self.collect(&plan).await? {
            let found = batch.column(columns.len()).as_string::<i32>();
            for row in (0..batch.num_rows()).filter(|row| found.is_valid(*row)) {
                let key = (0..columns.len())
                    .map(|index| ScalarValue::try_from_array(batch.column(index), row))
                    .collect::<std::result::Result<Vec<_>, _>>()
                    .map_err(failure::of_query)?;
                hashes.insert(key, found.value(row).to_owned());
            }
        }
        let asked: Vec<String> = hashes.values().cloned().collect();
        let set = self.set_of(&asked).await?;
        let vector_of =
            |key: &Vec<ScalarValue>| Some(set.as_ref()?.vector_of(hashes.get(key)?)?.to_vec());
        Ok(own
            .into_iter()
            .map(|key| Question { vector: vector_of(&key), own: Some(key) })
            .collect())
    }

    /// A set that has at least these contents.
    async fn set_of(&self, hashes: &[String]) -> Result<Option<Arc<VectorSet>>> {
        match &self.held {
            Held::All(set) => Ok(Some(Arc::clone(set))),
            Held::Beyond(dataset) => {
                Ok(Some(Arc::new(subset(dataset, self.space.dimension, hashes).await?)))
            }
            Held::Nothing => Ok(None),
        }
    }

    /// The contents that the filter leaves, when they are few.
    async fn candidates(&self) -> Result<Candidates> {
        let request = &self.asked.request;
        if request.predicate.is_none() && request.search.is_none() {
            return Ok(None);
        }
        let plan = self
            .wanted_rows()
            .await?
            .project(vec![content_hash(column(&self.column)).alias(HASH)])
            .and_then(|hashes| hashes.filter(column(HASH).is_not_null()))
            .and_then(|hashes| hashes.limit(0, Some(CANDIDATES + 1)))
            .and_then(LogicalPlanBuilder::build)
            .map_err(failure::of_query)?;
        let mut hashes = Vec::new();
        for batch in self.collect(&plan).await? {
            let found = batch.column(0).as_string::<i32>();
            hashes.extend(found.iter().flatten().map(str::to_owned));
        }
        if hashes.len() > CANDIDATES {
            return Ok(None);
        }
        Ok(Some(hashes))
    }

    async fn wanted_rows(&self) -> Result<LogicalPlanBuilder> {
        self.asked.filtered(self.asked.provider(self.lake).await?)
    }

    async fn near(
        &self,
        questions: &[Question],
        count: usize,
        candidates: &Candidates,
        likely: bool,
    ) -> Result<Vec<(usize, Near)>> {
        let asking: Vec<(usize, Vec<f32>)> = questions
            .iter()
            .enumerate()
            .filter_map(|(index, question)| Some((index, question.vector.clone()?)))
            .collect();
        let (set, among) = match (&self.held, candidates) {
            (Held::Beyond(dataset), None) => return self.indexed(dataset, &asking, count).await,
            (_, None) if likely => (self.set_of(&[]).await?, Among::Likely),
            (_, None) => (self.set_of(&[]).await?, Among::All),
            (_, Some(hashes)) => {
                let set = self.set_of(hashes).await?;
                let these = set.as_ref().map(|set| positions(set, hashes)).unwrap_or_default();
                (set, Among::These(Arc::new(these)))
            }
        };
        let Some(set) = set else { return Ok(Vec::new()) };
        let vectors = Arc::new(asking.iter().map(|(_, vector)| vector.clone()).collect());
        let metric = self.space.metric;
        let found = nearest(Arc::clone(&set), metric, vectors, count, among).await?;
        let named = |(position, distance)| Near { hash: name_of(set.content(position)), distance };
        let of = |((index, _), found): (&(usize, _), Vec<_>)| {
            let index = *index;
            found.into_iter().map(move |near| (index, near)).collect::<Vec<_>>()
        };
        let all = asking.iter().zip(found).flat_map(of);
        Ok(all.map(|(index, near)| (index, named(near))).collect())
    }

    async fn indexed(
        &self,
        dataset: &Arc<lance::Dataset>,
        asking: &[(usize, Vec<f32>)],
        count: usize,
    ) -> Result<Vec<(usize, Near)>> {
        let mut near = Vec::new();
        for (index, vector) in asking {
            let exact = self.nearest.exact;
            let found = by_index(dataset, &self.space, vector, count, exact).await?;
            near.extend(found.into_iter().map(|near| (*index, near)));
        }
        Ok(near)
    }

    /// Rows with near contents that the filter wants, as many for each query as are asked for.
    async fn rows_with(
        &self,
        questions: &[Question],
        near: &[(usize, Near)],
    ) -> Result<Vec<RecordBatch>> {
        if near.is_empty() {
            return Ok(Vec::new());
        }
        let own = questions.iter().any(|question| question.own.is_some());
        let key = if own { self.key()? } else { Vec::new() };
        let hits = provider_as_source(Arc::new(hits_table(questions, near, &key)?));
        let hits = LogicalPlanBuilder::scan("near", hits, None)
            .and_then(LogicalPlanBuilder::build)
            .map_err(failure::of_query)?;
        let rows = self.wanted_rows().await?;
        let mut columns: Vec<Expr> =
            rows.schema().columns().into_iter().map(Expr::Column).collect();
        columns.push(content_hash(column(&self.column)).alias(HASH));
        let on = (vec![Column::from_name(HASH)], vec![Column::from_name(NEAR)]);
        let rank = row_number()
            .partition_by(vec![column(QUERY)])
            .order_by(vec![column(DISTANCE).sort(true, false)])
            .build()
            .map_err(failure::of_query)?;
        let most = i64::try_from(self.nearest.count).unwrap_or(i64::MAX);
        let kept = self.kept_columns()?;
        let plan = rows
            .project(columns)
            .and_then(|rows| rows.join(hits, JoinType::Inner, on, None))
            .and_then(|rows| rows.filter(not_own(&key)))
            .and_then(|rows| rows.window(vec![rank.alias("_near_rank")]))
            .and_then(|rows| rows.filter(column("_near_rank").lt_eq(lit(most))))
            .and_then(|rows| rows.project(kept))
            .and_then(LogicalPlanBuilder::build)
            .map_err(failure::of_query)?;
        self.collect(&plan).await
    }

    fn kept_fields(&self) -> Result<Vec<Field>> {
        let mut fields = Vec::new();
        for name in self.asked.needed_fields() {
            let spec = self.asked.spec(&name)?;
            let field = Field::new(spec.column.as_ref(), spec.data_type.to_arrow(), true);
            if !fields.contains(&field) {
                fields.push(field);
            }
        }
        if self.asked.request.search.is_some() {
            fields.push(Field::new(super::scan::SCORE, ArrowType::Float64, true));
        }
        fields.push(Field::new(DISTANCE, ArrowType::Float32, true));
        fields.push(Field::new(QUERY, ArrowType::UInt32, true));
        Ok(fields)
    }

    fn kept_columns(&self) -> Result<Vec<Expr>> {
        Ok(self.kept_fields()?.iter().map(|field| column(field.name())).collect())
    }

    fn table(&self, batches: Vec<RecordBatch>) -> Result<MemTable> {
        let schema = match batches.first() {
            Some(batch) => batch.schema(),
            None => Arc::new(Schema::new(self.kept_fields()?)),
        };
        MemTable::try_new(schema, vec![batches]).map_err(failure::of_query)
    }

    async fn collect(&self, plan: &LogicalPlan) -> Result<Vec<RecordBatch>> {
        let engine = &self.lake.inner.query;
        let (_, stream) = engine.run(&engine.session(), plan).await?;
        stream.try_collect().await
    }
}

/// Where the vectors of some contents stand, each once.
fn positions(set: &VectorSet, hashes: &[String]) -> Vec<Position> {
    let found = hashes.iter().filter_map(|hash| set.position_of(&content_named(hash)?));
    found.collect::<BTreeSet<_>>().into_iter().collect()
}

fn key_scalars(key: &Value, columns: &[(String, DataType)]) -> Result<Vec<ScalarValue>> {
    let parts = match key {
        Value::Struct(parts) => parts.as_slice(),
        single => std::slice::from_ref(single),
    };
    if parts.len() != columns.len() {
        let (has, wants) = (parts.len(), columns.len());
        return Err(Error::invalid(format!("a key of {has} values was given instead of {wants}")));
    }
    parts.iter().zip(columns).map(|(part, (_, data_type))| to_scalar(part, data_type)).collect()
}

/// The condition that a row has one of these keys.
pub(crate) fn any_key(columns: &[(String, DataType)], keys: &[Vec<ScalarValue>]) -> Expr {
    let value = |scalar: &ScalarValue| Expr::Literal(scalar.clone(), None);
    if let [(name, _)] = columns {
        let values = keys.iter().flatten().map(value).collect();
        return column(name).in_list(values, false);
    }
    let same = |key: &Vec<ScalarValue>| {
        let parts = columns.iter().zip(key);
        parts.fold(lit(true), |all, ((name, _), part)| all.and(column(name).eq(value(part))))
    };
    keys.iter().fold(lit(false), |any, key| any.or(same(key)))
}

fn own_column(index: usize) -> String {
    format!("_own_{index}")
}

/// A row is not its own neighbour; queries by vector are nobody's.
fn not_own(key: &[(String, DataType)]) -> Expr {
    let other = key.iter().enumerate().fold(lit(false), |any, (index, (name, _))| {
        let own = column(own_column(index));
        any.or(own.clone().is_null()).or(column(name).not_eq(own))
    });
    if key.is_empty() { lit(true) } else { other }
}

fn hits_table(
    questions: &[Question],
    near: &[(usize, Near)],
    key: &[(String, DataType)],
) -> Result<MemTable> {
    let hashes = StringArray::from_iter_values(near.iter().map(|(_, near)| near.hash.as_str()));
    let queries = near.iter().map(|(query, _)| u32::try_from(*query).unwrap_or(u32::MAX));
    let distances = near.iter().map(|(_, near)| near.distance);
    let mut fields = vec![
        Field::new(NEAR, ArrowType::Utf8, false),
        Field::new(QUERY, ArrowType::UInt32, false),
        Field::new(DISTANCE, ArrowType::Float32, false),
    ];
    let mut arrays: Vec<ArrayRef> = vec![
        Arc::new(hashes),
        Arc::new(UInt32Array::from_iter_values(queries)),
        Arc::new(Float32Array::from_iter_values(distances)),
    ];
    for (index, (_, data_type)) in key.iter().enumerate() {
        let null = ScalarValue::try_from(&data_type.to_arrow()).map_err(failure::of_query)?;
        let own = near.iter().map(|(query, _)| {
            questions[*query].own.as_ref().map_or_else(|| null.clone(), |own| own[index].clone())
        });
        fields.push(Field::new(own_column(index), data_type.to_arrow(), true));
        arrays.push(ScalarValue::iter_to_array(own).map_err(failure::of_query)?);
    }
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays)
        .map_err(|error| Error::internal("failed to list neighbours").caused_by(error))?;
    MemTable::try_new(schema, vec![vec![batch]]).map_err(failure::of_query)
}
