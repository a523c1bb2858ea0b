//! Which type and field of the old schema is which of the new: by name, else through `@was`.
//!
//! In: two schemas. Out: [`Pairing`]: pairs, additions, removals, and claims that cannot be
//! believed because the new name is still taken. Not here: what differs within a pair.

use std::sync::Arc;

use indexmap::IndexMap;

use crate::model::{FieldDef, FieldId, ObjectType, Schema, TypeId, Was};

/// Two schemas with their types paired.
#[derive(Debug)]
pub struct Pairing<'a> {
    /// The old schema.
    pub old: &'a Schema,
    /// The new schema.
    pub new: &'a Schema,
    /// Types of both, in the order of the new schema.
    pub types: Vec<TypePair<'a>>,
    /// Types of the new schema only.
    pub added: Vec<&'a ObjectType>,
    /// Types of the old schema only.
    pub removed: Vec<&'a ObjectType>,
    /// New types that claim, by `@was`, a removed type while their own name is deployed.
    pub contested: Vec<(&'a ObjectType, Arc<str>)>,
}

/// One type in both schemas.
#[derive(Debug)]
pub struct TypePair<'a> {
    /// In the old schema.
    pub old: &'a ObjectType,
    /// In the new schema.
    pub new: &'a ObjectType,
    /// Fields of both, in the order of the new type.
    pub fields: Vec<FieldPair<'a>>,
    /// Fields of the new type only.
    pub added: Vec<&'a FieldDef>,
    /// Fields of the old type only.
    pub removed: Vec<&'a FieldDef>,
    /// New fields that claim, by `@was`, a removed field while their own name is deployed.
    pub contested: Vec<(&'a FieldDef, Arc<str>)>,
}

/// One field in both schemas.
#[derive(Clone, Copy, Debug)]
pub struct FieldPair<'a> {
    /// In the old schema.
    pub old: &'a FieldDef,
    /// In the new schema.
    pub new: &'a FieldDef,
}

/// The result of pairing two lists of named things by position.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// (old, new), in the order of the new list.
    pub pairs: Vec<(usize, usize)>,
    /// Only in the new list.
    pub added: Vec<usize>,
    /// Only in the old list.
    pub removed: Vec<usize>,
    /// New positions that claim a removed name while their own is taken.
    pub contested: Vec<(usize, Arc<str>)>,
}

/// Whatever has a name and earlier names.
trait Named {
    fn was(&self) -> &[Was];
}

impl Named for ObjectType {
    fn was(&self) -> &[Was] {
        &self.was
    }
}

impl Named for FieldDef {
    fn was(&self) -> &[Was] {
        &self.was
    }
}

impl Names {
    fn of<T: Named>(old: &IndexMap<Arc<str>, T>, new: &IndexMap<Arc<str>, T>) -> Names {
        let mut names = Names::default();
        let mut taken = vec![false; old.len()];
        for name in new.keys() {
            if let Some(position) = old.get_index_of(name) {
                taken[position] = true;
            }
        }
        for (position, (name, item)) in new.iter().enumerate() {
            let same = old.get_index_of(name);
            let renamed = earlier(old, new, &taken, name, item);
            match (same, renamed) {
                (Some(same), claim) => {
                    names.pairs.push((same, position));
                    // A claim that the deployed schema already knew is history, not a rename.
                    if let Some(claim) = claim.filter(|claim| claims(item, &old.keys()[*claim]))
                        && !claims(&old[same], &old.keys()[claim])
                    {
                        names.contested.push((position, old.keys()[claim].clone()));
                    }
                }
                (None, Some(renamed)) => {
                    taken[renamed] = true;
                    names.pairs.push((renamed, position));
                }
                (None, None) => names.added.push(position),
            }
        }
        names.removed = (0..old.len()).filter(|position| !taken[*position]).collect();
        names
    }
}

/// The free old thing that `item` was, or that says it was `name` before (the way back of a rename).
fn earlier<T: Named>(
    old: &IndexMap<Arc<str>, T>,
    new: &IndexMap<Arc<str>, T>,
    taken: &[bool],
    name: &str,
    item: &T,
) -> Option<usize> {
    let free = |position: &usize| !taken[*position];
    let forward = || {
        let latest_first = item.was().iter().rev();
        latest_first.filter_map(|was| old.get_index_of(&was.name)).find(free)
    };
    let back = || {
        let mut candidates = old.iter().enumerate().filter(|(position, _)| free(position));
        // Only a thing that is gone from the new schema can have gone back to its earlier name.
        let found = candidates.find(|(_, (old_name, old_item))| {
            !new.contains_key(*old_name) && claims(*old_item, name)
        });
        found.map(|(position, _)| position)
    };
    forward().or_else(back)
}

fn claims<T: Named>(item: &T, name: &str) -> bool {
    item.was().iter().any(|was| was.name.as_ref() == name)
}

impl<'a> Pairing<'a> {
    /// Pairs the types of two schemas, and the fields of each pair.
    pub fn of(old: &'a Schema, new: &'a Schema) -> Pairing<'a> {
        let names = Names::of(&old.types, &new.types);
        let pair = |(before, after): &(usize, usize)| {
            TypePair::of(&old.types[*before], &new.types[*after])
        };
        Pairing {
            old,
            new,
            types: names.pairs.iter().map(pair).collect(),
            added: names.added.iter().map(|position| &new.types[*position]).collect(),
            removed: names.removed.iter().map(|position| &old.types[*position]).collect(),
            contested: names
                .contested
                .iter()
                .map(|(position, claim)| (&new.types[*position], claim.clone()))
                .collect(),
        }
    }

    /// The name that a type of the old schema has in the new one.
    pub fn new_type_name(&self, id: TypeId) -> Arc<str> {
        let old = self.old.object(id);
        let pair = self.types.iter().find(|pair| pair.old.name == old.name);
        pair.map_or_else(|| old.name.clone(), |pair| pair.new.name.clone())
    }

    /// The pair in which an old type stands.
    pub fn pair_of_old(&self, name: &str) -> Option<&TypePair<'a>> {
        self.types.iter().find(|pair| pair.old.name.as_ref() == name)
    }
}

impl<'a> TypePair<'a> {
    fn of(old: &'a ObjectType, new: &'a ObjectType) -> TypePair<'a> {
        let names = Names::of(&old.fields, &new.fields);
        let pair = |(before, after): &(usize, usize)| FieldPair {
            old: &old.fields[*before],
            new: &new.fields[*after],
        };
        TypePair {
            old,
            new,
            fields: names.pairs.iter().map(pair).collect(),
            added: names.added.iter().map(|position| &new.fields[*position]).collect(),
            removed: names.removed.iter().map(|position| &old.fields[*position]).collect(),
            contested: names
                .contested
                .iter()
                .map(|(position, claim)| (&new.fields[*position], claim.clone()))
                .collect(),
        }
    }

    /// Whether the name changed.
    pub fn is_renamed(&self) -> bool {
        self.old.name != self.new.name
    }

    /// The name that a field of the old type has in the new one; its own when it is gone.
    pub fn new_field_name(&self, id: FieldId) -> Arc<str> {
        let old = self.old.field(id);
        let pair = self.fields.iter().find(|pair| pair.old.name == old.name);
        pair.map_or_else(|| old.name.clone(), |pair| pair.new.name.clone())
    }
}

impl FieldPair<'_> {
    /// Whether the name changed.
    pub fn is_renamed(&self) -> bool {
        self.old.name != self.new.name
    }
}
