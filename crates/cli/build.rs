//! How the binary is linked, where it is linked for use: with the linker that comes with Rust for Linux on
//! x86-64, functions that are the same are one, and addresses that the loader fills in are told to it in a
//! form a hundred times smaller, so that less of the program is in memory.
#![expect(
    clippy::disallowed_methods,
    reason = "what cargo says to a build script is in its environment"
)]

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    let by_lld = is("CARGO_CFG_TARGET_ARCH", "x86_64") && is("CARGO_CFG_TARGET_OS", "linux");
    if by_lld
        && is("CARGO_CFG_TARGET_ENV", "gnu")
        && is("PROFILE", "release")
        && !is_another_asked_for()
    {
        println!("cargo:rustc-link-arg-bins=-Wl,--icf=all");
        if reads_packed_relocations() {
            println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
        }
    }
}

/// Whether whoever builds names a linker.
fn is_another_asked_for() -> bool {
    let flags = std::env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    std::env::var("RUSTC_LINKER").is_ok()
        || ["linker", "fuse-ld"].iter().any(|word| flags.contains(word))
}

/// Whether the C library of this machine reads them: glibc does since 2.36. A program that is linked against one
/// needs that one or a newer one anyway.
fn reads_packed_relocations() -> bool {
    let asked = std::process::Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let Ok(said) = asked else { return false };
    let said = String::from_utf8_lossy(&said.stdout);
    let version = said.trim().strip_prefix("glibc ").and_then(|version| version.split_once('.'));
    let number = |text: &str| text.split('.').next().and_then(|part| part.parse::<u32>().ok());
    version.is_some_and(|(major, minor)| (number(major), number(minor)) >= (Some(2), Some(36)))
}
