//! The answer of a source as a flat list of tokens over its bytes.
//!
//! ```text
//! bytes → parse → Tape: [Object [String Value]* Close] …
//! ```
//!
//! In: JSON. Out: tokens of eight bytes each, in the order of the text; nothing is copied and no map is
//! built. A token knows where its text begins and how long it is; one that opens an object or a list
//! knows the token after its end instead, so that a value is skipped in one step. Not here: which
//! values are looked at (`fetch::service`), what is made of them (`respond`).

mod parse;
mod scan;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use serde_json::Value as Json;

use crate::exact;

pub(crate) use parse::{Bounds, Malformed};

/// The position of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct At(pub(crate) u32);

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Null,
    Boolean,
    Number,
    /// A string without escapes.
    Plain,
    /// A string with escapes.
    Escaped,
    Object,
    List,
    /// The end of an object or a list.
    Close,
}

/// Where a text begins; and, in one word, the form and either how long the text is or which token
/// follows the end, or for an end the tag of what it closes.
#[derive(Clone, Copy, Debug)]
struct Token {
    start: u32,
    word: u32,
}

/// How many bits of the word say the form.
const FORM_BITS: u32 = 3;

/// The greatest length and the greatest number of tokens that fit beside the form.
const MOST: u32 = u32::MAX >> FORM_BITS;

impl Token {
    fn new(form: Form, start: u32, payload: u32) -> Self {
        Token { start, word: payload << FORM_BITS | form as u32 }
    }

    fn form(self) -> Form {
        match self.word & ((1 << FORM_BITS) - 1) {
            0 => Form::Null,
            1 => Form::Boolean,
            2 => Form::Number,
            3 => Form::Plain,
            4 => Form::Escaped,
            5 => Form::Object,
            6 => Form::List,
            _ => Form::Close,
        }
    }

    fn payload(self) -> u32 {
        self.word >> FORM_BITS
    }
}

/// A parsed answer.
#[derive(Debug)]
pub(crate) struct Tape {
    bytes: Bytes,
    tokens: Vec<Token>,
}

/// Where a look-up in an object begins: after the field that was found last, as sources answer in the
/// order in which they are asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor(u32);

impl Tape {
    /// Parses a JSON text.
    pub(crate) fn parse(bytes: Bytes, bounds: &Bounds) -> Result<Self, Malformed> {
        let tokens = parse::tokens(&bytes, bounds)?;
        Ok(Tape { bytes, tokens })
    }

    /// The value that is the whole text.
    pub(crate) fn root(&self) -> At {
        At(0)
    }

    fn token(&self, at: At) -> Token {
        // A position that no token has is read as an end: no caller takes a value from it.
        let end = Token::new(Form::Close, 0, 0);
        self.tokens.get(at.0 as usize).copied().unwrap_or(end)
    }

    pub(crate) fn form(&self, at: At) -> Form {
        self.token(at).form()
    }

    pub(crate) fn is_null(&self, at: At) -> bool {
        self.form(at) == Form::Null
    }

    /// The token after a value, which is the next item or name, or the end of what holds it.
    pub(crate) fn after(&self, at: At) -> At {
        let token = self.token(at);
        match token.form() {
            Form::Object | Form::List => At(token.payload()),
            _ => At(at.0 + 1),
        }
    }

    /// The text of a value as it came.
    pub(crate) fn raw(&self, at: At) -> &[u8] {
        let token = self.token(at);
        let start = token.start as usize;
        let length = match token.form() {
            Form::Null => 4,
            Form::Boolean | Form::Number => token.payload() as usize,
            Form::Plain | Form::Escaped => token.payload() as usize + 2,
            Form::Object | Form::List => {
                let close = self.token(At(token.payload().saturating_sub(1)));
                (close.start as usize).saturating_sub(start)
            }
            Form::Close => 0,
        };
        self.bytes.get(start..start + length).unwrap_or_default()
    }

    /// What stands between the quotes of a string, escapes and all.
    pub(crate) fn inside(&self, at: At) -> &[u8] {
        let raw = self.raw(at);
        raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default()
    }

    /// The text of a string; nothing for other values.
    pub(crate) fn text(&self, at: At) -> Option<String> {
        match self.form(at) {
            Form::Plain | Form::Escaped => serde_json::from_slice(self.raw(at)).ok(),
            _ => None,
        }
    }

    /// The items of a list; nothing for other values.
    pub(crate) fn items(&self, list: At) -> Items<'_> {
        let is_list = self.form(list) == Form::List;
        let next = if is_list { At(list.0 + 1) } else { list };
        Items { tape: self, next, is_list }
    }

    /// The members of an object, in their order; nothing for other values.
    pub(crate) fn members(&self, object: At) -> impl Iterator<Item = (String, At)> {
        let is_object = self.form(object) == Form::Object;
        let mut name = At(object.0 + 1);
        std::iter::from_fn(move || {
            let text = if is_object { self.text(name)? } else { return None };
            let value = At(name.0 + 1);
            name = self.after(value);
            Some((text, value))
        })
    }

    /// A value by itself, its floats as they are written.
    pub(crate) fn json(&self, at: At) -> Json {
        match self.form(at) {
            Form::Object => {
                let members = self.members(at).map(|(name, value)| (name, self.json(value)));
                Json::Object(members.collect())
            }
            Form::List => self.items(at).map(|item| self.json(item)).collect(),
            Form::Number => {
                let digits = std::str::from_utf8(self.raw(at)).unwrap_or_default();
                exact::number(digits).map_or(Json::Null, Json::Number)
            }
            // What stands in a tape is JSON.
            _ => serde_json::from_slice(self.raw(at)).unwrap_or(Json::Null),
        }
    }

    /// Where the first look-up in an object begins.
    pub(crate) fn cursor(&self, object: At) -> Cursor {
        Cursor(object.0 + 1)
    }

    /// The value of a field of an object; looked for from the cursor to the end, then from the beginning
    /// to the cursor. The cursor is left behind the field that was found.
    pub(crate) fn field(&self, object: At, cursor: &mut Cursor, name: &str) -> Option<At> {
        if self.form(object) != Form::Object {
            return None;
        }
        let start = cursor.0;
        let found = self
            .named(At(start), None, name)
            .or_else(|| self.named(At(object.0 + 1), Some(At(start)), name))?;
        *cursor = Cursor(self.after(found).0);
        Some(found)
    }

    /// Likewise, once.
    pub(crate) fn get(&self, object: At, name: &str) -> Option<At> {
        self.field(object, &mut self.cursor(object), name)
    }

    /// The value of the first field of this name from one position to another, or to the end.
    fn named(&self, mut from: At, until: Option<At>, name: &str) -> Option<At> {
        while until.is_none_or(|until| from < until) {
            let key = self.token(from);
            let is_it = match key.form() {
                Form::Plain => {
                    let start = key.start as usize + 1;
                    key.payload() as usize == name.len()
                        && self.bytes.get(start..start + name.len()) == Some(name.as_bytes())
                }
                Form::Escaped => self.text(from).as_deref() == Some(name),
                _ => return None,
            };
            let value = At(from.0 + 1);
            if is_it {
                return Some(value);
            }
            from = self.after(value);
        }
        None
    }

    /// The number that was put on an object or a list, if any.
    pub(crate) fn tag(&self, at: At) -> Option<u32> {
        let close = self.token(At(self.after(at).0.saturating_sub(1)));
        match close.form() {
            Form::Close => close.payload().checked_sub(1),
            _ => None,
        }
    }

    /// Puts a number on an object or a list.
    pub(crate) fn set_tag(&mut self, at: At, tag: u32) {
        let close = self.after(at).0.saturating_sub(1) as usize;
        if let Some(token) = self.tokens.get_mut(close)
            && token.form() == Form::Close
            && tag < MOST
        {
            *token = Token::new(Form::Close, token.start, tag + 1);
        }
    }
}

/// The items of a list, one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Items<'a> {
    tape: &'a Tape,
    next: At,
    is_list: bool,
}

impl Iterator for Items<'_> {
    type Item = At;

    fn next(&mut self) -> Option<At> {
        if !self.is_list || self.tape.form(self.next) == Form::Close {
            return None;
        }
        let item = self.next;
        self.next = self.tape.after(item);
        Some(item)
    }
}
