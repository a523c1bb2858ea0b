//! Splits text as BERT does, so that text models work without another library. In: a vocabulary
//! (`<name>.vocab.txt`, or a `<name>.tokenizer.json` of type WordPiece) and a text. Out: token ids
//! between `[CLS]` and `[SEP]`. Other kinds of tokenizer are refused.

use std::collections::HashMap;
use std::path::Path;

use base::{Error, Kind, Result};
use serde_json::Value;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::embed::settings::Settings;

/// Words longer than this are unknown, as in BERT.
const MAX_WORD_CHARS: usize = 100;

/// A vocabulary with the marks that the model expects.
#[derive(Debug)]
pub(super) struct WordPiece {
    vocabulary: HashMap<String, i64>,
    prefix: String,
    lowercase: bool,
    unknown: i64,
    start: i64,
    end: i64,
}

impl WordPiece {
    /// Looks for a vocabulary beside the model; `None` when there is none.
    pub(super) fn find(model: &Path, settings: &Settings) -> Result<Option<WordPiece>> {
        let read = |extension: &str| {
            let path = model.with_extension(extension);
            match std::fs::read_to_string(&path) {
                Ok(text) => Ok(Some(text)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(error) => {
                    Err(Error::from(error).context(format!("failed to read `{}`", path.display())))
                }
            }
        };
        if let Some(text) = read("tokenizer.json")? {
            return WordPiece::from_json(&text, settings).map(Some);
        }
        match read("vocab.txt")? {
            Some(text) => WordPiece::from_lines(&text, settings).map(Some),
            None => Ok(None),
        }
    }

    /// One token a line; its number is its id.
    pub(super) fn from_lines(text: &str, settings: &Settings) -> Result<WordPiece> {
        let vocabulary = text.lines().map(|line| line.trim_end().to_owned()).zip(0..).collect();
        WordPiece::new(vocabulary, "##", settings.lowercase.unwrap_or(true))
    }

    /// The `tokenizer.json` that Hugging Face's libraries write.
    pub(super) fn from_json(text: &str, settings: &Settings) -> Result<WordPiece> {
        let json: Value = serde_json::from_str(text)
            .map_err(|error| Error::invalid("failed to read a tokenizer").caused_by(error))?;
        let model = &json["model"];
        let kind = model["type"].as_str().unwrap_or("unnamed");
        if kind != "WordPiece" {
            return Err(Error::new(
                Kind::Unsupported,
                format!("tokenizers of type `{kind}` are not offered"),
            )
            .hint("WordPiece is; for other models store vectors that you compute yourself"));
        }
        let words = model["vocab"].as_object().into_iter().flatten();
        let vocabulary =
            words.filter_map(|(word, id)| Some((word.clone(), id.as_i64()?))).collect();
        let prefix = model["continuing_subword_prefix"].as_str().unwrap_or("##");
        let said = settings.lowercase.or(json["normalizer"]["lowercase"].as_bool());
        WordPiece::new(vocabulary, prefix, said.unwrap_or(true))
    }

    fn new(vocabulary: HashMap<String, i64>, prefix: &str, lowercase: bool) -> Result<WordPiece> {
        let id = |token: &str| {
            vocabulary
                .get(token)
                .copied()
                .ok_or_else(|| Error::invalid(format!("the vocabulary of a model lacks `{token}`")))
        };
        let (unknown, start, end) = (id("[UNK]")?, id("[CLS]")?, id("[SEP]")?);
        Ok(WordPiece { prefix: prefix.to_owned(), lowercase, unknown, start, end, vocabulary })
    }

    /// The ids of a text, at most `length` of them with both marks.
    pub(super) fn encode(&self, text: &str, length: usize) -> Vec<i64> {
        let room = length.saturating_sub(2);
        let mut ids = vec![self.start];
        // No token is shorter than a character, so more text than this can never matter.
        let head: String = text.chars().take(room.saturating_mul(MAX_WORD_CHARS + 1)).collect();
        for word in words(&self.clean(&head)) {
            if ids.len() > room {
                break;
            }
            self.pieces(&word, &mut ids);
        }
        ids.truncate(room + 1);
        ids.push(self.end);
        ids
    }

    /// Lowercase without accents, when the model was trained so.
    fn clean(&self, text: &str) -> String {
        if !self.lowercase {
            return text.to_owned();
        }
        text.to_lowercase().nfd().filter(|c| !is_combining_mark(*c)).collect()
    }

    /// The longest known pieces from the left; one unknown piece makes the whole word unknown.
    fn pieces(&self, word: &str, ids: &mut Vec<i64>) {
        let before = ids.len();
        let mut rest = word;
        if word.chars().count() > MAX_WORD_CHARS {
            ids.push(self.unknown);
            return;
        }
        while !rest.is_empty() {
            let prefix = if rest.len() == word.len() { "" } else { self.prefix.as_str() };
            let ends = rest.char_indices().map(|(at, c)| at + c.len_utf8());
            let longest = ends.rev().find_map(|end| {
                self.vocabulary.get(&format!("{prefix}{}", &rest[..end])).map(|id| (end, *id))
            });
            match longest {
                Some((end, id)) => {
                    ids.push(id);
                    rest = &rest[end..];
                }
                None => {
                    ids.truncate(before);
                    ids.push(self.unknown);
                    return;
                }
            }
        }
    }
}

/// Words at white space; punctuation and Chinese characters are words of their own; control
/// characters vanish.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for c in text.chars() {
        let last = words.len() - 1;
        if c.is_whitespace() {
            words.push(String::new());
        } else if is_alone(c) {
            words.push(c.to_string());
            words.push(String::new());
        } else if !c.is_control() && c != '\u{fffd}' {
            words[last].push(c);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn is_alone(c: char) -> bool {
    let code = u32::from(c);
    let chinese =
        matches!(code, 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x2fa1f);
    let punctuation =
        matches!(code, 0x2010..=0x2027 | 0x2030..=0x205e | 0x3001..=0x3003 | 0x3008..=0x3011);
    c.is_ascii_punctuation()
        || chinese
        || punctuation
        || matches!(c, '¡' | '§' | '«' | '¶' | '·' | '»' | '¿')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> WordPiece {
        let lines = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nun\n##aff\n##able\n,\nrun\n山";
        WordPiece::from_lines(lines, &Settings::default()).expect("whole")
    }

    #[test]
    fn words_fall_into_their_longest_known_pieces() {
        assert_eq!(tokens().encode("UNaffable, rün山!", 64), [2, 4, 5, 6, 7, 8, 9, 1, 3]);
        assert_eq!(tokens().encode("unaffably", 64), [2, 1, 3]);
        assert_eq!(tokens().encode("", 64), [2, 3]);
        assert_eq!(tokens().encode(&"x".repeat(101), 64), [2, 1, 3]);
    }

    #[test]
    fn long_texts_are_cut_and_keep_their_end_mark() {
        assert_eq!(tokens().encode(&"run ".repeat(10_000), 4), [2, 8, 8, 3]);
        assert_eq!(tokens().encode("unaffable run", 4), [2, 4, 5, 3]);
    }

    #[test]
    fn a_tokenizer_of_another_kind_is_refused() {
        let settings = Settings::default();
        let json = r#"{"model":{"type":"BPE"}}"#;
        assert_eq!(
            WordPiece::from_json(json, &settings).expect_err("other").kind(),
            Kind::Unsupported
        );
        let json = r###"{"normalizer":{"lowercase":false},"model":{"type":"WordPiece","vocab":{"[UNK]":0,"[CLS]":1,"[SEP]":2,"A":3,"##b":4}}}"###;
        assert_eq!(
            WordPiece::from_json(json, &settings).expect("whole").encode("Ab ab", 9),
            [1, 3, 4, 0, 2]
        );
    }
}
