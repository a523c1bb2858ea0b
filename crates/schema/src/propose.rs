//! Proposes a module of the central schema from the user's own files.
//!
//! In: one [`FileProfile`] a file, measured by whoever can read files (`lake::profile`). Out: a
//! [`Proposal`], SDL text that compiles, with a comment beside every guess that says what it rests
//! on. Not here: reading files, writing the schema folder.

mod profile;

pub use profile::{ColumnProfile, FileKind, FileProfile, Sketch};
