//! Projects that the benches fill and ask: made by the binary, opened in process.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use base::rng::Rng;
use base::{Clock, Principal};
use frame::ScanRequest;
use lake::store::LocalStore;
use lake::{Config, Lake, Limits};
use object_store::ObjectStore;
use schema::load::Sources;

pub(crate) use crate::folder::{add_schema, clear, make, run};

/// Opens the project's lake in process.
pub(crate) async fn open(folder: &Path, sdl: &str) -> Result<Lake> {
    let state = folder.join(".headwater");
    let url = format!("sqlite://{}", state.join("meta.db").display());
    open_over(Arc::new(LocalStore::open(&state.join("objects"))?), &url, sdl).await
}

/// Opens the lake of a project whose objects and metadata are there.
pub(crate) async fn open_over(
    objects: Arc<dyn ObjectStore>,
    metadata: &str,
    sdl: &str,
) -> Result<Lake> {
    let sources = Sources::from_texts([("bench.graphql", sdl)]);
    let schema = schema::compile(&sources)
        .map_err(|found| anyhow::anyhow!("{}", found.render(&sources, false)))?;
    let config = Config {
        warehouse: "headwater".to_owned(),
        objects,
        database: meta::Database::open(metadata).await?,
        clock: Clock::system(),
        rng: Rng::from_entropy(),
        limits: Limits::default(),
        compact: false,
        tends: true,
        retain: std::time::Duration::from_secs(7 * 24 * 3600),
        snapshots: None,
    };
    Ok(Lake::open(config, Arc::new(schema)).await?)
}

/// A question about one type.
pub(crate) fn ask(type_name: &str, fields: &[&str]) -> ScanRequest {
    ScanRequest::new(type_name, fields.iter().copied(), Principal::local())
}
