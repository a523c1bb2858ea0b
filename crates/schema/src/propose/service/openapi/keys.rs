//! Which types have keys: in come types and fields, out come calls that find an object by one.
//!
//! `GET /films/{filmId}` that answers with a `Film` finds films by their `filmId`, or by their `id`. Only
//! such a call makes a key; a property that is called `id` does not.

use indexmap::IndexMap;

use super::operations::Field;
use super::types::{Made, Types};
use crate::propose::name::words;

/// The key of a type.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) field: String,
    /// The path with the field in its hole.
    pub(super) target: String,
}

/// The keys, by type.
pub(super) fn keys(
    types: &Types<'_>,
    fields: &[Field],
    notes: &mut Vec<String>,
) -> IndexMap<String, Key> {
    let mut keys = IndexMap::new();
    for field in fields.iter().filter(|field| field.is_read) {
        let [(argument, parameter)] = field.path.as_slice() else { continue };
        let is_alone = field.arguments.iter().all(|it| it.name == *argument || !it.is_required);
        let path = field.target.split('?').next().unwrap_or_default();
        let hole = format!("{{{argument}}}");
        if !is_alone || !path.ends_with(&format!("/{hole}")) || !field.headers.is_empty() {
            continue;
        }
        let Some(Made::Object { fields: members, .. }) = types.made.get(&field.ty) else {
            continue;
        };
        let own = |name: &str| members.iter().find(|member| member.wire == name);
        let parts = words(parameter);
        let is_id = parts.last().is_some_and(|last| last == "id");
        let member = own(parameter).or_else(|| own("id").filter(|_| is_id));
        let Some(member) = member.filter(|member| is_word(&member.ty)) else { continue };
        if keys.contains_key(&field.ty) {
            continue;
        }
        notes.push(format!(
            "`{}` has the key `{}`, because `GET {path}` answers with one.",
            field.ty, member.name
        ));
        let target = path.replace(&hole, &format!("{{{}}}", member.name));
        keys.insert(field.ty.clone(), Key { field: member.name.clone(), target });
    }
    keys
}

fn is_word(ty: &str) -> bool {
    ["ID", "String", "Int", "Long"].contains(&ty)
}
