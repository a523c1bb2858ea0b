//! Groups of rows: a list of objects, whose values are columns of one batch.

use super::rows::value;
use super::writer::{Writer, Written};
use crate::fetch::{GroupSlot, Groups, Place};
use crate::plan::{PlannedField, Resolve, Selection};

/// All groups of a root field.
pub(crate) fn groups(writer: &mut Writer<'_>, field: &PlannedField, groups: &Groups) -> Written {
    let Some(selection) = field.selection() else { return writer.null(field, &field.ty) };
    writer.list(&field.ty, groups.batch.num_rows(), |writer, row| {
        group(writer, selection, groups, row)
    })
}

fn group(writer: &mut Writer<'_>, selection: &Selection, groups: &Groups, row: usize) -> Written {
    writer.object(selection, |writer, index, field| {
        match (&field.resolve, groups.slots.get(index)) {
            (Resolve::Typename, _) => writer.typename(&selection.type_name),
            (_, Some(GroupSlot::Value(place))) => measured(writer, field, groups, row, place),
            (_, Some(GroupSlot::Object(places))) => measures(writer, field, groups, row, places),
            _ => writer.null(field, &field.ty),
        }
    })
}

fn measures(
    writer: &mut Writer<'_>,
    field: &PlannedField,
    groups: &Groups,
    row: usize,
    places: &[Option<Place>],
) -> Written {
    let Some(selection) = field.selection() else { return writer.null(field, &field.ty) };
    writer.object(selection, |writer, index, leaf| match (&leaf.resolve, places.get(index)) {
        (Resolve::Typename, _) => writer.typename(&selection.type_name),
        (_, Some(Some(place))) => measured(writer, leaf, groups, row, place),
        _ => writer.null(leaf, &leaf.ty),
    })
}

fn measured(
    writer: &mut Writer<'_>,
    field: &PlannedField,
    groups: &Groups,
    row: usize,
    place: &Place,
) -> Written {
    let column = groups.batch.column(place.column);
    value(writer, field, &field.ty, column.as_ref(), row, &place.data_type)
}
