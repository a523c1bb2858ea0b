//! Rows to text: the answer is written once, straight from Arrow arrays or JSON, in the order of the
//! plan.
//!
//! In: what the root fields hold. Out: the bytes of the response. A null where the type forbids it is
//! an error at that place and takes the nearest nullable parent with it: what was written of the
//! parent is cut off again. Not here: reading of anything.

mod aggregate;
mod event;
mod held;
mod json;
mod output;
mod routed;
mod rows;
pub(crate) mod scalar;
mod writer;

use crate::engine::Response;
use crate::fetch::{RootValue, Session};
use crate::incremental::pass::{Found, Pass, Text};
use crate::plan::PlannedField;
pub(crate) use held::held;
pub(crate) use output::Left;
pub(crate) use routed::{respond_routed, respond_routed_first, respond_routed_led};
use writer::{Writer, Written};

/// Writes the whole response.
pub(crate) fn respond(session: &Session<'_>, values: &[RootValue]) -> Response {
    let mut writer = Writer::new(session);
    let is_empty = data(&mut writer, values);
    writer.finish(is_empty)
}

/// Writes the first part of a response.
pub(crate) fn respond_first<'a>(
    session: &'a Session<'a>,
    values: &[RootValue],
    pass: Pass<'a>,
) -> (Response, Vec<Found>, Left) {
    let mut writer = Writer::in_parts(session, pass, None);
    let is_empty = data(&mut writer, values);
    let (found, left) = match writer.take_pass() {
        Some((pass, left)) => (pass.found, left),
        None => (Vec::new(), Left::default()),
    };
    (writer.finish(is_empty), found, left)
}

/// Writes what a pass is led to.
pub(crate) fn respond_led<'a>(
    session: &'a Session<'a>,
    values: &[RootValue],
    pass: Pass<'a>,
    left: Left,
) -> (Vec<Text>, Left) {
    let mut writer = Writer::in_parts(session, pass, Some(left));
    // What is missing is said in the texts.
    let _ = fields(&mut writer, values);
    writer.take_pass().map_or((Vec::new(), left), |(pass, left)| (pass.texts, left))
}

/// Writes the data of a response. Out: whether there is none, and nothing was done.
fn data(writer: &mut Writer<'_>, values: &[RootValue]) -> bool {
    writer.text("{\"data\":");
    let mark = writer.mark();
    let (written, is_empty) = fields(writer, values);
    if written.is_err() {
        writer.nothing(mark);
    }
    // Of a mutation something may be done although nothing of it is in the answer.
    is_empty || (written.is_err() && !writer.session().plan.is_mutation)
}

/// Writes the root fields. Out: also whether all of them are null.
fn fields(writer: &mut Writer<'_>, values: &[RootValue]) -> (Written, bool) {
    let root = &writer.session().plan.root;
    let mut is_empty = true;
    let written = writer.object(root, |writer, index, field| {
        let mark = writer.mark();
        let written = match values.get(index) {
            Some(value) => root_field(writer, field, value),
            None => writer.null(field, &field.ty),
        };
        is_empty &= written.is_err() || writer.is_null_since(mark);
        written
    });
    (written, is_empty)
}

/// Whether there is still an answer with this value of a root field, and not null for all data.
pub(crate) fn leaves_data(session: &Session<'_>, field: &PlannedField, value: &RootValue) -> bool {
    // Most values are of a type that takes null. The others are written once more for this: only
    // writing tells whether a null inside comes up to here.
    !field.ty.is_non_null() || root_field(&mut Writer::new(session), field, value).is_ok()
}

fn root_field(writer: &mut Writer<'_>, field: &PlannedField, value: &RootValue) -> Written {
    match value {
        RootValue::Absent => Ok(()),
        RootValue::Typename => writer.typename(&field.parent),
        RootValue::Answer(json) if json.is_null() => writer.null(field, &field.ty),
        RootValue::Answer(json) => {
            writer.text(&json.to_string());
            Ok(())
        }
        RootValue::Json(json) => json::value(writer, field, &field.ty, json),
        RootValue::Failed(error) => writer.failed(&field.ty, error.clone()),
        RootValue::Row(None) => writer.null(field, &field.ty),
        RootValue::Row(Some(rows)) => match field.selection() {
            Some(selection) => rows::row(writer, selection, rows, 0),
            None => writer.null(field, &field.ty),
        },
        RootValue::Connection(connection) => rows::connection(writer, field, connection),
        RootValue::Groups(groups) => aggregate::groups(writer, field, groups),
        RootValue::Change(change) => rows::change(writer, field, change),
        RootValue::Event(event) => event::event(writer, field, event),
        RootValue::Entities(entities) => rows::entities(writer, field, entities),
    }
}
