//! Services that speak GraphQL: in comes their SDL, out comes the module, as the service has it.

use apollo_compiler::ast::{Definition, Document, OperationType};

use super::{ServiceFacts, ServiceProposal, head};

/// A subgraph of Apollo Federation.
pub(super) fn federated(facts: &ServiceFacts, sdl: &str) -> ServiceProposal {
    // A version that is not linked is the first; then `extend type` means what it does there.
    let notes = Vec::new();
    proposal(facts, sdl, notes)
}

/// Any other service.
pub(super) fn plain(facts: &ServiceFacts, sdl: &str) -> ServiceProposal {
    let notes = vec![
        "The service is no subgraph of Apollo Federation: its types are shared with no other source. \
         Give it `_service` and `_entities`, or put `@key` where it has them."
            .to_owned(),
        "Introspection says nothing of directives on types and fields.".to_owned(),
    ];
    proposal(facts, sdl, notes)
}

fn proposal(facts: &ServiceFacts, sdl: &str, mut notes: Vec<String>) -> ServiceProposal {
    if tells_of_events(sdl) {
        notes.push(
            "Its subscriptions are opened over server-sent events. Write `events: WEBSOCKET` into `@source` where \
             it speaks graphql-transport-ws, and `eventsPath: \"/…\"` where they have another path."
                .to_owned(),
        );
    }
    let mut text = head(facts, "GRAPHQL", &facts.url, &notes);
    text.push('\n');
    text.push_str(sdl.trim());
    text.push('\n');
    ServiceProposal { file: format!("{}.graphql", facts.name), kind: "GRAPHQL", text, notes }
}

/// Whether an SDL has subscriptions; what of it cannot be read is told by whoever compiles the module.
fn tells_of_events(sdl: &str) -> bool {
    let document = Document::parse(sdl, "service.graphql").unwrap_or_else(|failed| failed.partial);
    document.definitions.iter().any(|definition| match definition {
        Definition::ObjectTypeDefinition(object) => object.name == "Subscription",
        Definition::ObjectTypeExtension(object) => object.name == "Subscription",
        Definition::SchemaDefinition(schema) => {
            let mut roots = schema.root_operations.iter();
            roots.any(|root| root.0 == OperationType::Subscription)
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_events_are_asked_for_is_said_of_services_that_have_some() {
        let facts = ServiceFacts { name: "news".to_owned(), url: "http://news".to_owned() };
        for (sdl, is_told) in [
            ("type Query { a: Int }", false),
            ("type Query { a: Int } type Subscription { a: Int }", true),
            ("type Query { a: Int } extend type Subscription { a: Int }", true),
            ("schema { query: Q subscription: S } type Q { a: Int } type S { a: Int }", true),
            ("\"type Subscription { a: Int }\" type Query { a: Int }", false),
        ] {
            let found = federated(&facts, sdl);
            assert_eq!(found.text.contains("`events: WEBSOCKET`"), is_told, "{sdl}");
        }
    }
}
