//! The lake as its callers see it, on real folders and a real metadata database.
#![expect(clippy::unwrap_used, reason = "a helper of a test that fails is a test that fails")]

mod aggregates;
mod agreement;
mod change;
mod changes;
mod commit;
mod companion;
mod contend;
mod groups;
mod histories;
mod import;
mod lab;
mod lance;
mod maintain;
mod model;
mod orphans;
mod place;
mod query;
mod rest;
mod slt;
mod staging;
mod steps;
