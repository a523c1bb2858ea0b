//! Writes a snapshot that nobody sees yet: manifests, manifest list, metadata file.
//!
//! In: the table as it was read, and a [`Delta`]. Out: [`Written`]: the swap that makes it visible,
//! and the locations to remove when the swap is refused. Not here: the swap (`catalog`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use base::{Error, Result, Timestamp};
use iceberg::MetadataLocation;
use iceberg::spec::{
    MAIN_BRANCH, ManifestContentType, ManifestEntryRef, ManifestFile, ManifestListWriter,
    ManifestStatus, ManifestWriter, ManifestWriterBuilder, Operation, SchemaRef,
    Snapshot as IcebergSnapshot, Summary, TableMetadata,
};

use serde_json::{Value as Json, json};

use super::CommitInfo;
use super::delta::{Alter, Delta, NewFile};
use crate::catalog::Swap;
use crate::failure::failed;
use crate::lake::Lake;
use crate::table::{Snapshot, Table, summary};

/// Manifests of one kind and spec before the small ones are joined.
const MANIFESTS: usize = 24;
/// Earlier metadata files that a table remembers: the default of the Iceberg specification.
const METADATA_FILES: usize = 100;
/// Entries of a manifest that is not joined any more.
const FULL_MANIFEST: u32 = 4096;

/// A snapshot that is durable and not visible.
#[derive(Debug)]
pub(crate) struct Written {
    /// What makes it visible; nothing when the table stays as it is.
    pub(crate) swap: Option<Swap>,
    /// The snapshot; the present one when nothing was written.
    pub(crate) snapshot: Snapshot,
    /// Files that only this snapshot needs.
    pub(crate) locations: Vec<String>,
}

/// Writes what a delta makes of a table.
pub(crate) async fn write(
    lake: &Lake,
    table: &Arc<Table>,
    delta: Delta,
    info: &CommitInfo,
) -> Result<Written> {
    let lake = lake.unsettled();
    let mut work = Work::new(&lake, table)?;
    let result = work.run(delta, info).await;
    let settled = lake.settle().await;
    match result.and_then(|written| settled.map(|()| written)) {
        Ok((swap, snapshot)) => Ok(Written { swap, snapshot, locations: work.locations }),
        Err(error) => {
            lake.discard_locations(work.locations).await;
            Err(error.context(format!("failed to commit table `{}`", table.name)))
        }
    }
}

struct Work<'a> {
    lake: &'a Lake,
    table: &'a Arc<Table>,
    metadata: Arc<TableMetadata>,
    snapshot_id: i64,
    locations: Vec<String>,
}

/// Counts of the files of a snapshot.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    files: i64,
    bytes: i64,
    records: i64,
    delete_files: i64,
    deletes: i64,
}

impl Work<'_> {
    fn new<'a>(lake: &'a Lake, table: &'a Arc<Table>) -> Result<Work<'a>> {
        let metadata = Arc::clone(table.stored()?);
        // Ids are positive, and 0 means "no snapshot" to callers.
        let snapshot_id = (lake.config().rng.next_u64() >> 1).max(1) as i64;
        Ok(Work { lake, table, metadata, snapshot_id, locations: Vec::new() })
    }

    async fn run(&mut self, delta: Delta, info: &CommitInfo) -> Result<(Option<Swap>, Snapshot)> {
        let Delta { operation, add, add_deletes, remove, remove_all, rows, .. } = delta;
        let Delta { alter, whole, made, summary, content_of, .. } = delta;
        self.locations.extend(made);
        if let Some(whole) = whole {
            let present = whole.current_snapshot().map(|snapshot| Snapshot::of(snapshot));
            let none = || Snapshot::none(self.lake.config().clock.now());
            let snapshot = present.unwrap_or_else(none);
            return Ok((Some(self.write_metadata(whole).await?), snapshot));
        }
        let Some(operation) = operation else {
            return self.without_snapshot(alter).await;
        };
        let time = self.time();
        let mut builder = self.builder();
        if let Some(alter) = alter {
            // Manifests are written by the schema and the specs that the change adds.
            let location = Some(self.table.metadata_location.as_ref());
            let altered = altered(&self.metadata, location, alter, time)?;
            builder = altered.clone().into_builder(None);
            self.metadata = Arc::new(altered);
        }
        let present = match content_of {
            Some(id) => self.metadata.snapshot_by_id(id).cloned(),
            None => self.metadata.current_snapshot().cloned(),
        };
        let mut totals = Totals::of(present.as_deref());
        let mut manifests = Vec::new();
        if let Some(present) = &present {
            let list = self.lake.files().manifest_list(&self.metadata, present).await?;
            for manifest in list.iter() {
                let gone = |path: &str| remove_all || remove.contains(path);
                manifests.extend(self.keep(manifest, &gone, &mut totals).await?);
            }
        }
        totals.add(&add, 1);
        totals.add(&add_deletes, 1);
        for (content, files) in
            [(ManifestContentType::Data, add), (ManifestContentType::Deletes, add_deletes)]
        {
            manifests.extend(self.add(content, files).await?);
        }
        let manifests = self.join_small(manifests).await?;
        let list = self.write_list(manifests).await?;
        let rows = (Totals::rows(present.as_deref()) + rows).max(0);
        let text = summary.as_deref().unwrap_or(&info.summary);
        let mut properties = totals.summary(rows, &info.author, text);
        if let (Some(_), Some(earlier)) = (content_of, &present) {
            let number = earlier.sequence_number().to_string();
            properties.insert(summary::BACK_TO.to_owned(), number);
        }
        let snapshot = self.snapshot(list, operation, properties, time);
        let builder = builder
            .set_branch_snapshot(snapshot.clone(), MAIN_BRANCH)
            .map_err(failed("add a snapshot"))?;
        let metadata = builder.build().map_err(failed("add a snapshot"))?.metadata;
        Ok((Some(self.write_metadata(metadata).await?), Snapshot::of(&snapshot)))
    }

    /// A change of metadata alone, or nothing at all.
    async fn without_snapshot(&mut self, alter: Option<Alter>) -> Result<(Option<Swap>, Snapshot)> {
        let present = self.metadata.current_snapshot().map(|snapshot| Snapshot::of(snapshot));
        let snapshot = present.unwrap_or_else(|| Snapshot::none(self.lake.config().clock.now()));
        let Some(alter) = alter else { return Ok((None, snapshot)) };
        let location = Some(self.table.metadata_location.as_ref());
        let metadata = altered(&self.metadata, location, alter, self.time())?;
        Ok((Some(self.write_metadata(metadata).await?), snapshot))
    }

    fn builder(&self) -> iceberg::spec::TableMetadataBuilder {
        let location = self.table.metadata_location.to_string();
        self.metadata.as_ref().clone().into_builder(Some(location))
    }

    /// Now, but never before what the table has seen: clocks of two machines may differ.
    fn time(&self) -> Timestamp {
        let seen = Timestamp::from_micros(self.metadata.last_updated_ms().saturating_mul(1000));
        self.lake.config().clock.now().max(seen)
    }

    /// A present manifest without the files that are gone: itself when it has none of them.
    async fn keep(
        &mut self,
        file: &ManifestFile,
        gone: &(dyn Fn(&str) -> bool + Sync),
        totals: &mut Totals,
    ) -> Result<Option<ManifestFile>> {
        let manifest = self.lake.files().manifest(file).await?;
        let alive: Vec<_> = manifest.entries().iter().filter(|entry| entry.is_alive()).collect();
        if alive.is_empty() {
            return Ok(None);
        }
        if !alive.iter().any(|entry| gone(entry.file_path())) {
            return Ok(Some(file.clone()));
        }
        let mut writer = self.writer(file.content, file.partition_spec_id)?;
        for entry in alive {
            if gone(entry.file_path()) {
                totals.add_entry(entry, -1);
                add_as(&mut writer, entry, ManifestStatus::Deleted)?;
            } else {
                add_as(&mut writer, entry, ManifestStatus::Existing)?;
            }
        }
        Ok(Some(finish(writer).await?))
    }

    /// Manifests of new files, one for each partition spec among them.
    async fn add(
        &mut self,
        content: ManifestContentType,
        files: Vec<NewFile>,
    ) -> Result<Vec<ManifestFile>> {
        let mut by_spec: BTreeMap<i32, Vec<NewFile>> = BTreeMap::new();
        for file in files {
            by_spec.entry(file.spec_id).or_default().push(file);
        }
        let mut manifests = Vec::new();
        for (spec_id, files) in by_spec {
            let mut writer = self.writer(content, spec_id)?;
            for new in files {
                // A negative number is inherited from the snapshot.
                writer.add_file(new.file, -1).map_err(failed("write a manifest"))?;
            }
            manifests.push(finish(writer).await?);
        }
        Ok(manifests)
    }

    /// Joins small manifests once there are many, so that reading a table stays cheap.
    async fn join_small(&mut self, manifests: Vec<ManifestFile>) -> Result<Vec<ManifestFile>> {
        let mut kept = Vec::new();
        let mut small: BTreeMap<(u8, i32), Vec<ManifestFile>> = BTreeMap::new();
        for file in manifests {
            let entries =
                file.existing_files_count.unwrap_or(0) + file.added_files_count.unwrap_or(0);
            // Entries of this snapshot inherit its number, which only their own manifest can say.
            if file.added_snapshot_id == self.snapshot_id || entries >= FULL_MANIFEST {
                kept.push(file);
            } else {
                let key = (file.content as u8, file.partition_spec_id);
                small.entry(key).or_default().push(file);
            }
        }
        for ((_, spec_id), files) in small {
            if files.len() < MANIFESTS {
                kept.extend(files);
                continue;
            }
            let mut writer = self.writer(files[0].content, spec_id)?;
            for file in &files {
                let manifest = self.lake.files().manifest(file).await?;
                for entry in manifest.entries().iter().filter(|entry| entry.is_alive()) {
                    add_as(&mut writer, entry, ManifestStatus::Existing)?;
                }
            }
            kept.push(finish(writer).await?);
        }
        Ok(kept)
    }

    fn writer(&mut self, content: ManifestContentType, spec_id: i32) -> Result<ManifestWriter> {
        let spec = self.metadata.partition_spec_by_id(spec_id).ok_or_else(|| {
            Error::internal(format!("table `{}` has no partition spec {spec_id}", self.table.name))
        })?;
        let location = self.new_location("avro");
        let output = self.lake.io().new_output(&location).map_err(failed("write a manifest"))?;
        self.locations.push(location);
        // An old spec may cut by a column that the present schema has no more.
        let binds = |schema: &&SchemaRef| spec.partition_type(schema).is_ok();
        let present = self.metadata.current_schema();
        let schema = Some(present).filter(binds);
        let schema = schema.or_else(|| self.metadata.schemas_iter().find(binds)).unwrap_or(present);
        let schema = Arc::clone(schema);
        let builder = ManifestWriterBuilder::new(
            output,
            Some(self.snapshot_id),
            schema,
            spec.as_ref().clone(),
        );
        Ok(match content {
            ManifestContentType::Data => builder.build_v2_data(),
            ManifestContentType::Deletes => builder.build_v2_deletes(),
        })
    }

    async fn write_list(&mut self, manifests: Vec<ManifestFile>) -> Result<String> {
        let location = self.new_location("list.avro");
        let doing = || format!("write manifest list `{location}`");
        let output = self.lake.io().new_output(&location).map_err(failed(doing()))?;
        self.locations.push(location.clone());
        let writer = output.writer().await.map_err(failed(doing()))?;
        let mut list = ManifestListWriter::v2(
            writer,
            self.snapshot_id,
            self.metadata.current_snapshot_id(),
            self.metadata.next_sequence_number(),
        );
        list.add_manifests(manifests.into_iter()).map_err(failed(doing()))?;
        list.close().await.map_err(failed(doing()))?;
        Ok(location)
    }

    fn new_location(&self, ending: &str) -> String {
        let name = self.lake.config().rng.uuid();
        format!("{}/metadata/{name}.{ending}", self.metadata.location())
    }

    fn snapshot(
        &self,
        list: String,
        operation: Operation,
        properties: HashMap<String, String>,
        time: Timestamp,
    ) -> IcebergSnapshot {
        IcebergSnapshot::builder()
            .with_snapshot_id(self.snapshot_id)
            .with_parent_snapshot_id(self.metadata.current_snapshot_id())
            .with_sequence_number(self.metadata.next_sequence_number())
            .with_timestamp_ms(time.as_millis())
            .with_manifest_list(list)
            .with_summary(Summary { operation, additional_properties: properties })
            .with_schema_id(self.metadata.current_schema_id())
            .build()
    }

    async fn write_metadata(&mut self, metadata: TableMetadata) -> Result<Swap> {
        let location = next_location(&self.table.metadata_location)?;
        write_metadata_file(self.lake, &metadata, &location).await?;
        let text = location.to_string();
        self.locations.push(text.clone());
        self.lake.catalog().remember(&text, Arc::new(metadata));
        Ok(Swap::metadata(self.table, text))
    }
}

/// Where the next metadata file of a table goes.
fn next_location(present: &str) -> Result<MetadataLocation> {
    let present: MetadataLocation =
        present.parse().map_err(failed(format!("read the location `{present}`")))?;
    Ok(present.with_next_version())
}

/// Writes a metadata file.
pub(crate) async fn write_metadata_file(
    lake: &Lake,
    metadata: &TableMetadata,
    location: &MetadataLocation,
) -> Result<()> {
    let doing = format!("write table metadata `{location}`");
    metadata.write_to(lake.io(), location).await.map_err(failed(doing))
}

/// Metadata after a change of columns, specs or properties, last changed at `at`. The file that
/// held it before is remembered when it is given.
pub(crate) fn altered(
    metadata: &TableMetadata,
    location: Option<&str>,
    alter: Alter,
    at: Timestamp,
) -> Result<TableMetadata> {
    let doing = "change a table's metadata";
    // The library compares its logs with the machine's clock, which may be behind the clock that
    // wrote them. It sees the present snapshot alone, of long ago; what
    // the logs held comes back afterwards.
    let mut json = serde_json::to_value(metadata).map_err(failed(doing))?;
    let seen = json["last-updated-ms"].take();
    json["last-updated-ms"] = 0.into();
    let [snapshots, files] = ["snapshot-log", "metadata-log"].map(|log| entries(&mut json, log));
    if let Some(present) = metadata.current_snapshot_id() {
        json["snapshot-log"] = json!([{ "snapshot-id": present, "timestamp-ms": 0 }]);
    }
    let without_logs: TableMetadata = serde_json::from_value(json).map_err(failed(doing))?;
    let built = alter(without_logs.into_builder(None))?.build().map_err(failed(doing))?;
    let mut json = serde_json::to_value(&built.metadata).map_err(failed(doing))?;
    let mut added = entries(&mut json, "snapshot-log");
    added.retain(|entry| entry["timestamp-ms"] != 0);
    for entry in &mut added {
        entry["timestamp-ms"] = at.as_millis().into();
    }
    // As the specification has it, what is before a gap goes: who looks for the state of a moment would
    // find the one before the gap.
    let is_gone = |entry: &Json| {
        let id = entry["snapshot-id"].as_i64();
        id.is_none_or(|id| built.metadata.snapshot_by_id(id).is_none())
    };
    let whole = snapshots.iter().rposition(is_gone).map_or(0, |place| place + 1);
    json["snapshot-log"] = snapshots.into_iter().skip(whole).chain(added).collect();
    let earlier = location.map(|file| json!({ "metadata-file": file, "timestamp-ms": seen }));
    let files: Vec<Json> = files.into_iter().chain(earlier).collect();
    json["metadata-log"] = files[files.len().saturating_sub(METADATA_FILES)..].into();
    json["last-updated-ms"] = at.as_millis().into();
    serde_json::from_value(json).map_err(failed(doing))
}

/// The entries of a log of table metadata, which is empty then.
fn entries(metadata: &mut Json, log: &str) -> Vec<Json> {
    match metadata.as_object_mut().and_then(|fields| fields.remove(log)) {
        Some(Json::Array(entries)) => entries,
        _ => Vec::new(),
    }
}

/// The same metadata, last changed at `at`: the library takes the machine's clock, which is not
/// always ours.
pub(crate) fn stamped(metadata: TableMetadata, at: Timestamp) -> Result<TableMetadata> {
    let mut json = serde_json::to_value(&metadata).map_err(failed("stamp a table's metadata"))?;
    json["last-updated-ms"] = at.as_millis().into();
    serde_json::from_value(json).map_err(failed("stamp a table's metadata"))
}

fn add_as(
    writer: &mut ManifestWriter,
    entry: &ManifestEntryRef,
    status: ManifestStatus,
) -> Result<()> {
    let lost = || Error::internal("a manifest's entry has no sequence number");
    let file = entry.data_file().clone();
    let sequence = entry.sequence_number().ok_or_else(lost)?;
    let snapshot = entry.snapshot_id().ok_or_else(lost)?;
    let file_sequence = entry.file_sequence_number;
    let added = match status {
        ManifestStatus::Deleted => writer.add_delete_file(file, sequence, file_sequence),
        _ => writer.add_existing_file(file, snapshot, sequence, file_sequence),
    };
    added.map_err(failed("write a manifest"))
}

async fn finish(writer: ManifestWriter) -> Result<ManifestFile> {
    writer.write_manifest_file().await.map_err(failed("write a manifest"))
}

impl Totals {
    fn of(snapshot: Option<&IcebergSnapshot>) -> Totals {
        let number = |key: &str| {
            let text = snapshot?.summary().additional_properties.get(key)?;
            text.parse().ok()
        };
        let get = |key: &str| number(key).unwrap_or(0);
        Totals {
            files: get("total-data-files"),
            bytes: get("total-files-size"),
            records: get("total-records"),
            delete_files: get("total-delete-files"),
            deletes: get("total-position-deletes"),
        }
    }

    fn rows(snapshot: Option<&IcebergSnapshot>) -> i64 {
        snapshot
            .map_or(0, |snapshot| i64::try_from(Snapshot::of(snapshot).rows).unwrap_or(i64::MAX))
    }

    fn add(&mut self, files: &[NewFile], sign: i64) {
        files.iter().for_each(|new| self.add_file(&new.file, sign));
    }

    fn add_entry(&mut self, entry: &ManifestEntryRef, sign: i64) {
        self.add_file(entry.data_file(), sign);
    }

    fn add_file(&mut self, file: &iceberg::spec::DataFile, sign: i64) {
        let rows = file.record_count() as i64 * sign;
        self.bytes += file.file_size_in_bytes() as i64 * sign;
        if file.content_type() == iceberg::spec::DataContentType::Data {
            self.files += sign;
            self.records += rows;
        } else {
            self.delete_files += sign;
            self.deletes += rows;
        }
    }

    fn summary(&self, rows: i64, author: &str, text: &str) -> HashMap<String, String> {
        let numbers = [
            ("total-data-files", self.files),
            ("total-files-size", self.bytes),
            ("total-records", self.records),
            ("total-delete-files", self.delete_files),
            ("total-position-deletes", self.deletes),
            ("total-equality-deletes", 0),
            (summary::ROWS, rows),
        ];
        let numbers = numbers.map(|(key, number)| (key.to_owned(), number.max(0).to_string()));
        let texts = [(summary::AUTHOR, author), (summary::TEXT, text)];
        let texts = texts.map(|(key, text)| (key.to_owned(), text.to_owned()));
        numbers.into_iter().chain(texts).collect()
    }
}
