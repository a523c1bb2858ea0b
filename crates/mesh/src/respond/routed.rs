//! Answers of services to text: plan and tapes are walked in the same order, and each value is copied
//! once, as it came, after a look at its form.

use std::sync::Arc;

use apollo_compiler::ast::Type;
use base::Kind;

use super::output::Output;
use super::writer::{Nulled, Written};
use crate::engine::Response;
use crate::error::{GraphqlError, PathPart};
use crate::fetch::service::{Answers, Spot};
use crate::fetch::{Session, introspect};
use crate::plan::Backend;
use crate::plan::route::{Below, Field, Leaf, Node, Route};
use crate::tape::{At, Cursor, Form, Tape};

/// Writes the whole response.
pub(crate) fn respond_routed(session: &Session<'_>, route: &Route, answers: Answers) -> Response {
    let (stack, path) = (Vec::with_capacity(64), Vec::with_capacity(16));
    let output = Output::new(&session.engine.settings.limits);
    let mut writer = Routed { session, route, answers, output, stack, path };
    writer.output.text.extend_from_slice(b"{\"data\":");
    let mark = writer.output.text.len();
    let written = writer.object(0, 0, Some(0));
    if written.is_err() {
        writer.output.text.truncate(mark);
        writer.output.text.extend_from_slice(b"null");
    }
    let Routed { answers, mut output, .. } = writer;
    // Of a query nothing is done that asking again could do twice, whatever else it asked.
    let stale = !session.plan.is_mutation && answers.faults.is_stale();
    for error in answers.faults.untold() {
        output.report(error, Vec::new);
    }
    let response = output.finish(written.is_err());
    Response { stale: response.stale || stale, ..response }
}

/// A slot of the object that is written, and where its next field is looked for.
#[derive(Clone, Copy)]
struct Place {
    spot: Spot,
    cursor: Option<Cursor>,
}

impl Place {
    fn new(spot: Spot) -> Self {
        Place { spot, cursor: None }
    }
}

/// A step into the answer.
#[derive(Clone, Copy)]
enum Step<'a> {
    Key(&'a Arc<str>),
    Index(usize),
}

struct Routed<'a> {
    session: &'a Session<'a>,
    route: &'a Route,
    answers: Answers,
    output: Output,
    /// The slots of the object that is written, below them those of the objects around it; above them
    /// the positions of the value that is written.
    stack: Vec<Place>,
    path: Vec<Step<'a>>,
}

/// A field whose value is written.
#[derive(Clone, Copy)]
struct Asked<'a> {
    node: &'a Node,
    field: &'a Field,
    /// Whether the value itself was looked up, and is not what stands in for its object.
    is_own: bool,
}

impl<'a> Routed<'a> {
    /// Writes an object whose bases stand on the stack from a position on.
    fn object(&mut self, node: usize, start: usize, ordinal: Option<usize>) -> Written {
        let route = self.route;
        let shape = &route.nodes[node];
        for slot in shape.bases..shape.slots.len() {
            let spot = match ordinal {
                Some(ordinal) => self.answers.slot(route, node, ordinal, slot),
                None => Spot::NONE,
            };
            self.stack.push(Place::new(spot));
        }
        self.output.text.push(b'{');
        let first = self.output.text.len();
        for (index, field) in shape.fields.iter().take(shape.shown).enumerate() {
            if field.when.as_ref().is_some_and(|when| !when.hold(&self.session.variables)) {
                continue;
            }
            let is_first = self.output.text.len() == first;
            self.output.text.extend_from_slice(&field.quoted[usize::from(is_first)..]);
            self.path.push(Step::Key(&field.key));
            let mark = self.output.text.len();
            let height = self.stack.len();
            let written = self.field(shape, field, index, start);
            self.stack.truncate(height);
            let written = self.absorb(written, &field.ty, mark);
            self.path.pop();
            written?;
        }
        self.output.text.push(b'}');
        Ok(())
    }

    /// A value that could not be written is null where its type allows it.
    fn absorb(&mut self, written: Written, ty: &Type, mark: usize) -> Written {
        if self.output.is_too_large() {
            return Err(Nulled);
        }
        if written.is_err() && !ty.is_non_null() {
            self.output.text.truncate(mark);
            self.output.text.extend_from_slice(b"null");
            return Ok(());
        }
        written
    }

    fn field(&mut self, node: &'a Node, field: &'a Field, index: usize, start: usize) -> Written {
        let height = self.stack.len();
        let mut is_own = false;
        for from in &field.from {
            let place = start + from.slot;
            let (spot, found) = self.look_up(node.slots[from.slot], place, &from.key);
            is_own |= found;
            self.stack.push(Place::new(spot));
        }
        let asked = Asked { node, field, is_own };
        match &field.below {
            Below::Typename => {
                super::scalar::string(&mut self.output.text, &node.type_name);
                Ok(())
            }
            Below::Introspection => self.introspection(field, index),
            _ => self.value(asked, &field.ty, height),
        }
    }

    fn introspection(&mut self, field: &'a Field, index: usize) -> Written {
        let Some(planned) = self.session.plan.root.fields.get(index) else { return Err(Nulled) };
        match introspect(self.session, planned) {
            Ok(json) if json.is_null() && field.ty.is_non_null() => Err(Nulled),
            Ok(json) => {
                self.output.text.extend_from_slice(json.to_string().as_bytes());
                Ok(())
            }
            Err(error) => {
                let error = self.session.blame(planned, &error);
                self.failed(field, &field.ty, error)
            }
        }
    }

    /// The value of a key of a slot, and whether the slot is an object that was looked into; what the
    /// slot is else.
    fn look_up(&mut self, group: usize, place: usize, key: &str) -> (Spot, bool) {
        let Some(slot) = self.stack.get_mut(place) else { return (Spot::NONE, false) };
        let (Some(tape), Some(object)) = (&self.answers.tapes[group], slot.spot.at()) else {
            return (slot.spot, false);
        };
        match tape.form(object) {
            Form::Object => {}
            Form::Null => return (slot.spot, false),
            _ => return (Spot::NONE, false),
        }
        let cursor = slot.cursor.get_or_insert_with(|| tape.cursor(object));
        let found = tape.field(object, cursor, key);
        (found.map_or(Spot::NONE, Spot::of), true)
    }

    /// Writes a value whose positions stand on the stack from a height on.
    fn value(&mut self, asked: Asked<'a>, ty: &Type, height: usize) -> Written {
        let Some((index, at, form)) = self.given(asked, height) else {
            return self.nothing(asked, ty, height);
        };
        let group = asked.node.slots[asked.field.from[index].slot];
        if ty.is_list() {
            return match form {
                Form::List => self.list(asked, ty.item_type(), height),
                _ => self.misfit(asked, ty),
            };
        }
        match (&asked.field.below, form) {
            (Below::Leaf(leaf), _) => self.leaf(asked, leaf, ty, group, at),
            (below, Form::Object) => match self.answers.node(below, group, Spot::of(at)) {
                Some(node) => self.inner(node, height, asked, ty),
                None => self.misfit(asked, ty),
            },
            _ => self.misfit(asked, ty),
        }
    }

    /// The first position of a value that is there and is not null.
    fn given(&self, asked: Asked<'a>, height: usize) -> Option<(usize, At, Form)> {
        asked.field.from.iter().enumerate().find_map(|(index, from)| {
            let group = asked.node.slots[from.slot];
            let at = self.stack.get(height + index)?.spot.at()?;
            let form = self.answers.tapes[group].as_ref()?.form(at);
            (form != Form::Null && asked.is_own).then_some((index, at, form))
        })
    }

    fn inner(&mut self, node: usize, height: usize, asked: Asked<'a>, ty: &Type) -> Written {
        let route = self.route;
        let shape = &route.nodes[node];
        let is_listed = shape.slots.len() > shape.bases;
        let ordinal = is_listed.then(|| self.ordinal(node, height, asked)).flatten();
        let Some(face) = &shape.face else { return self.object(node, height, ordinal) };
        let told = ordinal.map_or(Spot::NONE, |it| self.answers.slot(route, node, it, face.slot));
        let teller = shape.slots[face.slot];
        if self.answers.form(teller, told) != Some(Form::Object) {
            return self.untold(asked, ty, teller, told);
        }
        let Some(child) = self.answers.by_type(&face.by_type, teller, told) else {
            return self.misfit(asked, ty);
        };
        let start = self.stack.len();
        self.stack.push(Place::new(told));
        for base in 0..shape.bases {
            let place = self.stack[height + base];
            self.stack.push(place);
        }
        self.object(child, start, ordinal)
    }

    /// The number of the object whose bases stand on the stack from a height on.
    fn ordinal(&self, node: usize, height: usize, asked: Asked<'a>) -> Option<usize> {
        let bases = self.stack.get(height..height + self.route.nodes[node].bases)?;
        if let ([place], [from]) = (bases, asked.field.from.as_slice()) {
            let group = asked.node.slots[from.slot];
            return self.answers.ordinal(self.route, node, &[group], &[place.spot]);
        }
        let groups: Vec<usize> =
            asked.field.from.iter().map(|from| asked.node.slots[from.slot]).collect();
        let spots: Vec<Spot> = bases.iter().map(|place| place.spot).collect();
        self.answers.ordinal(self.route, node, &groups, &spots)
    }

    fn list(&mut self, asked: Asked<'a>, ty: &Type, height: usize) -> Written {
        self.output.text.push(b'[');
        let groups: Vec<usize> =
            asked.field.from.iter().map(|from| asked.node.slots[from.slot]).collect();
        let spots: Vec<Spot> =
            self.stack.iter().skip(height).take(groups.len()).map(|place| place.spot).collect();
        let mut next = self.answers.items(&groups, &spots);
        let mut items = Vec::with_capacity(groups.len());
        let mut index = 0;
        let top = self.stack.len();
        while self.answers.next_items(&groups, &mut next, &mut items) {
            if index > 0 {
                self.output.text.push(b',');
            }
            self.path.push(Step::Index(index));
            let mark = self.output.text.len();
            self.stack.extend(items.drain(..).map(Place::new));
            let written = self.value(asked, ty, top);
            self.stack.truncate(top);
            let written = self.absorb(written, ty, mark);
            self.path.pop();
            written?;
            index += 1;
        }
        self.output.text.push(b']');
        Ok(())
    }

    /// A scalar or an enum.
    fn leaf(&mut self, asked: Asked<'a>, leaf: &Leaf, ty: &Type, group: usize, at: At) -> Written {
        let Some(tape) = &self.answers.tapes[group] else { return Err(Nulled) };
        match fits(leaf, tape, at) {
            Fit::Yes => self.output.text.extend_from_slice(tape.raw(at)),
            Fit::Quoted => {
                self.output.text.push(b'"');
                self.output.text.extend_from_slice(tape.raw(at));
                self.output.text.push(b'"');
            }
            Fit::No => return self.misfit(asked, ty),
        }
        Ok(())
    }

    /// A value that is not there: what the service says of it is told, or that it must be there.
    fn nothing(&mut self, asked: Asked<'a>, ty: &Type, height: usize) -> Written {
        let mut told = Vec::new();
        for (index, from) in asked.field.from.iter().enumerate() {
            let group = asked.node.slots[from.slot];
            let Some(spot) = self.stack.get(height + index).map(|place| place.spot) else {
                continue;
            };
            told.extend(spot.fault());
            if let Some(at) = spot.at() {
                let faults = self.answers.faults.at(group, at);
                let own = |rest: &Option<Box<[u8]>>| {
                    rest.as_deref().is_none_or(|rest| rest == from.key.as_bytes())
                };
                // An object that is null tells of each field what is about it, or else everything.
                let is_about = !asked.is_own && faults.iter().any(|(_, rest)| own(rest));
                let about = faults.iter().filter(|(_, rest)| !is_about || own(rest));
                told.extend(about.map(|(fault, _)| *fault));
            }
        }
        if told.is_empty() {
            return self.null(asked, ty);
        }
        for fault in told {
            if let Some(error) = self.answers.faults.tell(fault) {
                self.report(asked.field, error);
            }
        }
        self.null_or_up(ty)
    }

    /// An object whose type nobody tells.
    fn untold(&mut self, asked: Asked<'a>, ty: &Type, group: usize, told: Spot) -> Written {
        let field = asked.field;
        let mut faults: Vec<usize> = told.fault().into_iter().collect();
        if let Some(at) = told.at() {
            faults.extend(self.answers.faults.at(group, at).iter().map(|(fault, _)| *fault));
        }
        if faults.is_empty() {
            return self.misfit(asked, ty);
        }
        for fault in faults {
            if let Some(error) = self.answers.faults.tell(fault) {
                self.report(field, error);
            }
        }
        self.null_or_up(ty)
    }

    fn null_or_up(&mut self, ty: &Type) -> Written {
        if ty.is_non_null() {
            return Err(Nulled);
        }
        self.output.text.extend_from_slice(b"null");
        Ok(())
    }

    /// Writes null, or reports that the type forbids it.
    fn null(&mut self, asked: Asked<'a>, ty: &Type) -> Written {
        let field = asked.field;
        if ty.is_non_null() {
            let message =
                format!("`{}.{}` has no value, but must have one", field.parent, field.name);
            let error = self.blamed(asked, GraphqlError::new(Kind::Internal, message));
            self.report(field, error);
        }
        self.null_or_up(ty)
    }

    fn misfit(&mut self, asked: Asked<'a>, ty: &Type) -> Written {
        let field = asked.field;
        let message = format!(
            "the value of `{}.{}` is not of its type `{}`",
            field.parent, field.name, field.ty
        );
        let error = self.blamed(asked, GraphqlError::new(Kind::Internal, message));
        self.failed(field, ty, error)
    }

    /// Names the service that a field is asked of, and who owns it.
    fn blamed(&self, asked: Asked<'a>, error: GraphqlError) -> GraphqlError {
        let group = asked.field.from.first().map(|from| asked.node.slots[from.slot]);
        let planned = group.and_then(|group| self.route.groups.get(group));
        match (planned, &self.session.engine.backend) {
            (Some(planned), Backend::Graph(atlas)) => {
                let source = &atlas.graph.sources[planned.source];
                let error = error.with("source", source.name.as_ref());
                error.with("owner", source.owner.as_str())
            }
            _ => error,
        }
    }

    fn failed(&mut self, field: &'a Field, ty: &Type, error: GraphqlError) -> Written {
        self.report(field, error);
        self.null_or_up(ty)
    }

    fn report(&mut self, field: &'a Field, error: GraphqlError) {
        let path = &self.path;
        let path = || {
            let part = |step: &Step<'_>| match step {
                Step::Key(key) => PathPart::Key((*key).clone()),
                Step::Index(index) => PathPart::Index(*index),
            };
            path.iter().map(part).collect()
        };
        self.output.report(error.located(&field.locations), path);
    }
}

/// Whether a value is of its type.
enum Fit {
    Yes,
    /// A number that is an `ID`.
    Quoted,
    No,
}

fn fits(leaf: &Leaf, tape: &Tape, at: At) -> Fit {
    let form = tape.form(at);
    let fits = match (leaf, form) {
        (Leaf::Any, _) | (Leaf::Boolean, Form::Boolean) => true,
        (Leaf::String | Leaf::Id, Form::Plain | Form::Escaped) => true,
        (Leaf::Int, Form::Number) => is_int(tape.raw(at)),
        (Leaf::Float, Form::Number) => is_float(tape.raw(at)),
        (Leaf::Id, Form::Number) => match is_integer(tape.raw(at)) {
            true => return Fit::Quoted,
            false => false,
        },
        (Leaf::Enum(values), Form::Plain) => {
            let value = tape.inside(at);
            values.iter().any(|known| known.as_bytes() == value)
        }
        (Leaf::Enum(values), Form::Escaped) => {
            let value = tape.text(at).unwrap_or_default();
            values.iter().any(|known| known.as_str() == value)
        }
        _ => false,
    };
    if fits { Fit::Yes } else { Fit::No }
}

fn is_integer(digits: &[u8]) -> bool {
    digits.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-')
}

fn is_int(digits: &[u8]) -> bool {
    // Up to nine digits are always few enough.
    is_integer(digits)
        && (digits.len() < 10
            || std::str::from_utf8(digits).is_ok_and(|digits| digits.parse::<i32>().is_ok()))
}

fn is_float(digits: &[u8]) -> bool {
    // Without an exponent, three hundred digits are always small enough.
    let is_small = digits.len() < 300 && !digits.iter().any(|byte| matches!(byte, b'e' | b'E'));
    let number = || std::str::from_utf8(digits).ok()?.parse::<f64>().ok();
    is_small || number().is_some_and(f64::is_finite)
}
