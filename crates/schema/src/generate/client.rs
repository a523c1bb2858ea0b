//! Typed clients for the operations of a program.
//!
//! ```text
//! texts of documents → (mesh::documents) → Client → names → TypeScript | Python | Rust, manifest
//! ```
//!
//! In: a [`Client`], the model of operations and of the types that they reach. Out: one module in the
//! language asked for, and the list of documents that `headwater documents register` takes. Not here:
//! reading and checking documents, which `mesh` does.

mod manifest;
mod model;
mod names;
mod python;
mod rust;
mod typescript;

pub use manifest::manifest;
pub use model::{
    Client, EnumType, EnumValue, Field, Fragment, Input, InputField, Operation, OperationKind,
    Scalar, Sending, Shape, TypeOf, ValueType, Variant,
};

use super::GeneratedFile;

/// A client in TypeScript, as `operations.ts`, without dependencies.
pub fn typescript(client: &Client) -> Vec<GeneratedFile> {
    files(client, "operations.ts", typescript::module(client))
}

/// A client in Python, as `operations.py`, on the standard library alone.
pub fn python(client: &Client) -> Vec<GeneratedFile> {
    files(client, "operations.py", python::module(client))
}

/// A client in Rust, as `operations.rs`, on serde.
pub fn rust(client: &Client) -> Vec<GeneratedFile> {
    files(client, "operations.rs", rust::module(client))
}

fn files(client: &Client, path: &str, text: String) -> Vec<GeneratedFile> {
    let file = |path: &str, text| GeneratedFile { path: path.to_owned(), text };
    vec![file(path, text), file("documents.json", manifest(client))]
}
