//! What is still to be fetched of an answer in parts, whatever answers: values of root fields with the
//! work that was put off, or calls of services.
//!
//! In: a session with its schedule. Out: which units are done, and texts of what is there. Everything is
//! fetched by one future, as much at once as can be: work begins when what it needs is there, and nothing
//! of it waits for the first part to be sent. Not here: what is sent when (`ledger`).

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;

use super::pass::{Found, Pass, Text};
use super::schedule::{Delivery, Schedule};
use crate::engine::{Data, Response};
use crate::error::GraphqlError;
use crate::fetch::later::{Later, work};
use crate::fetch::service::Calls;
use crate::fetch::{RootValue, Session, fetch};
use crate::plan::route::Route;
use crate::respond::{Left, respond_first, respond_led, respond_routed_first, respond_routed_led};

/// The rest of an answer.
pub(super) struct Rest<'a> {
    session: &'a Session<'a>,
    schedule: &'a Schedule,
    source: Source<'a>,
    left: Left,
}

enum Source<'a> {
    Values(Values<'a>),
    Calls(&'a Route, Calls<'a>),
}

/// A stage, and the values of root fields that it brought.
type Worked = (usize, Vec<(usize, RootValue)>);

/// Root fields, and the stages in which they and what is below them are fetched.
struct Values<'a> {
    values: Vec<RootValue>,
    open: FuturesUnordered<BoxFuture<'a, Worked>>,
    /// How much work there is in each stage.
    counts: BTreeMap<usize, usize>,
    done: Done,
}

/// Which units are done.
#[derive(Default)]
pub(super) struct Done(BTreeSet<usize>);

impl Done {
    pub(super) fn is_done(&self, unit: usize) -> bool {
        self.0.contains(&unit)
    }
}

/// Writes what is there.
pub(super) struct Writing<'r, 'a>(&'r mut Rest<'a>);

impl<'a> Rest<'a> {
    /// Nothing is fetched yet. Nothing at all where calls are planned and nobody answers them.
    pub(super) fn begin(session: &'a Session<'a>, schedule: &'a Schedule) -> Option<Self> {
        let source = match (&session.plan.route, &session.engine.data) {
            (Some(route), Data::Services(services)) => {
                Source::Calls(route, Calls::new(session, route, services))
            }
            (Some(_), _) => return None,
            (None, _) => {
                let (open, counts) = (FuturesUnordered::new(), BTreeMap::new());
                let done = Done::default();
                Source::Values(Values { values: Vec::new(), open, counts, done })
            }
        };
        Some(Rest { session, schedule, source, left: Left::default() })
    }

    /// Fetches what the first part has.
    pub(super) async fn first(&mut self) {
        let (session, schedule) = (self.session, self.schedule);
        match &mut self.source {
            Source::Values(values) => values.first(session, schedule).await,
            Source::Calls(_, calls) => {
                let is_ready = |calls: &Calls<'_>| {
                    schedule.is_ready(Delivery::Set(0), &|group| calls.is_done(group))
                };
                while !is_ready(calls) && calls.advance().await {}
            }
        }
    }

    /// Fetches more; false when there is no more.
    pub(super) async fn advance(&mut self) -> bool {
        match &mut self.source {
            Source::Values(values) => values.advance(self.session, self.schedule).await,
            Source::Calls(_, calls) => calls.advance().await,
        }
    }

    /// Writes the first part, and finds what it leaves for later.
    pub(super) fn respond(&mut self) -> (Response, Vec<Found>) {
        let pass = Pass::first(self.schedule);
        let (response, found, left) = match &mut self.source {
            Source::Values(values) => respond_first(self.session, &values.values, pass),
            Source::Calls(route, calls) => {
                let answers = std::mem::take(calls.answers());
                let (response, answers, found, left) =
                    respond_routed_first(self.session, route, answers, pass);
                *calls.answers() = answers;
                (response, found, left)
            }
        };
        self.left = left;
        (response, found)
    }

    fn write(&mut self, places: &[Found]) -> Vec<Text> {
        let pass = Pass::led(self.schedule, places);
        let (texts, left) = match &mut self.source {
            Source::Values(values) => respond_led(self.session, &values.values, pass, self.left),
            Source::Calls(route, calls) => {
                let answers = std::mem::take(calls.answers());
                let (texts, answers, left) =
                    respond_routed_led(self.session, route, answers, pass, self.left);
                *calls.answers() = answers;
                (texts, left)
            }
        };
        self.left = left;
        texts
    }

    /// The units that are done now, beside what writes.
    pub(super) fn split(&mut self) -> (Done, Writing<'_, 'a>) {
        let done = match &self.source {
            Source::Values(values) => Done(values.done.0.clone()),
            Source::Calls(route, calls) => {
                Done((0..route.groups.len()).filter(|group| calls.is_done(*group)).collect())
            }
        };
        (done, Writing(self))
    }

    /// The errors that no place of the answer told.
    pub(super) fn untold(&mut self) -> Vec<GraphqlError> {
        match &mut self.source {
            Source::Values(_) => Vec::new(),
            Source::Calls(_, calls) => calls.answers().faults.untold(),
        }
    }
}

impl Writing<'_, '_> {
    /// The texts of places of one delivery.
    pub(super) fn write(&mut self, places: &[Found]) -> Vec<Text> {
        self.0.write(places)
    }
}

impl<'a> Values<'a> {
    async fn first(&mut self, session: &'a Session<'a>, schedule: &'a Schedule) {
        if let Some(later) = session.later.as_ref().filter(|_| !session.plan.is_mutation) {
            later.put_off_roots(&session.plan.root.fields);
        }
        self.begin(session);
        let mut fetched = std::pin::pin!(fetch(session));
        let mut early = Vec::new();
        // What was put off goes on meanwhile, but is not waited for.
        self.values = loop {
            if self.open.is_empty() {
                break fetched.await;
            }
            match futures::future::select(fetched.as_mut(), self.open.next()).await {
                futures::future::Either::Left((values, _)) => break values,
                futures::future::Either::Right((worked, _)) => early.extend(worked),
            }
        };
        self.done.0.insert(0);
        for worked in early {
            self.take(worked);
        }
        self.begin(session);
        self.close(schedule);
    }

    async fn advance(&mut self, session: &'a Session<'a>, schedule: &'a Schedule) -> bool {
        let Some(worked) = self.open.next().await else { return false };
        self.take(worked);
        self.begin(session);
        self.close(schedule);
        true
    }

    /// Begins the work that was put off.
    fn begin(&mut self, session: &'a Session<'a>) {
        let put_off = session.later.as_ref().map_or_else(Vec::new, Later::take);
        for put_off in put_off {
            *self.counts.entry(put_off.stage).or_default() += 1;
            self.open.push(Box::pin(work(session, put_off)));
        }
    }

    fn take(&mut self, (stage, values): Worked) {
        if let Some(count) = self.counts.get_mut(&stage) {
            *count -= 1;
        }
        for (position, value) in values {
            if let Some(place) = self.values.get_mut(position) {
                *place = value;
            }
        }
    }

    /// Finds the stages to which no more work can come.
    fn close(&mut self, schedule: &Schedule) {
        let stages = schedule.stages();
        loop {
            let known = self.done.0.len();
            for stage in &stages {
                let is_begun = schedule.before(*stage).all(|before| self.done.is_done(before));
                if is_begun && self.counts.get(stage).is_none_or(|count| *count == 0) {
                    self.done.0.insert(*stage);
                }
            }
            if self.done.0.len() == known {
                return;
            }
        }
    }
}
