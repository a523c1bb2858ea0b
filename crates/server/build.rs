//! Makes sure that the folder of the UI's files exists, so that a checkout without Node.js builds;
//! the server then says how to get the UI.

fn main() {
    let dist = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web/dist");
    if let Err(error) = std::fs::create_dir_all(&dist) {
        println!("cargo::error=failed to make {}: {error}", dist.display());
    }
    println!("cargo::rerun-if-changed={}", dist.display());
}
