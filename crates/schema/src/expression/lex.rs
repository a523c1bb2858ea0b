//! Splits an expression into tokens: in comes text, out come tokens with their bytes, or the first
//! character that belongs to none.

use frame::Span;

use super::{ExpressionError, Fault};

/// One token.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) span: Span,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum TokenKind {
    /// Digits.
    Int(String),
    /// Digits with a point or an exponent.
    Float(String),
    /// `'text'`, without its quotes.
    Text(String),
    /// A name or a keyword.
    Word(String),
    /// An operator or a bracket.
    Symbol(&'static str),
    /// The end of the text.
    End,
}

/// Longer symbols first.
const SYMBOLS: [&str; 20] = [
    "<=", ">=", "<>", "!=", "==", "||", "&&", "=", "<", ">", "+", "-", "*", "/", "%", "(", ")",
    ",", ".", "!",
];

pub(super) fn lex(text: &str) -> Result<Vec<Token>, ExpressionError> {
    if text.len() > super::MAX_BYTES {
        let (length, most) = (text.len(), super::MAX_BYTES);
        return Err(ExpressionError::new(
            Fault::Syntax,
            Span { start: 0, end: 1 },
            format!("the expression has {length} bytes; at most {most} are read"),
        ));
    }
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let (kind, length) = token(text, at, c)?;
        tokens.push(Token { kind, span: Span { start: at, end: at + length } });
        at += length;
    }
    tokens.push(Token { kind: TokenKind::End, span: Span { start: at, end: at } });
    Ok(tokens)
}

fn token(text: &str, at: usize, c: char) -> Result<(TokenKind, usize), ExpressionError> {
    let rest = &text[at..];
    let fault = |length: usize, words: &str| {
        ExpressionError::new(Fault::Syntax, Span { start: at, end: at + length }, words)
    };
    if c.is_ascii_digit() || (c == '.' && rest[1..].starts_with(|d: char| d.is_ascii_digit())) {
        return Ok(number(rest));
    }
    if c.is_alphabetic() || c == '_' {
        let length = rest.find(|d: char| !(d.is_alphanumeric() || d == '_')).unwrap_or(rest.len());
        return Ok((TokenKind::Word(rest[..length].to_owned()), length));
    }
    if c == '\'' {
        return quoted(rest).ok_or_else(|| {
            fault(rest.len(), "text has no closing `'`").hint("a `'` inside text is written `''`")
        });
    }
    if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
        return Ok((TokenKind::Symbol(symbol), symbol.len()));
    }
    let error = fault(c.len_utf8(), &format!("`{c}` does not belong in an expression"));
    Err(match c {
        '"' => error.hint("text is written in single quotes: 'text'"),
        '&' => error.hint("write `AND`"),
        '|' => error.hint("write `OR`, or `||` to join text"),
        '^' => error.hint("write `power(a, b)`"),
        ';' => error.hint("an expression is one value, without an end mark"),
        _ => error,
    })
}

fn number(rest: &str) -> (TokenKind, usize) {
    let digits = |text: &str| text.find(|d: char| !d.is_ascii_digit()).unwrap_or(text.len());
    let mut length = digits(rest);
    let mut float = false;
    if rest[length..].starts_with('.') {
        length += 1 + digits(&rest[length + 1..]);
        float = true;
    }
    if rest[length..].starts_with(['e', 'E']) {
        let sign = usize::from(rest[length + 1..].starts_with(['+', '-']));
        let exponent = digits(&rest[length + 1 + sign..]);
        if exponent > 0 {
            length += 1 + sign + exponent;
            float = true;
        }
    }
    let text = rest[..length].to_owned();
    (if float { TokenKind::Float(text) } else { TokenKind::Int(text) }, length)
}

fn quoted(rest: &str) -> Option<(TokenKind, usize)> {
    let mut text = String::new();
    let mut at = 1;
    loop {
        let end = at + rest[at..].find('\'')?;
        text.push_str(&rest[at..end]);
        at = end + 1;
        if !rest[at..].starts_with('\'') {
            return Some((TokenKind::Text(text), at));
        }
        text.push('\'');
        at += 1;
    }
}
