//! Tables: listed, made, loaded, registered, renamed and dropped.
//!
//! In: names and bodies of calls. Out: metadata as the specification gives it. Tables of the central
//! schema are listed and loaded like any other; making, renaming and dropping them is refused with
//! the way to do it. Not here: commits (`commit`).

use std::collections::HashMap;
use std::sync::Arc;

use base::{Error, Kind, Result};
use futures::{FutureExt, StreamExt, TryStreamExt};
use iceberg::spec::{Schema, SortOrder, TableMetadata, TableMetadataBuilder, UnboundPartitionSpec};
use iceberg::{MetadataLocation, TableCreation};
use object_store::ObjectStoreExt;
use schema::TableFormat;
use serde_json::{Value as Json, json};

use super::foreign::{self, Foreign, Shown, Step, shown};
use super::json::{check_name, ident, maybe, ordered, paged, part, properties};
use super::namespaces::{module, must_exist, refuse_module};
use super::{
    Answer, Ident, Namespace, Outcome, Page, Reach, Refusal, Snapshots, idempotency, versions,
};
use crate::commit::snapshot::write_metadata_file;
use crate::failure::failed;
use crate::{Lake, Table};

/// The folder of tables that other tools make, when they name none.
const FOLDER: &str = "_foreign";
/// The property that says which version of the format a new table has.
const FORMAT_VERSION: &str = "format-version";

/// A table as the catalog has it.
#[derive(Clone, Debug)]
pub(super) enum Found {
    /// Of the central schema.
    Owned(Arc<Table>, Arc<TableMetadata>),
    /// Of another tool.
    Foreign(Foreign, Arc<TableMetadata>),
}

impl Found {
    pub(super) fn metadata(&self) -> &Arc<TableMetadata> {
        match self {
            Found::Owned(_, metadata) | Found::Foreign(_, metadata) => metadata,
        }
    }

    pub(super) fn location(&self) -> &str {
        match self {
            Found::Owned(table, _) => &table.metadata_location,
            Found::Foreign(found, _) => &found.location,
        }
    }

    fn reach(&self) -> Reach {
        reach_of(self.metadata(), matches!(self, Found::Owned(..)))
    }
}

fn reach_of(metadata: &TableMetadata, owned: bool) -> Reach {
    let location = metadata.location().trim_end_matches('/').to_owned();
    Reach { locations: vec![location], owned }
}

/// The table of this name; nothing when there is none.
pub(super) async fn find(lake: &Lake, table: &Ident) -> Result<Option<Found>> {
    if let Some(module) = module(lake, &table.namespace) {
        let tables = lake.tables().await?;
        let is_it = |one: &&Arc<Table>| one.namespace == module && one.name.as_ref() == table.name;
        let found = tables.iter().find(is_it);
        return Ok(found.and_then(|one| Some(Found::Owned(Arc::clone(one), one.iceberg.clone()?))));
    }
    let Some(found) = foreign::find(lake, table).await? else { return Ok(None) };
    if found.kind != Shown::Table {
        return Ok(None);
    }
    let metadata = lake.catalog().metadata(&found.location).await?;
    Ok(Some(Found::Foreign(found, metadata)))
}

async fn must_find(lake: &Lake, table: &Ident) -> Result<Found, Refusal> {
    match find(lake, table).await? {
        Some(found) => Ok(found),
        None => Err(no_table(lake, table).await),
    }
}

/// The refusal of a name that no Iceberg table has.
pub(super) async fn no_table(lake: &Lake, table: &Ident) -> Refusal {
    let refusal = Refusal::no_table(&table.shown());
    let tables = lake.tables().await.unwrap_or_default();
    let is_lance = tables.iter().any(|one| {
        one.format == TableFormat::Lance
            && table.namespace == [one.namespace.as_ref()]
            && one.name.as_ref() == table.name
    });
    if !is_lance {
        return refusal;
    }
    let message = format!("{}; it is a Lance table, which Lance reads", refusal.message);
    Refusal { message, ..refusal }
}

pub(super) async fn list(lake: &Lake, namespace: &Namespace, page: &Page) -> Outcome {
    must_exist(lake, namespace).await?;
    let found: Vec<Ident> = match module(lake, namespace) {
        Some(module) => {
            let tables = lake.tables().await?.into_iter();
            let shown = tables.filter(|table| table.namespace == module && table.iceberg.is_some());
            let named = |table: Arc<Table>| Ident {
                namespace: namespace.clone(),
                name: table.name.to_string(),
            };
            shown.map(named).collect()
        }
        None => foreign::listed(lake, namespace, Shown::Table).await?,
    };
    let (page, next) = paged(&found, page)?;
    Ok(Answer::ok(json!({ "identifiers": idents(&page), "next-page-token": next })))
}

pub(super) fn idents(found: &[Ident]) -> Json {
    let one = |ident: &Ident| json!({ "namespace": ident.namespace, "name": ident.name });
    found.iter().map(one).collect()
}

/// A table with its metadata, as clients get it.
pub(super) fn loaded(
    location: Option<&str>,
    metadata: &TableMetadata,
    snapshots: Snapshots,
    owned: bool,
) -> Outcome {
    let mut told = serde_json::to_value(metadata).map_err(failed("tell a table's metadata"))?;
    ordered(&mut told, "snapshots", "sequence-number");
    ordered(&mut told, "schemas", "schema-id");
    ordered(&mut told, "partition-specs", "spec-id");
    ordered(&mut told, "sort-orders", "order-id");
    if snapshots == Snapshots::Refs {
        let named: Vec<i64> = told["refs"]
            .as_object()
            .into_iter()
            .flat_map(|refs| refs.values().filter_map(|one| one["snapshot-id"].as_i64()))
            .collect();
        if let Some(all) = told["snapshots"].as_array_mut() {
            all.retain(|one| one["snapshot-id"].as_i64().is_some_and(|id| named.contains(&id)));
        }
    }
    let etag = location.map(|location| {
        let hash = blake3::hash(format!("{location}\n{snapshots:?}").as_bytes()).to_hex();
        format!("\"{}\"", &hash[..32])
    });
    let body = json!({ "metadata-location": location, "metadata": told, "config": {} });
    Ok(Answer { etag, reach: Some(reach_of(metadata, owned)), ..Answer::ok(body) })
}

pub(super) async fn load(lake: &Lake, table: &Ident, snapshots: Snapshots) -> Outcome {
    let found = must_find(lake, table).await?;
    let owned = matches!(found, Found::Owned(..));
    loaded(Some(found.location()), found.metadata(), snapshots, owned)
}

pub(super) async fn exists(lake: &Lake, table: &Ident) -> Outcome {
    must_find(lake, table).await.map(|_| Answer::empty())
}

pub(super) async fn reach(lake: &Lake, table: &Ident) -> Outcome {
    let found = must_find(lake, table).await?;
    Ok(Answer { reach: Some(found.reach()), ..Answer::ok(json!({ "storage-credentials": [] })) })
}

/// Makes a table, or with `stage-create` only says what it would be.
pub(super) async fn create(lake: &Lake, namespace: &Namespace, body: &Json) -> Outcome {
    let name: String = part(body, "name")?;
    check_name(&name)?;
    let table = Ident { namespace: namespace.clone(), name };
    refuse_module(lake, namespace)?;
    must_exist(lake, namespace).await?;
    refuse_taken(lake, &table).await?;
    let location = location_for(lake, &table, maybe(body, "location")?);
    let metadata = new_metadata(body, &table.name, location)?;
    if maybe::<bool>(body, "stage-create")?.unwrap_or(false) {
        return loaded(None, &metadata, Snapshots::All, false);
    }
    let file = MetadataLocation::new_with_metadata(metadata.location(), &metadata);
    write_metadata_file(lake, &metadata, &file).await?;
    let location = file.to_string();
    let step = Step::Create { ident: table, kind: Shown::Table, location: location.clone() };
    run_or_discard(lake, step, &location).await?;
    let metadata = Arc::new(metadata);
    lake.catalog().remember(&location, Arc::clone(&metadata));
    loaded(Some(&location), &metadata, Snapshots::All, false)
}

/// Carries one step out.
pub(super) async fn run(lake: &Lake, step: Step) -> Result<(), Refusal> {
    publish(lake, step).await?
}

/// Carries one step to a metadata file out that was written for it; the file goes when nothing happened.
pub(super) async fn run_or_discard(lake: &Lake, step: Step, location: &str) -> Result<(), Refusal> {
    let done = publish(lake, step).await;
    let is_needed = match &done {
        Ok(done) => done.is_ok(),
        Err(error) => !error.nothing_happened(),
    };
    if !is_needed {
        lake.discard_location(location).await;
    }
    done?
}

/// The outer error is one of the transaction.
async fn publish(lake: &Lake, step: Step) -> Result<Result<(), Refusal>> {
    let key = idempotency::key();
    let done = lake.catalog().publish(move |tx| {
        let (step, key) = (step.clone(), key.clone());
        async move {
            let done = foreign::step(tx, &step).await?;
            if done.is_ok() {
                idempotency::note(tx, key.as_deref()).await?;
            }
            Ok(done)
        }
        .boxed()
    });
    done.await
}

async fn refuse_taken(lake: &Lake, table: &Ident) -> Result<(), Refusal> {
    match foreign::find(lake, table).await? {
        None => Ok(()),
        Some(Foreign { kind: Shown::Table, .. }) => {
            Err(Refusal::exists(format!("Table already exists: {}", table.shown())))
        }
        Some(_) => {
            let text = format!("View with same name already exists: {}", table.shown());
            Err(Refusal::exists(text))
        }
    }
}

fn new_metadata(body: &Json, name: &str, location: String) -> Result<TableMetadata, Refusal> {
    let mut properties: HashMap<String, String> = properties(body, "properties")?;
    let version = versions::version(properties.remove(FORMAT_VERSION).as_deref())?;
    versions::check_types(body.get("schema").unwrap_or(&Json::Null))?;
    let schema: Schema = part(body, "schema")?;
    versions::check_columns(&schema, version)?;
    let spec: Option<UnboundPartitionSpec> = maybe(body, "partition-spec")?;
    let order: Option<SortOrder> = maybe(body, "write-order")?;
    let creation = TableCreation::builder()
        .name(name.to_owned())
        .location(location)
        .schema(schema)
        .partition_spec_opt(spec)
        .sort_order_opt(order)
        .properties(properties)
        .format_version(version)
        .build();
    let built = TableMetadataBuilder::from_table_creation(creation).and_then(|made| made.build());
    Ok(built.map_err(|error| of_iceberg("the table cannot be made", error))?.metadata)
}

/// An error of the library about what a client sent.
pub(super) fn of_iceberg(doing: &str, error: iceberg::Error) -> Refusal {
    use iceberg::ErrorKind;
    let text = error.message().to_owned();
    match error.kind() {
        ErrorKind::CatalogCommitConflicts => Refusal::conflict(text),
        ErrorKind::TableNotFound => Refusal::no_table(&text),
        _ => Refusal::invalid(format!("{doing}: {text}")),
    }
}

/// Where a table of another tool lies: where its maker wants it, when that is among the tools' own
/// folders, and otherwise in a new one there. The answer says which.
pub(super) fn location_for(lake: &Lake, table: &Ident, wanted: Option<String>) -> String {
    let wanted = wanted.map(|location| location.trim_end_matches('/').to_owned());
    if let Some(wanted) = wanted.filter(|wanted| check_free(lake, wanted).is_ok()) {
        return wanted;
    }
    let short = lake.config().rng.uuid().simple().to_string();
    let plain = |text: &str| -> String {
        text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect()
    };
    let namespace = plain(&shown(&table.namespace));
    let name = plain(&table.name);
    lake.locations().location(&format!("{FOLDER}/{namespace}/{name}-{}", &short[..8]))
}

/// Refuses a location outside the folders of other tools: what lies elsewhere is Headwater's, whose
/// clean-up removes files that it does not know.
pub(super) fn check_free(lake: &Lake, wanted: &str) -> Result<(), Refusal> {
    let path = lake.locations().path(wanted)?;
    let mut parts = path.parts();
    let is_ours = parts.next().is_some_and(|first| first.as_ref() == FOLDER);
    if is_ours && parts.next().is_some() {
        return Ok(());
    }
    let folder = lake.locations().location(FOLDER);
    let text =
        format!("`{wanted}` belongs to Headwater; files of other tools lie below `{folder}/`");
    Err(Refusal::forbidden(text))
}

/// Brings a table that exists elsewhere in the warehouse into the catalog.
pub(super) async fn register(lake: &Lake, namespace: &Namespace, body: &Json) -> Outcome {
    let name: String = part(body, "name")?;
    check_name(&name)?;
    let table = Ident { namespace: namespace.clone(), name };
    let location: String = part(body, "metadata-location")?;
    let overwrite: bool = maybe(body, "overwrite")?.unwrap_or(false);
    refuse_module(lake, namespace)?;
    must_exist(lake, namespace).await?;
    let present = foreign::find(lake, &table).await?;
    if !overwrite {
        refuse_taken(lake, &table).await?;
    }
    check_free(lake, &location)?;
    let metadata =
        lake.catalog().metadata(&location).await.map_err(|error| match error.kind() {
            Kind::NotFound => Refusal::missing(
                "NotFoundException",
                format!("Failed to open input stream for file: {location}"),
            ),
            _ => Refusal::invalid(format!("`{location}` is no table metadata that can be read")),
        })?;
    check_free(lake, metadata.location())?;
    let step = match present {
        Some(from) if from.kind == Shown::Table => Step::Move { from, location: location.clone() },
        _ => Step::Create { ident: table, kind: Shown::Table, location: location.clone() },
    };
    run(lake, step).await?;
    loaded(Some(&location), &metadata, Snapshots::All, false)
}

/// Takes a table out of the catalog; its files go too when that is asked for.
pub(super) async fn drop(lake: &Lake, table: &Ident, purge: bool) -> Outcome {
    refuse_module(lake, &table.namespace)?;
    let found = removed(lake, table, Shown::Table).await?;
    if purge {
        remove_files(lake, &found).await?;
    }
    Ok(Answer::empty())
}

pub(super) async fn unregister(lake: &Lake, table: &Ident) -> Outcome {
    refuse_module(lake, &table.namespace)?;
    let found = removed(lake, table, Shown::Table).await?;
    let metadata = lake.catalog().metadata(&found.location).await?;
    loaded(Some(&found.location), &metadata, Snapshots::All, false)
}

/// Takes a row out, however often it is changed meanwhile.
pub(super) async fn removed(lake: &Lake, wanted: &Ident, kind: Shown) -> Result<Foreign, Refusal> {
    let missing = || match kind {
        Shown::Table => Refusal::no_table(&wanted.shown()),
        Shown::View => Refusal::no_view(&wanted.shown()),
    };
    let found = foreign::find(lake, wanted).await?.filter(|found| found.kind == kind);
    let found = found.ok_or_else(missing)?;
    let (row, key) = (found.clone(), idempotency::key());
    let gone = lake.catalog().database().write(move |tx| {
        let (row, key) = (row.clone(), key.clone());
        async move {
            let gone = foreign::remove(tx, &row).await?;
            if gone {
                idempotency::note(tx, key.as_deref()).await?;
            }
            Ok(gone)
        }
        .boxed()
    });
    if gone.await? {
        return Ok(found);
    }
    Err(Refusal::conflict(format!("{} was changed meanwhile", wanted.shown())))
}

/// Removes the files below a dropped table's location, unless another table lies there too.
async fn remove_files(lake: &Lake, gone: &Foreign) -> Result<(), Refusal> {
    // Metadata that cannot be read names no location; the table is gone all the same.
    let Ok(metadata) = lake.catalog().metadata(&gone.location).await else { return Ok(()) };
    let location = metadata.location().trim_end_matches('/');
    let overlaps = |other: &str| {
        let other = other.trim_end_matches('/');
        let inside = |outer: &str, inner: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        inside(location, other) || inside(other, location)
    };
    let others = lake.foreign_tables().await?;
    if others.iter().any(|(_, other)| overlaps(other.location())) {
        return Ok(());
    }
    let folder = lake.locations().path(location)?;
    let objects = &lake.config().objects;
    let listed = objects.list(Some(&folder)).map_ok(|meta| meta.location).boxed();
    let removed = objects.delete_stream(listed).try_for_each(|_| async { Ok(()) }).await;
    match removed {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(failed(format!("remove the files of `{location}`"))(error).into()),
    }
}

pub(super) async fn rename(lake: &Lake, body: &Json) -> Outcome {
    moved(lake, body, Shown::Table).await
}

/// Gives a table or a view another name.
pub(super) async fn moved(lake: &Lake, body: &Json, kind: Shown) -> Outcome {
    let (source, target) = (part::<Json>(body, "source")?, part::<Json>(body, "destination")?);
    let (source, target) = (ident(&source)?, ident(&target)?);
    refuse_module(lake, &source.namespace)?;
    refuse_module(lake, &target.namespace)?;
    let found = foreign::find(lake, &source).await?.filter(|found| found.kind == kind);
    let Some(found) = found else {
        return Err(match kind {
            Shown::Table => no_table(lake, &source).await,
            Shown::View => Refusal::no_view(&source.shown()),
        });
    };
    let key = idempotency::key();
    let outcome = lake.catalog().database().write(move |tx| {
        let (found, target, key) = (found.clone(), target.clone(), key.clone());
        async move {
            let moved = foreign::rename(tx, &found, &target).await?;
            if moved.is_ok() {
                idempotency::note(tx, key.as_deref()).await?;
            }
            Ok(moved)
        }
        .boxed()
    });
    outcome.await?.map(|()| Answer::empty())
}

impl Lake {
    /// Where the files of a table lie, by its name with its namespace (`catalog.films`), or without
    /// when it is one of the central schema; Lance tables too.
    pub async fn reach_by_name(&self, name: &str) -> Result<Reach> {
        let (namespace, bare) = name.rsplit_once('.').unwrap_or(("", name));
        for table in self.tables().await? {
            let here = namespace.is_empty() || table.namespace.as_ref() == namespace;
            if here && (table.name.as_ref() == bare || table.type_name.as_ref() == bare) {
                return Ok(match &table.iceberg {
                    Some(metadata) => reach_of(metadata, true),
                    None => {
                        Reach { locations: vec![table.metadata_location.to_string()], owned: true }
                    }
                });
            }
        }
        let namespace = namespace.split('.').map(ToOwned::to_owned).collect();
        let ident = Ident { namespace, name: bare.to_owned() };
        match foreign::find(self, &ident).await?.filter(|found| found.kind == Shown::Table) {
            Some(found) => Ok(reach_of(self.catalog().metadata(&found.location).await?.as_ref(), false)),
            None => Err(Error::not_found(format!("there is no table `{name}`"))
                .hint("`headwater tables` lists those of the schema; others are named with their namespace")),
        }
    }

    /// The table whose files an object is among; nothing when it is no table's.
    pub async fn reach_of(&self, key: &str) -> Result<Option<Reach>> {
        let location = self.locations().location(key);
        let inside = |metadata: &TableMetadata| {
            let folder = metadata.location().trim_end_matches('/');
            location.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
        };
        for table in self.tables().await? {
            if let Some(metadata) = table.iceberg.as_ref().filter(|metadata| inside(metadata)) {
                return Ok(Some(reach_of(metadata, true)));
            }
        }
        let foreign = self.foreign_tables().await?;
        let found = foreign.iter().find(|(_, metadata)| inside(metadata));
        Ok(found.map(|(_, metadata)| reach_of(metadata, false)))
    }

    /// Whether an object exists, as the store says it.
    pub(crate) async fn size_of(&self, location: &str) -> Result<u64> {
        let path = self.locations().path(location)?;
        match self.config().objects.head(&path).await {
            Ok(meta) => Ok(meta.size),
            Err(object_store::Error::NotFound { .. }) => {
                Err(Error::invalid(format!("there is no object `{location}`")))
            }
            Err(error) => Err(failed(format!("look for `{location}`"))(error)),
        }
    }
}
