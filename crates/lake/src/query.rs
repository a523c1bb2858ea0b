//! Answers questions about tables: SQL over both formats, and `frame::Scan`.
//!
//! ```text
//! SQL or ScanRequest → tables at a snapshot → DataFusion plan → pruned files → BatchStream
//! ScanRequest of a few rows → direct → one batch
//! ```
//!
//! In: text or a [`frame::ScanRequest`]. Out: a stream of batches in bounded memory that spills to
//! disk. Not here: writing (`commit`), vectors (`companion`), text indexes (`search`).

mod aggregate;
pub(crate) mod changes;
pub(crate) mod checked;
mod coded;
pub(crate) mod columns;
pub(crate) mod direct;
pub(crate) mod engine;
pub mod evaluate;
pub(crate) mod failure;
mod floats;
mod footers;
pub(crate) mod manifests;
pub(crate) mod near;
pub(crate) mod provider;
pub(crate) mod prune;
mod readers;
pub(crate) mod rows;
pub mod scan;
pub(crate) mod searched;
pub mod sql;
pub mod statistics;
pub(crate) mod suggest;
pub(crate) mod translate;
pub(crate) mod values;
mod vanished;

pub use evaluate::DataFusionEvaluator;
pub use sql::{SqlAnswer, SqlOptions};
pub use statistics::ColumnStatistics;
