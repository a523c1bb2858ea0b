//! Typed clients for documents: what is generated is as written down, compiles, runs, and its types take
//! every real answer.
//!
//! In: the folders of `tests/clients`, each an API with documents, requests and programs in three
//! languages. Out: goldens; answers of an engine, which the programs read. Not here: HTTP, which
//! `tests/tools/test_clients.py` asks.

mod accept;
mod compile;
mod films;
mod plain;
mod random;
mod services;

use std::path::PathBuf;

use mesh::documents::{ClientTerms, DocumentFault, DocumentFile, client};
use schema::generate::client::{self as generated, Client, Sending};

/// A folder of `tests/clients`.
fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients").join(name)
}

/// The documents of a folder.
fn documents(name: &str) -> Vec<DocumentFile> {
    let entries = std::fs::read_dir(folder(name)).expect("a folder");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|it| it == "graphql"));
    paths.retain(|path| path.file_stem().is_some_and(|it| it != "schema"));
    paths.sort();
    let file = |path: &PathBuf| DocumentFile {
        name: path.file_name().expect("a name").to_string_lossy().into_owned(),
        text: std::fs::read_to_string(path).expect("a text"),
    };
    paths.iter().map(file).collect()
}

fn model(sdl: &str, files: &[DocumentFile], sending: Sending) -> Client {
    // The fingerprint of a schema follows its canonical text, which is none of this suite's business.
    let terms = ClientTerms {
        fingerprint: "0123456789abcdef".into(),
        name: Some("test/1".into()),
        sending,
    };
    match client(sdl, files, &terms).expect("an API") {
        Ok(client) => client,
        Err(faults) => panic!("{}", told(&faults)),
    }
}

/// What is wrong, a line each.
fn told(faults: &[DocumentFault]) -> String {
    let line = |DocumentFault { file, error }: &DocumentFault| {
        let (line, column) = error.locations.first().copied().unwrap_or_default();
        let hint = error.extensions.get("hint").and_then(|hint| hint.as_str());
        let hint = hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("{file}:{line}:{column}: {}{hint}\n", error.message)
    };
    faults.iter().map(line).collect()
}

/// Compares everything that is generated for a folder with what is written down there.
fn check_goldens(name: &str, client: &Client) {
    let files = [generated::typescript(client), generated::python(client), generated::rust(client)];
    for file in files.concat() {
        // Written as it comes, which is not how the sources of the repository are laid out.
        let path = file.path.replace("operations.rs", "operations.rs.txt");
        testkit::golden::check(folder(name).join(path), &file.text);
    }
}

#[test]
fn faults_of_documents_are_told_with_their_places() {
    let path = folder("faults").join("cases.txt");
    let sdl = schema::api::api_sdl(&crate::fixture::schema());
    let text = std::fs::read_to_string(&path).expect("cases");
    let mut out = String::new();
    for case in text.split("== ").skip(1) {
        let (title, files) = case.split_once('\n').expect("a title");
        let files = files.split("-- ").skip(1).map(|file| {
            let (name, text) = file.split_once('\n').expect("a name");
            DocumentFile { name: name.to_owned(), text: text.to_owned() }
        });
        let files: Vec<_> = files.collect();
        let found = client(&sdl, &files, &ClientTerms::default()).expect("an API");
        let found = found.err().unwrap_or_else(|| panic!("{title}: nothing is wrong"));
        out.push_str(&format!("== {title}\n{}", told(&found)));
    }
    testkit::golden::check(path.with_extension("out.txt"), &out);
}

#[test]
fn documents_without_an_operation_are_refused() {
    let file = DocumentFile { name: "a".into(), text: "fragment F on Film { id }".into() };
    let sdl = schema::api::api_sdl(&crate::fixture::schema());
    let refused = client(&sdl, &[file], &ClientTerms::default()).expect_err("no operation");
    assert_eq!(refused.message(), "there is no operation in the documents");
}

#[test]
fn a_text_does_not_move_with_the_layout_of_its_file() {
    let sdl = "type Query { a: Int b(x: String): Int }";
    let ids = ["query A { a b(x: \"\"\"y\"\"\") }", "query A\n{\n  a,\n # why\n  b(x: \"y\") }"]
        .map(|text| {
            let file = DocumentFile { name: "a".into(), text: text.into() };
            model(sdl, &[file], Sending::Text).operations[0].id.clone()
        });
    assert_eq!(ids[0], ids[1]);
}
