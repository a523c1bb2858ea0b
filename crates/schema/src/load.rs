//! Reads the schema folder: in comes a path, out come the texts of its modules in the order of
//! their names, with those of the `.proto` files beside them and descriptor sets (`.binpb`) as base64.
//! Nothing is parsed here; only what no parser should see (files that are too big or are not UTF-8) is
//! refused.

use std::path::Path;
use std::sync::Arc;

use base::{Error, Kind, Place, Result};

use crate::protobuf;

/// The largest module, in bytes.
pub const MAX_FILE_BYTES: u64 = 4 << 20;

/// The most modules a schema may have.
pub const MAX_FILES: usize = 1000;

/// One module's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The file's name below the schema folder, with forward slashes.
    pub file: Arc<str>,
    /// The text.
    pub text: Arc<str>,
}

/// The texts of all modules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// One entry a file, in the order of the files' names.
    pub files: Vec<Source>,
    /// The folder as the user named it; rendered diagnostics put it before the file's name.
    pub folder: Option<Arc<str>>,
}

impl Sources {
    /// Texts that are in memory already: those of a stored version, or of a test.
    pub fn from_texts<F, T>(texts: impl IntoIterator<Item = (F, T)>) -> Self
    where
        F: Into<Arc<str>>,
        T: Into<Arc<str>>,
    {
        let mut files: Vec<Source> = texts
            .into_iter()
            .map(|(file, text)| Source { file: file.into(), text: text.into() })
            .collect();
        files.sort_by(|a, b| a.file.cmp(&b.file));
        Sources { files, folder: None }
    }

    /// The text of a file.
    pub fn text(&self, file: &str) -> Option<&str> {
        self.files.iter().find(|source| source.file.as_ref() == file).map(|s| s.text.as_ref())
    }

    /// The file's name as a user finds it: below the folder that was read.
    pub fn shown_name(&self, file: &str) -> String {
        match &self.folder {
            Some(folder) => format!("{}/{file}", folder.trim_end_matches('/')),
            None => file.to_owned(),
        }
    }
}

/// Reads every `*.graphql` file of a folder and of the folders below it, and what describes services of
/// gRPC.
pub fn read_folder(folder: &Path) -> Result<Sources> {
    let shown = folder.to_string_lossy().replace('\\', "/");
    let mut paths = Vec::new();
    collect(folder, "", &mut paths)
        .map_err(|error| error.context(format!("failed to read the schema folder `{shown}`")))?;
    if !paths.iter().any(|name| is_module(name)) {
        return Err(Error::not_found(format!("there is no schema file in `{shown}`")).hint(
            "write a module such as `schema/catalog.graphql`, or start with `headwater init`",
        ));
    }
    if paths.len() > MAX_FILES {
        return Err(Error::new(
            Kind::LimitExceeded,
            format!("`{shown}` has {} schema files; at most {MAX_FILES} are read", paths.len()),
        ));
    }
    paths.sort();
    let files = paths
        .into_iter()
        .map(|name| Ok(Source { text: read_file(folder, &name)?.into(), file: name.into() }))
        .collect::<Result<Vec<_>>>()?;
    Ok(Sources { files, folder: Some(shown.into()) })
}

/// Adds the names of the schema files in `folder/below`, relative to `folder`.
fn collect(folder: &Path, below: &str, names: &mut Vec<String>) -> Result<()> {
    for entry in std::fs::read_dir(folder.join(below))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        let relative = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        // Links to folders are not followed: a circle of them would never end.
        if entry.file_type()?.is_dir() {
            collect(folder, &relative, names)?;
        } else if is_module(&name) || protobuf::is_proto(&name) || protobuf::is_set(&name) {
            names.push(relative);
        }
    }
    Ok(())
}

/// Whether a file holds a module, and not what describes a service.
pub(crate) fn is_module(name: &str) -> bool {
    name.ends_with(".graphql")
}

fn read_file(folder: &Path, name: &str) -> Result<String> {
    let path = folder.join(name);
    let place = |line, column| Place { file: name.to_owned(), line, column };
    let doing = || format!("failed to read the schema file `{name}`");
    let metadata = std::fs::metadata(&path).map_err(|e| Error::from(e).context(doing()))?;
    if !metadata.is_file() {
        // Reading a pipe would wait for somebody to write.
        return Err(Error::invalid(format!("`{name}` is no file")).at(place(0, 0)));
    }
    let size = metadata.len();
    if size > MAX_FILE_BYTES {
        return Err(Error::new(
            Kind::LimitExceeded,
            format!(
                "the schema file `{name}` has {}; at most {} are read",
                base::size::format_bytes(size),
                base::size::format_bytes(MAX_FILE_BYTES)
            ),
        )
        .at(place(0, 0))
        .hint("split it into several modules"));
    }
    let bytes = std::fs::read(&path).map_err(|e| Error::from(e).context(doing()))?;
    if protobuf::is_set(name) {
        return Ok(protobuf::text_of_set(&bytes));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(&error.as_bytes()[..good]).into_owned();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
        Error::invalid(format!("the schema file `{name}` is not UTF-8 text"))
            .at(place(line, column))
            .hint("save it as UTF-8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        folder
    }

    #[test]
    fn modules_are_read_in_the_order_of_their_names_and_other_files_are_passed_over() {
        let folder = folder(&[
            ("plays.graphql", b"b"),
            ("catalog.graphql", b"a"),
            ("deep/er.graphql", b"c"),
            (".hidden.graphql", b"x"),
            ("README.md", b"x"),
        ]);
        let sources = read_folder(folder.path()).unwrap();
        let names: Vec<_> = sources.files.iter().map(|s| s.file.as_ref()).collect();
        assert_eq!(names, ["catalog.graphql", "deep/er.graphql", "plays.graphql"]);
        assert_eq!(sources.text("deep/er.graphql"), Some("c"));
    }

    #[test]
    fn an_empty_folder_and_a_missing_one_are_worded_errors() {
        let empty = folder(&[]);
        let error = read_folder(empty.path()).unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
        assert!(error.message().starts_with("there is no schema file in"), "{error}");
        let error = read_folder(&empty.path().join("absent")).unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
    }

    #[test]
    fn a_file_that_is_not_utf8_is_refused_with_the_place_of_its_first_bad_byte() {
        let folder = folder(&[("catalog.graphql", b"type A {\n  \xc3\xa9 \xff: Int }")]);
        let error = read_folder(folder.path()).unwrap_err();
        assert_eq!(error.place().unwrap().to_string(), "catalog.graphql:2:5");
    }

    #[test]
    fn what_is_named_like_a_module_but_is_no_file_is_refused() {
        let folder = folder(&[("real/x.txt", b"")]);
        let link = folder.path().join("link.graphql");
        std::os::unix::fs::symlink(folder.path().join("real"), link).unwrap();
        let error = read_folder(folder.path()).unwrap_err();
        assert_eq!(error.message(), "`link.graphql` is no file");
    }

    #[test]
    fn a_huge_file_is_refused_before_it_is_read() {
        let folder = folder(&[]);
        let file = std::fs::File::create(folder.path().join("big.graphql")).unwrap();
        file.set_len(MAX_FILE_BYTES + 1).unwrap();
        assert_eq!(read_folder(folder.path()).unwrap_err().kind(), Kind::LimitExceeded);
    }
}
