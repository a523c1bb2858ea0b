//! The growing text of an answer, with the errors and the place where writing is.

use std::ops::Range;

use base::Kind;

use apollo_compiler::ast::Type;

use super::output::{Left, Output};
use crate::engine::Response;
use crate::error::{GraphqlError, PathPart};
use crate::fetch::Session;
use crate::incremental::pass::{Guide, Pass, Turn};
use crate::plan::{PlannedField, Selection};

/// A null that its place forbids: the parent is null instead.
pub(crate) struct Nulled;

/// Whether something was written, or the parent must be null.
pub(crate) type Written = Result<(), Nulled>;

pub(crate) struct Writer<'a> {
    output: Output,
    path: Vec<PathPart>,
    session: &'a Session<'a>,
    /// Of an answer in parts: what is written now, and what later.
    pass: Option<Pass<'a>>,
    /// Whether what could not be written takes its object with it, although its type allows null.
    takes_object: bool,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(session: &'a Session<'a>) -> Self {
        let output = Output::new(&session.engine.settings.limits);
        Writer { output, path: Vec::new(), session, pass: None, takes_object: false }
    }

    /// One that tells no errors: of more than are told only the number counts.
    pub(crate) fn silent(session: &'a Session<'a>) -> Self {
        let limits = &session.engine.settings.limits;
        let output = Output::within(limits, (limits.response_bytes, 0));
        Writer { output, ..Writer::new(session) }
    }

    /// One that writes parts, within what is left of the limits.
    pub(crate) fn in_parts(session: &'a Session<'a>, pass: Pass<'a>, left: Option<Left>) -> Self {
        let mut writer = Writer::new(session);
        if let Some(left) = left {
            writer.output = Output::within(&session.engine.settings.limits, left);
        }
        Writer { pass: Some(pass), ..writer }
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

    /// Writes null in the place of all data after a mark, of which nothing comes later either.
    pub(crate) fn nothing(&mut self, mark: usize) {
        self.back_to((mark, 0));
        self.text("null");
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
        let Some(pass) = &mut self.pass else { return self.fields(selection, true, &mut each) };
        pass.enter(self.path.len());
        let written = match pass.take_guide() {
            None => self.fields(selection, true, &mut each),
            Some(guide) => {
                self.led_object(selection, guide, &mut each);
                Ok(())
            }
        };
        if let Some(pass) = &mut self.pass {
            pass.leave();
        }
        written
    }

    /// Writes an object. What it leaves for later is noted, unless it was before.
    fn fields(
        &mut self,
        selection: &Selection,
        notes_later: bool,
        each: &mut impl FnMut(&mut Self, usize, &PlannedField) -> Written,
    ) -> Written {
        self.output.text.push(b'{');
        let mut first = true;
        let mut later = Vec::new();
        for (index, field) in selection.fields.iter().enumerate() {
            if !field.when.hold(&self.session.variables) {
                continue;
            }
            if let Some(pass) = &mut self.pass
                && let Turn::Later(set) = pass.turn(field.timing.as_deref())
            {
                if !later.contains(&set) {
                    later.push(set);
                }
                continue;
            }
            if !first {
                self.output.text.push(b',');
            }
            first = false;
            self.string(&field.key);
            self.output.text.push(b':');
            self.path.push(PathPart::Key(field.key.clone()));
            let mark = self.here();
            let written = each(self, index, field);
            self.path.pop();
            if let Some(pass) = &mut self.pass {
                pass.disarm();
            }
            self.absorb(written, &field.ty, mark)?;
        }
        self.output.text.push(b'}');
        if let Some(pass) = self.pass.as_mut().filter(|_| notes_later) {
            for set in later {
                pass.leave_fields(set, self.path.clone());
            }
        }
        Ok(())
    }

    /// Goes through an object to the places below it, and writes the part that belongs to it.
    fn led_object(
        &mut self,
        selection: &Selection,
        mut guide: Guide,
        each: &mut impl FnMut(&mut Self, usize, &PlannedField) -> Written,
    ) {
        if let Some((place, _)) = guide.here {
            let mark = self.mark();
            let written = self.fields(selection, false, each);
            self.keep(place, mark, written.is_err());
        }
        for (index, field) in selection.fields.iter().enumerate() {
            let step = PathPart::Key(field.key.clone());
            let Some(below) = guide.below.remove(&step) else { continue };
            self.path.push(step);
            self.lead(Some(below));
            // Nothing is written on the way, so nothing can be missing there.
            let _ = each(self, index, field);
            self.lead(None);
            self.path.pop();
        }
    }

    /// Keeps the text after a mark as that of a place.
    fn keep(&mut self, place: usize, mark: usize, is_cut: bool) {
        let (text, errors) = self.output.take_part(mark);
        if let Some(pass) = &mut self.pass {
            pass.keep(place, text, is_cut, errors);
        }
    }

    fn lead(&mut self, guide: Option<Guide>) {
        if let Some(pass) = &mut self.pass {
            pass.lead(guide);
        }
    }

    /// Writes a list of so many items of a list type.
    pub(crate) fn list(
        &mut self,
        ty: &Type,
        length: usize,
        mut each: impl FnMut(&mut Self, usize) -> Written,
    ) -> Written {
        let item = ty.item_type();
        let Some(pass) = &mut self.pass else {
            self.output.text.push(b'[');
            self.items(item, 0..length, &mut each)?;
            self.output.text.push(b']');
            return Ok(());
        };
        if let Some(guide) = pass.take_guide() {
            self.led_list(item, length, guide, &mut each);
            return Ok(());
        }
        let stream = pass.begin_list();
        let end = stream.map_or(length, |stream| stream.initial.min(length));
        self.output.text.push(b'[');
        self.items(item, 0..end, &mut each)?;
        self.output.text.push(b']');
        if let (Some(stream), Some(pass)) = (stream.filter(|_| end < length), &mut self.pass) {
            pass.leave_items(stream, self.path.clone(), end);
        }
        Ok(())
    }

    /// Goes through a list to the places below it, and writes the items that it kept back.
    fn led_list(
        &mut self,
        item: &Type,
        length: usize,
        guide: Guide,
        each: &mut impl FnMut(&mut Self, usize) -> Written,
    ) {
        if let Some((place, from)) = guide.here {
            let mark = self.mark();
            let written = self.items(item, from..length, each);
            self.keep(place, mark, written.is_err());
        }
        for (step, below) in guide.below {
            let PathPart::Index(index) = step else { continue };
            self.path.push(step);
            self.lead(Some(below));
            let _ = each(self, index);
            self.lead(None);
            self.path.pop();
        }
    }

    /// Writes items; those before one that takes the list with it are left where they are.
    fn items(
        &mut self,
        item: &Type,
        range: Range<usize>,
        each: &mut impl FnMut(&mut Self, usize) -> Written,
    ) -> Written {
        let first = range.start;
        for index in range {
            let start = self.here();
            if index > first {
                self.output.text.push(b',');
            }
            self.path.push(PathPart::Index(index));
            let mark = self.here();
            let written = each(self, index);
            self.path.pop();
            if let Err(nulled) = self.absorb(written, item, mark) {
                self.back_to(start);
                return Err(nulled);
            }
        }
        Ok(())
    }

    /// Where the text ends now, and how much was found for later.
    fn here(&self) -> (usize, usize) {
        (self.mark(), self.pass.as_ref().map_or(0, |pass| pass.found.len()))
    }

    fn back_to(&mut self, (mark, found): (usize, usize)) {
        self.cut(mark);
        if let Some(pass) = &mut self.pass {
            pass.forget(found);
        }
    }

    /// A value that could not be written is null where its type allows it.
    fn absorb(&mut self, written: Written, ty: &Type, mark: (usize, usize)) -> Written {
        if self.output.is_too_large() {
            return Err(Nulled);
        }
        let takes_object = std::mem::take(&mut self.takes_object);
        if written.is_err() && !ty.is_non_null() && !takes_object {
            self.back_to(mark);
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

    /// Reports an error and leaves out the object whose field it is.
    pub(crate) fn failed_with_object(&mut self, error: GraphqlError) -> Written {
        self.report(error);
        self.takes_object = true;
        Err(Nulled)
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

    /// What was found and written of parts, and what is left of the limits. What a writer has that ends
    /// an answer is asked before it is closed.
    pub(crate) fn take_pass(&mut self) -> Option<(Pass<'a>, Left)> {
        Some((self.pass.take()?, self.output.left()))
    }

    /// What was written, and the errors.
    pub(super) fn taken(mut self) -> (Vec<u8>, Vec<GraphqlError>) {
        self.output.take_part(0)
    }

    /// Closes the response; `is_empty` says that every root field is null.
    pub(crate) fn finish(self, is_empty: bool) -> Response {
        self.output.finish(is_empty)
    }
}
