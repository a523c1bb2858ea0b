//! The root fields of the API: one row, many rows, changes.

use super::input::{key_columns, key_type};
use super::names::{FINGERPRINT, Naming, namings};
use super::sdl::{connection_size, deprecation, describe, is_searchable, renamed};
use super::{DEFAULT_PAGE, Verb, aggregate};
use crate::{Holder, ObjectType, Schema, TableSpec};

/// `type Query`.
pub(super) fn query(out: &mut String, schema: &Schema) {
    // Whoever only adds to types of other sources is entered by their keys.
    if schema.holder != Holder::Lake && rooted(schema).next().is_none() {
        return;
    }
    out.push_str("type Query {\n");
    for (object, table) in rooted(schema).filter(|(object, _)| object.is_shown()) {
        for naming in namings(object) {
            let note = naming_note(&naming);
            if !table.key.is_empty() {
                describe(out, "  ", Some(&format!("The `{}` with this key.", object.name)));
                out.push_str(&format!(
                    "  {}({}{}): {}{note}\n",
                    naming.one,
                    key_arguments(object),
                    as_of(schema),
                    object.name
                ));
            }
            // With a `plural` the list field has had no other name.
            if naming.earlier.is_none() || table.plural.is_none() {
                list_field(out, schema, object, &naming, &note);
                aggregate::root_field(out, schema, object, &naming, &note);
            }
        }
    }
    // Of a graph with databases the fingerprint is asked of the project.
    if schema.holder == Holder::Lake {
        describe(out, "  ", Some("The fingerprint of the schema that answers."));
        out.push_str(&format!("  {FINGERPRINT}: String!\n"));
    }
    out.push_str("}\n\n");
}

/// The argument that names an earlier state, after others, where states are kept.
pub(super) fn as_of(schema: &Schema) -> &'static str {
    match schema.holder {
        Holder::Lake => ", asOf: AsOf",
        Holder::Database { .. } => "",
    }
}

/// The tables that have root fields here.
fn rooted(schema: &Schema) -> impl Iterator<Item = (&ObjectType, &TableSpec)> {
    let tables = schema.tables().map(|(_, object, table)| (object, table));
    tables.filter(|(object, _)| !schema.holder.extends(&object.name))
}

pub(super) fn naming_note(naming: &Naming) -> String {
    let reason = naming.earlier.as_ref().map(|(name, until)| renamed(name, until));
    deprecation(reason.as_deref())
}

fn key_arguments(object: &ObjectType) -> String {
    let arguments =
        key_columns(object).map(|(field, column)| format!("{}: {}!", field.name, key_type(column)));
    arguments.collect::<Vec<_>>().join(", ")
}

fn list_field(out: &mut String, schema: &Schema, object: &ObjectType, naming: &Naming, note: &str) {
    let name = &object.name;
    let search = if is_searchable(object) { ", search: String" } else { "" };
    describe(
        out,
        "  ",
        Some(&format!(
            "All wanted `{name}`, {DEFAULT_PAGE} a page unless `first` or `last` says otherwise."
        )),
    );
    out.push_str(&format!(
        "  {}(where: {name}Where, orderBy: [{name}OrderBy!], first: Int, after: String, last: Int, \
         before: String{search}{}): {name}Connection{note}{}\n",
        naming.list,
        as_of(schema),
        connection_size()
    ));
}

/// `type Mutation`, when there is anything to change.
pub(super) fn mutation(out: &mut String, schema: &Schema) {
    if rooted(schema).next().is_none() || !schema.holder.is_writable() {
        return;
    }
    let idempotency = match schema.holder {
        Holder::Lake => ", idempotencyKey: String",
        Holder::Database { .. } => "",
    };
    out.push_str("type Mutation {\n");
    for (object, table) in rooted(schema) {
        for naming in namings(object) {
            let note = naming_note(&naming);
            for verb in Verb::of(table).iter().filter(|verb| object.offers(**verb)) {
                for many in [false, true] {
                    if many && naming.earlier.is_some() && table.plural.is_some() {
                        continue;
                    }
                    let field = naming.mutation(*verb, many);
                    describe(out, "  ", Some(&mutation_description(&object.name, *verb, many)));
                    let input = mutation_input(object, *verb, many);
                    let payload = mutation_payload(&object.name, *verb, many);
                    out.push_str(&format!("  {field}({input}{idempotency}): {payload}{note}\n"));
                }
            }
        }
    }
    out.push_str("}\n\n");
}

fn mutation_description(name: &str, verb: Verb, many: bool) -> String {
    let (what, all) = if many { ("several", ": all or nothing") } else { ("one", "") };
    match verb {
        Verb::Create => format!("Adds {what} `{name}` with a new key{all}."),
        Verb::Upsert => format!("Adds {what} `{name}`, or replaces what has the same key{all}."),
        Verb::Update => format!("Changes given fields of {what} existing `{name}`{all}."),
        Verb::Delete => format!("Removes {what} `{name}`; a missing one is passed over{all}."),
        Verb::Append => format!("Adds {what} `{name}`{all}."),
    }
}

fn mutation_input(object: &ObjectType, verb: Verb, many: bool) -> String {
    let name = &object.name;
    match (verb, many) {
        (Verb::Delete, false) => key_arguments(object),
        (Verb::Delete, true) => format!("keys: [{name}Key!]!"),
        (Verb::Update, false) => format!("input: {name}Update!"),
        (Verb::Update, true) => format!("inputs: [{name}Update!]!"),
        (_, false) => format!("input: {name}Input!"),
        (_, true) => format!("inputs: [{name}Input!]!"),
    }
}

fn mutation_payload(name: &str, verb: Verb, many: bool) -> String {
    match (verb, many) {
        (Verb::Delete | Verb::Append, _) => "WritePayload".to_owned(),
        (_, false) => format!("{name}Payload"),
        (_, true) => format!("{name}ListPayload"),
    }
}
