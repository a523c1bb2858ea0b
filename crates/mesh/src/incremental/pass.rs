//! One pass of a writer through an answer: what it leaves for later, or, led to certain places, what it
//! writes there.
//!
//! In: a schedule and what is to be written: the first part, or one delivery at the places where it was
//! found. Out: the texts, and what was found on the way for later passes. The writers (`respond`) walk
//! through data as they do for an answer in one piece and ask a pass at every object and list. Not here:
//! data, what becomes of the texts (`ledger`).

use std::collections::BTreeMap;

use base::Kind;

use super::schedule::{Delivery, Schedule, SetId, Stream};
use crate::error::{GraphqlError, PathPart};
use crate::plan::defer::Timing;

/// Something that is delivered later than what is around it, at one place.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) delivery: Delivery,
    /// What is around: items that came by themselves make fields inside them come with them.
    pub(crate) floor: u32,
    /// Of an object whose fields come later, or of a list whose items do.
    pub(crate) path: Vec<PathPart>,
    /// For each object around, and the one itself, how long its path is.
    pub(crate) levels: Vec<usize>,
    /// Of a list: the first item that comes later.
    pub(crate) from: usize,
}

/// What was written at a place that the pass was led to.
#[derive(Debug)]
pub(crate) struct Text {
    /// The number of the place.
    pub(crate) place: usize,
    pub(crate) json: Vec<u8>,
    /// Whether a null took all of it along; of a list, from some item on.
    pub(crate) is_cut: bool,
    pub(crate) errors: Vec<GraphqlError>,
    pub(crate) found: Vec<Found>,
}

impl Text {
    /// Why something of it is missing.
    pub(crate) fn reasons(&self) -> Vec<GraphqlError> {
        if self.errors.is_empty() {
            let message = "a value that must be there is missing";
            return vec![GraphqlError::new(Kind::Internal, message)];
        }
        self.errors.clone()
    }
}

/// The places that a pass is led to, by the steps to them.
#[derive(Debug, Default)]
pub(crate) struct Guide {
    /// The number of the place, if one is here, and its first item.
    pub(crate) here: Option<(usize, usize)>,
    pub(crate) below: BTreeMap<PathPart, Guide>,
}

impl Guide {
    fn add(&mut self, path: &[PathPart], place: (usize, usize)) {
        let end =
            path.iter().fold(self, |guide, step| guide.below.entry(step.clone()).or_default());
        end.here = Some(place);
    }
}

/// What a writer keeps while it writes parts.
pub(crate) struct Pass<'a> {
    schedule: &'a Schedule,
    /// The set of fields that are written, and the floor below which they are looked up.
    set: SetId,
    floor: u32,
    levels: Vec<usize>,
    /// The list of the field that is written, until it begins.
    armed: Option<&'a Stream>,
    pub(crate) found: Vec<Found>,
    guide: Option<Guide>,
    pub(crate) texts: Vec<Text>,
}

/// What becomes of a field.
pub(crate) enum Turn {
    Now,
    Later(SetId),
}

impl<'a> Pass<'a> {
    /// The pass that writes the first part.
    pub(crate) fn first(schedule: &'a Schedule) -> Self {
        let (levels, found, texts) = (Vec::new(), Vec::new(), Vec::new());
        Pass { schedule, set: 0, floor: 0, levels, armed: None, found, guide: None, texts }
    }

    /// The pass that writes one delivery below one floor, at all places where it was found.
    pub(crate) fn led(schedule: &'a Schedule, places: &[Found]) -> Self {
        let mut guide = Guide::default();
        for (number, place) in places.iter().enumerate() {
            guide.add(&place.path, (number, place.from));
        }
        let mut pass = Pass { guide: Some(guide), ..Pass::first(schedule) };
        match places.first().map(|place| (place.delivery, place.floor)) {
            Some((Delivery::Set(set), floor)) => (pass.set, pass.floor) = (set, floor),
            Some((Delivery::Items(number), _)) => {
                pass.floor = schedule.stream_of(number).map_or(0, |stream| stream.floor);
            }
            None => {}
        }
        pass
    }

    /// Where the pass is led next; nothing while it writes.
    pub(crate) fn take_guide(&mut self) -> Option<Guide> {
        self.guide.take()
    }

    /// Leads the pass on; with nothing it writes.
    pub(crate) fn lead(&mut self, guide: Option<Guide>) {
        self.guide = guide;
    }

    /// Enters an object at a path of this length.
    pub(crate) fn enter(&mut self, length: usize) {
        self.levels.push(length);
    }

    /// Leaves it.
    pub(crate) fn leave(&mut self) {
        self.levels.pop();
    }

    /// What becomes of the next field. A list that it gives is the one whose items may come later.
    pub(crate) fn turn(&mut self, timing: Option<&Timing>) -> Turn {
        let set = self.schedule.set(timing, self.floor);
        if set != self.set {
            return Turn::Later(set);
        }
        self.armed = self.schedule.stream(timing);
        Turn::Now
    }

    /// The stream of the list that begins, if its items may come later.
    pub(crate) fn begin_list(&mut self) -> Option<&'a Stream> {
        self.armed.take()
    }

    /// Says that the field gave no list.
    pub(crate) fn disarm(&mut self) {
        self.armed = None;
    }

    /// Leaves fields of an object for later.
    pub(crate) fn leave_fields(&mut self, set: SetId, path: Vec<PathPart>) {
        let (floor, levels) = (self.floor, self.levels.clone());
        self.found.push(Found { delivery: Delivery::Set(set), floor, path, levels, from: 0 });
    }

    /// Leaves the items of a list from one on.
    pub(crate) fn leave_items(&mut self, stream: &Stream, path: Vec<PathPart>, from: usize) {
        let (floor, levels) = (stream.floor, self.levels.clone());
        let delivery = Delivery::Items(stream.number);
        self.found.push(Found { delivery, floor, path, levels, from });
    }

    /// Takes back what was found since there were so many: it is in nothing that is sent.
    pub(crate) fn forget(&mut self, count: usize) {
        self.found.truncate(count);
    }

    /// Keeps what was written at a place.
    pub(crate) fn keep(
        &mut self,
        place: usize,
        json: Vec<u8>,
        is_cut: bool,
        errors: Vec<GraphqlError>,
    ) {
        let found = std::mem::take(&mut self.found);
        self.texts.push(Text { place, json, is_cut, errors, found });
    }
}
