//! The GraphQL API that follows from a central schema: its SDL, and the map from its names back to
//! the model.
//!
//! In: a compiled [`Schema`]. Out: [`api_sdl`] (the same bytes for the same schema; of its tables
//! alone), [`Api`] (which
//! root field, object and field of the API stands for what in the model), and the names that the
//! API takes for itself, so that a clash is a check error. Not here: execution (`mesh`), typed
//! clients (`generate`).
//!
//! **The rules of names**, for a type `Film` with `plural: "films"`:
//!
//! | what | name | without `plural` |
//! | --- | --- | --- |
//! | one row | `film(id:, asOf:)`: one argument a key field | |
//! | many rows | `films(where:, orderBy:, first:, after:, last:, before:, search:, asOf:)` | `filmList` |
//! | groups of rows | `filmsAggregate(where:, search:, asOf:, groupBy:, having:, orderBy:, first:)` | `filmListAggregate` |
//! | what becomes of rows | `filmChanged(where:, after:)` of `Subscription` | |
//! | changes | `createFilm`, `upsertFilm`, `updateFilm`, `deleteFilm` | |
//! | changes of many | the verb and the list field: `createFilms`, … | `createFilmList`, … |
//! | without a key | only `appendPlay` and `appendPlays` | `appendPlayList` |
//!
//! Root fields are nullable, so that one that fails leaves the others. A field with `@nearest`, say
//! `similar`, gets a sibling `similarEdges` whose items carry `node` and `distance`. A name from
//! `@was(name, until)` answers beside the new one as a deprecated field until that day.

mod aggregate;
mod change;
mod clash;
mod input;
mod names;
mod root;
mod sdl;

use std::collections::HashMap;
use std::sync::Arc;

pub(crate) use aggregate::type_endings as aggregate_type_endings;
pub use aggregate::{AggregatePart, numeric_columns, ordered_columns};
pub use clash::{Clash, RESERVED_TYPES, ReservedNames, clashes, reserved_names};
pub use names::{Verb, key_field_name, list_field_name, neighbours_field_name};
pub use sdl::{api_sdl, output_type};

use crate::{FieldId, FieldKind, ObjectType, Schema, TypeId};

/// The API that clients see, as SDL: that of the graph where there are services beside the tables.
pub fn served_sdl(schema: &Schema) -> String {
    schema.graph.as_ref().map_or_else(|| api_sdl(schema), |graph| graph.api.to_string())
}

/// Rows in a page of a connection when neither `first` nor `last` is given.
pub const DEFAULT_PAGE: usize = 50;

/// Rows for each parent in a list of references that declares no default.
pub const DEFAULT_REFERENCES: usize = 100;

/// The map from the names of the API to the model.
#[derive(Clone, Debug)]
pub struct Api {
    sdl: Arc<str>,
    queries: HashMap<Arc<str>, QueryField>,
    mutations: HashMap<Arc<str>, MutationField>,
    /// Fields of `Subscription`, each with its table.
    changes: HashMap<Arc<str>, TypeId>,
    objects: HashMap<Arc<str>, ApiObject>,
    fields: HashMap<(TypeId, Arc<str>), ApiField>,
    /// Earlier names of root fields, each with its last day.
    earlier: HashMap<Arc<str>, Arc<str>>,
}

/// What a field of `Query` stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryField {
    /// `schemaFingerprint`.
    Fingerprint,
    /// One row by its key.
    ByKey(TypeId),
    /// A connection over the rows of a table.
    List(TypeId),
    /// Groups of the rows of a table.
    Aggregate(TypeId),
}

/// What a field of `Mutation` stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MutationField {
    /// The table.
    pub type_id: TypeId,
    /// What it does.
    pub verb: Verb,
    /// Whether it takes a list.
    pub many: bool,
}

/// What an object type of the API stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiObject {
    /// The root of queries.
    Query,
    /// The root of mutations.
    Mutation,
    /// The root of subscriptions.
    Subscription,
    /// A type of the central schema: a row of a table, or an embedded object.
    Row(TypeId),
    /// A page of rows.
    Connection(TypeId),
    /// A row with its cursor.
    Edge(TypeId),
    /// A row with its distance.
    Neighbour(TypeId),
    /// What is said of a group of rows.
    Aggregate(TypeId, AggregatePart),
    /// What became of a row.
    Change(TypeId),
    /// The key of a row that changed.
    ChangeKey(TypeId),
    /// What a change of one row answers.
    Payload(TypeId),
    /// What a change of many rows answers.
    ListPayload(TypeId),
    /// What a change answers that gives no rows back.
    WritePayload,
    /// Where a page lies.
    PageInfo,
    /// Stored media.
    Media,
}

/// What a field of a row stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiField {
    /// The field of the model.
    pub field: FieldId,
    /// Whether it is the `…Edges` sibling of a field with `@nearest`.
    pub neighbours: bool,
    /// The last day on which this name answers, when it is an earlier one.
    pub until: Option<Arc<str>>,
}

impl Api {
    /// The API of a schema.
    pub fn new(schema: &Schema) -> Self {
        let mut api = Api {
            sdl: api_sdl(schema).into(),
            queries: HashMap::from([(names::FINGERPRINT.into(), QueryField::Fingerprint)]),
            mutations: HashMap::new(),
            changes: HashMap::new(),
            objects: HashMap::new(),
            fields: HashMap::new(),
            earlier: HashMap::new(),
        };
        for (name, object) in [
            ("Query", ApiObject::Query),
            ("Mutation", ApiObject::Mutation),
            ("Subscription", ApiObject::Subscription),
            ("WritePayload", ApiObject::WritePayload),
            ("PageInfo", ApiObject::PageInfo),
            ("Media", ApiObject::Media),
        ] {
            api.objects.insert(name.into(), object);
        }
        for (index, object) in schema.types.values().enumerate() {
            let id = TypeId(index as u32);
            api.add_fields(id, object);
            api.objects.insert(object.name.clone(), ApiObject::Row(id));
            if object.table().is_some() {
                api.add_table(id, object);
            }
        }
        api
    }

    /// The API as SDL.
    pub fn sdl(&self) -> &Arc<str> {
        &self.sdl
    }

    /// What this field of `Query` stands for.
    pub fn query(&self, name: &str) -> Option<QueryField> {
        self.queries.get(name).copied()
    }

    /// What this field of `Mutation` stands for.
    pub fn mutation(&self, name: &str) -> Option<MutationField> {
        self.mutations.get(name).copied()
    }

    /// The table whose changes this field of `Subscription` tells.
    pub fn change(&self, name: &str) -> Option<TypeId> {
        self.changes.get(name).copied()
    }

    /// What this object type stands for.
    pub fn object(&self, name: &str) -> Option<ApiObject> {
        self.objects.get(name).copied()
    }

    /// What this field of a row stands for: by its present or an earlier name.
    pub fn field(&self, type_id: TypeId, name: &str) -> Option<&ApiField> {
        self.fields.get(&(type_id, name.into()))
    }

    /// The last day on which this field of `Query`, `Mutation` or `Subscription` answers, when its name is an earlier
    /// one.
    pub fn root_until(&self, name: &str) -> Option<&Arc<str>> {
        self.earlier.get(name)
    }

    fn add_fields(&mut self, id: TypeId, object: &ObjectType) {
        for (index, field) in object.fields.values().enumerate() {
            let found = ApiField { field: FieldId(index as u32), neighbours: false, until: None };
            let earlier = names::answering(&field.was).map(|(name, until)| (name, Some(until)));
            for (name, until) in std::iter::once((&field.name, None)).chain(earlier) {
                let found = ApiField { until: until.cloned(), ..found.clone() };
                if matches!(field.kind, FieldKind::Nearest(_)) {
                    let sibling = neighbours_field_name(name).into();
                    let found = ApiField { neighbours: true, ..found.clone() };
                    self.fields.insert((id, sibling), found);
                }
                self.fields.insert((id, name.clone()), found);
            }
        }
    }

    /// Remembers a name that only an earlier naming has.
    fn note_earlier(&mut self, name: &str, naming: &names::Naming) {
        let known = self.queries.contains_key(name)
            || self.mutations.contains_key(name)
            || self.changes.contains_key(name);
        if let (Some((_, until)), false) = (&naming.earlier, known) {
            self.earlier.insert(name.into(), until.clone());
        }
    }

    fn add_table(&mut self, id: TypeId, object: &ObjectType) {
        let Some(table) = object.table() else { return };
        for naming in names::namings(object) {
            let mut names = Vec::new();
            if !table.key.is_empty() {
                names.push((naming.one.clone(), QueryField::ByKey(id)));
            }
            names.push((naming.list.clone(), QueryField::List(id)));
            names.push((naming.aggregate(), QueryField::Aggregate(id)));
            for (name, field) in names {
                self.note_earlier(&name, &naming);
                self.queries.insert(name.into(), field);
            }
            let changed = naming.changed();
            self.note_earlier(&changed, &naming);
            self.changes.insert(changed.into(), id);
            for verb in Verb::of(table) {
                for many in [false, true] {
                    let field = MutationField { type_id: id, verb: *verb, many };
                    let name = naming.mutation(*verb, many);
                    self.note_earlier(&name, &naming);
                    self.mutations.insert(name.into(), field);
                }
            }
        }
        for (suffix, shape) in [
            ("Connection", ApiObject::Connection(id)),
            ("Edge", ApiObject::Edge(id)),
            ("Neighbour", ApiObject::Neighbour(id)),
            ("Payload", ApiObject::Payload(id)),
            ("ListPayload", ApiObject::ListPayload(id)),
        ] {
            self.objects.insert(format!("{}{suffix}", object.name).into(), shape);
        }
        for (name, shape) in
            aggregate::objects(&object.name, id).chain(change::objects(&object.name, id))
        {
            self.objects.insert(name.into(), shape);
        }
    }
}

#[cfg(test)]
mod tests;
