//! From a source to batches in the shape of a type, in bounded memory and in parallel.
//!
//! ```text
//! Source → Block (whole records) → Cells → arrays → RawBatch      text
//! Source → RecordBatch → arrays → RawBatch                        Parquet, Arrow
//! ```
//!
//! In: a [`crate::source::Source`], a [`Shape`], what the user said. Out: [`RawBatch`]es in the
//! order of the file, each with the records that had to be left out and why. Not here: files of
//! images (`import`), writing (`stage`), how many records may be left out (`import`).

pub mod batches;
pub mod bind;
pub mod block;
pub mod cell;
pub mod coerce;
pub mod columnar;
pub mod convert;
pub mod defaults;
pub mod fault;
pub mod json;
mod marks;
pub mod nested;
pub mod scalar;
pub mod separated;
pub mod shape;
pub mod text;
pub mod time;

pub use batches::{Batches, RawBatch, open};
pub use fault::{Fault, FaultKind, Reject};
pub use shape::Shape;

#[cfg(test)]
mod tests;
