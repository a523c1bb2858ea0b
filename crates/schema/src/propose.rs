//! Proposes a module of the central schema from the user's own files.
//!
//! ```text
//! FileProfiles → name (types, fields) → key → relate (references) → lay out → write → Proposal
//! ```
//!
//! In: one [`FileProfile`] a file, measured by whoever can read files (`lake::profile`). Out: a
//! [`Proposal`], SDL text that compiles, with a comment beside every guess that says what it rests
//! on. Not here: reading files, writing the schema folder.

mod draft;
mod key;
mod layout;
mod name;
mod profile;
mod relate;
pub mod service;
mod write;

pub use profile::{ColumnProfile, FileKind, FileProfile, Sketch};

/// A module that fits the files it was made from.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    /// The module as SDL.
    pub text: String,
    /// Which type each file is imported into, in the order of the files.
    pub types: Vec<ProposedType>,
    /// Every guess in one sentence, in the order of the text.
    pub notes: Vec<String>,
}

/// Where the rows of one file go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposedType {
    /// The file as its profile names it.
    pub file: String,
    /// The type.
    pub type_name: String,
    /// Headers of the file with the fields that hold them.
    pub fields: Vec<(String, String)>,
}

/// Proposes a module named `data`, owned by the team `data`.
pub fn propose(profiles: &[FileProfile]) -> Proposal {
    propose_module(profiles, "data", "data")
}

/// Proposes a module of this name, owned by this team.
pub fn propose_module(profiles: &[FileProfile], module: &str, owner: &str) -> Proposal {
    let mut drafts = draft::drafts(profiles);
    key::choose(&mut drafts);
    relate::relate(&mut drafts);
    drafts.iter_mut().for_each(layout::lay_out);
    write::proposal(&drafts, module, owner)
}
