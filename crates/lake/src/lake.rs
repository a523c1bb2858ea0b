//! The handle to a lake: what it stands on, and the stages that it calls.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use base::ids::NodeId;
use base::rng::Rng;
use base::{Clock, Error, Kind, Result};
use futures::future::BoxFuture;
use iceberg::io::FileIO;
use object_store::ObjectStore;
use parking_lot::{Mutex, RwLock};
use schema::{ObjectType, Schema, TableFormat};

use crate::catalog::{Catalog, Writer};
use crate::commit::group::Queues;
use crate::companion::Companions;
use crate::failure::failed;
use crate::files::Files;
use crate::lance_table;
use crate::maintain::budget::{BYTES_A_MINUTE, Budget};
use crate::maintain::doomed::{self, Observed, Scans};
use crate::maintain::superseded::Superseded;
use crate::place::Place;
use crate::query::engine::Engine;
use crate::query::suggest::did_you_mean;
use crate::storage::{LakeStorage, Locations, Traffic, Unsettled};
use crate::table::{Snapshot, Table};

/// What a lake stands on.
#[derive(Clone, Debug)]
pub struct Config {
    /// The logical warehouse: locations are `s3://<warehouse>/…` in all metadata, wherever the
    /// bytes are.
    pub warehouse: String,
    /// All bytes of all tables, with paths below the warehouse.
    pub objects: Arc<dyn ObjectStore>,
    /// Catalog pointers, idempotency keys, import journal.
    pub database: meta::Database,
    /// The present.
    pub clock: Clock,
    /// Randomness for ids and file names.
    pub rng: Rng,
    /// Stated bounds.
    pub limits: Limits,
    /// Whether a table is compacted beside the commits that leave small files.
    pub compact: bool,
    /// Whether tables are tended beside commits at all. A process that ends with its one command leaves
    /// that to others: it would be cut off, and its turns would keep them away for a while.
    pub tends: bool,
    /// How long snapshots are kept where a type does not say.
    pub retain: Duration,
    /// Snapshots of a table above which older ones are thinned out.
    pub snapshots: Option<usize>,
}

/// Stated bounds of one process.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes that queries may hold before they spill.
    pub query_memory: u64,
    /// Bytes that one import may hold.
    pub import_memory: u64,
    /// Bytes that queries may spill to disk.
    pub spill: u64,
    /// Rows that one scan may give without an explicit larger limit.
    pub rows: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            query_memory: 2 << 30,
            import_memory: 512 << 20,
            spill: 16 << 30,
            rows: 10_000_000,
        }
    }
}

/// An open lake; clones share it.
#[derive(Clone, Debug)]
pub struct Lake {
    pub(crate) inner: Arc<Inner>,
    /// The version of the schema that this handle stands for; without one it follows the deployed
    /// one, as maintenance does.
    pub(crate) pin: Option<Pin>,
    /// The hold that this handle's commits may pass.
    pub(crate) holder: Option<Arc<str>>,
    /// Set when a commit has ended that hold, for a hold that lasts for one commit.
    spent: Option<Arc<AtomicBool>>,
    /// What the commit that is being made has written and not waited for.
    unsettled: Option<Commit>,
}

/// The files of one commit on their way to the store.
#[derive(Clone, Debug)]
struct Commit {
    io: FileIO,
    unsettled: Unsettled,
}

/// A version of the schema.
#[derive(Clone, Debug)]
pub(crate) struct Pin {
    pub(crate) schema: Arc<Schema>,
    pub(crate) version: i64,
}

/// Finds the schema of a version that this process has not met yet.
pub type Learn = Arc<dyn Fn(i64) -> BoxFuture<'static, Result<Arc<Schema>>> + Send + Sync>;

pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) schema: RwLock<Arc<Schema>>,
    pub(crate) catalog: Catalog,
    pub(crate) locations: Locations,
    pub(crate) io: FileIO,
    storage: LakeStorage,
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) files: Files,
    pub(crate) query: Arc<Engine>,
    pub(crate) companions: Companions,
    pub(crate) queues: Mutex<Queues>,
    learn: RwLock<Option<Learn>>,
    learned: Mutex<Option<Pin>>,
    /// This process, to whom it leases turns.
    pub(crate) node: NodeId,
    pub(crate) budget: Budget,
    pub(crate) scans: Arc<Scans>,
    /// Whether this process has a pin.
    pub(crate) pinned: AtomicBool,
    pub(crate) superseded: Superseded,
    pub(crate) observed: Mutex<Observed>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Lake {
    /// Opens the lake with the deployed schema, making what is missing and recovering what a crash
    /// left.
    pub async fn open(config: Config, schema: Arc<Schema>) -> Result<Lake> {
        let traffic = Arc::new(Traffic::default());
        let objects = Arc::clone(&config.objects);
        let storage = LakeStorage::new(&config.warehouse, objects, Arc::clone(&traffic));
        let io = storage.file_io();
        let catalog =
            Catalog::open(config.database.clone(), io.clone(), config.clock.clone()).await?;
        let locations = Locations::new(&config.warehouse);
        let files = Files::new(io.clone(), Arc::clone(&config.objects), locations.clone());
        config.database.migrate("lake_maintain", doomed::MIGRATIONS).await?;
        let scans = Arc::new(Scans::default());
        let query = Arc::new(Engine::new(&config, Arc::clone(&scans))?);
        let node = NodeId::generate(&config.rng);
        let companions = Companions::open(&config).await?;
        Lake::open_rest(&config.database).await?;
        Ok(Lake {
            inner: Arc::new(Inner {
                schema: RwLock::new(schema),
                config,
                catalog,
                locations,
                io,
                storage,
                traffic,
                files,
                query,
                companions,
                queues: Mutex::default(),
                learn: RwLock::default(),
                learned: Mutex::default(),
                node,
                budget: Budget::new(BYTES_A_MINUTE),
                scans,
                pinned: AtomicBool::new(false),
                superseded: Superseded::default(),
                observed: Mutex::default(),
            }),
            pin: None,
            holder: None,
            spent: None,
            unsettled: None,
        })
    }

    /// The schema that requests are answered by.
    pub fn schema(&self) -> Arc<Schema> {
        match &self.pin {
            Some(pin) => Arc::clone(&pin.schema),
            None => Arc::clone(&self.inner.schema.read()),
        }
    }

    /// The lake as one version of the schema sees it, also after a newer one was deployed, for as
    /// long as the version is served.
    pub fn pinned(&self, schema: Arc<Schema>, version: i64) -> Lake {
        Lake { pin: Some(Pin { schema, version }), ..self.clone() }
    }

    /// The lake as this process knows it without a version: what maintenance works on.
    pub(crate) fn unpinned(&self) -> Lake {
        Lake { pin: None, ..self.clone() }
    }

    /// The same handle, whose commits pass the hold of this name.
    pub(crate) fn holding(&self, holder: &Arc<str>) -> Lake {
        Lake { holder: Some(Arc::clone(holder)), ..self.clone() }
    }

    /// As [`Lake::holding`], for a hold that ends with the first commit; that it did is said in
    /// `spent`.
    pub(crate) fn holding_once(&self, holder: &Arc<str>, spent: &Arc<AtomicBool>) -> Lake {
        Lake { spent: Some(Arc::clone(spent)), ..self.holding(holder) }
    }

    /// A handle for one commit: the small files that are written through it are durable only when
    /// [`Lake::settle`] has returned. One that is such a handle stays what it is.
    pub(crate) fn unsettled(&self) -> Lake {
        let mut lake = self.clone();
        if lake.unsettled.is_none() {
            let unsettled = Unsettled::default();
            let io = self.inner.storage.unsettled(&unsettled).file_io();
            lake.unsettled = Some(Commit { io, unsettled });
        }
        lake
    }

    /// Waits until everything that was written through this handle is durable.
    pub(crate) async fn settle(&self) -> Result<()> {
        match &self.unsettled {
            Some(commit) => {
                commit.unsettled.settle().await.map_err(failed("write the files of a commit"))
            }
            None => Ok(()),
        }
    }

    /// Where Iceberg's files are written through this handle.
    pub(crate) fn io(&self) -> &FileIO {
        match &self.unsettled {
            Some(commit) => &commit.io,
            None => &self.inner.io,
        }
    }

    /// Who commits through this handle.
    pub(crate) fn writer(&self) -> Writer {
        Writer { version: self.version(), holder: self.holder.clone(), spent: self.spent.clone() }
    }

    /// The version that this handle stands for.
    pub fn version(&self) -> Option<i64> {
        self.pin.as_ref().map(|pin| pin.version)
    }

    /// Says where the schemas of versions are found that other nodes have deployed.
    pub fn set_learn(&self, learn: Learn) {
        *self.inner.learn.write() = Some(learn);
    }

    /// The lake as a version sees it that this process may not have met yet.
    pub(crate) async fn at_version(&self, version: i64) -> Result<Lake> {
        let known = self.inner.learned.lock().clone().filter(|pin| pin.version == version);
        if let Some(pin) = known {
            return Ok(self.pinned(pin.schema, version));
        }
        let learn = self.inner.learn.read().clone().ok_or_else(|| {
            Error::new(Kind::Stale, format!("schema version {version} was deployed meanwhile"))
        })?;
        let schema = learn(version).await?;
        *self.inner.learned.lock() = Some(Pin { schema: Arc::clone(&schema), version });
        Ok(self.pinned(schema, version))
    }

    /// Switches to a newer deployed schema; requests in flight finish on the old one.
    pub fn set_schema(&self, schema: Arc<Schema>) {
        *self.inner.schema.write() = schema;
    }

    /// Bytes a minute that background work of this process may read.
    pub fn set_budget(&self, bytes_a_minute: u64) {
        self.inner.budget.set(bytes_a_minute);
    }

    /// Names the place of the objects, which may move: from now on, every commit checks that this
    /// node knows of it.
    pub fn set_place(&self, place: Place) {
        self.inner.companions.lance.set_place(place.clone());
        self.inner.catalog.set_place(place);
    }

    /// What the lake stands on.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// The catalog: which tables there are.
    pub fn catalog(&self) -> &Catalog {
        &self.inner.catalog
    }

    /// Manifests, data files and position deletes of Iceberg tables.
    pub fn files(&self) -> &Files {
        &self.inner.files
    }

    /// Logical locations and the objects behind them.
    pub fn locations(&self) -> &Locations {
        &self.inner.locations
    }

    /// Bytes that Iceberg's storage has read and written.
    pub fn traffic(&self) -> &Traffic {
        &self.inner.traffic
    }

    /// The table of this type as it is now.
    pub async fn table(&self, type_name: &str) -> Result<Arc<Table>> {
        let schema = self.schema();
        self.inner.catalog.table(type_name, self.version()).await.map_err(|error| {
            if error.kind() != Kind::NotFound || schema.types.contains_key(type_name) {
                return error;
            }
            let names = schema.tables().map(|(_, object, _)| object.name.as_ref());
            let unknown = Error::not_found(format!("there is no type `{type_name}`"));
            match did_you_mean(type_name, names) {
                Some(near) => unknown.hint(format!("did you mean `{near}`?")),
                None => unknown.hint("`headwater tables` lists them"),
            }
        })
    }

    /// All tables as they are now, by name.
    pub async fn tables(&self) -> Result<Vec<Arc<Table>>> {
        self.inner.catalog.tables(self.version()).await
    }

    /// The committed states of a table that can still be read, oldest first.
    pub async fn snapshots(&self, type_name: &str) -> Result<Vec<Snapshot>> {
        let table = self.table(type_name).await?;
        match table.format {
            TableFormat::Iceberg => Ok(table.snapshots()),
            TableFormat::Lance => lance_table::snapshots(self, &table).await,
        }
    }
}

/// The type with this name, or an error that says so.
pub(crate) fn object_named<'a>(schema: &'a Schema, type_name: &str) -> Result<&'a ObjectType> {
    let found = schema.type_named(type_name).map(|(_, object)| object);
    found.ok_or_else(|| Error::not_found(format!("the schema has no type `{type_name}`")))
}
