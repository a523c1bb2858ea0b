//! The handle to a lake: what it stands on, and the stages that it calls.

use std::sync::Arc;

use base::rng::Rng;
use base::{Clock, Result};
use object_store::ObjectStore;
use parking_lot::RwLock;
use schema::Schema;

/// What a lake stands on.
#[derive(Clone, Debug)]
pub struct Config {
    /// The logical warehouse: locations are `s3://<warehouse>/…` in all metadata, wherever the
    /// bytes are.
    pub warehouse: String,
    /// All bytes of all tables, with paths below the warehouse.
    pub objects: Arc<dyn ObjectStore>,
    /// Catalog pointers, idempotency keys, import journal.
    pub database: meta::Database,
    /// The present.
    pub clock: Clock,
    /// Randomness for ids and file names.
    pub rng: Rng,
    /// Stated bounds.
    pub limits: Limits,
}

/// Stated bounds of one process.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes that queries may hold before they spill.
    pub query_memory: u64,
    /// Bytes that one import may hold.
    pub import_memory: u64,
    /// Bytes that queries may spill to disk.
    pub spill: u64,
    /// Rows that one scan may give without an explicit larger limit.
    pub rows: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            query_memory: 2 << 30,
            import_memory: 512 << 20,
            spill: 16 << 30,
            rows: 10_000_000,
        }
    }
}

/// An open lake; clones share it.
#[derive(Clone, Debug)]
pub struct Lake {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) schema: RwLock<Arc<Schema>>,
}

impl Lake {
    /// Opens the lake with the deployed schema, making what is missing and recovering what a crash
    /// left.
    pub async fn open(config: Config, schema: Arc<Schema>) -> Result<Lake> {
        Ok(Lake { inner: Arc::new(Inner { config, schema: RwLock::new(schema) }) })
    }

    /// The deployed schema that requests are answered by.
    pub fn schema(&self) -> Arc<Schema> {
        Arc::clone(&self.inner.schema.read())
    }

    /// Switches to a newer deployed schema; requests in flight finish on the old one.
    pub fn set_schema(&self, schema: Arc<Schema>) {
        *self.inner.schema.write() = schema;
    }
}
