//! Where the graph of tables and services is composed: in comes a schema whose modules are sound,
//! out comes what clients see of all of them together, or every reason why there is no such graph.

use std::sync::Arc;

use base::Team;

use crate::api::Api;
use crate::compose::{self, SourceSdl, Subgraph};
use crate::diagnostic::Code;
use crate::graph::Graph;
use crate::model::{Schema, ServiceModule};

use super::report::Report;
use super::source::TABLES;

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
    if composition.graph.is_some() {
        unserved(schema, report);
    }
    composition.graph.map(Arc::new)
}

/// What composes is refused all the same as long as no server calls it: a directive that nothing
/// enforces is never ignored.
fn unserved(schema: &Schema, report: &mut Report<'_>) {
    for service in &schema.services {
        let words = format!(
            "service `{}` is not enforced yet: it composes with the others, but nothing calls it",
            service.source.name
        );
        report
            .name(Code::NotEnforced, service.place.clone(), words)
            .hint("take the module out until services are served");
    }
}

fn read(schema: &Schema, service: &ServiceModule) -> Result<Subgraph, crate::Diagnostics> {
    let module = &schema.modules[service.module];
    compose::read(&SourceSdl {
        name: service.source.name.clone(),
        kind: service.source.kind,
        url: service.source.url.clone(),
        owner: module.owner.clone(),
        file: module.file.clone(),
        text: service.sdl.clone(),
    })
}

#[cfg(test)]
mod tests {
    use crate::diagnostic::Code;
    use crate::load::Sources;

    #[test]
    fn a_sound_service_is_refused_as_long_as_nothing_calls_it() {
        let sources = Sources::from_texts([(
            "a.graphql",
            "extend schema @module(name: \"a\", owner: \"o\")\n  @source(name: \"a\", kind: GRAPHQL, url: \"http://a\")\ntype Query { a: Int }\n",
        )]);
        let found = crate::compile::compile(&sources).unwrap_err();
        let said: Vec<_> =
            found.items.iter().map(|item| (item.code, item.place.to_string())).collect();
        assert_eq!(said, [(Code::NotEnforced, "a.graphql:2:3".to_owned())]);
        assert!(found.items[0].message.starts_with("service `a` is not enforced yet"));
    }
}
