//! What stands behind a field of the API.

use std::collections::HashSet;
use std::sync::Arc;

use base::{Error, Kind, Result};
use frame::DataType;
use schema::api::{AggregatePart, Api, ApiObject, MutationField, QueryField};
use schema::{FieldDef, FieldId, FieldKind, Giver, Schema, TypeId};

use super::PlannedField;
use super::route::Atlas;
use crate::fetch::entities::ENTITIES;

/// Where the values of an engine come from.
pub(crate) enum Backend {
    /// Root fields answer JSON.
    Plain,
    /// Services answer.
    Graph(Arc<Atlas>),
    /// The tables of a central schema.
    Tables {
        /// The schema.
        schema: Arc<Schema>,
        /// Its API.
        api: Arc<Api>,
    },
}

/// What stands behind a field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Resolve {
    /// `__typename`.
    Typename,
    /// `__schema`, `__type`, and everything below them.
    Introspection,
    /// A part of a JSON value.
    Json,
    /// The fingerprint of the schema.
    Fingerprint,
    /// One row by its key.
    ByKey(TypeId),
    /// Rows of several types by representations.
    Entities,
    /// A connection.
    List(TypeId),
    /// Groups of rows.
    Aggregate(TypeId),
    /// What is measured of a group: rows, or fields in an object.
    Measure(TypeId, MeasureKind),
    /// A field of which something is measured.
    Measured(TypeId, FieldId),
    /// A change.
    Mutate(MutationField),
    /// What becomes of rows.
    Changed(TypeId),
    /// A part of what a connection, a page, an edge or a payload says.
    Part(Part),
    /// A stored value, or a part of one.
    Column(Arc<str>, DataType),
    /// Stored media.
    Media(TypeId, FieldId),
    /// The path of stored media.
    Url,
    /// A computed value.
    Derived(TypeId, FieldId),
    /// A row that this one refers to.
    One(TypeId, FieldId),
    /// Rows that refer to this one.
    Many(TypeId, FieldId),
    /// Rows near to this one.
    Nearest(TypeId, FieldId),
    /// Rows near to this one, with their distances.
    Neighbours(TypeId, FieldId),
}

/// What is measured of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MeasureKind {
    Keys,
    Rows,
    CountOf,
    CountDistinct,
    Min,
    Max,
    Sum,
    Avg,
    Percentile,
}

impl MeasureKind {
    const ALL: [(&'static str, MeasureKind); 9] = [
        ("keys", MeasureKind::Keys),
        ("count", MeasureKind::Rows),
        ("countOf", MeasureKind::CountOf),
        ("countDistinct", MeasureKind::CountDistinct),
        ("min", MeasureKind::Min),
        ("max", MeasureKind::Max),
        ("sum", MeasureKind::Sum),
        ("avg", MeasureKind::Avg),
        ("percentile", MeasureKind::Percentile),
    ];

    /// The measure that a field of the API gives.
    pub(crate) fn named(field: &str) -> Option<MeasureKind> {
        let mut all = Self::ALL.into_iter();
        all.find(|(name, _)| *name == field).map(|(_, kind)| kind)
    }

    /// The field of the API that gives it.
    pub(crate) fn name(self) -> &'static str {
        let mut all = Self::ALL.into_iter();
        all.find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }
}

/// The parts of objects that the API adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Edges,
    Nodes,
    PageInfo,
    TotalCount,
    Snapshot,
    Node,
    Cursor,
    Score,
    Distance,
    HasNext,
    HasPrevious,
    StartCursor,
    EndCursor,
    Count,
    Replayed,
    Kind,
    Key,
}

impl Backend {
    /// The last day on which a field answers, when its name is an earlier one.
    pub(crate) fn until(&self, parent: &str, field: &str) -> Option<Arc<str>> {
        let Backend::Tables { api, .. } = self else { return None };
        match api.object(parent)? {
            ApiObject::Query | ApiObject::Mutation | ApiObject::Subscription => {
                api.root_until(field).cloned()
            }
            ApiObject::Row(id) => api.field(id, field)?.until.clone(),
            ApiObject::Aggregate(_, AggregatePart::Group) => None,
            ApiObject::Aggregate(id, _) => api.field(id, field)?.until.clone(),
            _ => None,
        }
    }

    /// Whether a derived field reads more than the stored fields of its row.
    pub(crate) fn reads_beyond(&self, id: TypeId, field: FieldId) -> bool {
        let Backend::Tables { schema, .. } = self else { return false };
        let field: &FieldDef = schema.object(id).field(field);
        matches!(&field.kind, FieldKind::Derived(derived) if derived.beyond.is_some())
    }

    /// What stands behind the field.
    pub(crate) fn resolve(&self, parent: &str, field: &str) -> Result<Resolve> {
        match field {
            "__typename" => return Ok(Resolve::Typename),
            "__schema" | "__type" => return Ok(Resolve::Introspection),
            // Names that begin so are the specification's own.
            _ if parent.starts_with("__") => return Ok(Resolve::Introspection),
            _ => {}
        }
        let Backend::Tables { schema, api } = self else { return Ok(Resolve::Json) };
        let found = match api.object(parent) {
            Some(ApiObject::Query) if field == ENTITIES => Some(Resolve::Entities),
            Some(ApiObject::Query) => api.query(field).map(|found| match found {
                QueryField::Fingerprint => Resolve::Fingerprint,
                QueryField::ByKey(id) => Resolve::ByKey(id),
                QueryField::List(id) => Resolve::List(id),
                QueryField::Aggregate(id) => Resolve::Aggregate(id),
            }),
            Some(ApiObject::Mutation) => api.mutation(field).map(Resolve::Mutate),
            Some(ApiObject::Subscription) => api.change(field).map(Resolve::Changed),
            Some(ApiObject::ChangeKey(id)) => return row(schema, api, id, field),
            Some(ApiObject::Row(id)) => return row(schema, api, id, field),
            Some(ApiObject::Aggregate(id, AggregatePart::Group)) => {
                MeasureKind::named(field).map(|kind| Resolve::Measure(id, kind))
            }
            Some(ApiObject::Aggregate(id, _)) => {
                api.field(id, field).map(|found| Resolve::Measured(id, found.field))
            }
            Some(ApiObject::Media) => media(field),
            Some(_) => part(field).map(Resolve::Part),
            None => None,
        };
        found.ok_or_else(|| Error::internal(format!("nothing stands behind `{parent}.{field}`")))
    }
}

fn part(field: &str) -> Option<Part> {
    Some(match field {
        "edges" => Part::Edges,
        "nodes" => Part::Nodes,
        "pageInfo" => Part::PageInfo,
        "totalCount" => Part::TotalCount,
        "snapshot" => Part::Snapshot,
        "node" => Part::Node,
        "cursor" => Part::Cursor,
        "score" => Part::Score,
        "distance" => Part::Distance,
        "hasNextPage" => Part::HasNext,
        "hasPreviousPage" => Part::HasPrevious,
        "startCursor" => Part::StartCursor,
        "endCursor" => Part::EndCursor,
        "count" => Part::Count,
        "replayed" => Part::Replayed,
        "kind" => Part::Kind,
        "key" => Part::Key,
        _ => return None,
    })
}

fn media(field: &str) -> Option<Resolve> {
    if field == "url" {
        return Some(Resolve::Url);
    }
    let DataType::Struct(parts) = Schema::media_type() else { return None };
    let part = parts.into_iter().find(|part| part.name.as_ref() == field)?;
    Some(Resolve::Column(part.name, part.data_type))
}

fn row(schema: &Schema, api: &Api, id: TypeId, field: &str) -> Result<Resolve> {
    let object = schema.object(id);
    let unknown = || Error::internal(format!("nothing stands behind `{}.{field}`", object.name));
    let found = api.field(id, field).ok_or_else(unknown)?;
    let definition = object.field(found.field);
    let resolve = match &definition.kind {
        FieldKind::Column(column) => {
            return Ok(Resolve::Column(definition.name.clone(), column.data_type.clone()));
        }
        FieldKind::Media(_) => Resolve::Media(id, found.field),
        FieldKind::Derived(derived) => {
            if derived.beyond.as_ref().is_some_and(|beyond| beyond.giver == Giver::Graph) {
                let words = format!(
                    "`{}.{field}` is computed of what services give, not of the tables alone",
                    object.name
                );
                return Err(Error::new(Kind::Unsupported, words));
            }
            Resolve::Derived(id, found.field)
        }
        FieldKind::Reference(reference) if reference.many => Resolve::Many(id, found.field),
        FieldKind::Reference(_) => Resolve::One(id, found.field),
        FieldKind::Nearest(_) if found.neighbours => Resolve::Neighbours(id, found.field),
        FieldKind::Nearest(_) => Resolve::Nearest(id, found.field),
    };
    if object.table().is_none() && !matches!(resolve, Resolve::Media(..)) {
        return Err(Error::new(
            Kind::Unsupported,
            format!("`{}.{field}` of an embedded type is computed from a table", object.name),
        ));
    }
    Ok(resolve)
}

/// The columns that the fields of a row read, in the order of the type's fields.
pub(crate) fn columns(
    backend: &Backend,
    type_name: &str,
    fields: &[PlannedField],
) -> Vec<Arc<str>> {
    let Backend::Tables { schema, api } = backend else { return Vec::new() };
    let Some(ApiObject::Row(id)) = api.object(type_name) else { return Vec::new() };
    let object = schema.object(id);
    let Some(table) = object.table() else { return Vec::new() };
    let mut wanted: HashSet<FieldId> = HashSet::new();
    for field in fields {
        if let Some(inputs) = &field.inputs {
            let read = inputs.columns.iter();
            wanted.extend(read.filter_map(|name| object.field_named(name).map(|(id, _)| id)));
            continue;
        }
        match &field.resolve {
            Resolve::Column(name, _) => wanted.extend(object.field_named(name).map(|(id, _)| id)),
            Resolve::Media(_, field) => {
                wanted.insert(*field);
            }
            Resolve::Derived(_, field) | Resolve::One(_, field) => match &object.field(*field).kind
            {
                FieldKind::Derived(derived) => wanted.extend(&derived.inputs),
                FieldKind::Reference(reference) => {
                    wanted.insert(reference.by);
                }
                _ => {}
            },
            Resolve::Many(..) | Resolve::Nearest(..) | Resolve::Neighbours(..) => {
                wanted.extend(&table.key);
            }
            _ => {}
        }
    }
    let mut wanted: Vec<FieldId> = wanted.into_iter().collect();
    wanted.sort_unstable();
    wanted.into_iter().map(|id| object.field(id).name.clone()).collect()
}
