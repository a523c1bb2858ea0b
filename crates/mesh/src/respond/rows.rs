//! Objects over rows: rows themselves, embedded objects, media, pages, payloads.

use apollo_compiler::ast::Type;
use arrow::array::{Array, ListArray, StringArray, StructArray};
use base::{Error, Kind};
use frame::{DataType, Value};
use schema::Schema;

use super::scalar;
use super::writer::{Writer, Written};
use crate::error::GraphqlError;
use crate::fetch::{
    Change, Connection, ConnectionSlot, Entities, LinkedRows, Links, RowSet, Slot, Wrapped,
};
use crate::plan::{Inner, Part, PlannedField, Resolve, Selection};

/// One row.
pub(crate) fn row(
    writer: &mut Writer<'_>,
    selection: &Selection,
    rows: &RowSet,
    row: usize,
) -> Written {
    writer.object(selection, |writer, index, field| {
        let (slot, row) = rows.slot(index, row);
        match (&field.resolve, slot) {
            (Resolve::Typename, _) => writer.typename(&selection.type_name),
            (_, Some(Slot::Failed(error))) => failed(writer, field, error),
            (_, Some(Slot::Guarded(_, denied))) if denied.value(row) => {
                failed(writer, field, &GraphqlError::denied(&field.parent, &field.name))
            }
            (
                Resolve::Column(_, data_type),
                Some(Slot::Column(column) | Slot::Guarded(column, _)),
            ) => {
                value(writer, field, &field.ty, rows.batch.column(*column).as_ref(), row, data_type)
            }
            (Resolve::Media(..), Some(Slot::Column(column) | Slot::Guarded(column, _))) => {
                media(writer, field, rows.batch.column(*column).as_ref(), row)
            }
            (_, Some(Slot::Computed(computed))) => match computed.errors.get(&row) {
                Some(error) if computed.propagates => {
                    writer.failed_with_object(error.clone().located(&field.locations))
                }
                Some(error) => failed(writer, field, error),
                None => {
                    let array = computed.array.as_ref();
                    value(writer, field, &field.ty, array, row, &computed.data_type)
                }
            },
            (_, Some(Slot::Links(links))) => linked(writer, field, links, row),
            _ => writer.null(field, &field.ty),
        }
    })
}

/// An error of what is asked for in several places of the document, at this one.
fn failed(writer: &mut Writer<'_>, field: &PlannedField, error: &GraphqlError) -> Written {
    writer.failed(&field.ty, error.clone().located(&field.locations))
}

/// A stored or computed value.
pub(super) fn value(
    writer: &mut Writer<'_>,
    field: &PlannedField,
    ty: &Type,
    array: &dyn Array,
    row: usize,
    data_type: &DataType,
) -> Written {
    if array.is_null(row) {
        return writer.null(field, ty);
    }
    match data_type {
        DataType::List { item, .. } => match array.as_any().downcast_ref::<ListArray>() {
            Some(lists) => {
                let items = lists.value(row);
                writer.list(ty, items.len(), |writer, index| {
                    value(writer, field, ty.item_type(), items.as_ref(), index, item)
                })
            }
            None => unreadable(writer, field, ty),
        },
        DataType::Struct(_) => {
            match (array.as_any().downcast_ref::<StructArray>(), field.selection()) {
                (Some(objects), Some(selection)) => embedded(writer, selection, objects, row, None),
                _ => unreadable(writer, field, ty),
            }
        }
        scalar_type => {
            let mark = writer.mark();
            if scalar::scalar(writer.out(), array, row, scalar_type) {
                return Ok(());
            }
            writer.cut(mark);
            match scalar::is_finite(array, row, scalar_type) {
                true => unreadable(writer, field, ty),
                false => not_finite(writer, field, ty),
            }
        }
    }
}

fn not_finite(writer: &mut Writer<'_>, field: &PlannedField, ty: &Type) -> Written {
    let error = GraphqlError::not_finite(&field.parent, &field.name);
    writer.failed(ty, error.located(&field.locations))
}

fn unreadable(writer: &mut Writer<'_>, field: &PlannedField, ty: &Type) -> Written {
    let message = format!("the value of `{}.{}` cannot be shown", field.parent, field.name);
    writer.failed(ty, GraphqlError::new(Kind::Corrupt, message).located(&field.locations))
}

/// An object inside a row; `url` is the path of media up to its hash.
fn embedded(
    writer: &mut Writer<'_>,
    selection: &Selection,
    objects: &StructArray,
    row: usize,
    url: Option<&str>,
) -> Written {
    writer.object(selection, |writer, _, field| match &field.resolve {
        Resolve::Typename => writer.typename(&selection.type_name),
        Resolve::Url => media_url(writer, field, objects, row, url.unwrap_or_default()),
        Resolve::Column(name, data_type) => match objects.column_by_name(name) {
            Some(column) => value(writer, field, &field.ty, column.as_ref(), row, data_type),
            None => writer.null(field, &field.ty),
        },
        Resolve::Media(id, media_field) => {
            let name = writer.session().schema().ok().map(|schema| {
                let object = schema.object(*id);
                object.field(*media_field).name.clone()
            });
            match name.and_then(|name| objects.column_by_name(&name)) {
                Some(column) => media(writer, field, column.as_ref(), row),
                None => writer.null(field, &field.ty),
            }
        }
        _ => writer.null(field, &field.ty),
    })
}

fn media(writer: &mut Writer<'_>, field: &PlannedField, array: &dyn Array, row: usize) -> Written {
    if array.is_null(row) {
        return writer.null(field, &field.ty);
    }
    let Resolve::Media(id, media_field) = &field.resolve else {
        return writer.null(field, &field.ty);
    };
    let url = writer.session().schema().ok().map(|schema: &Schema| {
        let object = schema.object(*id);
        format!("/media/{}/{}/", object.name, object.field(*media_field).name)
    });
    match (array.as_any().downcast_ref::<StructArray>(), field.selection()) {
        (Some(objects), Some(selection)) => {
            embedded(writer, selection, objects, row, url.as_deref())
        }
        _ => unreadable(writer, field, &field.ty),
    }
}

fn media_url(
    writer: &mut Writer<'_>,
    field: &PlannedField,
    objects: &StructArray,
    row: usize,
    url: &str,
) -> Written {
    let session = writer.session();
    let arguments = field.arguments.values(&session.engine.api_schema, &session.variables);
    let arguments = match arguments {
        Ok(arguments) => arguments,
        Err(error) => {
            let error = GraphqlError::new(Kind::InvalidInput, error).located(&field.locations);
            return writer.failed(&field.ty, error);
        }
    };
    let thumbnail = arguments.get("variant").is_some_and(|variant| variant == "THUMBNAIL");
    let hashes = objects.column_by_name("hash");
    match hashes.and_then(|hashes| hashes.as_any().downcast_ref::<StringArray>()) {
        Some(hashes) => {
            let variant = if thumbnail { "?thumbnail" } else { "" };
            writer.string(&format!("{url}{}{variant}", hashes.value(row)));
            Ok(())
        }
        None => unreadable(writer, field, &field.ty),
    }
}

/// The rows that a field gives for one parent.
fn linked(writer: &mut Writer<'_>, field: &PlannedField, links: &Links, parent: usize) -> Written {
    if let Some((by, denied)) = &links.denied
        && denied.value(parent)
    {
        return failed(writer, field, &GraphqlError::denied(&field.parent, by));
    }
    let targets = links.targets.get(parent).map_or(&[][..], Vec::as_slice);
    let Some(selection) = field.selection() else { return writer.null(field, &field.ty) };
    match &links.rows {
        LinkedRows::Rows(rows) if field.ty.is_list() => {
            writer.list(&field.ty, targets.len(), |writer, index| {
                row(writer, selection, rows, targets[index] as usize)
            })
        }
        LinkedRows::Rows(rows) => match targets.first() {
            Some(target) => row(writer, selection, rows, *target as usize),
            None => dangling(writer, field, links.wanted.get(parent)),
        },
        LinkedRows::Wrapped(wrapped) => writer.list(&field.ty, targets.len(), |writer, index| {
            neighbour(writer, selection, wrapped, targets[index] as usize)
        }),
    }
}

/// A reference that finds no row: null, or an error. The key is a value that the caller did not ask
/// for, so that only the log has it.
fn dangling(writer: &mut Writer<'_>, field: &PlannedField, wanted: Option<&Value>) -> Written {
    match wanted {
        Some(key) if field.ty.is_non_null() && !key.is_null() => {
            // Of errors beyond the limit the answer gives the number only; so does the log.
            if writer.is_full() {
                return writer.left_out(&field.ty);
            }
            let target = field.ty.inner_named_type();
            let message = format!("the `{target}` that this refers to does not exist");
            let session = writer.session();
            let error = session.blame(field, &Error::not_found(message));
            let cause = format!("there is no `{target}` with the key `{key}`");
            writer.failed(&field.ty, session.referred(field, error, &cause))
        }
        _ => writer.null(field, &field.ty),
    }
}

fn neighbour(
    writer: &mut Writer<'_>,
    selection: &Selection,
    wrapped: &Wrapped,
    target: usize,
) -> Written {
    writer.object(selection, |writer, index, field| {
        match (&field.resolve, wrapped.nodes.get(index)) {
            (Resolve::Typename, _) => writer.typename(&selection.type_name),
            (Resolve::Part(Part::Distance), _) => {
                let distance = wrapped.distances.as_ref().map(|distances| distances.value(target));
                match distance {
                    Some(distance) if scalar::float(writer.out(), distance.into()) => Ok(()),
                    Some(_) => not_finite(writer, field, &field.ty),
                    None => writer.null(field, &field.ty),
                }
            }
            (_, Some(Some(rows))) => node(writer, field, rows, Some(target as u32)),
            _ => writer.null(field, &field.ty),
        }
    })
}

/// A row that a wrapper or a payload holds.
pub(super) fn node(
    writer: &mut Writer<'_>,
    field: &PlannedField,
    rows: &RowSet,
    target: Option<u32>,
) -> Written {
    match (field.selection(), target) {
        (Some(selection), Some(target)) => row(writer, selection, rows, target as usize),
        _ => writer.null(field, &field.ty),
    }
}

/// The rows of representations.
pub(crate) fn entities(
    writer: &mut Writer<'_>,
    field: &PlannedField,
    entities: &Entities,
) -> Written {
    let Inner::Abstract(selections) = &field.inner else { return writer.null(field, &field.ty) };
    writer.list(&field.ty, entities.places.len(), |writer, index| {
        let found = entities.places[index].and_then(|(set, row)| {
            let (name, rows) = entities.sets.get(set)?;
            Some((selections.get(name)?, rows, row))
        });
        match found {
            Some((selection, Ok(rows), at)) => row(writer, selection, rows, at),
            Some((_, Err(error), _)) => writer.failed(field.ty.item_type(), error.clone()),
            None => writer.null(field, field.ty.item_type()),
        }
    })
}

/// A page.
pub(crate) fn connection(
    writer: &mut Writer<'_>,
    field: &PlannedField,
    page: &Connection,
) -> Written {
    let Some(selection) = field.selection() else { return writer.null(field, &field.ty) };
    writer.object(selection, |writer, index, field| match (&field.resolve, page.slots.get(index)) {
        (Resolve::Typename, _) => writer.typename(&selection.type_name),
        (_, Some(ConnectionSlot::Nodes(rows))) => {
            writer.list(&field.ty, page.rows, |writer, index| {
                node(writer, field, rows, Some(index as u32))
            })
        }
        (_, Some(ConnectionSlot::Edges(wrapped))) => {
            writer.list(&field.ty, page.rows, |writer, index| {
                edge(writer, field, wrapped, page, index)
            })
        }
        (_, Some(ConnectionSlot::Count(count))) => total(writer, field, count),
        (_, Some(ConnectionSlot::Later(count))) => match count.get() {
            Some(count) => total(writer, field, count),
            None => writer.null(field, &field.ty),
        },
        (Resolve::Part(Part::Snapshot), _) => match page.position.snapshot {
            Some(snapshot) => long(writer, snapshot),
            None => writer.null(field, &field.ty),
        },
        (Resolve::Part(Part::PageInfo), _) => page_info(writer, field, page),
        _ => writer.null(field, &field.ty),
    })
}

fn total(
    writer: &mut Writer<'_>,
    field: &PlannedField,
    count: &Result<u64, GraphqlError>,
) -> Written {
    match count {
        Ok(count) if i32::try_from(*count).is_ok() => {
            writer.text(&count.to_string());
            Ok(())
        }
        Ok(count) => {
            let error = format!("{count} rows are more than an `Int` can say");
            let error = GraphqlError::new(Kind::LimitExceeded, error);
            writer.failed(&field.ty, error.located(&field.locations))
        }
        Err(error) => writer.failed(&field.ty, error.clone()),
    }
}

pub(super) fn long(writer: &mut Writer<'_>, number: i64) -> Written {
    writer.text(&format!("\"{number}\""));
    Ok(())
}

fn edge(
    writer: &mut Writer<'_>,
    edges: &PlannedField,
    wrapped: &Wrapped,
    page: &Connection,
    index: usize,
) -> Written {
    let Some(selection) = edges.selection() else { return writer.null(edges, &edges.ty) };
    writer.object(selection, |writer, position, field| {
        match (&field.resolve, wrapped.nodes.get(position)) {
            (Resolve::Typename, _) => writer.typename(&selection.type_name),
            (Resolve::Part(Part::Cursor), _) => {
                writer.string(&page.position.cursors[index]);
                Ok(())
            }
            (Resolve::Part(Part::Score), _) => match &page.scores {
                Some(scores) if scalar::float(writer.out(), scores.value(index)) => Ok(()),
                Some(_) => not_finite(writer, field, &field.ty),
                None => writer.null(field, &field.ty),
            },
            (_, Some(Some(rows))) => node(writer, field, rows, Some(index as u32)),
            _ => writer.null(field, &field.ty),
        }
    })
}

fn page_info(writer: &mut Writer<'_>, field: &PlannedField, page: &Connection) -> Written {
    let Some(selection) = field.selection() else { return writer.null(field, &field.ty) };
    let position = &page.position;
    writer.object(selection, |writer, _, field| {
        let Resolve::Part(part) = &field.resolve else {
            return writer.typename(&selection.type_name);
        };
        let cursor = match part {
            Part::HasNext => {
                writer.text(if position.has_next { "true" } else { "false" });
                return Ok(());
            }
            Part::HasPrevious => {
                writer.text(if position.has_previous { "true" } else { "false" });
                return Ok(());
            }
            Part::StartCursor => position.cursors.first(),
            _ => position.cursors.last(),
        };
        match cursor {
            Some(cursor) => {
                writer.string(cursor);
                Ok(())
            }
            None => writer.null(field, &field.ty),
        }
    })
}

/// What a mutation answers.
pub(crate) fn change(writer: &mut Writer<'_>, field: &PlannedField, change: &Change) -> Written {
    let Some(selection) = field.selection() else { return writer.null(field, &field.ty) };
    writer.object(selection, |writer, index, field| {
        let Resolve::Part(part) = field.resolve else {
            return writer.typename(&selection.type_name);
        };
        match (part, &change.unread, change.nodes.get(index)) {
            (Part::Snapshot, ..) => long(writer, change.receipt.snapshot),
            (Part::Count, ..) => {
                writer.text(&change.receipt.rows.to_string());
                Ok(())
            }
            (Part::Replayed, ..) => {
                writer.text(if change.receipt.replayed { "true" } else { "false" });
                Ok(())
            }
            (Part::Nodes, Some(error), _) => {
                writer.list(&field.ty, change.targets.len(), |writer, _| {
                    writer.failed(field.ty.item_type(), error.clone().located(&field.locations))
                })
            }
            (Part::Node, Some(error), _) => failed(writer, field, error),
            (Part::Nodes, None, rows) => {
                writer.list(&field.ty, change.targets.len(), |writer, index| match rows {
                    Some(Some(rows)) if change.targets[index].is_some() => {
                        node(writer, field, rows, change.targets[index])
                    }
                    _ => writer.null(field, field.ty.item_type()),
                })
            }
            (Part::Node, None, Some(Some(rows))) => {
                node(writer, field, rows, change.targets.first().copied().flatten())
            }
            _ => writer.null(field, &field.ty),
        }
    })
}
