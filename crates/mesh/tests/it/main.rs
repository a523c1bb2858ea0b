//! GraphQL over tables in memory and over plain SDL, and calls of services that misbehave.

mod aggregates;
mod changes;
mod conformance;
mod databases;
mod errors;
mod example;
mod filters;
mod fixture;
mod fuzz;
mod golden;
mod input;
mod limits;
mod malformed;
mod media;
mod pages;
mod parts;
mod plain;
mod policy;
mod random;
mod reference;
mod route;
mod scans;
mod spec;
mod subscribe;
mod terms;
mod transport;
