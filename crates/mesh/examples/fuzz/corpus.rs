//! Inputs to begin with: those that are kept in `tests/fuzz`, and good ones from other tests.
//!
//! In: the folder `tests` of the repository. Out: texts by kind, in the order of their files. Not here: what is
//! found, which the program adds to `tests/fuzz`.

use std::path::{Path, PathBuf};

use super::targets::{ANSWERED, FILMS, Kind, REVIEWS};

/// The inputs that every test run gives to their targets again, with their files.
pub(crate) fn kept(tests: &Path, kind: Kind) -> std::io::Result<Vec<(PathBuf, String)>> {
    let files = files(&tests.join("fuzz").join(kind.name()), "")?;
    let read = |file: PathBuf| {
        let text = std::fs::read(&file)?;
        Ok((file, String::from_utf8_lossy(&text).into_owned()))
    };
    files.into_iter().map(read).collect()
}

/// What inputs are made from.
pub(crate) fn seeds(tests: &Path, kind: Kind) -> std::io::Result<Vec<String>> {
    let mut seeds: Vec<String> = kept(tests, kind)?.into_iter().map(|(_, text)| text).collect();
    let mut read = |folder: &str, ending: &str| -> std::io::Result<()> {
        for file in files(&tests.join(folder), ending)? {
            seeds.push(String::from_utf8_lossy(&std::fs::read(file)?).into_owned());
        }
        Ok(())
    };
    match kind {
        Kind::Documents => read("graphql", ".graphql")?,
        Kind::Sdl => {
            read("federation", ".graphql")?;
            read("../examples/movies/schema", ".graphql")?;
            seeds.extend([FILMS.to_owned(), REVIEWS.to_owned()]);
        }
        Kind::Answers => seeds.push(ANSWERED.to_owned()),
        Kind::Variables | Kind::Requests => {}
    }
    Ok(seeds)
}

/// The files of a folder whose names end so, in order; none of a folder that is not there.
fn files(folder: &Path, ending: &str) -> std::io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    let is_wanted = |path: &PathBuf| path.is_file() && path.to_string_lossy().ends_with(ending);
    let mut paths: Vec<PathBuf> = paths.into_iter().filter(is_wanted).collect();
    paths.sort();
    Ok(paths)
}
