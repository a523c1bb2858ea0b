//! Pages that are made of the code stay equal to it.

use std::path::Path;

fn check(name: &str, expected: &str) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference").join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(page.parent().unwrap()).unwrap();
        std::fs::write(&page, expected).unwrap();
    }
    let found = std::fs::read_to_string(&page).unwrap_or_default();
    assert!(found == expected, "docs/reference/{name} is stale: run with BLESS=1");
}

#[test]
fn the_page_of_diagnostics_is_that_of_the_registry() {
    check("diagnostics.md", &schema::diagnostic::code::reference_page());
}

#[test]
fn the_page_of_directives_is_that_of_their_definitions() {
    check("directives.md", &schema::compile::reference_page());
}

#[test]
fn the_page_of_expressions_is_that_of_the_language() {
    check("expressions.md", &schema::expression::reference_page());
}
