//! Services that speak GraphQL: in comes their SDL, out comes the module, as the service has it.

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

fn proposal(facts: &ServiceFacts, sdl: &str, notes: Vec<String>) -> ServiceProposal {
    let mut text = head(facts, "GRAPHQL", &facts.url, &notes);
    text.push('\n');
    text.push_str(sdl.trim());
    text.push('\n');
    ServiceProposal { file: format!("{}.graphql", facts.name), kind: "GRAPHQL", text, notes }
}
