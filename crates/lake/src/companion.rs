//! What lies beside the rows of a table: the bytes of its media and the vectors of its fields.
//!
//! ```text
//! bytes → measure → media.lance {hash, bytes, thumbnail} → struct in the row
//! media | text | vector → hash → model → vectors {hash, vector} → nearest hashes → rows
//! ```
//!
//! Both are addressed by content and only grow, so every snapshot of a table resolves them, and
//! whatever was computed once is never computed again. They are durable before the rows that name
//! them; what no row names is garbage. Not here: which rows have a hash (`query::near`).

pub(crate) mod content;
pub(crate) mod held;
pub(crate) mod index;
mod join;
mod lists;
pub(crate) mod media;
pub(crate) mod nearest;
mod places;
pub(crate) mod steps;
pub(crate) mod vectors;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use base::Result;
use parking_lot::{Mutex, RwLock};

pub use media::MediaVariant;

use crate::Config;
use crate::cache::Cache;
use crate::lance_store::LanceStore;
use held::VectorSet;
use places::HeldPlaces;

/// Bytes of vectors that are held.
pub(crate) const HELD_VECTOR_BYTES: usize = 256 << 20;
/// Bytes of names of files whose vectors are all made that are held.
const SEEN_BYTES: usize = 16 << 20;

/// The vectors of companions, by companion.
type HeldSets = Cache<String, Arc<VectorSet>>;

/// The companions of all tables.
#[derive(Debug)]
pub(crate) struct Companions {
    pub(crate) lance: LanceStore,
    models_folder: RwLock<Option<PathBuf>>,
    models: Mutex<Vec<Arc<::media::Model>>>,
    /// The vectors of companions that are small enough, by companion.
    held: Arc<HeldSets>,
    /// The work that puts vectors into lists.
    tidying: Mutex<Option<base::task::Task<()>>>,
    /// One reader of vectors at a time, so that none is read twice.
    reading: tokio::sync::Mutex<()>,
    /// Files whose vectors are all made, by companion.
    seen: Cache<String, Arc<HashSet<String>>>,
    /// Where contents lie, by companion.
    places: HeldPlaces,
    database: meta::Database,
    /// One maker of vectors at a time, so that memory is bounded.
    making: tokio::sync::Mutex<()>,
}

const MIGRATIONS: &[&str] = &["CREATE TABLE lake_vector_files (
        dataset TEXT NOT NULL,
        file TEXT NOT NULL,
        PRIMARY KEY (dataset, file)
    )"];

impl Companions {
    /// Over the lake's objects and database.
    pub(crate) async fn open(config: &Config) -> Result<Companions> {
        config.database.migrate("lake_companion", MIGRATIONS).await?;
        Ok(Companions {
            lance: LanceStore::open(config).await?,
            models_folder: RwLock::default(),
            models: Mutex::default(),
            held: Arc::new(Cache::new(HELD_VECTOR_BYTES)),
            tidying: Mutex::default(),
            reading: tokio::sync::Mutex::new(()),
            seen: Cache::new(SEEN_BYTES),
            places: Cache::new(places::HELD_BYTES),
            database: config.database.clone(),
            making: tokio::sync::Mutex::new(()),
        })
    }

    /// The model of this name, opened once.
    pub(crate) fn model(&self, name: &str) -> Result<Arc<::media::Model>> {
        let mut models = self.models.lock();
        if let Some(model) = models.iter().find(|model| model.name() == name) {
            return Ok(Arc::clone(model));
        }
        let folder = self.models_folder.read().clone();
        let model = Arc::new(::media::Model::open(name, folder.as_deref())?);
        models.push(Arc::clone(&model));
        Ok(model)
    }
}

impl crate::Lake {
    /// Names the folder with the ONNX models that `@vector(model:)` may name.
    pub fn set_models_folder(&self, folder: impl Into<PathBuf>) {
        *self.inner.companions.models_folder.write() = Some(folder.into());
    }
}

#[cfg(test)]
impl Companions {
    /// Companions of a test, which nothing else knows.
    async fn in_memory() -> Companions {
        let config = Config {
            warehouse: "test".into(),
            objects: Arc::new(object_store::memory::InMemory::new()),
            database: meta::Database::open("sqlite::memory:").await.unwrap(),
            clock: base::Clock::system(),
            rng: base::rng::Rng::seeded(1),
            limits: crate::Limits::default(),
            compact: true,
            tends: true,
            retain: std::time::Duration::from_secs(7 * 24 * 3600),
            snapshots: None,
        };
        Companions::open(&config).await.unwrap()
    }
}
