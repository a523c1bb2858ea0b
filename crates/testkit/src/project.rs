//! Temporary project folders. In: files by relative path. Out: a folder that is gone with its
//! value. Not here: opening a project; that is the caller's.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A project folder under the system's temporary folder; removed when dropped.
#[derive(Debug)]
pub struct TempProject {
    folder: TempDir,
}

impl TempProject {
    /// An empty project.
    ///
    /// # Panics
    /// When no folder can be made.
    pub fn empty() -> Self {
        let folder = tempfile::Builder::new().prefix("headwater-").tempdir();
        TempProject { folder: folder.expect("a temporary folder") }
    }

    /// A project whose only schema module is `schema/main.graphql`.
    pub fn with_schema(sdl: &str) -> Self {
        TempProject::empty().file("schema/main.graphql", sdl)
    }

    /// Adds or replaces a file.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.write(path, content);
        self
    }

    /// Adds or replaces a file of a project that is in use.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let target = self.path().join(path);
        let parent = target.parent().expect("a file in a folder");
        std::fs::create_dir_all(parent).expect("a folder for the file");
        std::fs::write(&target, content).expect("a written file");
        target
    }

    /// Reads a file as text.
    ///
    /// # Panics
    /// When there is none or it is not UTF-8.
    pub fn read(&self, path: &str) -> String {
        let target = self.path().join(path);
        std::fs::read_to_string(&target)
            .unwrap_or_else(|error| panic!("failed to read `{}`: {error}", target.display()))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The URL of a SQLite metadata database in the folder, for tests of single crates.
    pub fn metadata_url(&self) -> String {
        format!("sqlite://{}", self.path().join("meta.db").display())
    }
}
