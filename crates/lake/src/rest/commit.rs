//! Commits of other tools: requirements, updates, and all tables of a transaction at one moment.
//!
//! ```text
//! body → requirements against the present → updates → check (tables of the schema) → metadata file → one transaction
//! ```
//!
//! In: the body of a commit. Out: new metadata, or a refusal. When another writer was faster, all is
//! done again on what it left, requirements included, so that a commit without them is never lost
//! to a race. Not here: what rows of the schema's tables must keep (`check`).

use std::sync::Arc;

use base::{Error, Kind, Principal};
use futures::FutureExt;
use iceberg::spec::{MAIN_BRANCH, Schema, TableMetadata};
use iceberg::{MetadataLocation, TableRequirement, TableUpdate};
use serde_json::{Value as Json, json};

use super::foreign::{self, Shown, Step};
use super::json::{ident, maybe, part};
use super::namespaces::{module, refuse_module};
use super::tables::{Found, check_free, find, loaded, no_table, of_iceberg};
use super::{Answer, Ident, Outcome, Refusal, Snapshots, check, idempotency, versions};
use crate::Lake;
use crate::catalog::{Swap, swap_all};
use crate::commit::contend::Contender;
use crate::commit::group::nudge;
use crate::commit::snapshot::{altered, write_metadata_file};
use crate::failure::failed;

/// Tables of one transaction at most.
const TABLES: usize = 100;

/// A change of one table, as it was sent.
#[derive(Clone, Debug)]
struct Change {
    table: Ident,
    requirements: Vec<TableRequirement>,
    updates: Vec<TableUpdate>,
}

/// A change that is durable and that nobody sees yet.
struct Ready {
    location: String,
    metadata: Arc<TableMetadata>,
    /// What makes it visible; nothing when the table stays as it is.
    publish: Option<Publish>,
    /// The type, when the table is the schema's.
    type_name: Option<Arc<str>>,
    /// Metadata files that the table wants removed once it remembers them no more.
    forgotten: Vec<String>,
}

/// The property of a table whose old metadata goes with the commit that forgets it, as the reference names it.
const DELETE_AFTER_COMMIT: &str = "write.metadata.delete-after-commit.enabled";

enum Publish {
    Owned(Box<Swap>),
    Foreign(Step),
}

/// Commits one table.
pub(super) async fn one(lake: &Lake, table: &Ident, body: &Json, who: &Principal) -> Outcome {
    let change = Change::read(table.clone(), body)?;
    let ready = all(lake, &[change], who).await?;
    let ready = ready.first().ok_or_else(|| Refusal::bad("nothing was committed"))?;
    let owned = ready.type_name.is_some();
    loaded(Some(&ready.location), &ready.metadata, Snapshots::All, owned)
}

/// Commits several tables, all or none.
pub(super) async fn many(lake: &Lake, body: &Json, who: &Principal) -> Outcome {
    let sent: Vec<Json> = part(body, "table-changes")?;
    if sent.is_empty() || sent.len() > TABLES {
        return Err(Refusal::bad(format!("a transaction has 1 to {TABLES} changes of tables")));
    }
    let mut changes: Vec<Change> = Vec::with_capacity(sent.len());
    for one in &sent {
        let table = ident(&part::<Json>(one, "identifier")?)?;
        if changes.iter().any(|other| other.table == table) {
            let text = format!("{} is changed twice in one transaction", table.shown());
            return Err(Refusal::bad(text));
        }
        changes.push(Change::read(table, one)?);
    }
    all(lake, &changes, who).await.map(|_| Answer::empty())
}

impl Change {
    fn read(table: Ident, body: &Json) -> Result<Change, Refusal> {
        let named = maybe::<Json>(body, "identifier")?.map(|one| ident(&one)).transpose()?;
        if named.is_some_and(|named| named != table) {
            return Err(Refusal::bad("the body names another table than the path"));
        }
        let requirements: Vec<Json> = maybe(body, "requirements")?.unwrap_or_default();
        let updates: Vec<Json> = part(body, "updates")?;
        let typed = |what: &str, value: &Json, error: serde_json::Error| {
            let name = value.get("type").or(value.get("action")).and_then(Json::as_str);
            Refusal::bad(format!("the {what} `{}` cannot be read: {error}", name.unwrap_or("?")))
        };
        let requirement = |value: &Json| {
            serde_json::from_value(value.clone())
                .map_err(|error| typed("requirement", value, error))
        };
        let update = |value: &Json| {
            versions::check_sent(value)?;
            serde_json::from_value(value.clone()).map_err(|error| typed("update", value, error))
        };
        Ok(Change {
            table,
            requirements: requirements.iter().map(requirement).collect::<Result<_, _>>()?,
            updates: updates.iter().map(update).collect::<Result<_, _>>()?,
        })
    }

    fn creates(&self) -> bool {
        self.requirements.iter().any(|one| matches!(one, TableRequirement::NotExist))
    }
}

async fn all(lake: &Lake, changes: &[Change], who: &Principal) -> Result<Vec<Ready>, Refusal> {
    let types = types_of(lake, changes).await?;
    let mut contender = Contender::new(lake);
    let outcome = contend(&mut contender, &types, changes, who).await;
    contender.end().await;
    let ready = outcome?;
    for one in &ready {
        lake.catalog().remember(&one.location, Arc::clone(&one.metadata));
        if let Some(type_name) = &one.type_name {
            nudge(lake, type_name);
        }
        lake.discard_locations(one.forgotten.clone()).await;
    }
    Ok(ready)
}

/// Waits for whoever holds the tables, and tries until no race is lost.
async fn contend(
    contender: &mut Contender,
    types: &[Arc<str>],
    changes: &[Change],
    who: &Principal,
) -> Result<Vec<Ready>, Refusal> {
    contender.start(types, false).await?;
    loop {
        match attempt(contender.lake(), changes, who).await? {
            Ok(ready) => return Ok(ready),
            Err(lost) => contender.again(lost, types).await?,
        }
    }
}

/// The types of the schema that are changed.
async fn types_of(lake: &Lake, changes: &[Change]) -> Result<Vec<Arc<str>>, Refusal> {
    let mut types = Vec::new();
    for change in changes.iter().filter(|one| module(lake, &one.table.namespace).is_some()) {
        if let Some(Found::Owned(table, _)) = find(lake, &change.table).await? {
            types.push(Arc::clone(&table.type_name));
        }
    }
    Ok(types)
}

/// One attempt; the inner error is a race that was lost.
async fn attempt(
    lake: &Lake,
    changes: &[Change],
    who: &Principal,
) -> Result<Result<Vec<Ready>, Error>, Refusal> {
    let mut ready: Vec<Ready> = Vec::with_capacity(changes.len());
    for change in changes {
        match prepare(lake, change, who).await {
            Ok(one) => ready.push(one),
            Err(refusal) => {
                discard(lake, &ready).await;
                return Err(refusal);
            }
        }
    }
    match publish(lake, &ready).await {
        Ok(()) => Ok(Ok(ready)),
        Err(error) => match error.kind() {
            Kind::Conflict => {
                discard(lake, &ready).await;
                Ok(Err(error))
            }
            _ if error.nothing_happened() => {
                discard(lake, &ready).await;
                Err(error.into())
            }
            // The answer was lost: the commit may have happened, and then its files are needed.
            _ => Err(Refusal::unknown(&error)),
        },
    }
}

async fn discard(lake: &Lake, ready: &[Ready]) {
    for one in ready.iter().filter(|one| one.publish.is_some()) {
        lake.discard_location(&one.location).await;
    }
}

async fn publish(lake: &Lake, ready: &[Ready]) -> base::Result<()> {
    let (mut swaps, mut steps) = (Vec::new(), Vec::new());
    for one in ready {
        match &one.publish {
            Some(Publish::Owned(swap)) => swaps.push(swap.as_ref().clone()),
            Some(Publish::Foreign(step)) => steps.push(step.clone()),
            None => {}
        }
    }
    if swaps.is_empty() && steps.is_empty() {
        return Ok(());
    }
    if let Some(swap) = swaps.iter().find(|swap| swap.base.seen.binding.is_some()) {
        let text = format!("the schema of table `{}` was changed meanwhile", swap.base.name);
        return Err(Error::new(Kind::Stale, text).hint("load the table again"));
    }
    let (writer, now, key) = (lake.writer(), lake.config().clock.now(), idempotency::key());
    let run = lake.catalog().publish(move |tx| {
        let (swaps, steps, writer) = (swaps.clone(), steps.clone(), writer.clone());
        let key = key.clone();
        async move {
            idempotency::note(tx, key.as_deref()).await?;
            swap_all(tx, swaps, Vec::new(), writer, now).await?;
            for step in &steps {
                foreign::step(tx, step).await?.map_err(|refusal| in_transaction(&refusal))?;
            }
            Ok(())
        }
        .boxed()
    });
    run.await
}

/// A refusal that must undo its transaction.
fn in_transaction(refusal: &Refusal) -> Error {
    let kind = match refusal.kind.as_str() {
        "AlreadyExistsException" => Kind::AlreadyExists,
        "NoSuchNamespaceException" => Kind::NotFound,
        _ => Kind::Conflict,
    };
    Error::new(kind, refusal.message.clone())
}

async fn prepare(lake: &Lake, change: &Change, who: &Principal) -> Result<Ready, Refusal> {
    let found = find(lake, &change.table).await?;
    if change.creates() {
        return create(lake, change, found.is_some()).await;
    }
    let Some(found) = found else { return Err(no_table(lake, &change.table).await) };
    for requirement in &change.requirements {
        met(requirement, found.metadata())?;
    }
    versions::check_upgrades(found.metadata(), &change.updates)?;
    match found {
        Found::Owned(table, metadata) => {
            check::allow(&table, &metadata, &change.updates)?;
            let updates = change.updates.clone();
            let at = lake.config().clock.now();
            let seen = metadata.last_updated_ms().saturating_mul(1000);
            let at = at.max(base::Timestamp::from_micros(seen));
            let location = Some(table.metadata_location.as_ref());
            let apply = move |builder| applied(builder, updates);
            // What the deployed version hides is kept.
            let stored = Arc::clone(table.stored()?);
            let built = altered(&stored, location, Box::new(apply), at);
            let built = built.map_err(refused_update)?;
            if same_content(&stored, &built) {
                return Ok(unchanged(&table.metadata_location, metadata, Some(&table.type_name)));
            }
            let rows = check::rows(lake, &table, &metadata, &built).await?;
            let built = noted(built, &metadata, rows, who)?;
            let location = next_location(&table.metadata_location, &built);
            write_metadata_file(lake, &built, &location).await?;
            let location = location.to_string();
            let swap = Swap::metadata(&table, location.as_str());
            let publish = Some(Publish::Owned(Box::new(swap)));
            let type_name = Some(Arc::clone(&table.type_name));
            Ok(Ready {
                location,
                metadata: Arc::new(built),
                publish,
                type_name,
                forgotten: Vec::new(),
            })
        }
        Found::Foreign(from, metadata) => {
            let builder = metadata.as_ref().clone().into_builder(Some(from.location.clone()));
            let built = applied(builder, change.updates.clone()).map_err(refused_update)?;
            let built = built.build();
            let built = built.map_err(|error| of_iceberg("the commit is refused", error))?;
            if built.changes.is_empty() {
                return Ok(unchanged(&from.location, metadata, None));
            }
            let built = built.metadata;
            versions::check_columns(built.current_schema(), built.format_version())?;
            if built.location() != metadata.location() {
                check_free(lake, built.location())?;
            }
            let location = next_location(&from.location, &built);
            write_metadata_file(lake, &built, &location).await?;
            let location = location.to_string();
            let publish = Publish::Foreign(Step::Move { from, location: location.clone() });
            let publish = Some(publish);
            let forgotten = forgotten(&metadata, &built);
            Ok(Ready { location, metadata: Arc::new(built), publish, type_name: None, forgotten })
        }
    }
}

fn unchanged(location: &str, metadata: Arc<TableMetadata>, type_name: Option<&Arc<str>>) -> Ready {
    Ready {
        location: location.to_owned(),
        metadata,
        publish: None,
        type_name: type_name.map(Arc::clone),
        forgotten: Vec::new(),
    }
}

/// The metadata files of a table's own folder that its log has no more, when the table wants them removed.
fn forgotten(old: &TableMetadata, new: &TableMetadata) -> Vec<String> {
    if new.properties().get(DELETE_AFTER_COMMIT).is_none_or(|value| value != "true") {
        return Vec::new();
    }
    let folder = format!("{}/", new.location().trim_end_matches('/'));
    let kept = |file: &str| new.metadata_log().iter().any(|entry| entry.metadata_file == file);
    let files = old.metadata_log().iter().map(|entry| &entry.metadata_file);
    files.filter(|file| file.starts_with(&folder) && !kept(file)).cloned().collect()
}

/// Whether nothing but times and logs differs.
fn same_content(old: &TableMetadata, new: &TableMetadata) -> bool {
    let content = |metadata: &TableMetadata| {
        let mut told = serde_json::to_value(metadata).unwrap_or_default();
        if let Some(fields) = told.as_object_mut() {
            for log in ["last-updated-ms", "metadata-log", "snapshot-log"] {
                fields.remove(log);
            }
        }
        told
    };
    content(old) == content(new)
}

fn refused_update(error: Error) -> Refusal {
    let chain = base::error_chain(&error).join(": ");
    // A snapshot that was numbered before others came is stale, not wrong.
    if chain.contains("sequence number") || chain.contains("first-row-id is behind") {
        return Refusal::conflict(format!("Validation failed, please retry: {chain}"));
    }
    Refusal::invalid(chain)
}

fn applied(
    mut builder: iceberg::spec::TableMetadataBuilder,
    updates: Vec<TableUpdate>,
) -> base::Result<iceberg::spec::TableMetadataBuilder> {
    for update in updates {
        builder = update
            .apply(builder)
            .map_err(|error| Error::invalid("the commit cannot be applied").caused_by(error))?;
    }
    Ok(builder)
}

/// Where the next metadata file goes: below the table's location, which may have moved.
fn next_location(present: &str, metadata: &TableMetadata) -> MetadataLocation {
    let folder = metadata.location().trim_end_matches('/');
    let here = present.starts_with(&format!("{folder}/metadata/"));
    match present.parse::<MetadataLocation>() {
        Ok(location) if here => location.with_next_version().with_new_metadata(metadata),
        _ => MetadataLocation::new_with_metadata(folder, metadata),
    }
}

/// The metadata with who made its present snapshot, and how many rows the table has.
fn noted(
    metadata: TableMetadata,
    old: &TableMetadata,
    rows: i64,
    who: &Principal,
) -> Result<TableMetadata, Refusal> {
    let present = metadata.current_snapshot_id();
    if present == old.current_snapshot_id() {
        return Ok(metadata);
    }
    let doing = "note who made a snapshot";
    let mut told = serde_json::to_value(&metadata).map_err(failed(doing))?;
    let summary = told["snapshots"].as_array_mut().and_then(|snapshots| {
        snapshots.iter_mut().find(|one| one["snapshot-id"].as_i64() == present)
    });
    if let Some(summary) = summary.and_then(|one| one["summary"].as_object_mut()) {
        use crate::table::summary::{AUTHOR, FOREIGN, ROWS, TEXT};
        let engine = ["engine-name", "app-name"].iter().find_map(|key| summary.get(*key)?.as_str());
        let text = engine.map_or("another tool".to_owned(), ToOwned::to_owned);
        summary.insert(TEXT.to_owned(), text.into());
        summary.insert(FOREIGN.to_owned(), "true".into());
        summary.insert(AUTHOR.to_owned(), who.subject.as_ref().into());
        summary.insert(ROWS.to_owned(), rows.to_string().into());
    }
    serde_json::from_value(told).map_err(|error| failed(doing)(error).into())
}

/// Makes a table by a commit: the end of a staged creation.
async fn create(lake: &Lake, change: &Change, exists: bool) -> Result<Ready, Refusal> {
    refuse_module(lake, &change.table.namespace)?;
    if exists {
        let name = change.table.shown();
        return Err(Refusal::exists(format!("Requirement failed: table already exists: {name}")));
    }
    if change.requirements.len() > 1 {
        return Err(Refusal::bad("a table that is created can meet no other requirement"));
    }
    let seed = seed(lake, change)?;
    let built = applied(seed.into_builder(None), change.updates.clone()).map_err(refused_update)?;
    let built = built.build().map_err(|error| of_iceberg("the table cannot be made", error))?;
    let metadata = built.metadata;
    versions::check_columns(metadata.current_schema(), metadata.format_version())?;
    check_free(lake, metadata.location())?;
    let location =
        MetadataLocation::new_with_metadata(metadata.location().trim_end_matches('/'), &metadata);
    write_metadata_file(lake, &metadata, &location).await?;
    let location = location.to_string();
    let ident = change.table.clone();
    let step = Step::Create { ident, kind: Shown::Table, location: location.clone() };
    let publish = Some(Publish::Foreign(step));
    let forgotten = Vec::new();
    Ok(Ready { location, metadata: Arc::new(metadata), publish, type_name: None, forgotten })
}

/// The least metadata that the updates can be applied to: their own first schema, partitions and
/// order, with the ids that the client gave them.
fn seed(lake: &Lake, change: &Change) -> Result<TableMetadata, Refusal> {
    let (mut schema, mut spec, mut order) = (None, None, None);
    let (mut version, mut location) = (2, None);
    let mut uuid = lake.config().rng.uuid();
    for update in &change.updates {
        match update {
            TableUpdate::AddSchema { schema: one } if schema.is_none() => schema = Some(one),
            TableUpdate::AddSpec { spec: one } if spec.is_none() => spec = Some(one),
            TableUpdate::AddSortOrder { sort_order } if order.is_none() => order = Some(sort_order),
            TableUpdate::UpgradeFormatVersion { format_version } => {
                version = *format_version as i32;
            }
            TableUpdate::SetLocation { location: one } => location = Some(one.clone()),
            TableUpdate::AssignUuid { uuid: one } => uuid = *one,
            _ => {}
        }
    }
    let missing = |what: &str| Refusal::bad(format!("a table cannot be created without {what}"));
    let schema: &Schema = schema.ok_or_else(|| missing("`add-schema`"))?;
    let location = location.ok_or_else(|| missing("`set-location`"))?;
    let tell = failed::<serde_json::Error>;
    let mut spec = match spec {
        Some(spec) => serde_json::to_value(spec).map_err(tell("read a partition spec"))?,
        None => json!({ "fields": [] }),
    };
    let mut last_partition = 999;
    if let Some(fields) = spec["fields"].as_array_mut() {
        for field in fields {
            if !field["field-id"].is_i64() {
                field["field-id"] = (last_partition + 1).into();
            }
            last_partition = last_partition.max(field["field-id"].as_i64().unwrap_or(0));
        }
    }
    if !spec["spec-id"].is_i64() {
        spec["spec-id"] = 0.into();
    }
    let order = match order {
        Some(order) => serde_json::to_value(order).map_err(tell("read a sort order"))?,
        None => json!({ "order-id": 0, "fields": [] }),
    };
    let text = serde_json::to_value(schema).map_err(tell("read a schema"))?;
    let seed = json!({
        "format-version": version,
        "table-uuid": uuid,
        "location": location,
        "last-sequence-number": 0,
        "last-updated-ms": 0,
        "last-column-id": schema.highest_field_id(),
        "schema": text,
        "schemas": [text],
        "current-schema-id": schema.schema_id(),
        "partition-spec": spec["fields"],
        "partition-specs": [spec],
        "default-spec-id": spec["spec-id"],
        "last-partition-id": last_partition,
        "sort-orders": [order],
        "default-sort-order-id": order["order-id"],
        "next-row-id": 0,
        "properties": {},
        "snapshots": [],
        "refs": {},
    });
    serde_json::from_value(seed)
        .map_err(|error| Refusal::invalid(format!("the table cannot be made: {error}")))
}

/// Succeeds when the table is as the client believes. The words are the reference's.
fn met(requirement: &TableRequirement, metadata: &TableMetadata) -> Result<(), Refusal> {
    let differs = |what: &str, wanted: i64, is: i64| {
        if wanted == is {
            return Ok(());
        }
        let text = format!("Requirement failed: {what} changed: expected id {wanted} != {is}");
        Err(Refusal::conflict(text))
    };
    match requirement {
        TableRequirement::NotExist => {
            Err(Refusal::conflict("Requirement failed: table already exists"))
        }
        TableRequirement::UuidMatch { uuid } if *uuid == metadata.uuid() => Ok(()),
        TableRequirement::UuidMatch { uuid } => Err(Refusal::conflict(format!(
            "Requirement failed: UUID does not match: expected {} != {uuid}",
            metadata.uuid()
        ))),
        TableRequirement::RefSnapshotIdMatch { r#ref: name, snapshot_id } => {
            met_by_ref(name, *snapshot_id, metadata)
        }
        TableRequirement::LastAssignedFieldIdMatch { last_assigned_field_id } => differs(
            "last assigned field id",
            i64::from(*last_assigned_field_id),
            i64::from(metadata.last_column_id()),
        ),
        TableRequirement::CurrentSchemaIdMatch { current_schema_id } => differs(
            "current schema",
            i64::from(*current_schema_id),
            i64::from(metadata.current_schema_id()),
        ),
        TableRequirement::LastAssignedPartitionIdMatch { last_assigned_partition_id } => differs(
            "last assigned partition id",
            i64::from(*last_assigned_partition_id),
            i64::from(metadata.last_partition_id()),
        ),
        TableRequirement::DefaultSpecIdMatch { default_spec_id } => differs(
            "default partition spec",
            i64::from(*default_spec_id),
            i64::from(metadata.default_partition_spec_id()),
        ),
        TableRequirement::DefaultSortOrderIdMatch { default_sort_order_id } => {
            differs("default sort order", *default_sort_order_id, metadata.default_sort_order_id())
        }
    }
}

fn met_by_ref(name: &str, wanted: Option<i64>, metadata: &TableMetadata) -> Result<(), Refusal> {
    let kind = if name == MAIN_BRANCH { "branch" } else { "branch or tag" };
    let is = metadata.snapshot_for_ref(name).map(|snapshot| snapshot.snapshot_id());
    let text = match (wanted, is) {
        (wanted, is) if wanted == is => return Ok(()),
        (None, _) => format!("Requirement failed: {kind} {name} was created concurrently"),
        (Some(wanted), None) => {
            format!("Requirement failed: branch or tag {name} is missing, expected {wanted}")
        }
        (Some(wanted), Some(is)) => {
            format!("Requirement failed: {kind} {name} has changed: expected id {wanted} != {is}")
        }
    };
    Err(Refusal::conflict(text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Metadata whose present ids are these.
    fn metadata(
        schema: i32,
        spec: i32,
        order: i64,
        column: i32,
        main: Option<i64>,
    ) -> TableMetadata {
        let columns = |id: i32| {
            json!({
                "type": "struct",
                "schema-id": id,
                "fields": [{ "id": 1, "name": "a", "required": false, "type": "long" }],
            })
        };
        let specs = [
            json!({ "spec-id": 0, "fields": [] }),
            json!({ "spec-id": 1, "fields": [
                { "source-id": 1, "field-id": 1000, "name": "a", "transform": "identity" },
            ]}),
        ];
        let snapshot = |id: i64| {
            json!({
                "snapshot-id": id,
                "sequence-number": id,
                "timestamp-ms": 1_700_000_000_000_i64 + id,
                "manifest-list": format!("s3://w/t/{id}.avro"),
                "summary": { "operation": "append" },
                "schema-id": 0,
            })
        };
        let mut refs = json!({});
        if let Some(main) = main {
            refs["main"] = json!({ "snapshot-id": main, "type": "branch" });
        }
        let text = json!({
            "format-version": 2,
            "table-uuid": uuid::Uuid::from_u128(u128::from(schema.unsigned_abs())),
            "location": "s3://w/t",
            "last-sequence-number": 3,
            "last-updated-ms": 1_700_000_000_009_i64,
            "last-column-id": column,
            "schemas": [columns(0), columns(1)],
            "current-schema-id": schema,
            "partition-specs": specs,
            "default-spec-id": spec,
            "last-partition-id": 999 + spec,
            "sort-orders": [
                { "order-id": 0, "fields": [] },
                { "order-id": 1, "fields": [{
                    "source-id": 1, "transform": "identity", "direction": "asc",
                    "null-order": "nulls-first",
                }]},
            ],
            "default-sort-order-id": order,
            "properties": {},
            "current-snapshot-id": main,
            "snapshots": [snapshot(1), snapshot(2)],
            "snapshot-log": [],
            "metadata-log": [],
            "refs": refs,
        });
        serde_json::from_value(text).expect("metadata")
    }

    fn requirement() -> impl Strategy<Value = TableRequirement> {
        let small = 0..4_i32;
        prop_oneof![
            Just(TableRequirement::NotExist),
            (0..3_u128)
                .prop_map(|id| TableRequirement::UuidMatch { uuid: uuid::Uuid::from_u128(id) }),
            (prop_oneof![Just("main"), Just("tag")], prop::option::of(0..4_i64)).prop_map(
                |(name, snapshot_id)| TableRequirement::RefSnapshotIdMatch {
                    r#ref: name.to_owned(),
                    snapshot_id,
                }
            ),
            small.clone().prop_map(|id| TableRequirement::LastAssignedFieldIdMatch {
                last_assigned_field_id: id
            }),
            small
                .clone()
                .prop_map(|id| TableRequirement::CurrentSchemaIdMatch { current_schema_id: id }),
            small.clone().prop_map(|id| TableRequirement::LastAssignedPartitionIdMatch {
                last_assigned_partition_id: 998 + id
            }),
            small
                .clone()
                .prop_map(|id| TableRequirement::DefaultSpecIdMatch { default_spec_id: id }),
            small.prop_map(|id| TableRequirement::DefaultSortOrderIdMatch {
                default_sort_order_id: i64::from(id)
            }),
        ]
    }

    proptest! {
        /// The library judges requirements too, in words of its own; both must judge alike.
        #[test]
        fn requirements_are_judged_as_the_library_judges_them(
            wanted in requirement(),
            schema in 0..2_i32,
            spec in 0..2_i32,
            order in 0..2_i64,
            column in 1..4_i32,
            main in prop::option::of(1..3_i64),
        ) {
            let metadata = metadata(schema, spec, order, column, main);
            let ours = met(&wanted, &metadata);
            prop_assert_eq!(ours.is_ok(), wanted.check(Some(&metadata)).is_ok(), "{:?}", &wanted);
            if let Err(refusal) = ours {
                prop_assert_eq!((refusal.status, refusal.kind.as_str()), (409, "CommitFailedException"));
            }
        }
    }
}
