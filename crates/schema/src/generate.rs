//! Text for other languages, generated from a schema: TypeScript, Python and SQL; and from a program's
//! operations: typed clients ([`client`]).
//!
//! In: a compiled schema, or any SDL for [`typescript_api`], or the model of operations. Out: [`GeneratedFile`]s, the same bytes
//! for the same schema, each naming the schema's fingerprint at its top. Not here: writing files,
//! and running what was generated.

pub mod client;
mod ddl;
mod python;
mod typescript;

pub use ddl::ddl;
pub use python::python;
pub use typescript::{typescript, typescript_api};

/// One generated file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratedFile {
    /// Where it belongs below the output folder, with forward slashes.
    pub path: String,
    /// Its text.
    pub text: String,
}
