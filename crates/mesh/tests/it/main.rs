//! GraphQL over tables in memory and over plain SDL.

mod changes;
mod conformance;
mod fixture;
mod golden;
mod limits;
mod pages;
mod plain;
mod scans;
