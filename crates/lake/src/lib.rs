//! Tables of events, features, media and vectors, in Iceberg and Lance, over one object store.
//!
//! ```text
//! files → source → decode → RawBatch → stage → StagedFiles → commit → Snapshot → compact → query → BatchStream
//! ```
//!
//! In: files to import, write requests, scan requests, SQL. Out: durable snapshots and batches. This
//! is the only crate that names datafusion, iceberg, lance, parquet and tantivy. Not here: GraphQL
//! (`mesh`), the order of schema changes (`schema::plan`, `server::apply`), HTTP.
//!
//! All bytes pass one `Arc<dyn ObjectStore>` ([`Config::objects`]): Iceberg through
//! `storage`, Lance through `lance_store`, text indexes through `search`.

pub mod backup;
pub mod binding;
mod cache;
pub mod catalog;
pub mod commit;
pub mod companion;
pub mod decode;
mod enums;
pub mod export;
mod failure;
pub mod files;
mod history;
pub mod import;
mod keys;
pub mod lake;
mod lance_fragments;
mod lance_served;
mod lance_store;
mod lance_table;
mod layout;
pub mod maintain;
pub mod place;
pub mod profile;
pub mod query;
mod reach;
mod read;
pub mod rest;
pub mod search;
mod shape;
pub mod source;
pub mod stage;
pub mod steps;
pub mod storage;
pub mod store;
mod successor;

pub mod table;
mod write;

pub use commit::{Change, CommitInfo, TableChange};
pub use companion::MediaVariant;
pub use lake::{Config, Lake, Limits};
pub use query::{ColumnStatistics, DataFusionEvaluator, SqlAnswer, SqlOptions};
pub use stage::{StageWriter, StagedFiles};
pub use table::{Snapshot, Table};
