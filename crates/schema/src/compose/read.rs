//! Reads the SDL of one source: in comes its text, out comes a [`Subgraph`] whose own rules hold,
//! or everything that is wrong with it.
//!
//! ```text
//! text → parse → document without machinery → schema → types → check → Subgraph
//! ```
//!
//! A source may or may not spell out what federation adds to it (`_service`, `_entities`, `_Any`,
//! `FieldSet`, the directives' definitions); none of that is part of what it offers.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use apollo_compiler::ast::{
    Definition, Directive, Document, FieldDefinition, InputValueDefinition, OperationType, Type,
};
use apollo_compiler::parser::Parser;
use apollo_compiler::schema::{Component, ComponentOrigin, ExtendedType};
use apollo_compiler::{Name, Node, Schema as Sdl};
use indexmap::IndexMap;

use super::link::{Link, Word, link};
use super::report::Report;
use super::subgraph::{
    Marks, Override, SubField, SubInput, SubKey, SubType, SubValue, Subgraph, TypeKind,
};
use super::text::{SourceSdl, Span, Spot, Text};
use super::{check, speaks_federation};
use crate::compile::{parse, too_deep};
use crate::diagnostic::{Code, Diagnostics};
use crate::graph::{FieldSet, GraphSource};
use crate::load::MAX_FILE_BYTES;
use crate::rules;

mod directive;
mod machinery;
mod own;

use directive::{Placed, placed};

/// Reads one source.
///
/// # Errors
/// When the text is not SDL, or breaks a rule that concerns it alone.
pub fn read(source: &SourceSdl) -> Result<Subgraph, Diagnostics> {
    let text = Text::new(source.file.clone(), source.text.clone());
    read_text(source, text)
}

/// Reads a source whose places may lie elsewhere.
pub(super) fn read_text(source: &SourceSdl, text: Text) -> Result<Subgraph, Diagnostics> {
    let mut report = Report::new(vec![&text]);
    let parts = parts(source, &mut report);
    let found = report.finish();
    match parts {
        Some(parts) if !found.has_errors() => Ok(parts.with(text)),
        _ => Err(found),
    }
}

/// A subgraph without its text, which the report borrows while it is read.
struct Parts {
    source: GraphSource,
    types: IndexMap<Name, SubType>,
    directives: IndexMap<Name, Node<apollo_compiler::ast::DirectiveDefinition>>,
}

impl Parts {
    fn with(self, text: Text) -> Subgraph {
        let Parts { source, types, directives } = self;
        Subgraph { source, text, types, directives }
    }
}

fn parts(source: &SourceSdl, report: &mut Report<'_>) -> Option<Parts> {
    let mut document = document(source, report)?;
    let schema_directives = schema_directives(&document);
    let link = if speaks_federation(source.kind) {
        link(&schema_directives, report)
    } else {
        Link::newest()
    };
    machinery::remove(&mut document, &link, report);
    let defined = defined(&document);
    let mut builder = Sdl::builder().adopt_orphan_extensions().ignore_builtin_redefinitions();
    if !rules::defines(&document, "oneOf") {
        builder = builder.parse(rules::ONE_OF, "specification.graphql");
    }
    let schema = match builder.add_ast(&document).build() {
        Ok(schema) => schema,
        Err(failed) => {
            own::faults(&failed.errors, &link, report);
            return None;
        }
    };
    let roots = roots(&schema, report);
    let mut reader = Reader { link: &link, report, roots: &roots, defined: &defined };
    let mut types = reader.types(&schema);
    reader.composed(&schema_directives, &schema);
    machinery::remove_fields(&mut types);
    check::check(&mut types, &link, &source.name, report);
    let directives = schema
        .directive_definitions
        .iter()
        .filter(|(name, _)| link.word(name).is_none())
        .map(|(name, definition)| (name.clone(), definition.clone()))
        .collect();
    let schema = own::valid(schema, &link, report)?;
    let source = GraphSource {
        name: source.name.clone(),
        kind: source.kind,
        url: source.url.clone(),
        owner: source.owner.clone(),
        schema: Arc::new(schema),
    };
    Some(Parts { source, types, directives })
}

fn document(source: &SourceSdl, report: &mut Report<'_>) -> Option<Document> {
    let whole = Spot { source: 0, span: Span::default() };
    if source.text.len() as u64 > MAX_FILE_BYTES {
        let most = base::size::format_bytes(MAX_FILE_BYTES);
        let words = format!("the SDL of `{}` has more than {most}", source.name);
        report.add(Code::Limit, whole, Vec::new(), words).hint("split the service");
        return None;
    }
    if let Some(at) = too_deep(&source.text) {
        let span = Span { start: at, end: at + 1 };
        let words = "brackets nest too deeply";
        let spot = Spot { source: 0, span };
        report
            .add(Code::Limit, spot, Vec::new(), words)
            .hint("look for a bracket that is not closed");
        return None;
    }
    let failed = match Parser::new().parse_ast(source.text.as_ref(), source.file.as_ref()) {
        Ok(document) => return Some(document),
        Err(failed) => failed,
    };
    for error in failed.errors.iter().take(10) {
        let span = apollo_compiler::diagnostic::ToCliReport::location(error.error);
        let spot = Spot { source: 0, span: span.into() };
        let words = parse::words(&error.error.to_string());
        report.add(Code::Syntax, spot, Vec::new(), words).hint("the fault is here or just before");
    }
    None
}

fn schema_directives(document: &Document) -> Vec<(Node<Directive>, Span)> {
    let lists = document.definitions.iter().filter_map(|definition| match definition {
        Definition::SchemaDefinition(schema) => Some(&schema.directives),
        Definition::SchemaExtension(schema) => Some(&schema.directives),
        _ => None,
    });
    lists
        .flat_map(|list| list.iter())
        .map(|directive| (directive.clone(), directive.location().into()))
        .collect()
}

/// The types that are defined, not only extended.
fn defined(document: &Document) -> HashSet<Name> {
    let definitions = document.definitions.iter();
    let definitions = definitions.filter(|definition| !definition.is_extension_definition());
    definitions.filter_map(|definition| definition.name().cloned()).collect()
}

/// What each root type is called in the graph.
fn roots(schema: &Sdl, report: &mut Report<'_>) -> HashMap<Name, Name> {
    let mut roots = HashMap::new();
    for (operation, own) in schema.schema_definition.iter_root_operations() {
        let usual = operation.default_type_name();
        if own.name == usual {
            continue;
        }
        if let Some(other) = schema.types.get(&usual) {
            let code = match operation {
                OperationType::Query => Code::RootQueryUsed,
                OperationType::Mutation => Code::RootMutationUsed,
                OperationType::Subscription => Code::RootSubscriptionUsed,
            };
            let words = format!("`{usual}` is a type, but the root is `{}`", own.name);
            let spot = Spot { source: 0, span: other.name().location().into() };
            let root = Spot { source: 0, span: own.name.location().into() };
            let also = vec![(root, format!("the root of {}", plural(operation)))];
            report
                .add(code, spot, also, words)
                .hint(format!("give the type `{usual}` another name"));
        }
        roots.insert(own.name.clone(), usual);
    }
    roots
}

fn plural(operation: OperationType) -> &'static str {
    match operation {
        OperationType::Query => "queries",
        OperationType::Mutation => "mutations",
        OperationType::Subscription => "subscriptions",
    }
}

pub(super) struct Reader<'r, 'g> {
    link: &'r Link,
    report: &'r mut Report<'g>,
    roots: &'r HashMap<Name, Name>,
    defined: &'r HashSet<Name>,
}

/// Directives of one definition, each with what it means.
type Found = Vec<(Word, Node<Directive>, ComponentOrigin)>;

impl Reader<'_, '_> {
    fn graph_name(&self, own: &Name) -> Name {
        self.roots.get(own).unwrap_or(own).clone()
    }

    fn graph_type(&self, ty: &Type) -> Type {
        match ty {
            Type::Named(name) => Type::Named(self.graph_name(name)),
            Type::NonNullNamed(name) => Type::NonNullNamed(self.graph_name(name)),
            Type::List(inner) => Type::List(Box::new(self.graph_type(inner))),
            Type::NonNullList(inner) => Type::NonNullList(Box::new(self.graph_type(inner))),
        }
    }

    fn types(&mut self, schema: &Sdl) -> IndexMap<Name, SubType> {
        let own = schema.types.iter().filter(|(_, found)| !found.is_built_in());
        own.map(|(name, found)| (self.graph_name(name), self.type_of(name, found))).collect()
    }

    fn type_of(&mut self, name: &Name, found: &ExtendedType) -> SubType {
        let at = placed_type(found);
        let directives: Found = found
            .directives()
            .iter()
            .filter_map(|d| Some((self.link.word(&d.name)?, d.node.clone(), d.origin.clone())))
            .collect();
        self.placed(&directives, at);
        let marks = self.marks(found.directives().iter().map(|d| &d.node));
        let mut made = SubType {
            kind: kind(found),
            span: found.name().location().into(),
            defined: self.defined.contains(name)
                && !directives.iter().any(|(word, ..)| *word == Word::Extends),
            description: found.description().cloned(),
            marks,
            implements: Default::default(),
            keys: Vec::new(),
            interface_object: span_of(&directives, Word::InterfaceObject),
            fields: IndexMap::new(),
            inputs: IndexMap::new(),
            values: IndexMap::new(),
            members: IndexMap::new(),
        };
        made.keys = self.keys(&directives);
        self.body(&mut made, found, &directives);
        made
    }

    fn body(&mut self, made: &mut SubType, found: &ExtendedType, directives: &Found) {
        match found {
            ExtendedType::Object(object) => {
                let interfaces = &object.implements_interfaces;
                made.implements = interfaces.iter().map(|n| self.graph_name(&n.name)).collect();
                made.fields = self.fields(&object.fields, directives);
            }
            ExtendedType::Interface(interface) => {
                let interfaces = &interface.implements_interfaces;
                made.implements = interfaces.iter().map(|n| self.graph_name(&n.name)).collect();
                made.fields = self.fields(&interface.fields, directives);
            }
            ExtendedType::Union(union) => {
                let members = union.members.iter();
                let member =
                    |n: &apollo_compiler::schema::ComponentName| Span::from(n.name.location());
                made.members = members.map(|n| (self.graph_name(&n.name), member(n))).collect();
            }
            ExtendedType::Enum(enumeration) => {
                for (name, value) in &enumeration.values {
                    let value = self.value(value);
                    made.values.insert(name.clone(), value);
                }
            }
            ExtendedType::InputObject(input) => {
                for (name, field) in &input.fields {
                    let input = self.input(field, Placed::InputField);
                    made.inputs.insert(name.clone(), input);
                }
            }
            ExtendedType::Scalar(_) => {}
        }
    }

    fn value(&mut self, value: &Component<apollo_compiler::ast::EnumValueDefinition>) -> SubValue {
        let found = self.words(value.directives.iter());
        self.placed(&found, Placed::EnumValue);
        SubValue {
            span: value.value.location().into(),
            description: value.description.clone(),
            marks: self.marks(value.directives.iter()),
        }
    }

    fn words<'d>(&self, directives: impl Iterator<Item = &'d Node<Directive>>) -> Found {
        directives
            .filter_map(|d| {
                Some((self.link.word(&d.name)?, d.clone(), ComponentOrigin::Definition))
            })
            .collect()
    }

    fn input(&mut self, input: &Node<InputValueDefinition>, at: Placed) -> SubInput {
        let found = self.words(input.directives.iter());
        self.placed(&found, at);
        SubInput {
            span: input.name.location().into(),
            description: input.description.clone(),
            ty: self.graph_type(&input.ty),
            default: input.default_value.clone(),
            marks: self.marks(input.directives.iter()),
        }
    }

    fn keys(&mut self, directives: &Found) -> Vec<SubKey> {
        let mut keys = Vec::new();
        for (word, directive, _) in directives {
            if *word != Word::Key {
                continue;
            }
            let resolvable = directive.specified_argument_by_name("resolvable");
            let code = Code::KeyInvalidFieldsType;
            let Some(text) = self.field_set(directive, "@key", code) else { continue };
            keys.push(SubKey {
                text,
                fields: FieldSet::default(),
                named: Vec::new(),
                resolvable: resolvable.and_then(|value| value.to_bool()).unwrap_or(true),
                span: directive.location().into(),
                has_external: false,
            });
        }
        keys
    }

    /// The text of `fields:`; federation 1 lets it be a list of names.
    fn field_set(
        &mut self,
        directive: &Node<Directive>,
        name: &str,
        code: Code,
    ) -> Option<Arc<str>> {
        let value = directive.specified_argument_by_name("fields")?;
        if let Some(text) = value.as_str() {
            return Some(text.into());
        }
        let list = value.as_list().filter(|_| self.link.is_first());
        let names: Option<Vec<&str>> =
            list.and_then(|items| items.iter().map(|item| item.as_str()).collect());
        if let Some(names) = names {
            return Some(names.join(" ").into());
        }
        let spot = Spot { source: 0, span: directive.location().into() };
        let words = format!("`fields` of `{name}` is no string");
        self.report
            .add(code, spot, Vec::new(), words)
            .hint(format!("write `{name}(fields: \"id\")`"));
        None
    }

    fn fields(
        &mut self,
        fields: &apollo_compiler::collections::IndexMap<Name, Component<FieldDefinition>>,
        of_type: &Found,
    ) -> IndexMap<Name, SubField> {
        let mut made = IndexMap::new();
        for (name, field) in fields {
            // `@shareable` and `@external` on a type speak of the fields that stand beside them.
            let inherited = |word: Word| {
                let mut same = of_type
                    .iter()
                    .filter(|(found, _, origin)| *found == word && *origin == field.origin);
                same.next().map(|(_, directive, _)| Span::from(directive.location()))
            };
            let shareable = inherited(Word::Shareable).is_some();
            let external = inherited(Word::External);
            let mut read = self.field(field);
            read.shareable |= shareable;
            read.external = read.external.or(external);
            made.insert(name.clone(), read);
        }
        made
    }

    fn field(&mut self, field: &FieldDefinition) -> SubField {
        let found = self.words(field.directives.iter());
        self.placed(&found, Placed::Field);
        let mut arguments = IndexMap::new();
        for argument in &field.arguments {
            let input = self.input(argument, Placed::Argument);
            arguments.insert(argument.name.clone(), input);
        }
        SubField {
            span: field.name.location().into(),
            description: field.description.clone(),
            ty: self.graph_type(&field.ty),
            arguments,
            marks: self.marks(field.directives.iter()),
            external: span_of(&found, Word::External),
            answered_key: false,
            provided: false,
            shareable: span_of(&found, Word::Shareable).is_some(),
            over: self.over(&found),
            requires: self.chosen(&found, Word::Requires),
            provides: self.chosen(&found, Word::Provides),
        }
    }

    fn chosen(&mut self, found: &Found, word: Word) -> Option<super::subgraph::Chosen> {
        let (_, directive, _) = found.iter().find(|(other, ..)| *other == word)?;
        let (name, code) = match word {
            Word::Requires => ("@requires", Code::RequiresInvalidFieldsType),
            _ => ("@provides", Code::ProvidesInvalidFieldsType),
        };
        let text = self.field_set(directive, name, code)?;
        let span = directive.location().into();
        Some(super::subgraph::Chosen { fields: FieldSet::default(), text, span })
    }

    fn over(&mut self, found: &Found) -> Option<Override> {
        let (_, directive, _) = found.iter().find(|(word, ..)| *word == Word::Override)?;
        let text = |name: &str| {
            directive.specified_argument_by_name(name).and_then(|value| value.as_str())
        };
        let label = text("label").map(Arc::from);
        let span = Span::from(directive.location());
        if let Some(label) = &label {
            self.label(label, span);
        }
        Some(Override { from: text("from")?.into(), label, span })
    }

    fn label(&mut self, label: &str, span: Span) {
        let spot = Spot { source: 0, span };
        if self.link.minor.is_some_and(|minor| minor < 7) {
            let words = "`@override(label:)` came with federation v2.7";
            self.report
                .add(Code::InvalidGraphql, spot, Vec::new(), words)
                .hint("link v2.7 or leave the label out");
        } else if !is_label(label) {
            let words = format!("`{label}` is no label of an `@override`");
            self.report
                .add(Code::OverrideLabelInvalid, spot, Vec::new(), words)
                .hint("write a name, or `percent(10)`");
        }
    }

    fn placed(&mut self, found: &Found, at: Placed) {
        for (index, (word, directive, _)) in found.iter().enumerate() {
            let again = found[..index].iter().any(|(other, ..)| other == word);
            placed(*word, directive, at, again, self.report);
        }
    }

    fn marks<'d>(&mut self, directives: impl Iterator<Item = &'d Node<Directive>>) -> Marks {
        let mut marks = Marks::default();
        for directive in directives {
            let text = |name: &str| {
                directive.specified_argument_by_name(name).and_then(|value| value.as_str())
            };
            match (self.link.word(&directive.name), directive.name.as_str()) {
                (Some(Word::Inaccessible), _) => {
                    marks.inaccessible.get_or_insert(directive.location().into());
                }
                (Some(Word::Tag), _) => marks.tags.extend(text("name").map(Arc::from)),
                (Some(Word::Cost | Word::ListSize), _) => marks.costs.push(directive.clone()),
                (None, "deprecated") => {
                    let reason = text("reason").unwrap_or("No longer supported");
                    marks.deprecated.get_or_insert(reason.into());
                }
                (None, "specifiedBy") => marks.specified_by = text("url").map(Arc::from),
                (None, "oneOf") => marks.one_of = true,
                _ => {}
            }
        }
        marks
    }

    /// `@composeDirective` names a directive that is defined and linked.
    fn composed(&mut self, directives: &[(Node<Directive>, Span)], schema: &Sdl) {
        for (directive, span) in directives {
            if self.link.word(&directive.name) != Some(Word::ComposeDirective) {
                continue;
            }
            let name = directive.specified_argument_by_name("name");
            let name = name.and_then(|value| value.as_str()).unwrap_or("");
            let bare = name.strip_prefix('@').unwrap_or("");
            let defined = schema.directive_definitions.contains_key(bare);
            if defined && self.link.custom.iter().any(|custom| custom == bare) {
                continue;
            }
            let words = format!("`{name}` is no directive that this source defines and links");
            let spot = Spot { source: 0, span: *span };
            self.report
                .add(Code::DirectiveCompositionError, spot, Vec::new(), words)
                .hint("define the directive, and import it by `@link` of its specification");
        }
    }
}

fn is_label(label: &str) -> bool {
    let percent = label.strip_prefix("percent(").and_then(|rest| rest.strip_suffix(')'));
    if let Some(number) = percent {
        return number.parse::<f64>().is_ok_and(|number| (0.0..=100.0).contains(&number));
    }
    let rest = |c: char| c.is_ascii_alphanumeric() || "_-:./".contains(c);
    label.starts_with(|c: char| c.is_ascii_alphabetic()) && label.chars().all(rest)
}

fn span_of(found: &Found, word: Word) -> Option<Span> {
    let directive = found.iter().find(|(other, ..)| *other == word);
    directive.map(|(_, directive, _)| directive.location().into())
}

fn kind(found: &ExtendedType) -> TypeKind {
    match found {
        ExtendedType::Scalar(_) => TypeKind::Scalar,
        ExtendedType::Object(_) => TypeKind::Object,
        ExtendedType::Interface(_) => TypeKind::Interface,
        ExtendedType::Union(_) => TypeKind::Union,
        ExtendedType::Enum(_) => TypeKind::Enum,
        ExtendedType::InputObject(_) => TypeKind::Input,
    }
}

fn placed_type(found: &ExtendedType) -> Placed {
    match found {
        ExtendedType::Scalar(_) => Placed::Scalar,
        ExtendedType::Object(_) => Placed::Object,
        ExtendedType::Interface(_) => Placed::Interface,
        ExtendedType::Union(_) => Placed::Union,
        ExtendedType::Enum(_) => Placed::Enum,
        ExtendedType::InputObject(_) => Placed::Input,
    }
}
