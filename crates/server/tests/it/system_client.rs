//! The UI's client is generated from the administration's schema: the file in `web` must be what
//! comes out now. `BLESS=1` writes it.

use std::path::Path;

#[test]
fn the_client_of_the_ui_is_the_generated_one() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sdl = std::fs::read_to_string(here.join("src/system.graphql")).unwrap();
    let generated = schema::generate::typescript_api(&sdl).unwrap();
    testkit::check(here.join("../../web/src/generated/system.ts"), &generated);
}
