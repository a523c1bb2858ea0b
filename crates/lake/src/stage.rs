//! Turns batches of a type into data files that no snapshot refers to yet.
//!
//! In: `RawBatch`es in the shape of the type's columns (API names, types of the schema). Out:
//! [`StagedFiles`], durable but invisible. Not here: making them visible (`commit`).

use iceberg::spec::DataFile;

/// Files that are written and synced, and that `commit` can make visible; when it never does, the
/// orphan clean-up finds them.
#[derive(Clone, Debug, Default)]
pub struct StagedFiles {
    /// Iceberg data files.
    pub data: Vec<DataFile>,
    /// Iceberg position-delete files.
    pub deletes: Vec<DataFile>,
    /// Rows in `data`.
    pub rows: u64,
    /// Bytes of all files.
    pub bytes: u64,
}
