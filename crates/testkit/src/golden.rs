//! Golden files: expectations that live in the repository. In: a path and what came out. Out: a
//! panic with the difference, or, with `BLESS=1` in the environment, a rewritten file. Not here:
//! how the difference is found (`diff`).

use std::path::Path;

use crate::diff::unified;

/// Compares `actual` with the file at `path`; a missing file counts as empty.
///
/// # Panics
/// When they differ and the run does not bless.
#[track_caller]
pub fn check(path: impl AsRef<Path>, actual: &str) {
    if let Err(difference) = compare(path.as_ref(), actual) {
        panic!("{difference}");
    }
}

/// Like [`check`], for callers who gather the differences of many files.
pub fn compare(path: &Path, actual: &str) -> Result<(), String> {
    let expected = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(format!("failed to read `{}`: {error}", path.display())),
    };
    let Some(difference) = unified(&expected, actual) else { return Ok(()) };
    if is_blessing() {
        return write(path, actual)
            .map_err(|error| format!("failed to write `{}`: {error}", path.display()));
    }
    Err(format!(
        "`{}` is not what came out; if it should be, run `cargo xtask bless`\n{difference}",
        path.display()
    ))
}

/// Whether this run rewrites expectations instead of comparing with them.
pub fn is_blessing() -> bool {
    std::env::var_os("BLESS").is_some_and(|value| value == "1")
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_the_file_and_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        std::fs::write(&path, "one\n").unwrap();
        assert_eq!(compare(&path, "one\n"), Ok(()));
        if !is_blessing() {
            let message = compare(&path, "two\n").unwrap_err();
            assert!(message.contains("a.txt") && message.contains("-one\n+two\n"), "{message}");
        }
    }
}
