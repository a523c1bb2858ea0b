//! What a commit does to one table, as a value: decided by `resolve`, `group`, `maintain` or `steps`,
//! carried out by `snapshot`.

use std::collections::HashSet;

use iceberg::spec::{DataFile, Operation, TableMetadata, TableMetadataBuilder};

use base::Result;

/// A data or delete file that is new in the table.
#[derive(Clone, Debug)]
pub(crate) struct NewFile {
    pub(crate) file: DataFile,
    /// The partition spec of its partition values.
    pub(crate) spec_id: i32,
}

/// Changes of the metadata that belong to the same commit.
pub(crate) type Alter =
    Box<dyn FnOnce(TableMetadataBuilder) -> Result<TableMetadataBuilder> + Send>;

/// What a commit does.
#[derive(Default)]
pub(crate) struct Delta {
    /// Iceberg's name for it; nothing means that there is nothing to commit.
    pub(crate) operation: Option<Operation>,
    /// New data files.
    pub(crate) add: Vec<NewFile>,
    /// New position-delete files.
    pub(crate) add_deletes: Vec<NewFile>,
    /// Locations of data and delete files that go.
    pub(crate) remove: HashSet<String>,
    /// Whether all present files go.
    pub(crate) remove_all: bool,
    /// Whether the present files are those of this snapshot instead.
    pub(crate) content_of: Option<i64>,
    /// Rows that the table has more (or fewer) of afterwards.
    pub(crate) rows: i64,
    /// Changes of the metadata.
    pub(crate) alter: Option<Alter>,
    /// Metadata that takes the place of the present one as it is, without a snapshot.
    pub(crate) whole: Option<TableMetadata>,
    /// Files that were written for this attempt alone, and that go when it fails.
    pub(crate) made: Vec<String>,
    /// What for, where the caller's text does not say it.
    pub(crate) summary: Option<String>,
}

impl Delta {
    /// New data files of one staging.
    pub(crate) fn add_staged(&mut self, staged: &crate::stage::StagedFiles) {
        let new = |file: &DataFile| NewFile { file: file.clone(), spec_id: staged.spec_id };
        self.add.extend(staged.data.iter().map(new));
        self.add_deletes.extend(staged.deletes.iter().map(new));
    }
}
