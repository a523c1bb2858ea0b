//! Documents out of files: one a file, or lists of them as the tools of clients write them.
//!
//! In: files and folders. Out: documents with the names under which faults are told. A list is an object
//! of texts by their ids, or Apollo's manifest. Not here: whether a document is good.

use std::fs;
use std::path::{Path, PathBuf};

use base::{Error, Kind, Result};
use serde_json::Value;
use server::wire::DocumentText;

/// Files of one call at most.
pub(crate) const MOST_FILES: usize = 10_000;

/// Bytes of one file at most.
const MOST_BYTES: u64 = 16 << 20;

/// All documents of these files and folders, in the order of their names. Errors: `Io` when a file cannot
/// be read, `InvalidInput` when it holds no documents, `LimitExceeded` when there are too many.
pub(crate) fn read(paths: &[PathBuf]) -> Result<Vec<DocumentText>> {
    let mut files = Vec::new();
    for path in paths {
        collect(path, &mut files)?;
    }
    let mut documents = Vec::new();
    for file in files {
        let text = read_text(&file)?;
        let name = file.display().to_string();
        match extension(&file) {
            Some("json") => documents.append(&mut listed(&name, &text)?),
            _ => documents.push(DocumentText { file: name, text, id: None }),
        }
    }
    if documents.is_empty() {
        return Err(Error::not_found("there is no document in what was named")
            .hint("documents are in files that end with `.graphql`, `.gql` or `.json`"));
    }
    Ok(documents)
}

fn extension(path: &Path) -> Option<&str> {
    path.extension().and_then(|extension| extension.to_str())
}

/// The files at a path: itself, or everything in the folder that may hold documents.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let failed = |error: std::io::Error| {
        Error::from(error).context(format!("failed to read `{}`", path.display()))
    };
    if !fs::metadata(path).map_err(failed)?.is_dir() {
        files.push(path.to_path_buf());
    } else {
        let entries = fs::read_dir(path).map_err(failed)?;
        let mut inner = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<std::io::Result<Vec<_>>>()
            .map_err(failed)?;
        inner.sort();
        // Links are not followed: a circle of them would never end.
        for path in inner.iter().filter(|path| !path.is_symlink()) {
            if path.is_dir() || matches!(extension(path), Some("graphql" | "gql" | "json")) {
                collect(path, files)?;
            }
        }
    }
    if files.len() > MOST_FILES {
        let text = format!("more than {MOST_FILES} files are named");
        return Err(Error::new(Kind::LimitExceeded, text).hint("register them in parts"));
    }
    Ok(())
}

fn read_text(file: &Path) -> Result<String> {
    let failed = |error: std::io::Error| {
        Error::from(error).context(format!("failed to read `{}`", file.display()))
    };
    if fs::metadata(file).map_err(failed)?.len() > MOST_BYTES {
        let text = format!("`{}` is too large for documents", file.display());
        return Err(Error::new(Kind::LimitExceeded, text).hint("register them in parts"));
    }
    fs::read_to_string(file).map_err(failed)
}

/// The documents of a list.
fn listed(file: &str, text: &str) -> Result<Vec<DocumentText>> {
    let unknown = || {
        Error::invalid(format!("`{file}` is no list of documents")).hint(
            "a list is `{\"ID\": \"TEXT\", …}`, or `{\"operations\": [{\"id\": …, \"body\": …}, …]}`",
        )
    };
    let list: Value = serde_json::from_str(text).map_err(|error| unknown().caused_by(error))?;
    let entries: Option<Vec<(&str, &str)>> = match list.get("operations") {
        Some(Value::Array(operations)) => operations
            .iter()
            .map(|operation| {
                Some((operation.get("id")?.as_str()?, operation.get("body")?.as_str()?))
            })
            .collect(),
        _ => list.as_object().and_then(|entries| {
            entries.iter().map(|(id, text)| Some((id.as_str(), text.as_str()?))).collect()
        }),
    };
    let document = |(id, text): (&str, &str)| DocumentText {
        file: format!("{file}#{id}"),
        text: text.to_owned(),
        id: Some(id.to_owned()),
    };
    Ok(entries.ok_or_else(unknown)?.into_iter().map(document).collect())
}
