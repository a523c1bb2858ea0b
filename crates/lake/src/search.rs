//! Full-text search over the tables of both formats.
//!
//! ```text
//! data file → texts → parts (one immutable tantivy index each) → bundles in the object store
//! query → terms → statistics of all parts → BM25 hits (file, position, score) → rows
//! ```
//!
//! The index of a table is the set of the indexes of its data files. A data file never changes, so
//! neither does its index: whoever needs one that is missing builds it, two builders write the same
//! bytes, a crash leaves nothing half done, and every snapshot is searchable. Scores use the
//! statistics of all files that are asked, so they are those of one index. Not here: which files a
//! snapshot has (`query::manifests`), deleted rows and predicates (`query`).

pub(crate) mod build;
pub(crate) mod bundle;
pub(crate) mod find;
pub(crate) mod language;
pub(crate) mod parts;

pub(crate) use find::{Hits, Wanted, best, find};
pub(crate) use parts::{FileTexts, Part, TextIndexes};
