//! Pages that are made of the code stay equal to it.

use std::path::Path;

#[test]
fn the_page_of_diagnostics_is_that_of_the_registry() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/diagnostics.md");
    let expected = schema::diagnostic::code::reference_page();
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(page.parent().unwrap()).unwrap();
        std::fs::write(&page, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&page).unwrap_or_default();
    assert!(found == expected, "docs/reference/diagnostics.md is stale: run with BLESS=1");
}
