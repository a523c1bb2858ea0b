//! Removes objects that nothing needs: left by crashes, lost races, expired snapshots and dropped
//! tables, of both formats and beside the tables.
//!
//! ```text
//! folders → files that are old enough → needed (read afterwards) → the others go
//! ```
//!
//! Everything that is younger than the grace period stays, because a running stage may be about to
//! commit it. Not here: what is needed (`needed`), letting snapshots go (`expire`).

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use base::ids::{NodeId, TableId};
use base::{Error, Kind, Result, Timestamp};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use super::expire::retention;
use super::needed::{Needed, Owner, folder_of};
use super::turn::Turn;
use super::{REMOVAL_LEASE, doomed};
use crate::failure::failed;
use crate::lake::Lake;
use crate::table::Table;

/// How old a file must be before it counts as left: longer than any import runs.
pub const GRACE: Duration = Duration::from_secs(3 * 24 * 3600);

/// Where the S3 subset of `server` keeps the parts of uploads.
const UPLOADS: &str = "_uploads";

/// Folders whose parts belong to a table each, by its id.
const BESIDE: [&str; 3] = ["_tables", "_companions", "_text"];

/// The folder of objects that are made to ask the store for its time.
const CLOCK: &str = "_clock";

/// What a clean-up did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Files that were removed.
    pub files: u64,
    /// Their bytes; files that only old snapshots needed are removed without being asked for theirs.
    pub bytes: u64,
    /// Dropped tables that cannot be restored any more.
    pub tables: u64,
}

impl Lake {
    /// Removes files that nothing needs and that are older than `grace`.
    pub async fn clean_orphans(&self, grace: Duration) -> Result<Cleaned> {
        let removal = self.hold_removal().await?;
        let result = self.clean(grace).await;
        removal.end(self).await?;
        result
    }

    async fn clean(&self, grace: Duration) -> Result<Cleaned> {
        let mut cleaned = Cleaned::default();
        self.bury_old_tables().await?;
        self.remove_buried(&mut cleaned).await?;
        self.remove_doomed(grace.min(doomed::GRACE), &mut cleaned).await?;
        let owners = self.owners().await?;
        let limit = before(self.store_now().await?, grace);
        // Parts of uploads that no client has completed.
        for meta in self.files_below(&Path::from(UPLOADS), limit).await? {
            self.remove(&meta, &mut cleaned).await?;
        }
        let doomed = doomed::paths(self.catalog().database()).await?;
        for folder in self.owned_folders().await? {
            let left = self.left_in(&folder, owner(&folder, &owners), limit, &doomed).await?;
            for meta in &left {
                self.remove(meta, &mut cleaned).await?;
            }
            self.drain_superseded().await;
        }
        for meta in self.files_below(&Path::from(CLOCK), limit).await? {
            self.remove(&meta, &mut cleaned).await?;
        }
        Ok(cleaned)
    }

    /// Files of a folder that nothing needs, that are not doomed already, and that are not younger
    /// than `limit`.
    async fn left_in(
        &self,
        folder: &Path,
        owner: Owner,
        limit: Timestamp,
        doomed: &HashSet<Path>,
    ) -> Result<Vec<ObjectMeta>> {
        // The files are listed before it is read what is needed, so that what is committed meanwhile
        // is among what is needed.
        let mut found = self.files_below(folder, limit).await?;
        if !found.is_empty() {
            let needed = Needed::of(self, folder, owner, &found).await?;
            found.retain(|meta| {
                !needed.contains(&meta.location) && !doomed.contains(&meta.location)
            });
        }
        Ok(found)
    }

    /// Bytes of a table that a clean-up would remove.
    pub(super) async fn left_bytes(&self, table: &Table) -> Result<u64> {
        let limit = before(self.store_now().await?, GRACE);
        let doomed = doomed::paths(self.catalog().database()).await?;
        let beside = |name: &str| Path::from(format!("{name}/{}", table.id));
        let mut folders = vec![
            (beside("_companions"), Owner::Datasets),
            (beside("_text"), Owner::Texts(table.id)),
            (Path::from(crate::lance_table::dataset_name(table)), Owner::Datasets),
        ];
        let own = folder_of(self, &table.metadata_location)?.filter(|_| table.iceberg.is_some());
        folders.extend(own.map(|folder| (folder, Owner::Rows(table.id))));
        let mut bytes = 0;
        for (folder, owner) in folders {
            let left = self.left_in(&folder, owner, limit, &doomed).await?;
            bytes += left.iter().map(|meta| meta.size).sum::<u64>();
        }
        Ok(bytes)
    }

    /// The present by the clock of the object store, which says how old its objects are: a clock of
    /// ours that jumped must not make files look old.
    async fn store_now(&self) -> Result<Timestamp> {
        let path = Path::from(format!("{CLOCK}/{}", self.config().rng.uuid()));
        let objects = &self.config().objects;
        let doing = || "ask the object store for its time";
        objects.put(&path, "now".into()).await.map_err(failed(doing()))?;
        let meta = objects.head(&path).await;
        objects.delete(&path).await.map_err(failed(format!("remove `{path}`")))?;
        Ok(Timestamp::from_micros(meta.map_err(failed(doing()))?.last_modified.timestamp_micros()))
    }

    /// Dropped tables whose time is over cannot be restored from now on.
    async fn bury_old_tables(&self) -> Result<()> {
        let now = self.config().clock.now();
        for (table, dropped_at) in self.catalog().dropped().await? {
            let keep = table.iceberg.as_deref().and_then(retention);
            if dropped_at <= before(now, keep.unwrap_or(self.config().retain)) {
                self.catalog().bury(table.id).await?;
            }
        }
        Ok(())
    }

    /// Removes what belonged to tables that cannot be restored. The table is forgotten when all of it
    /// is gone, so a removal that was cut off is finished by the next one.
    async fn remove_buried(&self, cleaned: &mut Cleaned) -> Result<()> {
        for (id, metadata) in self.catalog().buried().await? {
            let companions = &self.inner.companions;
            let beside = format!("_companions/{id}");
            let own = format!("_tables/{id}.lance");
            companions.lance.forget_below(&beside).await?;
            companions.lance.forget(&own).await?;
            companions.forget_seen_below(&beside).await?;
            let mut folders = vec![beside, own, format!("_text/{id}")];
            folders.extend(folder_of(self, &metadata)?.map(|folder| folder.to_string()));
            for folder in folders {
                for meta in
                    self.files_below(&Path::from(folder), Timestamp::from_micros(i64::MAX)).await?
                {
                    self.remove(&meta, cleaned).await?;
                }
            }
            self.catalog().forget(id).await?;
            cleaned.tables += 1;
        }
        Ok(())
    }

    pub(super) async fn remove(&self, meta: &ObjectMeta, cleaned: &mut Cleaned) -> Result<()> {
        let failed = |error| failed(format!("remove `{}`", meta.location))(error);
        let objects = &self.config().objects;
        // A text index that a dead builder left may be under way again, under the same names.
        let now = match objects.head(&meta.location).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(()),
            head => head.map_err(failed)?,
        };
        if now.last_modified != meta.last_modified {
            return Ok(());
        }
        match objects.delete(&meta.location).await {
            Ok(()) => {
                cleaned.files += 1;
                cleaned.bytes += meta.size;
                Ok(())
            }
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    /// The folders that belong to one table each.
    async fn owned_folders(&self) -> Result<Vec<Path>> {
        let mut folders = Vec::new();
        for parent in self.folders_in(None).await? {
            let name = parent.as_ref();
            if !name.starts_with('_') || BESIDE.contains(&name) {
                folders.extend(self.folders_in(Some(&parent)).await?);
            }
        }
        Ok(folders)
    }

    async fn folders_in(&self, parent: Option<&Path>) -> Result<Vec<Path>> {
        let listed = self.config().objects.list_with_delimiter(parent).await;
        Ok(listed.map_err(failed("list the folders of tables"))?.common_prefixes)
    }

    /// Files below a folder that are not younger than `limit`.
    pub(super) async fn files_below(
        &self,
        folder: &Path,
        limit: Timestamp,
    ) -> Result<Vec<ObjectMeta>> {
        let old = move |meta: &ObjectMeta| {
            let is_old = meta.last_modified.timestamp_micros() <= limit.as_micros();
            std::future::ready(is_old)
        };
        let listed = self.config().objects.list(Some(folder)).try_filter(old).boxed();
        listed.try_collect().await.map_err(failed(format!("list `{folder}`")))
    }

    /// The tables that have a folder of their own, by that folder.
    async fn owners(&self) -> Result<BTreeMap<Path, TableId>> {
        let mut tables = self.tables().await?;
        tables.extend(self.catalog().dropped().await?.into_iter().map(|(table, _)| table));
        let mut owners = BTreeMap::new();
        for table in tables.iter().filter(|table| table.iceberg.is_some()) {
            if let Some(folder) = folder_of(self, &table.metadata_location)? {
                owners.insert(folder, table.id);
            }
        }
        Ok(owners)
    }

    /// Keeps other removals and backups away; `None` while one of them runs.
    pub(super) async fn removal_turn(&self) -> Result<Option<Turn>> {
        let holder = NodeId::generate(&self.config().rng);
        Turn::acquire(self, REMOVAL_LEASE, holder).await
    }

    /// Keeps other removals and backups away; refused while one of them runs.
    pub(crate) async fn hold_removal(&self) -> Result<Turn> {
        self.removal_turn().await?.ok_or_else(|| {
            Error::new(Kind::Unavailable, "a backup or another clean-up is running")
                .hint("repeat the command when it has ended")
        })
    }
}

/// Whose a folder is, by its place.
fn owner(folder: &Path, owners: &BTreeMap<Path, TableId>) -> Owner {
    let mut parts = folder.as_ref().split('/');
    let (first, second) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if !BESIDE.contains(&first) {
        return owners.get(folder).map_or(Owner::Unknown, |id| Owner::Rows(*id));
    }
    let name = second.strip_suffix(".lance").unwrap_or(second);
    match (first, uuid::Uuid::parse_str(name)) {
        ("_text", Ok(id)) => Owner::Texts(TableId::from_uuid(id)),
        (_, Ok(_)) => Owner::Datasets,
        (_, Err(_)) => Owner::Unknown,
    }
}

pub(super) fn before(now: Timestamp, age: Duration) -> Timestamp {
    let micros = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(now.as_micros().saturating_sub(micros))
}
