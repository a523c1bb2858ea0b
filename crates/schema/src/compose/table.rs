//! The table of sources: in come the merged types, out comes the [`Graph`].

use super::merge::{Merged, MergedField, MergedType};
use super::sharing::{Holding, Lost};
use super::subgraph::{SubField, Subgraph};
use crate::graph::{EntityKey, FieldInSource, Graph, GraphType, SourceId, TypeInSource};
use apollo_compiler::validation::Valid;
use apollo_compiler::{Name, Schema as Sdl};
use indexmap::IndexMap;

pub(crate) fn graph(subgraphs: &[Subgraph], merged: &Merged, api: Valid<Sdl>) -> Graph {
    let sources = subgraphs.iter().map(|subgraph| subgraph.source.clone()).collect();
    let with_fields = merged.types.iter().filter(|(_, found)| !found.fields.is_empty());
    let types =
        with_fields.map(|(name, found)| (name.clone(), type_of(subgraphs, merged, name, found)));
    Graph { sources, api, types: types.collect(), derived: IndexMap::new() }
}

fn id(source: usize) -> SourceId {
    SourceId(source as u32)
}

fn type_of(subgraphs: &[Subgraph], merged: &Merged, name: &Name, found: &MergedType) -> GraphType {
    let known = found.sources.iter().filter_map(|source| {
        let own = subgraphs[*source].types.get(name)?;
        let keys = own
            .keys
            .iter()
            .map(|key| EntityKey { fields: key.fields.clone(), resolvable: key.resolvable });
        let interface_object = own.interface_object.is_some();
        Some((id(*source), TypeInSource { keys: keys.collect(), interface_object }))
    });
    let fields = found.fields.iter().map(|(field_name, field)| {
        let held = held(subgraphs, merged, name, field_name, field);
        (field_name.clone(), held)
    });
    GraphType { sources: known.collect(), fields: fields.collect() }
}

fn held(
    subgraphs: &[Subgraph],
    merged: &Merged,
    parent: &Name,
    name: &Name,
    field: &MergedField,
) -> Vec<FieldInSource> {
    let holders = field.sources.iter().filter_map(|holding| {
        let own = declared(subgraphs, merged, parent, name, holding)?;
        Some(FieldInSource {
            source: id(holding.source),
            ty: own.ty.clone(),
            external: own.is_external(),
            overridden: is_overridden(holding),
            requires: own.requires.as_ref().map(|chosen| chosen.fields.clone()),
            provides: own.provides.as_ref().map(|chosen| chosen.fields.clone()),
        })
    });
    holders.collect()
}

/// While the label of an `@override` is off the field stays where it was, and labels are off until
/// somebody turns them on.
fn is_overridden(holding: &Holding) -> bool {
    holding.lost == Some(Lost::Always) || holding.label.is_some()
}

/// The declaration that a holder has of a field: its own, or that of the `@interfaceObject` that
/// stands for the type.
pub(crate) fn declared<'s>(
    subgraphs: &'s [Subgraph],
    merged: &Merged,
    parent: &Name,
    name: &Name,
    holding: &Holding,
) -> Option<&'s SubField> {
    let subgraph = &subgraphs[holding.source];
    if !holding.standing {
        return subgraph.field(parent, name);
    }
    let interfaces = merged.family.implements.get(parent)?;
    interfaces.iter().find_map(|interface| {
        let found = subgraph.types.get(interface)?;
        found.interface_object.and_then(|_| found.fields.get(name))
    })
}
