//! A model of what a folder holds after the power fails: only what was synced.
//!
//! In: the paths of files and folders, at the moment that they were synced
//! ([`UnsyncedFolder::synced`], given to the local store as its hook). Out: a second folder, as a
//! disk that keeps nothing else would show it ([`UnsyncedFolder::crash`]): a file's bytes are those
//! of its last sync, and a name exists when the folder that has it was synced after it got it. Real
//! file systems keep more; code that survives this survives them. Not here: torn writes.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

/// What is durable below one folder.
#[derive(Debug)]
pub struct UnsyncedFolder {
    root: PathBuf,
    durable: Mutex<Durable>,
}

#[derive(Debug, Default)]
struct Durable {
    /// By inode: the bytes, and the open file, so that its inode is not given to another.
    files: HashMap<u64, (Vec<u8>, File)>,
    /// By inode: the names, each with the inode that it named and whether that was a folder.
    folders: HashMap<u64, (Vec<Name>, File)>,
}

#[derive(Clone, Debug)]
struct Name {
    name: std::ffi::OsString,
    inode: u64,
    folder: bool,
}

impl UnsyncedFolder {
    /// Watches a folder that exists.
    pub fn new(root: &Path) -> io::Result<Self> {
        Ok(UnsyncedFolder { root: fs::canonicalize(root)?, durable: Mutex::default() })
    }

    /// Takes note that a file or folder was synced.
    pub fn synced(&self, path: &Path) -> io::Result<()> {
        let handle = File::open(path)?;
        let metadata = handle.metadata()?;
        if metadata.is_dir() {
            // Read while nobody else notes anything: a list that was read earlier must not take the
            // place of one that was read later.
            let mut durable = self.durable.lock();
            let names = read_names(path)?;
            durable.folders.insert(metadata.ino(), (names, handle));
        } else {
            let bytes = fs::read(path)?;
            self.durable.lock().files.insert(metadata.ino(), (bytes, handle));
        }
        Ok(())
    }

    /// Writes what a crash now would leave into `target`, an empty folder.
    pub fn crash(&self, target: &Path) -> io::Result<()> {
        let root = fs::metadata(&self.root)?.ino();
        restore(&self.durable.lock(), root, target)
    }
}

fn read_names(folder: &Path) -> io::Result<Vec<Name>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.metadata() {
            Ok(metadata) => names.push(Name {
                name: entry.file_name(),
                inode: metadata.ino(),
                folder: metadata.is_dir(),
            }),
            // It was removed while the folder was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(names)
}

fn restore(durable: &Durable, folder: u64, target: &Path) -> io::Result<()> {
    fs::create_dir_all(target)?;
    let Some((names, _)) = durable.folders.get(&folder) else { return Ok(()) };
    for name in names {
        let path = target.join(&name.name);
        if name.folder {
            restore(durable, name.inode, &path)?;
        } else {
            // A name without synced bytes is an empty file: the worst that a file system may keep.
            let bytes = durable.files.get(&name.inode).map_or(&[][..], |(bytes, _)| bytes);
            fs::write(path, bytes)?;
        }
    }
    Ok(())
}
