//! A table as the catalog knows it at one moment.

use std::sync::Arc;

use base::ids::TableId;
use base::{Error, Kind, Result, Timestamp};
use iceberg::spec::TableMetadata;
use schema::TableFormat;

use crate::binding::Binding;
use crate::history;

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
    pub iceberg: Option<Arc<TableMetadata>>,
    /// Version of the companion (or own) Lance dataset; 0 when there is none yet.
    pub lance_version: u64,
    /// Version of the text index; 0 when there is none.
    pub search_version: u64,
    /// Grows with every commit of any part of the table.
    pub version: i64,
    /// Whose columns `iceberg` shows.
    pub seen: Seen,
}

/// How a table is looked at: what is stored, and through which version of the schema.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Iceberg's metadata as it is stored, when `iceberg` hides columns of it: those that a change
    /// prepares, and those that only an earlier version of the schema has.
    pub stored: Option<Arc<TableMetadata>>,
    /// How an earlier version of the schema that is still served finds its columns.
    pub binding: Option<Arc<Binding>>,
    /// The version of the schema that was deployed when the table was read.
    pub deployed: i64,
}

/// One committed state of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Iceberg's snapshot id, or the version of a Lance table.
    pub id: i64,
    /// When it was committed, in microseconds since the epoch.
    pub at: Timestamp,
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

/// Keys of our own in an Iceberg snapshot's summary.
pub(crate) mod summary {
    /// Who made it.
    pub(crate) const AUTHOR: &str = "headwater.author";
    /// What for.
    pub(crate) const TEXT: &str = "headwater.summary";
    /// Rows in all after it, deleted ones not counted.
    pub(crate) const ROWS: &str = "headwater.rows";
    /// The sequence number of the state that a roll-back brought back.
    pub(crate) const BACK_TO: &str = "headwater.back-to";
    /// Whether another tool made it.
    pub(crate) const FOREIGN: &str = "headwater.foreign";
}

impl Table {
    /// Whether the table is a type's of the central schema, and not another tool's.
    pub(crate) fn is_owned(&self) -> bool {
        !self.type_name.is_empty()
    }

    /// Iceberg's metadata, or an error for a table of another format.
    pub fn iceberg(&self) -> Result<&Arc<TableMetadata>> {
        self.iceberg.as_ref().ok_or_else(|| {
            let text = format!("table `{}` is not an Iceberg table", self.name);
            Error::new(Kind::Unsupported, text)
        })
    }

    /// Iceberg's metadata with all columns, hidden ones too: what a commit adds to.
    pub(crate) fn stored(&self) -> Result<&Arc<TableMetadata>> {
        match &self.seen.stored {
            Some(stored) => Ok(stored),
            None => self.iceberg(),
        }
    }

    /// Refuses to change a table through an earlier version of the schema than the deployed one: what
    /// was staged for it has other columns.
    pub(crate) fn refuse_earlier(&self) -> Result<()> {
        if self.seen.binding.is_none() {
            return Ok(());
        }
        let text = format!("the schema of table `{}` was changed meanwhile", self.name);
        Err(Error::new(Kind::Stale, text).hint("repeat the command"))
    }

    /// The same table with all its columns, for whoever rewrites files and may lose none of them.
    pub(crate) fn whole(&self) -> Table {
        let mut whole = self.clone();
        if let Some(stored) = whole.seen.stored.take() {
            whole.iceberg = Some(stored);
        }
        whole
    }

    /// The id of the present snapshot; 0 when nothing was committed yet.
    pub fn snapshot_id(&self) -> i64 {
        match &self.iceberg {
            Some(metadata) => metadata.current_snapshot_id().unwrap_or(0),
            None => i64::try_from(self.lance_version).unwrap_or(i64::MAX),
        }
    }

    /// The states of an Iceberg table, oldest first; empty for a Lance table, whose versions its
    /// own manifests list.
    pub fn snapshots(&self) -> Vec<Snapshot> {
        let Some(metadata) = &self.iceberg else { return Vec::new() };
        history::line(metadata).into_iter().map(|snapshot| Snapshot::of(snapshot)).collect()
    }
}

impl Snapshot {
    /// What an Iceberg snapshot says of itself.
    pub(crate) fn of(snapshot: &iceberg::spec::Snapshot) -> Snapshot {
        let properties = &snapshot.summary().additional_properties;
        let text = |key: &str| properties.get(key).map_or("", String::as_str);
        let number = |key: &str| text(key).parse().unwrap_or(0_u64);
        let rows = match properties.get(summary::ROWS) {
            Some(rows) => rows.parse().unwrap_or(0),
            // Another writer's snapshot counts deleted rows apart.
            None => number("total-records").saturating_sub(number("total-position-deletes")),
        };
        Snapshot {
            id: snapshot.snapshot_id(),
            at: Timestamp::from_micros(snapshot.timestamp_ms().saturating_mul(1000)),
            operation: snapshot.summary().operation.as_str().into(),
            rows,
            bytes: number("total-files-size"),
            files: number("total-data-files"),
            author: text(summary::AUTHOR).into(),
            summary: text(summary::TEXT).into(),
        }
    }
}

impl Snapshot {
    /// What stands for the state of a table that has no snapshot yet.
    pub(crate) fn none(at: Timestamp) -> Snapshot {
        Snapshot {
            id: 0,
            at,
            operation: "none".into(),
            rows: 0,
            bytes: 0,
            files: 0,
            author: "".into(),
            summary: "".into(),
        }
    }
}
