//! The composed graph: what clients see, and which source answers which field.
//!
//! ```text
//! SDL of each source → read → Subgraph → compose → Graph
//! ```
//!
//! In: the SDL of several sources. Out: one [`Graph`], or everything that keeps them from being one,
//! each with both places. The words are Apollo Federation's (`@key @requires @provides @external
//! @override @shareable @inaccessible @interfaceObject`), which the Composite Schemas specification
//! maps onto. Not here: choosing sources for an operation, calling them (`mesh`).

use std::sync::Arc;

use apollo_compiler::ast::Type;
use apollo_compiler::validation::Valid;
use apollo_compiler::{Name, Schema as Sdl};
use base::Team;
use indexmap::IndexMap;

use crate::model::Derived;

/// What the tables of the project are called among the sources.
pub const TABLES: &str = "lake";

/// Position of a source in [`Graph::sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(pub u32);

/// A graph of several sources.
#[derive(Clone, Debug)]
pub struct Graph {
    /// The sources, in the order in which they were given.
    pub sources: Vec<GraphSource>,
    /// What clients see.
    pub api: Valid<Sdl>,
    /// Where object and interface types and their fields come from, by name; the root types under
    /// the names that they have in `api`.
    pub types: IndexMap<Name, GraphType>,
    /// Fields that no source gives: they are computed from what several give. By type and field.
    pub derived: IndexMap<(Name, Name), Arc<Derived>>,
}

/// One source of a graph.
#[derive(Clone, Debug)]
pub struct GraphSource {
    /// `@source(name:)`.
    pub name: Arc<str>,
    /// What it speaks.
    pub kind: SourceKind,
    /// Where it is reached.
    pub url: Arc<str>,
    /// Who owns the module that declares it.
    pub owner: Team,
    /// Its own schema, without federation's machinery; names of root types are its own.
    pub schema: Arc<Valid<Sdl>>,
}

/// What a source speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceKind {
    /// GraphQL over HTTP; a federated subgraph when it has entities.
    GraphQl,
    /// HTTP with JSON.
    Rest,
    /// gRPC.
    Grpc,
    /// Tables of a Postgres database.
    Postgres,
    /// The tables of this project.
    Lake,
}

impl SourceKind {
    /// As the language writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            SourceKind::GraphQl => "GRAPHQL",
            SourceKind::Rest => "REST",
            SourceKind::Grpc => "GRPC",
            SourceKind::Postgres => "POSTGRES",
            SourceKind::Lake => "LAKE",
        }
    }
}

/// An object or interface type.
#[derive(Clone, Debug, Default)]
pub struct GraphType {
    /// The sources that know the type.
    pub sources: IndexMap<SourceId, TypeInSource>,
    /// For each field the sources that declare it.
    pub fields: IndexMap<Name, Vec<FieldInSource>>,
}

/// A type as one source knows it.
#[derive(Clone, Debug, Default)]
pub struct TypeInSource {
    /// `@key`s.
    pub keys: Vec<EntityKey>,
    /// `@interfaceObject`: an object here that is an interface in the graph.
    pub interface_object: bool,
}

/// One `@key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityKey {
    /// Its fields.
    pub fields: FieldSet,
    /// Whether the source answers `_entities` by it.
    pub resolvable: bool,
}

/// A field as one source declares it.
#[derive(Clone, Debug)]
pub struct FieldInSource {
    /// The source.
    pub source: SourceId,
    /// The type that the source declares.
    pub ty: Type,
    /// `@external`, and not a part of a key that the source answers all the same: reachable here only
    /// below a field that `@provides` it.
    pub external: bool,
    /// `@override(from:)` of another source took the field away.
    pub overridden: bool,
    /// `@requires`.
    pub requires: Option<FieldSet>,
    /// `@provides`.
    pub provides: Option<FieldSet>,
}

/// Fields of a type, as `@key`, `@requires` and `@provides` name them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct FieldSet(pub Vec<FieldSetPart>);

/// One part of a [`FieldSet`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FieldSetPart {
    /// A field.
    Field {
        /// The name.
        name: Name,
        /// What is chosen of its value; nothing of a scalar.
        inner: FieldSet,
    },
    /// An inline fragment.
    On {
        /// Its type condition.
        type_name: Name,
        /// What is chosen.
        inner: FieldSet,
    },
}
