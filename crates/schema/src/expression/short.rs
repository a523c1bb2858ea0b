//! The two short forms beside expressions, `partition` and `order`: in comes text, out come field
//! names with what is said about them. Whether the fields exist is checked by who asks.

use frame::Span;

use super::lex::{Token, TokenKind, lex};
use super::{ExpressionError, Fault};

/// One part of `order:` or `sort:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderItem {
    /// The field.
    pub field: String,
    /// Where the field stands.
    pub span: Span,
    /// `desc`.
    pub descending: bool,
}

/// One part of `partition:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionItem {
    /// `day` of `day(at)`, in lowercase, and where it stands; `None` for a field as it is.
    pub transform: Option<(String, Span)>,
    /// The field.
    pub field: String,
    /// Where the field stands.
    pub span: Span,
    /// The number of `truncate(name, 4)`, and where it stands.
    pub width: Option<(u64, Span)>,
}

/// Reads `at desc, id`.
pub fn parse_order(text: &str) -> Result<Vec<OrderItem>, ExpressionError> {
    let mut reader = Reader::new(text)?;
    let mut items = Vec::new();
    loop {
        let (field, span) = reader.name("a field")?;
        let word = match reader.peek() {
            TokenKind::Word(word) => word.to_ascii_lowercase(),
            _ => "asc-by-default".to_owned(),
        };
        let descending = match word.as_str() {
            "asc-by-default" => false,
            "asc" | "desc" => {
                reader.at += 1;
                word == "desc"
            }
            _ => return Err(reader.fault("`asc`, `desc` or `,` must stand here".to_owned())),
        };
        items.push(OrderItem { field, span, descending });
        if !reader.comma_or_end()? {
            return Ok(items);
        }
    }
}

/// Reads `day(at), truncate(name, 4), country`.
pub fn parse_partition(text: &str) -> Result<Vec<PartitionItem>, ExpressionError> {
    let mut reader = Reader::new(text)?;
    let mut items = Vec::new();
    loop {
        let (name, span) = reader.name("a field")?;
        if reader.take("(") {
            let (field, field_span) = reader.name("a field")?;
            let width = if reader.take(",") { Some(reader.number()?) } else { None };
            if !reader.take(")") {
                return Err(reader.fault("`)` must stand here".to_owned()));
            }
            let transform = Some((name.to_ascii_lowercase(), span));
            items.push(PartitionItem { transform, field, span: field_span, width });
        } else {
            items.push(PartitionItem { transform: None, field: name, span, width: None });
        }
        if !reader.comma_or_end()? {
            return Ok(items);
        }
    }
}

struct Reader {
    tokens: Vec<Token>,
    at: usize,
}

impl Reader {
    fn new(text: &str) -> Result<Self, ExpressionError> {
        Ok(Reader { tokens: lex(text)?, at: 0 })
    }

    fn token(&self) -> &Token {
        &self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    fn peek(&self) -> &TokenKind {
        &self.token().kind
    }

    fn fault(&self, words: String) -> ExpressionError {
        ExpressionError::new(Fault::Syntax, self.token().span, words)
    }

    fn take(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), TokenKind::Symbol(found) if *found == symbol);
        self.at += usize::from(found);
        found
    }

    fn name(&mut self, what: &str) -> Result<(String, Span), ExpressionError> {
        match self.token().clone() {
            Token { kind: TokenKind::Word(word), span } => {
                self.at += 1;
                Ok((word, span))
            }
            _ => Err(self.fault(format!("{what} must stand here"))),
        }
    }

    fn number(&mut self) -> Result<(u64, Span), ExpressionError> {
        let token = self.token().clone();
        let number = match &token.kind {
            TokenKind::Int(text) => text.parse().ok(),
            _ => None,
        };
        self.at += 1;
        match number {
            Some(number) => Ok((number, token.span)),
            None => {
                Err(ExpressionError::new(Fault::Syntax, token.span, "a number must stand here"))
            }
        }
    }

    fn comma_or_end(&mut self) -> Result<bool, ExpressionError> {
        if self.peek() == &TokenKind::End {
            return Ok(false);
        }
        if self.take(",") {
            return Ok(true);
        }
        Err(self.fault("`,` must stand between the parts".to_owned()))
    }
}
