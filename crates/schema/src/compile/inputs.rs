//! What derived fields read beyond the stored fields of their rows: in come fragments and expressions whose
//! types an API decides, out come typed expressions, or what is wrong with them, each at its place.
//!
//! ```text
//! Schema → its API → of_tables → graph → of_graph → circles and bounds
//! ```
//!
//! A fragment is settled on the API of the tables where that has everything it names, so that the tables
//! compute the field themselves, wherever they are asked; else on that of the graph, which computes it
//! from what several sources give. Not here: fields of the row alone (`derived`), fetching (`mesh`).

mod bounds;
mod fragment;

use std::sync::Arc;

use apollo_compiler::executable::FieldSet;
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::validation::Valid;
use apollo_compiler::{Name, Schema as Sdl};
use frame::{DataType, Expr};

use crate::api::api_sdl;
use crate::diagnostic::Code;
use crate::expression::{self, ExpressionError, Scope};
use crate::graph::{FieldInSource, FieldSet as GraphFields, FieldSetPart, Graph, SourceKind};
use crate::model::{Beyond, Derived, FieldKind, Giver, Schema};

use super::canonical::fingerprint;
use super::derived::{KnownEnum, constants_exist, expression_errors, inside};
use super::directives::Text;
use super::report::Report;
use bounds::bounded;
use fragment::{FragmentFault, Read, Reader, enum_at, fields, unread_in};
pub(super) use fragment::{selecting, selections};

/// How many objects may lie in one another below a derived field, those of the derived fields that it reads
/// counted in.
pub(super) const MAX_LEVELS: usize = 16;

/// How many fields a derived field may read, counted likewise.
pub(super) const MAX_FIELDS: usize = 500;

/// A text of a schema, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(super) value: String,
    pub(super) at: Option<SourceSpan>,
}

impl Written {
    fn text(&self) -> Text<'_> {
        Text { value: &self.value, at: self.at }
    }
}

/// A derived field that is settled when the API is known.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(super) object: usize,
    pub(super) field: usize,
    pub(super) from: Written,
    pub(super) expr: Written,
    /// Nothing for a Decimal.
    pub(super) wanted: Option<DataType>,
    pub(super) is_nullable: bool,
    /// What it reads, when it is settled.
    pub(super) found: Option<Read>,
}

/// The typed expression; a Decimal has the digits that its expression gives.
pub(super) fn parse(
    text: &str,
    scope: &Scope,
    wanted: Option<&DataType>,
) -> Result<Expr, Vec<ExpressionError>> {
    match wanted {
        Some(wanted) => expression::parse_as(text, scope, wanted),
        None => expression::parse(text, scope),
    }
}

/// Whether a value fits the type that its field declares; else why not, and what to do.
pub(super) fn fits(
    name: &str,
    is_nullable: bool,
    wanted: Option<&DataType>,
    expr: &Expr,
    scope: &Scope,
) -> Result<(), (String, &'static str)> {
    if wanted.is_none() && !matches!(expr.data_type, DataType::Decimal { .. }) {
        let words = format!("the value must be Decimal, not {}", expr.data_type);
        return Err((words, "write `CAST(… AS Decimal(18, 2))`"));
    }
    if !is_nullable && expression::is_nullable(expr, scope) {
        let words = format!("`{name}` is never null, but its expression may be");
        return Err((words, "make the field nullable, or write `COALESCE(…, value)`"));
    }
    Ok(())
}

/// Settles the derived fields that the tables can compute; the others wait where there is a graph.
pub(super) fn of_tables(schema: &mut Schema, pending: &mut [Pending], report: &mut Report<'_>) {
    if pending.is_empty() {
        return;
    }
    let api = Sdl::parse_and_validate(api_sdl(schema), "api.graphql");
    let may_wait = !schema.services.is_empty();
    for one in pending.iter_mut() {
        match &api {
            Ok(api) => settle(schema, api, Giver::Tables, one, may_wait, report),
            Err(failed) => {
                let words = format!("the API of the tables cannot be read: {}", failed.errors);
                report.at(Code::Derived, one.from.at, words).hint("mend what it names first");
            }
        }
    }
    if may_wait {
        wait_for_others(schema, pending);
    } else {
        bounded(schema, pending, report);
    }
    schema.fingerprint = fingerprint(schema);
}

/// What reads a field that waits for the graph waits for it, too: the tables have no more than its name.
fn wait_for_others(schema: &Schema, pending: &mut [Pending]) {
    loop {
        let waits = |one: &Pending| {
            let read = one.found.iter().flat_map(|read| &read.fields);
            read.into_iter().any(|(parent, field, _)| {
                let mut waiting = pending.iter().filter(|other| other.found.is_none());
                waiting.any(|other| is_named(schema, other, parent, field))
            })
        };
        let waiting: Vec<usize> =
            (0..pending.len()).filter(|index| waits(&pending[*index])).collect();
        if waiting.is_empty() {
            return;
        }
        waiting.into_iter().for_each(|index| pending[index].found = None);
    }
}

/// Settles those that need the graph.
pub(super) fn of_graph(schema: &mut Schema, pending: &mut [Pending], report: &mut Report<'_>) {
    let Some(graph) = schema.graph.clone() else { return };
    taken_over(schema, &graph, pending, report);
    if pending.is_empty() {
        return;
    }
    for one in pending.iter_mut().filter(|one| one.found.is_none()) {
        settle(schema, &graph.api, Giver::Graph, one, false, report);
    }
    bounded(schema, pending, report);
    let mut graph = Graph::clone(&graph);
    for object in schema.types.values() {
        for field in object.fields.values() {
            let FieldKind::Derived(derived) = &field.kind else { continue };
            let Some(Beyond { giver: Giver::Graph, .. }) = derived.beyond else { continue };
            let names = std::iter::once(&field.name).chain(field.was.iter().map(|was| &was.name));
            for name in names {
                if let (Ok(object), Ok(field)) = (Name::new(&object.name), Name::new(name)) {
                    graph.derived.insert((object, field), Arc::new(derived.clone()));
                }
            }
        }
    }
    needed_by_services(schema, &graph, report);
    schema.graph = Some(Arc::new(graph));
    schema.fingerprint = fingerprint(schema);
}

/// Settles one field on an API. What the API does not have is no fault where another one may have it.
fn settle(
    schema: &mut Schema,
    api: &Valid<Sdl>,
    giver: Giver,
    one: &mut Pending,
    may_wait: bool,
    report: &mut Report<'_>,
) {
    let object = schema.types[one.object].name.clone();
    let name = schema.types[one.object].fields[one.field].name.clone();
    let Some(selections) = selections(one.from.text(), report) else { return };
    let mut reader = Reader { schema, api, read: Read::default(), faults: Vec::new() };
    let inputs = reader.set(&object, &selections, 1);
    reader.arguments(&object, &one.from.value);
    let Reader { read, faults, .. } = reader;
    if !faults.is_empty() {
        if !may_wait {
            say(&one.from, faults, report);
        }
        return;
    }
    let scope = Scope::new(fields(&inputs)).with_lists();
    let expr = match parse(&one.expr.value, &scope, one.wanted.as_ref()) {
        Ok(expr) => expr,
        Err(errors) => return expression_errors(one.expr.text(), errors, report),
    };
    if let Err((words, hint)) = fits(&name, one.is_nullable, one.wanted.as_ref(), &expr, &scope) {
        report.at(Code::Derived, one.expr.at, words).hint(hint);
        return;
    }
    let paths = expression::paths_read(&expr);
    let mut unread = Vec::new();
    unread_in(&inputs, &mut Vec::new(), &paths, &mut unread);
    if !unread.is_empty() {
        return say(&one.from, unread, report);
    }
    let enum_of = |path: &[String]| {
        let name = enum_at(&inputs, path)?;
        let Some(ExtendedType::Enum(known)) = api.types.get(name) else { return None };
        let values = known.values.keys().map(ToString::to_string).collect();
        Some(KnownEnum { name: name.to_string(), values })
    };
    if !constants_exist(&expr, one.expr.text(), &enum_of, report) {
        return;
    }
    one.found = Some(read);
    let field = &mut schema.types[one.object].fields[one.field];
    if let FieldKind::Derived(derived) = &mut field.kind {
        let text: Vec<String> =
            selections.iter().map(|one| one.serialize().no_indent().to_string()).collect();
        let from = format!("{{ {} }}", text.join(" ")).into();
        *derived = Derived { expr, beyond: Some(Beyond { from, giver }), ..derived.clone() };
    }
}

fn say(from: &Written, faults: Vec<FragmentFault>, report: &mut Report<'_>) {
    for fault in faults {
        let spot = inside(from.text(), fault.span, report);
        report.add(fault.code, spot, fault.words).hint(fault.hint);
    }
}

fn is_named(schema: &Schema, one: &Pending, parent: &str, field: &str) -> bool {
    let object = &schema.types[one.object];
    let own = &object.fields[one.field];
    *object.name == *parent
        && (*own.name == *field || own.was.iter().any(|was| *was.name == *field))
}

fn path(schema: &Schema, one: &Pending) -> String {
    let object = &schema.types[one.object];
    format!("{}.{}", object.name, object.fields[one.field].name)
}

/// Tables compute of what they hold, so that they must not read a field which a service took over from them.
fn taken_over(schema: &Schema, graph: &Graph, pending: &[Pending], report: &mut Report<'_>) {
    let taker = |parent: &str, field: &str| {
        let claims = graph.types.get(parent)?.fields.get(field)?;
        let is_lost = claims.iter().any(|claim| claim.overridden && is_of_tables(graph, claim));
        let giver = claims.iter().find(|claim| !claim.overridden && !claim.external);
        giver.filter(|_| is_lost).map(|claim| &graph.sources[claim.source.0 as usize].name)
    };
    for (at, object) in schema.types.values().enumerate() {
        for (position, field) in object.fields.values().enumerate() {
            let FieldKind::Derived(derived) = &field.kind else { continue };
            let own = derived
                .inputs
                .iter()
                .map(|id| (object.name.as_ref(), object.field(*id).name.as_ref()));
            let known = pending.iter().find(|one| (one.object, one.field) == (at, position));
            let read = known.and_then(|one| one.found.as_ref());
            let beyond = read.into_iter().flat_map(|read| &read.fields);
            let beyond = beyond.map(|(parent, field, _)| (parent.as_str(), field.as_str()));
            let found = own
                .chain(beyond)
                .find_map(|(parent, read)| Some((parent, read, taker(parent, read)?)));
            let Some((parent, read, taker)) = found else { continue };
            let words = format!(
                "`{}.{}` would read `{parent}.{read}` as the tables have it, and `{taker}` took it over",
                object.name, field.name
            );
            report
                .name(Code::Derived, field.place.clone(), words)
                .hint("let the service give this field, too, or leave the other with the tables");
        }
    }
}

fn is_of_tables(graph: &Graph, claim: &FieldInSource) -> bool {
    let kind = graph.sources[claim.source.0 as usize].kind;
    matches!(kind, SourceKind::Lake | SourceKind::Postgres)
}

/// A field that the graph computes is no field of a source, so that no service can be given it.
fn needed_by_services(schema: &Schema, graph: &Graph, report: &mut Report<'_>) {
    for (type_name, known) in &graph.types {
        for (name, sources) in &known.fields {
            for source in sources {
                let Some(needed) = source.requires.as_ref() else { continue };
                let Some((object, field)) = derived_in(graph, type_name, needed) else { continue };
                let service = graph.sources.get(source.source.0 as usize);
                let service = service.map_or("", |source| source.name.as_ref());
                let Some(own) = schema.types.get(object.as_str()) else { continue };
                let place = own.fields.get(field.as_str()).map_or(&own.place, |field| &field.place);
                let words = format!(
                    "`{service}` requires `{object}.{field}` for `{type_name}.{name}`, but it is \
                     computed from what services give"
                );
                report
                    .name(Code::Derived, place.clone(), words)
                    .hint("let the service require the inputs instead");
            }
        }
    }
}

/// A field of a set that the graph computes.
fn derived_in(graph: &Graph, type_name: &Name, set: &GraphFields) -> Option<(Name, Name)> {
    set.0.iter().find_map(|part| match part {
        FieldSetPart::On { type_name, inner } => derived_in(graph, type_name, inner),
        FieldSetPart::Field { name, inner } => {
            let key = (type_name.clone(), name.clone());
            if graph.derived.contains_key(&key) {
                return Some(key);
            }
            let ty = graph.api.type_field(type_name, name).ok()?.ty.inner_named_type().clone();
            derived_in(graph, &ty, inner)
        }
    })
}

/// Whether whoever sees an API could ask it for what a derived field reads.
pub(crate) fn may_be_asked(api: &Valid<Sdl>, object: &str, beyond: &Beyond) -> bool {
    let Ok(name) = Name::new(object) else { return false };
    api.types.contains_key(&name)
        && FieldSet::parse_and_validate(api, name, beyond.from.as_ref(), "from").is_ok()
}
