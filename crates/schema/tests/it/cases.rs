//! Malformed schemas as data: every folder below `tests/schema` holds modules and what
//! `headwater check` says of them. `BLESS=1` writes what is said now.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use schema::Code;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/schema")
}

fn cases() -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    cases.sort();
    cases
}

fn said_of(case: &Path) -> String {
    let mut sources = schema::read_folder(case).unwrap();
    sources.folder = Some("schema".into());
    let found = schema::inspect(&sources);
    assert_eq!(found.schema.is_none(), found.diagnostics.has_errors(), "{}", case.display());
    found.diagnostics.render(&sources, false)
}

#[test]
fn every_malformed_schema_gets_its_golden_diagnostics() {
    let mut wrong = Vec::new();
    for case in cases() {
        let said = said_of(&case);
        let golden = case.join("expected.txt");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&golden, &said).unwrap();
        } else if std::fs::read_to_string(&golden).unwrap_or_default() != said {
            wrong.push(format!("{}\n{said}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "{}\nrun with BLESS=1 to accept", wrong.join("\n"));
}

#[test]
fn every_malformed_schema_says_where_and_what_to_do() {
    assert!(cases().len() >= 60, "{} cases", cases().len());
    for case in cases() {
        let sources = schema::read_folder(&case).unwrap();
        let found = schema::inspect(&sources).diagnostics;
        assert!(!found.items.is_empty(), "{} is not malformed", case.display());
        for item in found.items {
            let at = format!("{}: {item:?}", case.display());
            assert!(!item.place.file.is_empty() && !item.message.ends_with('.'), "{at}");
            assert!(item.hint.is_some(), "{at}");
            let whole_file = [Code::MissingModule, Code::Limit].contains(&item.code);
            assert!(whole_file || (item.place.line > 0 && item.length > 0), "{at}");
        }
    }
}

#[test]
fn every_code_of_the_compiler_has_a_case() {
    let mut seen = BTreeSet::new();
    for case in cases() {
        let sources = schema::read_folder(&case).unwrap();
        seen.extend(schema::inspect(&sources).diagnostics.items.iter().map(|i| i.code.as_str()));
    }
    // Planning has codes of its own, and cases of its own.
    let registry = schema::diagnostic::code::REGISTRY.iter().map(|entry| entry.name);
    let missing: Vec<_> =
        registry.filter(|name| !name.starts_with("HW06") && !seen.contains(name)).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn every_enforced_directive_has_a_case_of_its_own() {
    let names: Vec<String> =
        cases().iter().map(|c| c.file_name().unwrap().to_string_lossy().into_owned()).collect();
    for directive in schema::compile::enforced_directives() {
        let prefix = format!("{}-", directive.to_lowercase());
        assert!(names.iter().any(|name| name.starts_with(&prefix)), "no case `{prefix}…`");
    }
}
