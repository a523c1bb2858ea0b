//! The schema crate as its callers use it.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says on stderr when it was skipped"
)]

mod generate;
mod inspector;
