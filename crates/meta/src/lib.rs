//! The metadata database: one small SQL layer over SQLite or any Postgres-wire database.

/// An open database; clones share its pool.
#[derive(Clone, Debug)]
pub struct Database {}
