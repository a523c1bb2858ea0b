//! GraphQL over tables in memory and over plain SDL, and calls of services that misbehave.

mod aggregates;
mod changes;
mod clients;
mod conformance;
mod errors;
mod example;
mod filters;
mod fixture;
mod golden;
mod input;
mod limits;
mod malformed;
mod media;
mod pages;
mod plain;
mod random;
mod reference;
mod route;
mod scans;
mod spec;
mod terms;
mod transport;
