//! What all queries of a lake share: bounded memory, bounded spill, caches, DataFusion's functions.
//!
//! In: the lake's configuration. Out: providers of tables at a snapshot, and plans carried out as
//! streams. Not here: what is asked (`sql`, `scan`).

use std::sync::{Arc, OnceLock};

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use base::ids::TableId;
use base::{Error, Kind, Result};
use datafusion::catalog::TableProvider;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::execution::cache::cache_manager::{CacheManagerConfig, FileMetadataCache};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::SessionConfig;
use frame::{BatchStream, SnapshotRef};
use futures::StreamExt;
use iceberg::spec::{DataFile, TableMetadata};
use object_store::{ObjectMeta, ObjectStore};
use parquet::file::metadata::ParquetMetaData;
use schema::ObjectType;

use super::coded::GroupByCodes;
use super::columns::{Columns, Earlier};
use super::direct::blocks::{self, BlockKey};
use super::direct::contents::{self, RowContents};
use super::direct::zones::Zones;
use super::failure;
use super::footers::Footers;
use super::manifests::{Manifests, SnapshotFiles};
use super::provider::{IcebergProvider, immutable_object, store_url};
use crate::binding::shown_of;
use crate::cache::Cache;
use crate::failure::failed;
use crate::history;
use crate::maintain::doomed::Scans;
use crate::search::TextIndexes;
use crate::shape;
use crate::{Config, Table};

/// Bytes of page statistics that are held.
const ZONE_BYTES: usize = 16 << 20;
/// Columns of files of which it is known whether they are wide.
const WIDE_ENTRIES: usize = 1 << 16;
/// Schemas of tables of which the columns are held.
const SCHEMAS: usize = 1024;
/// Consumers that an out-of-memory error names.
const NAMED_CONSUMERS: usize = 3;

/// Shared by all queries of one process on one lake.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) manifests: Manifests,
    pub(crate) store_url: ObjectStoreUrl,
    pub(crate) texts: TextIndexes,
    /// Decoded columns of files, for look-ups.
    pub(crate) blocks: Cache<BlockKey, ArrayRef>,
    /// Page statistics of files, for look-ups.
    pub(crate) zones: Cache<(Arc<str>, i32), Arc<Zones>>,
    /// The contents of files' rows, for neighbours.
    pub(crate) contents: Cache<(Arc<str>, i32), Arc<RowContents>>,
    /// Which columns of which files are too wide to be held, for look-ups.
    pub(crate) wide: Cache<(Arc<str>, i32), bool>,
    /// The columns of each schema of a table.
    columns: Cache<(TableId, i32), Arc<Declared>>,
    scans: Arc<Scans>,
    runtime: Arc<RuntimeEnv>,
    /// Made when a query first needs it: a server that looks rows up by their keys never does, and holds
    /// none of the engine's functions.
    state: OnceLock<SessionState>,
}

impl Engine {
    /// For the lake with this configuration.
    pub(crate) fn new(config: &Config, scans: Arc<Scans>) -> Result<Engine> {
        let store_url = store_url(&config.warehouse)?;
        let runtime = runtime(config)
            .map_err(|error| failure::internal("failed to set up the query engine", error))?;
        runtime.register_object_store(store_url.as_ref(), Arc::clone(&config.objects));
        Ok(Engine {
            objects: Arc::clone(&config.objects),
            manifests: Manifests::new(Arc::clone(&config.objects), &config.warehouse),
            store_url,
            texts: TextIndexes::new(Arc::clone(&config.objects)),
            blocks: Cache::new(blocks::HELD_BYTES),
            zones: Cache::new(ZONE_BYTES),
            contents: Cache::new(contents::HELD_BYTES),
            wide: Cache::new(WIDE_ENTRIES),
            columns: Cache::new(SCHEMAS),
            scans,
            runtime,
            state: OnceLock::new(),
        })
    }

    /// A session of its own for one query; functions, memory and caches are shared.
    pub(crate) fn session(&self) -> SessionState {
        self.state.get_or_init(|| state(&self.runtime)).clone()
    }

    /// The held Parquet footers.
    pub(crate) fn footers(&self) -> Arc<dyn FileMetadataCache> {
        self.runtime.cache_manager.get_file_metadata_cache()
    }

    /// How the object store knows a data file.
    pub(crate) fn object_meta(&self, file: &DataFile) -> Result<ObjectMeta> {
        Ok(immutable_object(self.manifests.path(file.file_path())?, file.file_size_in_bytes()))
    }

    /// The footer of a data file.
    pub(crate) async fn footer(&self, file: &ObjectMeta) -> Result<Arc<ParquetMetaData>> {
        DFParquetMetadata::new(self.objects.as_ref(), file)
            .with_file_metadata_cache(Some(self.footers()))
            .fetch_metadata()
            .await
            .map_err(|error| {
                failure::reading(&format!("failed to read `{}`", file.location), error)
            })
    }

    /// The files of an Iceberg table at a snapshot; none when it has no snapshot yet.
    pub(crate) async fn files(
        &self,
        metadata: &TableMetadata,
        at: Option<&iceberg::spec::Snapshot>,
    ) -> Result<Arc<SnapshotFiles>> {
        match at {
            Some(snapshot) => self.manifests.files(metadata, snapshot).await,
            None => Ok(Arc::default()),
        }
    }

    /// The columns of one schema of a table, as the central schema declares them: made once, for
    /// they are asked for with every look-up.
    fn columns(
        &self,
        key: (TableId, i32),
        schema: &iceberg::spec::Schema,
        object: Option<&ObjectType>,
    ) -> Result<Arc<Columns>> {
        let held = self.columns.get(&key).filter(|held| held.is_of(object));
        if let Some(held) = held {
            return Ok(Arc::clone(&held.columns));
        }
        let columns = Arc::new(Columns::new(schema, object, Vec::new())?);
        let types = types_of(object).map(|(column, kind)| (Arc::clone(column), kind.clone()));
        let declared = Declared { types: types.collect(), columns: Arc::clone(&columns) };
        self.columns.put(key, Arc::new(declared), 1);
        Ok(columns)
    }

    /// Carries a plan out.
    pub(crate) async fn run(
        &self,
        state: &SessionState,
        plan: &LogicalPlan,
    ) -> Result<(SchemaRef, BatchStream)> {
        let scan = self.scans.begin();
        let physical = state.create_physical_plan(plan).await.map_err(failure::of_query)?;
        let schema = physical.schema();
        let stream = execute_stream(physical, state.task_ctx()).map_err(failure::of_query)?;
        let batches = stream.map(move |batch| {
            // The scan runs until the last batch was taken or nobody wants more.
            let _running = &scan;
            batch.map_err(failure::of_query)
        });
        Ok((schema, Box::pin(batches)))
    }
}

/// The columns of a table, with the types that they were declared by.
#[derive(Debug)]
struct Declared {
    types: Vec<(Arc<str>, frame::DataType)>,
    columns: Arc<Columns>,
}

impl Declared {
    fn is_of(&self, object: Option<&ObjectType>) -> bool {
        self.types.iter().map(|(column, data_type)| (column, data_type)).eq(types_of(object))
    }
}

fn types_of(object: Option<&ObjectType>) -> impl Iterator<Item = (&Arc<str>, &frame::DataType)> {
    let declared = object.into_iter().flat_map(ObjectType::columns);
    declared.map(|(_, spec)| (&spec.column, &spec.data_type))
}

/// An Iceberg table at a snapshot, with the columns of `view`, as something to query.
pub(crate) async fn iceberg_provider(
    engine: &Arc<Engine>,
    table: &Table,
    object: Option<&ObjectType>,
    at: Option<SnapshotRef>,
    view: View,
) -> Result<IcebergProvider> {
    let metadata = iceberg_metadata(table)?;
    let snapshot = snapshot_at(table, metadata, at)?;
    let schema = match (view, snapshot) {
        (View::OfSnapshot, Some(snapshot)) => snapshot.schema(metadata).map_err(|error| {
            Error::new(Kind::Corrupt, format!("failed to read table `{}`", table.name))
                .caused_by(error)
        })?,
        _ => Arc::clone(metadata.current_schema()),
    };
    let id = schema.schema_id();
    // Nobody sees the columns that a change prepares or that only an earlier version has.
    let schema = match shown_of(&schema) {
        None => schema,
        Some(fields) => {
            let shown = iceberg::spec::Schema::builder().with_fields(fields).build();
            Arc::new(shown.map_err(failed(format!("read table `{}`", table.name)))?)
        }
    };
    let then = match (at, snapshot) {
        (Some(_), Some(snapshot)) => snapshot.schema(metadata).ok(),
        _ => None,
    };
    let earlier = earlier_of(table, &schema, then.as_deref(), object)?;
    let columns = match earlier.is_empty() {
        true => engine.columns((table.id, id), &schema, object)?,
        false => Arc::new(Columns::new(&schema, object, earlier)?),
    };
    Ok(IcebergProvider {
        engine: Arc::clone(engine),
        metadata: Arc::clone(metadata),
        columns,
        files: engine.files(metadata, snapshot.map(AsRef::as_ref)).await?,
    })
}

/// How an earlier version of the schema, that the table is bound to, reads each of its columns; and
/// how columns that must have a value now are read of a snapshot that was made before they had to,
/// by the schema of `then`.
fn earlier_of(
    table: &Table,
    schema: &iceberg::spec::Schema,
    then: Option<&iceberg::spec::Schema>,
    object: Option<&ObjectType>,
) -> Result<Vec<Option<Earlier>>> {
    let Some(object) = object.filter(|_| table.seen.binding.is_some() || then.is_some()) else {
        return Ok(Vec::new());
    };
    let present = table.stored()?.current_schema();
    let shown = shown_of(present).unwrap_or_else(|| present.as_struct().fields().to_vec());
    let was_optional = |field: &iceberg::spec::NestedFieldRef| {
        let known = then.map(|then| then.field_by_id(field.id));
        field.required && known.is_some_and(|known| known.is_none_or(|known| !known.required))
    };
    let of = |field: &iceberg::spec::NestedFieldRef| {
        let found = object.columns().find(|(_, spec)| spec.column.as_ref() == field.name);
        let Some((def, spec)) = found else { return Ok(None) };
        if table.seen.binding.as_ref().is_some_and(|binding| binding.converts(field.id)) {
            return shape::gone(def, spec).map(Earlier::Converted).map(Some);
        }
        if shown.iter().any(|now| now.id == field.id) && !was_optional(field) {
            return Ok(None);
        }
        shape::gone(def, spec).map(Earlier::Gone).map(Some)
    };
    schema.as_struct().fields().iter().map(of).collect()
}

/// Whose columns a look into the past shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// Those of today: what GraphQL knows.
    Current,
    /// Those of the snapshot: what SQL shows, so that dropped columns can be seen again.
    OfSnapshot,
}

/// The metadata of a table that must be an Iceberg table.
pub(crate) fn iceberg_metadata(table: &Table) -> Result<&Arc<TableMetadata>> {
    table.iceberg.as_ref().ok_or_else(|| {
        Error::internal(format!("table `{}` was read as Iceberg without metadata", table.name))
    })
}

/// The snapshot that is asked for; `None` only for a table that never had one.
pub(crate) fn snapshot_at<'a>(
    table: &Table,
    metadata: &'a TableMetadata,
    at: Option<SnapshotRef>,
) -> Result<Option<&'a Arc<iceberg::spec::Snapshot>>> {
    let missing = |what: String| {
        Error::not_found(format!("table `{}` has no snapshot {what}", table.name))
            .hint(format!("`headwater snapshots {}` lists those that are kept", table.type_name))
    };
    match at {
        None => Ok(metadata.current_snapshot()),
        Some(SnapshotRef::Id(0)) if metadata.snapshots().len() == 0 => Ok(None),
        Some(SnapshotRef::Id(id)) => match metadata.snapshot_by_id(id) {
            Some(snapshot) => Ok(Some(snapshot)),
            None => Err(missing(format!("`{id}`"))),
        },
        Some(SnapshotRef::Time(time)) => {
            let state = history::state_at(table, metadata, time)?;
            state.map(Some).ok_or_else(|| missing(format!("at or before {time}")))
        }
    }
}

/// The provider behind a pointer, as DataFusion takes it.
pub(crate) fn shared(provider: IcebergProvider) -> Arc<dyn TableProvider> {
    Arc::new(provider)
}

fn runtime(config: &Config) -> datafusion::common::Result<Arc<RuntimeEnv>> {
    let bytes = usize::try_from(config.limits.query_memory).unwrap_or(usize::MAX);
    let named = std::num::NonZeroUsize::new(NAMED_CONSUMERS).unwrap_or(std::num::NonZeroUsize::MIN);
    let pool = TrackConsumersPool::new(FairSpillPool::new(bytes), named);
    let disk = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::OsTmpDirectory)
        .with_max_temp_directory_size(config.limits.spill);
    let footers: Arc<dyn FileMetadataCache> = Arc::new(Footers::new());
    RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(pool))
        .with_disk_manager_builder(disk)
        .with_cache_manager(CacheManagerConfig::default().with_file_metadata_cache(Some(footers)))
        .build_arc()
}

fn state(runtime: &Arc<RuntimeEnv>) -> SessionState {
    SessionStateBuilder::new()
        .with_config(session_config())
        .with_runtime_env(Arc::clone(runtime))
        .with_default_features()
        .with_physical_optimizer_rules(optimizers(runtime))
        .build()
}

/// The engine's own rules, and after them ours.
fn optimizers(runtime: &RuntimeEnv) -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    let footers = runtime.cache_manager.get_file_metadata_cache();
    rules.push(Arc::new(GroupByCodes { footers }));
    rules
}

fn session_config() -> SessionConfig {
    SessionConfig::new()
        .with_information_schema(true)
        .with_default_catalog_and_schema("lake", "main")
        .with_create_default_catalog_and_schema(false)
        .set_bool("datafusion.sql_parser.collect_spans", true)
        // Identifiers are case-sensitive names of the central schema, so `takenAt` needs no quotes.
        .set_bool("datafusion.sql_parser.enable_ident_normalization", false)
        .set_bool("datafusion.sql_parser.map_string_types_to_utf8view", false)
        .set_bool("datafusion.explain.logical_plan_only", false)
}
