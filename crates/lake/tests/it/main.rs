//! The lake as its callers see it, on real folders and a real metadata database.

mod commit;
mod lab;
mod model;
mod staging;
