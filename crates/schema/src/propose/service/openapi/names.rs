//! Names that GraphQL allows, from names as documents have them; each is used once.

use std::collections::HashSet;

use crate::propose::name::{camel, pascal, words};

/// Names that are taken in every module.
const TAKEN: [&str; 10] = [
    "Query",
    "Mutation",
    "Subscription",
    "Int",
    "Float",
    "String",
    "Boolean",
    "ID",
    "JSON",
    "Long",
];

/// Whether a name is legal as it is.
pub(super) fn is_legal(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !name.starts_with("__")
        && name.len() <= 100
}

/// The name of a field or an argument.
pub(super) fn field(name: &str) -> String {
    if is_legal(name) { name.to_owned() } else { camel(&words(name)) }
}

/// The name of a value of an enum; nothing where it cannot have one.
pub(super) fn value(name: &str) -> Option<String> {
    let is_free = !["true", "false", "null"].contains(&name);
    if is_legal(name) && is_free {
        return Some(name.to_owned());
    }
    let mut made = words(name).join("_").to_uppercase();
    if made.is_empty() {
        return None;
    }
    if made.starts_with(|c: char| c.is_ascii_digit()) {
        made.insert(0, '_');
    }
    Some(if is_free { made } else { format!("{made}_") })
}

/// Names of types.
#[derive(Debug, Default)]
pub(super) struct Names(HashSet<String>);

impl Names {
    /// The name of a type, which no other has.
    pub(super) fn named(&mut self, wanted: &str) -> String {
        let first = match is_legal(wanted) {
            true => wanted.to_owned(),
            false => pascal(&words(wanted)),
        };
        let is_taken = TAKEN.contains(&first.as_str());
        let first = if is_taken { format!("{first}Type") } else { first };
        self.free(&first)
    }

    /// A name with a number after it where it is taken.
    pub(super) fn free(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        let mut number = 1;
        while !self.0.insert(name.clone()) {
            number += 1;
            name = format!("{wanted}{number}");
        }
        name
    }
}

/// `PetList` of `listPets` and the like: the words of a name as those of a type.
pub(super) fn type_of(name: &str) -> String {
    pascal(&words(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_legal_and_unlike() {
        assert_eq!(
            (field("film_id"), field("film-id"), field("@type")),
            ("film_id".into(), "filmId".into(), "type".into())
        );
        assert_eq!(field("$"), "column");
        assert_eq!(value("sci-fi").as_deref(), Some("SCI_FI"));
        assert_eq!(value("true").as_deref(), Some("TRUE_"));
        assert_eq!(value("1st").as_deref(), Some("_1ST"));
        assert_eq!(value("%"), None);
        let mut names = Names::default();
        assert_eq!(names.named("Pet"), "Pet");
        assert_eq!(names.named("Pet"), "Pet2");
        assert_eq!(names.named("Query"), "QueryType");
        assert_eq!(names.named("film.v1"), "FilmV1");
    }
}
