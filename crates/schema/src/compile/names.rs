//! Which names may be given: in comes a name with what it is for, out comes whether it is fine.

use crate::diagnostic::Code;

use super::directives::Text;
use super::report::{Report, Spot};

/// The longest name, in characters: what every SQL database takes.
const MAX_NAME: usize = 63;

/// Schemas that SQL tools expect to mean something else.
const RESERVED_MODULES: [&str; 4] = ["information_schema", "pg_catalog", "system", "public"];

/// Why no type may have this name, if that is so. Names that the API makes of other types are
/// looked for once all types are known.
pub(crate) fn reserved_type(name: &str) -> Option<&'static str> {
    match name {
        "Query" | "Mutation" | "Subscription" => {
            Some("queries and mutations follow from the tables; nothing is declared for them")
        }
        _ if name.starts_with("__") => {
            Some("names with two underscores at the start belong to GraphQL")
        }
        _ => None,
    }
}

/// Whether a name begins with a letter and goes on with letters, digits and `_`.
pub(crate) fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.len() <= MAX_NAME
}

/// Checks the name of a table or column.
pub(crate) fn identifier(what: &str, name: &str, spot: Spot, report: &mut Report<'_>) -> bool {
    let fine = is_identifier(name);
    if !fine {
        report.add(Code::BadName, spot, format!("`{name}` is no name for {what}")).hint(format!(
            "begin with a letter, go on with letters, digits and `_`, at most {MAX_NAME} characters"
        ));
    }
    fine
}

/// Checks how a database calls a table: a name, perhaps after that of its schema.
pub(crate) fn relation(name: Text<'_>, report: &mut Report<'_>) -> bool {
    let parts: Vec<&str> = name.value.splitn(2, '.').collect();
    let fine = |part: &&str| {
        !part.is_empty() && part.len() <= MAX_NAME && !part.contains(|c: char| c.is_control())
    };
    let fine = parts.iter().all(fine);
    if !fine {
        let words = format!("`{}` is no name of a table of a database", name.value);
        report
            .at(Code::BadName, name.at, words)
            .hint("write `orders`, or with its schema: `sales.orders`");
    }
    fine
}

/// Checks the name of a module.
pub(crate) fn module(name: &str, spot: Spot, report: &mut Report<'_>) -> bool {
    if RESERVED_MODULES.contains(&name.to_ascii_lowercase().as_str()) {
        report
            .add(Code::ReservedName, spot, format!("a module cannot be named `{name}`"))
            .hint("SQL tools expect another meaning of this name");
        return false;
    }
    identifier("a module", name, spot, report)
}

/// Whether a name may be that of an audience, or of a class of data.
pub(crate) fn is_audience(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
        && name.len() <= MAX_NAME
}

/// Checks the name of a team.
pub(crate) fn team(name: &str, spot: Spot, report: &mut Report<'_>) -> bool {
    let fine = is_audience(name);
    if !fine {
        report
            .add(Code::Owner, spot, format!("`{name}` is no name for a team"))
            .hint("use letters, digits, `-` and `_`");
    }
    fine
}

/// `PlayEvent` as `play_event`.
pub(crate) fn snake_case(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut text = String::new();
    for (index, c) in chars.iter().enumerate() {
        let after_lower = index > 0 && !chars[index - 1].is_uppercase() && chars[index - 1] != '_';
        let before_lower = index > 0
            && chars[index - 1].is_uppercase()
            && chars.get(index + 1).is_some_and(|next| next.is_lowercase());
        if c.is_uppercase() && (after_lower || before_lower) {
            text.push('_');
        }
        text.extend(c.to_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_names_become_table_names() {
        let found = ["Film", "PlayEvent", "HTTPRequest", "User2Group", "Old_Name"].map(snake_case);
        assert_eq!(found, ["film", "play_event", "http_request", "user2_group", "old_name"]);
    }

    #[test]
    fn names_begin_with_a_letter() {
        assert!(is_identifier("a_1"));
        assert!(
            ["", "_a", "1a", "a-b", "é", &"a".repeat(64)].iter().all(|name| !is_identifier(name))
        );
    }
}
