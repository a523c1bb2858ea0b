//! Tables held in memory: the second implementation of `Scan` and `Write`, for tests and small data.
//!
//! In: definitions of tables, then requests. Out: the answers that any table gives, each computed in
//! the plainest way: every scan walks all rows, every write makes a new snapshot and all snapshots
//! are kept. Vector search is exact; text search matches words without ranking statistics. Not here:
//! anything durable.

mod aggregate;
mod changes;
mod scan;
mod search;
mod write;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use base::{Clock, Error, Result, Timestamp};

use crate::{
    BatchStream, ChangesRequest, Field, Scan, ScanRequest, SnapshotRef, State, Value, Write,
    WriteReceipt, WriteRequest,
};

/// What a table in memory is like.
#[derive(Clone)]
pub struct MemoryTable {
    name: Arc<str>,
    fields: Vec<Field>,
    key: Vec<usize>,
    search: Vec<usize>,
    vectors: HashMap<Arc<str>, MemoryVectors>,
}

/// Makes the vector of a field's value; a value may have none.
pub type Embed = dyn Fn(&Value) -> Option<Arc<[f32]>> + Send + Sync;

/// How the vectors of a field are had and compared.
#[derive(Clone)]
struct MemoryVectors {
    field: usize,
    distance: Distance,
    embed: Arc<Embed>,
}

/// Distances between vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distance {
    /// Squared Euclidean.
    L2,
    /// One minus the cosine.
    Cosine,
    /// One minus the dot product.
    Dot,
}

impl fmt::Debug for MemoryTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryTable").field("name", &self.name).finish_non_exhaustive()
    }
}

impl MemoryTable {
    /// A table with these columns and, unless it is append-only, this key.
    pub fn new(name: &str, fields: Vec<Field>, key: &[&str]) -> Result<Self> {
        let mut table = MemoryTable {
            name: name.into(),
            fields,
            key: Vec::new(),
            search: Vec::new(),
            vectors: HashMap::new(),
        };
        table.key = key.iter().map(|name| table.position(name)).collect::<Result<_>>()?;
        Ok(table)
    }

    /// Lets `search` look into this field.
    pub fn searchable(mut self, field: &str) -> Result<Self> {
        self.search.push(self.position(field)?);
        Ok(self)
    }

    /// Lets `nearest` use this field, whose values are vectors or become vectors by `embed`.
    pub fn vectors(
        mut self,
        field: &str,
        distance: Distance,
        embed: impl Fn(&Value) -> Option<Arc<[f32]>> + Send + Sync + 'static,
    ) -> Result<Self> {
        let position = self.position(field)?;
        let vectors = MemoryVectors { field: position, distance, embed: Arc::new(embed) };
        self.vectors.insert(field.into(), vectors);
        Ok(self)
    }

    fn position(&self, field: &str) -> Result<usize> {
        self.fields.iter().position(|known| known.name.as_ref() == field).ok_or_else(|| {
            Error::not_found(format!("table `{}` has no field `{field}`", self.name))
        })
    }

    /// The key of a row, in the order of the key's fields.
    fn key_of(&self, row: &[Value]) -> Vec<Value> {
        self.key.iter().map(|position| row[*position].clone()).collect()
    }
}

/// One row: values in the order of the table's fields.
type Row = Arc<[Value]>;

/// One state of a table.
#[derive(Clone)]
struct MemorySnapshot {
    id: i64,
    time: Timestamp,
    rows: Arc<Vec<Row>>,
}

struct Held {
    table: Arc<MemoryTable>,
    snapshots: Vec<MemorySnapshot>,
    done: HashMap<Arc<str>, write::Done>,
}

/// A set of tables in memory.
#[derive(Clone)]
pub struct MemoryTables {
    clock: Clock,
    tables: Arc<Mutex<HashMap<Arc<str>, Held>>>,
}

impl fmt::Debug for MemoryTables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryTables").finish_non_exhaustive()
    }
}

impl Default for MemoryTables {
    fn default() -> Self {
        MemoryTables::new(Clock::system())
    }
}

impl MemoryTables {
    /// No tables; snapshots get their times from `clock`.
    pub fn new(clock: Clock) -> Self {
        MemoryTables { clock, tables: Arc::default() }
    }

    /// Adds an empty table, in place of an earlier one of that name.
    pub fn add(&self, table: MemoryTable) {
        let name = table.name.clone();
        let held = Held { table: Arc::new(table), snapshots: Vec::new(), done: HashMap::new() };
        self.lock().insert(name, held);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Held>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The table and its rows in the state that the request names.
    fn state(&self, request: &ScanRequest) -> Result<(Arc<MemoryTable>, Arc<Vec<Row>>)> {
        let tables = self.lock();
        let held = tables.get(&request.table).ok_or_else(|| unknown_table(&request.table))?;
        Ok((held.table.clone(), held.rows_at(request.at)?))
    }
}

fn unknown_table(name: &str) -> Error {
    Error::not_found(format!("there is no table `{name}`"))
}

impl Held {
    fn rows_at(&self, at: Option<SnapshotRef>) -> Result<Arc<Vec<Row>>> {
        let found = match at {
            None => return Ok(self.latest()),
            // Before its first snapshot a table has the snapshot 0, and no rows.
            Some(SnapshotRef::Id(0)) => return Ok(Arc::default()),
            Some(SnapshotRef::Id(id)) => self.snapshots.iter().find(|known| known.id == id),
            Some(SnapshotRef::Time(time)) => {
                self.snapshots.iter().rev().find(|known| known.time <= time)
            }
        };
        found.map(|snapshot| snapshot.rows.clone()).ok_or_else(|| {
            Error::not_found(format!("table `{}` has no such snapshot", self.table.name))
                .hint("the oldest state that is kept may be younger")
        })
    }

    fn latest(&self) -> Arc<Vec<Row>> {
        self.snapshots.last().map_or_else(Arc::default, |snapshot| snapshot.rows.clone())
    }

    fn latest_id(&self) -> i64 {
        self.snapshots.last().map_or(0, |snapshot| snapshot.id)
    }
}

#[async_trait]
impl Scan for MemoryTables {
    async fn scan(&self, request: ScanRequest) -> Result<BatchStream> {
        let (table, rows) = self.state(&request)?;
        let batches = match &request.aggregate {
            Some(asked) => vec![aggregate::aggregate(&table, &rows, &request, asked)?],
            None => scan::scan(&table, &rows, &request)?,
        };
        Ok(Box::pin(futures::stream::iter(batches.into_iter().map(Ok))))
    }

    async fn count(&self, request: ScanRequest) -> Result<u64> {
        let (table, rows) = self.state(&request)?;
        scan::count(&table, &rows, &request)
    }

    async fn snapshot(&self, table: &str) -> Result<i64> {
        Ok(self.lock().get(table).ok_or_else(|| unknown_table(table))?.latest_id())
    }

    async fn since(&self, table: &str, from: i64) -> Result<Vec<State>> {
        let tables = self.lock();
        let held = tables.get(table).ok_or_else(|| unknown_table(table))?;
        held.rows_at(Some(SnapshotRef::Id(from)))?;
        let later = held.snapshots.iter().filter(|snapshot| snapshot.id > from);
        Ok(later.map(|snapshot| State { id: snapshot.id, is_same: false }).collect())
    }

    async fn changes(&self, request: ChangesRequest) -> Result<BatchStream> {
        let (table, from, to) = {
            let tables = self.lock();
            let held = tables.get(&request.table).ok_or_else(|| unknown_table(&request.table))?;
            let rows = |id| held.rows_at(Some(SnapshotRef::Id(id)));
            (held.table.clone(), rows(request.from)?, rows(request.to)?)
        };
        let batches = changes::changes(&table, &from, &to, &request.fields)?;
        Ok(Box::pin(futures::stream::iter(batches.into_iter().map(Ok))))
    }
}

#[async_trait]
impl Write for MemoryTables {
    async fn write(&self, request: WriteRequest) -> Result<WriteReceipt> {
        let now = self.clock.now();
        let mut tables = self.lock();
        let held = tables.get_mut(&request.table).ok_or_else(|| unknown_table(&request.table))?;
        write::write(held, &request, now)
    }
}

#[cfg(test)]
mod tests;
