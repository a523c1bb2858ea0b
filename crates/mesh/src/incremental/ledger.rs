//! What was promised to a client and what of it was kept: ids of parts, when each is said to come, and
//! when it has come.
//!
//! In: what passes found and wrote. Out: payloads as the proposal for incremental delivery has them:
//! `pending`, `incremental`, `completed`, `hasNext`. A fragment is one promise for each object that it is
//! spread on, and a list one; each gets an id when what is around it was sent, and is completed once.
//! Where a null takes a part along, its fragments are completed with the errors, and nothing of them is
//! sent that was not sent before. Not here: data, and when it is there (`drive`).

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashSet};

use indexmap::IndexMap;
use serde_json::Value as Json;

use super::pass::{Found, Text};
use super::schedule::{Delivery, Schedule};
use crate::error::{GraphqlError, PathPart};

type Path = Vec<PathPart>;

/// How far a promise is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not said yet.
    Known,
    /// Said under this id.
    Pending(usize),
    Kept(usize),
    /// Everything of it came with other fragments before it was said.
    Needless,
    /// Broken, or not to be made any more.
    Broken,
}

/// A fragment at one object.
#[derive(Debug)]
struct Promise {
    state: State,
    /// For each object around, and the one itself, how long its path is.
    levels: Vec<usize>,
    /// Why a null took something of it along.
    errors: Vec<GraphqlError>,
}

/// A list whose items come later, under an id.
#[derive(Debug)]
struct Items {
    id: usize,
    place: Found,
}

/// Everything that is still to come.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    fragments: IndexMap<(u32, Path), Promise>,
    groups: Vec<Found>,
    items: Vec<Items>,
    ids: usize,
}

/// A text that a round got for a place, before it is known whether it is sent.
struct Draft {
    place: Found,
    text: Text,
    /// The draft whose text the place is inside of.
    inside: Option<usize>,
}

/// One payload while it is put together.
#[derive(Debug, Default)]
struct Payload {
    pending: Vec<Vec<u8>>,
    incremental: Vec<Vec<u8>>,
    completed: Vec<Vec<u8>>,
    errors: usize,
}

impl Ledger {
    /// The promises of the first part, as its `pending`; empty when nothing is to come.
    pub(crate) fn begin(&mut self, schedule: &Schedule, found: Vec<Found>) -> Vec<u8> {
        let mut payload = Payload::default();
        for found in found {
            self.note(schedule, found, &mut payload);
        }
        self.announce(schedule, &mut payload);
        joined(&payload.pending)
    }

    /// Whether everything that was promised has come.
    pub(crate) fn is_over(&self) -> bool {
        let is_open = |promise: &Promise| matches!(promise.state, State::Pending(_));
        self.items.is_empty() && !self.fragments.values().any(is_open)
    }

    /// Sends what is there; nothing when nothing is. `write` gets places of one delivery below one floor.
    pub(crate) fn round(
        &mut self,
        schedule: &Schedule,
        is_done: &dyn Fn(usize) -> bool,
        write: &mut dyn FnMut(&[Found]) -> Vec<Text>,
    ) -> Option<Part> {
        let released = self.released(schedule, is_done);
        let is_ready = |items: &Items| schedule.is_ready(items.place.delivery, is_done);
        let (ready, rest) = std::mem::take(&mut self.items).into_iter().partition(is_ready);
        self.items = rest;
        let ready: Vec<Items> = ready;
        if released.is_empty() && ready.is_empty() {
            return None;
        }
        let mut payload = Payload::default();
        self.send_fragments(schedule, &released, &mut payload, write);
        self.send_items(schedule, ready, &mut payload, write);
        self.announce(schedule, &mut payload);
        Some(self.part(&payload))
    }

    /// The last payload, when something that was promised cannot come.
    pub(crate) fn give_up(&mut self, error: &GraphqlError) -> Part {
        let mut payload = Payload::default();
        let errors = [error.clone()];
        for promise in self.fragments.values_mut() {
            if let State::Pending(id) = promise.state {
                payload.complete(id, &errors);
            }
            promise.state = State::Broken;
        }
        for items in self.items.drain(..) {
            payload.complete(items.id, &errors);
        }
        self.groups.clear();
        self.part(&payload)
    }

    /// Adds errors that no place of the answer has to the last payload.
    pub(crate) fn with_errors(mut part: Part, errors: &[GraphqlError]) -> Part {
        if !errors.is_empty() {
            part.json.pop();
            let more = format!(",\"extensions\":{{\"errors\":{}}}}}", list(errors));
            part.json.extend_from_slice(more.as_bytes());
            part.errors += errors.len();
        }
        part
    }

    fn part(&self, payload: &Payload) -> Part {
        let is_last = self.is_over();
        let mut json = vec![b'{'];
        let lists = [
            ("pending", &payload.pending),
            ("incremental", &payload.incremental),
            ("completed", &payload.completed),
        ];
        for (name, items) in lists.into_iter().filter(|(_, items)| !items.is_empty()) {
            json.extend_from_slice(format!("\"{name}\":").as_bytes());
            json.extend_from_slice(&joined(items));
            json.push(b',');
        }
        json.extend_from_slice(format!("\"hasNext\":{}}}", !is_last).as_bytes());
        Part { json, is_last, errors: payload.errors }
    }

    /// The fragments of which everything is there, among those that were promised.
    fn released(&self, schedule: &Schedule, is_done: &dyn Fn(usize) -> bool) -> BTreeSet<u32> {
        let pending =
            self.fragments.iter().filter(|(_, promise)| matches!(promise.state, State::Pending(_)));
        let fragments: BTreeSet<u32> = pending.map(|((fragment, _), _)| *fragment).collect();
        fragments.into_iter().filter(|fragment| schedule.is_whole(*fragment, is_done)).collect()
    }

    /// The promises that a group belongs to.
    fn owners<'s>(
        schedule: &'s Schedule,
        place: &'s Found,
    ) -> impl Iterator<Item = (u32, Path)> + 's {
        let fragments = match place.delivery {
            Delivery::Set(set) => schedule.fragments_of(set),
            Delivery::Items(_) => &[],
        };
        fragments.iter().map(|fragment| key(schedule, *fragment, place))
    }

    fn has_owner(
        &self,
        schedule: &Schedule,
        place: &Found,
        is: impl Fn(u32, State) -> bool,
    ) -> bool {
        Self::owners(schedule, place).any(|owner| {
            let state = self.fragments.get(&owner).map(|promise| promise.state);
            state.is_some_and(|state| is(owner.0, state))
        })
    }

    /// Notes what was found in something that is sent.
    fn note(&mut self, schedule: &Schedule, found: Found, payload: &mut Payload) {
        match found.delivery {
            Delivery::Set(_) => {
                self.know(schedule, &found);
                self.groups.push(found);
            }
            Delivery::Items(number) => self.note_items(schedule, number, found, payload),
        }
    }

    /// Makes promises of the fragments that a group belongs to.
    fn know(&mut self, schedule: &Schedule, found: &Found) {
        for owner in Self::owners(schedule, found) {
            let level = schedule.fragments[owner.0 as usize].level;
            let levels = found.levels.iter().take(level + 1).copied().collect();
            let promise = Promise { state: State::Known, levels, errors: Vec::new() };
            let promise = self.fragments.entry(owner).or_insert(promise);
            if promise.state == State::Needless {
                promise.state = State::Known;
            }
        }
    }

    /// Promises the items of a list at once: what is around them is sent.
    fn note_items(
        &mut self,
        schedule: &Schedule,
        number: u32,
        place: Found,
        payload: &mut Payload,
    ) {
        let label = schedule.stream_of(number).and_then(|stream| stream.label.as_deref());
        payload.promise(self.ids, &place.path, label);
        self.items.push(Items { id: self.ids, place });
        self.ids += 1;
    }

    /// Promises the fragments around which nothing is to come any more.
    fn announce(&mut self, schedule: &Schedule, payload: &mut Payload) {
        let open: HashSet<(u32, Path)> =
            self.groups.iter().flat_map(|place| Self::owners(schedule, place)).collect();
        // What is inside of a needless promise may stand before it.
        while self.announce_once(schedule, &open, payload) {}
        let groups = std::mem::take(&mut self.groups);
        self.groups = groups.into_iter().filter(|it| self.is_wanted(schedule, it)).collect();
    }

    /// Goes through the promises once. Out: whether one of them turned out to be none.
    fn announce_once(
        &mut self,
        schedule: &Schedule,
        open: &HashSet<(u32, Path)>,
        payload: &mut Payload,
    ) -> bool {
        let mut has_changed = false;
        for index in 0..self.fragments.len() {
            let Some((key, promise)) = self.fragments.get_index(index) else { continue };
            if promise.state != State::Known {
                continue;
            }
            let state = match self.around(schedule, key.0, &key.1, promise) {
                Some(State::Known | State::Pending(_)) => continue,
                Some(State::Broken) => State::Broken,
                _ if !open.contains(key) => State::Needless,
                _ => {
                    let label = schedule.fragments[key.0 as usize].label.as_deref();
                    payload.promise(self.ids, &key.1, label);
                    self.ids += 1;
                    State::Pending(self.ids - 1)
                }
            };
            has_changed |= matches!(state, State::Broken | State::Needless);
            if let Some((_, promise)) = self.fragments.get_index_mut(index) {
                promise.state = state;
            }
        }
        has_changed
    }

    /// Whether a promise is still to be kept with a group.
    fn is_wanted(&self, schedule: &Schedule, place: &Found) -> bool {
        let is_open = |_: u32, state: State| matches!(state, State::Known | State::Pending(_));
        self.has_owner(schedule, place, is_open)
    }

    /// How far the next fragment around one is, of those that have anything.
    fn around(
        &self,
        schedule: &Schedule,
        fragment: u32,
        path: &[PathPart],
        promise: &Promise,
    ) -> Option<State> {
        let mut above = schedule.fragments[fragment as usize].parent;
        while let Some(fragment) = above {
            let outer = &schedule.fragments[fragment as usize];
            let length = promise.levels.get(outer.level).copied().unwrap_or_default();
            let key = (fragment, path.get(..length).unwrap_or_default().to_vec());
            if let Some(promise) = self.fragments.get(&key) {
                return Some(promise.state);
            }
            above = outer.parent;
        }
        None
    }

    /// Sends everything that belongs to fragments, and completes them.
    fn send_fragments(
        &mut self,
        schedule: &Schedule,
        released: &BTreeSet<u32>,
        payload: &mut Payload,
        write: &mut dyn FnMut(&[Found]) -> Vec<Text>,
    ) {
        let mut drafts: Vec<Draft> = Vec::new();
        let mut open: Vec<(Found, Option<usize>)> = Vec::new();
        let mut inside: Vec<(Found, Option<usize>)> =
            std::mem::take(&mut self.groups).into_iter().map(|place| (place, None)).collect();
        // What is written may have more inside that belongs to the same fragments.
        loop {
            let is_released = |fragment: u32, state: State| {
                matches!(state, State::Pending(_)) && released.contains(&fragment)
            };
            let (now, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut inside)
                .into_iter()
                .partition(|(place, _)| self.has_owner(schedule, place, is_released));
            open.extend(rest);
            if now.is_empty() {
                break;
            }
            for (places, from) in batches(now) {
                for text in write(&places) {
                    let Some(place) = places.get(text.place).cloned() else { continue };
                    let own = from.get(text.place).copied().flatten();
                    let index = drafts.len();
                    for found in text.found.iter().filter(|_| !text.is_cut) {
                        if matches!(found.delivery, Delivery::Set(_)) {
                            inside.push((found.clone(), Some(index)));
                        }
                    }
                    drafts.push(Draft { place, text, inside: own });
                }
            }
        }
        self.break_cut(schedule, &drafts);
        let is_sent = self.sent(schedule, &drafts);
        let is_there = |from: Option<usize>| from.is_none_or(|index| is_sent[index]);
        self.groups
            .extend(open.into_iter().filter(|(_, from)| is_there(*from)).map(|(place, _)| place));
        self.settle(schedule, released, drafts, &is_sent, payload);
    }

    /// Breaks the promises of which a null took something along.
    fn break_cut(&mut self, schedule: &Schedule, drafts: &[Draft]) {
        for draft in drafts.iter().filter(|draft| draft.text.is_cut) {
            for owner in Self::owners(schedule, &draft.place) {
                if let Some(promise) = self.fragments.get_mut(&owner) {
                    promise.errors.extend(draft.text.reasons());
                }
            }
        }
    }

    /// Which drafts are sent: those that a promise is kept with.
    fn sent(&self, schedule: &Schedule, drafts: &[Draft]) -> Vec<bool> {
        let mut is_sent = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let is_there = draft.inside.is_none_or(|index: usize| is_sent[index]);
            let is_kept = !draft.text.is_cut
                && Self::owners(schedule, &draft.place).any(|owner| {
                    let promise = self.fragments.get(&owner);
                    promise.is_some_and(|promise| {
                        matches!(promise.state, State::Pending(_)) && promise.errors.is_empty()
                    })
                });
            is_sent.push(is_there && is_kept);
        }
        is_sent
    }

    fn settle(
        &mut self,
        schedule: &Schedule,
        released: &BTreeSet<u32>,
        drafts: Vec<Draft>,
        is_sent: &[bool],
        payload: &mut Payload,
    ) {
        for ((fragment, _), promise) in &mut self.fragments {
            let is_whole = promise.errors.is_empty();
            match promise.state {
                State::Pending(id) if !is_whole || released.contains(fragment) => {
                    payload.complete(id, &promise.errors);
                    promise.state = if is_whole { State::Kept(id) } else { State::Broken };
                }
                State::Known if !is_whole => promise.state = State::Broken,
                _ => {}
            }
        }
        for (draft, is_sent) in drafts.into_iter().zip(is_sent) {
            if *is_sent {
                self.send(schedule, draft, payload);
            } else if !draft.text.is_cut
                && draft.inside.is_none()
                && self.is_wanted(schedule, &draft.place)
            {
                // The promise that it would have been sent for is broken; another one is to be made.
                self.groups.push(draft.place);
            }
        }
    }

    /// Sends a draft under the id of the promise that is nearest to it.
    fn send(&mut self, schedule: &Schedule, draft: Draft, payload: &mut Payload) {
        let owners = Self::owners(schedule, &draft.place).filter_map(|owner| {
            match self.fragments.get(&owner)?.state {
                State::Pending(id) | State::Kept(id) => Some((owner.1.len(), Reverse(id))),
                _ => None,
            }
        });
        if let Some((length, Reverse(id))) = owners.max() {
            payload.data(id, &draft.place.path[length..], &draft.text);
        }
        for found in draft.text.found {
            match found.delivery {
                // The place is among the groups, or was written in this round.
                Delivery::Set(_) => self.know(schedule, &found),
                Delivery::Items(number) => self.note_items(schedule, number, found, payload),
            }
        }
    }

    /// Sends the items that lists kept back, and completes them.
    fn send_items(
        &mut self,
        schedule: &Schedule,
        ready: Vec<Items>,
        payload: &mut Payload,
        write: &mut dyn FnMut(&[Found]) -> Vec<Text>,
    ) {
        let ids: IndexMap<(Delivery, Path), usize> =
            ready.iter().map(|it| ((it.place.delivery, it.place.path.clone()), it.id)).collect();
        let places = ready.into_iter().map(|items| (items.place, None)).collect();
        for (places, _) in batches(places) {
            let mut missing: BTreeSet<usize> = (0..places.len()).collect();
            for text in write(&places) {
                missing.remove(&text.place);
                let Some(place) = places.get(text.place) else { continue };
                let Some(id) = ids.get(&(place.delivery, place.path.clone())).copied() else {
                    continue;
                };
                payload.items(id, &text);
                payload.complete(id, &if text.is_cut { text.reasons() } else { Vec::new() });
                for found in text.found {
                    self.note(schedule, found, payload);
                }
            }
            // A list that was there is there still; that it is not must not leave a client waiting.
            for place in missing.into_iter().filter_map(|index| places.get(index)) {
                if let Some(id) = ids.get(&(place.delivery, place.path.clone())) {
                    payload.complete(*id, &[]);
                }
            }
        }
    }
}

/// One payload after the first.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) json: Vec<u8>,
    pub(crate) is_last: bool,
    pub(crate) errors: usize,
}

/// The key of a promise: a fragment, and the object that it is spread on.
fn key(schedule: &Schedule, fragment: u32, place: &Found) -> (u32, Path) {
    let level = schedule.fragments[fragment as usize].level;
    let length = place.levels.get(level).copied().unwrap_or_default();
    (fragment, place.path.get(..length).unwrap_or_default().to_vec())
}

/// Places, each with where it comes from.
type Batch = (Vec<Found>, Vec<Option<usize>>);

/// Places by what is delivered at them and the floor.
fn batches(places: Vec<(Found, Option<usize>)>) -> Vec<Batch> {
    let mut found: IndexMap<(Delivery, u32), Batch> = IndexMap::new();
    for (place, from) in places {
        let (places, origins) = found.entry((place.delivery, place.floor)).or_default();
        places.push(place);
        origins.push(from);
    }
    found.into_values().collect()
}

impl Payload {
    fn promise(&mut self, id: usize, path: &[PathPart], label: Option<&str>) {
        let mut json = format!("{{\"id\":\"{id}\",\"path\":{}", steps(path)).into_bytes();
        if let Some(label) = label {
            json.extend_from_slice(b",\"label\":");
            crate::respond::scalar::string(&mut json, label);
        }
        json.push(b'}');
        self.pending.push(json);
    }

    fn data(&mut self, id: usize, path: &[PathPart], text: &Text) {
        let mut json = format!("{{\"id\":\"{id}\"").into_bytes();
        if !path.is_empty() {
            json.extend_from_slice(format!(",\"subPath\":{}", steps(path)).as_bytes());
        }
        json.extend_from_slice(b",\"data\":");
        json.extend_from_slice(&text.json);
        self.close(json, &text.errors);
    }

    fn items(&mut self, id: usize, text: &Text) {
        if text.json.is_empty() {
            return;
        }
        let mut json = format!("{{\"id\":\"{id}\",\"items\":[").into_bytes();
        json.extend_from_slice(&text.json);
        json.push(b']');
        // What took the rest of the list along is told where the list is completed.
        self.close(json, if text.is_cut { &[] } else { &text.errors });
    }

    fn close(&mut self, mut json: Vec<u8>, errors: &[GraphqlError]) {
        self.tell(&mut json, errors);
        json.push(b'}');
        self.incremental.push(json);
    }

    fn complete(&mut self, id: usize, errors: &[GraphqlError]) {
        let mut json = format!("{{\"id\":\"{id}\"").into_bytes();
        self.tell(&mut json, errors);
        json.push(b'}');
        self.completed.push(json);
    }

    fn tell(&mut self, json: &mut Vec<u8>, errors: &[GraphqlError]) {
        if !errors.is_empty() {
            json.extend_from_slice(format!(",\"errors\":{}", list(errors)).as_bytes());
            self.errors += errors.len();
        }
    }
}

fn list(errors: &[GraphqlError]) -> String {
    Json::Array(errors.iter().map(GraphqlError::to_json).collect()).to_string()
}

fn steps(path: &[PathPart]) -> String {
    let step = |part: &PathPart| match part {
        PathPart::Key(key) => Json::from(key.as_ref()),
        PathPart::Index(index) => Json::from(*index),
    };
    Json::Array(path.iter().map(step).collect()).to_string()
}

fn joined(items: &[Vec<u8>]) -> Vec<u8> {
    if items.is_empty() {
        return Vec::new();
    }
    let mut json = vec![b'['];
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            json.push(b',');
        }
        json.extend_from_slice(item);
    }
    json.push(b']');
    json
}
