//! Walks from the metadata database to every object that it reaches, by code of its own.
//!
//! In: a project's folder and its database. Out: the objects that live metadata reaches and those that
//! are there; an error when one of the former is not among the latter. The walk reads JSON, Avro and
//! protocol buffers itself, so that a mistake of the lake cannot hide behind the lake's own view.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use meta::Database;
use serde_json::Value;

use super::{avro, manifest};

/// Paths of objects.
pub(crate) type Objects = BTreeSet<String>;

/// Everything that live metadata reaches.
#[derive(Debug, Default)]
pub(crate) struct Reached {
    pub(crate) objects: Objects,
    /// Data files of live tables, as their manifests name them.
    data: BTreeSet<String>,
    index_folders: BTreeSet<String>,
}

/// Walks, and holds what was reached against what is there.
pub(crate) async fn walk(objects: &Path, database: &Database) -> Result<Reached> {
    let mut walk = Walk { objects, reached: Reached::default(), lists: BTreeSet::new() };
    let tables = "SELECT metadata_location, format FROM lake_tables UNION ALL \
                  SELECT metadata_location, format FROM lake_dropped WHERE type_name <> ''";
    for row in database.query(tables, &[]).await? {
        if row.text("format")? == "iceberg" {
            walk.table(&row.text("metadata_location")?)?;
        }
    }
    for row in database.query("SELECT dataset, path FROM lake_lance_versions", &[]).await? {
        walk.version(&row.text("dataset")?, &row.text("path")?)?;
    }
    walk.texts()?;
    let mut reached = walk.reached;
    let present = present(objects)?;
    for folder in &reached.index_folders {
        let below = format!("{folder}/");
        let files: Vec<_> = present.iter().filter(|path| path.starts_with(&below)).collect();
        ensure!(!files.is_empty(), "index `{folder}` has no files");
        reached.objects.extend(files.into_iter().cloned());
    }
    let missing: Vec<_> = reached.objects.difference(&present).collect();
    ensure!(missing.is_empty(), "{} objects are missing: {:?}", missing.len(), first(&missing));
    Ok(reached)
}

/// Objects that are there and that nothing reaches.
pub(crate) fn orphans(objects: &Path, reached: &Reached) -> Result<Vec<String>> {
    Ok(present(objects)?.difference(&reached.objects).cloned().collect())
}

fn first<'a>(all: &[&'a String]) -> Vec<&'a String> {
    all.iter().take(3).copied().collect()
}

struct Walk<'a> {
    objects: &'a Path,
    reached: Reached,
    /// Manifest lists that were read.
    lists: BTreeSet<String>,
}

impl Walk<'_> {
    fn read(&mut self, path: &str) -> Result<Vec<u8>> {
        self.reached.objects.insert(path.to_owned());
        fs::read(self.objects.join(path)).with_context(|| format!("failed to read `{path}`"))
    }

    fn table(&mut self, location: &str) -> Result<()> {
        let metadata: Value = serde_json::from_slice(&self.read(&path_of(location)?)?)?;
        for log in metadata["metadata-log"].as_array().into_iter().flatten() {
            let file = log["metadata-file"].as_str().context("a log entry names no file")?;
            self.reached.objects.insert(path_of(file)?);
        }
        for snapshot in metadata["snapshots"].as_array().into_iter().flatten() {
            let list = snapshot["manifest-list"].as_str().context("a snapshot has no list")?;
            if self.lists.insert(list.to_owned()) {
                self.manifests(&path_of(list)?)?;
            }
        }
        Ok(())
    }

    fn manifests(&mut self, list: &str) -> Result<()> {
        for manifest in avro::records(&self.read(list)?)? {
            let path = manifest["manifest_path"].as_str().context("a manifest has no path")?;
            let path = path_of(path)?;
            if !self.reached.objects.contains(&path) {
                self.files(&path)?;
            }
        }
        Ok(())
    }

    fn files(&mut self, manifest: &str) -> Result<()> {
        for entry in avro::records(&self.read(manifest)?)? {
            // Entries with status 2 say what went.
            if entry["status"] == 2 {
                continue;
            }
            let location = entry["data_file"]["file_path"].as_str();
            let location = location.context("an entry has no path")?;
            self.reached.data.insert(location.to_owned());
            self.reached.objects.insert(path_of(location)?);
        }
        Ok(())
    }

    fn version(&mut self, dataset: &str, path: &str) -> Result<()> {
        let bytes = self.read(path)?;
        let refers = manifest::refers(&bytes).with_context(|| format!("in `{path}`"))?;
        let below = |name: &String| format!("{dataset}/{name}");
        self.reached.objects.extend(refers.files.iter().map(below));
        self.reached.index_folders.extend(refers.index_folders.iter().map(below));
        Ok(())
    }

    /// Text indexes are found by the data file that their list names.
    fn texts(&mut self) -> Result<()> {
        let lists: Vec<String> = present(self.objects)?
            .into_iter()
            .filter(|path| path.starts_with("_text/") && path.ends_with(".json"))
            .collect();
        for list in lists {
            let stored: Value = serde_json::from_slice(&fs::read(self.objects.join(&list))?)?;
            let file = stored["file"].as_str().unwrap_or_default();
            if self.reached.data.contains(file) {
                let parts = stored["rows"].as_array().map_or(0, Vec::len);
                let key = list.trim_end_matches(".json");
                self.reached.objects.extend((0..parts).map(|part| format!("{key}.{part}.text")));
                self.reached.objects.insert(list);
            }
        }
        Ok(())
    }
}

/// The object behind a location, whatever the warehouse is called.
fn path_of(location: &str) -> Result<String> {
    let path = location.strip_prefix("s3://").and_then(|rest| rest.split_once('/'));
    path.map(|(_, path)| path.to_owned()).with_context(|| format!("`{location}` is no location"))
}

/// All objects of a folder, without the files that are not whole yet.
pub(crate) fn present(objects: &Path) -> Result<Objects> {
    let mut found = BTreeSet::new();
    let mut folders: Vec<PathBuf> = vec![objects.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                if path.file_name().is_none_or(|name| name != ".tmp") {
                    folders.push(path);
                }
            } else if let Some(name) = path.strip_prefix(objects)?.to_str() {
                found.insert(name.to_owned());
            }
        }
    }
    Ok(found)
}

/// Gives every object the age that it would have if it had been written then.
pub(crate) fn age(objects: &Path, at: std::time::SystemTime) -> Result<()> {
    for path in present(objects)? {
        let file = fs::File::options().write(true).open(objects.join(path))?;
        file.set_modified(at)?;
    }
    Ok(())
}

/// Rows of each file that its import's journal says are committed, of the newest run.
pub(crate) async fn committed_parts(database: &Database) -> Result<BTreeMap<String, usize>> {
    let sql = "SELECT name FROM sqlite_master WHERE name = 'lake_import'";
    if database.query_one(sql, &[]).await?.is_none() {
        return Ok(BTreeMap::new());
    }
    let sql = "SELECT file, rows_read FROM lake_import ORDER BY generation, part";
    let mut parts = BTreeMap::new();
    for row in database.query(sql, &[]).await? {
        parts.insert(row.text("file")?, usize::try_from(row.int("rows_read")?)?);
    }
    Ok(parts)
}
