//! The lake's side of the bench: a project with one table, and questions to it.
//!
//! In: a folder. Out: the project, requests and their right answers, which follow from the keys. Not here:
//! services.

use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::{Context, Result};
use bytes::Bytes;
use serde_json::{Value, json};

const SDL: &str = r#"extend schema @module(name: "bench", owner: "bench")
type Person @key(fields: "id") @table(format: ICEBERG, plural: "people", bucket: { by: "id", count: 16 }, sort: "id") {
  id: Long!
  name: String!
  country: String!
  visits: Int!
}
"#;

const COUNTRIES: [&str; 5] = ["NO", "JP", "BR", "KE", "FR"];
/// Rows of the table.
const ROWS: u64 = 100_000;
/// Rows of a page.
const PAGE: u64 = 50;

/// Makes the project with its rows.
pub(crate) fn make(folder: &Path) -> Result<()> {
    crate::folder::make(folder, SDL)?;
    let path = folder.join("people.csv");
    let mut out = BufWriter::new(fs::File::create(&path)?);
    writeln!(out, "id,name,country,visits")?;
    for id in 0..ROWS {
        writeln!(out, "{id},{},{},{}", name(id), country(id), visits(id))?;
    }
    out.flush()?;
    let path = path.to_str().context("the folder's name is no text")?;
    crate::folder::run(folder, &["import", "Person", path])?;
    crate::folder::run(folder, &["compact", "Person"])
}

fn name(id: u64) -> String {
    format!("Person {:x}", id * 2_654_435_761 % (1 << 40))
}

fn country(id: u64) -> &'static str {
    COUNTRIES[(id % 5) as usize]
}

fn visits(id: u64) -> u64 {
    id * 7919 % 1000
}

/// The request with a number: one row, another each time.
pub(crate) fn by_key(number: u64) -> Bytes {
    let id = (number * 7919 % ROWS).to_string();
    let query = "query Key($id: Long!) { person(id: $id) { id name country visits } }";
    json!({ "query": query, "variables": { "id": id } }).to_string().into()
}

/// What [`by_key`] must be answered.
pub(crate) fn person(body: &Bytes) -> Result<Value> {
    let request: Value = serde_json::from_slice(body)?;
    let id = request["variables"]["id"].as_str().context("a request has no key")?.parse()?;
    Ok(json!({ "person": row(id) }))
}

/// The request for a page.
pub(crate) fn page() -> Bytes {
    let query =
        "query Page($first: Int) { people(first: $first) { nodes { id name country visits } } }";
    json!({ "query": query, "variables": { "first": PAGE } }).to_string().into()
}

/// What [`page`] must be answered: lists come in the order of the key.
pub(crate) fn persons(_: &Bytes) -> Result<Value> {
    let rows: Vec<Value> = (0..PAGE).map(row).collect();
    Ok(json!({ "people": { "nodes": rows } }))
}

/// A row as it is answered; `Long` travels as a text.
fn row(id: u64) -> Value {
    json!({ "id": id.to_string(), "name": name(id), "country": country(id), "visits": visits(id) })
}
