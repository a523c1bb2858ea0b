//! How fields of the API are called.

use std::sync::Arc;

use crate::{ObjectType, TableSpec, Was};

/// The field of `Query` that says which schema answers.
pub(super) const FINGERPRINT: &str = "schemaFingerprint";

/// What a mutation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Adds rows whose keys must be new.
    Create,
    /// Adds rows, or replaces those with the same key.
    Upsert,
    /// Changes given fields of rows that must exist.
    Update,
    /// Removes rows.
    Delete,
    /// Adds rows of a type without a key.
    Append,
}

impl Verb {
    /// The verbs that a table offers.
    pub fn of(table: &TableSpec) -> &'static [Verb] {
        match table.key.is_empty() {
            true => &[Verb::Append],
            false => &[Verb::Create, Verb::Upsert, Verb::Update, Verb::Delete],
        }
    }

    /// The word with which its fields begin.
    pub fn word(self) -> &'static str {
        match self {
            Verb::Create => "create",
            Verb::Upsert => "upsert",
            Verb::Update => "update",
            Verb::Delete => "delete",
            Verb::Append => "append",
        }
    }
}

/// The names of the root fields of one table, under its present or an earlier name.
pub(super) struct Naming {
    /// The type's name of this naming.
    pub(super) type_name: Arc<str>,
    /// The field that gives one row.
    pub(super) one: String,
    /// The field that gives many.
    pub(super) list: String,
    /// The new name of the type and the last day, when this naming is an earlier one.
    pub(super) earlier: Option<(Arc<str>, Arc<str>)>,
}

impl Naming {
    /// The name of the field that gives groups.
    pub(super) fn aggregate(&self) -> String {
        format!("{}Aggregate", self.list)
    }

    /// The name of the field that tells what becomes of rows.
    pub(super) fn changed(&self) -> String {
        format!("{}Changed", self.one)
    }

    /// The name of a mutation: the verb, then the type or the list field.
    pub(super) fn mutation(&self, verb: Verb, many: bool) -> String {
        let subject =
            if many { capitalised(&self.list) } else { self.type_name.as_ref().to_owned() };
        format!("{}{subject}", verb.word())
    }
}

/// The present naming, then those of earlier names that still answer.
pub(super) fn namings(object: &ObjectType) -> Vec<Naming> {
    let plural = object.table().and_then(|table| table.plural.clone());
    let naming = |name: &Arc<str>, earlier| Naming {
        type_name: name.clone(),
        one: key_field_name(name),
        list: plural.as_deref().map_or_else(|| list_name(name), str::to_owned),
        earlier,
    };
    let mut namings = vec![naming(&object.name, None)];
    for (name, until) in answering(&object.was) {
        namings.push(naming(name, Some((object.name.clone(), until.clone()))));
    }
    namings
}

/// The earlier names that still answer, with their last day.
pub(super) fn answering(was: &[Was]) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
    was.iter().filter_map(|was| Some((&was.name, was.until.as_ref()?)))
}

/// The field that gives one row by its key: the type's name with small first letters (`film`,
/// `httpEvent` for `HTTPEvent`).
pub fn key_field_name(type_name: &str) -> String {
    let letters: Vec<char> = type_name.chars().collect();
    let capitals = letters.iter().take_while(|letter| letter.is_ascii_uppercase()).count();
    // The last capital of several belongs to the next word, unless the whole name is capitals.
    let small = if capitals > 1 && capitals < letters.len() { capitals - 1 } else { capitals };
    let lower = letters.iter().take(small).map(char::to_ascii_lowercase);
    lower.chain(letters.iter().skip(small).copied()).collect()
}

/// The field that gives many rows: `plural`, else the type's name and `List`.
pub fn list_field_name(object: &ObjectType) -> String {
    let plural = object.table().and_then(|table| table.plural.as_deref());
    plural.map_or_else(|| list_name(&object.name), str::to_owned)
}

fn list_name(type_name: &str) -> String {
    format!("{}List", key_field_name(type_name))
}

/// The sibling of a field with `@nearest` whose items carry the distance.
pub fn neighbours_field_name(field: &str) -> String {
    format!("{field}Edges")
}

fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_names_follow_type_names() {
        let names = ["Film", "HTTPEvent", "URL", "A", "XRay"].map(key_field_name);
        assert_eq!(names, ["film", "httpEvent", "url", "a", "xRay"]);
        assert_eq!(capitalised("filmList"), "FilmList");
    }
}
