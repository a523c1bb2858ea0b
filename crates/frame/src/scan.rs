//! What one may ask of any table.

use std::pin::Pin;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use base::{Error, Kind, Principal, Result, Timestamp};
use futures::Stream;

use crate::{Aggregate, Expr, Value};

/// Batches on the way; each has the schema that the request asked for.
pub type BatchStream = Pin<Box<dyn Stream<Item = Result<RecordBatch>> + Send>>;

/// One question to one table. Column names are API field names, everywhere.
///
/// The order of work is: `at`, then `predicate` and `search`, then `nearest`, then `order`, then
/// `limit_by`, then `limit`. The answer has the columns `fields` in that order, followed by
/// `_score` (Float64) when `search` is set, and `_distance` (Float32) and `_query` (UInt32, the
/// index of the query vector) when `nearest` is set.
///
/// With `aggregate` the rows that `at`, `predicate` and `search` leave are grouped, and the answer has
/// one row a group: see [`Aggregate`]. `order`, `after` and `limit` are then about groups, by the
/// names of the answer's columns; `fields`, `limit_by` and `nearest` say nothing then, and are refused.
#[derive(Clone, Debug)]
pub struct ScanRequest {
    /// The type's name in the central schema.
    pub table: Arc<str>,
    /// Columns of the answer.
    pub fields: Vec<Arc<str>>,
    /// Rows that are wanted.
    pub predicate: Option<Expr>,
    /// The order of rows; nulls last unless an item says otherwise. Ties are in no order: add the key
    /// to fix it. Besides fields of the table an item may name `_score` when `search` is set, and
    /// `_distance` when `nearest` is. With `nearest` and no order: by `_query`, then `_distance`.
    pub order: Vec<Order>,
    /// At most this many rows.
    pub limit: Option<usize>,
    /// At most this many rows for each value of a field, in `order`: how references of many
    /// parents are fetched at once.
    pub limit_by: Option<LimitBy>,
    /// Rows after this position: one value for each item of `order`.
    pub after: Option<Vec<Value>>,
    /// Rows whose vector is near.
    pub nearest: Option<Nearest>,
    /// Rows whose text matches.
    pub search: Option<Search>,
    /// Groups of rows instead of rows.
    pub aggregate: Option<Aggregate>,
    /// An older state of the table.
    pub at: Option<SnapshotRef>,
    /// Who asks.
    pub principal: Principal,
}

impl ScanRequest {
    /// All rows of `table`, with `fields`.
    pub fn new(
        table: impl Into<Arc<str>>,
        fields: impl IntoIterator<Item = impl Into<Arc<str>>>,
        principal: Principal,
    ) -> Self {
        ScanRequest {
            table: table.into(),
            fields: fields.into_iter().map(Into::into).collect(),
            predicate: None,
            order: Vec::new(),
            limit: None,
            limit_by: None,
            after: None,
            nearest: None,
            search: None,
            aggregate: None,
            at: None,
            principal,
        }
    }
}

/// One sort key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Order {
    /// The field.
    pub field: Arc<str>,
    /// Largest first.
    pub descending: bool,
    /// Nulls before all values, in either direction: pages backwards need the exact reverse of an
    /// order.
    pub nulls_first: bool,
}

impl Order {
    /// A sort key with nulls last.
    pub fn by(field: impl Into<Arc<str>>, descending: bool) -> Self {
        Order { field: field.into(), descending, nulls_first: false }
    }

    /// The exact reverse.
    #[must_use]
    pub fn reversed(&self) -> Self {
        Order {
            field: self.field.clone(),
            descending: !self.descending,
            nulls_first: !self.nulls_first,
        }
    }

    /// The place of one value against another in this order.
    pub fn compare(&self, left: &Value, right: &Value) -> std::cmp::Ordering {
        match (left.is_null(), right.is_null()) {
            (false, false) if self.descending => right.cmp(left),
            (false, false) => left.cmp(right),
            // Null is the largest value of the total order.
            _ if self.nulls_first => right.cmp(left),
            _ => left.cmp(right),
        }
    }
}

/// A limit for each value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitBy {
    /// The field whose values group the rows.
    pub field: Arc<str>,
    /// Rows for each value.
    pub count: usize,
}

/// A vector search.
#[derive(Clone, Debug, PartialEq)]
pub struct Nearest {
    /// The field that carries the vector (`@vector` or of type `Vector`).
    pub field: Arc<str>,
    /// What to be near to; several are answered in one scan.
    pub query: NearestQuery,
    /// Neighbours for each query.
    pub count: usize,
    /// Compare with every row instead of asking the index.
    pub exact: bool,
}

/// What to be near to.
#[derive(Clone, Debug, PartialEq)]
pub enum NearestQuery {
    /// Vectors as they are.
    Vectors(Vec<Vec<f32>>),
    /// The vectors of these rows, by key (of several fields: a `Value::Struct`); a row is not its own
    /// neighbour. A key without a row or without a vector has no neighbours.
    Rows(Vec<Value>),
}

/// A text search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// Fields with `@search`; empty means all of the table's.
    pub fields: Vec<Arc<str>>,
    /// The query: words (all must occur), `"a phrase"`, `prefix*`, `fuzzy~`, `-not`, `OR`.
    pub text: String,
}

/// An older state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotRef {
    /// The snapshot with this id, as `headwater snapshots` lists it.
    Id(i64),
    /// The state at this time.
    Time(Timestamp),
}

/// A state of a table in the line of its states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Its snapshot.
    pub id: i64,
    /// Whether it has the same rows as the state before it: files were joined, nothing else.
    pub is_same: bool,
}

/// What became of one table between two of its states. Column names are API field names.
///
/// The answer has the columns `fields` in that order, followed by [`WENT`] (Boolean). First come the rows
/// that went or changed, as they were in `from`, with true; then those that came or changed, as they are in
/// `to`, with false. A row that is the same in both states is in neither, however often it was written.
#[derive(Clone, Debug)]
pub struct ChangesRequest {
    /// The type's name in the central schema.
    pub table: Arc<str>,
    /// Columns of the answer.
    pub fields: Vec<Arc<str>>,
    /// The earlier snapshot; 0 is the table before its first one.
    pub from: i64,
    /// The later snapshot.
    pub to: i64,
    /// Who asks.
    pub principal: Principal,
}

/// The column that tells rows that went from rows that came.
pub const WENT: &str = "_went";

/// The column behind [`WENT`] that only those get who do not see all of a table: of which rows that came
/// what they see is as it was before, so that nothing is to be told (Boolean).
pub const SAME: &str = "_same";

/// How somebody sees what became of the rows of a table of which he does not see all.
#[derive(Clone)]
pub struct ChangesSeen {
    /// The columns that are read for that.
    pub reads: Vec<Arc<str>>,
    /// What he sees of one answer to a [`ChangesRequest`] that has these columns, and maybe others.
    pub show: Arc<dyn Fn(BatchStream) -> BatchStream + Send + Sync>,
}

impl std::fmt::Debug for ChangesSeen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChangesSeen").field("reads", &self.reads).finish_non_exhaustive()
    }
}

/// Tables that can be read.
#[async_trait]
pub trait Scan: Send + Sync {
    /// Starts a scan. At least one batch comes, so that an answer without rows has its columns. Errors: `NotFound` for an unknown table, field or snapshot; `InvalidInput` for
    /// a request that the table cannot answer; `Denied`.
    async fn scan(&self, request: ScanRequest) -> Result<BatchStream>;

    /// How many rows the request would give without `limit`, `limit_by`, `order` and `after`; groups
    /// of rows are not counted, so that `aggregate` is refused.
    async fn count(&self, request: ScanRequest) -> Result<u64>;

    /// The id of the table's present snapshot, for cursors that pin it; 0 when it has none.
    async fn snapshot(&self, table: &str) -> Result<i64>;

    /// How somebody sees what becomes of the rows of a table, of which these fields are asked; `None` when
    /// he sees all of it. [`Scan::changes`] shows him no more; this is for whoever reads them once for many.
    fn changes_seen(
        &self,
        _table: &str,
        _fields: &[Arc<str>],
        _principal: &Principal,
    ) -> Result<Option<ChangesSeen>> {
        Ok(None)
    }

    /// The states that came after the snapshot `from`, oldest first, up to the present one. 0 is the table
    /// before its first snapshot. Errors: `NotFound` when that snapshot is not kept any more, so that
    /// nobody can say what became of the table since; `Unsupported` where changes are not told.
    async fn since(&self, table: &str, from: i64) -> Result<Vec<State>> {
        let _ = from;
        Err(untold(table))
    }

    /// What became of the table between two states that [`Scan::since`] gives. Errors: as there, and
    /// `LimitExceeded` when it is more than can be compared.
    async fn changes(&self, request: ChangesRequest) -> Result<BatchStream> {
        Err(untold(&request.table))
    }
}

fn untold(table: &str) -> Error {
    Error::new(Kind::Unsupported, format!("changes of `{table}` are not told"))
}

/// Computes an expression over a batch.
pub trait Evaluate: Send + Sync {
    /// One value a row, in the Arrow form of the expression's type.
    fn evaluate(&self, expr: &Expr, batch: &RecordBatch, viewer: &Principal) -> Result<ArrayRef>;
}
