//! Listing objects below a prefix, one folder at a time.

use std::collections::VecDeque;
use std::fs;
use std::io::ErrorKind;
use std::path::Path as FilePath;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{ListResult, ObjectMeta, Result};

use super::disk::{Disk, TEMPORARY};
use super::read::object_meta;
use super::{generic, io_error};

/// One folder's objects and the folders in it.
#[derive(Default)]
struct Level {
    objects: Vec<ObjectMeta>,
    folders: Vec<Path>,
}

/// Every object below `prefix`, in no stated order, holding one folder's names at a time.
pub(super) fn all(disk: Arc<Disk>, prefix: Option<Path>) -> BoxStream<'static, Result<ObjectMeta>> {
    let start = VecDeque::from([prefix.unwrap_or_default()]);
    stream::unfold((disk, start), |(disk, mut folders)| async move {
        let folder = folders.pop_front()?;
        let reader = Arc::clone(&disk);
        let read = base::task::blocking("list objects", move || read_level(&reader, &folder)).await;
        let items: Vec<Result<ObjectMeta>> = match read {
            Ok(Ok(level)) => {
                folders.extend(level.folders);
                level.objects.into_iter().map(Ok).collect()
            }
            Ok(Err(error)) => vec![Err(error)],
            Err(error) => vec![Err(generic(error))],
        };
        Some((stream::iter(items), (disk, folders)))
    })
    .flatten()
    .boxed()
}

/// The objects right below `prefix`, and the prefixes that have objects.
pub(super) fn level(disk: &Disk, prefix: &Path) -> Result<ListResult> {
    let level = read_level(disk, prefix)?;
    let mut common_prefixes = Vec::new();
    for folder in level.folders {
        if has_objects(disk, &folder)? {
            common_prefixes.push(folder);
        }
    }
    Ok(ListResult { common_prefixes, objects: level.objects })
}

fn has_objects(disk: &Disk, folder: &Path) -> Result<bool> {
    let level = read_level(disk, folder)?;
    if !level.objects.is_empty() {
        return Ok(true);
    }
    for folder in &level.folders {
        if has_objects(disk, folder)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn read_level(disk: &Disk, prefix: &Path) -> Result<Level> {
    let root = prefix.as_ref().is_empty();
    let folder = if root { disk.folder().to_path_buf() } else { disk.file_of(prefix)? };
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        // A prefix without objects is empty, as in any object store.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Level::default());
        }
        Err(error) => return Err(io_error(error, "list", &folder)),
    };
    let mut level = Level::default();
    for entry in entries {
        let entry = entry.map_err(|error| io_error(error, "list", &folder))?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| !(root && *name == TEMPORARY)) else {
            continue;
        };
        let location =
            Path::parse(if root { name.to_owned() } else { format!("{prefix}/{name}") })?;
        add_entry(&mut level, location, &entry.path())?;
    }
    level.objects.sort_by(|a, b| a.location.cmp(&b.location));
    level.folders.sort();
    Ok(level)
}

fn add_entry(level: &mut Level, location: Path, path: &FilePath) -> Result<()> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => level.folders.push(location),
        Ok(metadata) => level.objects.push(object_meta(location, &metadata)),
        // It was deleted while the folder was read.
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(io_error(error, "list", path)),
    }
    Ok(())
}
