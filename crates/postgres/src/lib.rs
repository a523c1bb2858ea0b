//! Tables of a Postgres database of somebody else, read and changed as any table is.
//!
//! ```text
//! ScanRequest → bind (catalog) → Statement (text, arguments) → rows → values → RecordBatch
//! WriteRequest → bind (catalog) → Statements → one transaction → WriteReceipt
//! ```
//!
//! In: where the database is, and which of its tables and columns stand for which types and fields. Out:
//! `frame::Scan` and `frame::Write` over them, one statement a question, with the semantics of every other
//! table: text in the order of its bytes, nulls where the order says, decimals exact. Values are bound and
//! never part of a statement's text; names come from the database's own catalog. What a database cannot do
//! as the house means it (earlier states, text search, vectors) is refused in words. Not here: breakers,
//! queues and deadlines (whoever wraps the tables), the central schema.

mod aggregate;
mod catalog;
mod database;
mod decode;
mod encode;
mod expr;
mod failure;
mod keys;
mod numeric;
mod scan;
mod settings;
mod statement;
mod table;
mod write;

pub use database::{Database, Tables};
pub use settings::{Connection, Identity, Settings};
pub use table::{Column, Table};
