//! What is generated compiles and runs.

use std::path::Path;
use std::process::{Command, Output};

use schema::generate::typescript_api;

use crate::inspector::oracle;

/// Compiles TypeScript files with the strictest settings and gives the folder with the JavaScript.
fn compiled(oracle: &Path, files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    std::fs::write(folder.path().join("package.json"), "{\"type\": \"module\"}").unwrap();
    let names = files.iter().map(|(name, _)| *name);
    let output = Command::new("node")
        .arg(oracle.join("node_modules/typescript/bin/tsc").canonicalize().unwrap())
        .args(["--strict", "--noUncheckedIndexedAccess", "--exactOptionalPropertyTypes"])
        .args(["--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom,dom.iterable"])
        .args(names.filter(|name| name.ends_with(".ts")))
        .current_dir(folder.path())
        .output()
        .unwrap();
    succeeded(&output);
    folder
}

fn succeeded(output: &Output) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn a_client_for_plain_sdl_compiles_and_its_answers_are_typed() {
    let Some(oracle) = oracle() else { return };
    let api = typescript_api(include_str!("client.graphql")).unwrap();
    let folder = compiled(&oracle, &[("api.ts", &api), ("client.ts", include_str!("client.ts"))]);
    let output = Command::new("node").arg("client.js").current_dir(folder.path()).output().unwrap();
    succeeded(&output);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "client works\n");
}

#[test]
fn unions_are_refused() {
    let error = typescript_api("type Query { a: U } type A { x: Int } union U = A").unwrap_err();
    assert_eq!(error.kind(), base::Kind::Unsupported);
}
