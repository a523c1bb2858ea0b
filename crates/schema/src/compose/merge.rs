//! Merges the types of all sources: in come subgraphs whose own rules hold, out comes one set of
//! types, in which each field knows the sources that declare it, and every disagreement with both
//! places.
//!
//! What a client reads is merged so that every source's answer fits (the wider type, all values of
//! an enum), what a client writes so that every source understands it (the narrower type, only the
//! arguments, input fields and values that all have).

mod enumeration;
mod field;
mod input;
mod interface;

use std::collections::{HashMap, HashSet};

use apollo_compiler::ast::{DirectiveDefinition, Type};
use apollo_compiler::{Name, Node};
use indexmap::{IndexMap, IndexSet};

pub(crate) use field::Said;

use super::combine::{MergedMarks, description, marks};
use super::report::{Report, listed};
use super::sharing::Holding;
use super::subgraph::{SubField, SubType, Subgraph, TypeKind};
use super::text::Spot;
use crate::diagnostic::Code;

/// The types of the graph, hidden ones included.
#[derive(Clone, Debug)]
pub(crate) struct Merged {
    pub(crate) types: IndexMap<Name, MergedType>,
    /// Directives that documents may use in every source alike.
    pub(crate) directives: Vec<Node<DirectiveDefinition>>,
    pub(crate) family: Family,
}

/// A type of the graph; which maps are filled follows from its kind.
#[derive(Clone, Debug)]
pub(crate) struct MergedType {
    pub(crate) kind: TypeKind,
    /// The sources that know it.
    pub(crate) sources: Vec<usize>,
    pub(crate) description: Option<Node<str>>,
    pub(crate) marks: MergedMarks,
    pub(crate) implements: IndexSet<Name>,
    pub(crate) fields: IndexMap<Name, MergedField>,
    pub(crate) inputs: IndexMap<Name, MergedInput>,
    pub(crate) values: IndexMap<Name, MergedValue>,
    pub(crate) members: IndexSet<Name>,
}

/// A field of the graph.
#[derive(Clone, Debug)]
pub(crate) struct MergedField {
    pub(crate) spot: Spot,
    pub(crate) description: Option<Node<str>>,
    pub(crate) ty: Type,
    pub(crate) arguments: IndexMap<Name, MergedInput>,
    pub(crate) marks: MergedMarks,
    pub(crate) sources: Vec<Holding>,
}

/// An argument or input field of the graph.
#[derive(Clone, Debug)]
pub(crate) struct MergedInput {
    pub(crate) spot: Spot,
    pub(crate) description: Option<Node<str>>,
    pub(crate) ty: Type,
    pub(crate) default: Option<Node<apollo_compiler::ast::Value>>,
    pub(crate) marks: MergedMarks,
}

/// A value of an enum of the graph.
#[derive(Clone, Debug)]
pub(crate) struct MergedValue {
    pub(crate) description: Option<Node<str>>,
    pub(crate) marks: MergedMarks,
}

/// Which types stand for which: interfaces and unions over all sources.
#[derive(Clone, Debug, Default)]
pub(crate) struct Family {
    /// Interfaces of each object and interface.
    pub(crate) implements: HashMap<Name, IndexSet<Name>>,
    /// Members of each union.
    pub(crate) members: HashMap<Name, IndexSet<Name>>,
}

impl Family {
    fn of(subgraphs: &[Subgraph]) -> Self {
        let mut family = Family::default();
        for (name, found) in subgraphs.iter().flat_map(|subgraph| &subgraph.types) {
            if !found.implements.is_empty() {
                let known = family.implements.entry(name.clone()).or_default();
                known.extend(found.implements.iter().cloned());
            }
            if !found.members.is_empty() {
                let known = family.members.entry(name.clone()).or_default();
                known.extend(found.members.keys().cloned());
            }
        }
        family
    }

    /// Whether an object or interface stands for an interface or union.
    pub(crate) fn is_subtype(&self, narrow: &Name, wide: &Name) -> bool {
        self.implements.get(narrow).is_some_and(|all| all.contains(wide))
            || self.members.get(wide).is_some_and(|all| all.contains(narrow))
    }
}

/// Merges all types.
pub(crate) fn merge(subgraphs: &[Subgraph], report: &mut Report<'_>) -> Merged {
    let mut merger = Merger {
        subgraphs,
        family: Family::of(subgraphs),
        names: subgraphs.iter().map(|s| s.source.name.to_string()).collect(),
        report,
    };
    let mut types = IndexMap::new();
    for (name, sources) in merger.knowing() {
        if let Some(kind) = merger.kind(&name, &sources) {
            types.insert(name.clone(), merger.one(&name, kind, sources));
        }
    }
    interface::check(&mut merger, &types);
    enumeration::merge(&mut merger, &mut types);
    merger.no_queries(&types);
    let directives = merger.directives();
    let family = merger.family;
    Merged { types, directives, family }
}

pub(crate) struct Merger<'m, 'g> {
    pub(crate) subgraphs: &'m [Subgraph],
    pub(crate) family: Family,
    pub(crate) names: Vec<String>,
    pub(crate) report: &'m mut Report<'g>,
}

impl<'m> Merger<'m, '_> {
    /// Names of types in the order in which they are first seen, with the sources that know them.
    fn knowing(&self) -> IndexMap<Name, Vec<usize>> {
        let mut knowing: IndexMap<Name, Vec<usize>> = IndexMap::new();
        for (source, subgraph) in self.subgraphs.iter().enumerate() {
            for name in subgraph.types.keys() {
                knowing.entry(name.clone()).or_default().push(source);
            }
        }
        knowing
    }

    pub(crate) fn sub(&self, source: usize, name: &Name) -> &'m SubType {
        &self.subgraphs[source].types[name]
    }

    pub(crate) fn spot(&self, source: usize, name: &Name) -> Spot {
        Spot { source, span: self.sub(source, name).span }
    }

    /// The one kind that a type has everywhere, if somebody defines it.
    fn kind(&mut self, name: &Name, sources: &[usize]) -> Option<TypeKind> {
        let first = sources[0];
        let kind = self.sub(first, name).graph_kind();
        let other = sources.iter().find(|other| self.sub(**other, name).graph_kind() != kind);
        if let Some(&other) = other {
            let theirs = self.sub(other, name).graph_kind();
            let (a, b) = (&self.names[first], &self.names[other]);
            let words =
                format!("`{name}` is {} in `{a}`, but {} in `{b}`", kind.words(), theirs.words());
            let also = vec![(self.spot(other, name), format!("{} here", theirs.words()))];
            self.report
                .add(Code::TypeKindMismatch, self.spot(first, name), also, words)
                .hint("give one of them another name");
            return None;
        }
        let is_root = ["Query", "Mutation", "Subscription"].contains(&name.as_str());
        if !is_root && !sources.iter().any(|source| self.sub(*source, name).defined) {
            let extending = listed(sources.iter().map(|source| &self.names[*source]));
            let words = format!("`{name}` is only extended, by {extending}, and nowhere defined");
            let others = sources[1..].iter();
            let also = others.map(|s| (self.spot(*s, name), "extended here too".to_owned()));
            let also = also.collect();
            self.report
                .add(Code::ExtensionWithNoBase, self.spot(first, name), also, words)
                .hint(format!("define `type {name}` in one source"));
        }
        Some(kind)
    }

    fn one(&mut self, name: &Name, kind: TypeKind, sources: Vec<usize>) -> MergedType {
        let all = || sources.iter().map(|source| (*source, self.sub(*source, name)));
        let mut merged = MergedType {
            kind,
            description: description(all().map(|(_, found)| found.description.as_ref())),
            marks: marks(all().map(|(source, found)| (source, &found.marks))),
            implements: self.family.implements.get(name).cloned().unwrap_or_default(),
            fields: IndexMap::new(),
            inputs: IndexMap::new(),
            values: IndexMap::new(),
            members: self.family.members.get(name).cloned().unwrap_or_default(),
            sources,
        };
        match kind {
            TypeKind::Object | TypeKind::Interface => field::merge(self, name, &mut merged),
            TypeKind::Input => input::merge(self, name, &mut merged),
            TypeKind::Enum | TypeKind::Union | TypeKind::Scalar => {}
        }
        merged
    }

    /// A field of a type as a source gives it, directly or as a field of an `@interfaceObject` that
    /// stands for the type.
    fn field(&self, source: usize, parent: &Name, field: &Name) -> Option<&'m SubField> {
        let subgraph = &self.subgraphs[source];
        if subgraph.types.contains_key(parent) {
            return subgraph.field(parent, field);
        }
        let interfaces = self.family.implements.get(parent)?;
        interfaces.iter().find_map(|interface| {
            let found = subgraph.types.get(interface)?;
            found.interface_object.and_then(|_| found.fields.get(field))
        })
    }

    /// The sources whose `@interfaceObject` stands for a type that they do not know.
    fn standing(&self, parent: &Name) -> Vec<usize> {
        let Some(interfaces) = self.family.implements.get(parent) else { return Vec::new() };
        let stands = |subgraph: &Subgraph| {
            !subgraph.types.contains_key(parent)
                && interfaces.iter().any(|interface| {
                    subgraph.types.get(interface).is_some_and(|t| t.interface_object.is_some())
                })
        };
        let sources = self.subgraphs.iter().enumerate();
        sources.filter(|(_, subgraph)| stands(subgraph)).map(|(source, _)| source).collect()
    }

    fn no_queries(&mut self, types: &IndexMap<Name, MergedType>) {
        if types.get("Query").is_some_and(|query| !query.fields.is_empty())
            || self.subgraphs.is_empty()
        {
            return;
        }
        let spot = Spot { source: 0, span: Default::default() };
        self.report
            .add(Code::NoQueries, spot, Vec::new(), "no source has a field of `Query`")
            .hint("give one of them a field of `Query`");
    }

    /// Directives of documents: those that every source defines, in the places that all allow.
    fn directives(&self) -> Vec<Node<DirectiveDefinition>> {
        let Some((first, others)) = self.subgraphs.split_first() else { return Vec::new() };
        let specified: HashSet<&str> =
            ["skip", "include", "deprecated", "specifiedBy", "oneOf", "defer", "stream"].into();
        let own = first.directives.values().filter(|d| !specified.contains(d.name.as_str()));
        own.filter_map(|definition| {
            let mut locations = definition.locations.clone();
            locations.retain(|location| is_executable(location.name()));
            for other in others {
                let other = other.directives.get(&definition.name)?;
                locations.retain(|location| other.locations.contains(location));
            }
            if locations.is_empty() {
                return None;
            }
            let mut kept = definition.as_ref().clone();
            kept.repeatable &= others.iter().all(|o| o.directives[&definition.name].repeatable);
            kept.arguments.retain(|argument| {
                others.iter().all(|other| {
                    let other = &other.directives[&definition.name];
                    other.argument_by_name(&argument.name).is_some_and(|o| o.ty == argument.ty)
                })
            });
            kept.locations = locations;
            Some(Node::new(kept))
        })
        .collect()
    }
}

fn is_executable(location: &str) -> bool {
    const PLACES: [&str; 8] = [
        "QUERY",
        "MUTATION",
        "SUBSCRIPTION",
        "FIELD",
        "FRAGMENT_DEFINITION",
        "FRAGMENT_SPREAD",
        "INLINE_FRAGMENT",
        "VARIABLE_DEFINITION",
    ];
    PLACES.contains(&location)
}
