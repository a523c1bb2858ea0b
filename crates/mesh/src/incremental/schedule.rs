//! Plan and values of variables to a schedule: which parts an answer has, and what each waits for.
//!
//! In: a plan whose document asks for parts. Out: for each field the set of deferred fragments that it
//! comes with, for each list the items that are not waited for, and for each *delivery* (a set of
//! fragments, or the rest of a list) the *units* that must have been fetched: calls of a route, or
//! stages of fetching, one for each delivery that begins with a field that can be fetched by itself.
//! Not here: fetching, writing.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use base::Kind;
use indexmap::IndexSet;
use serde_json::{Map, Value as Json};

use crate::error::GraphqlError;
use crate::plan::defer::{Streamed, Timing, is_on};
use crate::plan::route::{Below, Route};
use crate::plan::{Inner, Part, Plan, PlannedField, Resolve, Selection};

/// A set of deferred fragments by its number; 0 is the empty one, of what is not deferred.
pub(crate) type SetId = usize;

/// What is sent in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Delivery {
    /// Fields that come with these fragments.
    Set(SetId),
    /// The items that a list keeps back, by the number of its field.
    Items(u32),
}

/// What is known of a deferred fragment.
#[derive(Debug)]
pub(crate) struct Fragment {
    pub(crate) label: Option<Arc<str>>,
    pub(crate) level: usize,
    /// The fragment around it that comes later, too.
    pub(crate) parent: Option<u32>,
}

/// What is known of a list whose items come later.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) number: u32,
    pub(crate) label: Option<Arc<str>>,
    pub(crate) initial: usize,
    pub(crate) floor: u32,
}

/// When each part of one answer may be sent.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    pub(crate) fragments: Vec<Fragment>,
    /// For each fragment the one that its fields come with: itself, unless it is switched off.
    effective: Vec<Option<u32>>,
    sets: IndexSet<Vec<u32>>,
    /// For each field, below each floor, its set.
    of: HashMap<u32, Vec<(u32, SetId)>>,
    streams: HashMap<u32, Stream>,
    deliveries: IndexSet<Delivery>,
    /// For each delivery what it waits for.
    needs: Vec<BTreeSet<usize>>,
    /// For each field that begins a stage of fetching, which.
    later: HashMap<u32, usize>,
    /// Fields below which a stage begins, or that begin one.
    unrest: BTreeSet<u32>,
    /// For each stage those after which it begins.
    before: HashMap<usize, BTreeSet<usize>>,
}

/// Where a walk through the plan is.
#[derive(Clone, Copy)]
struct Around {
    delivery: usize,
    set: SetId,
    floor: u32,
    /// The stage in which things are fetched here.
    stage: usize,
}

/// What is walked, with the values of variables.
struct Walk<'a> {
    plan: &'a Plan,
    variables: &'a Map<String, Json>,
    schedule: Schedule,
    /// The stage of each field: what is visited first decides.
    stages: HashMap<u32, usize>,
    is_plain: bool,
}

impl Schedule {
    /// The schedule of a request; nothing when its answer has one part.
    ///
    /// # Errors
    /// When a list is to begin with a negative number of items.
    pub(crate) fn new(
        plan: &Plan,
        variables: &Map<String, Json>,
        is_plain: bool,
    ) -> Result<Option<Schedule>, GraphqlError> {
        let mut walk = Walk {
            plan,
            variables,
            schedule: Schedule::default(),
            stages: HashMap::new(),
            is_plain,
        };
        walk.fragments();
        walk.schedule.sets.insert(Vec::new());
        let now = walk.delivery(Delivery::Set(0));
        let around = Around { delivery: now, set: 0, floor: 0, stage: now };
        match &plan.route {
            Some(route) => walk.node(route, 0, around)?,
            None => drop(walk.selection(&plan.root, around, true)?),
        }
        let schedule = walk.schedule;
        Ok((schedule.deliveries.len() > 1).then_some(schedule))
    }

    /// The set that a field comes with, inside items that came by themselves where the floor says so.
    pub(crate) fn set(&self, timing: Option<&Timing>, floor: u32) -> SetId {
        let known = timing.and_then(|timing| self.of.get(&timing.number));
        let known = known.and_then(|known| known.iter().find(|(own, _)| *own == floor));
        known.map_or(0, |(_, set)| *set)
    }

    /// The list that a field's items make, when they may come later.
    pub(crate) fn stream(&self, timing: Option<&Timing>) -> Option<&Stream> {
        self.streams.get(&timing?.number)
    }

    /// Likewise, by the number of the field.
    pub(crate) fn stream_of(&self, number: u32) -> Option<&Stream> {
        self.streams.get(&number)
    }

    /// The fragments of a set.
    pub(crate) fn fragments_of(&self, set: SetId) -> &[u32] {
        self.sets.get_index(set).map_or(&[], Vec::as_slice)
    }

    /// The stage of fetching that begins with a field.
    pub(crate) fn later(&self, field: &PlannedField) -> Option<usize> {
        self.later.get(&field.number()?).copied()
    }

    /// Whether neither a field nor anything below it is fetched later than what is around it.
    pub(crate) fn is_calm(&self, field: &PlannedField) -> bool {
        field.number().is_none_or(|number| !self.unrest.contains(&number))
    }

    /// All stages that begin with fields.
    pub(crate) fn stages(&self) -> BTreeSet<usize> {
        self.later.values().copied().collect()
    }

    /// The stages after which a stage begins.
    pub(crate) fn before(&self, stage: usize) -> impl Iterator<Item = usize> {
        self.before.get(&stage).into_iter().flatten().copied()
    }

    /// Whether what a delivery waits for is there.
    pub(crate) fn is_ready(&self, delivery: Delivery, is_done: &dyn Fn(usize) -> bool) -> bool {
        let index = self.deliveries.get_index_of(&delivery);
        index.is_some_and(|index| self.needs[index].iter().all(|unit| is_done(*unit)))
    }

    /// Whether everything that comes with a fragment is there.
    pub(crate) fn is_whole(&self, fragment: u32, is_done: &dyn Fn(usize) -> bool) -> bool {
        self.deliveries.iter().all(|delivery| match delivery {
            Delivery::Set(set) if self.fragments_of(*set).contains(&fragment) => {
                self.is_ready(*delivery, is_done)
            }
            _ => true,
        })
    }
}

impl Walk<'_> {
    /// Finds out which fragments are deferred with these values of variables.
    fn fragments(&mut self) {
        for (number, deferred) in self.plan.deferred.iter().enumerate() {
            let above =
                |parent: u32| self.schedule.effective.get(parent as usize).copied().flatten();
            let parent = deferred.parent.and_then(above);
            let own = is_on(deferred.switch.as_ref(), self.variables).then_some(number as u32);
            self.schedule.effective.push(own.or(parent));
            let (label, level) = (deferred.label.clone(), deferred.level);
            self.schedule.fragments.push(Fragment { label, level, parent });
        }
    }

    fn delivery(&mut self, delivery: Delivery) -> usize {
        let (index, is_new) = self.schedule.deliveries.insert_full(delivery);
        if is_new {
            self.schedule.needs.push(BTreeSet::new());
        }
        index
    }

    fn need(&mut self, delivery: usize, unit: usize) {
        self.schedule.needs[delivery].insert(unit);
    }

    /// The set that a field comes with.
    fn set(&mut self, timing: &Timing, floor: u32) -> SetId {
        let found = self.fragments_of(timing, floor);
        let set = self.schedule.sets.insert_full(found).0;
        let known = self.schedule.of.entry(timing.number).or_default();
        if known.iter().all(|(own, _)| *own != floor) {
            known.push((floor, set));
        }
        set
    }

    /// The fragments that a field comes with; none when it is asked at once as well.
    fn fragments_of(&self, timing: &Timing, floor: u32) -> Vec<u32> {
        let mut found: Vec<u32> = Vec::new();
        for (fragment, _) in timing.places.iter().filter(|(_, when)| when.hold(self.variables)) {
            let effective = fragment.and_then(|it| self.schedule.effective[it as usize]);
            match effective.filter(|fragment| *fragment >= floor) {
                Some(fragment) => found.push(fragment),
                None => return Vec::new(),
            }
        }
        found.sort_unstable();
        found.dedup();
        // What a fragment around asks for is there before what is inside of it.
        let all = found.clone();
        found.retain(|fragment| {
            let parent = |own: &u32| self.schedule.fragments[*own as usize].parent;
            let mut above = std::iter::successors(parent(fragment), parent);
            !above.any(|above| all.contains(&above))
        });
        found
    }

    /// Where a walk is at a field: in the same delivery as what is around it, or in another one.
    fn enter(&mut self, timing: Option<&Timing>, around: Around) -> Around {
        let set = timing.map_or(0, |timing| self.set(timing, around.floor));
        match set == around.set {
            true => around,
            false => {
                let delivery = self.delivery(Delivery::Set(set));
                Around { set, delivery, ..around }
            }
        }
    }

    /// The list of a field, where its items may come later.
    fn stream(&self, timing: Option<&Timing>, name: &str) -> Result<Option<Stream>, GraphqlError> {
        let Some((number, streamed)) = timing.and_then(|it| Some((it.number, it.stream.as_ref()?)))
        else {
            return Ok(None);
        };
        let Streamed { label, switch, floor, .. } = streamed;
        if !is_on(switch.as_ref(), self.variables) {
            return Ok(None);
        }
        let initial = usize::try_from(streamed.initial(self.variables)).map_err(|_| {
            let message = format!("`initialCount` of the `@stream` at `{name}` is negative");
            GraphqlError::new(Kind::InvalidInput, message)
        })?;
        Ok(Some(Stream { number, label: label.clone(), initial, floor: *floor }))
    }

    /// Notes a list, and says where a walk through the items that it keeps back is; nothing when they
    /// were walked through before.
    fn items(&mut self, stream: &Stream, around: Around) -> Option<Around> {
        let known = self.schedule.deliveries.len();
        let delivery = self.delivery(Delivery::Items(stream.number));
        self.schedule.streams.insert(stream.number, stream.clone());
        let is_new = self.schedule.deliveries.len() > known;
        is_new.then_some(Around { delivery, set: 0, floor: stream.floor, stage: around.stage })
    }

    /// Walks through what is fetched in stages. Out: whether any begins here.
    fn selection(
        &mut self,
        selection: &Selection,
        around: Around,
        is_root: bool,
    ) -> Result<bool, GraphqlError> {
        let mut is_unrest = false;
        for field in selection.fields.iter().filter(|field| field.when.hold(self.variables)) {
            let timing = field.timing.as_deref();
            let around = self.enter(timing, around);
            let stage = self.stage(field, around, is_root);
            self.need(around.delivery, stage);
            let around = Around { stage, ..around };
            let mut below = field.number().is_some_and(|it| self.schedule.later.contains_key(&it));
            match self.stream(timing, &field.name)? {
                None => below |= self.inner(&field.inner, around)?,
                Some(stream) => {
                    if stream.initial > 0 {
                        below |= self.inner(&field.inner, around)?;
                    }
                    if let Some(items) = self.items(&stream, around) {
                        self.need(items.delivery, stage);
                        below |= self.inner(&field.inner, items)?;
                    }
                }
            }
            if below {
                self.schedule.unrest.extend(field.number());
            }
            is_unrest |= below;
        }
        Ok(is_unrest)
    }

    fn inner(&mut self, inner: &Inner, around: Around) -> Result<bool, GraphqlError> {
        match inner {
            Inner::Leaf => Ok(false),
            Inner::Object(selection) => self.selection(selection, around, false),
            Inner::Abstract(by_type) => {
                let mut names: Vec<_> = by_type.iter().collect();
                names.sort_unstable_by_key(|(name, _)| name.as_str());
                let mut is_unrest = false;
                for (_, selection) in names {
                    is_unrest |= self.selection(selection, around, false)?;
                }
                Ok(is_unrest)
            }
        }
    }

    /// The stage in which a field is fetched: its own delivery's, where it can be fetched by itself.
    fn stage(&mut self, field: &PlannedField, around: Around, is_root: bool) -> usize {
        let Some(number) = field.number() else { return around.stage };
        if let Some(known) = self.stages.get(&number) {
            return *known;
        }
        let mut stage = around.stage;
        if stage != around.delivery && self.can_wait(field, is_root) {
            stage = around.delivery;
            self.schedule.later.insert(number, stage);
            self.schedule.before.entry(stage).or_default().insert(around.stage);
        }
        self.stages.insert(number, stage);
        stage
    }

    fn can_wait(&self, field: &PlannedField, is_root: bool) -> bool {
        match &field.resolve {
            Resolve::Typename | Resolve::Introspection => false,
            _ if is_root => !self.plan.is_mutation,
            Resolve::One(..) | Resolve::Many(..) | Resolve::Nearest(..) => !self.is_plain,
            Resolve::Neighbours(..) | Resolve::Part(Part::TotalCount) => !self.is_plain,
            Resolve::Derived(..) => field.inputs.is_some(),
            _ => false,
        }
    }

    /// Walks through what calls give: the units are the calls.
    fn node(&mut self, route: &Route, index: usize, around: Around) -> Result<(), GraphqlError> {
        let shape = &route.nodes[index];
        if let Some(face) = &shape.face {
            self.need(around.delivery, shape.slots[face.slot]);
            for (_, child) in &face.by_type {
                self.node(route, *child, around)?;
            }
            return Ok(());
        }
        for field in shape.fields.iter().take(shape.shown) {
            if field.when.as_ref().is_some_and(|when| !when.hold(self.variables)) {
                continue;
            }
            let timing = field.timing.as_deref();
            let around = self.enter(timing, around);
            let groups: Vec<usize> = field.from.iter().map(|from| shape.slots[from.slot]).collect();
            groups.iter().for_each(|group| self.need(around.delivery, *group));
            if let Below::Computed(computed) = &field.below {
                computed.groups.iter().for_each(|group| self.need(around.delivery, *group));
            }
            match self.stream(timing, &field.name)? {
                None => self.below(route, &field.below, around)?,
                Some(stream) => {
                    if stream.initial > 0 {
                        self.below(route, &field.below, around)?;
                    }
                    if let Some(items) = self.items(&stream, around) {
                        groups.iter().for_each(|group| self.need(items.delivery, *group));
                        self.below(route, &field.below, items)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn below(&mut self, route: &Route, below: &Below, around: Around) -> Result<(), GraphqlError> {
        match below {
            Below::One(node) => self.node(route, *node, around),
            Below::ByType(nodes) => {
                nodes.iter().try_for_each(|(_, node)| self.node(route, *node, around))
            }
            _ => Ok(()),
        }
    }
}
