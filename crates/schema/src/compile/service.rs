//! Modules that hold a service's SDL: in comes a parsed file whose header has a `@source`, out comes a
//! [`ServiceModule`]. The service's own definitions are not judged here but where the graph is composed;
//! only what could never be meant is: tables of ours, queries, nothing at all. Of kind POSTGRES all else
//! in the file are tables in our own language, compiled as a schema of their own.

use std::ops::Range;
use std::sync::Arc;

use apollo_compiler::Node;
use apollo_compiler::ast::{Definition, Document};

use crate::diagnostic::Code;
use crate::graph::SourceKind;
use crate::load::Sources;
use crate::model::{HeldTables, Holder, ServiceModule, SourceSpec};
use crate::protobuf;

use super::declare::{Declared, Header, refuse};
use super::parse::ParsedFile;
use super::report::Report;
use super::{fetch, policy, source};

/// Whether a directive of an `extend schema` is ours, not the service's.
pub(super) fn is_ours(name: &str) -> bool {
    matches!(name, "module" | "source")
}

/// Whether the header says that the rest of the file is a service's SDL. Asked before anything is
/// judged, so also a `@source` that is wrong counts.
pub(super) fn is_service(document: &Document) -> bool {
    let ours = document.definitions.iter().filter_map(|definition| match definition {
        Definition::SchemaExtension(extension) => Some(&extension.directives.0),
        _ => None,
    });
    ours.flatten().any(|directive| directive.name == "source")
}

/// Adds the service of a file to what is declared.
pub(super) fn declare(
    sources: &Sources,
    parsed: &ParsedFile,
    header: &Header<'_>,
    declared: &mut Declared<'_>,
    report: &mut Report<'_>,
) {
    if !header.sources.iter().any(|applied| applied.choice("kind") == Some("POSTGRES")) {
        judge(parsed, report);
    }
    let (mut spec, mut described) = (None, Vec::new());
    for applied in &header.sources {
        if spec.is_some() {
            report
                .at(Code::Source, applied.at(), "a file holds the SDL of one service")
                .hint("put the other service into a module of its own");
            continue;
        }
        let read = source::source(*applied, sources, report);
        let (place, _) = report.place(report.spot(applied.at()));
        if let Some(descriptors) = read.as_ref().and_then(|spec| spec.descriptors.as_ref()) {
            let named = applied.text("descriptors").map_or("", |text| text.value);
            described = protobuf::files(named, descriptors, sources);
        }
        spec = Some(read.map(|spec| (spec, place)));
        name_is_new(spec.as_ref(), applied.at_argument("name"), declared, report);
    }
    let Some(Some((source, place))) = spec else { return };
    let fetches = matches!(source.kind, SourceKind::Rest | SourceKind::Grpc)
        .then(|| Arc::new(fetch::fetches(&parsed.document, &source, report)));
    let text = &sources.files[parsed.file].text;
    let tables = match source.kind {
        SourceKind::Postgres => match tables(sources, parsed, header, &source, report) {
            Some(tables) => Some(tables),
            None => return,
        },
        _ => None,
    };
    declared.services.push(ServiceModule {
        module: declared.modules.len() - 1,
        source,
        sdl: without(text, &header_ranges(&parsed.document, is_ours)),
        scopes: policy::of_service(&parsed.document, report),
        tables,
        fetches,
        described,
        place,
    });
}

/// The tables of a database. What is wrong with the header has been said, and would be said again.
fn tables(
    sources: &Sources,
    parsed: &ParsedFile,
    header: &Header<'_>,
    source: &SourceSpec,
    report: &mut Report<'_>,
) -> Option<HeldTables> {
    if header.broken || header.module.is_none() || !parsed.complete {
        return None;
    }
    let file = &sources.files[parsed.file];
    let mut ranges = header_ranges(&parsed.document, |name| name == "source");
    let mut extended = Vec::new();
    for definition in &parsed.document.definitions {
        let Definition::ObjectTypeExtension(extension) = definition else { continue };
        // It is read as a type: which of its fields another source has is settled by composition.
        let start = range(extension).map(|range| range.start);
        ranges.extend(start.map(|start| start..start + "extend".len()));
        extended.push(extension.name.as_str().into());
    }
    let text = without(&file.text, &ranges);
    let holder = Holder::Database { writable: source.write, extended };
    let schema = super::tables_of_database(&file.file, text, holder, report)?;
    Some(HeldTables(Arc::new(schema)))
}

type Read = Option<(SourceSpec, base::Place)>;

fn name_is_new(
    read: Option<&Read>,
    at: Option<apollo_compiler::parser::SourceSpan>,
    declared: &Declared<'_>,
    report: &mut Report<'_>,
) {
    let Some(Some((spec, _))) = read else { return };
    let mut earlier = declared.services.iter();
    let same = earlier.find(|other| other.source.name.eq_ignore_ascii_case(&spec.name));
    if let Some(same) = same {
        let words = format!("source `{}` is already in `{}`", spec.name, same.place.file);
        report.at(Code::Source, at, words).hint("give one of them another name");
    }
}

/// Refuses what is no part of a service's SDL.
fn judge(parsed: &ParsedFile, report: &mut Report<'_>) {
    let definitions = &parsed.document.definitions;
    let own_table = definitions.iter().any(|definition| {
        matches!(definition, Definition::DirectiveDefinition(own) if own.name == "table")
    });
    for definition in definitions {
        if definition.is_executable_definition() {
            refuse(definition, report);
        }
        if let Definition::SchemaDefinition(schema) = definition
            && schema.root_operations.is_empty()
        {
            report
                .at(Code::EmptyDefinition, schema.location(), "`schema` names no root types")
                .hint("write `extend schema`, or name them: `schema { query: Query }`");
        }
        let table = definition.directives().0.iter().find(|directive| directive.name == "table");
        if let Some(table) = table.filter(|_| !own_table) {
            report
                .at(Code::Source, table.name.location(), "a service's module holds no tables")
                .hint("declare the table in a module of its own, without `@source`");
        }
    }
    let declares = |definition: &Definition| {
        !definition.is_executable_definition()
            && !matches!(
                definition,
                Definition::SchemaDefinition(_)
                    | Definition::SchemaExtension(_)
                    | Definition::DirectiveDefinition(_)
            )
    };
    // Of a text with syntax errors something may be missing.
    if parsed.complete && !definitions.iter().any(declares) {
        let at = definitions.iter().find_map(Definition::location);
        report
            .at(Code::EmptyDefinition, at, "the service declares no types")
            .hint("put the SDL here that the service answers to `{ _service { sdl } }`");
    }
}

/// The SDL as the service has it: without our scopes, of which it knows nothing.
pub(crate) fn unscoped(sdl: &str) -> Arc<str> {
    // Compiling has parsed this text, so the partial document is the whole one.
    let document = Document::parse(sdl, "service.graphql").unwrap_or_else(|failed| failed.partial);
    let scopes = policy::scopes(&document).into_iter().filter_map(|(_, _, applied)| range(applied));
    without(sdl, &scopes.collect::<Vec<_>>())
}

/// Where our directives stand; the whole `extend schema`, when nothing else is in it.
fn header_ranges(document: &Document, is_ours: fn(&str) -> bool) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    for definition in &document.definitions {
        let Definition::SchemaExtension(extension) = definition else { continue };
        let ours = || extension.directives.0.iter().filter(|directive| is_ours(&directive.name));
        let count = ours().count();
        if count == 0 {
            continue;
        }
        if count == extension.directives.len() && extension.root_operations.is_empty() {
            ranges.extend(range(extension));
        } else {
            ranges.extend(ours().filter_map(range));
        }
    }
    ranges
}

fn range<T>(node: &Node<T>) -> Option<Range<usize>> {
    node.location().map(|at| at.offset()..at.end_offset())
}

/// The text with spaces in these ranges, byte for byte, so that every other place stays where it is.
fn without(text: &str, ranges: &[Range<usize>]) -> Arc<str> {
    let mut kept = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let is_header = ranges.iter().any(|range| range.contains(&at));
        match c {
            '\n' | '\r' => kept.push(c),
            _ if is_header => kept.extend(std::iter::repeat_n(' ', c.len_utf8())),
            _ => kept.push(c),
        }
    }
    kept.into()
}
