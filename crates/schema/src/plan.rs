//! An ordered list of steps from one deployed schema to the next, as an immutable value.

use std::sync::Arc;

/// One step of storage work; `server::apply` carries it out through `lake`, exactly once, and may be
/// killed between any two. Names are those of the schema that is in force when the step runs: types
/// and fields by API name.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Makes an empty table for a type of the new schema.
    CreateTable { type_name: Arc<str> },
    /// Drops a table and, after the retention of its snapshots, its files.
    DropTable { type_name: Arc<str> },
    /// Brings a dropped table back from its last snapshot; only an undo plans it. Refused once the
    /// files are gone.
    RestoreTable { type_name: Arc<str> },
    /// Gives a table (its type, its SQL name or its module) another name; no file changes. `from`
    /// and `to` are type names and equal when only the SQL name or the module changes.
    RenameTable { from: Arc<str>, to: Arc<str> },
    /// Adds a column; existing rows get the default, the derived value, or null.
    AddColumn { type_name: Arc<str>, field: Arc<str> },
    /// Drops a column from the table's schema; old snapshots keep it.
    DropColumn { type_name: Arc<str>, field: Arc<str> },
    /// Brings a dropped column back with the values that old files still hold, under the identity
    /// it had; rows written since get the default or null. Only an undo plans it.
    RestoreColumn { type_name: Arc<str>, field: Arc<str> },
    /// Gives a column another name; no file changes. `from` and `to` are API names and equal when
    /// only `@column(name:)` changes.
    RenameColumn { type_name: Arc<str>, from: Arc<str>, to: Arc<str> },
    /// Int → Long, Decimal precision up, required → nullable: no file changes.
    WidenColumn { type_name: Arc<str>, field: Arc<str> },
    /// Any other change of type that old values may survive: checks every row first and refuses when one does not
    /// fit, then rewrites.
    ConvertColumn { type_name: Arc<str>, field: Arc<str> },
    /// New partitioning or bucketing: for new files at once, for old ones by a rewrite.
    Repartition { type_name: Arc<str> },
    /// New sort order: likewise.
    Resort { type_name: Arc<str> },
    /// New key: checks uniqueness first.
    ChangeKey { type_name: Arc<str> },
    /// Copies a table into the other format, in the new schema's buckets, partitions and order, and
    /// switches.
    ChangeFormat { type_name: Arc<str> },
    /// Builds or rebuilds the text index of a table after its `@search` fields changed.
    BuildSearch { type_name: Arc<str> },
    /// Computes the vectors of a field, and its index.
    BuildVectors { type_name: Arc<str>, field: Arc<str> },
    /// Drops the vectors of a field.
    DropVectors { type_name: Arc<str>, field: Arc<str> },
    /// Changes how long snapshots are kept.
    SetRetention { type_name: Arc<str> },
}
