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

use std::sync::Arc;

use apollo_compiler::ast::{Definition, Document, Selection, Type, Value};
use apollo_compiler::diagnostic::ToCliReport;
use apollo_compiler::executable::FieldSet;
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::validation::Valid;
use apollo_compiler::{Name, Schema as Sdl};
use frame::{DataType, Expr, Field, Span};

use crate::api::api_sdl;
use crate::check::circles;
use crate::diagnostic::{Code, suggest};
use crate::expression::{self, ExpressionError, Scope};
use crate::graph::{FieldSet as GraphFields, FieldSetPart, Graph};
use crate::model::{Beyond, Derived, FieldKind, Giver, Schema};

use super::canonical::fingerprint;
use super::derived::{expression_errors, inside};
use super::directives::Text;
use super::parse::words;
use super::report::Report;

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

/// The fields that a fragment names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Read {
    /// Each with its type and how many objects are around it, that of the derived field counted.
    fields: Vec<(Name, Name, usize)>,
}

/// What is wrong with a fragment.
struct FragmentFault {
    span: Span,
    code: Code,
    words: String,
    hint: String,
}

/// The selections of a fragment.
pub(super) fn selections(from: Text<'_>, report: &mut Report<'_>) -> Option<Vec<Selection>> {
    let refuse = |words: &str, report: &mut Report<'_>| {
        report
            .at(Code::Derived, from.at, words)
            .hint("write `from: \"{ year title }\"`, or `from: \"{ team { name } }\"`");
        None
    };
    // The parser takes nesting as deep as any; a fragment of our kind has at most a few levels.
    if from.value.len() > expression::MAX_BYTES || from.value.matches(['{', '[']).count() > 64 {
        return refuse("`from` is too large", report);
    }
    let Ok(document) = Document::parse(from.value, "from") else {
        return refuse("`from` is no selection of fields", report);
    };
    let [Definition::OperationDefinition(operation)] = document.definitions.as_slice() else {
        return refuse("`from` is no selection of fields", report);
    };
    Some(operation.selection_set.clone())
}

/// The fragment that an expression needs which names fields of its row only.
pub(super) fn selecting(paths: &[&[String]], fields: &[Field]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in paths.iter().filter_map(|path| path.first()) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let selected = names.iter().map(|name| {
        let field = fields.iter().find(|field| field.name.as_ref() == *name);
        let inner = match field.map(|field| &field.data_type) {
            Some(DataType::Struct(inner)) => Some(inner),
            Some(DataType::List { item, .. }) => match item.as_ref() {
                DataType::Struct(inner) => Some(inner),
                _ => None,
            },
            _ => None,
        };
        let Some(inner) = inner else { return (*name).to_owned() };
        let of_it = paths.iter().filter(|path| path.first().is_some_and(|first| first == name));
        let rest: Vec<&[String]> =
            of_it.map(|path| &path[1..]).filter(|it| !it.is_empty()).collect();
        match rest.is_empty() {
            true => format!("{name} {{ __typename }}"),
            false => format!("{name} {}", selecting(&rest, inner)),
        }
    });
    format!("{{ {} }}", selected.collect::<Vec<_>>().join(" "))
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
    let Some(graph) = schema.graph.clone().filter(|_| !pending.is_empty()) else { return };
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

/// A field that a fragment gives, under the name that the expression knows it by.
struct Input {
    field: Field,
    span: Span,
    inner: Vec<Input>,
}

fn fields(inputs: &[Input]) -> Vec<Field> {
    inputs.iter().map(|input| input.field.clone()).collect()
}

/// The inputs that no path reads, nor anything around them.
fn unread_in<'i>(
    inputs: &'i [Input],
    around: &mut Vec<&'i str>,
    paths: &[&[String]],
    found: &mut Vec<FragmentFault>,
) {
    for input in inputs {
        around.push(input.field.name.as_ref());
        let reads = |path: &&[String]| {
            path.len() <= around.len() && path.iter().zip(around.iter()).all(|(a, b)| a == b)
        };
        let is_read = paths.iter().any(reads);
        if !is_read && input.inner.is_empty() {
            found.push(FragmentFault {
                span: input.span,
                code: Code::Derived,
                words: format!(
                    "`from` names `{}`, which the expression does not read",
                    around.join(".")
                ),
                hint: "take it out".to_owned(),
            });
        }
        unread_in(&input.inner, around, paths, found);
        around.pop();
    }
}

/// Reads a fragment on an API.
struct Reader<'s> {
    schema: &'s Schema,
    api: &'s Valid<Sdl>,
    read: Read,
    faults: Vec<FragmentFault>,
}

impl Reader<'_> {
    fn fault(&mut self, at: Option<SourceSpan>, words: String, hint: impl Into<String>) {
        let (span, code) = (span_of(at), Code::Derived);
        self.faults.push(FragmentFault { span, code, words, hint: hint.into() });
    }

    fn set(&mut self, parent: &str, selections: &[Selection], level: usize) -> Vec<Input> {
        let mut inputs: Vec<Input> = Vec::new();
        for selection in selections {
            let Selection::Field(field) = selection else {
                let at = match selection {
                    Selection::InlineFragment(fragment) => fragment.location(),
                    Selection::FragmentSpread(spread) => spread.location(),
                    Selection::Field(field) => field.location(),
                };
                let hint = "an input is a field of one type: interfaces and unions are not read";
                self.fault(at, "`from` selects fields, without fragments".to_owned(), hint);
                continue;
            };
            let Some(input) = self.field(parent, field, level) else { continue };
            if inputs.iter().any(|known| known.field.name == input.field.name) {
                let words = format!("`{}` is named twice", input.field.name);
                let hint = "give one of them another name: `last: trips(last: 1) { nights }`";
                self.fault(field.location(), words, hint);
                continue;
            }
            inputs.push(input);
        }
        inputs
    }

    fn field(
        &mut self,
        parent: &str,
        field: &apollo_compiler::ast::Field,
        level: usize,
    ) -> Option<Input> {
        let at = field.name.location();
        if field.name == "__typename" {
            return None;
        }
        if let Some(directive) = field.directives.first() {
            let words = format!("`from` has no use for `@{}`", directive.name);
            self.fault(directive.location(), words, "take it out");
            return None;
        }
        if field.arguments.iter().any(|argument| has_variable(&argument.value)) {
            let words = format!("`{}` is given a variable", field.name);
            self.fault(at, words, "inputs are the same for everybody: write a constant");
            return None;
        }
        let Ok(found) = self.api.type_field(parent, &field.name) else {
            self.unknown(parent, &field.name);
            return None;
        };
        let ty = found.ty.clone();
        if let Ok(parent) = Name::new(parent) {
            self.read.fields.push((parent, field.name.clone(), level));
        }
        let inner_type = ty.inner_named_type().clone();
        let (item, inner) = match self.api.types.get(&inner_type) {
            Some(ExtendedType::Object(_)) => {
                if field.selection_set.is_empty() {
                    let words = format!("`{}` is a {inner_type}: say what of it", field.name);
                    let hint = format!("write `{} {{ … }}`", field.name);
                    self.fault(at, words, hint);
                    return None;
                }
                let inner = self.set(&inner_type, &field.selection_set, level + 1);
                (DataType::Struct(fields(&inner)), inner)
            }
            Some(ExtendedType::Interface(_) | ExtendedType::Union(_)) => {
                let words = format!("`{}` may be of several types", field.name);
                self.fault(at, words, "an input is a field of one type");
                return None;
            }
            Some(ExtendedType::Enum(_)) => (DataType::String, Vec::new()),
            _ => (self.scalar(parent, field, &inner_type)?, Vec::new()),
        };
        let (data_type, nullable) = wrapped(&ty, item);
        let key = field.alias.as_ref().unwrap_or(&field.name);
        let field = Field::new(key.as_str(), data_type, nullable);
        Some(Input { field, span: span_of(key.location()), inner })
    }

    /// The type of a scalar. What a column holds, the model knows better than the API.
    fn scalar(
        &mut self,
        parent: &str,
        field: &apollo_compiler::ast::Field,
        name: &Name,
    ) -> Option<DataType> {
        let object = self.schema.types.get(parent);
        let column = object.and_then(|object| object.fields.get(field.name.as_str())?.column());
        if let Some(column) = column {
            return Some(match &column.data_type {
                DataType::List { item, .. } => item.as_ref().clone(),
                data_type => data_type.clone(),
            });
        }
        Some(match name.as_str() {
            "Int" => DataType::Int,
            "Float" => DataType::Float,
            "String" | "ID" => DataType::String,
            "Boolean" => DataType::Boolean,
            "Long" => DataType::Long,
            "Date" => DataType::Date,
            "DateTime" => DataType::DateTime,
            "UUID" => DataType::Uuid,
            _ => {
                let words = format!("an expression cannot read `{}`, a {name}", field.name);
                let hint = match name.as_str() {
                    "Decimal" => "how many digits it has is not known here",
                    _ => {
                        "it reads Boolean, Int, Long, Float, String, ID, Date, DateTime, UUID and enums"
                    }
                };
                self.fault(field.name.location(), words, hint);
                return None;
            }
        })
    }

    fn unknown(&mut self, parent: &str, name: &Name) {
        let names: Vec<&str> = match self.api.types.get(parent) {
            Some(ExtendedType::Object(object)) => {
                object.fields.keys().map(|name| name.as_str()).collect()
            }
            _ => Vec::new(),
        };
        let near = suggest::closest(name, names.iter().copied());
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None if (1..=12).contains(&names.len()) => {
                format!("its fields are `{}`", names.join("`, `"))
            }
            None => "name a field of the API".to_owned(),
        };
        self.faults.push(FragmentFault {
            span: span_of(name.location()),
            code: Code::UnknownField,
            words: format!("`{parent}` has no field `{name}`"),
            hint,
        });
    }

    /// Whether arguments are what the API takes.
    fn arguments(&mut self, object: &str, from: &str) {
        let Ok(name) = Name::new(object) else { return };
        if !self.faults.is_empty() {
            return;
        }
        let Err(failed) = FieldSet::parse_and_validate(self.api, name, from, "from") else {
            return;
        };
        if let Some(error) = failed.errors.iter().next() {
            let words = words(&error.error.to_string());
            self.fault(error.error.location(), words, "see what the API takes");
        }
    }
}

fn span_of(at: Option<SourceSpan>) -> Span {
    at.map_or(Span::default(), |at| Span { start: at.offset(), end: at.end_offset() })
}

/// A type of the API over what its items are, and whether it may be null.
fn wrapped(ty: &Type, item: DataType) -> (DataType, bool) {
    match ty {
        Type::Named(_) => (item, true),
        Type::NonNullNamed(_) => (item, false),
        Type::List(inner) | Type::NonNullList(inner) => {
            let (item, nullable) = wrapped(inner, item);
            (DataType::List { item: Box::new(item), nullable }, !ty.is_non_null())
        }
    }
}

fn has_variable(value: &Value) -> bool {
    match value {
        Value::Variable(_) => true,
        Value::List(items) => items.iter().any(|item| has_variable(item)),
        Value::Object(fields) => fields.iter().any(|(_, value)| has_variable(value)),
        _ => false,
    }
}

/// Derived fields that read each other in a circle through their fragments, and those that read too much.
fn bounded(schema: &Schema, pending: &[Pending], report: &mut Report<'_>) {
    let reads: Vec<Vec<(usize, usize)>> = pending
        .iter()
        .map(|one| {
            let read = one.found.iter().flat_map(|read| &read.fields);
            let derived = read.filter_map(|(parent, field, level)| {
                let other = pending.iter().position(|other| is_named(schema, other, parent, field));
                other.map(|other| (other, *level))
            });
            derived.collect()
        })
        .collect();
    let targets: Vec<Vec<usize>> =
        reads.iter().map(|reads| reads.iter().map(|(other, _)| *other).collect()).collect();
    let found = circles(&targets);
    for circle in &found {
        let names: Vec<String> = circle.iter().map(|at| path(schema, &pending[*at])).collect();
        let field = &schema.types[pending[circle[0]].object].fields[pending[circle[0]].field];
        let words = match names.as_slice() {
            [name] => format!("`{name}` reads itself"),
            names => format!("`{}` reads itself: {} → {}", names[0], names.join(" → "), names[0]),
        };
        report
            .name(Code::DerivedCycle, field.place.clone(), words)
            .hint("let one of them read stored fields only");
    }
    if found.is_empty() {
        sized(schema, pending, &reads, report);
    }
}

/// Says which fields read too much, given that none reads itself.
fn sized(
    schema: &Schema,
    pending: &[Pending],
    reads: &[Vec<(usize, usize)>],
    report: &mut Report<'_>,
) {
    let own = |one: &Pending| {
        let fields = one.found.as_ref().map_or(&[][..], |read| &read.fields);
        (fields.iter().map(|(.., level)| *level).max().unwrap_or(1), fields.len())
    };
    let owns: Vec<(usize, usize)> = pending.iter().map(own).collect();
    let mut sizes = owns.clone();
    // A chain of more rounds than this has too many levels, too.
    for _ in 0..=MAX_LEVELS {
        for index in 0..sizes.len() {
            let (mut levels, mut fields) = owns[index];
            for (other, level) in &reads[index] {
                levels = levels.max(level + sizes[*other].0);
                fields = fields.saturating_add(sizes[*other].1);
            }
            sizes[index] = (levels, fields);
        }
    }
    for (one, (levels, fields)) in pending.iter().zip(sizes) {
        let what = match (levels > MAX_LEVELS, fields > MAX_FIELDS) {
            (true, _) => format!("more than {MAX_LEVELS} levels of objects"),
            (_, true) => format!("more than {MAX_FIELDS} fields"),
            _ => continue,
        };
        let words =
            format!("`{}` reads {what}, with the derived fields below it", path(schema, one));
        report
            .at(Code::Derived, one.from.at, words)
            .hint("store a part of it, or let it read less");
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
