//! The behaviour of the metadata database, the same on SQLite and on Postgres.

mod transactions;
