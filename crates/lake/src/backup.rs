//! Copies a whole project while others write to it, and brings it back.
//!
//! In: a lake and a folder. Out: `meta.db` (the metadata of one moment), `objects/` (every object
//! that the metadata can refer to) and `backup.json` (what belongs to it, with hashes; written last,
//! so a backup that was cut off is not taken for one). The metadata is copied first: objects never
//! change and none is removed while the backup runs, so everything it names is among the objects
//! that are copied after it. Not here: schedules, other places than a folder.

use std::path::Path as FilePath;

use base::ids::NodeId;
use base::{Error, Kind, Result, Timestamp};
use futures::TryStreamExt;
use meta::leases::{self, Lease};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use serde::{Deserialize, Serialize};

use crate::failure::failed;
use crate::lake::{Config, Lake};
use crate::maintain::turn::Turn;
use crate::reach::Reach;
use crate::store::LocalStore;
use std::sync::Arc;

/// The format of `backup.json` that this version writes and reads.
const VERSION: u32 = 1;
/// Bytes of an object that are held at a time.
const PART: usize = 8 << 20;
/// Objects between two looks whether removals are still kept away.
const CHECK_EVERY: usize = 256;

/// What a backup holds, or a restore has brought back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackupReport {
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// `backup.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    version: u32,
    warehouse: String,
    at: String,
    holder: String,
    fence: i64,
    objects: Vec<StoredObject>,
}

/// One object of a backup.
#[derive(Debug, Serialize, Deserialize)]
struct StoredObject {
    path: String,
    bytes: u64,
    blake3: String,
}

impl Lake {
    /// Copies the project into a folder that is empty or missing; `progress` hears how many objects
    /// are done. Removals wait meanwhile, writes do not.
    pub async fn backup(
        &self,
        folder: &FilePath,
        progress: &(dyn Fn(BackupReport) + Send + Sync),
    ) -> Result<BackupReport> {
        let target = empty_store(folder).await?;
        let turn = self.hold_removal().await?;
        let result = self.backup_held(folder, &target, &turn, progress).await;
        turn.end(self).await?;
        result
    }

    async fn backup_held(
        &self,
        folder: &FilePath,
        target: &LocalStore,
        turn: &Turn,
        progress: &(dyn Fn(BackupReport) + Send + Sync),
    ) -> Result<BackupReport> {
        let config = self.config();
        config.database.snapshot_to(&folder.join("meta.db")).await?;
        let mut objects = Vec::new();
        let mut report = BackupReport::default();
        let mut listed = config.objects.list(None);
        while let Some(meta) = listed.try_next().await.map_err(failed("list objects"))? {
            if objects.len() % CHECK_EVERY == CHECK_EVERY - 1 {
                turn.check(self).await?;
            }
            let to = Path::from(format!("objects/{}", meta.location));
            let copied = copy(config.objects.as_ref(), &meta.location, target, &to).await;
            let (bytes, blake3) = match copied {
                // Commits that lose a race remove what they wrote; no snapshot needs it.
                Err(error) if error.kind() == Kind::NotFound => continue,
                copied => copied?,
            };
            report.objects += 1;
            report.bytes += bytes;
            progress(report);
            objects.push(StoredObject { path: meta.location.to_string(), bytes, blake3 });
        }
        let stored = Stored {
            version: VERSION,
            warehouse: config.warehouse.clone(),
            at: config.clock.now().to_string(),
            holder: turn.lease().holder.to_string(),
            fence: turn.lease().fence,
            objects,
        };
        let text = serde_json::to_vec(&stored).map_err(failed("write `backup.json`"))?;
        target
            .put(&Path::from("backup.json"), text.into())
            .await
            .map_err(failed("write `backup.json`"))?;
        Ok(report)
    }

    /// Brings a backup back into an empty metadata database and an empty object store, and looks
    /// whether everything that its tables need is there.
    pub async fn restore(folder: &FilePath, config: &Config) -> Result<BackupReport> {
        let source = LocalStore::open(folder)?;
        let stored = read_stored(&source, folder).await?;
        if stored.warehouse != config.warehouse {
            let text = format!(
                "the backup is of warehouse `{}`, and this project is `{}`",
                stored.warehouse, config.warehouse
            );
            return Err(Error::invalid(text));
        }
        let mut present = config.objects.list(None);
        if present.try_next().await.map_err(failed("list objects"))?.is_some() {
            return Err(Error::new(Kind::AlreadyExists, "the project has objects already")
                .hint("restore into an empty folder"));
        }
        let mut report = BackupReport::default();
        for object in &stored.objects {
            let from = Path::from(format!("objects/{}", object.path));
            let to = Path::parse(&object.path).map_err(failed("read `backup.json`"))?;
            let (bytes, blake3) = copy(&source, &from, config.objects.as_ref(), &to).await?;
            if (bytes, &blake3) != (object.bytes, &object.blake3) {
                let text =
                    format!("`objects/{}` of the backup is not what was written", object.path);
                return Err(Error::new(Kind::Corrupt, text).hint("use another backup"));
            }
            report.objects += 1;
            report.bytes += bytes;
        }
        config.database.restore_from(&folder.join("meta.db")).await?;
        // The place of the objects was copied with the metadata; these ones lie where the settings say.
        crate::place::forget(&config.database).await?;
        release_held(config, &stored).await?;
        let lake = Lake::open(config.clone(), Arc::new(schema::Schema::empty())).await?;
        lake.verify().await?;
        Ok(report)
    }

    /// Fails when a file that a snapshot of any table needs is missing.
    pub async fn verify(&self) -> Result<()> {
        for table in self.tables().await? {
            let Some(metadata) = &table.iceberg else { continue };
            let mut needed: Vec<String> =
                Reach::of_all(self, metadata).await?.locations.into_iter().collect();
            needed.sort_unstable();
            for location in needed {
                let path = self.locations().path(&location)?;
                let doing = format!("find `{path}`, which table `{}` needs", table.name);
                self.config().objects.head(&path).await.map_err(failed(doing))?;
            }
        }
        Ok(())
    }
}

/// A store over a folder that has nothing in it.
async fn empty_store(folder: &FilePath) -> Result<LocalStore> {
    let store = LocalStore::open(folder)?;
    let first = store.list(None).try_next().await.map_err(failed("list the backup's folder"))?;
    if first.is_some() {
        let text = format!("`{}` is not empty", folder.display());
        return Err(Error::new(Kind::AlreadyExists, text).hint("name a new folder"));
    }
    Ok(store)
}

async fn read_stored(source: &LocalStore, folder: &FilePath) -> Result<Stored> {
    let doing = || format!("read the backup `{}`", folder.display());
    let found = source.get(&Path::from("backup.json")).await.map_err(failed(doing()))?;
    let bytes = found.bytes().await.map_err(failed(doing()))?;
    let stored: Stored = serde_json::from_slice(&bytes).map_err(failed(doing()))?;
    if stored.version > VERSION {
        let text =
            format!("the backup has format {}, and this version reads {VERSION}", stored.version);
        return Err(Error::new(Kind::Unsupported, text).hint("restore it with a newer version"));
    }
    Ok(stored)
}

/// The backup's own lease was copied with the metadata; nobody holds it in the restored project.
async fn release_held(config: &Config, stored: &Stored) -> Result<()> {
    let holder = uuid::Uuid::parse_str(&stored.holder).map_err(failed("read `backup.json`"))?;
    let lease = Lease {
        name: crate::maintain::REMOVAL_LEASE.to_owned(),
        holder: NodeId::from_uuid(holder),
        fence: stored.fence,
        expires_at: Timestamp::from_micros(0),
    };
    leases::release(&config.database, &lease).await
}

/// Copies one object in parts; its bytes and their hash.
pub(crate) async fn copy(
    from: &dyn ObjectStore,
    source: &Path,
    to: &dyn ObjectStore,
    target: &Path,
) -> Result<(u64, String)> {
    let doing = || format!("copy `{source}`");
    let mut stream = from.get(source).await.map_err(failed(doing()))?.into_stream();
    let mut hasher = blake3::Hasher::new();
    let (mut part, mut bytes, mut upload) = (Vec::new(), 0, None);
    while let Some(chunk) = stream.try_next().await.map_err(failed(doing()))? {
        hasher.update(&chunk);
        bytes += chunk.len() as u64;
        part.extend_from_slice(&chunk);
        if part.len() >= PART {
            let upload = match &mut upload {
                Some(upload) => upload,
                none => none.insert(to.put_multipart(target).await.map_err(failed(doing()))?),
            };
            let payload = PutPayload::from(std::mem::take(&mut part));
            upload.put_part(payload).await.map_err(failed(doing()))?;
        }
    }
    match upload {
        None => to.put(target, part.into()).await.map_err(failed(doing()))?,
        Some(mut upload) => {
            if !part.is_empty() {
                upload.put_part(part.into()).await.map_err(failed(doing()))?;
            }
            upload.complete().await.map_err(failed(doing()))?
        }
    };
    Ok((bytes, hasher.finalize().to_hex().to_string()))
}
