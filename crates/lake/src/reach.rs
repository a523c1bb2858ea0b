//! Everything that snapshots need to be read: manifest lists, manifests, data and delete files.
//!
//! In: snapshots of an Iceberg table. Out: [`Reach`], the locations of their files; each manifest is looked
//! at once, however many snapshots share it. Not here: the metadata files, which name the snapshots.

use std::collections::{HashMap, HashSet};

use base::Result;
use futures::{StreamExt, TryStreamExt, stream};
use iceberg::spec::{ManifestFile, SnapshotRef, TableMetadata};

use crate::lake::Lake;

/// Files that are read at the same time.
const AT_ONCE: usize = 8;

/// What some snapshots need.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    /// Locations of the files. A snapshot whose manifest list is here was looked at.
    pub(crate) locations: HashSet<String>,
}

impl Reach {
    /// What all snapshots of a table need.
    pub(crate) async fn of_all(lake: &Lake, metadata: &TableMetadata) -> Result<Reach> {
        let mut reach = Reach::default();
        reach.extend(lake, metadata, metadata.snapshots().cloned()).await?;
        Ok(reach)
    }

    /// Adds what these need. When that fails nothing is added.
    pub(crate) async fn extend(
        &mut self,
        lake: &Lake,
        metadata: &TableMetadata,
        snapshots: impl IntoIterator<Item = SnapshotRef>,
    ) -> Result<()> {
        let new = |one: &SnapshotRef| !self.locations.contains(one.manifest_list());
        let snapshots: Vec<SnapshotRef> = snapshots.into_iter().filter(new).collect();
        let mut found: Vec<String> =
            snapshots.iter().map(|one| one.manifest_list().to_owned()).collect();
        let manifests = self.unread(lake, metadata, &snapshots).await?;
        let read = |manifest: ManifestFile| async move {
            let entries = lake.files().manifest(&manifest).await?;
            let alive = entries.entries().iter().filter(|entry| entry.is_alive());
            let files: Vec<String> = alive.map(|entry| entry.file_path().to_owned()).collect();
            Ok::<_, base::Error>((manifest.manifest_path, files))
        };
        let mut files = stream::iter(manifests.into_values()).map(read).buffer_unordered(AT_ONCE);
        while let Some((manifest, alive)) = files.try_next().await? {
            found.push(manifest);
            found.extend(alive);
        }
        drop(files);
        self.locations.extend(found);
        Ok(())
    }

    /// The manifests of these snapshots that were not read for others.
    async fn unread(
        &self,
        lake: &Lake,
        metadata: &TableMetadata,
        snapshots: &[SnapshotRef],
    ) -> Result<HashMap<String, ManifestFile>> {
        let mut unread = HashMap::new();
        let lists = stream::iter(snapshots.to_vec());
        let list =
            |one: SnapshotRef| async move { lake.files().manifest_list(metadata, &one).await };
        let mut lists = lists.map(list).buffer_unordered(AT_ONCE);
        while let Some(list) = lists.try_next().await? {
            for manifest in list.iter() {
                if !self.locations.contains(&manifest.manifest_path) {
                    unread
                        .entry(manifest.manifest_path.clone())
                        .or_insert_with(|| manifest.clone());
                }
            }
        }
        Ok(unread)
    }
}
