//! Text to tokens, in one pass and without recursion: what is open stands on a list, whose length is
//! the depth.

use std::fmt;

use super::scan;
use super::{Form, MOST, Token};

/// How large and how deep a text may be.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    pub(crate) bytes: usize,
    pub(crate) depth: usize,
}

/// Why a text is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// Bytes before the place.
    pub(crate) offset: usize,
    pub(crate) what: &'static str,
}

impl Malformed {
    pub(super) fn new(offset: usize, what: &'static str) -> Self {
        Malformed { offset, what }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.offset)
    }
}

/// The tokens of a text.
pub(super) fn tokens(bytes: &[u8], bounds: &Bounds) -> Result<Vec<Token>, Malformed> {
    if bytes.len() > bounds.bytes.min(MOST as usize) {
        return Err(Malformed::new(bytes.len(), "the text is too long"));
    }
    if let Err(error) = std::str::from_utf8(bytes) {
        return Err(Malformed::new(error.valid_up_to(), "the text is not UTF-8"));
    }
    let tokens = Vec::with_capacity(bytes.len() / 6 + 8);
    let mut parser = Parser { bytes, at: 0, tokens, open: Vec::new(), depth: bounds.depth };
    parser.document()?;
    Ok(parser.tokens)
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    tokens: Vec<Token>,
    /// The tokens of what is open, doubled, with whether it is an object in the last bit.
    open: Vec<u32>,
    depth: usize,
}

impl Parser<'_> {
    fn document(&mut self) -> Result<(), Malformed> {
        loop {
            // An object or a list that has something in it goes on with its first value.
            if self.value()? {
                continue;
            }
            if !self.goes_on()? {
                break;
            }
        }
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.wrong("there is more than one value")),
        }
    }

    fn wrong(&self, what: &'static str) -> Malformed {
        Malformed::new(self.at, what)
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.at)? {
                // Most texts have none at all.
                byte if *byte > b' ' => return Some(*byte),
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return Some(*byte),
            }
        }
    }

    fn push(&mut self, form: Form, start: usize, payload: usize) {
        // Texts are shorter than what fits; there are fewer tokens than bytes.
        self.tokens.push(Token::new(form, start as u32, payload as u32));
    }

    /// Reads a value; whether it opened something that has a value next.
    fn value(&mut self) -> Result<bool, Malformed> {
        match self.peek() {
            Some(b'"') => self.string()?,
            Some(b'{') => return self.open(Form::Object),
            Some(b'[') => return self.open(Form::List),
            Some(b'-' | b'0'..=b'9') => {
                let (start, end) = (self.at, scan::number(self.bytes, self.at)?);
                self.push(Form::Number, start, end - start);
                self.at = end;
            }
            Some(b't') => self.word(Form::Boolean, b"true")?,
            Some(b'f') => self.word(Form::Boolean, b"false")?,
            Some(b'n') => self.word(Form::Null, b"null")?,
            Some(_) => return Err(self.wrong("there is no value")),
            None => return Err(self.wrong("the text ends too early")),
        }
        Ok(false)
    }

    fn word(&mut self, form: Form, word: &[u8]) -> Result<(), Malformed> {
        let start = self.at;
        if self.bytes.get(start..start + word.len()) != Some(word) {
            return Err(self.wrong("there is no value"));
        }
        self.push(form, start, word.len());
        self.at += word.len();
        Ok(())
    }

    fn string(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        let (end, is_escaped) = scan::string(self.bytes, start + 1)?;
        let form = if is_escaped { Form::Escaped } else { Form::Plain };
        self.push(form, start, end - start - 1);
        self.at = end + 1;
        Ok(())
    }

    /// Opens an object or a list; whether anything is in it.
    fn open(&mut self, form: Form) -> Result<bool, Malformed> {
        if self.open.len() >= self.depth {
            return Err(self.wrong("values nest too deeply"));
        }
        self.open.push(self.tokens.len() as u32 * 2 + u32::from(form == Form::Object));
        self.push(form, self.at, 0);
        self.at += 1;
        match (form, self.peek()) {
            (Form::Object, Some(b'}')) | (Form::List, Some(b']')) => {
                self.close();
                Ok(false)
            }
            (Form::Object, _) => self.name().map(|()| true),
            _ => Ok(true),
        }
    }

    fn close(&mut self) {
        self.at += 1;
        self.push(Form::Close, self.at, 0);
        let next = self.tokens.len() as u32;
        if let Some(opened) = self.open.pop()
            && let Some(token) = self.tokens.get_mut(opened as usize / 2)
        {
            *token = Token::new(token.form(), token.start, next);
        }
    }

    /// The name of a field, with its colon.
    fn name(&mut self) -> Result<(), Malformed> {
        if self.peek() != Some(b'"') {
            return Err(self.wrong("a field has no name"));
        }
        self.string()?;
        if self.peek() != Some(b':') {
            return Err(self.wrong("a field has no colon"));
        }
        self.at += 1;
        Ok(())
    }

    /// After a value: closes what ends here; whether another value follows.
    fn goes_on(&mut self) -> Result<bool, Malformed> {
        while let Some(opened) = self.open.last() {
            let is_object = opened % 2 == 1;
            match (self.peek(), is_object) {
                (Some(b','), _) => {
                    self.at += 1;
                    if is_object {
                        self.name()?;
                    }
                    return Ok(true);
                }
                (Some(b'}'), true) | (Some(b']'), false) => self.close(),
                (Some(_), _) => return Err(self.wrong("a comma is missing")),
                (None, _) => return Err(self.wrong("the text ends too early")),
            }
        }
        Ok(false)
    }
}
