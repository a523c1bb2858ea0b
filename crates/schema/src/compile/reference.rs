//! `@ref` and `@nearest`: in come fields that give rows, out comes by which fields the rows are
//! found.

use frame::DataType;

use crate::diagnostic::Code;
use crate::model::{FieldId, NearestSpec, Reference, TypeId};

use super::build::{Draft, field_named};
use super::declare::Object;
use super::directives::Text;
use super::field::Subject;
use super::report::{Report, Spot};
use super::shape::{Named, Shape};
use super::table;

/// `@ref(by, order)` of one field.
pub(crate) fn reference(
    subject: Subject<'_, '_>,
    shape: &Shape,
    draft: &Draft,
    report: &mut Report<'_>,
) -> Option<Reference> {
    let field = subject.field;
    let applied = field.directives.get("ref")?;
    let target = target_table(subject, shape, report)?;
    let by = applied.text("by")?;
    let many = shape.list.is_some();
    // One row: this type holds the target's key. Many rows: the target holds this type's key.
    let (holder, keyed) = if many { (target, subject.object) } else { (subject.object, target) };
    let id = held_by(subject, holder, by, draft, report)?;
    let order = match applied.text("order") {
        Some(order) if many => table::order(target, order, subject.declared, draft, report)?,
        Some(order) => {
            report
                .at(Code::Reference, order.at, "one row has no order")
                .hint("take `order` out, or make the field a list");
            return None;
        }
        None => Vec::new(),
    };
    let key = key_column(subject, keyed, by, draft, report)?;
    let held = draft.column(holder, id.0 as usize)?;
    if held.data_type != *key {
        let words = format!(
            "`{}` of `{}` is {}, but the key of `{}` is {key}",
            by.value,
            name_of(subject, holder),
            held.data_type,
            name_of(subject, keyed)
        );
        report.at(Code::Reference, by.at, words).hint("give both fields one type");
        return None;
    }
    let holder_field = &subject.declared.objects[holder].fields[id.0 as usize];
    if !many && !shape.nullable && !holder_field.node.ty.is_non_null() {
        let words = format!("`{}` is never null, but `{}` may be", field.name(), by.value);
        let fix = format!("write `{}: {}`", field.name(), field.node.ty.inner_named_type());
        report.at(Code::Reference, field.at_type(), words).hint(fix);
        return None;
    }
    Some(Reference { target: TypeId(u32::try_from(target).ok()?), by: id, many, order })
}

fn name_of<'d>(subject: Subject<'d, '_>, object: usize) -> &'d str {
    subject.declared.objects[object].name()
}

/// The table that a field gives rows of.
fn target_table(subject: Subject<'_, '_>, shape: &Shape, report: &mut Report<'_>) -> Option<usize> {
    let field = subject.field;
    let Named::Object(target) = shape.named else {
        let words = format!("`{}` is no table", field.node.ty.inner_named_type());
        report
            .at(Code::Reference, field.at_type(), words)
            .hint("`@ref` is for fields whose type is a table, or a list of one");
        return None;
    };
    let target_object = &subject.declared.objects[target];
    if !target_object.is_table() {
        let words = format!("`{}` is no table", target_object.name());
        report
            .at(Code::Reference, field.at_type(), words)
            .hint("it is stored inside rows: take `@ref` out, or give the type `@table`");
        return None;
    }
    items_are_rows(subject, shape, Code::Reference, report)?;
    Some(target)
}

/// A list of rows holds rows, never null.
fn items_are_rows(
    subject: Subject<'_, '_>,
    shape: &Shape,
    code: Code,
    report: &mut Report<'_>,
) -> Option<()> {
    if shape.list != Some(true) {
        return Some(());
    }
    let name = subject.field.node.ty.inner_named_type();
    report
        .at(code, subject.field.at_type(), "rows in a list are never null")
        .hint(format!("write `[{name}!]!`"));
    None
}

/// The stored field that `by` names.
fn held_by(
    subject: Subject<'_, '_>,
    holder: usize,
    by: Text<'_>,
    draft: &Draft,
    report: &mut Report<'_>,
) -> Option<FieldId> {
    let object = &subject.declared.objects[holder];
    let Some((index, id, _)) = field_named(object, by.value) else {
        unknown_field(object, by, report);
        return None;
    };
    if !object.fields[index].directives.broken && !is_stored(draft, holder, index, object) {
        let words = format!("`{}` of `{}` is not stored", by.value, object.name());
        report
            .at(Code::Reference, by.at, words)
            .hint("`by` names the stored field that holds the key");
        return None;
    }
    draft.column(holder, index).map(|_| id)
}

fn is_stored(draft: &Draft, object: usize, index: usize, declared: &Object<'_>) -> bool {
    let making = ["ref", "nearest", "derived"];
    draft.column(object, index).is_some()
        || !making.iter().any(|name| declared.fields[index].directives.has(name))
}

/// Says that a type has no such field.
pub(crate) fn unknown_field(object: &Object<'_>, text: Text<'_>, report: &mut Report<'_>) {
    let spot = report.spot(text.at);
    unknown_field_at(object, text.value, spot, report);
}

/// Says at a spot that a type has no field of this name.
pub(crate) fn unknown_field_at(
    object: &Object<'_>,
    name: &str,
    spot: Spot,
    report: &mut Report<'_>,
) {
    let names: Vec<&str> = object.fields.keys().copied().collect();
    let all = if names.len() <= 12 {
        format!("its fields are `{}`", names.join("`, `"))
    } else {
        String::new()
    };
    report
        .add(Code::UnknownField, spot, format!("`{}` has no field `{name}`", object.name()))
        .did_you_mean(name, names, |found| format!("`{found}`"), &all);
}

/// The type of the one field that is the key of a table.
fn key_column<'d>(
    subject: Subject<'_, '_>,
    keyed: usize,
    by: Text<'_>,
    draft: &'d Draft,
    report: &mut Report<'_>,
) -> Option<&'d DataType> {
    let object = &subject.declared.objects[keyed];
    if !object.node.directives.has("key") {
        report
            .at(Code::Reference, by.at, format!("`{}` has no key to refer to", object.name()))
            .hint(format!("give `{}` a `@key(fields:)`", object.name()));
        return None;
    }
    match draft.keys[keyed].as_slice() {
        [key] => draft.column(keyed, key.0 as usize).map(|column| &column.data_type),
        // The key is wrong, which has been said.
        [] => None,
        _ => {
            let words = format!("the key of `{}` has several fields", object.name());
            report
                .at(Code::Reference, by.at, words)
                .hint("references by several fields are not offered: use a key of one field");
            None
        }
    }
}

/// `@nearest(on)` of one field.
pub(crate) fn nearest(
    subject: Subject<'_, '_>,
    shape: &Shape,
    draft: &Draft,
    report: &mut Report<'_>,
) -> Option<NearestSpec> {
    let object = subject.object();
    let field = subject.field;
    let on = field.directives.get("nearest")?.text("on")?;
    if shape.named != Named::Object(subject.object) || shape.list.is_none() {
        let words = format!("`{}` must be a list of its own type", field.name());
        report.at(Code::Nearest, field.at_type(), words).hint(format!(
            "write `{}(first: Int = 10): [{}!]! @nearest(on: \"{}\")`",
            field.name(),
            object.name(),
            on.value
        ));
        return None;
    }
    items_are_rows(subject, shape, Code::Nearest, report)?;
    if !object.node.directives.has("key") {
        report
            .at(Code::Nearest, field.at(), format!("`{}` has no key", object.name()))
            .hint("a row is found again by its key: give the type a `@key(fields:)`");
        return None;
    }
    let Some((index, id, _)) = field_named(object, on.value) else {
        unknown_field(object, on, report);
        return None;
    };
    if draft.vectors[subject.object][index].is_none() {
        let named = &object.fields[index];
        // A field that is wrong already needs no second message.
        if draft.column(subject.object, index).is_some() && !named.directives.has("vector")
            || named.node.ty.is_list()
        {
            report
                .at(Code::Nearest, on.at, format!("`{}` has no vector", on.value))
                .hint(format!("give `{}` a `@vector(model:)`", on.value));
        }
        return None;
    }
    Some(NearestSpec { on: id })
}
