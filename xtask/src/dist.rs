//! `cargo xtask dist`: a stripped release binary, a container file that packs it, and checksums.

use std::fs;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::process::{self, cargo};

/// The container: the binary alone on a small glibc base, as a user that is not root.
const CONTAINERFILE: &str = "\
FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --home /project headwater && mkdir /project && chown headwater /project
COPY headwater /usr/local/bin/headwater
USER headwater
WORKDIR /project
EXPOSE 8080
ENTRYPOINT [\"headwater\"]
CMD [\"up\", \"--listen\", \"0.0.0.0:8080\", \"--behind-proxy\"]
";

/// Builds and lays out the release.
pub(crate) fn run() -> Result<()> {
    process::run(cargo().args(["build", "--profile", "dist", "--locked", "--package", "cli"]))?;
    let folder = process::target().join("dist-files");
    fs::create_dir_all(&folder)?;
    let binary = fs::read(process::target().join("dist/headwater"))
        .context("failed to read the binary that was just built")?;
    fs::write(folder.join("headwater"), &binary)?;
    make_executable(&folder.join("headwater"))?;
    fs::write(folder.join("Containerfile"), CONTAINERFILE)?;
    let mut sums = String::new();
    for name in ["headwater", "Containerfile"] {
        let digest = Sha256::digest(fs::read(folder.join(name))?);
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        sums.push_str(&format!("{digest}  {name}\n"));
    }
    fs::write(folder.join("SHA256SUMS"), &sums)?;
    println!("{}\n{} MiB in {}", sums.trim_end(), binary.len() >> 20, folder.display());
    Ok(())
}

#[cfg(unix)]
fn make_executable(path: &std::path::Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

#[cfg(not(unix))]
fn make_executable(_: &std::path::Path) -> Result<()> {
    Ok(())
}
