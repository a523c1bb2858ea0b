//! What becomes of the rows of a table: one root field of `Subscription`, and the types of its events.
//!
//! In: a table's type. Out: its part of the SDL, and the names that it takes. Not here: who watches
//! tables (`mesh`), what became of one (`frame::Scan::changes`).

use super::ApiObject;
use super::input::{key_columns, key_type};
use super::names::{Naming, namings};
use super::root::naming_note;
use super::sdl::describe;
use crate::{Holder, ObjectType, Schema, TypeId};

/// The ending of the type of an event.
const CHANGE: &str = "Change";
/// The ending of the type of an event's key.
const KEY: &str = "ChangeKey";

/// The endings of the names of the types that events add to a table's type.
pub(super) const TYPE_ENDINGS: [&str; 2] = [CHANGE, KEY];

/// The object types of a table's events, with what they stand for.
pub(super) fn objects(name: &str, id: TypeId) -> [(String, ApiObject); 2] {
    [
        (format!("{name}{CHANGE}"), ApiObject::Change(id)),
        (format!("{name}{KEY}"), ApiObject::ChangeKey(id)),
    ]
}

/// `type Subscription`, when there is anything that can change and that tells of it: databases do not.
pub(super) fn subscription(out: &mut String, schema: &Schema) {
    let shown = || schema.tables().map(|(_, object, _)| object).filter(|object| object.is_shown());
    if schema.holder != Holder::Lake || shown().next().is_none() {
        return;
    }
    out.push_str("type Subscription {\n");
    for object in shown() {
        for naming in namings(object) {
            root_field(out, object, &naming);
        }
    }
    out.push_str("}\n\n");
}

fn root_field(out: &mut String, object: &ObjectType, naming: &Naming) {
    let name = &object.name;
    let text = format!(
        "What becomes of the wanted `{name}` from now on, or since the snapshot `after`: one event a row."
    );
    describe(out, "  ", Some(&text));
    out.push_str(&format!(
        "  {}(where: {name}Where, after: Long): {name}{CHANGE}!{}\n",
        naming.changed(),
        naming_note(naming)
    ));
}

/// The types of a table's events.
pub(super) fn change_types(out: &mut String, object: &ObjectType) {
    let name = &object.name;
    let has_key = object.table().is_some_and(|table| !table.key.is_empty());
    describe(out, "", Some(&format!("What became of a `{name}`.")));
    out.push_str(&format!("type {name}{CHANGE} {{\n"));
    let mut fields = vec![("What became of it.", "kind: ChangeKind!".to_owned())];
    if has_key {
        fields.push(("Its key.", format!("key: {name}{KEY}!")));
    }
    fields.push(("The row as the change left it; null when it went.", format!("node: {name}")));
    fields.push((
        "Whoever subscribes `after` this misses nothing: the snapshot of the change with the last of its \
         events, the one before with the others.",
        "snapshot: Long!".to_owned(),
    ));
    for (text, field) in fields {
        describe(out, "  ", Some(text));
        out.push_str(&format!("  {field}\n"));
    }
    out.push_str("}\n\n");
    if has_key {
        key_type_of(out, object);
    }
}

fn key_type_of(out: &mut String, object: &ObjectType) {
    let name = &object.name;
    describe(out, "", Some(&format!("The key of a `{name}` that changed.")));
    out.push_str(&format!("type {name}{KEY} {{\n"));
    for (field, column) in key_columns(object) {
        describe(out, "  ", field.description.as_deref());
        out.push_str(&format!("  {}: {}!\n", field.name, key_type(column)));
    }
    out.push_str("}\n\n");
}
