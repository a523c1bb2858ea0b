//! What the changes of a schema mean for callers.
//!
//! In: changes of the central schema, and the change of the API derived from it. Out: every change
//! of the API laid at the door of the changes that caused it, so that the strongest effect of the
//! list is that of the API as a whole; what several types share and nobody owns (a filter type that
//! comes with the first field of its kind) becomes a change of its own. Not here: which change of
//! an API breaks whom (`sdl`).

use std::collections::HashMap;
use std::sync::Arc;

use base::Place;

use super::sdl::{ApiChange, Aspect, diff_derived};
use super::{Change, ChangeKind, Pairing, WireEffect};
use crate::api::{neighbours_field_name, reserved_names, served_sdl};
use crate::model::{FieldKind, ObjectType, Schema};

mod services;

use services::Services;

/// A change of the API, with the position of the change that it is laid to.
pub(super) type Laid = (usize, ApiChange);

/// Sets the wire effects of all changes, and adds changes for what none of them owns. Gives every change of
/// the API that may hurt, with the change behind it.
pub(super) fn weigh(pairing: &Pairing<'_>, changes: &mut Vec<Change>) -> Vec<Laid> {
    let mut laid = Vec::new();
    let api = diff_derived(&served_sdl(pairing.old), &served_sdl(pairing.new));
    let owners = Owners::of(pairing);
    let mut services = Services::of(pairing.old, pairing.new, changes);
    for change in api {
        if services.take(&change) {
            continue;
        }
        let coordinate = owners.owner(&change.path);
        let chosen = coordinate
            .and_then(|(owner, member)| choose(changes, &owner, member.as_deref(), change.aspect));
        match chosen {
            Some(position) => {
                lay(&mut changes[position], &change);
                laid.push((position, change));
            }
            None if services.take_of_type(&change) => {}
            None if change.effect >= WireEffect::Dangerous => {
                laid.push((lay_at_shared(changes, &change), change));
            }
            // What comes beside what there was needs no line of its own.
            None => {}
        }
    }
    services.lay(changes, &mut laid);
    laid.retain(|(_, change)| change.effect >= WireEffect::Dangerous);
    laid
}

fn lay(change: &mut Change, api: &ApiChange) {
    change.wire = change.wire.max(api.effect);
    if api.effect >= WireEffect::Dangerous {
        change.wire_reasons.push(api.message.clone());
    }
}

/// A change of what several types share is a change of its own, one for each type of the API; gives its
/// position.
fn lay_at_shared(changes: &mut Vec<Change>, api: &ApiChange) -> usize {
    let name = api.path.split('.').next().unwrap_or(&api.path);
    let known = |change: &Change| change.kind == ChangeKind::Api && change.path == name;
    if let Some(position) = changes.iter().position(known) {
        lay(&mut changes[position], api);
        return position;
    }
    let place = Place { file: "the API".to_owned(), line: 0, column: 0 };
    let message = format!("`{name}` of the API goes or changes with its last use");
    let mut change = Change::new(ChangeKind::Api, name, &place, message);
    lay(&mut change, api);
    changes.push(change);
    changes.len() - 1
}

/// The change that best explains a change of the API at this type and member.
fn choose(changes: &[Change], owner: &str, member: Option<&str>, aspect: Aspect) -> Option<usize> {
    let of_owner = |change: &&Change| change.type_name() == owner;
    let mut candidates: Vec<(u32, usize)> = changes
        .iter()
        .enumerate()
        .filter(|(_, change)| of_owner(change))
        .filter_map(|(position, change)| {
            let nearness = match (change.member_name(), member) {
                (Some(of), Some(member)) if of == member => 0,
                (None, _) => 10,
                // A field may change what belongs to its whole type: a search argument, say.
                (Some(_), None) => 20,
                (Some(_), Some(_)) => 30,
            };
            Some((nearness + fitness(change.kind, aspect)?, position))
        })
        .collect();
    candidates.sort_unstable();
    candidates.first().map(|(_, position)| *position)
}

/// How well a kind of change explains an aspect, best first; `None` when it never does.
fn fitness(kind: ChangeKind, aspect: Aspect) -> Option<u32> {
    use ChangeKind as K;
    let whole = matches!(
        kind,
        K::TypeAdded
            | K::TypeRemoved
            | K::TypeRenamed
            | K::TypeKind
            | K::FieldAdded
            | K::FieldRemoved
            | K::FieldRenamed
            | K::FieldKind
            | K::EnumAdded
            | K::EnumRemoved
            | K::EnumValueAdded
            | K::EnumValueRemoved
    );
    let silent = matches!(
        kind,
        K::TypeOwner
            | K::TypePolicy
            | K::FieldPolicy
            | K::TypeModule
            | K::Format
            | K::Bucket
            | K::Partition
            | K::Sort
            | K::Retain
            | K::ColumnName
            | K::TypeNameTaken
            | K::TableNameTaken
            | K::FieldNameTaken
            | K::ColumnNameTaken
            | K::Derived
            | K::ReferenceOrder
            | K::Nearest
            | K::Api
    );
    if silent {
        return None;
    }
    let own = match aspect {
        Aspect::Description => {
            matches!(
                kind,
                K::TypeDescription | K::FieldDescription | K::EnumDescription | K::EnumValue
            )
        }
        Aspect::Deprecation => matches!(kind, K::Deprecated | K::Was | K::EnumValue),
        Aspect::Directive => matches!(kind, K::Cost | K::ListSize),
        Aspect::Argument => {
            matches!(kind, K::Arguments | K::Search | K::Key | K::Default | K::Vector)
        }
        Aspect::Shape => matches!(
            kind,
            K::FieldType
                | K::FieldNullable
                | K::FieldRequired
                | K::Reference
                | K::Key
                | K::TableName
                | K::Default
                | K::Vector
        ),
    };
    let cosmetic = matches!(
        kind,
        K::TypeDescription
            | K::FieldDescription
            | K::EnumDescription
            | K::Deprecated
            | K::Cost
            | K::ListSize
    );
    Some(match (own, whole, cosmetic) {
        // What comes, goes or is renamed explains what its API types do better than a detail of it.
        (_, true, _) if aspect == Aspect::Shape => 0,
        (true, _, _) => 1,
        (_, true, _) => 2,
        (_, _, false) => 3,
        (_, _, true) => 5,
    })
}

/// Which type, by its new name, owns a name of the API.
struct Owners {
    types: HashMap<String, Arc<str>>,
    roots: HashMap<String, Arc<str>>,
    members: HashMap<(Arc<str>, String), Arc<str>>,
}

impl Owners {
    fn of(pairing: &Pairing<'_>) -> Owners {
        let mut owners =
            Owners { types: HashMap::new(), roots: HashMap::new(), members: HashMap::new() };
        // The new schema comes second: where both know a name, it is right.
        for (schema, is_old) in [(pairing.old, true), (pairing.new, false)] {
            for object in schema.types.values() {
                let pair = pairing.pair_of_old(&object.name).filter(|_| is_old);
                let owner = pair.map_or(&object.name, |pair| &pair.new.name);
                owners.add_type(object, owner);
                for field in object.fields.values() {
                    let renamed = pair.and_then(|pair| {
                        let mut fields = pair.fields.iter();
                        fields.find(|fields| fields.old.name == field.name).map(|f| &f.new.name)
                    });
                    owners.add_member(owner, field, renamed.unwrap_or(&field.name));
                }
            }
            owners.add_enums(schema);
        }
        owners
    }

    fn add_type(&mut self, object: &ObjectType, owner: &Arc<str>) {
        let names = reserved_names(object);
        self.types.insert(object.name.to_string(), owner.clone());
        for name in names.types {
            self.types.insert(name, owner.clone());
        }
        for name in names.queries {
            self.roots.insert(format!("Query.{name}"), owner.clone());
        }
        for name in names.mutations {
            self.roots.insert(format!("Mutation.{name}"), owner.clone());
        }
        for name in names.subscriptions {
            self.roots.insert(format!("Subscription.{name}"), owner.clone());
        }
    }

    fn add_member(&mut self, owner: &Arc<str>, field: &crate::FieldDef, new_name: &Arc<str>) {
        let earlier = field.was.iter().map(|was| &was.name);
        for name in std::iter::once(&field.name).chain(earlier) {
            let mut names = vec![name.to_string()];
            if matches!(field.kind, FieldKind::Nearest(_)) {
                names.push(neighbours_field_name(name));
            }
            for name in names {
                // A field's own name wins over another field's earlier one.
                let own = name == field.name.as_ref();
                let key = (owner.clone(), name);
                if own || !self.members.contains_key(&key) {
                    self.members.insert(key, new_name.clone());
                }
            }
        }
    }

    fn add_enums(&mut self, schema: &Schema) {
        for name in schema.enums.keys() {
            for suffix in ["", "Where", "ListWhere"] {
                self.types.insert(format!("{name}{suffix}"), name.clone());
            }
        }
    }

    /// The type and member behind a coordinate of the API.
    fn owner(&self, path: &str) -> Option<(Arc<str>, Option<String>)> {
        let mut parts = path.split('.');
        let (first, second) = (parts.next()?, parts.next());
        if let Some(second) = second
            && let Some(owner) = self.roots.get(&format!("{first}.{second}"))
        {
            let argument = parts.next().and_then(|argument| self.member(owner, argument));
            return Some((owner.clone(), argument));
        }
        let owner = self.types.get(first)?;
        let member = second.and_then(|member| self.member(owner, member));
        // Values of enums are members under their own names.
        let value = second.filter(|_| first == owner.as_ref() && member.is_none());
        Some((owner.clone(), member.or(value.map(str::to_owned))))
    }

    fn member(&self, owner: &Arc<str>, name: &str) -> Option<String> {
        self.members.get(&(owner.clone(), name.to_owned())).map(ToString::to_string)
    }
}
