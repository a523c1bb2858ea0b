//! What became of a row, as an object.

use super::rows::{long, node, value};
use super::writer::{Writer, Written};
use crate::fetch::Event;
use crate::plan::{Part, PlannedField, Resolve};

/// One event.
pub(super) fn event(writer: &mut Writer<'_>, field: &PlannedField, event: &Event) -> Written {
    let Some(selection) = field.selection() else { return writer.null(field, &field.ty) };
    let events = event.events.as_ref();
    writer.object(selection, |writer, index, field| {
        let Resolve::Part(part) = field.resolve else {
            return writer.typename(&selection.type_name);
        };
        match (part, events.nodes.get(index)) {
            (Part::Kind, _) => {
                writer.string(if events.went { "DELETED" } else { "UPSERTED" });
                Ok(())
            }
            (Part::Snapshot, _) => long(writer, event.snapshot),
            (Part::Key, _) => key(writer, field, event),
            (Part::Node, Some(Some(rows))) => node(writer, field, rows, Some(event.row as u32)),
            _ => writer.null(field, &field.ty),
        }
    })
}

fn key(writer: &mut Writer<'_>, field: &PlannedField, event: &Event) -> Written {
    let Some(selection) = field.selection() else { return writer.null(field, &field.ty) };
    writer.object(selection, |writer, _, field| match &field.resolve {
        Resolve::Column(name, data_type) => match event.events.batch.column_by_name(name) {
            Some(column) => value(writer, field, &field.ty, column.as_ref(), event.row, data_type),
            None => writer.null(field, &field.ty),
        },
        _ => writer.typename(&selection.type_name),
    })
}
