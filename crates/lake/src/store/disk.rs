//! The one place that touches the folder: temporary files, moving them into place, syncing.

use std::collections::HashSet;
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
        let path = self.file_of(location)?;
        let fail = |error| io_error(error, "delete", &path);
        fs::remove_file(&path).map_err(fail)?;
        match path.parent() {
            Some(folder) => self.sync_path(folder).map_err(fail),
            None => Ok(()),
        }
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
