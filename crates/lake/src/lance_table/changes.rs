//! What a batch of small requests makes of a Lance table: one version with the rows that come, and without
//! those that go.
//!
//! ```text
//! requests → rows of the table with their keys → as each request leaves them → deletions and a fragment → version
//! ```
//!
//! In: requests, one after the other. Out: how many rows each changed, or why it is refused, which leaves no
//! trace; at the end a version that nobody sees yet. A row that is changed goes from its fragment and comes in a
//! new one. Not here: queues and receipts (`commit::group`), imports (`rows`), joining fragments (`tidy`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::UInt64Type;
use base::{Error, Kind, Result};
use frame::convert::{batch_of, rows_of};
use frame::{WriteOp, WriteRequest};
use futures::{FutureExt, TryStreamExt};
use indexmap::IndexMap;
use indexmap::map::Entry;
use lance::Dataset;
use lance::dataset::transaction::{Operation, Transaction};
use lance::dataset::{CommitBuilder, InsertBuilder, WriteMode};
use lance_core::ROW_ADDR;
use lance_table::format::Fragment;
use schema::ObjectType;

use super::{Changed, Note, Row, Work, arrow_schema, dataset_name, portions, shown, types};
use crate::catalog::Statement;
use crate::commit::group;
use crate::{Lake, Table, shape};

type Key = Vec<frame::Value>;

/// A row that the table has.
struct Present {
    address: u64,
    /// Whole only where an update needs it.
    row: Row,
}

/// The touched rows.
pub(crate) struct Changes<'a> {
    work: Work<'a>,
    present: HashMap<Key, Present>,
    /// What requests made of a key; `None` is gone.
    changed: IndexMap<Key, Option<Row>>,
    /// Rows of a table without a key.
    added: Vec<Row>,
}

impl<'a> Changes<'a> {
    /// Finds the rows that the requests touch.
    pub(crate) async fn new(
        lake: &'a Lake,
        object: &'a ObjectType,
        table: &'a Arc<Table>,
        requests: &[Arc<WriteRequest>],
    ) -> Result<Changes<'a>> {
        let work = Work::new(lake, object, table);
        let mut changes =
            Changes { work, present: HashMap::new(), changed: IndexMap::new(), added: Vec::new() };
        if !changes.work.key.is_empty() {
            changes.find(requests).await?;
        }
        Ok(changes)
    }

    async fn find(&mut self, requests: &[Arc<WriteRequest>]) -> Result<()> {
        // What cannot be read is refused when its turn comes.
        let keys = requests.iter().filter_map(|request| self.keys_of(&request.op).ok()).flatten();
        let keys: Vec<Key> = keys.collect();
        let Some(dataset) = self.work.dataset().await?.filter(|_| !keys.is_empty()) else {
            return Ok(());
        };
        let whole = requests.iter().any(|request| matches!(request.op, WriteOp::Update(_)));
        let wanted = self.work.fields.iter().enumerate();
        let wanted = wanted.filter(|(place, _)| whole || self.work.key.contains(place));
        let names: Vec<&str> = wanted.map(|(_, field)| field.name.as_ref()).collect();
        let wrong = |error| self.work.writing(error);
        let mut found: Vec<RecordBatch> = Vec::new();
        for keys in portions(&keys) {
            let mut scanner = dataset.scan();
            scanner.filter_expr(self.work.has_key(keys)?);
            scanner.project(&names).map_err(wrong)?.with_row_address();
            let stream = scanner.try_into_stream().boxed().await.map_err(wrong)?;
            found.extend(stream.try_collect::<Vec<_>>().await.map_err(wrong)?);
        }
        for batch in &found {
            let addresses = batch.column_by_name(ROW_ADDR);
            let addresses = addresses.and_then(|array| array.as_primitive_opt::<UInt64Type>());
            let addresses = addresses
                .ok_or_else(|| Error::internal("a scan of a Lance table names no addresses"))?;
            let rows = rows_of(batch, &self.work.fields)?;
            for (row, address) in rows.into_iter().zip(addresses.values()) {
                let present = Present { address: *address, row };
                self.present.insert(self.work.key_of(&present.row), present);
            }
        }
        Ok(())
    }

    fn keys_of(&self, op: &WriteOp) -> Result<Vec<Key>> {
        match op {
            WriteOp::Delete(keys) => Ok(keys.clone()),
            WriteOp::Update(batches) => {
                Ok(self.updates(batches)?.into_iter().map(|(key, _)| key).collect())
            }
            WriteOp::Append(batches) | WriteOp::Insert(batches) | WriteOp::Upsert(batches) => {
                Ok(self.work.rows(batches)?.iter().map(|row| self.work.key_of(row)).collect())
            }
        }
    }

    /// Makes one request's change; how many rows it touched.
    pub(crate) fn apply(&mut self, request: &WriteRequest) -> Result<u64> {
        match &request.op {
            WriteOp::Append(batches) if self.work.key.is_empty() => {
                let rows = self.work.rows(batches)?;
                let count = rows.len() as u64;
                self.added.extend(rows);
                Ok(count)
            }
            WriteOp::Append(batches) | WriteOp::Insert(batches) => self.insert(batches),
            WriteOp::Upsert(batches) => {
                let rows = self.work.last_of_each_key(self.work.rows(batches)?)?;
                Ok(self.put(rows))
            }
            WriteOp::Update(batches) => self.update(batches),
            WriteOp::Delete(keys) => self.delete(keys),
        }
    }

    fn insert(&mut self, batches: &[RecordBatch]) -> Result<u64> {
        self.work.must_have_key()?;
        let rows = self.work.rows(batches)?;
        for key in self.work.check_distinct(&rows)? {
            if self.is_live(&key) {
                let (name, key) = (&self.work.table.name, shown(&key));
                let text = format!("table `{name}` already has a row with the key {key}");
                return Err(Error::new(Kind::AlreadyExists, text));
            }
        }
        Ok(self.put(rows))
    }

    fn put(&mut self, rows: Vec<Row>) -> u64 {
        let count = rows.len() as u64;
        for row in rows {
            self.changed.insert(self.work.key_of(&row), Some(row));
        }
        count
    }

    /// Changes the rows that are named; one that is named twice is changed twice.
    fn update(&mut self, batches: &[RecordBatch]) -> Result<u64> {
        self.work.must_have_key()?;
        let mut rows: IndexMap<Key, Row> = IndexMap::new();
        for (key, values) in self.updates(batches)? {
            let row = match rows.entry(key) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => {
                    let (name, row) = (&self.work.table.name, self.row(entry.key()));
                    let row = row.ok_or_else(|| {
                        let key = shown(entry.key());
                        Error::not_found(format!("table `{name}` has no row with the key {key}"))
                    })?;
                    entry.insert(row)
                }
            };
            for (position, value) in values {
                row[position] = value;
            }
        }
        Ok(self.put(rows.into_values().collect()))
    }

    /// The keys of an update, each with the columns that it gives.
    fn updates(&self, batches: &[RecordBatch]) -> Result<Vec<(Key, Changed)>> {
        let work = &self.work;
        let target = arrow_schema(&work.fields);
        let mut updates: Vec<(Key, Changed)> = Vec::new();
        for batch in batches {
            let given = shape::given(work.object, batch, &target, updates.len() as u64)?;
            for row in 0..batch.num_rows() {
                let mut values: Changed = Vec::with_capacity(given.len());
                for (position, array) in &given {
                    let data_type = &work.fields[*position].data_type;
                    values.push((*position, frame::convert::value_at(array, row, data_type)?));
                }
                let part = |position: &usize| {
                    values.iter().find(|(at, _)| at == position).map(|(_, value)| value.clone())
                };
                let key = work.key.iter().map(part).collect::<Option<Key>>();
                let key = key.ok_or_else(|| Error::invalid("an update lacks the key"))?;
                updates.push((key, values));
            }
        }
        Ok(updates)
    }

    fn delete(&mut self, keys: &[Key]) -> Result<u64> {
        self.work.must_have_key()?;
        let mut count = 0;
        for key in keys {
            if self.is_live(key) {
                self.changed.insert(key.clone(), None);
                count += 1;
            }
        }
        Ok(count)
    }

    fn is_live(&self, key: &Key) -> bool {
        match self.changed.get(key) {
            Some(row) => row.is_some(),
            None => self.present.contains_key(key),
        }
    }

    fn row(&self, key: &Key) -> Option<Row> {
        match self.changed.get(key) {
            Some(row) => row.clone(),
            None => self.present.get(key).map(|present| present.row.clone()),
        }
    }

    /// Makes the version the table's, with the statements that belong to it; gives its number, or that of the
    /// present one when nothing is changed.
    pub(crate) async fn publish(
        self,
        author: &str,
        summary: &str,
        also: impl FnOnce(i64) -> Vec<Statement>,
    ) -> Result<i64> {
        let Changes { work, present, changed, added } = self;
        let gone: Vec<u64> =
            changed.keys().filter_map(|key| present.get(key)).map(|one| one.address).collect();
        let mut rows: Vec<Row> = changed.into_values().flatten().collect();
        rows.extend(added);
        let operation = match (rows.is_empty(), gone.is_empty()) {
            (true, true) => {
                // That nothing was to be done must be remembered too: the same request, sent again when
                // there is something, is not another one.
                let now = i64::try_from(work.table.lance_version).unwrap_or(i64::MAX);
                let remembered = work.lake.catalog().swap(&[], &also(now)).await;
                return remembered.map(|_| now).map_err(group::taken_meanwhile);
            }
            (false, true) => "append",
            (true, false) => "delete",
            (false, false) => "overwrite",
        };
        match work.dataset().await? {
            Some(dataset) => work.commit(dataset, &rows, gone).await?,
            None => work.write(&rows, WriteMode::Create).await?,
        }
        let version = work.publish(Note { operation, author, summary }, also).await?;
        Ok(i64::try_from(version).unwrap_or(i64::MAX))
    }
}

impl Work<'_> {
    /// Prepares the version with these rows, and without those at the addresses.
    async fn commit(&self, dataset: Arc<Dataset>, rows: &[Row], gone: Vec<u64>) -> Result<()> {
        let new_fragments = self.fragments(&dataset, rows).await?;
        let (updated_fragments, removed_fragment_ids) = self.without(&dataset, gone).await?;
        let operation = if updated_fragments.is_empty() && removed_fragment_ids.is_empty() {
            Operation::Append { fragments: new_fragments }
        } else {
            Operation::Update {
                removed_fragment_ids,
                updated_fragments,
                new_fragments,
                fields_modified: Vec::new(),
                merged_generations: Vec::new(),
                fields_for_preserving_frag_bitmap: Vec::new(),
                update_mode: None,
                inserted_rows_filter: None,
                updated_fragment_offsets: None,
            }
        };
        let change = Transaction::new(dataset.version_id(), operation, None);
        let committed = CommitBuilder::new(dataset).with_max_retries(0);
        let committed = committed.with_skip_auto_cleanup(true).execute(change);
        committed.boxed().await.map(drop).map_err(|error| self.writing(error))
    }

    /// Writes rows into fragments that no version has yet.
    async fn fragments(&self, dataset: &Arc<Dataset>, rows: &[Row]) -> Result<Vec<Fragment>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let batch = types::of_lance(&batch_of(&self.fields, rows)?)?;
        let lance = &self.lake.inner.companions.lance;
        let params = lance.write_params(WriteMode::Append, Some(&self.held));
        let insert = InsertBuilder::new(Arc::clone(dataset)).with_params(&params);
        let written = insert.execute_uncommitted(vec![batch]).boxed().await;
        match written.map_err(|error| self.writing(error))?.operation {
            Operation::Append { fragments } => Ok(fragments),
            other => {
                let text = format!("adding rows to `{}` became {other}", dataset_name(self.table));
                Err(Error::internal(text))
            }
        }
    }

    /// The fragments that lose rows, and those that lose all of them.
    async fn without(
        &self,
        dataset: &Arc<Dataset>,
        gone: Vec<u64>,
    ) -> Result<(Vec<Fragment>, Vec<u64>)> {
        let mut by_fragment: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for address in gone {
            let (fragment, row) = ((address >> 32) as u32, address as u32);
            by_fragment.entry(fragment).or_default().push(row);
        }
        let (mut left, mut removed) = (Vec::new(), Vec::new());
        for (id, rows) in by_fragment {
            let fragment = dataset.get_fragment(id as usize);
            let fragment = fragment.ok_or_else(|| {
                Error::new(Kind::Corrupt, format!("a dataset has no fragment {id}"))
            })?;
            let extended = fragment.extend_deletions(rows).boxed().await;
            match extended.map_err(|error| self.writing(error))? {
                Some(fragment) => left.push(fragment.metadata().clone()),
                None => removed.push(u64::from(id)),
            }
        }
        Ok((left, removed))
    }
}
