//! The few words in which the databases differ. In: a statement in the shared dialect. Out: the
//! same statement for Postgres. Not here: placeholders, which both databases spell `$1`.

use std::borrow::Cow;

/// Writes `BYTEA` for the type `BLOB`, outside of quotes and comments; SQLite needs no change.
pub(crate) fn for_postgres(sql: &str) -> Cow<'_, str> {
    if !sql.contains("BLOB") {
        return Cow::Borrowed(sql);
    }
    let mut text = String::with_capacity(sql.len() + 8);
    let mut rest = sql;
    while !rest.is_empty() {
        let (piece, is_word) = next_piece(rest);
        text.push_str(if is_word && piece == "BLOB" { "BYTEA" } else { piece });
        rest = &rest[piece.len()..];
    }
    Cow::Owned(text)
}

/// The next word, quoted text, comment or single other character; says whether it is a word.
fn next_piece(sql: &str) -> (&str, bool) {
    let until = |closing: &str, from: usize| {
        sql[from..].find(closing).map_or(sql.len(), |at| from + at + closing.len())
    };
    let first = sql.chars().next().unwrap_or(' ');
    match first {
        '\'' | '"' => (&sql[..until(&first.to_string(), 1)], false),
        _ if sql.starts_with("--") => (&sql[..until("\n", 2)], false),
        _ if sql.starts_with("/*") => (&sql[..until("*/", 2)], false),
        _ if is_word(first) => (&sql[..sql.find(|c| !is_word(c)).unwrap_or(sql.len())], true),
        _ => (&sql[..first.len_utf8()], false),
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_type_blob_is_translated() {
        for (sql, expected) in [
            (
                "CREATE TABLE t (a BLOB, b BLOB NOT NULL)",
                "CREATE TABLE t (a BYTEA, b BYTEA NOT NULL)",
            ),
            (
                "SELECT 'a BLOB', \"BLOB\", BLOBS FROM t -- BLOB",
                "SELECT 'a BLOB', \"BLOB\", BLOBS FROM t -- BLOB",
            ),
            (
                "SELECT 'it''s', CAST(a AS BLOB) /* BLOB */",
                "SELECT 'it''s', CAST(a AS BYTEA) /* BLOB */",
            ),
            ("SELECT 'open BLOB", "SELECT 'open BLOB"),
            ("SELECT 'é', x::BLOB", "SELECT 'é', x::BYTEA"),
            ("SELECT 1", "SELECT 1"),
        ] {
            assert_eq!(for_postgres(sql), expected);
        }
    }
}
