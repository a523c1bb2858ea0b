//! Tables in the Lance format: `@table(format: LANCE)`.
//!
//! ```text
//! requests → rows by key → a version that nobody sees yet → catalog swap with its row
//! ```
//!
//! In: changes of tables whose rows are a Lance dataset, and questions about them. Out: versions and
//! providers. A version becomes visible in the same transaction that moves the table's pointer, so
//! a crash leaves nothing but unnamed files. Requests come in through
//! `changes`, imports through `rows`, changes of columns through `alter`.

mod alter;
mod changes;
mod copy;
mod earlier;
mod rollback;
mod rows;
mod since;
pub(crate) mod tidy;
mod types;

pub(crate) use alter::{alter, check_step, refuse};
pub(crate) use changes::Changes;
pub(crate) use copy::{Filling, Since};
pub(crate) use rollback::rollback;
pub(crate) use rows::import;
pub(crate) use since::{sides, states_since};

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::{Schema as ArrowSchema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchIterator, RecordBatchReader};
use base::{Error, Kind, Result};
use datafusion::catalog::TableProvider;
use datafusion::datasource::empty::EmptyTable;
use frame::convert::{batch_of, rows_of};
use frame::{Field, SnapshotRef, Value};
use futures::{FutureExt, TryStreamExt};
use lance::Dataset;
use lance::datafusion::LanceTableProvider;
use lance::dataset::{MergeInsertBuilder, WhenMatched, WhenNotMatched, WriteMode};
use schema::ObjectType;

use crate::catalog::{Statement, Swap};
use crate::lance_store::{Held, VersionNote, failed};
use crate::query::near::any_key;
use crate::{Lake, Snapshot, Table, shape};

/// Where the rows of a table are.
pub(crate) fn dataset_name(table: &Table) -> String {
    format!("_tables/{}.lance", table.id)
}

/// What is remembered of a change.
#[derive(Clone, Copy, Debug)]
struct Note<'a> {
    operation: &'a str,
    author: &'a str,
    summary: &'a str,
}

/// One change under way.
struct Work<'a> {
    lake: &'a Lake,
    object: &'a ObjectType,
    table: &'a Arc<Table>,
    fields: Vec<Field>,
    key: Vec<usize>,
    held: Held,
}

/// The columns of a table, by physical name.
fn columns_of(object: &ObjectType) -> Vec<Field> {
    let columns = object.columns();
    columns
        .map(|(def, spec)| {
            Field::new(Arc::clone(&spec.column), spec.data_type.clone(), def.nullable)
        })
        .collect()
}

fn arrow_schema(fields: &[Field]) -> SchemaRef {
    Arc::new(ArrowSchema::new(fields.iter().map(Field::to_arrow).collect::<Vec<_>>()))
}

/// The columns that the table of a type has in Lance.
pub(crate) fn schema_of(object: &ObjectType) -> ArrowSchema {
    let fields = columns_of(object).iter().map(Field::to_arrow).collect::<Vec<_>>();
    ArrowSchema::new(fields.iter().map(types::field_of_lance).collect::<Vec<_>>())
}

type Row = Vec<Value>;

/// The new values of a row, each with the position of its column.
type Changed = Vec<(usize, Value)>;

impl<'a> Work<'a> {
    fn new(lake: &'a Lake, object: &'a ObjectType, table: &'a Arc<Table>) -> Work<'a> {
        let fields = columns_of(object);
        let key = object.table().map(|spec| spec.key.as_slice()).unwrap_or_default();
        let position = |id: &schema::FieldId| {
            let column = object.field(*id).column()?;
            fields.iter().position(|field| field.name == column.column)
        };
        let key = key.iter().filter_map(position).collect();
        Work { lake, object, table, fields, key, held: Held::on(table.lance_version) }
    }

    fn rows(&self, batches: &[RecordBatch]) -> Result<Vec<Row>> {
        let target = arrow_schema(&self.fields);
        let mut rows = Vec::new();
        for batch in batches {
            let physical = shape::to_physical(self.object, batch, &target, rows.len() as u64)?;
            rows.extend(rows_of(&physical, &self.fields)?);
        }
        Ok(rows)
    }

    fn key_of(&self, row: &[Value]) -> Vec<Value> {
        self.key.iter().map(|position| row[*position].clone()).collect()
    }

    fn must_have_key(&self) -> Result<()> {
        if self.key.is_empty() {
            let name = &self.object.name;
            return Err(Error::invalid(format!(
                "type `{name}` has no key, so rows are only added"
            )));
        }
        Ok(())
    }

    fn last_of_each_key(&self, rows: Vec<Row>) -> Result<Vec<Row>> {
        self.must_have_key()?;
        let mut places: HashMap<Vec<Value>, usize> = HashMap::new();
        let mut kept: Vec<Row> = Vec::with_capacity(rows.len());
        for row in rows {
            match places.get(&self.key_of(&row)) {
                Some(place) => kept[*place] = row,
                None => {
                    places.insert(self.key_of(&row), kept.len());
                    kept.push(row);
                }
            }
        }
        Ok(kept)
    }

    /// The keys of new rows, of which no two are equal.
    fn check_distinct(&self, rows: &[Row]) -> Result<Vec<Vec<Value>>> {
        let name = &self.table.name;
        let mut keys: HashSet<Vec<Value>> = HashSet::new();
        for row in rows {
            if !keys.insert(self.key_of(row)) {
                let key = shown(&self.key_of(row));
                let text = format!("the new rows of table `{name}` have the key {key} twice");
                return Err(Error::new(Kind::AlreadyExists, text));
            }
        }
        Ok(keys.into_iter().collect())
    }

    async fn check_new(&self, rows: &[Row]) -> Result<()> {
        let name = &self.table.name;
        let keys = self.check_distinct(rows)?;
        match self.existing(&keys).await?.first() {
            None => Ok(()),
            Some(row) => {
                let key = shown(&self.key_of(row));
                let text = format!("table `{name}` already has a row with the key {key}");
                Err(Error::new(Kind::AlreadyExists, text))
            }
        }
    }

    /// The condition that a row has one of these keys.
    fn has_key(&self, keys: &[Vec<Value>]) -> Result<datafusion::logical_expr::Expr> {
        let columns: Vec<_> = self
            .key
            .iter()
            .map(|position| {
                let field = &self.fields[*position];
                (field.name.as_ref().to_owned(), field.data_type.clone())
            })
            .collect();
        let scalars = keys.iter().map(|key| {
            let parts = key.iter().zip(&columns);
            parts
                .map(|(part, (_, data_type))| crate::query::values::to_scalar(part, data_type))
                .collect()
        });
        Ok(any_key(&columns, &scalars.collect::<Result<Vec<_>>>()?))
    }

    /// The present rows with these keys.
    async fn existing(&self, keys: &[Vec<Value>]) -> Result<Vec<Row>> {
        let Some(dataset) = self.dataset().await? else { return Ok(Vec::new()) };
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let wrong = |error| failed(&format!("read table `{}`", self.table.name), error);
        let mut scanner = dataset.scan();
        scanner.filter_expr(self.has_key(keys)?);
        let stream = scanner.try_into_stream().await.map_err(wrong)?;
        let batches: Vec<RecordBatch> = stream.try_collect().await.map_err(wrong)?;
        let mut rows = Vec::new();
        for batch in &batches {
            rows.extend(rows_of(batch, &self.fields)?);
        }
        Ok(rows)
    }

    async fn dataset(&self) -> Result<Option<Arc<Dataset>>> {
        dataset_at(self.lake, self.table, self.table.lance_version, Some(&self.held)).await
    }

    async fn append(&self, rows: &[Row]) -> Result<()> {
        match (rows.is_empty(), self.table.lance_version) {
            (true, _) => Ok(()),
            (false, 0) => self.write(rows, WriteMode::Create).await,
            (false, _) => self.write(rows, WriteMode::Append).await,
        }
    }

    async fn write(&self, rows: &[Row], mode: WriteMode) -> Result<()> {
        let name = dataset_name(self.table);
        let lance = &self.lake.inner.companions.lance;
        let params = lance.write_params(mode, Some(&self.held));
        let url = lance.url(&name);
        let written = Dataset::write(self.reader(rows)?, &url, Some(params));
        written.boxed().await.map(|_| ()).map_err(|error| self.writing(error))
    }

    fn reader(&self, rows: &[Row]) -> Result<Box<dyn RecordBatchReader + Send>> {
        let batch = types::of_lance(&batch_of(&self.fields, rows)?)?;
        let schema = batch.schema();
        Ok(Box::new(RecordBatchIterator::new(vec![Ok(batch)], schema)))
    }

    fn writing(&self, error: lance::Error) -> Error {
        failed(&format!("write table `{}`", self.table.name), error)
    }

    async fn merge(&self, rows: &[Row]) -> Result<()> {
        let Some(dataset) = self.dataset().await? else { return self.append(rows).await };
        if rows.is_empty() {
            return Ok(());
        }
        let key = self.key.iter().map(|at| self.fields[*at].name.as_ref().to_owned()).collect();
        let mut merge = MergeInsertBuilder::try_new(dataset, key).map_err(|e| self.writing(e))?;
        merge.when_matched(WhenMatched::UpdateAll).when_not_matched(WhenNotMatched::InsertAll);
        merge.conflict_retries(0).skip_auto_cleanup(true);
        let job = merge.try_build().map_err(|error| self.writing(error))?;
        let merged = job.execute_reader(self.reader(rows)?).boxed().await;
        merged.map(|_| ()).map_err(|error| self.writing(error))
    }

    /// The prepared version, and what makes it visible.
    fn prepared(&self, note: Note<'_>) -> Result<(u64, Vec<Statement>)> {
        let prepared = self.held.take()?;
        let at = self.lake.config().clock.now();
        let Note { operation, author, summary } = note;
        let note = VersionNote { at, operation, author, summary };
        Ok((prepared.version, vec![prepared.statement(&note)]))
    }

    /// Makes the prepared version the table's, with the statements that belong to it.
    async fn publish(
        &self,
        note: Note<'_>,
        also: impl FnOnce(i64) -> Vec<Statement>,
    ) -> Result<u64> {
        let (version, mut statements) = self.prepared(note)?;
        statements.extend(also(i64::try_from(version).unwrap_or(i64::MAX)));
        let location = Arc::clone(&self.table.metadata_location);
        let mut swap = Swap::metadata(self.table, location);
        swap.lance_version = version;
        self.lake.catalog().swap_as(&[swap], &statements, &self.lake.writer()).await.map_err(
            |error| match error.kind() {
                Kind::AlreadyExists => {
                    Error::new(Kind::Conflict, "the table was changed meanwhile")
                }
                _ => error,
            },
        )?;
        Ok(version)
    }
}

/// Keys of one column that one condition names.
const KEYS: usize = 10_000;
/// Keys of several columns that one condition names: they nest.
const NESTED_KEYS: usize = 500;

/// Keys in portions, each of which a condition can name. Each condition may read the keys of all rows.
fn portions(keys: &[Vec<Value>]) -> std::slice::Chunks<'_, Vec<Value>> {
    keys.chunks(if keys.iter().all(|key| key.len() == 1) { KEYS } else { NESTED_KEYS })
}

fn shown(key: &[Value]) -> String {
    let parts: Vec<String> = key.iter().map(|part| format!("`{part}`")).collect();
    parts.join(", ")
}

async fn dataset_at(
    lake: &Lake,
    table: &Table,
    version: u64,
    held: Option<&Held>,
) -> Result<Option<Arc<Dataset>>> {
    if version == 0 {
        return Ok(None);
    }
    lake.inner.companions.lance.dataset(&dataset_name(table), Some(version), held).await
}

/// A Lance table at a version, as something to query.
pub(crate) async fn provider(
    lake: &Lake,
    table: &Table,
    object: Option<&ObjectType>,
    at: Option<SnapshotRef>,
) -> Result<Arc<dyn TableProvider>> {
    let version = version_at(lake, table, at).await?;
    match dataset_at(lake, table, version, None).await? {
        Some(dataset) => {
            let provider = Arc::new(LanceTableProvider::new(dataset, false, false));
            match (&table.seen.binding, object) {
                (Some(binding), Some(object)) => earlier::seen(provider, binding, object),
                _ => Ok(provider),
            }
        }
        None => {
            let fields = object.map(columns_of).unwrap_or_default();
            Ok(Arc::new(EmptyTable::new(arrow_schema(&fields))))
        }
    }
}

/// The version of a Lance table at a state; 0 when it has no rows yet.
pub(crate) async fn version_at(lake: &Lake, table: &Table, at: Option<SnapshotRef>) -> Result<u64> {
    let known = match at {
        None => return Ok(table.lance_version),
        Some(_) => snapshots(lake, table).await?,
    };
    let found = known.iter().rfind(|snapshot| match at {
        Some(SnapshotRef::Id(id)) => snapshot.id == id,
        Some(SnapshotRef::Time(time)) => snapshot.at <= time,
        None => true,
    });
    match (found, at) {
        (Some(snapshot), _) => Ok(u64::try_from(snapshot.id).unwrap_or(0)),
        (None, Some(SnapshotRef::Id(0))) if table.lance_version == 0 => Ok(0),
        _ => Err(Error::not_found(format!("table `{}` has no such snapshot", table.name))
            .hint(format!("`headwater snapshots {}` lists those that are kept", table.type_name))),
    }
}

/// The versions of a Lance table, oldest first.
pub(crate) async fn snapshots(lake: &Lake, table: &Table) -> Result<Vec<Snapshot>> {
    let mut snapshots = Vec::new();
    for version in lake.inner.companions.lance.versions(&dataset_name(table)).await? {
        let number = u64::try_from(version.id).unwrap_or(0);
        let Some(dataset) = dataset_at(lake, table, number, None).await? else { continue };
        let rows = dataset.count_rows(None).await.map_err(|error| failed("count rows", error))?;
        snapshots.push(Snapshot {
            rows: rows as u64,
            files: dataset.count_fragments() as u64,
            ..version
        });
    }
    Ok(snapshots)
}
