//! What one subscriber hears of one step of a table.
//!
//! In: the rows that went and came, and what is wanted of them. Out: parts, each rows of one kind: those
//! that came and are wanted, and at last the keys of those that were wanted and are not any more. Not
//! here: where steps come from (`watch`), answers (`rows`).

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::{filter_record_batch, not};
use base::{Error, Kind, Principal, Result};
use frame::convert::{batch_of, rows_of};
use frame::{BatchStream, Evaluate, Expr, Field, Node, SAME, Value, WENT};
use futures::StreamExt;

/// Rows that are answered together: what they refer to is fetched at once for all of them.
const PART: usize = 64;

/// What a subscriber wants of a table.
pub(super) struct Wanted {
    /// The columns of its question, of its filter and of the key.
    pub(super) fields: Vec<Arc<str>>,
    /// The key; empty for a type without one.
    pub(super) key: Vec<Field>,
    pub(super) predicate: Option<Expr>,
    pub(super) evaluate: Arc<dyn Evaluate>,
    pub(super) viewer: Principal,
    /// Keys that are held while it is not known whether their rows came back.
    pub(super) most: usize,
}

/// Events of one kind.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) went: bool,
    /// Rows, or the keys of rows that went.
    pub(super) batch: RecordBatch,
}

/// A step while it is read.
pub(super) struct Reader {
    rows: BatchStream,
    /// Keys of rows that were wanted before and have not come back.
    gone: BTreeSet<Vec<Value>>,
    ready: VecDeque<Part>,
    is_read: bool,
}

impl Wanted {
    fn matching(&self, batch: RecordBatch) -> Result<RecordBatch> {
        let Some(predicate) = &self.predicate else { return Ok(batch) };
        let mask = self.evaluate.evaluate(predicate, &batch, &self.viewer)?;
        let mask = mask.as_boolean_opt().ok_or_else(|| Error::internal("a filter says no yes"))?;
        only(&batch, mask)
    }
}

/// The rows for which the mask says yes; null is no.
fn only(batch: &RecordBatch, mask: &BooleanArray) -> Result<RecordBatch> {
    filter_record_batch(batch, mask)
        .map_err(|error| Error::internal("failed to choose changed rows").caused_by(error))
}

/// The rows that came of which a subscriber sees that they changed.
fn changed(batch: RecordBatch) -> Result<RecordBatch> {
    let same = batch.column_by_name(SAME).and_then(|column| column.as_boolean_opt());
    let Some(same) = same else { return Ok(batch) };
    let changed = not(same)
        .map_err(|error| Error::internal("failed to choose changed rows").caused_by(error))?;
    only(&batch, &changed)
}

impl Reader {
    pub(super) fn new(rows: BatchStream) -> Self {
        Reader { rows, gone: BTreeSet::new(), ready: VecDeque::new(), is_read: false }
    }

    /// The next events; `None` at the end of the step.
    pub(super) async fn next(&mut self, wanted: &Wanted) -> Result<Option<Part>> {
        loop {
            if let Some(part) = self.ready.pop_front() {
                return Ok(Some(part));
            }
            if self.is_read {
                return Ok(None);
            }
            match self.rows.next().await {
                Some(batch) => self.take(&batch?, wanted)?,
                None => {
                    self.is_read = true;
                    self.leave(wanted)?;
                }
            }
        }
    }

    fn take(&mut self, batch: &RecordBatch, wanted: &Wanted) -> Result<()> {
        let went = batch.column_by_name(WENT).and_then(|column| column.as_boolean_opt());
        let went = went.ok_or_else(|| Error::internal("changes do not say which rows went"))?;
        let came = not(went)
            .map_err(|error| Error::internal("failed to choose changed rows").caused_by(error))?;
        if !wanted.key.is_empty() && went.true_count() > 0 {
            let before = wanted.matching(only(batch, went)?)?;
            self.gone.extend(rows_of(&before, &wanted.key)?);
            if self.gone.len() > wanted.most {
                let text = format!("one change took more than {} rows away", wanted.most);
                return Err(Error::new(Kind::LimitExceeded, text)
                    .hint("read the table anew, and subscribe after the snapshot of that"));
            }
        }
        if came.true_count() > 0 {
            let now = wanted.matching(only(batch, &came)?)?;
            if !self.gone.is_empty() {
                for key in rows_of(&now, &wanted.key)? {
                    self.gone.remove(&key);
                }
            }
            self.put(false, &changed(now)?);
        }
        Ok(())
    }

    /// What was wanted and did not come back went.
    fn leave(&mut self, wanted: &Wanted) -> Result<()> {
        let keys: Vec<Vec<Value>> = std::mem::take(&mut self.gone).into_iter().collect();
        if !keys.is_empty() {
            self.put(true, &batch_of(&wanted.key, &keys)?);
        }
        Ok(())
    }

    fn put(&mut self, went: bool, batch: &RecordBatch) {
        let rows = batch.num_rows();
        let parts = (0..rows).step_by(PART).map(|first| {
            let batch = batch.slice(first, PART.min(rows - first));
            Part { went, batch }
        });
        self.ready.extend(parts);
    }
}

/// The fields that an expression reads.
pub(super) fn fields_of(expr: &Expr, found: &mut Vec<Arc<str>>) {
    let mut below = |expr: &Expr| fields_of(expr, found);
    match &expr.node {
        Node::Field(path) => found.extend(path.first().map(|name| name.as_str().into())),
        Node::Literal(_) | Node::Viewer(_) => {}
        Node::Unary(_, one) | Node::InList(one, _) | Node::Contains(one, _) | Node::Cast(one) => {
            below(one);
        }
        Node::Binary(_, left, right) => [left, right].into_iter().for_each(|side| below(side)),
        Node::Case { branches, otherwise } => {
            branches.iter().for_each(|(when, then)| [when, then].into_iter().for_each(&mut below));
            otherwise.iter().for_each(|expr| below(expr));
        }
        Node::Coalesce(all) | Node::Call(_, all) => all.iter().for_each(below),
    }
}
