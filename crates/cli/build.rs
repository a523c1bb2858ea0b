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
    if by_lld && is("CARGO_CFG_TARGET_ENV", "gnu") && is("PROFILE", "release") {
        println!("cargo:rustc-link-arg-bins=-Wl,--icf=all");
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
