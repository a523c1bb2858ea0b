//! An open project and everything one can do with it, in process or over HTTP.
//!
//! ```text
//! headwater.toml → settings → project → operations ← http (routes) ← clients, the UI, `headwater --server`
//! ```
//!
//! In: a project's folder, or requests. Out: answers as the DTOs of [`wire`]. The CLI calls
//! [`operations`] in process or, with `--server`, sends the same DTOs to a running server; `/system`
//! answers the UI from the same operations. This is the only crate that looks at tokens and
//! headers. Not here: arguments and printing (`cli`), tables (`lake`), execution of queries (`mesh`).
#![recursion_limit = "256"]

mod apply;
mod gate;
mod http;
mod maintenance;
pub mod operations;
pub mod project;
mod rows;
mod s3;
mod secrets;
mod services;
pub mod settings;
mod stores;
mod telemetry;
pub mod tokens;
mod usage;
mod versions;
pub mod wire;

pub use http::{Serving, serve};
pub use project::Project;
pub use settings::Settings;
