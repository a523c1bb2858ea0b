//! The growing text of an answer, with the errors and the place where writing is.

use base::{Kind, size};

use apollo_compiler::ast::Type;

use crate::engine::Response;
use crate::error::{GraphqlError, PathPart};
use crate::fetch::Session;
use crate::plan::{PlannedField, Selection};

/// A null that its place forbids: the parent is null instead.
pub(crate) struct Nulled;

/// Whether something was written, or the parent must be null.
pub(crate) type Written = Result<(), Nulled>;

pub(crate) struct Writer<'a> {
    out: Vec<u8>,
    errors: Vec<GraphqlError>,
    /// Errors beyond the limit, which are counted only.
    more_errors: usize,
    /// Whether the answer became larger than is allowed: nothing of it is sent, and writing ends.
    is_too_large: bool,
    path: Vec<PathPart>,
    session: &'a Session<'a>,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(session: &'a Session<'a>) -> Self {
        Writer {
            out: Vec::with_capacity(4096),
            errors: Vec::new(),
            more_errors: 0,
            is_too_large: false,
            path: Vec::new(),
            session,
        }
    }

    pub(crate) fn session(&self) -> &'a Session<'a> {
        self.session
    }

    /// Appends text as it stands.
    pub(crate) fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// The text so far, to append to.
    pub(crate) fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Where the text ends now.
    pub(crate) fn mark(&self) -> usize {
        self.out.len()
    }

    /// Takes back everything after a mark.
    pub(crate) fn cut(&mut self, mark: usize) {
        self.out.truncate(mark);
    }

    /// Whether nothing but null was written after a mark.
    pub(crate) fn is_null_since(&self, mark: usize) -> bool {
        self.out.get(mark..) == Some(b"null")
    }

    /// Appends a JSON string.
    pub(crate) fn string(&mut self, text: &str) {
        super::scalar::string(&mut self.out, text);
    }

    pub(crate) fn typename(&mut self, name: &str) -> Written {
        self.string(name);
        Ok(())
    }

    /// Writes an object with every field of the selection that is in the answer; `each` gets its
    /// position in the selection.
    pub(crate) fn object(
        &mut self,
        selection: &Selection,
        mut each: impl FnMut(&mut Self, usize, &PlannedField) -> Written,
    ) -> Written {
        self.out.push(b'{');
        let mut first = true;
        for (index, field) in selection.fields.iter().enumerate() {
            if !field.when.hold(&self.session.variables) {
                continue;
            }
            if !first {
                self.out.push(b',');
            }
            first = false;
            self.string(&field.key);
            self.out.push(b':');
            self.path.push(PathPart::Key(field.key.clone()));
            let mark = self.mark();
            let written = each(self, index, field);
            self.path.pop();
            self.absorb(written, &field.ty, mark)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    /// Writes a list of so many items of a list type.
    pub(crate) fn list(
        &mut self,
        ty: &Type,
        length: usize,
        mut each: impl FnMut(&mut Self, usize) -> Written,
    ) -> Written {
        let item = ty.item_type();
        self.out.push(b'[');
        for index in 0..length {
            if index > 0 {
                self.out.push(b',');
            }
            self.path.push(PathPart::Index(index));
            let mark = self.mark();
            let written = each(self, index);
            self.path.pop();
            self.absorb(written, item, mark)?;
        }
        self.out.push(b']');
        Ok(())
    }

    /// A value that could not be written is null where its type allows it.
    fn absorb(&mut self, written: Written, ty: &Type, mark: usize) -> Written {
        self.is_too_large |= self.out.len() > self.session.engine.settings.limits.response_bytes;
        if self.is_too_large {
            return Err(Nulled);
        }
        if written.is_err() && !ty.is_non_null() {
            self.cut(mark);
            self.text("null");
            return Ok(());
        }
        written
    }

    /// Writes null, or reports that the type forbids it.
    pub(crate) fn null(&mut self, field: &PlannedField, ty: &Type) -> Written {
        if !ty.is_non_null() {
            self.text("null");
            return Ok(());
        }
        let message = format!("`{}.{}` has no value, but must have one", field.parent, field.name);
        self.report(GraphqlError::new(Kind::Internal, message).located(&field.locations));
        Err(Nulled)
    }

    /// Reports an error and leaves the value out.
    pub(crate) fn failed(&mut self, ty: &Type, error: GraphqlError) -> Written {
        self.report(error);
        if ty.is_non_null() {
            return Err(Nulled);
        }
        self.text("null");
        Ok(())
    }

    fn report(&mut self, error: GraphqlError) {
        if self.errors.len() < self.session.engine.settings.limits.errors {
            self.errors.push(error.at(&self.path));
        } else {
            self.more_errors += 1;
        }
    }

    /// Closes the response; `is_empty` says that every root field is null.
    pub(crate) fn finish(mut self, is_empty: bool) -> Response {
        if self.is_too_large {
            return self.too_large();
        }
        let mut count = self.errors.len();
        if self.more_errors > 0 {
            let message = format!("{} more errors are left out", self.more_errors);
            self.errors.push(GraphqlError::new(Kind::LimitExceeded, message));
            count += self.more_errors;
        }
        if !self.errors.is_empty() {
            let errors: Vec<_> = self.errors.iter().map(GraphqlError::to_json).collect();
            self.text(",\"errors\":");
            self.text(&serde_json::Value::Array(errors).to_string());
        }
        self.out.push(b'}');
        let stale = is_empty && count > 0 && self.errors.iter().all(GraphqlError::is_stale);
        Response { body: self.out, refused: false, errors: count, stale }
    }

    /// The answer in the place of one that is larger than is allowed. What the request did is done.
    fn too_large(mut self) -> Response {
        let limit = self.session.engine.settings.limits.response_bytes;
        let message = format!("the answer is larger than {}", size::format_bytes(limit as u64));
        let hint = "ask for fewer rows with `first`, or for fewer fields";
        self.errors = vec![GraphqlError::new(Kind::LimitExceeded, message).with("hint", hint)];
        self.more_errors = 0;
        self.is_too_large = false;
        self.finish(true)
    }
}
