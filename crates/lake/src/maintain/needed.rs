//! Which of the objects of one folder are needed.
//!
//! In: a folder, whose it is, and what was found in it. Out: [`Needed`]: everything that a snapshot or
//! version of a table that lives or can still be restored refers to. What cannot be told is needed.
//! Not here: listing and removing (`orphans`).

use std::collections::{BTreeSet, HashSet};

use base::Result;
use base::ids::TableId;
use iceberg::spec::TableMetadata;
use lance::index::DatasetIndexExt;
use lance_table::io::deletion::deletion_file_path;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};

use crate::Table;
use crate::failure::failed;
use crate::lake::Lake;
use crate::reach::Reach;

/// Whose a folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// It holds the metadata and the data files of an Iceberg table.
    Rows(TableId),
    /// It holds the text indexes of a table's data files.
    Texts(TableId),
    /// It holds Lance datasets, or is one.
    Datasets,
    /// No table says so.
    Unknown,
}

/// What must stay.
#[derive(Debug, Default)]
pub(super) struct Needed {
    paths: HashSet<Path>,
    /// Everything below these.
    folders: BTreeSet<String>,
}

impl Needed {
    /// Of a folder in which `found` was found before.
    pub(super) async fn of(
        lake: &Lake,
        folder: &Path,
        owner: Owner,
        found: &[ObjectMeta],
    ) -> Result<Needed> {
        match owner {
            Owner::Rows(id) => match lake.catalog().by_id(id).await? {
                Some(table) => Needed::of_rows(lake, &table).await,
                // It was dropped and buried meanwhile: the next clean-up sees to it.
                None => Ok(Needed::all(folder)),
            },
            Owner::Texts(id) => match lake.catalog().by_id(id).await? {
                Some(table) => Needed::of_texts(lake, &table, found).await,
                None => Ok(Needed::default()),
            },
            Owner::Datasets => {
                let mut needed = Needed::default();
                for dataset in datasets(found) {
                    needed.add_dataset(lake, &dataset).await?;
                }
                Ok(needed)
            }
            Owner::Unknown if left_by_create(lake, folder, found).await? => Ok(Needed::default()),
            Owner::Unknown => Ok(Needed::all(folder)),
        }
    }

    /// Whether an object must stay.
    pub(super) fn contains(&self, path: &Path) -> bool {
        let text = path.as_ref();
        let below = |end| text.get(..end).is_some_and(|part| self.folders.contains(part));
        self.paths.contains(path) || text.match_indices('/').any(|(end, _)| below(end))
    }

    fn all(folder: &Path) -> Needed {
        Needed { paths: HashSet::new(), folders: BTreeSet::from([folder.to_string()]) }
    }

    async fn of_rows(lake: &Lake, table: &Table) -> Result<Needed> {
        let metadata = table.iceberg()?;
        let mut locations = vec![table.metadata_location.to_string()];
        locations.extend(metadata.metadata_log().iter().map(|log| log.metadata_file.clone()));
        locations.extend(metadata.statistics_iter().map(|file| file.statistics_path.clone()));
        let partitions = metadata.partition_statistics_iter();
        locations.extend(partitions.map(|file| file.statistics_path.clone()));
        locations.extend(Reach::of_all(lake, metadata).await?.locations);
        let paths = locations.iter().map(|location| lake.locations().path(location));
        Ok(Needed { paths: paths.collect::<Result<_>>()?, folders: BTreeSet::new() })
    }

    async fn of_texts(lake: &Lake, table: &Table, found: &[ObjectMeta]) -> Result<Needed> {
        let live: HashSet<String> = match &table.iceberg {
            Some(metadata) => Reach::of_all(lake, metadata).await?.locations,
            None => HashSet::new(),
        };
        let found: Vec<Path> = found.iter().map(|meta| meta.location.clone()).collect();
        let texts = &lake.inner.query.texts;
        let paths = texts.needed(&found, |file| live.contains(file)).await?;
        Ok(Needed { paths, folders: BTreeSet::new() })
    }

    /// Adds what the versions of a dataset need.
    async fn add_dataset(&mut self, lake: &Lake, dataset: &Path) -> Result<()> {
        let lance = &lake.inner.companions.lance;
        for (version, manifest) in lance.manifests(dataset.as_ref()).await? {
            self.paths.insert(manifest);
            let opened = lance.dataset(dataset.as_ref(), Some(version), None).await?;
            let Some(opened) = opened else { continue };
            for fragment in opened.manifest().fragments.iter() {
                let data = dataset.clone().join("data");
                self.paths
                    .extend(fragment.files.iter().map(|f| data.clone().join(f.path.as_str())));
                let deleted = fragment.deletion_file.as_ref();
                self.paths
                    .extend(deleted.map(|file| deletion_file_path(dataset, fragment.id, file)));
            }
            let transaction = opened.manifest().transaction_file.as_deref();
            self.paths
                .extend(transaction.map(|name| dataset.clone().join("_transactions").join(name)));
            let indexes = opened.load_indices().await;
            let indexes = indexes.map_err(|e| crate::lance_store::failed("list indexes", e))?;
            let folder = |uuid| format!("{dataset}/_indices/{uuid}");
            self.folders.extend(indexes.iter().map(|index| folder(index.uuid)));
        }
        Ok(())
    }
}

/// The datasets that objects belong to.
fn datasets(found: &[ObjectMeta]) -> BTreeSet<Path> {
    let dataset = |meta: &ObjectMeta| {
        let text = meta.location.as_ref();
        let end = text.find(".lance/")? + ".lance".len();
        Some(Path::from(&text[..end]))
    };
    found.iter().filter_map(dataset).collect()
}

/// Whether a folder that no table has is what a creation left that was cut off: the first metadata of
/// a table for a type, and nothing else.
async fn left_by_create(lake: &Lake, folder: &Path, found: &[ObjectMeta]) -> Result<bool> {
    let all = lake.files_below(folder, base::Timestamp::from_micros(i64::MAX)).await?;
    let [only] = all.as_slice() else { return Ok(false) };
    let is_first = only
        .location
        .filename()
        .is_some_and(|name| name.starts_with("00000-") && name.ends_with(".metadata.json"));
    if !is_first || found.len() != 1 || lake.knows_folder(folder).await? {
        return Ok(false);
    }
    let doing = || format!("read `{}`", only.location);
    let read = lake.config().objects.get(&only.location).await.map_err(failed(doing()))?;
    let bytes = read.bytes().await.map_err(failed(doing()))?;
    let metadata = serde_json::from_slice::<TableMetadata>(&bytes);
    Ok(metadata.is_ok_and(|metadata| metadata.properties().contains_key("headwater.type")))
}

impl Lake {
    /// Which of these objects a table of the schema needs, in any state of it that can be read.
    pub async fn needs(&self, keys: &[&str]) -> Result<HashSet<String>> {
        let mut found = HashSet::new();
        for table in self.tables().await? {
            let location = table.iceberg.as_ref().map(|metadata| metadata.location());
            let location = location.unwrap_or(&table.metadata_location).trim_end_matches('/');
            let folder = self.locations().path(location)?;
            let is_here = |key: &&str| {
                key.strip_prefix(folder.as_ref()).is_some_and(|rest| rest.starts_with('/'))
            };
            let here: Vec<&str> = keys.iter().copied().filter(is_here).collect();
            if here.is_empty() {
                continue;
            }
            let mut needed = Needed::default();
            match &table.iceberg {
                Some(_) => needed = Needed::of_rows(self, &table).await?,
                None => needed.add_dataset(self, &folder).await?,
            }
            let is_needed = |key: &&str| needed.contains(&Path::from(*key));
            found.extend(here.into_iter().filter(is_needed).map(ToOwned::to_owned));
        }
        Ok(found)
    }

    /// Whether a table that lives now has this folder.
    async fn knows_folder(&self, folder: &Path) -> Result<bool> {
        for table in self.tables().await? {
            if folder_of(self, &table.metadata_location)?.as_ref() == Some(folder) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The folder of an Iceberg table, by the location of its metadata.
pub(super) fn folder_of(lake: &Lake, metadata_location: &str) -> Result<Option<Path>> {
    let folder = metadata_location.rsplit_once("/metadata/").map(|(folder, _)| folder);
    folder.map(|folder| lake.locations().path(folder)).transpose()
}
