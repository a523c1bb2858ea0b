//! The body of an answer: in come nodes with their types, out comes GraphQL's JSON, where a value that
//! is not there is null, or takes what holds it with it, and says why.

use std::sync::Arc;

use apollo_compiler::Name;
use apollo_compiler::ast::Type;
use base::Kind;
use bytes::Bytes;
use serde_json::json;

use super::object::Place;
use crate::error::{GraphqlError, PathPart};
use crate::respond::scalar;

/// Errors that one body tells; whoever asked tells fewer.
const MOST_ERRORS: usize = 1_000;

/// What is written.
#[derive(Debug)]
pub(super) enum Node {
    Null,
    /// As it came.
    Raw(Place),
    /// JSON of our own.
    Text(Box<str>),
    Typename(Name),
    List(Vec<Node>),
    Object(Shape, Vec<Node>),
    /// Null, for this reason.
    Fault(usize),
}

/// The fields of an object.
#[derive(Clone, Debug)]
pub(super) struct Shape(Arc<[Shown]>);

#[derive(Debug)]
struct Shown {
    key: Arc<str>,
    /// `"key":`, with a comma before it.
    quoted: Box<[u8]>,
    ty: Type,
    /// `Film.stars` of whom, for errors.
    told: Box<str>,
}

/// Why a value is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    pub(super) words: String,
    pub(super) retryable: bool,
    pub(super) status: Option<u16>,
    /// Whether the object that has the field is null, too.
    pub(super) propagates: bool,
}

impl Fault {
    pub(super) fn new(kind: Kind, words: impl Into<String>) -> Self {
        let retryable = kind.is_retryable();
        Fault { kind, words: words.into(), retryable, status: None, propagates: false }
    }

    /// The service answered, but not what it should.
    pub(super) fn wrong(words: impl Into<String>) -> Self {
        Fault { retryable: false, ..Fault::new(Kind::Unavailable, words) }
    }
}

impl Shape {
    /// The shape of objects with these fields: keys, types and what errors call them.
    pub(super) fn new(fields: impl Iterator<Item = (Name, Type, String)>) -> Self {
        let shown = fields.map(|(key, ty, told)| {
            let mut quoted = vec![b','];
            scalar::string(&mut quoted, &key);
            quoted.push(b':');
            Shown { key: key.as_str().into(), quoted: quoted.into(), ty, told: told.into() }
        });
        Shape(shown.collect())
    }
}

/// A value could not be written, nor can what holds it; `by_force` also where null is allowed.
struct Up {
    by_force: bool,
}

/// A body while it is written.
pub(super) struct Written<'w> {
    faults: &'w [Fault],
    out: Vec<u8>,
    path: Vec<PathPart>,
    errors: Vec<GraphqlError>,
}

impl<'w> Written<'w> {
    pub(super) fn of(faults: &'w [Fault]) -> Self {
        Written { faults, out: Vec::with_capacity(1024), path: Vec::new(), errors: Vec::new() }
    }

    /// The whole body.
    pub(super) fn body(mut self, root: &Node) -> Bytes {
        self.out.extend_from_slice(b"{\"data\":");
        let mark = self.out.len();
        if let Node::Object(shape, fields) = root
            && self.object(shape, fields).is_err()
        {
            self.out.truncate(mark);
            self.out.extend_from_slice(b"null");
        }
        if !self.errors.is_empty() {
            let errors: Vec<_> = self.errors.iter().map(GraphqlError::to_json).collect();
            self.out.extend_from_slice(b",\"errors\":");
            self.out.extend_from_slice(json!(errors).to_string().as_bytes());
        }
        self.out.push(b'}');
        self.out.into()
    }

    fn object(&mut self, shape: &Shape, fields: &[Node]) -> Result<(), Up> {
        self.out.push(b'{');
        for (index, (shown, node)) in shape.0.iter().zip(fields).enumerate() {
            self.out.extend_from_slice(&shown.quoted[usize::from(index == 0)..]);
            self.path.push(PathPart::Key(shown.key.clone()));
            let mark = self.out.len();
            let written = self.node(node, &shown.ty, &shown.told);
            let written = self.absorb(written, &shown.ty, mark);
            self.path.pop();
            written?;
        }
        self.out.push(b'}');
        Ok(())
    }

    /// A value that could not be written is null where its type allows it.
    fn absorb(&mut self, written: Result<(), Up>, ty: &Type, mark: usize) -> Result<(), Up> {
        match written {
            Err(up) if !up.by_force && !ty.is_non_null() => {
                self.out.truncate(mark);
                self.out.extend_from_slice(b"null");
                Ok(())
            }
            Err(_) => Err(Up { by_force: false }),
            Ok(()) => Ok(()),
        }
    }

    fn node(&mut self, node: &Node, ty: &Type, told: &str) -> Result<(), Up> {
        match node {
            Node::Raw(place) => self.out.extend_from_slice(place.raw()),
            Node::Text(text) => self.out.extend_from_slice(text.as_bytes()),
            Node::Typename(name) => scalar::string(&mut self.out, name),
            Node::Object(shape, fields) => return self.object(shape, fields),
            Node::List(items) => return self.list(items, ty.item_type(), told),
            Node::Null if ty.is_non_null() => {
                let words = format!("{told} has no value, but must have one");
                self.report(&Fault::wrong(words));
                return Err(Up { by_force: false });
            }
            Node::Null => self.out.extend_from_slice(b"null"),
            Node::Fault(number) => {
                let faults = self.faults;
                let fault = faults.get(*number);
                if let Some(fault) = fault {
                    self.report(fault);
                }
                return Err(Up { by_force: fault.is_some_and(|fault| fault.propagates) });
            }
        }
        Ok(())
    }

    fn list(&mut self, items: &[Node], ty: &Type, told: &str) -> Result<(), Up> {
        self.out.push(b'[');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.path.push(PathPart::Index(index));
            let mark = self.out.len();
            let written = self.node(item, ty, told);
            let written = self.absorb(written, ty, mark);
            self.path.pop();
            written?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn report(&mut self, fault: &Fault) {
        if self.errors.len() >= MOST_ERRORS {
            return;
        }
        let mut error = GraphqlError::new(fault.kind, fault.words.clone())
            .with("retryable", fault.retryable)
            .at(&self.path);
        if let Some(status) = fault.status {
            error = error.with("status", status);
        }
        self.errors.push(error);
    }
}
