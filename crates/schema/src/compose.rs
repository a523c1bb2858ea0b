//! Composition: in come the SDL texts of several sources, out comes one [`Graph`], or everything
//! that keeps them from being one, each fault with its places in all the texts that it needs.
//!
//! ```text
//! SourceSdl → read → Subgraph → merge → Merged → inaccessible, reach → Graph
//! ```
//!
//! The rules are those of [Apollo Federation](https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/errors),
//! version 1 and 2, and so are the names of the codes. Not here: fetching the SDL of a running
//! service, planning an operation over the graph (`mesh`).

mod api;
mod check;
mod combine;
mod inaccessible;
mod lake;
mod link;
mod merge;
mod reach;
mod read;
mod report;
mod selection;
mod sharing;
mod subgraph;
mod table;
mod text;

use std::collections::HashSet;

pub use lake::{database, lake};
pub use read::read;
pub use subgraph::Subgraph;
pub use text::SourceSdl;

use crate::diagnostic::{Code, Diagnostics};
use crate::graph::{Graph, SourceKind};
use report::Report;
use text::{Span, Spot};

/// What came of composing: the graph unless there are errors, and everything that was found.
#[derive(Clone, Debug)]
pub struct Composition {
    /// The graph, when nothing found is an error.
    pub graph: Option<Graph>,
    /// Errors and warnings, in the order of files and lines.
    pub diagnostics: Diagnostics,
}

/// Composes sources that have been read. Sources are numbered in the order in which they are given.
pub fn compose(subgraphs: &[Subgraph]) -> Composition {
    let mut report = Report::new(subgraphs.iter().map(|subgraph| &subgraph.text).collect());
    let graph = run(subgraphs, &mut report);
    Composition { graph, diagnostics: report.finish() }
}

fn run(subgraphs: &[Subgraph], report: &mut Report<'_>) -> Option<Graph> {
    names(subgraphs, report);
    let merged = merge::merge(subgraphs, report);
    inaccessible::check(subgraphs, &merged, report);
    if report.has_errors() {
        return None;
    }
    let api = api::build(subgraphs, &merged, report)?;
    reach::check(subgraphs, &merged, report);
    if report.has_errors() {
        return None;
    }
    Some(table::graph(subgraphs, &merged, api))
}

/// Sources are told apart by their names, and by the file that a fault is shown in.
fn names(subgraphs: &[Subgraph], report: &mut Report<'_>) {
    let mut seen = HashSet::new();
    for (index, subgraph) in subgraphs.iter().enumerate() {
        let name = &subgraph.source.name;
        let words = match name.as_ref() {
            "" | "_" => format!("a source cannot be named `{name}`"),
            _ if !seen.insert(name.clone()) => format!("two sources are named `{name}`"),
            _ => continue,
        };
        let spot = Spot { source: index, span: Span::default() };
        report.add(Code::InvalidSubgraphName, spot, Vec::new(), words).hint("give it another name");
    }
}

/// Whether the sources of this kind write federation's directives themselves.
pub(crate) fn speaks_federation(kind: SourceKind) -> bool {
    kind == SourceKind::GraphQl
}
