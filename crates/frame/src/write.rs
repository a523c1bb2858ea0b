//! What one may do to any table.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use base::{Principal, Result};

use crate::Value;

/// One change of one table, acknowledged only when it is durable. Column names are API field names;
/// columns that a batch lacks are null, or keep their value in an update.
#[derive(Clone, Debug)]
pub struct WriteRequest {
    /// The type's name in the central schema.
    pub table: Arc<str>,
    /// What to do.
    pub op: WriteOp,
    /// A name the caller chose for this change: a repeated one within the last day changes nothing and
    /// gives the first receipt again. The same name for another change is a `Conflict`.
    pub idempotency_key: Option<Arc<str>>,
    /// Who asks.
    pub principal: Principal,
}

/// The change. Keys are given in the order of the type's `@key` fields.
#[derive(Clone, Debug)]
pub enum WriteOp {
    /// Adds rows of a type without a key.
    Append(Vec<RecordBatch>),
    /// Adds rows whose keys must be new; `AlreadyExists` otherwise, and nothing is written.
    Insert(Vec<RecordBatch>),
    /// Adds rows, or replaces those with the same key.
    Upsert(Vec<RecordBatch>),
    /// Changes the given columns of rows that must exist; `NotFound` otherwise, and nothing is
    /// written. The batches carry the key columns and the changed columns.
    Update(Vec<RecordBatch>),
    /// Removes the rows with these keys; missing ones are passed over.
    Delete(Vec<Vec<Value>>),
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteReceipt {
    /// The snapshot in which the change is visible.
    pub snapshot: i64,
    /// Rows added, changed or removed.
    pub rows: u64,
    /// Whether an earlier change with the same idempotency key was found instead.
    pub replayed: bool,
}

/// Tables that can be changed.
#[async_trait]
pub trait Write: Send + Sync {
    /// Makes one change, wholly or not at all.
    async fn write(&self, request: WriteRequest) -> Result<WriteReceipt>;
}
