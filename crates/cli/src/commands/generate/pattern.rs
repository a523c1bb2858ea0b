//! Files by patterns, which a shell passes on when they are quoted, and where it knows no `**`.
//!
//! In: files, folders and patterns: `*` and `?` stand for letters of one name, `**` for any folders. Out:
//! the files with documents, each once, in the order of their names. Links to folders are not followed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use base::{Error, Kind, Result};

use super::files::MOST_FILES;

/// All files that are meant. Errors: `NotFound` when a pattern means none.
pub(super) fn expand(patterns: &[String]) -> Result<Vec<PathBuf>> {
    let mut all = BTreeSet::new();
    for pattern in patterns {
        let mut found = BTreeSet::new();
        if Path::new(pattern).is_dir() {
            walk(Path::new(pattern), &["**", "*"], &mut found)?;
        } else if pattern.contains(['*', '?']) {
            let (base, rest) = split(pattern);
            walk(&base, &rest, &mut found)?;
        } else {
            // Whether it is there is found out when it is read.
            found.insert(PathBuf::from(pattern));
        }
        if found.is_empty() {
            let text = format!("no file with documents is at `{pattern}`");
            return Err(Error::not_found(text)
                .hint("documents are in files that end with `.graphql` or `.gql`"));
        }
        all.extend(found);
    }
    Ok(all.into_iter().collect())
}

/// The folder before the first wildcard, and the parts from there on.
fn split(pattern: &str) -> (PathBuf, Vec<&str>) {
    let parts: Vec<&str> = pattern.split('/').collect();
    let fixed = parts.iter().take_while(|part| !part.contains(['*', '?'])).count();
    let base = match (fixed, pattern.starts_with('/')) {
        (0, _) => ".".to_owned(),
        (1, true) => "/".to_owned(),
        _ => parts[..fixed].join("/"),
    };
    (PathBuf::from(base), parts[fixed..].iter().copied().filter(|part| !part.is_empty()).collect())
}

fn walk(folder: &Path, parts: &[&str], found: &mut BTreeSet<PathBuf>) -> Result<()> {
    let Some((part, rest)) = parts.split_first() else { return Ok(()) };
    if *part == "**" && !rest.is_empty() {
        walk(folder, rest, found)?;
    }
    for (name, path) in entries(folder)? {
        let is_folder = path.is_dir() && !path.is_symlink();
        if *part == "**" {
            if is_folder {
                walk(&path, parts, found)?;
            }
        } else if matches(part.as_bytes(), name.as_bytes()) {
            if is_folder {
                walk(&path, rest, found)?;
            } else if rest.is_empty() && has_documents(&path) {
                let shown = path.strip_prefix("./").map(Path::to_path_buf);
                found.insert(shown.unwrap_or(path));
            }
        }
    }
    if found.len() > MOST_FILES {
        let text = format!("more than {MOST_FILES} files are meant");
        return Err(Error::new(Kind::LimitExceeded, text).hint("name a smaller folder"));
    }
    Ok(())
}

/// What is in a folder, without what hides.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let failed = |error: std::io::Error| {
        Error::from(error).context(format!("failed to read `{}`", folder.display()))
    };
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && name != "node_modules" {
            entries.push((name, entry.path()));
        }
    }
    Ok(entries)
}

fn has_documents(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("graphql" | "gql"))
}

/// Whether a name is one that a part of a pattern means.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    // Where the last `*` stands, and what it has taken so far.
    let (mut at, mut taken, mut star) = (0, 0, None);
    while taken < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, taken));
                at += 1;
            }
            Some(letter) if *letter == b'?' || *letter == name[taken] => {
                at += 1;
                taken += 1;
            }
            _ => match star {
                Some((place, before)) => {
                    star = Some((place, before + 1));
                    (at, taken) = (place + 1, before + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|letter| *letter == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_matched() {
        let cases = [
            ("*", "x", true),
            ("*.graphql", "a.graphql", true),
            ("*.graphql", "a.gql", false),
            ("a?c*e", "abcde", true),
            ("a?c*e", "abcd", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b", "xxaxxbxx", false),
            ("", "x", false),
        ];
        for (pattern, name, wanted) in cases {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), wanted, "{pattern} {name}");
        }
    }

    #[test]
    fn patterns_find_files_in_folders() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_str().unwrap();
        for path in ["a.graphql", "q/b.gql", "q/r/c.graphql", "q/r/d.json", ".h/e.graphql"] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let check = |pattern: &str, wanted: &[&str]| {
            let found = expand(&[format!("{root}/{pattern}")]).unwrap_or_default();
            let found: Vec<_> = found
                .iter()
                .map(|path| path.strip_prefix(root).unwrap().to_str().unwrap())
                .collect();
            assert_eq!(found, wanted, "{pattern}");
        };
        check("**/*.graphql", &["a.graphql", "q/r/c.graphql"]);
        check("*/*", &["q/b.gql"]);
        check("q/**/*", &["q/b.gql", "q/r/c.graphql"]);
        check("", &["a.graphql", "q/b.gql", "q/r/c.graphql"]);
        check("q/r/c.graphql", &["q/r/c.graphql"]);
        check("z/*.graphql", &[]);
        check("*.txt", &[]);
        assert_eq!(split("*.gql"), (PathBuf::from("."), vec!["*.gql"]));
        assert_eq!(split("/*/x"), (PathBuf::from("/"), vec!["*", "x"]));
    }
}
