//! What became of the types and fields of an earlier schema: how its clients' writes are said in a
//! later one.
//!
//! In: the two schemas. Out: [`Successor`]. Not here: rows.

use std::sync::Arc;

use frame::DataType;

use crate::diff::{Conversion, Pairing, column_conversion};
use crate::model::{ObjectType, Schema};

/// A type of the later schema that came from one of the earlier.
#[derive(Clone, Debug, PartialEq)]
pub struct Successor {
    /// Its name.
    pub type_name: Arc<str>,
    /// Whether its key has other fields, so that rows are not told apart as before.
    pub other_key: bool,
    /// The stored fields of the earlier type.
    pub fields: Vec<FieldSuccessor>,
}

/// What became of a stored field.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldSuccessor {
    /// What it was called.
    pub name: Arc<str>,
    /// What it is.
    pub now: FieldNow,
}

/// What a stored field is now.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldNow {
    /// The same, under a name, with a type that every old value has.
    Is(Arc<str>, DataType),
    /// Something that not every old value can be.
    Converted,
    /// Gone.
    Dropped,
}

/// What became of a type; nothing when it is no table any more.
pub fn successor(old: &Schema, new: &Schema, type_name: &str) -> Option<Successor> {
    let pairing = Pairing::of(old, new);
    let pair = pairing.pair_of_old(type_name)?;
    pair.new.table()?;
    let now = |name: &str| {
        let Some(fields) = pair.fields.iter().find(|fields| fields.old.name.as_ref() == name)
        else {
            return FieldNow::Dropped;
        };
        let Some(column) = fields.new.column() else { return FieldNow::Dropped };
        match column_conversion(&pairing, *fields) {
            Some(Conversion::Convert { .. } | Conversion::Impossible(_)) => FieldNow::Converted,
            _ => FieldNow::Is(fields.new.name.clone(), column.data_type.clone()),
        }
    };
    let fields = pair
        .old
        .columns()
        .map(|(def, _)| FieldSuccessor { name: def.name.clone(), now: now(&def.name) });
    let fields: Vec<FieldSuccessor> = fields.collect();
    let before = key(pair.old).into_iter().map(|name| {
        let found = fields.iter().find(|field| field.name == name);
        match found.map(|field| &field.now) {
            Some(FieldNow::Is(now, _)) => now.clone(),
            _ => "".into(),
        }
    });
    let other_key = before.collect::<Vec<_>>() != key(pair.new);
    Some(Successor { type_name: pair.new.name.clone(), other_key, fields })
}

fn key(object: &ObjectType) -> Vec<Arc<str>> {
    let Some(spec) = object.table() else { return Vec::new() };
    spec.key.iter().map(|id| object.field(*id).name.clone()).collect()
}
