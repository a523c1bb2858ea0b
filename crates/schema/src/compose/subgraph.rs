//! A source as composition sees it: types by the names that they have in the graph, what
//! federation's directives say of them as values, and where each part stands in the text.

use std::sync::Arc;

use apollo_compiler::ast::{DirectiveDefinition, Type, Value};
use apollo_compiler::{Name, Node};
use indexmap::{IndexMap, IndexSet};

use super::selection::Named;
use super::text::{Span, Text};
use crate::graph::{FieldSet, GraphSource};

/// A source that has been read: its own rules hold.
#[derive(Clone, Debug)]
pub struct Subgraph {
    pub(crate) source: GraphSource,
    pub(crate) text: Text,
    pub(crate) types: IndexMap<Name, SubType>,
    pub(crate) directives: IndexMap<Name, Node<DirectiveDefinition>>,
}

impl Subgraph {
    /// The source as the graph will hold it.
    pub fn source(&self) -> &GraphSource {
        &self.source
    }

    pub(crate) fn field(&self, parent: &Name, field: &Name) -> Option<&SubField> {
        self.types.get(parent)?.fields.get(field)
    }
}

/// Kinds of types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TypeKind {
    Object,
    Interface,
    Union,
    Enum,
    Input,
    Scalar,
}

impl TypeKind {
    /// The word for it, with its article.
    pub(crate) fn words(self) -> &'static str {
        match self {
            TypeKind::Object => "an object type",
            TypeKind::Interface => "an interface",
            TypeKind::Union => "a union",
            TypeKind::Enum => "an enum",
            TypeKind::Input => "an input type",
            TypeKind::Scalar => "a scalar",
        }
    }

    /// Whether selections are made on it.
    pub(crate) fn is_composite(self) -> bool {
        matches!(self, TypeKind::Object | TypeKind::Interface | TypeKind::Union)
    }
}

/// A type; which of the maps are filled follows from the kind.
#[derive(Clone, Debug)]
pub(crate) struct SubType {
    pub(crate) kind: TypeKind,
    pub(crate) span: Span,
    /// Whether it is defined here, not only extended.
    pub(crate) defined: bool,
    pub(crate) description: Option<Node<str>>,
    pub(crate) marks: Marks,
    pub(crate) implements: IndexSet<Name>,
    pub(crate) keys: Vec<SubKey>,
    pub(crate) interface_object: Option<Span>,
    pub(crate) fields: IndexMap<Name, SubField>,
    /// Input fields.
    pub(crate) inputs: IndexMap<Name, SubInput>,
    pub(crate) values: IndexMap<Name, SubValue>,
    pub(crate) members: IndexMap<Name, Span>,
}

impl SubType {
    /// The kind that it has in the graph.
    pub(crate) fn graph_kind(&self) -> TypeKind {
        if self.interface_object.is_some() { TypeKind::Interface } else { self.kind }
    }

    /// The keys by which the source can be entered here.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &SubKey> {
        self.keys.iter().filter(|key| key.resolvable)
    }
}

/// One `@key`.
#[derive(Clone, Debug)]
pub(crate) struct SubKey {
    pub(crate) text: Arc<str>,
    pub(crate) fields: FieldSet,
    /// The fields that it names, at every depth.
    pub(crate) named: Vec<Named>,
    pub(crate) resolvable: bool,
    pub(crate) span: Span,
    /// Whether it names a field that another source has to give.
    pub(crate) has_external: bool,
}

/// A field of an object or interface.
#[derive(Clone, Debug)]
pub(crate) struct SubField {
    pub(crate) span: Span,
    pub(crate) description: Option<Node<str>>,
    pub(crate) ty: Type,
    pub(crate) arguments: IndexMap<Name, SubInput>,
    pub(crate) marks: Marks,
    pub(crate) external: Option<Span>,
    /// `@external`, but part of the key of an extension, and so answered here all the same.
    pub(crate) answered_key: bool,
    /// Provided below some field of this source.
    pub(crate) provided: bool,
    pub(crate) shareable: bool,
    pub(crate) over: Option<Override>,
    pub(crate) requires: Option<Chosen>,
    pub(crate) provides: Option<Chosen>,
}

impl SubField {
    /// Whether the source itself resolves the field, wherever it is reached.
    pub(crate) fn is_external(&self) -> bool {
        self.external.is_some() && !self.answered_key
    }
}

/// A field set and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    pub(crate) fields: FieldSet,
    pub(crate) text: Arc<str>,
    pub(crate) span: Span,
}

/// `@override`.
#[derive(Clone, Debug)]
pub(crate) struct Override {
    pub(crate) from: Arc<str>,
    pub(crate) label: Option<Arc<str>>,
    pub(crate) span: Span,
}

/// An argument or an input field.
#[derive(Clone, Debug)]
pub(crate) struct SubInput {
    pub(crate) span: Span,
    pub(crate) description: Option<Node<str>>,
    pub(crate) ty: Type,
    pub(crate) default: Option<Node<Value>>,
    pub(crate) marks: Marks,
}

impl SubInput {
    /// Whether it has to be given.
    pub(crate) fn is_required(&self) -> bool {
        self.ty.is_non_null() && self.default.is_none()
    }
}

/// A value of an enum.
#[derive(Clone, Debug)]
pub(crate) struct SubValue {
    pub(crate) span: Span,
    pub(crate) description: Option<Node<str>>,
    pub(crate) marks: Marks,
}

/// What directives say of any definition and the API passes on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    pub(crate) inaccessible: Option<Span>,
    pub(crate) tags: IndexSet<Arc<str>>,
    /// `@deprecated` with its reason.
    pub(crate) deprecated: Option<Arc<str>>,
    pub(crate) specified_by: Option<Arc<str>>,
    pub(crate) one_of: bool,
    /// `@cost` and `@listSize` under these names.
    pub(crate) costs: Vec<Node<apollo_compiler::ast::Directive>>,
}
