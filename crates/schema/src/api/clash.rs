//! Names that the API takes for itself, and where a schema clashes with them.

use std::collections::HashMap;

use base::Place;

use super::names::{FINGERPRINT, namings};
use super::{Verb, aggregate, change, neighbours_field_name};
use crate::{FieldKind, ObjectType, Schema};

/// Types that every API has, or may have once a field needs them.
pub const RESERVED_TYPES: &[&str] = &[
    "Query",
    "Mutation",
    "Subscription",
    "PageInfo",
    "WritePayload",
    "Media",
    "MediaVariant",
    "MediaInput",
    "MediaWhere",
    "AsOf",
    "SortDirection",
    "ChangeKind",
    "GroupByValue",
    "GroupByDate",
    "GroupByDateTime",
    "GroupByNumber",
    "Int",
    "Float",
    "String",
    "Boolean",
    "ID",
    "Long",
    "Decimal",
    "Date",
    "DateTime",
    "UUID",
    "Bytes",
    "Vector",
    "JSON",
    "StringWhere",
    "IDWhere",
    "BooleanWhere",
    "IntWhere",
    "LongWhere",
    "FloatWhere",
    "DecimalWhere",
    "DateWhere",
    "DateTimeWhere",
    "UUIDWhere",
    "BytesWhere",
    "JSONWhere",
    "VectorWhere",
    "StringListWhere",
    "IDListWhere",
    "BooleanListWhere",
    "IntListWhere",
    "LongListWhere",
    "FloatListWhere",
    "DecimalListWhere",
    "DateListWhere",
    "DateTimeListWhere",
    "UUIDListWhere",
    "BytesListWhere",
];

/// Field names that no type may have, because `where` and orders use them.
const RESERVED_FIELDS: &[&str] = &["and", "or", "not"];

/// Key fields that would be taken for arguments of the fields by key.
const RESERVED_KEY_FIELDS: &[&str] = &["asOf", "idempotencyKey"];

/// What the API adds for one type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReservedNames {
    /// Types made from it, without the type itself.
    pub types: Vec<String>,
    /// Fields of `Query`.
    pub queries: Vec<String>,
    /// Fields of `Mutation`.
    pub mutations: Vec<String>,
    /// Fields of `Subscription`.
    pub subscriptions: Vec<String>,
    /// Fields that it must not declare: `and`, `or`, `not`, and siblings of `@nearest` fields.
    pub fields: Vec<String>,
}

/// What the API adds for this type.
pub fn reserved_names(object: &ObjectType) -> ReservedNames {
    let mut names = ReservedNames {
        fields: RESERVED_FIELDS.iter().map(|name| (*name).to_owned()).collect(),
        ..ReservedNames::default()
    };
    let of_type = |suffix: &str| format!("{}{suffix}", object.name);
    names.types.extend(["Input", "Where"].map(of_type));
    let nearest = |kind: &FieldKind| matches!(kind, FieldKind::Nearest(_));
    for field in object.fields.values().filter(|field| nearest(&field.kind)) {
        names.fields.push(neighbours_field_name(&field.name));
    }
    let Some(table) = object.table() else { return names };
    let of_tables =
        ["OrderBy", "Connection", "Edge", "Neighbour", "Payload", "ListPayload", "Update", "Key"];
    names.types.extend(of_tables.map(of_type));
    names.types.extend(aggregate::type_endings().map(of_type));
    names.types.extend(change::TYPE_ENDINGS.map(of_type));
    for naming in namings(object) {
        if !table.key.is_empty() {
            names.queries.push(naming.one.clone());
        }
        names.queries.extend([naming.list.clone(), naming.aggregate()]);
        names.subscriptions.push(naming.changed());
        for verb in Verb::of(table) {
            names.mutations.extend([false, true].map(|many| naming.mutation(*verb, many)));
        }
    }
    // With a `plural` the list fields of an earlier name are those of the present one.
    for list in [&mut names.queries, &mut names.mutations] {
        let mut seen = std::collections::HashSet::new();
        list.retain(|name| seen.insert(name.clone()));
    }
    names
}

/// One clash between a schema and the names of its API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clash {
    /// What clashes.
    pub message: String,
    /// Where the thing is declared that should get another name.
    pub place: Place,
    /// What to do.
    pub hint: String,
}

/// All clashes of a schema with the names of its API, in the order of its types.
pub fn clashes(schema: &Schema) -> Vec<Clash> {
    let mut found = Vec::new();
    let mut taken = Taken::default();
    for enumeration in schema.enums.values() {
        taken.declare(&enumeration.name, &enumeration.place, &mut found);
    }
    for object in schema.types.values() {
        taken.declare(&object.name, &object.place, &mut found);
    }
    for object in schema.types.values() {
        check_fields(object, &mut found);
        let names = reserved_names(object);
        for (space, names) in [
            ("type", names.types),
            ("query field", names.queries),
            ("mutation field", names.mutations),
            ("subscription field", names.subscriptions),
        ] {
            for name in names {
                taken.take(space, name, object, &mut found);
            }
        }
    }
    found
}

fn check_fields(object: &ObjectType, found: &mut Vec<Clash>) {
    let reserved = reserved_names(object).fields;
    for field in object.fields.values() {
        if reserved.iter().any(|name| *name == *field.name) {
            found.push(Clash {
                message: format!(
                    "the API uses the name `{}` in `{}` itself",
                    field.name, object.name
                ),
                place: field.place.clone(),
                hint: "give the field another name".to_owned(),
            });
        }
    }
    let key = object.table().map_or(&[][..], |table| &table.key);
    for field in key.iter().map(|id| object.field(*id)) {
        if RESERVED_KEY_FIELDS.contains(&field.name.as_ref()) {
            found.push(Clash {
                message: format!(
                    "a key field cannot be called `{}`: it is an argument",
                    field.name
                ),
                place: field.place.clone(),
                hint: "give the field another name".to_owned(),
            });
        }
    }
}

/// Names that are taken, each with the type that took it.
struct Taken(HashMap<(&'static str, String), String>);

impl Default for Taken {
    fn default() -> Self {
        let by_all = |name: &str| (("type", name.to_owned()), "every API".to_owned());
        let mut taken: HashMap<_, _> = RESERVED_TYPES.iter().map(|name| by_all(name)).collect();
        taken.insert(("query field", FINGERPRINT.to_owned()), "every API".to_owned());
        Taken(taken)
    }
}

impl Taken {
    /// A type or enum that the schema declares.
    fn declare(&mut self, name: &str, place: &Place, found: &mut Vec<Clash>) {
        // A schema may spell out the built-in type of stored media; it is the same type.
        if name == "Media" {
            return;
        }
        if let Some(owner) = self.0.insert(("type", name.to_owned()), format!("`{name}`")) {
            found.push(Clash {
                message: format!("the type name `{name}` is taken by {owner}"),
                place: place.clone(),
                hint: "give the type another name".to_owned(),
            });
        }
    }

    /// A name that the API makes for `object`.
    fn take(
        &mut self,
        space: &'static str,
        name: String,
        object: &ObjectType,
        found: &mut Vec<Clash>,
    ) {
        if let Some(owner) = self.0.get(&(space, name.clone())) {
            found.push(Clash {
                message: format!(
                    "the API of `{}` needs the {space} `{name}`, which is taken by {owner}",
                    object.name
                ),
                place: object.place.clone(),
                hint: "give one of them another name or another `plural`".to_owned(),
            });
            return;
        }
        self.0.insert((space, name), format!("`{}`", object.name));
    }
}
