//! The schema crate as its callers use it: whole modules in; schemas, rendered diagnostics and
//! generated text out.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says on stderr when it was skipped"
)]

mod accepted;
mod cases;
mod compose;
mod compose_lake;
mod composition_oracle;
mod databases;
mod example;
mod expressions;
mod generate;
mod grpc;
mod hostile;
mod inspector;
mod openapi;
mod plans;
mod proposals;
mod random;
mod random_sources;
mod reference;
mod services;
mod usage;
