//! Reads tokens into a syntax tree by precedence climbing: in comes text, out comes a tree without
//! types, or the first place where the text stops making sense. `BETWEEN` and `CASE x WHEN` are
//! written out here.

use std::rc::Rc;

use frame::{BinaryOp, DataType, Span, UnaryOp};

use super::lex::{Token, TokenKind, lex};
use super::{ExpressionError, Fault, MAX_DEPTH, MAX_NODES, convert};

/// A node of the syntax tree.
#[derive(Debug)]
pub(super) struct Syntax {
    pub(super) kind: SyntaxKind,
    pub(super) span: Span,
    depth: usize,
    size: usize,
}

/// Shared, because written-out forms use an operand twice.
pub(super) type Part = Rc<Syntax>;

/// What a node is.
#[derive(Debug)]
pub(super) enum SyntaxKind {
    Int(String),
    Float(String),
    Text(String),
    Date(String),
    Timestamp(String),
    Boolean(bool),
    Null,
    /// A path of names, each with its place.
    Field(Vec<(String, Span)>),
    Viewer(String, Span),
    Unary(UnaryOp, Part),
    Binary(BinaryOp, Part, Part),
    In(Part, Vec<Part>),
    Case(Vec<(Part, Part)>, Option<Part>),
    Coalesce(Vec<Part>),
    Call(String, Span, Vec<Part>),
    Cast(Part, DataType),
}

/// Words that are no field names unless `self.` stands before them.
pub(super) const KEYWORDS: [&str; 17] = [
    "and", "or", "not", "in", "between", "is", "null", "case", "when", "then", "else", "end",
    "true", "false", "like", "self", "viewer",
];

pub(super) fn parse(text: &str) -> Result<Part, ExpressionError> {
    let mut parser = Parser { tokens: lex(text)?, at: 0, depth: 0 };
    if parser.peek() == &TokenKind::End {
        let span = Span { start: 0, end: text.len() };
        return Err(ExpressionError::new(Fault::Syntax, span, "the expression is empty"));
    }
    let tree = parser.expression(0)?;
    match parser.peek() {
        TokenKind::End => Ok(tree),
        TokenKind::Symbol(")") => Err(parser.fault("`)` closes nothing")),
        _ => Err(parser.unexpected("an operator or the end of the expression")),
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

type Parsed = Result<Part, ExpressionError>;

/// A call's name with its place, its arguments, and its place.
type CallText = ((String, Span), Vec<Part>, Span);

/// An operator between two operands, with how tightly it binds.
enum Infix {
    Binary(BinaryOp),
    Is,
    In,
    Between,
    Not,
}

const OR: u8 = 1;
const AND: u8 = 2;
const NOT: u8 = 3;
const COMPARE: u8 = 4;
const CONCAT: u8 = 5;
const ADD: u8 = 6;
const MULTIPLY: u8 = 7;
const NEGATE: u8 = 8;

impl Parser {
    fn token(&self) -> &Token {
        // `lex` ends with `End`, and nothing moves past it.
        &self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    fn peek(&self) -> &TokenKind {
        &self.token().kind
    }

    fn next(&mut self) -> Token {
        let token = self.token().clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), TokenKind::Word(found) if found.eq_ignore_ascii_case(word))
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.next();
        }
        found
    }

    fn take(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), TokenKind::Symbol(found) if *found == symbol);
        if found {
            self.next();
        }
        found
    }

    fn expect(&mut self, symbol: &'static str) -> Result<Span, ExpressionError> {
        let span = self.token().span;
        if self.take(symbol) { Ok(span) } else { Err(self.unexpected(&format!("`{symbol}`"))) }
    }

    fn expect_word(&mut self, word: &'static str) -> Result<Span, ExpressionError> {
        let span = self.token().span;
        if self.take_word(word) {
            Ok(span)
        } else {
            Err(self.unexpected(&format!("`{}`", word.to_uppercase())))
        }
    }

    fn fault(&self, words: impl Into<String>) -> ExpressionError {
        ExpressionError::new(Fault::Syntax, self.token().span, words)
    }

    fn unexpected(&self, expected: &str) -> ExpressionError {
        let found = match self.peek() {
            TokenKind::End => "the expression ends".to_owned(),
            TokenKind::Int(text) | TokenKind::Float(text) => format!("`{text}` stands"),
            TokenKind::Text(_) => "text stands".to_owned(),
            TokenKind::Word(word) => format!("`{word}` stands"),
            TokenKind::Symbol(symbol) => format!("`{symbol}` stands"),
        };
        let error = self.fault(format!("{found} where {expected} must stand"));
        match self.peek() {
            TokenKind::Word(word) if word.eq_ignore_ascii_case("like") => {
                error.hint("`LIKE` is not offered: use `starts_with`, `ends_with` or `contains`")
            }
            _ => error,
        }
    }

    /// An expression whose operators bind at least as tightly as `least`.
    fn expression(&mut self, least: u8) -> Parsed {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.fault(format!("the expression nests more than {MAX_DEPTH} deep")));
        }
        let mut left = self.prefix()?;
        while let Some((infix, power)) = self.infix() {
            if power < least {
                break;
            }
            left = self.continue_with(left, infix, power)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    fn infix(&self) -> Option<(Infix, u8)> {
        use BinaryOp as B;
        let binary = |op, power| Some((Infix::Binary(op), power));
        match self.peek() {
            TokenKind::Symbol(symbol) => match *symbol {
                "=" | "==" => binary(B::Eq, COMPARE),
                "<>" | "!=" => binary(B::NotEq, COMPARE),
                "<" => binary(B::Lt, COMPARE),
                "<=" => binary(B::LtEq, COMPARE),
                ">" => binary(B::Gt, COMPARE),
                ">=" => binary(B::GtEq, COMPARE),
                "||" => binary(B::Concat, CONCAT),
                "&&" => binary(B::And, AND),
                "+" => binary(B::Add, ADD),
                "-" => binary(B::Subtract, ADD),
                "*" => binary(B::Multiply, MULTIPLY),
                "/" => binary(B::Divide, MULTIPLY),
                "%" => binary(B::Modulo, MULTIPLY),
                _ => None,
            },
            TokenKind::Word(word) => match word.to_ascii_lowercase().as_str() {
                "or" => binary(B::Or, OR),
                "and" => binary(B::And, AND),
                "is" => Some((Infix::Is, COMPARE)),
                "in" => Some((Infix::In, COMPARE)),
                "between" => Some((Infix::Between, COMPARE)),
                "not" => Some((Infix::Not, COMPARE)),
                _ => None,
            },
            _ => None,
        }
    }

    fn continue_with(&mut self, left: Part, infix: Infix, power: u8) -> Parsed {
        let operator = self.next();
        match infix {
            Infix::Binary(op) => {
                let right = self.expression(power + 1)?;
                if power == COMPARE && self.infix().is_some_and(|(_, next)| next == COMPARE) {
                    return Err(self
                        .fault("comparisons cannot be chained")
                        .hint("join them with `AND`"));
                }
                let span = Span { start: left.span.start, end: right.span.end };
                self.node(SyntaxKind::Binary(op, left, right), span)
            }
            Infix::Is => {
                let not = self.take_word("not");
                let end = self.expect_word("null")?.end;
                let op = if not { UnaryOp::IsNotNull } else { UnaryOp::IsNull };
                let span = Span { start: left.span.start, end };
                self.node(SyntaxKind::Unary(op, left), span)
            }
            Infix::In => self.in_list(left),
            Infix::Between => self.between(left),
            Infix::Not => {
                let inner = if self.take_word("in") {
                    self.in_list(left)?
                } else if self.take_word("between") {
                    self.between(left)?
                } else {
                    return Err(self.unexpected("`IN` or `BETWEEN`"));
                };
                let span = Span { start: inner.span.start.min(operator.span.start), ..inner.span };
                self.node(SyntaxKind::Unary(UnaryOp::Not, inner), span)
            }
        }
    }

    fn in_list(&mut self, left: Part) -> Parsed {
        self.expect("(")?;
        let (items, end) = self.items()?;
        let span = Span { start: left.span.start, end };
        self.node(SyntaxKind::In(left, items), span)
    }

    fn between(&mut self, operand: Part) -> Parsed {
        let low = self.expression(COMPARE + 1)?;
        self.expect_word("and")?;
        let high = self.expression(COMPARE + 1)?;
        let span = Span { start: operand.span.start, end: high.span.end };
        let from = self.node(SyntaxKind::Binary(BinaryOp::GtEq, operand.clone(), low), span)?;
        let to = self.node(SyntaxKind::Binary(BinaryOp::LtEq, operand, high), span)?;
        self.node(SyntaxKind::Binary(BinaryOp::And, from, to), span)
    }

    /// Expressions with commas between them, up to and with the closing bracket.
    fn items(&mut self) -> Result<(Vec<Part>, usize), ExpressionError> {
        let mut items = Vec::new();
        if let TokenKind::Symbol(")") = self.peek() {
            return Ok((items, self.next().span.end));
        }
        loop {
            items.push(self.expression(0)?);
            if !self.take(",") {
                return Ok((items, self.expect(")")?.end));
            }
        }
    }

    fn prefix(&mut self) -> Parsed {
        let start = self.token().span.start;
        if self.take("-") {
            let operand = self.expression(NEGATE)?;
            let span = Span { start, end: operand.span.end };
            return self.negate(operand, span);
        }
        if self.take("!") || self.take_word("not") {
            let operand = self.expression(NOT)?;
            let span = Span { start, end: operand.span.end };
            return self.node(SyntaxKind::Unary(UnaryOp::Not, operand), span);
        }
        if self.take("+") {
            return self.expression(NEGATE);
        }
        self.primary()
    }

    /// A minus before a number is part of it, so that the smallest `Int` can be written.
    fn negate(&self, operand: Part, span: Span) -> Parsed {
        let kind = match &operand.kind {
            SyntaxKind::Int(text) if !text.starts_with('-') => SyntaxKind::Int(format!("-{text}")),
            SyntaxKind::Float(text) if !text.starts_with('-') => {
                SyntaxKind::Float(format!("-{text}"))
            }
            _ => SyntaxKind::Unary(UnaryOp::Negate, operand),
        };
        self.node(kind, span)
    }

    fn primary(&mut self) -> Parsed {
        let token = self.token().clone();
        let kind = match token.kind {
            TokenKind::Int(text) => SyntaxKind::Int(text),
            TokenKind::Float(text) => SyntaxKind::Float(text),
            TokenKind::Text(text) => SyntaxKind::Text(text),
            TokenKind::Word(word) => return self.word(&word, token.span),
            TokenKind::Symbol("(") => {
                self.next();
                let inner = self.expression(0)?;
                self.expect(")")?;
                return Ok(inner);
            }
            TokenKind::Symbol(_) | TokenKind::End => return Err(self.unexpected("a value")),
        };
        self.next();
        self.node(kind, token.span)
    }

    fn word(&mut self, word: &str, span: Span) -> Parsed {
        let lower = word.to_ascii_lowercase();
        let call = matches!(self.after(), TokenKind::Symbol("("));
        match lower.as_str() {
            "true" | "false" => {
                self.next();
                self.node(SyntaxKind::Boolean(lower == "true"), span)
            }
            "null" => {
                self.next();
                self.node(SyntaxKind::Null, span)
            }
            "case" => self.case(),
            "date" | "timestamp" if matches!(self.after(), TokenKind::Text(_)) => self.time(&lower),
            "coalesce" if call => {
                let (_, arguments, span) = self.call()?;
                self.node(SyntaxKind::Coalesce(arguments), span)
            }
            "cast" if call => self.cast(),
            "self" => self.self_field(),
            "viewer" => self.viewer(),
            _ if KEYWORDS.contains(&lower.as_str()) => Err(self
                .unexpected("a value")
                .hint_if_none(format!("a field of this name is written `self.{word}`"))),
            _ if call => {
                let (name, arguments, span) = self.call()?;
                self.node(SyntaxKind::Call(name.0, name.1, arguments), span)
            }
            _ => {
                self.next();
                self.path((word.to_owned(), span), span.start)
            }
        }
    }

    fn after(&self) -> &TokenKind {
        self.tokens.get(self.at + 1).map_or(&TokenKind::End, |token| &token.kind)
    }

    fn name(&mut self) -> Result<(String, Span), ExpressionError> {
        match self.token().clone() {
            Token { kind: TokenKind::Word(word), span } => {
                self.next();
                Ok((word, span))
            }
            _ => Err(self.unexpected("a name")),
        }
    }

    fn path(&mut self, first: (String, Span), start: usize) -> Parsed {
        let mut path = vec![first];
        while self.take(".") {
            path.push(self.name()?);
        }
        let end = path.last().map_or(start, |(_, span)| span.end);
        self.node(SyntaxKind::Field(path), Span { start, end })
    }

    fn self_field(&mut self) -> Parsed {
        let start = self.next().span.start;
        self.expect(".").map_err(|error| error.hint("write `self.field`"))?;
        let first = self.name()?;
        self.path(first, start)
    }

    fn viewer(&mut self) -> Parsed {
        let start = self.next().span.start;
        self.expect(".").map_err(|error| {
            error.hint("write `viewer.id`, `viewer.team` or `viewer.scope`; a field of this name is `self.viewer`")
        })?;
        let (name, span) = self.name()?;
        self.node(SyntaxKind::Viewer(name, span), Span { start, end: span.end })
    }

    fn time(&mut self, kind: &str) -> Parsed {
        let start = self.next().span.start;
        let token = self.next();
        let TokenKind::Text(text) = token.kind else { return Err(self.unexpected("text")) };
        let kind = match kind {
            "date" => SyntaxKind::Date(text),
            _ => SyntaxKind::Timestamp(text),
        };
        self.node(kind, Span { start, end: token.span.end })
    }

    fn call(&mut self) -> Result<CallText, ExpressionError> {
        let name = self.name()?;
        self.expect("(")?;
        let (arguments, end) = self.items()?;
        let span = Span { start: name.1.start, end };
        Ok((name, arguments, span))
    }

    fn cast(&mut self) -> Parsed {
        let start = self.next().span.start;
        self.expect("(")?;
        let operand = self.expression(0)?;
        self.expect_word("as")?;
        let from = self.token().span;
        let name = self.name()?;
        let mut numbers = Vec::new();
        if self.take("(") {
            loop {
                match self.next().kind {
                    TokenKind::Int(text) => numbers.push(text),
                    _ => {
                        self.at -= 1;
                        return Err(self.unexpected("a number"));
                    }
                }
                if !self.take(",") {
                    break;
                }
            }
            self.expect(")")?;
        }
        let end = self.tokens[self.at - 1].span.end;
        let wanted = convert::type_named(&name.0, &numbers, Span { start: from.start, end })?;
        let end = self.expect(")")?.end;
        self.node(SyntaxKind::Cast(operand, wanted), Span { start, end })
    }

    fn case(&mut self) -> Parsed {
        let start = self.next().span.start;
        let operand = if self.is_word("when") { None } else { Some(self.expression(0)?) };
        let mut branches = Vec::new();
        while self.take_word("when") {
            let mut when = self.expression(0)?;
            if let Some(operand) = &operand {
                let span = when.span;
                let kind = SyntaxKind::Binary(BinaryOp::Eq, operand.clone(), when);
                when = self.node(kind, span)?;
            }
            self.expect_word("then")?;
            branches.push((when, self.expression(0)?));
        }
        if branches.is_empty() {
            return Err(self.unexpected("`WHEN`"));
        }
        let otherwise = if self.take_word("else") { Some(self.expression(0)?) } else { None };
        let end = self.expect_word("end")?.end;
        self.node(SyntaxKind::Case(branches, otherwise), Span { start, end })
    }

    /// Makes a node, unless the tree has grown too deep or too large: chains of operators nest to
    /// the left without nesting in the text, and written-out forms double their operand.
    fn node(&self, kind: SyntaxKind, span: Span) -> Parsed {
        let (mut depth, mut size) = (0, 0);
        for part in parts(&kind) {
            depth = depth.max(part.depth);
            size += part.size;
        }
        let (depth, size) = (depth + 1, size + 1);
        if depth > MAX_DEPTH || size > MAX_NODES {
            let words = format!(
                "the expression is too large: at most {MAX_DEPTH} levels and {MAX_NODES} operands"
            );
            return Err(ExpressionError::new(Fault::Syntax, span, words)
                .hint("split it into several derived fields"));
        }
        Ok(Rc::new(Syntax { kind, span, depth, size }))
    }
}

fn parts(kind: &SyntaxKind) -> Vec<&Part> {
    match kind {
        SyntaxKind::Unary(_, part) | SyntaxKind::Cast(part, _) => vec![part],
        SyntaxKind::Binary(_, left, right) => vec![left, right],
        SyntaxKind::In(part, items) => std::iter::once(part).chain(items).collect(),
        SyntaxKind::Case(branches, otherwise) => {
            branches.iter().flat_map(|(when, then)| [when, then]).chain(otherwise).collect()
        }
        SyntaxKind::Coalesce(items) | SyntaxKind::Call(_, _, items) => items.iter().collect(),
        _ => Vec::new(),
    }
}

impl ExpressionError {
    fn hint_if_none(self, hint: String) -> Self {
        if self.hint.is_some() { self } else { self.hint(hint) }
    }
}
