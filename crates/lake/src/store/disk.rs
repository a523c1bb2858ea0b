//! The one place that touches the folder: temporary files, moving them into place, syncing.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path as FilePath, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use object_store::path::Path;
use object_store::{PutResult, Result};
use parking_lot::Mutex;

use super::{Durability, generic, io_error};

/// Where files live until they are whole; no object may have this name.
pub(super) const TEMPORARY: &str = ".tmp";

/// The folder, and what this process knows of it.
#[derive(Debug)]
pub(super) struct Disk {
    folder: PathBuf,
    sync: Durability,
    /// Folders whose names this process has made durable, up to the root.
    durable: Mutex<HashSet<PathBuf>>,
    next: AtomicU64,
}

/// A file that has no name among the objects yet. It is locked while its writer lives, so that a
/// process that opens the folder can tell it from one that a dead process left.
#[derive(Debug)]
pub(super) struct Temporary {
    file: File,
    path: PathBuf,
    kept: bool,
}

impl Disk {
    pub(super) fn open(folder: &FilePath, sync: Durability) -> io::Result<Disk> {
        let temporary = folder.join(TEMPORARY);
        fs::create_dir_all(&temporary)?;
        let disk = Disk {
            folder: fs::canonicalize(folder)?,
            sync,
            durable: Mutex::default(),
            next: AtomicU64::new(0),
        };
        if let Some(parent) = disk.folder.parent() {
            disk.sync_path(parent)?;
        }
        disk.sync_path(&disk.folder)?;
        sweep(&temporary)?;
        Ok(disk)
    }

    pub(super) fn folder(&self) -> &FilePath {
        &self.folder
    }

    /// The file of an object.
    pub(super) fn file_of(&self, location: &Path) -> Result<PathBuf> {
        let mut path = self.folder.clone();
        let mut parts = location.parts().peekable();
        if parts.peek().is_none_or(|first| first.as_ref() == TEMPORARY) {
            return Err(generic(base::Error::invalid(format!(
                "no object can be named `{location}`"
            ))));
        }
        path.extend(parts.map(|part| part.as_ref().to_owned()));
        Ok(path)
    }

    /// A new locked file.
    pub(super) fn temporary(&self) -> Result<Temporary> {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let path = self.folder.join(TEMPORARY).join(format!("{}-{number}", std::process::id()));
            match locked_file(&path) {
                Ok(Some(file)) => return Ok(Temporary { file, path, kept: false }),
                Ok(None) => continue,
                Err(error) => return Err(io_error(error, "create", &path)),
            }
        }
    }

    /// Makes a whole file durable under an object's name.
    pub(super) fn publish(
        &self,
        mut file: Temporary,
        location: &Path,
        create: bool,
    ) -> Result<PutResult> {
        let target = self.file_of(location)?;
        let fail = |error| io_error(error, "write", &target);
        let metadata = file.file.metadata().map_err(fail)?;
        self.sync_file(&file).map_err(fail)?;
        let folder = self.make_parents(&target)?;
        if create {
            fs::hard_link(&file.path, &target).map_err(fail)?;
        } else {
            fs::rename(&file.path, &target).map_err(fail)?;
            file.kept = true;
        }
        self.sync_path(&folder).map_err(fail)?;
        Ok(PutResult { e_tag: Some(tag(&metadata)), version: None })
    }

    pub(super) fn delete(&self, location: &Path) -> Result<()> {
        self.delete_all([Ok(location.clone())]).pop().map_or(Ok(()), |one| one.map(|_| ()))
    }

    /// Deletes files, then makes it durable: a folder that many of them were in is synced once. What was
    /// gone already is made durable too, for whoever deleted it may have died before.
    pub(super) fn delete_all(
        &self,
        locations: impl IntoIterator<Item = Result<Path>>,
    ) -> Vec<Result<Path>> {
        let unlinked: Vec<_> = locations.into_iter().map(|one| self.unlink(one)).collect();
        let folders: HashSet<&PathBuf> =
            unlinked.iter().filter_map(|(folder, _)| folder.as_ref()).collect();
        let unsynced = folders.into_iter().filter_map(|folder| self.sync_changed(folder));
        let unsynced: HashMap<PathBuf, io::Error> = unsynced.collect();
        let durable = |(folder, one): (Option<PathBuf>, Result<Path>)| {
            let folder = folder.and_then(|folder| unsynced.get_key_value(&folder));
            folder.map_or(one, |(folder, error)| Err(io_error(again(error), "sync", folder)))
        };
        unlinked.into_iter().map(durable).collect()
    }

    /// Takes a file's name away; gives the folder that had it, which is to be synced.
    fn unlink(&self, location: Result<Path>) -> (Option<PathBuf>, Result<Path>) {
        let found = location.and_then(|location| Ok((self.file_of(&location)?, location)));
        let (path, location) = match found {
            Ok(found) => found,
            Err(error) => return (None, Err(error)),
        };
        let unlinked = fs::remove_file(&path).map_err(|error| io_error(error, "delete", &path));
        (path.parent().map(FilePath::to_path_buf), unlinked.map(|()| location))
    }

    /// Makes it durable what a folder has lost; gives why it could not. One that is gone has nothing.
    fn sync_changed(&self, folder: &FilePath) -> Option<(PathBuf, io::Error)> {
        let error = self.sync_path(folder).err()?;
        (error.kind() != io::ErrorKind::NotFound).then(|| (folder.to_path_buf(), error))
    }

    pub(super) fn copy(&self, from: &Path, to: &Path, create: bool) -> Result<()> {
        let source = self.file_of(from)?;
        let mut reader = File::open(&source).map_err(|error| io_error(error, "copy", &source))?;
        let mut file = self.temporary()?;
        io::copy(&mut reader, &mut file.file).map_err(|error| io_error(error, "copy", &source))?;
        self.publish(file, to, create).map(|_| ())
    }

    pub(super) fn rename(&self, from: &Path, to: &Path, create: bool) -> Result<()> {
        let (source, target) = (self.file_of(from)?, self.file_of(to)?);
        let fail = |error| io_error(error, "rename", &source);
        let folder = self.make_parents(&target)?;
        if create {
            fs::hard_link(&source, &target)
                .map_err(|error| io_error(error, "rename to", &target))?;
            self.sync_path(&folder).map_err(fail)?;
            return self.delete(from);
        }
        fs::rename(&source, &target).map_err(fail)?;
        self.sync_path(&folder).map_err(fail)?;
        match source.parent() {
            Some(parent) => self.sync_path(parent).map_err(fail),
            None => Ok(()),
        }
    }

    /// Makes the folders above a file, and makes their names durable. Another process may have made
    /// one and not synced it yet, so each is synced once by each process, whoever made it.
    fn make_parents(&self, target: &FilePath) -> Result<PathBuf> {
        let folder = target.parent().unwrap_or(&self.folder).to_path_buf();
        let fail = |error| io_error(error, "create", &folder);
        fs::create_dir_all(&folder).map_err(fail)?;
        let mut unsynced = Vec::new();
        for ancestor in folder.ancestors().take_while(|path| *path != self.folder) {
            if !self.durable.lock().contains(ancestor) {
                unsynced.push(ancestor.to_path_buf());
            }
        }
        for path in unsynced.into_iter().rev() {
            self.sync_path(path.parent().unwrap_or(&self.folder)).map_err(fail)?;
            self.durable.lock().insert(path);
        }
        Ok(folder)
    }

    fn sync_file(&self, file: &Temporary) -> io::Result<()> {
        match &self.sync {
            Durability::Skip => Ok(()),
            Durability::Full => file.file.sync_all(),
            Durability::Watched(hook) => {
                file.file.sync_all()?;
                hook(&file.path)
            }
        }
    }

    fn sync_path(&self, folder: &FilePath) -> io::Result<()> {
        match &self.sync {
            Durability::Skip => Ok(()),
            Durability::Full => File::open(folder)?.sync_all(),
            Durability::Watched(hook) => {
                File::open(folder)?.sync_all()?;
                hook(folder)
            }
        }
    }
}

impl Temporary {
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|error| io_error(error, "write", &self.path))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // A failure leaves a file that the next process to open the folder sweeps.
        if !self.kept {
            let _swept_later = fs::remove_file(&self.path);
        }
    }
}

/// The same error for one more object.
fn again(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), error.to_string())
}

/// What changes whenever an object does.
pub(super) fn tag(metadata: &fs::Metadata) -> String {
    format!("{:x}-{:x}-{:x}", metadata.ino(), metadata.mtime_nsec(), metadata.size())
}

/// Creates and locks a file; `None` when the name is taken or a sweep was faster.
fn locked_file(path: &FilePath) -> io::Result<Option<File>> {
    let file = match File::options().read(true).write(true).create_new(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        Err(error) => return Err(error),
    };
    file.lock()?;
    // A sweep may have locked and removed the file between its creation and our lock.
    Ok((file.metadata()?.nlink() > 0).then_some(file))
}

/// Removes the temporary files that nobody holds.
fn sweep(temporary: &FilePath) -> io::Result<()> {
    for entry in fs::read_dir(temporary)? {
        let path = entry?.path();
        let file = match File::options().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if file.try_lock().is_ok() {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}
