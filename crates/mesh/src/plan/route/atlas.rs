//! A graph as the planner looks at it: for each type who offers which field, and who answers by which
//! key. Made once a graph.
//!
//! An interface that a source has as an object (`@interfaceObject`) gives its fields to every type that
//! implements it: such an offer says under which name the source knows the type.

use std::collections::HashMap;
use std::sync::Arc;

use apollo_compiler::ast::{OperationType, Type};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{Name, Schema as Sdl};
use indexmap::{IndexMap, IndexSet};
use schema::graph::{FieldSet, FieldSetPart, Graph, GraphSource, SourceId};

/// The index of a graph.
pub(crate) struct Atlas {
    pub(crate) graph: Arc<Graph>,
    types: HashMap<Name, Known>,
    /// For each source the object types that an interface or a union stands for.
    possible: Vec<HashMap<Name, IndexSet<Name>>>,
}

/// A type.
#[derive(Default)]
struct Known {
    offers: IndexMap<Name, Vec<Offer>>,
    access: Vec<Access>,
}

/// A source that declares a field.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) source: usize,
    /// What the source calls the type that has the field.
    pub(super) on: Name,
    pub(super) ty: Type,
    pub(super) external: bool,
    pub(super) requires: Option<FieldSet>,
    pub(super) provides: Option<FieldSet>,
}

impl Offer {
    /// Whether the source answers the field wherever it knows the object.
    pub(super) fn is_plain(&self) -> bool {
        !self.external && self.requires.is_none()
    }
}

/// A source that answers objects of a type by a key.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) source: usize,
    /// What the source calls the type.
    pub(super) on: Name,
    /// The key; empty for a root type, which needs none.
    pub(super) key: FieldSet,
}

impl Atlas {
    pub(crate) fn new(graph: Arc<Graph>) -> Self {
        let possible = graph.sources.iter().map(possible).collect();
        let mut atlas = Atlas { types: HashMap::new(), possible, graph: graph.clone() };
        for name in graph.types.keys() {
            let known = atlas.known(name);
            atlas.types.insert(name.clone(), known);
        }
        atlas
    }

    fn known(&self, name: &Name) -> Known {
        let mut known = Known::default();
        let mut names = vec![name];
        if let Some(object) = self.graph.api.get_object(name) {
            names.extend(object.implements_interfaces.iter().map(|face| &face.name));
        }
        for (index, declared) in names.into_iter().enumerate() {
            let Some(found) = self.graph.types.get(declared) else { continue };
            for (field, sources) in &found.fields {
                let own = known.offers.entry(field.clone()).or_default();
                for offered in sources.iter().filter(|offered| !offered.overridden) {
                    let source = offered.source.0 as usize;
                    let Some(on) = self.name_in(source, name) else { continue };
                    // Of an interface only what a source has of it as an object.
                    if (index > 0 && on != *declared)
                        || own.iter().any(|offer| offer.source == source)
                    {
                        continue;
                    }
                    own.push(Offer {
                        source,
                        on,
                        ty: offered.ty.clone(),
                        external: offered.external,
                        requires: offered.requires.clone(),
                        provides: offered.provides.clone(),
                    });
                }
            }
            for (source, known_by) in &found.sources {
                let source = source.0 as usize;
                let Some(on) = self.name_in(source, name) else { continue };
                if index > 0 && on != *declared {
                    continue;
                }
                let keys = known_by.keys.iter().filter(|key| key.resolvable);
                known.access.extend(keys.map(|key| Access {
                    source,
                    on: on.clone(),
                    key: key.fields.clone(),
                }));
            }
        }
        known.offers.retain(|_, offers| !offers.is_empty());
        if self.root(OperationType::Query) == Some(name) {
            let sources = (0..self.graph.sources.len())
                .filter_map(|source| Some((source, self.root_in(source, OperationType::Query)?)));
            known.access.extend(sources.map(|(source, on)| Access {
                source,
                on: on.clone(),
                key: FieldSet::default(),
            }));
        }
        known
    }

    /// The name that a source has for a type of the graph.
    fn name_in(&self, source: usize, name: &Name) -> Option<Name> {
        let roots = [OperationType::Query, OperationType::Mutation, OperationType::Subscription];
        for operation in roots {
            if self.root(operation) == Some(name) {
                return self.root_in(source, operation).cloned();
            }
        }
        let sdl = &self.graph.sources.get(source)?.schema;
        if sdl.types.contains_key(name) {
            return Some(name.clone());
        }
        let object = self.graph.api.get_object(name)?;
        let mut faces = object.implements_interfaces.iter().map(|face| &face.name);
        faces.find(|face| self.is_face(source, face)).cloned()
    }

    /// Whether the source has an interface of the graph as an object.
    pub(super) fn is_face(&self, source: usize, name: &Name) -> bool {
        let known = self.graph.types.get(name);
        let known = known.and_then(|found| found.sources.get(&SourceId(source as u32)));
        known.is_some_and(|known| known.interface_object)
    }

    /// A root type of the graph.
    pub(super) fn root(&self, operation: OperationType) -> Option<&Name> {
        self.graph.api.root_operation(operation)
    }

    /// A root type of a source.
    pub(super) fn root_in(&self, source: usize, operation: OperationType) -> Option<&Name> {
        self.graph.sources.get(source)?.schema.root_operation(operation)
    }

    pub(super) fn offers(&self, type_name: &str, field: &str) -> &[Offer] {
        let known = self.types.get(type_name).and_then(|known| known.offers.get(field));
        known.map_or(&[], Vec::as_slice)
    }

    /// What one source offers of a field.
    pub(super) fn offer(&self, type_name: &str, field: &str, source: usize) -> Option<&Offer> {
        self.offers(type_name, field).iter().find(|offer| offer.source == source)
    }

    pub(super) fn access(&self, type_name: &str) -> &[Access] {
        self.types.get(type_name).map_or(&[], |known| known.access.as_slice())
    }

    pub(super) fn sdl(&self, source: usize) -> Option<&Sdl> {
        Some(self.graph.sources.get(source)?.schema.as_ref())
    }

    pub(super) fn source_name(&self, source: usize) -> &str {
        self.graph.sources.get(source).map_or("", |source| &source.name)
    }

    /// The object types that a type of a source stands for; itself when it is one.
    pub(super) fn possible(&self, source: usize, name: &Name) -> Vec<Name> {
        match self.possible.get(source).and_then(|possible| possible.get(name)) {
            Some(objects) => objects.iter().cloned().collect(),
            None => vec![name.clone()],
        }
    }

    /// Whether a type of a source is an interface or a union.
    pub(super) fn is_abstract_in(&self, source: usize, name: &Name) -> bool {
        self.possible.get(source).is_some_and(|possible| possible.contains_key(name))
    }

    /// Whether objects of a type are what a condition asks for.
    pub(super) fn applies(&self, condition: &Name, type_name: &Name) -> bool {
        condition == type_name || self.graph.api.is_subtype(condition, type_name)
    }

    /// Whether one source answers all of these fields of an object that it knows.
    pub(super) fn answers(&self, source: usize, type_name: &Name, set: &FieldSet) -> bool {
        set.0.iter().all(|part| match part {
            FieldSetPart::Field { name, .. } if name == "__typename" => true,
            FieldSetPart::Field { name, inner } => {
                let offer = self.offer(type_name, name, source);
                offer.filter(|offer| offer.is_plain()).is_some_and(|offer| {
                    self.answers_below(source, offer.ty.inner_named_type(), inner)
                })
            }
            FieldSetPart::On { type_name: condition, inner } => {
                !self.applies(condition, type_name) || self.answers(source, type_name, inner)
            }
        })
    }

    /// Likewise, of every object that a type of the source stands for.
    pub(super) fn answers_below(&self, source: usize, type_name: &Name, set: &FieldSet) -> bool {
        set.0.is_empty()
            || self.possible(source, type_name).iter().all(|ty| self.answers(source, ty, set))
    }
}

fn possible(source: &GraphSource) -> HashMap<Name, IndexSet<Name>> {
    let implementers = source.schema.implementers_map();
    let types = source.schema.types.iter();
    let found = types.filter_map(|(name, ty)| {
        let mut objects: Vec<Name> = match ty {
            ExtendedType::Union(union) => {
                union.members.iter().map(|member| member.name.clone()).collect()
            }
            ExtendedType::Interface(_) => {
                let found = implementers.get(name);
                found.map_or_else(Vec::new, |found| found.objects.iter().cloned().collect())
            }
            _ => return None,
        };
        objects.sort_unstable();
        Some((name.clone(), objects.into_iter().collect()))
    });
    found.collect()
}
