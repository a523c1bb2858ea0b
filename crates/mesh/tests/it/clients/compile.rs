//! Compilers and interpreters of other languages, as strict as they can be.
//!
//! In: a folder with a generated module and a program that uses it. Out: whether both compile, and what
//! the program says. What is not installed is passed over with a word, as in the other suites.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder of its own for a program, with the files of a folder of `tests/clients` and recorded answers.
pub(super) fn workshop(from: &Path, answers: &str) -> tempfile::TempDir {
    let workshop = tempfile::tempdir().expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let path = entry.expect("a file").path();
        std::fs::copy(&path, workshop.path().join(path.file_name().expect("a name")))
            .expect("a copy");
    }
    std::fs::write(workshop.path().join("answers.json"), answers).expect("written");
    std::fs::write(workshop.path().join("node.d.ts"), NODE).expect("written");
    std::fs::write(workshop.path().join("package.json"), "{\"type\": \"module\"}")
        .expect("written");
    workshop
}

/// What the programs use of node.
const NODE: &str = include_str!("../../../../../tests/clients/node.d.ts");

fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// Compiles and runs `check.ts`.
pub(super) fn typescript(folder: &Path) {
    let tsc = repository("tests/inspector/node_modules/typescript/bin/tsc");
    if !tsc.is_file() {
        return note("skipped: tests/inspector is not installed; `cargo xtask setup` does it");
    }
    let mut compile = Command::new("node");
    compile
        .arg(tsc.canonicalize().expect("a path"))
        .args(["--strict", "--noUncheckedIndexedAccess", "--exactOptionalPropertyTypes"])
        .args(["--noUnusedParameters", "--noImplicitReturns", "--noFallthroughCasesInSwitch"])
        .args(["--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom,dom.iterable"])
        .args(["node.d.ts", "check.ts"]);
    succeed(compile.current_dir(folder));
    succeed(Command::new("node").arg("check.js").current_dir(folder));
}

/// Checks `operations.py` and `check.py`, and runs the latter.
pub(super) fn python(folder: &Path) {
    let own = repository(".tools/python/bin/python");
    let python = std::env::var_os("HEADWATER_PYTHON").map_or(own, PathBuf::from);
    let has_mypy = |python: &Path| {
        let asked = Command::new(python).args(["-c", "import mypy"]).output();
        asked.is_ok_and(|output| output.status.success())
    };
    match has_mypy(&python) {
        true => succeed(
            Command::new(&python)
                .args(["-m", "mypy", "--strict", "--python-version", "3.10"])
                .args(["operations.py", "check.py"])
                .current_dir(folder),
        ),
        false => note("not checked: mypy is not installed; `cargo xtask setup` does it"),
    }
    succeed(Command::new("python3").arg("check.py").current_dir(folder));
}

/// Says what was left out.
fn note(text: &str) {
    drop(writeln!(std::io::stderr(), "{text}"));
}

fn succeed(command: &mut Command) {
    let output = command.output().expect("a program");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{}\n{}", said.0, said.1);
}
