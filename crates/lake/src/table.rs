//! A table as the catalog knows it at one moment.

use std::sync::Arc;

use base::ids::TableId;
use schema::TableFormat;

/// A table at one moment; immutable, so a scan that holds it sees one state.
#[derive(Clone, Debug)]
pub struct Table {
    /// Stays when the table is renamed.
    pub id: TableId,
    /// The type of the central schema.
    pub type_name: Arc<str>,
    /// The module: the namespace in the catalog.
    pub namespace: Arc<str>,
    /// The SQL name.
    pub name: Arc<str>,
    /// The format.
    pub format: TableFormat,
    /// Logical location of the metadata file (Iceberg) or of the dataset (Lance).
    pub metadata_location: Arc<str>,
    /// Iceberg's metadata; `None` for a Lance table.
    pub iceberg: Option<Arc<iceberg::spec::TableMetadata>>,
    /// Version of the companion (or own) Lance dataset; 0 when there is none yet.
    pub lance_version: u64,
    /// Version of the text index; 0 when there is none.
    pub search_version: u64,
    /// Grows with every commit of any part of the table.
    pub version: i64,
}

/// One committed state of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Iceberg's snapshot id, or the version of a Lance table.
    pub id: i64,
    /// When it was committed, in microseconds since the epoch.
    pub at: base::Timestamp,
    /// `append`, `overwrite`, `delete`, `replace`.
    pub operation: Arc<str>,
    /// Rows in all after it.
    pub rows: u64,
    /// Bytes of data files in all after it.
    pub bytes: u64,
    /// Data files in all after it.
    pub files: u64,
    /// Who made it.
    pub author: Arc<str>,
    /// What for: `import films.csv`, `mutation`, `compact`.
    pub summary: Arc<str>,
}
