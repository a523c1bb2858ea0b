//! The server as its clients see it: a real project in a temporary folder, a real port on
//! loopback, and HTTP written by hand into a socket.
#![expect(clippy::unwrap_used, reason = "a helper of a test that fails is a test that fails")]

mod applies;
mod audit;
mod backends;
mod change;
mod client;
mod collector;
mod credentials;
mod data;
mod databases;
mod documents;
mod graphql;
mod guard;
mod house;
mod iceberg;
mod lab;
mod limits;
mod malformed;
mod noise;
mod operations;
mod parts;
mod phases;
mod policy;
mod ratings;
mod safety;
mod scenarios;
mod security;
mod services;
mod settings;
mod stores;
mod subscriptions;
mod system_client;
mod telemetry;
mod tls;
mod tokens;
mod typed;
mod usage;
