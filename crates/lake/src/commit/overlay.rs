//! What a batch of small requests makes of a table, in memory: the rows that they touch, each as the
//! table has it, as a request left it, or gone.
//!
//! In: requests, one after the other. Out: how many rows each changed, or why it is refused; at the
//! end the rows to add and the rows to delete. A refused request leaves no trace. Not here: queues
//! and receipts (`group`).

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::record_batch::RecordBatch;
use base::{Error, Result};
use frame::{WriteOp, WriteRequest};
use indexmap::IndexMap;
use schema::{ObjectType, Schema};

use super::locate::{self, Found, Matches, Wants};
use super::positions::Gone;
use super::resolve::{already_exists, by_key, no_key};
use crate::failure::failed;
use crate::keys::{self, KeyHash};
use crate::lake::{Lake, object_named};
use crate::layout::Layout;
use crate::read::{self, RowsWanted, Wanted};
use crate::shape;
use crate::table::Table;

/// A row of the pool: the batch's number and the row in it.
type Place = (usize, usize);

/// The touched rows.
pub(crate) struct Overlay<'a> {
    table: &'a Table,
    schema: Arc<Schema>,
    layout: Layout,
    matches: Vec<Matches>,
    /// Rows of the table that have a touched key.
    base: HashMap<KeyHash, (usize, u64)>,
    /// Whole rows: of requests, and of the table where an update needs them.
    pool: Vec<RecordBatch>,
    /// Whole rows of the table in the pool.
    fetched: HashMap<KeyHash, Place>,
    /// What requests made of a key; `None` is gone.
    changed: IndexMap<KeyHash, Option<Place>>,
    /// Rows of a table without a key.
    appended: Vec<Place>,
}

impl<'a> Overlay<'a> {
    /// Finds the rows that the requests touch; `found` is what earlier attempts of the same requests
    /// on the same columns have found.
    pub(crate) async fn new(
        lake: &Lake,
        table: &'a Table,
        requests: &[Arc<WriteRequest>],
        found: &mut Found,
    ) -> Result<Overlay<'a>> {
        let schema = lake.schema();
        let object = object_named(&schema, &table.type_name)?;
        let metadata = table.iceberg()?;
        let layout = Layout::new(metadata, &shape::key_columns(object)?)?;
        let mut overlay = Overlay {
            table,
            layout,
            matches: Vec::new(),
            base: HashMap::new(),
            pool: Vec::new(),
            fetched: HashMap::new(),
            changed: IndexMap::new(),
            appended: Vec::new(),
            schema: Arc::clone(&schema),
        };
        if overlay.layout.key.is_empty() {
            return Ok(overlay);
        }
        let mut columns: Vec<Vec<ArrayRef>> = Vec::new();
        let mut updates = Vec::new();
        for request in requests {
            // What cannot be read is refused when its turn comes.
            let Ok(keys) = overlay.request_keys(object, &request.op) else { continue };
            if matches!(request.op, WriteOp::Update(_)) {
                for batch in &keys {
                    updates.extend(keys::hashes(batch)?);
                }
            }
            columns.extend(keys);
        }
        if let Some(columns) = joined(&columns)? {
            let wants = Wants::of_columns(&overlay.layout, columns)?;
            let present = metadata.current_snapshot().map(|snapshot| snapshot.as_ref());
            let content = lake.files().content(metadata, present).await?;
            let layout = &overlay.layout;
            overlay.matches = locate::locate(lake.files(), layout, &content, &wants, found).await?;
            overlay.base = by_key(&overlay.matches);
        }
        overlay.fetch(lake, &updates).await?;
        Ok(overlay)
    }

    fn object(&self) -> Result<&ObjectType> {
        object_named(&self.schema, &self.table.type_name)
    }

    /// The key's columns of each batch of a request.
    fn request_keys(&self, object: &ObjectType, op: &WriteOp) -> Result<Vec<Vec<ArrayRef>>> {
        let batches = match op {
            WriteOp::Append(_) => return Ok(Vec::new()),
            WriteOp::Insert(batches) | WriteOp::Upsert(batches) | WriteOp::Update(batches) => {
                batches
            }
            WriteOp::Delete(keys) => return Ok(vec![keys::arrays_of(object, keys)?]),
        };
        batches.iter().map(|batch| self.key_of(object, batch)).collect()
    }

    /// The key's columns of a batch with API names.
    fn key_of(&self, object: &ObjectType, batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
        let given = shape::given(object, batch, &self.layout.arrow, 0)?;
        let column = |key: &usize| {
            let found = given.iter().find(|(column, _)| column == key);
            let array = found.map(|(_, array)| Arc::clone(array));
            array.filter(|array| array.null_count() == 0).ok_or_else(|| {
                let names = keys::field_names(object).unwrap_or_default().join("`, `");
                Error::invalid(format!("every row of `{}` needs its key `{names}`", object.name))
            })
        };
        self.layout.key.iter().map(column).collect()
    }

    /// Reads the whole rows of the table that updates start from.
    async fn fetch(&mut self, lake: &Lake, updates: &[KeyHash]) -> Result<()> {
        let mut by_file: IndexMap<usize, Vec<(u64, KeyHash)>> = IndexMap::new();
        for key in updates {
            if let Some((file, row)) = self.base.get(key) {
                by_file.entry(*file).or_default().push((*row, *key));
            }
        }
        let all: Vec<usize> = (0..self.layout.arrow.fields().len()).collect();
        for (file, mut rows) in by_file {
            rows.sort_unstable();
            rows.dedup();
            let only = RowsWanted::Only(rows.iter().map(|(row, _)| *row).collect());
            let wanted = Wanted::columns(&self.layout.arrow, &all, only)?;
            let data = self.matches[file].file.data();
            let batch = read::read_all(lake.files(), data, wanted).await?;
            for (index, (_, key)) in rows.iter().enumerate() {
                self.fetched.insert(*key, (self.pool.len(), index));
            }
            self.pool.push(batch);
        }
        Ok(())
    }

    /// Makes one request's change; how many rows it touched.
    pub(crate) fn apply(&mut self, request: &WriteRequest) -> Result<u64> {
        let name = Arc::clone(&self.table.name);
        let keyed = !self.layout.key.is_empty();
        match &request.op {
            WriteOp::Append(_) if keyed => Err(Error::invalid(format!(
                "table `{name}` has a key, so rows are inserted or upserted, not appended"
            ))),
            WriteOp::Append(batches) => self.append(batches),
            _ if !keyed => Err(no_key(&name, "this change")),
            WriteOp::Insert(batches) => self.put(batches, true),
            WriteOp::Upsert(batches) => self.put(batches, false),
            WriteOp::Update(batches) => self.update(batches),
            WriteOp::Delete(keys) => self.delete(keys),
        }
    }

    fn append(&mut self, batches: &[RecordBatch]) -> Result<u64> {
        let new = self.physical(batches)?;
        let mut count = 0;
        for batch in new {
            self.appended.extend((0..batch.num_rows()).map(|row| (self.pool.len(), row)));
            count += batch.num_rows() as u64;
            self.pool.push(batch);
        }
        Ok(count)
    }

    fn put(&mut self, batches: &[RecordBatch], only_new: bool) -> Result<u64> {
        let new = self.physical(batches)?;
        let mut places: IndexMap<KeyHash, Place> = IndexMap::new();
        let mut count = 0;
        for (number, batch) in new.iter().enumerate() {
            let columns = self.layout.key_arrays(batch);
            for (row, key) in keys::hashes(&columns)?.into_iter().enumerate() {
                let taken = places.contains_key(&key) || self.is_live(key);
                if only_new && taken {
                    let key = keys::shown(self.object()?, &columns, row)?;
                    return Err(already_exists(&self.table.name, &key));
                }
                places.insert(key, (self.pool.len() + number, row));
                count += 1;
            }
        }
        self.pool.extend(new);
        self.changed.extend(places.into_iter().map(|(key, place)| (key, Some(place))));
        Ok(count)
    }

    fn update(&mut self, batches: &[RecordBatch]) -> Result<u64> {
        // Rows are changed in a copy of what was touched, so that a refusal leaves no trace.
        let (before, pool) = (self.changed.clone(), self.pool.len());
        let result =
            batches.iter().try_fold(0, |count, batch| Ok(count + self.update_batch(batch)?));
        if result.is_err() {
            self.changed = before;
            self.pool.truncate(pool);
        }
        result
    }

    fn update_batch(&mut self, batch: &RecordBatch) -> Result<u64> {
        let object = object_named(&self.schema, &self.table.type_name)?;
        let given = shape::given(object, batch, &self.layout.arrow, 0)?;
        let columns = self.key_of(object, batch)?;
        let keys = keys::hashes(&columns)?;
        let mut distinct = keys.clone();
        distinct.sort_unstable();
        distinct.dedup();
        if distinct.len() < keys.len() {
            // A row that is named twice is changed twice, the second time as the first left it.
            let rows = 0..batch.num_rows();
            return rows
                .into_iter()
                .try_fold(0, |count, row| Ok(count + self.update_batch(&batch.slice(row, 1))?));
        }
        let mut sources = Vec::with_capacity(keys.len());
        for (row, key) in keys.iter().enumerate() {
            let place = match self.changed.get(key) {
                Some(place) => *place,
                None => self.fetched.get(key).copied(),
            };
            sources.push(place.ok_or_else(|| {
                let key = keys::shown(object, &columns, row).unwrap_or_default();
                Error::not_found(format!(
                    "table `{}` has no row with the key `{key}`",
                    self.table.name
                ))
            })?);
        }
        let pool: Vec<&RecordBatch> = self.pool.iter().collect();
        let old = arrow::compute::interleave_record_batch(&pool, &sources)
            .map_err(failed("update rows"))?;
        let mut merged = old.columns().to_vec();
        for (column, array) in given {
            merged[column] = array;
        }
        let merged = shape::physical_batch(&self.layout.arrow, merged, keys.len())?;
        for (row, key) in keys.iter().enumerate() {
            self.changed.insert(*key, Some((self.pool.len(), row)));
        }
        self.pool.push(merged);
        Ok(keys.len() as u64)
    }

    fn delete(&mut self, keys: &[Vec<frame::Value>]) -> Result<u64> {
        let columns = keys::arrays_of(self.object()?, keys)?;
        let mut count = 0;
        if keys.is_empty() {
            return Ok(0);
        }
        for key in keys::hashes(&columns)? {
            if self.is_live(key) {
                self.changed.insert(key, None);
                count += 1;
            }
        }
        Ok(count)
    }

    fn is_live(&self, key: KeyHash) -> bool {
        match self.changed.get(&key) {
            Some(place) => place.is_some(),
            None => self.base.contains_key(&key),
        }
    }

    fn physical(&self, batches: &[RecordBatch]) -> Result<Vec<RecordBatch>> {
        let object = self.object()?;
        let mut first_row = 0;
        let mut physical = Vec::with_capacity(batches.len());
        for batch in batches {
            physical.push(shape::to_physical(object, batch, &self.layout.arrow, first_row)?);
            first_row += batch.num_rows() as u64;
        }
        Ok(physical)
    }

    /// The rows to add, and the rows of the table that go.
    pub(crate) fn finish(self) -> Result<(Vec<RecordBatch>, Vec<Gone>)> {
        let mut places: Vec<Place> = self.changed.values().filter_map(|place| *place).collect();
        places.extend(&self.appended);
        let pool: Vec<&RecordBatch> = self.pool.iter().collect();
        let rows = if places.is_empty() {
            Vec::new()
        } else {
            let joined = arrow::compute::interleave_record_batch(&pool, &places);
            vec![joined.map_err(failed("gather rows"))?]
        };
        let mut gone = Vec::new();
        for matches in &self.matches {
            let mut left = matches.clone();
            left.hits.retain(|(_, key)| self.changed.contains_key(key));
            if !left.hits.is_empty() {
                gone.push(Gone::of(&left));
            }
        }
        Ok((rows, gone))
    }
}

/// The columns of several sets of keys, one below the other.
fn joined(sets: &[Vec<ArrayRef>]) -> Result<Option<Vec<ArrayRef>>> {
    let sets: Vec<&Vec<ArrayRef>> =
        sets.iter().filter(|set| set.first().is_some_and(|column| !column.is_empty())).collect();
    let Some(first) = sets.first() else { return Ok(None) };
    let mut columns = Vec::with_capacity(first.len());
    for column in 0..first.len() {
        let parts: Vec<&dyn arrow::array::Array> =
            sets.iter().map(|set| set[column].as_ref()).collect();
        columns.push(arrow::compute::concat(&parts).map_err(failed("read keys"))?);
    }
    Ok(Some(columns))
}
