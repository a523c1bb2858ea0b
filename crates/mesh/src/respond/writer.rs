//! The growing text of an answer, with the errors and the place where writing is.

use base::Kind;

use apollo_compiler::ast::Type;

use super::output::Output;
use crate::engine::Response;
use crate::error::{GraphqlError, PathPart};
use crate::fetch::Session;
use crate::plan::{PlannedField, Selection};

/// A null that its place forbids: the parent is null instead.
pub(crate) struct Nulled;

/// Whether something was written, or the parent must be null.
pub(crate) type Written = Result<(), Nulled>;

pub(crate) struct Writer<'a> {
    output: Output,
    path: Vec<PathPart>,
    session: &'a Session<'a>,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(session: &'a Session<'a>) -> Self {
        Writer { output: Output::new(&session.engine.settings.limits), path: Vec::new(), session }
    }

    pub(crate) fn session(&self) -> &'a Session<'a> {
        self.session
    }

    /// Appends text as it stands.
    pub(crate) fn text(&mut self, text: &str) {
        self.output.text.extend_from_slice(text.as_bytes());
    }

    /// The text so far, to append to.
    pub(crate) fn out(&mut self) -> &mut Vec<u8> {
        &mut self.output.text
    }

    /// Where the text ends now.
    pub(crate) fn mark(&self) -> usize {
        self.output.text.len()
    }

    /// Takes back everything after a mark.
    pub(crate) fn cut(&mut self, mark: usize) {
        self.output.text.truncate(mark);
    }

    /// Whether nothing but null was written after a mark.
    pub(crate) fn is_null_since(&self, mark: usize) -> bool {
        self.output.text.get(mark..) == Some(b"null")
    }

    /// Appends a JSON string.
    pub(crate) fn string(&mut self, text: &str) {
        super::scalar::string(&mut self.output.text, text);
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
        self.output.text.push(b'{');
        let mut first = true;
        for (index, field) in selection.fields.iter().enumerate() {
            if !field.when.hold(&self.session.variables) {
                continue;
            }
            if !first {
                self.output.text.push(b',');
            }
            first = false;
            self.string(&field.key);
            self.output.text.push(b':');
            self.path.push(PathPart::Key(field.key.clone()));
            let mark = self.mark();
            let written = each(self, index, field);
            self.path.pop();
            self.absorb(written, &field.ty, mark)?;
        }
        self.output.text.push(b'}');
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
        self.output.text.push(b'[');
        for index in 0..length {
            if index > 0 {
                self.output.text.push(b',');
            }
            self.path.push(PathPart::Index(index));
            let mark = self.mark();
            let written = each(self, index);
            self.path.pop();
            self.absorb(written, item, mark)?;
        }
        self.output.text.push(b']');
        Ok(())
    }

    /// A value that could not be written is null where its type allows it.
    fn absorb(&mut self, written: Written, ty: &Type, mark: usize) -> Written {
        if self.output.is_too_large() {
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
        self.output.report(error, || self.path.clone());
    }

    /// Whether the answer has as many errors as it may have; more are only counted.
    pub(crate) fn is_full(&self) -> bool {
        self.output.is_full()
    }

    /// Counts an error that is not told, and leaves the value out.
    pub(crate) fn left_out(&mut self, ty: &Type) -> Written {
        self.output.leave_out();
        if ty.is_non_null() {
            return Err(Nulled);
        }
        self.text("null");
        Ok(())
    }

    /// Closes the response; `is_empty` says that every root field is null.
    pub(crate) fn finish(self, is_empty: bool) -> Response {
        self.output.finish(is_empty)
    }
}
