//! What is fetched after the first part of an answer: root fields, links of rows and counts that only
//! later parts have.
//!
//! In: a schedule, which names the fields that begin a stage of fetching. Out: work that was put off
//! where such a field was met, each with a cell that its result goes to; whoever writes looks into the
//! cell. Links of all rows of a batch are one piece of work, as they are one scan. Not here: when it is
//! done (`incremental`).

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arrow::array::RecordBatch;
use frame::{ScanRequest, SnapshotRef};
use schema::TypeId;

use super::connection::counted;
use super::rows::{Slot, link};
use super::{RootValue, Session, roots};
use crate::error::GraphqlError;
use crate::incremental::schedule::Schedule;
use crate::plan::PlannedField;

/// What becomes of a count.
pub(crate) type Count = Result<u64, GraphqlError>;

/// The schedule of an answer in parts, and the work that was put off.
pub(crate) struct Later<'a> {
    pub(crate) schedule: &'a Schedule,
    put_off: Mutex<Vec<Work>>,
}

/// A piece of work, and the stage that it belongs to.
pub(crate) struct Work {
    pub(crate) stage: usize,
    kind: Kind,
}

enum Kind {
    Roots,
    Link(Box<Link>),
    Count { number: u32, request: Box<ScanRequest>, into: Arc<OnceLock<Count>> },
}

/// Links of all rows of a batch.
struct Link {
    number: u32,
    id: TypeId,
    rows: RecordBatch,
    at: Option<SnapshotRef>,
    into: Arc<OnceLock<Slot>>,
}

impl<'a> Later<'a> {
    /// Nothing is put off yet.
    pub(crate) fn new(schedule: &'a Schedule) -> Self {
        Later { schedule, put_off: Mutex::new(Vec::new()) }
    }

    /// The work that was put off since it was last asked for.
    pub(crate) fn take(&self) -> Vec<Work> {
        std::mem::take(&mut *self.put_off.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts off the root fields that begin stages.
    pub(crate) fn put_off_roots(&self, fields: &[PlannedField]) {
        let mut stages: Vec<usize> =
            fields.iter().filter_map(|field| self.schedule.later(field)).collect();
        stages.sort_unstable();
        stages.dedup();
        stages.into_iter().for_each(|stage| self.add(stage, Kind::Roots));
    }

    fn add(&self, stage: usize, kind: Kind) {
        let mut put_off = self.put_off.lock().unwrap_or_else(PoisonError::into_inner);
        put_off.push(Work { stage, kind });
    }
}

impl Session<'_> {
    /// Puts off a link of rows, if it belongs to a later part. Out: what its field holds meanwhile.
    pub(super) fn put_off_link(
        &self,
        field: &PlannedField,
        id: TypeId,
        rows: &RecordBatch,
        at: Option<SnapshotRef>,
    ) -> Option<Slot> {
        let later = self.later.as_ref()?;
        let (stage, number) = (later.schedule.later(field)?, field.number()?);
        let into = Arc::new(OnceLock::new());
        let link = Link { number, id, rows: rows.clone(), at, into: Arc::clone(&into) };
        later.add(stage, Kind::Link(Box::new(link)));
        Some(Slot::Later(into))
    }

    /// Likewise for a count of rows.
    pub(super) fn put_off_count(
        &self,
        field: &PlannedField,
        request: &ScanRequest,
    ) -> Option<Arc<OnceLock<Count>>> {
        let later = self.later.as_ref()?;
        let (stage, number) = (later.schedule.later(field)?, field.number()?);
        let into = Arc::new(OnceLock::new());
        let (request, into_kept) = (Box::new(request.clone()), Arc::clone(&into));
        later.add(stage, Kind::Count { number, request, into: into_kept });
        Some(into)
    }

    /// Whether two fields that ask the same may share what is fetched: nothing of it comes later.
    pub(super) fn may_share(&self, one: &PlannedField, other: &PlannedField) -> bool {
        let is_calm =
            |later: &Later<'_>| later.schedule.is_calm(one) && later.schedule.is_calm(other);
        self.later.as_ref().is_none_or(is_calm)
    }
}

/// Does a piece of work. Out: its stage, and the values of root fields that it fetched.
pub(crate) async fn work(session: &Session<'_>, work: Work) -> (usize, Vec<(usize, RootValue)>) {
    let stage = work.stage;
    let field = |number| session.plan.root.find(number);
    match work.kind {
        Kind::Roots => {
            let values = roots(session, Some(stage)).await.into_iter().enumerate();
            let fields = &session.plan.root.fields;
            let own = values.filter(|(at, _)| session.stage(&fields[*at]) == Some(stage));
            return (stage, own.collect());
        }
        Kind::Link(put_off) => {
            let Link { number, id, rows, at, into } = *put_off;
            if let Some(field) = field(number) {
                // The cell is filled once, as each piece of work is done once.
                let _ = into.set(link(session, field, id, &rows, at).await);
            }
        }
        Kind::Count { number, request, into } => {
            if let Some(field) = field(number) {
                let _ = into.set(counted(session, field, *request).await);
            }
        }
    }
    (stage, Vec::new())
}
