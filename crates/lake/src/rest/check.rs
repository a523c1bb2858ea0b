//! What a commit of another tool to a table of the central schema must keep: its columns, its key, its
//! required values, its partitions.
//!
//! In: the table's metadata before and after the commit. Out: the rows that the table has
//! afterwards, or words. New files are read once, whole, through the same code that reads our own,
//! so that what cannot be read later is refused now. Text and vector indexes follow the data
//! files by themselves. Not here: applying updates (`commit`).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::record_batch::RecordBatch;
use base::{Error, Result};
use iceberg::TableUpdate;
use iceberg::spec::{DataFile, DataFileFormat, MAIN_BRANCH, TableMetadata};
use schema::{ObjectType, Schema};

use super::Refusal;
use crate::commit::locate::{self, Found, Wants};
use crate::enums;
use crate::files::{Content, Files, LiveFile};
use crate::keys::{self, KeyHash};
use crate::lake::{Lake, object_named};
use crate::layout::Layout;
use crate::read::{self, RowsWanted, Wanted};
use crate::shape;
use crate::table::{Snapshot, Table};

/// Properties of our tables that other tools may not set: they move files, or are ours.
const RESERVED: [&str; 5] = [
    "headwater.",
    "write.data.path",
    "write.metadata.path",
    "write.object-storage",
    "write.metadata.previous-versions-max",
];

/// Refuses updates that would change more than rows.
pub(super) fn allow(
    table: &Table,
    metadata: &TableMetadata,
    updates: &[TableUpdate],
) -> Result<(), Refusal> {
    let reserved = |name: &String| RESERVED.iter().any(|start| name.starts_with(start));
    for update in updates {
        let what = match update {
            TableUpdate::AddSnapshot { .. }
            | TableUpdate::SetStatistics { .. }
            | TableUpdate::RemoveStatistics { .. }
            | TableUpdate::SetPartitionStatistics { .. }
            | TableUpdate::RemovePartitionStatistics { .. } => continue,
            TableUpdate::AssignUuid { uuid } if *uuid == metadata.uuid() => continue,
            TableUpdate::UpgradeFormatVersion { format_version }
                if *format_version == metadata.format_version() =>
            {
                continue;
            }
            TableUpdate::SetSnapshotRef { ref_name, .. } if ref_name == MAIN_BRANCH => continue,
            TableUpdate::SetSnapshotRef { .. } | TableUpdate::RemoveSnapshotRef { .. } => {
                return Err(refused(
                    table,
                    "branches and tags",
                    "`headwater snapshots` lists the states that can be read",
                ));
            }
            TableUpdate::RemoveSnapshots { .. } => {
                return Err(refused(
                    table,
                    "the states that can be read",
                    "`@table(retain:)` says how long they are kept, and `headwater compact` removes older ones",
                ));
            }
            TableUpdate::SetProperties { updates } if !updates.keys().any(reserved) => continue,
            TableUpdate::RemoveProperties { removals } if !removals.iter().any(reserved) => {
                continue;
            }
            TableUpdate::SetProperties { .. } | TableUpdate::RemoveProperties { .. } => {
                "these properties"
            }
            TableUpdate::AddSchema { .. }
            | TableUpdate::SetCurrentSchema { .. }
            | TableUpdate::RemoveSchemas { .. } => "the columns",
            TableUpdate::AddSpec { .. }
            | TableUpdate::SetDefaultSpec { .. }
            | TableUpdate::RemovePartitionSpecs { .. } => "the partitions",
            TableUpdate::AddSortOrder { .. } | TableUpdate::SetDefaultSortOrder { .. } => {
                "the sort order"
            }
            TableUpdate::SetLocation { .. } => "the location",
            TableUpdate::UpgradeFormatVersion { .. } => "the format's version",
            TableUpdate::AssignUuid { .. } => "the identity",
            TableUpdate::AddEncryptionKey { .. } | TableUpdate::RemoveEncryptionKey { .. } => {
                "the encryption"
            }
        };
        let hint = "edit the schema, then `headwater plan` and `headwater apply`";
        return Err(refused(table, what, hint));
    }
    Ok(())
}

fn refused(table: &Table, what: &str, hint: &str) -> Refusal {
    let name = format!("{}.{}", table.namespace, table.name);
    Refusal::forbidden(format!("{what} of table `{name}` follow the central schema: {hint}"))
}

/// Checks the rows of a commit; gives how many the table has after it.
pub(super) async fn rows(
    lake: &Lake,
    table: &Arc<Table>,
    old: &TableMetadata,
    new: &TableMetadata,
) -> Result<i64, Refusal> {
    let present = old.current_snapshot();
    let before = present.map_or(0, |snapshot| Snapshot::of(snapshot).rows as i64);
    if old.current_snapshot_id() == new.current_snapshot_id() {
        return Ok(before);
    }
    follows(old, new)?;
    let schema = lake.schema();
    let object = object_named(&schema, &table.type_name)?;
    // Manifests of a commit that is refused may come again with other numbers, so that nothing of
    // them may be kept.
    let files = Files::new(
        lake.inner.io.clone(),
        Arc::clone(&lake.config().objects),
        lake.locations().clone(),
    );
    let check = Check {
        files: &files,
        lake,
        table,
        object,
        schema: &schema,
        layout: Layout::new(old, &shape::key_columns(object)?)?,
    };
    let refuse = |error: Error| {
        let name = format!("{}.{}", table.namespace, table.name);
        Refusal::from(error.context(format!("the commit to table `{name}` is refused")))
    };
    let was = lake.files().content(old, present.map(AsRef::as_ref)).await?;
    let snapshot = new.current_snapshot().map(AsRef::as_ref);
    let is = files.content(new, snapshot).await.map_err(refuse)?;
    check.run(&was, &is).await.map_err(refuse)
}

/// The new state must be made of the present one: the ancestors of its snapshot lead there.
fn follows(old: &TableMetadata, new: &TableMetadata) -> Result<(), Refusal> {
    let base = old.current_snapshot_id();
    let mut next = new.current_snapshot_id();
    while let Some(id) = next {
        if old.snapshot_by_id(id).is_some() {
            break;
        }
        next = new.snapshot_by_id(id).and_then(|snapshot| snapshot.parent_snapshot_id());
    }
    if next == base {
        return Ok(());
    }
    if old.snapshot_by_id(new.current_snapshot_id().unwrap_or(0)).is_some() {
        let text =
            "going back to an earlier state is `headwater rollback`, which keeps its history";
        return Err(Refusal::forbidden(text));
    }
    let id = |id: Option<i64>| id.map_or("none".to_owned(), |id| id.to_string());
    Err(Refusal::conflict(format!(
        "the new snapshot was made on snapshot {}, but the table is at {}",
        id(next),
        id(base)
    )))
}

struct Check<'a> {
    files: &'a Files,
    lake: &'a Lake,
    table: &'a Table,
    object: &'a ObjectType,
    schema: &'a Schema,
    layout: Layout,
}

impl Check<'_> {
    async fn run(&self, was: &Content, is: &Content) -> Result<i64> {
        let known: HashMap<&str, &LiveFile> =
            was.data.iter().map(|file| (file.path(), file)).collect();
        let mut rows = 0;
        let mut fresh: HashSet<KeyHash> = HashSet::new();
        let mut touched: Vec<DataFile> = Vec::new();
        for file in &is.data {
            let deleted = self.files.deleted(file).await?;
            rows += file.data().record_count() as i64 - deleted.len() as i64;
            match known.get(file.path()) {
                None => {
                    self.read_new(file, &deleted, &mut fresh).await?;
                    touched.push(file.data().clone());
                }
                // Rows whose deletion is taken back are as good as new.
                Some(before) => {
                    let gone = self.lake.files().deleted(before).await?;
                    let back: Vec<u64> = gone
                        .into_iter()
                        .filter(|row| deleted.binary_search(row).is_err())
                        .collect();
                    if !back.is_empty() {
                        self.keys_of(file, RowsWanted::Only(back), &mut fresh).await?;
                        touched.push(file.data().clone());
                    }
                }
            }
        }
        self.check_unique(is, fresh, &touched).await?;
        Ok(rows)
    }

    /// Reads a new file whole and refuses what the table does not promise.
    async fn read_new(
        &self,
        file: &LiveFile,
        deleted: &[u64],
        fresh: &mut HashSet<KeyHash>,
    ) -> Result<()> {
        let data = file.data();
        let place = |error: Error| error.context(format!("file `{}`", file.path()));
        self.check_file(file).await.map_err(place)?;
        let all = RowsWanted::Except(Vec::new());
        let wanted = Wanted { columns: Arc::clone(&self.layout.arrow), rows: all };
        let mut reading = read::read(self.files, data, wanted).await.map_err(place)?;
        let mut rows = 0;
        while let Some((batch, positions)) =
            reading.next().await.map_err(not_ours).map_err(place)?
        {
            rows += batch.num_rows() as u64;
            self.check_partition(data, &batch).map_err(place)?;
            enums::check(self.schema, self.object, &batch).map_err(place)?;
            if self.layout.key.is_empty() {
                continue;
            }
            let hashes = keys::hashes(&self.layout.key_arrays(&batch))?;
            for (row, hash) in positions.iter().zip(hashes) {
                let live = deleted.binary_search(row).is_err();
                if live && !fresh.insert(hash) {
                    return Err(self.twice(data, *row).await);
                }
            }
        }
        if rows != data.record_count() {
            let text = format!("it has {rows} rows, and its manifest says {}", data.record_count());
            return Err(place(Error::invalid(text)));
        }
        Ok(())
    }

    async fn check_file(&self, file: &LiveFile) -> Result<()> {
        let data = file.data();
        let metadata = self.table.iceberg()?;
        let folder = format!("{}/", metadata.location().trim_end_matches('/'));
        if !file.path().starts_with(&folder) {
            return Err(Error::invalid("it lies outside the table")
                .hint(format!("write data files below `{folder}`")));
        }
        if data.file_format() != DataFileFormat::Parquet {
            return Err(Error::invalid("it is no Parquet file").hint("write Parquet"));
        }
        if file.spec_id != self.layout.spec.spec_id() {
            return Err(Error::invalid("it is cut into partitions that the table has no more")
                .hint("load the table again"));
        }
        let size = self.lake.size_of(file.path()).await?;
        if size != data.file_size_in_bytes() {
            let said = data.file_size_in_bytes();
            return Err(Error::invalid(format!(
                "it has {size} bytes, and its manifest says {said}"
            )));
        }
        self.check_columns(data).await
    }

    /// Columns are known by their ids, which a file must have.
    async fn check_columns(&self, data: &DataFile) -> Result<()> {
        let opened = self.files.open(data).await?;
        let fields = opened.schema().fields().clone();
        let ids: Vec<Option<&str>> = fields.iter().map(|field| shape::id_of(field)).collect();
        if ids.iter().any(Option::is_none) {
            return Err(Error::invalid("its columns have no field ids")
                .hint("write it with an Iceberg writer, which adds them"));
        }
        let known = |id: &Option<&str>| {
            self.layout.arrow.fields().iter().any(|field| shape::id_of(field) == *id)
        };
        if let Some(strange) = ids.iter().position(|id| !known(id)) {
            let name = fields[strange].name();
            let text = format!("the column `{name}` is not one of the table");
            return Err(Error::invalid(text)
                .hint("edit the schema, then `headwater plan` and `headwater apply`"));
        }
        Ok(())
    }

    /// Every row must be in the partition that the file says.
    fn check_partition(&self, data: &DataFile, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 || self.layout.spec.fields().is_empty() {
            return Ok(());
        }
        let columns = self.layout.partition_columns(batch)?;
        let wrong = || {
            let names: Vec<&str> =
                self.layout.spec.fields().iter().map(|field| field.name.as_str()).collect();
            Error::invalid(format!("rows are not in its partition by `{}`", names.join("`, `")))
        };
        if self.layout.partition_at(&columns, 0)? != *data.partition() {
            return Err(wrong());
        }
        for column in &columns {
            let first = column.slice(0, 1);
            let first = arrow::array::Scalar::new(first);
            let differs = arrow::compute::kernels::cmp::distinct(column, &first)
                .map_err(crate::failure::failed("compare partitions"))?;
            if differs.true_count() > 0 {
                return Err(wrong());
            }
        }
        Ok(())
    }

    async fn keys_of(
        &self,
        file: &LiveFile,
        rows: RowsWanted,
        fresh: &mut HashSet<KeyHash>,
    ) -> Result<()> {
        if self.layout.key.is_empty() {
            return Ok(());
        }
        let mut doubled = None;
        let add = |row, key| {
            if !fresh.insert(key) {
                doubled = doubled.or(Some(row));
            }
        };
        locate::each_key(self.files, &self.layout, file.data(), rows, add).await?;
        match doubled {
            Some(row) => Err(self.twice(file.data(), row).await),
            None => Ok(()),
        }
    }

    /// No key that is new may be in two live rows.
    async fn check_unique(
        &self,
        is: &Content,
        fresh: HashSet<KeyHash>,
        touched: &[DataFile],
    ) -> Result<()> {
        if fresh.is_empty() {
            return Ok(());
        }
        let wants = Wants::of_files(&self.layout, fresh, touched, self.layout.spec.spec_id());
        let mut found = Found::new();
        let matches = locate::locate(self.files, &self.layout, is, &wants, &mut found).await?;
        let mut seen: HashSet<KeyHash> = HashSet::new();
        for one in &matches {
            for (row, key) in &one.hits {
                if !seen.insert(*key) {
                    return Err(self.twice(one.file.data(), *row).await);
                }
            }
        }
        Ok(())
    }

    async fn twice(&self, file: &DataFile, row: u64) -> Error {
        let key = match self.key_at(file, row).await {
            Ok(key) => key,
            Err(error) => return error,
        };
        Error::invalid(format!("two rows of the table would have the key `{key}`"))
            .hint("delete or overwrite the present row in the same commit, or use an upsert")
    }

    async fn key_at(&self, file: &DataFile, row: u64) -> Result<String> {
        let mut order = self.layout.key.clone();
        order.sort_unstable();
        let wanted = Wanted::columns(&self.layout.arrow, &order, RowsWanted::Only(vec![row]))?;
        let batch = read::read_all(self.files, file, wanted).await?;
        let place = |column: &usize| order.iter().position(|other| other == column).unwrap_or(0);
        let key: Vec<ArrayRef> =
            self.layout.key.iter().map(|column| Arc::clone(batch.column(place(column)))).collect();
        keys::shown(self.object, &key, 0)
    }
}

/// What cannot be read is the writer's fault, not that of stored bytes.
fn not_ours(error: Error) -> Error {
    let words = base::error_chain(&error).join(": ");
    Error::invalid(words)
}
