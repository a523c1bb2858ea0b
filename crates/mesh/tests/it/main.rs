//! GraphQL over tables in memory and over plain SDL.

mod changes;
mod conformance;
mod example;
mod filters;
mod fixture;
mod golden;
mod limits;
mod malformed;
mod media;
mod pages;
mod plain;
mod random;
mod reference;
mod scans;
mod spec;
mod terms;
