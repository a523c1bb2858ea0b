//! Which service stands behind a change of the composed API.
//!
//! In: two schemas and their changes. Out: for a coordinate of the API the change of the service
//! that changed there: one that declares it newly, otherwise, or no more. Not here: the coordinates
//! of tables.

use std::collections::{BTreeMap, BTreeSet};

use apollo_compiler::Node;
use apollo_compiler::ast::{Definition, OperationType};

use super::Laid;
use crate::compile::sdl;
use crate::diff::{ApiChange, Change, ChangeKind, WireEffect};
use crate::model::{Schema, ServiceModule};

/// What each changed service changed, and what of it callers see.
pub(super) struct Services {
    changed: Vec<Changed>,
}

struct Changed {
    /// The position of its change.
    position: usize,
    /// Coordinates `Type`, `Type.member` and `@directive`.
    coordinates: BTreeSet<String>,
    /// What callers see.
    seen: Vec<ApiChange>,
}

impl Services {
    /// The services that come, go, or change their SDL.
    pub(super) fn of(old: &Schema, new: &Schema, changes: &[Change]) -> Services {
        use ChangeKind::{SourceAdded, SourceRemoved, SourceSdl};
        let changed = changes.iter().enumerate().filter_map(|(position, change)| {
            let name = change.member_name()?;
            let about_sdl = matches!(change.kind, SourceAdded | SourceRemoved | SourceSdl);
            about_sdl.then(|| Changed {
                position,
                coordinates: difference(old.service_named(name), new.service_named(name)),
                seen: Vec::new(),
            })
        });
        Services { changed: changed.collect() }
    }

    /// Whether a service changed exactly this member, type or directive; then it has the change.
    pub(super) fn take(&mut self, change: &ApiChange) -> bool {
        let mut parts = change.path.split('.');
        let first = parts.next().unwrap_or_default();
        let member = parts.next().filter(|member| !member.starts_with('@'));
        match member.filter(|_| !first.starts_with('@')) {
            Some(member) => self.give(&format!("{first}.{member}"), change),
            None => self.give(first, change),
        }
    }

    /// Whether a service changed anything of this type; then it has the change.
    pub(super) fn take_of_type(&mut self, change: &ApiChange) -> bool {
        self.give(change.path.split('.').next().unwrap_or_default(), change)
    }

    fn give(&mut self, coordinate: &str, change: &ApiChange) -> bool {
        let mut changed = self.changed.iter_mut();
        let found = changed.find(|changed| changed.coordinates.contains(coordinate));
        found.map(|found| found.seen.push(change.clone())).is_some()
    }

    /// Lays what callers see at the doors of the services, the worst first.
    pub(super) fn lay(self, changes: &mut [Change], laid: &mut Vec<Laid>) {
        for Changed { position, mut seen, .. } in self.changed {
            let change = &mut changes[position];
            seen.sort_by_key(|api| std::cmp::Reverse(api.effect));
            for api in seen {
                change.wire = change.wire.max(api.effect);
                // That what is new is new needs no words; of an SDL that changes all is told,
                // because the change itself names nothing.
                let told = change.kind == ChangeKind::SourceSdl;
                if told || api.effect >= WireEffect::Dangerous {
                    change.wire_reasons.push(api.message.clone());
                }
                laid.push((position, api));
            }
        }
    }
}

/// The coordinates at which two states of a service differ.
fn difference(old: Option<&ServiceModule>, new: Option<&ServiceModule>) -> BTreeSet<String> {
    let texts = |service: Option<&ServiceModule>| {
        let of = |service: &ServiceModule| match &service.tables {
            // What callers see of tables is more than what the module says.
            Some(tables) => coordinates(&crate::api::api_sdl(&tables.0)),
            None => coordinates(&service.sdl),
        };
        service.map_or_else(BTreeMap::new, of)
    };
    let (old, new) = (texts(old), texts(new));
    let all = old.keys().chain(new.keys());
    all.filter(|name| old.get(*name) != new.get(*name)).cloned().collect()
}

/// What an SDL says at each of its coordinates; root types have the names that the graph gives them.
fn coordinates(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let definitions = sdl::definitions(text);
    let roots = roots(&definitions);
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for definition in &definitions {
        let Some(name) = definition.name() else { continue };
        let name = roots.get(name.as_str()).map_or(name.as_str(), |root| root);
        let directive = matches!(definition, Definition::DirectiveDefinition(_));
        let name = if directive { format!("@{name}") } else { name.to_owned() };
        for (member, text) in members(definition) {
            found.entry(format!("{name}.{member}")).or_default().insert(text);
        }
        found.entry(name).or_default().insert(definition.to_string());
    }
    found
}

/// Root types that have names of their own, with the names that the graph gives them.
fn roots(definitions: &[Definition]) -> BTreeMap<&str, &'static str> {
    let operations = definitions.iter().flat_map(|definition| match definition {
        Definition::SchemaDefinition(schema) => schema.root_operations.as_slice(),
        Definition::SchemaExtension(schema) => schema.root_operations.as_slice(),
        _ => &[],
    });
    let named = |operation: &Node<(OperationType, apollo_compiler::Name)>| match operation.0 {
        OperationType::Query => "Query",
        OperationType::Mutation => "Mutation",
        OperationType::Subscription => "Subscription",
    };
    operations.map(|operation| (operation.1.as_str(), named(operation))).collect()
}

/// Fields, input fields and values, each with its text.
fn members(definition: &Definition) -> Vec<(String, String)> {
    fn texts<T: std::fmt::Display>(
        parts: &[Node<T>],
        name: impl Fn(&T) -> &apollo_compiler::Name,
    ) -> Vec<(String, String)> {
        parts.iter().map(|part| (name(part).to_string(), part.to_string())).collect()
    }
    match definition {
        Definition::ObjectTypeDefinition(node) => texts(&node.fields, |field| &field.name),
        Definition::ObjectTypeExtension(node) => texts(&node.fields, |field| &field.name),
        Definition::InterfaceTypeDefinition(node) => texts(&node.fields, |field| &field.name),
        Definition::InterfaceTypeExtension(node) => texts(&node.fields, |field| &field.name),
        Definition::InputObjectTypeDefinition(node) => texts(&node.fields, |field| &field.name),
        Definition::InputObjectTypeExtension(node) => texts(&node.fields, |field| &field.name),
        Definition::EnumTypeDefinition(node) => texts(&node.values, |value| &value.value),
        Definition::EnumTypeExtension(node) => texts(&node.values, |value| &value.value),
        _ => Vec::new(),
    }
}
