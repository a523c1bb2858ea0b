//! The lake as its callers see it, on real folders and a real metadata database.

mod agreement;
mod commit;
mod companion;
mod import;
mod lab;
mod maintain;
mod model;
mod query;
mod slt;
mod staging;
mod steps;
