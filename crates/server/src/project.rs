//! An open project: the metadata database, the object store, the lake over both, and the deployed
//! schema with its GraphQL engine. Clones of the pieces are cheap; several processes may hold the
//! same project open.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base::ids::NodeId;
use base::rng::Rng;
use base::task::{self, Task};
use base::{Clock, Error, Kind, Result};
use futures::FutureExt;
use lake::Lake;
use lake::backup::BackupReport;
use lake::place::{self, Opener, Place};
use mesh::Engine;
use meta::Database;
use parking_lot::{Mutex, RwLock};
use tokio::time::MissedTickBehavior;

use crate::gate::{Gate, documents};
use crate::s3::credentials::Keys;
use crate::services::Services;
use crate::settings::Settings;
use crate::versions::{self, Deployed};
use crate::{apply, secrets, stores, tokens, usage};

/// Folder of a project that holds what Headwater writes.
pub const STATE: &str = ".headwater";

/// Migrations of this crate's own tables, in order; never edit one that was released.
const MIGRATIONS: &[&str] =
    &[tokens::MIGRATION, versions::MIGRATION, apply::MIGRATION, secrets::MIGRATION];
/// Migrations of the journal of applies, which came later.
const APPLY_MIGRATIONS: &[&str] = apply::PHASES;

/// What every request looks at: the counters of the schema, of the objects' place, and of the registered
/// documents.
const TOPICS: [&str; 3] = [versions::TOPIC, place::TOPIC, documents::TOPIC];

/// A node without requests follows the objects' place this often.
const FOLLOW: Duration = Duration::from_secs(1);

/// An open project.
pub struct Project {
    /// The project's folder.
    pub folder: PathBuf,
    /// What was set.
    pub settings: Settings,
    /// The metadata database.
    pub database: Database,
    /// Tables.
    pub lake: Lake,
    /// The present.
    pub clock: Clock,
    /// Randomness.
    pub rng: Rng,
    /// This process.
    pub node: NodeId,
    /// What opening the project brought up to this version's formats, in words.
    pub upgraded: Vec<String>,
    /// Makes and checks credentials.
    pub(crate) keys: Keys,
    /// Where the objects are, on all nodes.
    pub place: Place,
    /// The services of the schema.
    pub(crate) services: Services,
    /// What questions pass before they run.
    pub(crate) gate: Gate,
    /// Stops with the project.
    _following: Task<()>,
    /// What each engine is made with.
    engine: mesh::Settings,
    live: RwLock<Arc<Live>>,
    fitting: Mutex<HashMap<(String, i64), bool>>,
}

/// Versions of clients that are remembered.
const FITTING: usize = 256;

/// The deployed schema and what is made of it; swapped as one when the schema changes.
pub struct Live {
    /// The schema and its version.
    pub deployed: Deployed,
    /// Answers GraphQL.
    pub engine: Arc<Engine>,
    /// The tables as this version sees them.
    pub lake: Lake,
    /// The version before, while it is served.
    pub before: Option<Box<Live>>,
    /// The change counter at which it was read.
    counter: i64,
}

impl Project {
    /// Opens the project in `folder`, making `.headwater` when it is missing.
    pub async fn open(folder: &Path, settings: Settings) -> Result<Project> {
        let folder = std::path::absolute(folder)?;
        let opener = stores::opener(&folder, &settings);
        // Many futures hold this one, which is large, and without its type they build it only once.
        Project::open_with(&folder, settings, opener).boxed().await
    }

    /// As [`Project::open`], with a say in how a place of objects is opened. Tests model crashes and
    /// failures of the store with it.
    pub async fn open_with(folder: &Path, settings: Settings, opener: Opener) -> Result<Project> {
        let folder = std::path::absolute(folder)?;
        let state = make_state(&folder)?;
        let database = stores::database(&folder, &state, &settings).await?;
        let before = database.versions().await?;
        let (clock, rng) = (Clock::system(), Rng::from_entropy());
        let node = NodeId::generate(&rng);
        let place = Place::open(database.clone(), node, stores::objects(&settings), opener).await?;
        let config = config(&settings, place.objects(), &database, &clock, &rng);
        database.migrate("server", MIGRATIONS).await?;
        database.migrate("server_apply", APPLY_MIGRATIONS).await?;
        database.migrate("server_documents", documents::MIGRATIONS).await?;
        database.migrate("server_usage", usage::MIGRATIONS).await?;
        database.migrate("server_audiences", tokens::AUDIENCES).await?;
        let engine = mesh::Settings {
            limits: settings.graphql.limits(),
            cursor_key: secrets::get_or_make(&database, &rng, "cursor").await?,
            clock: clock.clone(),
            incremental: true,
            ..mesh::Settings::default()
        };
        let keys = Keys::new(secrets::get_or_make(&database, &rng, "credentials").await?);
        let gate = Gate::new(&settings.graphql);
        let counter = gate.follow(meta::changes::poll_each(&database, TOPICS).await?);
        let deployed = versions::current(&database).await?;
        let lake = Lake::open(config, Arc::clone(&deployed.schema)).await?;
        lake.set_learn(learn(database.clone()));
        lake.set_place(place.clone());
        lake.set_budget(settings.maintenance.budget.0);
        let services = Services::open(&folder, &settings, clock.clone(), rng.clone())?;
        let outside = Outside { lake: &lake, services: &services, engine: &engine };
        let live = Live::of(deployed, outside, counter).await?;
        let following = follow(place.clone(), lake.clone(), node);
        let upgraded = upgraded(&before, &database.versions().await?);
        Ok(Project {
            node,
            folder,
            settings,
            database,
            lake,
            clock,
            rng,
            upgraded,
            keys,
            _following: following,
            place,
            services,
            gate,
            engine,
            live: RwLock::new(Arc::new(live)),
            fitting: Mutex::default(),
        })
    }

    /// Brings a backup into `folder`, which holds no project yet.
    pub async fn restore(from: &Path, folder: &Path, settings: &Settings) -> Result<BackupReport> {
        let folder = std::path::absolute(folder)?;
        if folder.join(STATE).try_exists()? {
            let text = format!("`{}` holds a project already", folder.display());
            return Err(Error::new(Kind::AlreadyExists, text)
                .hint("restore into an empty folder with `--to FOLDER`"));
        }
        let state = make_state(&folder)?;
        let database = stores::database(&folder, &state, settings).await?;
        let objects = stores::opener(&folder, settings)(stores::objects(settings).to_owned());
        let (clock, rng) = (Clock::system(), Rng::from_entropy());
        let config = config(settings, objects.await?, &database, &clock, &rng);
        Lake::restore(from, &config).await
    }

    /// The deployed schema with its engine, as they are now; hold it for one request.
    pub fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live.read())
    }

    /// Looks whether another process deployed a schema or moves the objects, and follows it. One
    /// small read of the metadata database; every request starts with it, so that no answer is older
    /// than its own start.
    pub async fn refresh(&self) -> Result<()> {
        let counters = meta::changes::poll_each(&self.database, TOPICS).await?;
        let counter = self.gate.follow(counters);
        if counter == self.live.read().counter {
            return Ok(());
        }
        self.place.follow().await?;
        let deployed = versions::current(&self.database).await?;
        self.lake.set_schema(Arc::clone(&deployed.schema));
        let engine = mesh::Settings { clock: self.clock.clone(), ..self.engine.clone() };
        let outside = Outside { lake: &self.lake, services: &self.services, engine: &engine };
        let live = Live::of(deployed, outside, counter).await?;
        *self.live.write() = Arc::new(live);
        Ok(())
    }

    /// Whether clients of an earlier version that is not served any more find everything they know
    /// in the deployed one.
    pub async fn still_fits(&self, wanted: &str) -> Result<bool> {
        let live = self.live();
        let known = (wanted.to_owned(), live.deployed.version);
        if let Some(fits) = self.fitting.lock().get(&known) {
            return Ok(*fits);
        }
        let earlier = versions::find(&self.database, wanted).await?;
        let fits = earlier.is_some_and(|earlier| {
            let changes = schema::diff::diff(&earlier.schema, &live.deployed.schema);
            changes.iter().all(|change| change.wire < schema::diff::WireEffect::Breaking)
        });
        let mut fitting = self.fitting.lock();
        // What clients send is theirs, so that the memory of it is bounded.
        if fitting.len() >= FITTING {
            fitting.clear();
        }
        fitting.insert(known, fits);
        Ok(fits)
    }

    /// The folder of SDL modules.
    pub fn schema_folder(&self) -> PathBuf {
        self.folder.join(&self.settings.schema)
    }
}

/// What all versions of the schema share.
#[derive(Clone, Copy)]
struct Outside<'a> {
    lake: &'a Lake,
    services: &'a Services,
    engine: &'a mesh::Settings,
}

/// Finds the schema of a version that another node has deployed.
fn learn(database: Database) -> lake::lake::Learn {
    Arc::new(move |version| {
        let database = database.clone();
        Box::pin(async move { Ok(versions::at(&database, version).await?.schema) })
    })
}

impl Live {
    /// The deployed version, with the one before it while that is served.
    async fn of(deployed: Deployed, outside: Outside<'_>, counter: i64) -> Result<Self> {
        let (_, oldest) = outside.lake.catalog().deployed().await?;
        let before = if oldest > 0 && oldest < deployed.version {
            let before = versions::at(&outside.lake.config().database, oldest).await?;
            Some(Box::new(Live::new(before, outside, counter)?))
        } else {
            None
        };
        let live = Live::new(deployed, outside, counter)?;
        Ok(Live { before, ..live })
    }

    /// The version of this number or fingerprint, when it is served.
    pub fn version(&self, wanted: &str) -> Result<&Live> {
        let is = |live: &Live| {
            live.deployed.schema.fingerprint.as_ref() == wanted
                || live.deployed.version.to_string() == wanted
        };
        let mut served = [Some(self), self.before.as_deref()].into_iter().flatten();
        served.find(|live| is(live)).ok_or_else(|| {
            let text = format!("schema `{wanted}` is not served here");
            Error::new(Kind::Stale, text).hint(format!(
                "version {} is deployed: generate the client again, or leave `Headwater-Schema` out",
                self.deployed.version
            ))
        })
    }

    fn new(deployed: Deployed, outside: Outside<'_>, counter: i64) -> Result<Self> {
        let Outside { lake, services, engine } = outside;
        let settings = mesh::Settings {
            media: Some(Arc::new(LakeMedia(
                lake.pinned(Arc::clone(&deployed.schema), deployed.version),
            ))),
            ..engine.clone()
        };
        let schema = Arc::clone(&deployed.schema);
        let lake = lake.pinned(Arc::clone(&schema), deployed.version);
        let services = services.of(&schema, &settings)?;
        let engine = Engine::federated(schema, Arc::new(lake.clone()), services, settings)?;
        Ok(Live { deployed, engine: Arc::new(engine), lake, before: None, counter })
    }
}

/// Media that mutations bring goes into the lake, where it is measured.
struct LakeMedia(Lake);

#[async_trait]
impl mesh::MediaStore for LakeMedia {
    async fn put_media(
        &self,
        type_name: &str,
        field: &str,
        files: Vec<Vec<u8>>,
    ) -> Result<Vec<frame::Value>> {
        let files = files.into_iter().map(bytes::Bytes::from).collect();
        self.0.put_media(type_name, field, files).await?.into_iter().collect()
    }
}

/// What opening brought up, of a project that was there before.
fn upgraded(before: &BTreeMap<String, i64>, after: &BTreeMap<String, i64>) -> Vec<String> {
    if !before.contains_key("server") {
        return Vec::new();
    }
    let newer = after.iter().filter(|(owner, steps)| before.get(*owner) != Some(steps));
    newer.map(|(owner, steps)| format!("the metadata of `{owner}` is at version {steps}")).collect()
}

/// The folder that holds what Headwater writes.
fn make_state(folder: &Path) -> Result<PathBuf> {
    let state = folder.join(STATE);
    std::fs::create_dir_all(&state).map_err(|error| {
        Error::from(error).context(format!("failed to make `{}`", state.display()))
    })?;
    Ok(state)
}

/// What the lake stands on.
fn config(
    settings: &Settings,
    objects: Arc<dyn object_store::ObjectStore>,
    database: &Database,
    clock: &Clock,
    rng: &Rng,
) -> lake::Config {
    lake::Config {
        warehouse: settings.storage.warehouse.clone().unwrap_or_else(|| "headwater".to_owned()),
        objects,
        database: database.clone(),
        clock: clock.clone(),
        rng: rng.clone(),
        limits: limits(settings),
        compact: settings.maintenance.compact,
        tends: settings.maintenance.tends,
        retain: settings.maintenance.retain.0,
        snapshots: Some(settings.maintenance.snapshots).filter(|most| *most > 0),
    }
}

/// Follows the place of the objects also when no request comes, and pins what long scans may need.
fn follow(place: Place, lake: Lake, node: NodeId) -> Task<()> {
    task::spawn("follow the other nodes", async move {
        let mut ticks = tokio::time::interval(FOLLOW);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = place.follow().await {
                tracing::warn!(%error, "failed to follow the place of the objects");
            }
            if let Err(error) = lake.pin_scans(node).await {
                tracing::warn!(%error, "failed to pin what long scans may need");
            }
        }
    })
}

fn limits(settings: &Settings) -> lake::Limits {
    lake::Limits {
        query_memory: settings.limits.query_memory.0,
        import_memory: settings.limits.import_memory.0,
        spill: settings.limits.spill.0,
        ..lake::Limits::default()
    }
}
