//! Answers of services to text: plan and tapes are walked in the same order, and each value is copied
//! once, as it came, after a look at its form.

mod computed;

use std::sync::Arc;

use apollo_compiler::ast::Type;
use base::Kind;

use super::output::{Left, Output};
use super::writer::{Nulled, Written};
use crate::engine::Response;
use crate::error::{GraphqlError, PathPart};
use crate::fetch::service::{Answers, Spot};
use crate::fetch::{Session, introspect};
use crate::incremental::pass::{Found, Guide, Pass, Text, Turn};
use crate::plan::Backend;
use crate::plan::route::{Below, Field, Leaf, Node, Route};
use crate::tape::{At, Cursor, Form, Tape};

/// Writes the whole response.
pub(crate) fn respond_routed(session: &Session<'_>, route: &Route, answers: Answers) -> Response {
    let mut writer = Routed::new(session, route, answers);
    let is_empty = writer.data();
    writer.finish(is_empty)
}

/// Writes the first part of a response. Out: also the answers, for other parts.
pub(crate) fn respond_routed_first<'a>(
    session: &'a Session<'a>,
    route: &'a Route,
    answers: Answers,
    pass: Pass<'a>,
) -> (Response, Answers, Vec<Found>, Left) {
    let mut writer = Routed { pass: Some(pass), ..Routed::new(session, route, answers) };
    let is_empty = writer.data();
    let found = writer.pass.take().map_or_else(Vec::new, |pass| pass.found);
    if found.is_empty() {
        return (writer.finish(is_empty), Answers::default(), found, Left::default());
    }
    let left = writer.output.left();
    let Routed { answers, output, .. } = writer;
    let stale = !session.plan.is_mutation && answers.faults.is_stale();
    let response = output.finish(is_empty);
    (Response { stale: response.stale || stale, ..response }, answers, found, left)
}

/// Writes what a pass is led to.
pub(crate) fn respond_routed_led<'a>(
    session: &'a Session<'a>,
    route: &'a Route,
    answers: Answers,
    pass: Pass<'a>,
    left: Left,
) -> (Vec<Text>, Answers, Left) {
    let output = Output::within(&session.engine.settings.limits, left);
    let mut writer = Routed { pass: Some(pass), output, ..Routed::new(session, route, answers) };
    // What is missing is said in the texts.
    let _ = writer.object(0, 0, Some(0));
    let texts = writer.pass.take().map_or_else(Vec::new, |pass| pass.texts);
    (texts, writer.answers, writer.output.left())
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
    /// Of an answer in parts: what is written now, and what later.
    pass: Option<Pass<'a>>,
    /// Whether what could not be written takes its object with it, although its type allows null.
    takes_object: bool,
}

/// A list while it is gone through.
#[derive(Clone)]
struct List<'a, 't> {
    asked: Asked<'a>,
    /// The type of an item.
    ty: &'t Type,
    groups: Vec<usize>,
    next: Vec<Spot>,
    index: usize,
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
    fn new(session: &'a Session<'a>, route: &'a Route, answers: Answers) -> Self {
        let (stack, path) = (Vec::with_capacity(64), Vec::with_capacity(16));
        let output = Output::new(&session.engine.settings.limits);
        Routed { session, route, answers, output, stack, path, pass: None, takes_object: false }
    }

    /// Writes the data of a response. Out: whether there is none.
    fn data(&mut self) -> bool {
        self.output.text.extend_from_slice(b"{\"data\":");
        let mark = self.here();
        let written = self.object(0, 0, Some(0));
        if written.is_err() {
            self.back_to(mark);
            self.output.text.extend_from_slice(b"null");
        }
        written.is_err()
    }

    /// Closes a response that has no other parts.
    fn finish(self, is_empty: bool) -> Response {
        let Routed { mut answers, mut output, session, .. } = self;
        // Of a query nothing is done that asking again could do twice, whatever else it asked.
        let stale = !session.plan.is_mutation && answers.faults.is_stale();
        for error in answers.faults.untold() {
            output.report(error, Vec::new);
        }
        let response = output.finish(is_empty);
        Response { stale: response.stale || stale, ..response }
    }

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
        let Some(pass) = &mut self.pass else { return self.fields(shape, start, true) };
        pass.enter(self.path.len());
        let written = match pass.take_guide() {
            None => self.fields(shape, start, true),
            Some(guide) => {
                self.led_object(shape, start, guide);
                Ok(())
            }
        };
        if let Some(pass) = &mut self.pass {
            pass.leave();
        }
        written
    }

    /// Writes the fields of an object. What it leaves for later is noted, unless it was before.
    fn fields(&mut self, shape: &'a Node, start: usize, notes_later: bool) -> Written {
        self.output.text.push(b'{');
        let first = self.output.text.len();
        let mut later = Vec::new();
        for (index, field) in shape.fields.iter().take(shape.shown).enumerate() {
            if field.when.as_ref().is_some_and(|when| !when.hold(&self.session.variables)) {
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
            let is_first = self.output.text.len() == first;
            self.output.text.extend_from_slice(&field.quoted[usize::from(is_first)..]);
            self.path.push(Step::Key(&field.key));
            let mark = self.here();
            let height = self.stack.len();
            let written = self.field(shape, field, index, start);
            self.stack.truncate(height);
            if let Some(pass) = &mut self.pass {
                pass.disarm();
            }
            let written = self.absorb(written, &field.ty, mark);
            self.path.pop();
            written?;
        }
        self.output.text.push(b'}');
        let path = (!later.is_empty()).then(|| self.parts_of_path());
        if let (Some(pass), Some(path)) = (self.pass.as_mut().filter(|_| notes_later), path) {
            for set in later {
                pass.leave_fields(set, path.clone());
            }
        }
        Ok(())
    }

    /// Goes through an object to the places below it, and writes the part that belongs to it.
    fn led_object(&mut self, shape: &'a Node, start: usize, mut guide: Guide) {
        if let Some((place, _)) = guide.here {
            let mark = self.output.text.len();
            let written = self.fields(shape, start, false);
            self.keep(place, mark, written.is_err());
        }
        for (index, field) in shape.fields.iter().take(shape.shown).enumerate() {
            let step = PathPart::Key(field.key.clone());
            let Some(below) = guide.below.remove(&step) else { continue };
            self.path.push(Step::Key(&field.key));
            self.lead(Some(below));
            let height = self.stack.len();
            // Nothing is written on the way, so nothing can be missing there.
            let _ = self.field(shape, field, index, start);
            self.stack.truncate(height);
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

    /// Where the text ends now, and how much was found for later.
    fn here(&self) -> (usize, usize) {
        (self.output.text.len(), self.pass.as_ref().map_or(0, |pass| pass.found.len()))
    }

    fn back_to(&mut self, (mark, found): (usize, usize)) {
        self.output.text.truncate(mark);
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
            Below::Computed(computed) => self.computed(asked, computed, start),
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
        let groups: Vec<usize> =
            asked.field.from.iter().map(|from| asked.node.slots[from.slot]).collect();
        let spots: Vec<Spot> =
            self.stack.iter().skip(height).take(groups.len()).map(|place| place.spot).collect();
        let next = self.answers.items(&groups, &spots);
        let mut list = List { asked, ty, groups, next, index: 0 };
        if let Some(guide) = self.pass.as_mut().and_then(Pass::take_guide) {
            self.led_list(list, guide);
            return Ok(());
        }
        let stream = self.pass.as_mut().and_then(Pass::begin_list);
        self.output.text.push(b'[');
        self.items(&mut list, stream.map_or(usize::MAX, |stream| stream.initial))?;
        self.output.text.push(b']');
        if let Some(stream) = stream
            && self.has_more(&mut list)
        {
            let path = self.parts_of_path();
            if let Some(pass) = &mut self.pass {
                pass.leave_items(stream, path, list.index);
            }
        }
        Ok(())
    }

    /// Goes through a list to the places below it, and writes the items that it kept back.
    fn led_list(&mut self, mut list: List<'a, '_>, mut guide: Guide) {
        let mut items = Vec::with_capacity(list.groups.len());
        loop {
            if let Some((place, _)) = guide.here.filter(|(_, from)| *from == list.index) {
                let mark = self.output.text.len();
                let mut kept_back = list.clone();
                let written = self.items(&mut kept_back, usize::MAX);
                self.keep(place, mark, written.is_err());
                guide.here = None;
            }
            let is_over = guide.here.is_none() && guide.below.is_empty();
            if is_over || !self.answers.next_items(&list.groups, &mut list.next, &mut items) {
                return;
            }
            let step = PathPart::Index(list.index);
            if let Some(below) = guide.below.remove(&step) {
                self.path.push(Step::Index(list.index));
                self.lead(Some(below));
                let top = self.stack.len();
                self.stack.extend(items.iter().copied().map(Place::new));
                let _ = self.value(list.asked, list.ty, top);
                self.stack.truncate(top);
                self.lead(None);
                self.path.pop();
            }
            items.clear();
            list.index += 1;
        }
    }

    /// Whether a list has another item.
    fn has_more(&self, list: &mut List<'a, '_>) -> bool {
        let (mut next, mut items) = (list.next.clone(), Vec::new());
        self.answers.next_items(&list.groups, &mut next, &mut items)
    }

    /// Writes items up to one; those before one that takes the list with it are left where they are.
    fn items(&mut self, list: &mut List<'a, '_>, end: usize) -> Written {
        let mut items = Vec::with_capacity(list.groups.len());
        let (top, first) = (self.stack.len(), list.index);
        while list.index < end && self.answers.next_items(&list.groups, &mut list.next, &mut items)
        {
            let start = self.here();
            if list.index > first {
                self.output.text.push(b',');
            }
            self.path.push(Step::Index(list.index));
            let mark = self.here();
            self.stack.extend(items.drain(..).map(Place::new));
            let written = self.value(list.asked, list.ty, top);
            self.stack.truncate(top);
            let written = self.absorb(written, list.ty, mark);
            self.path.pop();
            if let Err(nulled) = written {
                self.back_to(start);
                return Err(nulled);
            }
            list.index += 1;
        }
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
        self.output.report(error.located(&field.locations), || parts(path));
    }

    fn parts_of_path(&self) -> Vec<PathPart> {
        parts(&self.path)
    }
}

fn parts(path: &[Step<'_>]) -> Vec<PathPart> {
    let part = |step: &Step<'_>| match step {
        Step::Key(key) => PathPart::Key((*key).clone()),
        Step::Index(index) => PathPart::Index(*index),
    };
    path.iter().map(part).collect()
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
