//! Lets old versions of Lance datasets go: those of tables, and those of what lies beside rows.
//!
//! In: a table. Out: fewer versions that can be read, and the files that only the others needed,
//! doomed. Versions of a table are kept as long as its snapshots would be; of a companion, which only
//! grows, the newest is all that anybody asks for. Not here: removing files (`doomed`), files that
//! no version ever named (`orphans`).

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use base::{Result, Timestamp};
use futures::TryStreamExt;
use lance::Dataset;
use lance::index::DatasetIndexExt;
use lance_table::io::deletion::relative_deletion_file_path;
use object_store::ObjectStore;
use object_store::path::Path;
use schema::TableFormat;

use super::{Expired, doomed};
use crate::catalog::Swap;
use crate::failure::failed;
use crate::lake::Lake;
use crate::lance_store::failed as lance_failed;
use crate::lance_table::dataset_name;
use crate::table::Table;

/// How long older versions of companions are kept: longer than any request that holds one.
const COMPANION: Duration = Duration::from_secs(3600);

/// Files of a dataset that a version names; folders stand for all that is below them.
#[derive(Debug, Default)]
pub(crate) struct Needed {
    files: HashSet<Path>,
    folders: BTreeSet<Path>,
}

impl Needed {
    /// Whether the object belongs to a version. What is in a folder that is not known here does.
    pub(crate) fn has(&self, dataset: &str, path: &Path) -> bool {
        let below = path.as_ref().strip_prefix(dataset).unwrap_or_default();
        let known = ["/data/", "/_deletions/", "/_indices/", "/_versions/", "/_transactions/"];
        !known.iter().any(|folder| below.starts_with(folder))
            || self.files.contains(path)
            || self.folders.iter().any(|folder| path.prefix_matches(folder))
    }
}

impl Lake {
    /// Lets old versions of a table's datasets go.
    pub(crate) async fn expire_versions(
        &self,
        table: &Arc<Table>,
        keep: Option<Duration>,
    ) -> Result<Expired> {
        let mut expired = Expired::default();
        if table.format == TableFormat::Lance {
            let keep = keep.or(self.retention_of(table)).unwrap_or(self.config().retain);
            let dataset = dataset_name(table);
            let (old, kept) = self.old_versions(&dataset, table.lance_version, keep).await?;
            // A version that is made present meanwhile may name what only the old ones do.
            let swap = Swap::metadata(table, Arc::clone(&table.metadata_location));
            expired = self.expire_dataset(&dataset, &old, &kept, &[swap]).await?;
        }
        for dataset in self.companions_of(table).await? {
            let (mut old, kept) = self.old_versions(&dataset, u64::MAX, COMPANION).await?;
            // What is joined or replaced in a companion never comes back. So no later version names what an
            // earlier one names and the oldest that stays does not, and that one alone is looked at.
            let oldest = kept.get(..1).unwrap_or_default();
            old.retain(|version| oldest.iter().all(|oldest| version < oldest));
            self.expire_dataset(&dataset, &old, oldest, &[]).await?;
        }
        Ok(expired)
    }

    /// Versions of a Lance table that an expiry would let go.
    pub(super) async fn expired_versions(&self, table: &Table) -> Result<u64> {
        let keep = self.retention_of(table).unwrap_or(self.config().retain);
        let (old, _) = self.old_versions(&dataset_name(table), table.lance_version, keep).await?;
        Ok(old.len() as u64)
    }

    /// How long the type says that its snapshots are kept.
    fn retention_of(&self, table: &Table) -> Option<Duration> {
        let schema = self.schema();
        schema.types.get(&table.type_name)?.table()?.retain
    }

    /// The datasets beside a table's rows.
    pub(crate) async fn companions_of(&self, table: &Table) -> Result<Vec<String>> {
        let sql = "SELECT DISTINCT dataset FROM lake_lance_versions WHERE dataset LIKE $1";
        let like = format!("_companions/{}/%", table.id);
        let rows = self.catalog().database().query(sql, &[like.into()]).await?;
        rows.iter().map(|row| row.text("dataset")).collect()
    }

    /// Versions of a dataset that may go: older than what is kept, neither the newest nor `present`.
    pub(crate) async fn old_versions(
        &self,
        dataset: &str,
        present: u64,
        keep: Duration,
    ) -> Result<(Vec<u64>, Vec<u64>)> {
        let now = self.config().clock.now();
        let oldest = super::orphans::before(now, keep);
        let versions = self.inner.companions.lance.versions(dataset).await?;
        let newest = versions.last().map_or(0, |version| version.id);
        let may_go = |at: Timestamp, id: i64| {
            at < oldest && id != newest && u64::try_from(id).is_ok_and(|id| id != present)
        };
        let (old, kept): (Vec<_>, Vec<_>) =
            versions.iter().partition(|version| may_go(version.at, version.id));
        let ids = |some: Vec<&crate::Snapshot>| {
            some.iter().filter_map(|version| u64::try_from(version.id).ok()).collect()
        };
        Ok((ids(old), ids(kept)))
    }

    /// Lets versions go, and dooms what they name and those that stay do not, if the table that they are
    /// versions of is still as it was read.
    async fn expire_dataset(
        &self,
        dataset: &str,
        old: &[u64],
        stay: &[u64],
        unless_moved: &[Swap],
    ) -> Result<Expired> {
        if old.is_empty() {
            return Ok(Expired::default());
        }
        let still = self.needed_by(dataset, stay).await?;
        let mut gone = self.needed_by(dataset, old).await?.files;
        let folders = self.needed_by_folders(dataset, old).await?;
        gone.extend(folders);
        let mut gone: Vec<String> =
            gone.iter().filter(|path| !still.has(dataset, path)).map(Path::to_string).collect();
        gone.sort_unstable();
        let now = self.config().clock.now();
        let mut statements = doomed::statements(&gone, now);
        for version in old {
            let sql = "DELETE FROM lake_lance_versions WHERE dataset = $1 AND version = $2";
            let number = i64::try_from(*version).unwrap_or(i64::MAX);
            statements.push((sql.to_owned(), vec![dataset.into(), number.into()]));
        }
        self.catalog().swap_as(unless_moved, &statements, &self.writer()).await?;
        Ok(Expired { snapshots: old.len() as u64, files: gone.len() as u64 })
    }

    /// What these versions name.
    pub(crate) async fn needed_by(&self, dataset: &str, versions: &[u64]) -> Result<Needed> {
        let mut needed = Needed::default();
        for version in versions {
            let lance = &self.inner.companions.lance;
            if let Some(open) = lance.dataset(dataset, Some(*version), None).await? {
                name_files(dataset, &open, &mut needed).await?;
            }
            let manifests = lance.manifest_path(dataset, *version).await?;
            needed.files.extend(manifests);
        }
        Ok(needed)
    }

    /// The objects in the index folders of these versions.
    async fn needed_by_folders(&self, dataset: &str, versions: &[u64]) -> Result<Vec<Path>> {
        let needed = self.needed_by(dataset, versions).await?;
        let mut found = Vec::new();
        for folder in &needed.folders {
            let listed = self.config().objects.list(Some(folder)).try_collect::<Vec<_>>().await;
            let listed = listed.map_err(failed(format!("list `{folder}`")))?;
            found.extend(listed.into_iter().map(|meta| meta.location));
        }
        Ok(found)
    }
}

async fn name_files(dataset: &str, open: &Dataset, needed: &mut Needed) -> Result<()> {
    let at = |below: String| Path::from(format!("{dataset}/{below}"));
    for fragment in open.fragments().iter() {
        for file in &fragment.files {
            needed.files.insert(at(format!("data/{}", file.path)));
            // Large values of a file lie in a folder that has its name.
            let stem = file.path.rsplit_once('.').map_or(file.path.as_str(), |(stem, _)| stem);
            needed.folders.insert(at(format!("data/{stem}")));
        }
        if let Some(deletion) = &fragment.deletion_file {
            needed.files.insert(at(relative_deletion_file_path(fragment.id, deletion)));
        }
    }
    if let Some(name) = &open.manifest().transaction_file {
        needed.files.insert(at(format!("_transactions/{name}")));
    }
    let indexes = open.load_indices().await;
    for index in indexes.map_err(|error| lance_failed("read indexes", error))?.iter() {
        needed.folders.insert(at(format!("_indices/{}", index.uuid)));
    }
    Ok(())
}
