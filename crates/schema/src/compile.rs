//! Compiles the texts of all modules into one `Schema`: in come sources, out comes a schema whose
//! every rule holds, or everything that is wrong with them.
//!
//! ```text
//! Sources → parse → Document → declare → Draft → build → Draft with kinds → check → Schema
//!                              services ──────────────────────────────────────────┘→ graph
//! ```
//!
//! Not here: comparing two schemas (`diff`), the API that follows from one (`api`).

mod build;
mod canonical;
mod column;
mod declare;
mod derived;
pub(crate) mod directives;
mod fetch;
mod field;
mod graph;
mod inputs;
mod names;
pub(crate) mod parse;
mod policy;
mod reference;
pub(crate) mod report;
pub(crate) mod sdl;
mod service;
mod shape;
pub(crate) mod source;
mod table;
mod vector;

use std::sync::Arc;

use crate::diagnostic::{Code, Diagnostics};
use crate::load::Sources;
use crate::model::{Holder, Schema};
use crate::{api, check};

pub(crate) use build::Draft;
pub(crate) use canonical::policy_text;
pub use canonical::{canonical, fingerprint};
pub(crate) use declare::{Declared, Field, Object};
use inputs::Pending;
pub(crate) use inputs::may_be_asked;
pub(crate) use parse::too_deep;
pub(crate) use report::Report;
pub(crate) use service::unscoped;

/// The directives that are enforced, by name.
pub fn enforced_directives() -> &'static [&'static str] {
    &directives::ENFORCED
}

/// What came of compiling: the schema unless there are errors, and everything that was found.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// The schema, when nothing found is an error.
    pub schema: Option<Schema>,
    /// Errors and warnings, in the order of files and lines.
    pub diagnostics: Diagnostics,
}

/// Compiles a schema; errors come with the warnings beside them. A text without any module gives
/// the empty schema.
pub fn compile(sources: &Sources) -> Result<Schema, Diagnostics> {
    let Inspection { schema, diagnostics } = inspect(sources);
    schema.ok_or(diagnostics)
}

/// The text of `docs/reference/directives.md`.
pub fn reference_page() -> String {
    directives::reference_page()
}

/// Compiles a schema and keeps the warnings of one that is accepted.
pub fn inspect(sources: &Sources) -> Inspection {
    let mut report = Report::new(sources);
    let schema = run(sources, &mut report);
    Inspection { schema, diagnostics: report.finish() }
}

fn run(sources: &Sources, report: &mut Report<'_>) -> Option<Schema> {
    let (mut schema, mut pending) = modules(sources, Holder::Lake, report)?;
    if !schema.services.is_empty() {
        policy::across(&schema, report);
        schema.graph = graph::composed(&schema, report);
        inputs::of_graph(&mut schema, &mut pending, report);
    }
    (!report.has_errors()).then_some(schema)
}

/// The schema of sound modules, before its graph is composed, and the derived fields that read what its
/// tables do not give.
fn modules(
    sources: &Sources,
    holder: Holder,
    report: &mut Report<'_>,
) -> Option<(Schema, Vec<Pending>)> {
    let parsed = parse::parse(sources, report);
    let declared = declare::declare(sources, &parsed, holder, report);
    if !parsed.complete {
        // What did not parse is missing now; to speak of what refers to it would only confuse.
        return None;
    }
    let draft = build::build(&declared, report);
    check::check(&declared, &draft, report);
    if report.has_errors() {
        return None;
    }
    let (mut schema, mut pending) = build::finish(&declared, draft)?;
    for clash in api::clashes(&schema) {
        report.name(Code::ReservedName, clash.place, clash.message).hint(clash.hint);
    }
    if !report.has_errors() {
        policy::masked_references(&schema, report);
        inputs::of_tables(&mut schema, &mut pending, report);
    }
    (!report.has_errors()).then_some((schema, pending))
}

/// The tables of a database, which one module declares; its file stands alone, as another schema.
fn tables_of_database(
    file: &Arc<str>,
    text: Arc<str>,
    holder: Holder,
    report: &mut Report<'_>,
) -> Option<Schema> {
    let sources = Sources::from_texts([(Arc::clone(file), text)]);
    let mut inside = Report::new(&sources);
    let schema = modules(&sources, holder, &mut inside);
    report.extend(inside.finish());
    schema.map(|(schema, _)| schema)
}

/// Compiles modules alone, for tests of what does not look at the graph.
#[cfg(test)]
pub(crate) fn uncomposed(sources: &Sources) -> Result<Schema, Diagnostics> {
    let mut report = Report::new(sources);
    let schema = modules(sources, Holder::Lake, &mut report);
    schema.map(|(schema, _)| schema).ok_or_else(|| report.finish())
}

#[cfg(test)]
mod tests;
