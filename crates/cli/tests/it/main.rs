//! Whole runs of the binary, as data: the README's tour, and the transcripts in `tests/cli`.

mod cluster;
mod nodes;
mod reference;

use std::path::{Path, PathBuf};

fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_headwater"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn transcripts_show_what_the_command_line_prints() {
    testkit::transcript::check_folder(binary(), &root().join("tests/cli"));
}

/// The tour is one session: its blocks run one after another in one empty folder.
#[test]
fn the_tour_of_the_readme_shows_what_appears() {
    let path = root().join("README.md");
    let readme = std::fs::read_to_string(&path).expect("README.md is readable");
    let blocks = tour_blocks(&readme);
    assert!(blocks.len() > 4, "the tour has lost its blocks");
    // A marker between blocks lets the replayed session be cut up again.
    let marker = "\n# -- next block --\n";
    let session = blocks.join(marker);
    let replayed = testkit::transcript::replay(binary(), &session).expect("the tour runs");
    let replayed: Vec<&str> = replayed.split(marker.trim_start()).collect();
    assert_eq!(blocks.len(), replayed.len(), "the session lost a marker");
    let mut actual = readme.clone();
    for (before, after) in blocks.iter().zip(replayed) {
        actual = actual.replacen(before, &format!("{}\n", after.trim_end()), 1);
    }
    testkit::check(&path, &actual);
}

/// The `console` blocks that hold commands with a prompt.
fn tour_blocks(readme: &str) -> Vec<&str> {
    readme
        .split("```console\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .filter(|block| block.starts_with('$'))
        .collect()
}
