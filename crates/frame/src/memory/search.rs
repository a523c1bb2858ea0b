//! Text search over plain strings: words, phrases, prefixes, near words, exclusion and `OR`.
//!
//! The score of a row is the number of places where a term matched; there are no statistics.

use base::{Error, Result};

/// A parsed query: a row matches when one alternative does.
#[derive(Debug, PartialEq)]
pub(super) struct Query {
    alternatives: Vec<Vec<(bool, Term)>>,
}

#[derive(Debug, PartialEq)]
enum Term {
    Phrase(Vec<String>),
    Prefix(String),
    Fuzzy(String),
}

impl Query {
    /// Reads the query language of `frame::Search`.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut alternatives = vec![Vec::new()];
        for piece in pieces(text)? {
            if piece == "OR" {
                alternatives.push(Vec::new());
                continue;
            }
            let (excluded, rest) = match piece.strip_prefix('-') {
                Some(rest) => (true, rest),
                None => (false, piece.as_str()),
            };
            if let (Some(term), Some(last)) = (term(rest), alternatives.last_mut()) {
                last.push((excluded, term));
            }
        }
        let asks = |terms: &Vec<(bool, Term)>| terms.iter().any(|(excluded, _)| !excluded);
        if !alternatives.iter().all(asks) {
            return Err(Error::invalid(format!("the search `{text}` has no word to look for"))
                .hint("write words, `\"a phrase\"`, `prefix*`, `fuzzy~`, `-not`, `OR`"));
        }
        Ok(Query { alternatives })
    }

    /// How well the texts match together; `None` when they do not.
    pub(super) fn score<'a>(&self, texts: impl Iterator<Item = &'a str>) -> Option<f64> {
        let texts: Vec<Vec<String>> = texts.map(words).collect();
        let scores = self.alternatives.iter().filter_map(|terms| {
            let mut score = 0;
            for (excluded, term) in terms {
                let matches: usize = texts.iter().map(|words| term.matches(words)).sum();
                if *excluded != (matches == 0) {
                    return None;
                }
                score += matches;
            }
            Some(score as f64)
        });
        scores.max_by(f64::total_cmp)
    }
}

/// Splits at spaces outside quotes; a phrase keeps its opening quote.
fn pieces(text: &str) -> Result<Vec<String>> {
    let mut pieces = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let start = usize::from(rest.starts_with('-'));
        let end = if rest[start..].starts_with('"') {
            let close = rest[start + 1..].find('"').ok_or_else(|| {
                Error::invalid(format!("the search `{text}` has a quote that is not closed"))
            })?;
            start + close + 2
        } else {
            rest.find(char::is_whitespace).unwrap_or(rest.len())
        };
        pieces.push(rest[..end].to_owned());
        rest = rest[end..].trim_start();
    }
    Ok(pieces)
}

fn term(piece: &str) -> Option<Term> {
    let mut words = words(piece);
    let quoted = piece.starts_with('"');
    match words.len() {
        0 => None,
        1 if !quoted && piece.ends_with('*') => words.pop().map(Term::Prefix),
        1 if !quoted && piece.ends_with('~') => words.pop().map(Term::Fuzzy),
        _ => Some(Term::Phrase(words)),
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

impl Term {
    /// At how many places the term occurs.
    fn matches(&self, words: &[String]) -> usize {
        match self {
            Term::Phrase(phrase) => {
                words.windows(phrase.len()).filter(|window| window == phrase).count()
            }
            Term::Prefix(prefix) => words.iter().filter(|word| word.starts_with(prefix)).count(),
            Term::Fuzzy(like) => words.iter().filter(|word| edits(word, like) <= 1).count(),
        }
    }
}

/// How many letters must be changed, added or left out to get from one word to the other.
fn edits(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, letter) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, other) in right.iter().enumerate() {
            let change = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = change.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, text: &str, expected: bool) {
        let query = Query::parse(query).expect("a valid query");
        assert_eq!(query.score([text].into_iter()).is_some(), expected, "{query:?} in {text}");
    }

    #[test]
    fn the_query_language_matches_as_documented() {
        check("red planet", "The Planet is red", true);
        check("\"red planet\"", "The planet is red", false);
        check("\"red planet\"", "A Red Planet!", true);
        check("plan*", "the planet", true);
        check("plamet~", "the planet", true);
        check("planet -red", "red planet", false);
        check("moon OR planet", "planet", true);
        check("moon", "planet", false);
    }

    #[test]
    fn a_query_without_words_is_refused() {
        for query in ["", "-red", "\"open", "red OR"] {
            assert!(Query::parse(query).is_err(), "{query}");
        }
    }
}
