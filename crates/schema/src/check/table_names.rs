//! Names of tables: unique over all modules, also when case is ignored, as SQL ignores it.

use std::collections::HashMap;

use crate::compile::{Declared, Draft, Report};
use crate::diagnostic::Code;

/// Words that cannot stand as a table's name in SQL without quotes.
const SQL_WORDS: [&str; 32] = [
    "all",
    "and",
    "as",
    "asc",
    "between",
    "by",
    "case",
    "cross",
    "desc",
    "distinct",
    "else",
    "end",
    "except",
    "exists",
    "from",
    "full",
    "group",
    "having",
    "in",
    "inner",
    "intersect",
    "join",
    "left",
    "limit",
    "not",
    "null",
    "offset",
    "on",
    "order",
    "select",
    "union",
    "where",
];

pub(super) fn check(declared: &Declared<'_>, draft: &Draft, report: &mut Report<'_>) {
    let mut taken: HashMap<String, &str> = HashMap::new();
    for (object, table) in declared.objects.values().zip(&draft.tables) {
        let Some(table) = table else { continue };
        if let Some(earlier) = taken.get(&table.name.to_lowercase()) {
            let at = object
                .directives
                .get("table")
                .filter(|applied| applied.text("plural").is_some())
                .map_or(object.at(), |applied| applied.at_argument("plural"));
            let words = format!(
                "the table `{}` of `{}` is also that of `{earlier}`",
                table.name,
                object.name()
            );
            report
                .at(Code::TableName, at, words)
                .hint("give one of them another `plural`; case does not count");
            continue;
        }
        let at = object
            .directives
            .get("table")
            .filter(|applied| applied.text("plural").is_some())
            .map_or(object.at(), |applied| applied.at_argument("plural"));
        if SQL_WORDS.contains(&table.name.to_lowercase().as_str()) {
            let words = format!("SQL reads the table name `{}` as a keyword", table.name);
            report
                .at(Code::SqlWord, at, words)
                .hint("give another `plural`, or write the name in double quotes in SQL");
        }
        taken.insert(table.name.to_lowercase(), object.name());
    }
}
