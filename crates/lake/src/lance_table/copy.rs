//! A Lance dataset that is filled while its table's rows are read from elsewhere, and what became of one
//! while its rows are copied elsewhere.
//!
//! In: rows and keys, in parts. Out: versions that no table points to yet; at the end what makes the last
//! of them the table's, and lets the others go. Or the other way round: the rows that came since a
//! version, and the keys of those that went. Not here: the order of these (`steps::format`).

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use base::{Error, Kind, Result};
use frame::Value;
use frame::convert::rows_of;
use futures::{FutureExt, TryStreamExt};
use lance::Dataset;
use lance::dataset::write::delete::DeleteBuilder;
use lance::dataset::{ProjectionRequest, WriteMode};
use lance_table::format::Fragment;
use meta::Param;
use schema::ObjectType;

use super::{
    Note, Work, arrow_schema, columns_of, dataset_at, dataset_name, portions, tidy, types,
};
use crate::catalog::Statement;
use crate::failure::failed as failed_to;
use crate::lance_store::failed;
use crate::{Lake, Table, shape};

/// What is said of versions that were never the table's, of a copy that broke off too.
const COPYING: &str = "copy before a schema change";

/// A dataset that is being filled.
#[derive(Clone, Debug)]
pub(crate) struct Filling {
    /// The newest version of the dataset, of an earlier life too; 0 when it has none.
    version: u64,
    /// Whether that version has rows of this filling.
    begun: bool,
}

impl Filling {
    /// A dataset without rows, whatever it had before.
    pub(crate) async fn begin(lake: &Lake, table: &Table) -> Result<Filling> {
        let versions = lake.inner.companions.lance.versions(&dataset_name(table)).await?;
        let newest = versions.last().map_or(0, |version| u64::try_from(version.id).unwrap_or(0));
        Ok(Filling { version: newest, begun: false })
    }

    /// Begins again with no rows.
    pub(crate) fn clear(&mut self) {
        self.begun = false;
    }

    /// Adds rows, by the names of the API.
    pub(crate) async fn append(
        &mut self,
        lake: &Lake,
        object: &ObjectType,
        table: &Table,
        batches: &[RecordBatch],
    ) -> Result<()> {
        let table = self.table(table);
        let work = Work::new(lake, object, &table);
        let target = arrow_schema(&work.fields);
        let mut rows = Vec::with_capacity(batches.len());
        for batch in batches {
            rows.push(types::of_lance(&shape::to_physical(object, batch, &target, 0)?)?);
        }
        let Some(first) = rows.first() else { return Ok(()) };
        let schema = first.schema();
        let reader = arrow::array::RecordBatchIterator::new(rows.into_iter().map(Ok), schema);
        let mode = match (self.begun, self.version) {
            (true, _) => WriteMode::Append,
            (false, 0) => WriteMode::Create,
            (false, _) => WriteMode::Overwrite,
        };
        let lance = &lake.inner.companions.lance;
        let params = lance.write_params(mode, Some(&work.held));
        let url = lance.url(&dataset_name(&table));
        let written = Dataset::write(reader, &url, Some(params)).boxed().await;
        written.map_err(|error| work.writing(error))?;
        self.note(&work, "append").await
    }

    /// Removes rows by their keys.
    pub(crate) async fn remove(
        &mut self,
        lake: &Lake,
        object: &ObjectType,
        table: &Table,
        keys: &[Vec<Value>],
    ) -> Result<()> {
        for keys in portions(keys) {
            let table = self.table(table);
            let work = Work::new(lake, object, &table);
            work.must_have_key()?;
            let Some(dataset) = work.dataset().await? else { return Ok(()) };
            let delete = DeleteBuilder::from_expr(dataset, work.has_key(keys)?).conflict_retries(0);
            delete.execute().boxed().await.map_err(|error| work.writing(error))?;
            self.note(&work, "delete").await?;
        }
        Ok(())
    }

    /// Makes an index of the key when that is worth it, so that the table has it from its first moment: without
    /// it each write looks at all rows.
    pub(crate) async fn index(
        &mut self,
        lake: &Lake,
        object: &ObjectType,
        table: &Table,
    ) -> Result<()> {
        let table = self.table(table);
        let work = Work::new(lake, object, &table);
        let Some(made) = tidy::make(&work).await? else { return Ok(()) };
        if self.begun && tidy::prepare(&work, made).await? {
            self.note(&work, "replace").await?;
        }
        Ok(())
    }

    /// What the table is to be like: where its rows are, their version, and the statements that let the
    /// versions go that were never the table's.
    pub(crate) async fn finish(
        mut self,
        lake: &Lake,
        object: &ObjectType,
        table: &Table,
    ) -> Result<(Arc<str>, u64, Vec<Statement>)> {
        let name = dataset_name(table);
        let location: Arc<str> = lake.locations().location(&name).into();
        if !self.begun && self.version > 0 {
            // Rows of an earlier life are not the table's.
            let none = RecordBatch::new_empty(arrow_schema(&api_columns(object)));
            self.append(lake, object, table, &[none]).await?;
        }
        if !self.begun {
            return Ok((location, 0, Vec::new()));
        }
        let last = Param::Int(i64::try_from(self.version).unwrap_or(i64::MAX));
        let others = "DELETE FROM lake_lance_versions \
                      WHERE dataset = $1 AND summary = $2 AND version <> $3";
        let this = "UPDATE lake_lance_versions SET operation = 'overwrite', \
                    summary = 'schema change' WHERE dataset = $1 AND version = $2";
        let dataset = || Param::from(name.as_str());
        let statements = vec![
            (others.to_owned(), vec![dataset(), COPYING.into(), last.clone()]),
            (this.to_owned(), vec![dataset(), last]),
        ];
        Ok((location, self.version, statements))
    }

    /// The table as if its rows were those of the dataset.
    fn table(&self, table: &Table) -> Arc<Table> {
        let mut filled = table.clone();
        filled.lance_version = self.version;
        Arc::new(filled)
    }

    /// Lets the prepared version be found by whoever asks for it by its number.
    async fn note(&mut self, work: &Work<'_>, operation: &str) -> Result<()> {
        let note = Note { operation, author: "schema", summary: COPYING };
        let (version, statements) = work.prepared(note)?;
        work.lake.catalog().swap(&[], &statements).await?;
        (self.version, self.begun) = (version, true);
        Ok(())
    }
}

fn api_columns(object: &ObjectType) -> Vec<frame::Field> {
    let columns = object.columns();
    columns
        .map(|(def, spec)| frame::Field::new(Arc::clone(&def.name), spec.data_type.clone(), true))
        .collect()
}

/// What became of a Lance table between two versions.
#[derive(Debug)]
pub(crate) struct Since {
    now: Arc<Dataset>,
    pub(super) came: Vec<Fragment>,
    pub(super) before: Option<Arc<Dataset>>,
    /// How the dataset before names them.
    pub(super) went: Vec<u64>,
}

impl Since {
    /// Compares two versions; nothing when only a comparison of all rows could tell.
    pub(crate) async fn of(lake: &Lake, table: &Table, before: u64) -> Result<Option<Since>> {
        let now = dataset_at(lake, table, table.lance_version, None).await?;
        let now = now.ok_or_else(|| Error::internal("a Lance table with rows has no dataset"))?;
        let before = dataset_at(lake, table, before, None).await?;
        let mut since = Since { now: Arc::clone(&now), came: Vec::new(), before, went: Vec::new() };
        let known: Vec<Fragment> = match &since.before {
            Some(before) => before.fragments().to_vec(),
            None => Vec::new(),
        };
        let mut known: BTreeMap<u64, Fragment> =
            known.into_iter().map(|fragment| (fragment.id, fragment)).collect();
        for fragment in now.fragments().iter() {
            let Some(earlier) = known.remove(&fragment.id) else {
                since.came.push(fragment.clone());
                continue;
            };
            if earlier.files != fragment.files {
                return Ok(None);
            }
            let (was, is) =
                (since.deleted_before(earlier.id).await?, deleted(&now, fragment.id).await?);
            if was.iter().any(|row| is.binary_search(row).is_err()) {
                return Ok(None);
            }
            let went = is.into_iter().filter(|row| was.binary_search(row).is_err());
            since.went.extend(went.map(|row| address(fragment.id, row)));
        }
        for fragment in known.into_values() {
            let was = since.deleted_before(fragment.id).await?;
            let Some(rows) = fragment.physical_rows.and_then(|rows| u32::try_from(rows).ok())
            else {
                return Ok(None);
            };
            let live = (0..rows).filter(|row| was.binary_search(row).is_err());
            since.went.extend(live.map(|row| address(fragment.id, row)));
        }
        Ok(Some(since))
    }

    /// Rows that went.
    pub(crate) fn gone(&self) -> u64 {
        self.went.len() as u64
    }

    /// Rows that came, each part with the names of the API, given to `each` one after the other.
    pub(crate) async fn came(
        &self,
        object: &ObjectType,
    ) -> Result<impl futures::Stream<Item = Result<RecordBatch>> + use<>> {
        let mut scanner = self.now.scan();
        scanner.with_fragments(self.came.clone());
        let stream = scanner.try_into_stream().await.map_err(reading)?;
        let object = object.clone();
        Ok(stream
            .map_err(reading)
            .and_then(move |batch| futures::future::ready(shape::api_batch(&object, &batch))))
    }

    /// Whether rows came.
    pub(crate) fn has_come(&self) -> bool {
        !self.came.is_empty()
    }

    /// The keys of the rows that went, by the names of the API.
    pub(crate) async fn keys(&self, object: &ObjectType) -> Result<Vec<Vec<Value>>> {
        let Some(before) = self.before.as_ref().filter(|_| !self.went.is_empty()) else {
            return Ok(Vec::new());
        };
        let fields = columns_of(object);
        let key = shape::key_columns(object)?;
        let fields: Vec<frame::Field> = key
            .iter()
            .filter_map(|name| fields.iter().find(|field| field.name == *name).cloned())
            .collect();
        let names = fields.iter().map(|field| field.name.as_ref());
        let projection = ProjectionRequest::from_columns(names, before.schema());
        let taken = before.take_rows(&self.went, projection).boxed().await.map_err(reading)?;
        let order: Vec<usize> = fields
            .iter()
            .map(|field| taken.schema_ref().index_of(&field.name))
            .collect::<std::result::Result<_, _>>()
            .map_err(failed_to("read keys"))?;
        let taken = taken.project(&order).map_err(failed_to("read keys"))?;
        rows_of(&taken, &fields)
    }

    async fn deleted_before(&self, fragment: u64) -> Result<Vec<u32>> {
        match &self.before {
            Some(before) => deleted(before, fragment).await,
            None => Ok(Vec::new()),
        }
    }
}

/// Offsets of the rows that a fragment has lost, sorted.
async fn deleted(dataset: &Dataset, fragment: u64) -> Result<Vec<u32>> {
    let found = usize::try_from(fragment).ok().and_then(|id| dataset.get_fragment(id));
    let missing = || Error::new(Kind::Corrupt, format!("a dataset has no fragment {fragment}"));
    let vector = found.ok_or_else(missing)?.get_deletion_vector().boxed().await;
    let vector = vector.map_err(reading)?;
    Ok(vector.map(|vector| vector.to_sorted_iter().collect()).unwrap_or_default())
}

/// How Lance names a row of a dataset without stable ids.
fn address(fragment: u64, row: u32) -> u64 {
    (fragment << 32) | u64::from(row)
}

pub(super) fn reading(error: lance::Error) -> Error {
    failed("read a Lance table", error)
}
