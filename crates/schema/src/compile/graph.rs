//! Where the graph of tables and services is composed: in comes a schema whose modules are sound,
//! out comes what clients see of all of them together, or every reason why there is no such graph.

use std::sync::Arc;

use crate::diagnostic::Code;
use crate::graph::Graph;
use crate::model::Schema;

use super::report::Report;

/// The graph of a schema with services.
pub(super) fn composed(schema: &Schema, report: &mut Report<'_>) -> Option<Arc<Graph>> {
    for service in &schema.services {
        let words = format!(
            "service `{}` is not enforced yet: nothing composes its API with the tables'",
            service.source.name
        );
        report
            .name(Code::NotEnforced, service.place.clone(), words)
            .hint("take the module out: what nothing enforces is refused, never ignored");
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::diagnostic::Code;
    use crate::load::Sources;

    #[test]
    fn a_sound_service_is_refused_as_long_as_nothing_composes_it() {
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
