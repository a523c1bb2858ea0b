//! The behaviour of the metadata database, the same on SQLite and on Postgres.

mod backends;
mod changes;
mod failures;
mod leases;
mod migrations;
mod processes;
mod snapshots;
mod transactions;
