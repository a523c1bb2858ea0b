//! `docs/reference/security.md` is true: every test that it names exists, every limit stands in it with
//! its default, and the settings that it names can be set.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use server::Settings;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn page() -> String {
    read("docs/reference/security.md")
}

/// Cells of the tables whose first cell is a name in backticks.
fn rows(page: &str) -> Vec<Vec<&str>> {
    let lines = page.lines().filter(|line| line.starts_with("| `"));
    lines.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

/// What stands between backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// What is wrong with the tests that a page names, and how many it names.
fn missing_tests(page: &str) -> (Vec<String>, usize) {
    let mut missing = Vec::new();
    let mut count = 0;
    for row in rows(page) {
        let tests = quoted(row.last().unwrap_or(&""));
        if tests.is_empty() {
            missing.push(format!("{} names no test", row[0]));
        }
        for test in tests {
            count += 1;
            let (file, name) = test.split_once("::").unwrap_or((test, "?"));
            let path = root().join("crates").join(file);
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let is_test =
                text.split(&format!("fn {name}(")).next().filter(|before| *before != text);
            let is_test = is_test.is_some_and(|before| {
                let before = before.trim_end().trim_end_matches("async").trim_end();
                let last = before.lines().last().unwrap_or_default().trim();
                last.starts_with("#[test]") || last.starts_with("#[tokio::test")
            });
            if !is_test {
                missing.push(format!("{} names `{test}`, which is no test", row[0]));
            }
        }
    }
    (missing, count)
}

#[test]
fn every_test_that_the_page_names_exists() {
    let (missing, count) = missing_tests(&page());
    assert_eq!(missing, [] as [String; 0]);
    assert!(count > 20, "{count}");
    // A name that no test has is found, and so is a row without one.
    let renamed = page().replacen("nesting_is_bounded", "nesting_is_not_bounded", 1);
    assert_eq!(missing_tests(&renamed).0.len(), 1);
    assert_eq!(missing_tests("| `a` | 1 | why | |\n").0, ["`a` names no test"]);
}

/// Fields of a struct in a source file, in their order.
fn fields<'a>(source: &'a str, name: &str) -> Vec<&'a str> {
    let (_, body) = source.split_once(&format!("pub struct {name} {{")).expect("the struct");
    let body = body.split_once("\n}").expect("its end").0;
    body.lines()
        .filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(':').map(|(name, _)| name))
        .collect()
}

#[test]
fn every_limit_stands_in_the_page_and_can_be_set() {
    let page = page();
    let named: BTreeSet<&str> = rows(&page).iter().flat_map(|row| quoted(row[0])).collect();
    let source = read("crates/mesh/src/limits.rs");
    let limits = fields(&source, "Limits");
    assert!(limits.len() > 14, "{limits:?}");
    for limit in &limits {
        assert!(
            named.contains(format!("graphql.{limit}").as_str()),
            "`{limit}` is not in the page"
        );
    }
    let source = read("crates/server/src/settings/graphql.rs");
    for setting in fields(&source, "Graphql").into_iter().filter(|name| *name != "budget") {
        assert!(named.contains(format!("graphql.{setting}").as_str()), "`{setting}`");
    }
    for setting in fields(&source, "Budget") {
        assert!(named.contains(format!("graphql.budget.{setting}").as_str()), "`{setting}`");
    }
}

#[test]
fn the_defaults_of_the_page_are_the_defaults() {
    let page = page();
    let mut settings = String::new();
    for row in rows(&page) {
        let (Some(name), Some(value)) =
            (quoted(row[0]).first().copied(), quoted(row[1]).first().copied())
        else {
            continue;
        };
        if name.starts_with("graphql.") || name.starts_with("limits.") {
            settings.push_str(&format!("{name} = {value}\n"));
        }
    }
    assert!(settings.lines().count() > 20, "{settings}");
    let read = |text: &str| Settings::parse(text, "security.md").expect("settings");
    assert_eq!(read(&settings), Settings::default());
    let other = settings.replacen("graphql.depth = 20", "graphql.depth = 21", 1);
    assert_ne!(read(&other), Settings::default());
}
