//! What tables of a database have, and what only tables of the project do: in come the declarations and
//! their columns, out come faults. A file has one kind of tables, so that a directive which the holder of
//! the tables cannot honour is refused where it stands.

use frame::DataType;

use crate::compile::{Declared, Draft, Field, Object, Report};
use crate::diagnostic::Code;
use crate::model::{FieldId, Holder};

/// Arguments of `@table` that say how this project stores a table.
const LAYOUT: [&str; 5] = ["format", "bucket", "partition", "sort", "retain"];

/// Directives of fields that need an index or a store of this project.
const OURS: [(&str, &str); 5] = [
    ("media", "a database keeps no media: write `Bytes` or `String`"),
    ("vector", "a database is not searched by vectors"),
    ("nearest", "a database is not searched by vectors"),
    ("search", "a database is not searched by text: `where` has `contains` and `startsWith`"),
    ("sealed", "a database seals its rows itself"),
];

pub(super) fn check(declared: &Declared<'_>, draft: &Draft, report: &mut Report<'_>) {
    for (index, object) in declared.objects.values().enumerate() {
        match &declared.holder {
            Holder::Lake => of_lake(object, report),
            Holder::Database { .. } => of_database(index, object, declared, draft, report),
        }
    }
}

fn of_lake(object: &Object<'_>, report: &mut Report<'_>) {
    let Some(applied) = object.directives.get("table") else { return };
    let at = applied.at_argument("name");
    if at != applied.at() {
        report
            .at(Code::Source, at, "only a table of a database has a `name`")
            .hint("`plural` names a table of the project; one of a database stands in a module with `@source(kind: POSTGRES, …)`");
    }
}

fn of_database(
    index: usize,
    object: &Object<'_>,
    declared: &Declared<'_>,
    draft: &Draft,
    report: &mut Report<'_>,
) {
    if object.elsewhere {
        of_another(index, object, draft, report);
    }
    if !object.is_table() && !object.directives.broken {
        let words = format!("`{}` is no table, and a database has nothing else", object.name());
        report
            .at(Code::Source, object.at(), words)
            .hint("add `@table`, or make the field that uses it `JSON`");
    }
    if object.is_table() && !object.directives.has("key") && !object.directives.broken {
        let words = format!("`{}` is a table of a database without a key", object.name());
        report.at(Code::Source, object.at(), words).hint(
            "add `@key(fields: …)`: a database keeps no order of its rows, and pages need one",
        );
    }
    if let Some(applied) = object.directives.get("table") {
        for argument in LAYOUT {
            let at = applied.at_argument(argument);
            if at != applied.at() {
                let words = format!("a table of a database has no `{argument}`");
                report
                    .at(Code::Source, at, words)
                    .hint("the database says how it stores: take it out");
            }
        }
    }
    for (position, field) in object.fields.values().enumerate() {
        let data_type = draft.column(index, position).map(|column| &column.data_type);
        of_field(field, data_type, declared, report);
    }
}

/// Whether a table adds to the rows of another source.
fn has_rows_here(name: &str, declared: &Declared<'_>) -> bool {
    let object = declared.objects.get(name);
    declared.holder.extends(name) && object.is_some_and(|object| !object.elsewhere)
}

/// Of rows that another source has, only the key can be known here.
fn of_another(index: usize, object: &Object<'_>, draft: &Draft, report: &mut Report<'_>) {
    for (position, field) in object.fields.values().enumerate() {
        let id = FieldId(position as u32);
        let is_stored = draft.column(index, position).is_some();
        if is_stored && !draft.keys[index].contains(&id) && !draft.keys[index].is_empty() {
            let words = format!("`{}` of `{}` is in no table", field.name(), object.name());
            report.at(Code::Source, field.at(), words).hint(
                "add `@table(name: …)` to the type, or leave the field to the source that has it",
            );
        }
    }
}

fn of_field(
    field: &Field<'_>,
    data_type: Option<&DataType>,
    declared: &Declared<'_>,
    report: &mut Report<'_>,
) {
    for (name, hint) in OURS {
        if let Some(applied) = field.directives.get(name) {
            let words = format!("a field of a database has no `@{name}`");
            report.at(Code::Source, applied.at(), words).hint(hint);
        }
    }
    let is_list = field.node.ty.is_list() && field.directives.has("ref");
    let target = field.node.ty.inner_named_type();
    if is_list && declared.holder.extends(target) {
        let words =
            format!("`{target}` is another source's: no list of them can be asked for here");
        report
            .at(Code::Source, field.at_type(), words)
            .hint("refer to one row, or let the other source give the list");
    }
    if field.directives.has("ref") && has_rows_here(target, declared) {
        let words = format!("`{target}` is another source's, and its table here may lack the row");
        report.at(Code::Source, field.at_type(), words).hint(
            "give its columns in a module of their own; here `extend type` without `@table` does",
        );
    }
    let item = match data_type {
        Some(DataType::List { item, .. }) => item,
        Some(other) => other,
        None => return,
    };
    if matches!(item, DataType::Vector { .. } | DataType::List { .. } | DataType::Struct(_)) {
        let words = format!("a column of a database cannot be {}", field.node.ty);
        report
            .at(Code::Source, field.at_type(), words)
            .hint("it is a scalar, an enum, or a list of one of them; `JSON` holds all else");
    }
}
