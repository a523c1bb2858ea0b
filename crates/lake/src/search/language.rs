//! The query language of searches.
//!
//! In: text: words (all must occur), `"a phrase"`, `prefix*`, `fuzzy~`, `-not`, `OR`. Out: a tantivy
//! query over the asked fields; a word may occur in any of them. Not here: ranking.

use base::{Error, Place, Result};
use tantivy::Term;
use tantivy::query::{BooleanQuery, FuzzyTermQuery, Occur, PhraseQuery, Query, TermQuery};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::tokenizer::TokenStream;

use super::build::tokenizer;

/// How errors name the text.
const SEARCH: &str = "<search>";

#[derive(Debug, PartialEq)]
enum Atom {
    Phrase(Vec<String>),
    Prefix(String),
    Fuzzy(String),
}

/// The query for this text over these fields.
pub(crate) fn parse(text: &str, fields: &[Field]) -> Result<Box<dyn Query>> {
    let mut alternatives: Vec<Vec<(Occur, Box<dyn Query>)>> = vec![Vec::new()];
    for piece in pieces(text)? {
        if piece == "OR" {
            alternatives.push(Vec::new());
            continue;
        }
        let (occur, rest) = match piece.strip_prefix('-') {
            Some(rest) => (Occur::MustNot, rest),
            None => (Occur::Must, piece),
        };
        if let (Some(atom), Some(last)) = (atom(rest), alternatives.last_mut()) {
            last.push((occur, in_any(&atom, fields)));
        }
    }
    let asks =
        |terms: &Vec<(Occur, Box<dyn Query>)>| terms.iter().any(|(occur, _)| *occur == Occur::Must);
    if !alternatives.iter().all(asks) {
        return Err(Error::invalid(format!("the search `{text}` has no word to look for"))
            .at(Place { file: SEARCH.to_owned(), line: 1, column: 1 })
            .hint("write words, `\"a phrase\"`, `prefix*`, `fuzzy~`, `-not`, `OR`"));
    }
    let queries = alternatives.into_iter().map(|terms| (Occur::Should, joined(terms)));
    Ok(joined(queries.collect()))
}

/// One query of several. Of a single one that decides alone it is that one: only a union of words
/// that nothing is wrapped around passes over documents that cannot be among the best.
fn joined(mut queries: Vec<(Occur, Box<dyn Query>)>) -> Box<dyn Query> {
    match queries.pop() {
        Some((Occur::Must | Occur::Should, only)) if queries.is_empty() => only,
        last => {
            queries.extend(last);
            Box::new(BooleanQuery::new(queries))
        }
    }
}

/// Splits at spaces outside quotes; a phrase keeps its quotes.
fn pieces(text: &str) -> Result<Vec<&str>> {
    let mut pieces = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let start = usize::from(rest.starts_with('-'));
        let end = if rest[start..].starts_with('"') {
            let close = rest[start + 1..].find('"').ok_or_else(|| open_quote(text, rest))?;
            start + close + 2
        } else {
            rest.find(char::is_whitespace).unwrap_or(rest.len())
        };
        pieces.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    Ok(pieces)
}

fn open_quote(text: &str, rest: &str) -> Error {
    let before = &text[..text.len() - rest.len()];
    let column = before.chars().count() + usize::from(rest.starts_with('-')) + 1;
    Error::invalid(format!("the search `{text}` has a quote that is not closed"))
        .at(Place { file: SEARCH.to_owned(), line: 1, column })
        .hint("close the phrase with a second `\"`")
}

fn atom(piece: &str) -> Option<Atom> {
    let mut words = words(piece);
    let quoted = piece.starts_with('"');
    match words.len() {
        0 => None,
        1 if !quoted && piece.ends_with('*') => words.pop().map(Atom::Prefix),
        1 if !quoted && piece.ends_with('~') => words.pop().map(Atom::Fuzzy),
        _ => Some(Atom::Phrase(words)),
    }
}

fn words(text: &str) -> Vec<String> {
    let mut tokenizer = tokenizer();
    let mut stream = tokenizer.token_stream(text);
    let mut words = Vec::new();
    while let Some(token) = stream.next() {
        words.push(token.text.clone());
    }
    words
}

fn in_any(atom: &Atom, fields: &[Field]) -> Box<dyn Query> {
    joined(fields.iter().map(|field| (Occur::Should, one(atom, *field))).collect())
}

fn one(atom: &Atom, field: Field) -> Box<dyn Query> {
    let term = |word: &str| Term::from_field_text(field, word);
    match atom {
        Atom::Phrase(words) if words.len() == 1 => {
            Box::new(TermQuery::new(term(&words[0]), IndexRecordOption::WithFreqs))
        }
        Atom::Phrase(words) => {
            Box::new(PhraseQuery::new(words.iter().map(|word| term(word)).collect()))
        }
        Atom::Prefix(prefix) => Box::new(FuzzyTermQuery::new_prefix(term(prefix), 0, false)),
        Atom::Fuzzy(word) => Box::new(FuzzyTermQuery::new(term(word), 1, false)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_read_as_documented() {
        assert_eq!(atom("Planet"), Some(Atom::Phrase(vec!["planet".into()])));
        assert_eq!(atom("\"Red Planet\""), Some(Atom::Phrase(vec!["red".into(), "planet".into()])));
        assert_eq!(atom("plan*"), Some(Atom::Prefix("plan".into())));
        assert_eq!(atom("plamet~"), Some(Atom::Fuzzy("plamet".into())));
        assert_eq!(atom("--"), None);
        assert_eq!(pieces("a -\"b c\" OR d").expect("closed"), ["a", "-\"b c\"", "OR", "d"]);
    }

    #[test]
    fn one_word_is_a_union_over_the_fields_and_nothing_more() {
        let fields = [Field::from_field_id(0), Field::from_field_id(1)];
        let union = parse("red", &fields).expect("a query");
        let union = union.downcast_ref::<BooleanQuery>().expect("a union");
        let is_word = |(occur, query): &(Occur, Box<dyn Query>)| {
            *occur == Occur::Should && query.downcast_ref::<TermQuery>().is_some()
        };
        assert!(union.clauses().len() == 2 && union.clauses().iter().all(is_word));
        let one = parse("red", &fields[..1]).expect("a query");
        assert!(one.downcast_ref::<TermQuery>().is_some());
    }

    #[test]
    fn a_query_without_words_is_refused_with_its_place() {
        let field = Field::from_field_id(0);
        for (query, column) in [("", 1), ("-red", 1), ("red OR", 1), ("a \"open", 3)] {
            let error = parse(query, &[field]).expect_err(query);
            assert_eq!(error.place().map(|place| place.column), Some(column), "{query}");
        }
    }
}
