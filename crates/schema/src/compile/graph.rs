//! Where the graph of tables and services is composed: in comes a schema whose modules are sound,
//! out comes what clients see of all of them together, or every reason why there is no such graph.

use std::sync::Arc;

use base::Team;

use crate::api::Api;
use crate::compose::{self, SourceSdl, Subgraph};
use crate::graph::{Graph, TABLES};
use crate::model::{Schema, ServiceModule};

use super::report::Report;
use super::service;

/// The graph of a schema with services; the tables come first.
pub(super) fn composed(schema: &Schema, report: &mut Report<'_>) -> Option<Arc<Graph>> {
    let tables = compose::lake(schema, &Api::new(schema), Team::new(TABLES));
    let services = schema.services.iter().map(|service| read(schema, service));
    let mut sources = Vec::new();
    for read in std::iter::once(tables).chain(services) {
        match read {
            Ok(source) => sources.push(source),
            Err(found) => report.extend(found),
        }
    }
    if report.has_errors() {
        return None;
    }
    let composition = compose::compose(&sources);
    report.extend(composition.diagnostics);
    composition.graph.map(Arc::new)
}

fn read(schema: &Schema, service: &ServiceModule) -> Result<Subgraph, crate::Diagnostics> {
    let module = &schema.modules[service.module];
    let source = SourceSdl {
        name: service.source.name.clone(),
        kind: service.source.kind,
        url: service.source.url.clone(),
        owner: module.owner.clone(),
        file: module.file.clone(),
        text: service::unscoped(&service.sdl),
    };
    match &service.tables {
        Some(tables) => compose::database(&tables.0, &Api::new(&tables.0), source),
        None => compose::read(&source),
    }
}
