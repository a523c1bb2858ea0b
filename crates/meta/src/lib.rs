//! The metadata database: one small SQL layer over SQLite or any Postgres-wire database.
//!
//! In: statements with `$1` placeholders in the dialect that both databases share. Out: rows, and
//! transactions that either happen whole or not at all. Not here: what the tables mean; every crate
//! owns its own, prefixed by its name, and creates them through [`Database::migrate`].
//!
//! ```text
//! open → migrate → read | write ( Tx: execute, query → Row ) → commit | roll back, try again
//! ```
//!
//! **The shared dialect.** Types `BIGINT`, `TEXT`, `BLOB`, `BOOLEAN`, `DOUBLE PRECISION`; lowercase
//! names; placeholders `$1`; `INSERT … ON CONFLICT … DO UPDATE`, `RETURNING`, `LIMIT`. Nothing else
//! differs between the databases that a caller could see, and the tests run on both.
//!
//! **What is absent.** No advisory locks, no `LISTEN`, no sequences, no clock of the database: all
//! of them differ between Postgres-wire databases. [`leases`] and [`changes`] stand in for them.

pub mod changes;
pub mod leases;

mod backoff;
mod database;
mod dialect;
mod failure;
mod in_place;
mod migrate;
mod param;
mod pool;
mod row;
mod snapshot;
mod transaction;

pub use database::{Database, Options};
pub use param::Param;
pub use row::Row;
pub use transaction::Tx;
