//! Changes of enums, and whether values of one enum are values of another.
//!
//! In: two schemas. Out: changes, enum by enum. Not here: changes of the fields whose type they are.

use super::{Change, ChangeKind, StorageEffect};
use crate::model::{EnumType, FieldDef, ObjectType, Schema};

/// Changes of enums, in the order of the new schema, removals last.
pub(super) fn changes(old: &Schema, new: &Schema, changes: &mut Vec<Change>) {
    for (name, after) in &new.enums {
        match old.enums.get(name) {
            Some(before) => values(old, before, after, changes),
            None => changes.push(Change::new(
                ChangeKind::EnumAdded,
                name.as_ref(),
                &after.place,
                format!("enum `{name}` is added"),
            )),
        }
    }
    for (name, before) in old.enums.iter().filter(|(name, _)| !new.enums.contains_key(*name)) {
        let message = format!("enum `{name}` is removed");
        changes.push(Change::new(ChangeKind::EnumRemoved, name.as_ref(), &before.place, message));
    }
}

fn values(old: &Schema, before: &EnumType, after: &EnumType, changes: &mut Vec<Change>) {
    let name = &after.name;
    if before.description != after.description {
        let message = format!("the description of enum `{name}` changes");
        let change = Change::new(ChangeKind::EnumDescription, name.as_ref(), &after.place, message);
        changes.push(change);
    }
    for (value, details) in before.values.iter().zip(&before.details) {
        let now = after.values.iter().zip(&after.details).find(|(other, _)| *other == value);
        if now.is_some_and(|(_, now)| now != details) {
            let message = format!("the words about `{name}.{value}` change");
            let path = format!("{name}.{value}");
            changes.push(Change::new(ChangeKind::EnumValue, path, &after.place, message));
        }
    }
    for value in after.values.iter().filter(|value| !before.values.contains(value)) {
        changes.push(Change::new(
            ChangeKind::EnumValueAdded,
            format!("{name}.{value}"),
            &after.place,
            format!("enum `{name}` gains the value `{value}`"),
        ));
    }
    let stored = holders(old, name).next().is_some();
    for value in before.values.iter().filter(|value| !after.values.contains(value)) {
        let change = Change::new(
            ChangeKind::EnumValueRemoved,
            format!("{name}.{value}"),
            &after.place,
            format!("enum `{name}` loses the value `{value}`; rows must not hold it"),
        );
        let effect = if stored { StorageEffect::Rewrite } else { StorageEffect::None };
        changes.push(change.storage(effect));
    }
}

/// The stored fields of tables that hold values of an enum, directly, in lists or in nested objects.
pub(crate) fn holders<'a>(
    schema: &'a Schema,
    enum_name: &'a str,
) -> impl Iterator<Item = (&'a ObjectType, &'a FieldDef)> {
    schema.tables().flat_map(move |(_, object, _)| {
        object
            .columns()
            .filter(move |(_, column)| {
                let mut names = Vec::new();
                enums_in(schema, column, &mut names);
                names.contains(&enum_name)
            })
            .map(move |(field, _)| (object, field))
    })
}

fn enums_in<'a>(schema: &'a Schema, column: &'a crate::ColumnSpec, names: &mut Vec<&'a str>) {
    names.extend(column.enum_name.as_deref());
    if let Some(embedded) = column.embedded {
        // Embedded objects cannot hold themselves: a struct of finite size has no cycle.
        for (_, nested) in schema.object(embedded).columns() {
            enums_in(schema, nested, names);
        }
    }
}
