//! An ordered list of steps from one deployed schema to the next, as an immutable value.
//!
//! ```text
//! diff → Changes → steps (each change's storage work) → order → words → Plan → check
//! ```
//!
//! In: two schemas. Out: a [`Plan`], or diagnostics that say which change cannot be carried out
//! and how to do it in two. Not here: carrying a plan out (`server::apply`, through `lake`).

use std::sync::Arc;

use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::diff::{Change, Pairing, StorageEffect, WireEffect, diff};
use crate::model::Schema;

mod check;
mod order;
mod phase;
mod render;
mod state;
mod steps;
pub mod stored;
mod successor;
mod words;

pub use check::{Violation, check};
pub(crate) use order::by_dependency;
pub use order::in_order_of_truth;
pub use phase::Phase;
use state::TableState;
pub use successor::{FieldNow, FieldSuccessor, Successor, successor};

/// What leads from one schema to the next; never changed once made.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Fingerprint of the schema that must be deployed when the plan is applied.
    pub base: Arc<str>,
    /// Fingerprint of the schema that is deployed afterwards.
    pub target: Arc<str>,
    /// Everything that changes, also what needs no storage work.
    pub changes: Vec<Change>,
    /// The storage work, in order.
    pub steps: Vec<PlannedStep>,
}

/// One step with what it does and costs.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedStep {
    /// The step.
    pub step: Step,
    /// Its effect on stored rows.
    pub storage: StorageEffect,
    /// The effect on callers of the changes that it serves.
    pub wire: WireEffect,
    /// What will be lost, each in words; not empty means that the step needs `--allow-destructive`.
    pub destroys: Vec<String>,
    /// What it does, in words.
    pub text: String,
}

/// Which way a plan leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To a schema that was written next.
    Forward,
    /// Back to a schema that was deployed before: what a forward plan dropped is restored.
    Undo,
}

/// Plans the way from the deployed schema to the next one, or says what cannot be done.
pub fn plan(old: &Schema, new: &Schema) -> Result<Plan, Diagnostics> {
    plan_towards(old, new, Direction::Forward)
}

/// Plans the way back from the deployed schema to an earlier one, restoring what was dropped while
/// old snapshots live.
pub fn undo(deployed: &Schema, earlier: &Schema) -> Result<Plan, Diagnostics> {
    plan_towards(deployed, earlier, Direction::Undo)
}

fn plan_towards(old: &Schema, new: &Schema, direction: Direction) -> Result<Plan, Diagnostics> {
    let mut changes = diff(old, new);
    if direction == Direction::Undo {
        changes.iter_mut().for_each(restorable);
    }
    let impossible = |change: &&Change| change.storage == StorageEffect::Impossible;
    let refused: Vec<_> = changes.iter().filter(impossible).map(refusal).collect();
    if !refused.is_empty() {
        return Err(Diagnostics { items: refused });
    }
    let pairing = Pairing::of(old, new);
    let work = steps::of_changes(&pairing, &changes, direction);
    let steps = order::ordered(&pairing, work)
        .into_iter()
        .map(|work| words::planned(&pairing, work))
        .collect();
    Ok(Plan { base: old.fingerprint.clone(), target: new.fingerprint.clone(), changes, steps })
}

/// Why a change cannot be carried out, at the place that asks for it.
fn refusal(change: &Change) -> Diagnostic {
    let name = change.member_name().unwrap_or(change.type_name());
    let length = name.chars().count();
    let mut found = Diagnostic::new(Code::Plan, change.place.clone(), length, &change.message);
    found.hint.clone_from(&change.hint);
    found
}

/// A required field that a forward plan dropped needs no default on the way back: its old values
/// come back with it.
fn restorable(change: &mut Change) {
    use crate::diff::ChangeKind::{FieldAdded, FieldKind};
    if matches!(change.kind, FieldAdded | FieldKind)
        && change.storage == StorageEffect::Impossible
        && change.is_missing_value()
    {
        change.restore();
    }
}

impl Plan {
    /// Everything that applying the plan gives up for good, in the order of its steps.
    pub fn losses(&self) -> Vec<&str> {
        self.steps.iter().flat_map(|step| step.destroys.iter().map(String::as_str)).collect()
    }

    /// Whether nothing changes at all.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.steps.is_empty()
    }

    /// The steps of one phase, in order.
    pub fn steps_in(&self, phase: Phase) -> impl Iterator<Item = &PlannedStep> {
        self.steps.iter().filter(move |planned| planned.step.phase() == phase)
    }

    /// The strongest effect on stored rows.
    pub fn storage(&self) -> StorageEffect {
        self.changes.iter().map(|change| change.storage).max().unwrap_or(StorageEffect::None)
    }

    /// The strongest effect on callers.
    pub fn wire(&self) -> WireEffect {
        self.changes.iter().map(|change| change.wire).max().unwrap_or(WireEffect::None)
    }
}

/// One step of storage work; `server::apply` carries it out through `lake`, exactly once, and may be
/// killed between any two. Names are those of the schema that is in force when the step runs: types
/// and fields by API name.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Makes an empty table for a type of the new schema.
    CreateTable { type_name: Arc<str> },
    /// Drops a table and, after the retention of its snapshots, its files.
    DropTable { type_name: Arc<str> },
    /// Brings a dropped table back from its last snapshot; only an undo plans it. Refused once the
    /// files are gone.
    RestoreTable { type_name: Arc<str> },
    /// Gives a table (its type, its SQL name or its module) another name; no file changes. `from`
    /// and `to` are type names and equal when only the SQL name or the module changes. Media,
    /// vectors and text index go along.
    RenameTable { from: Arc<str>, to: Arc<str> },
    /// Adds a column; existing rows get the default, the derived value, or null.
    AddColumn { type_name: Arc<str>, field: Arc<str> },
    /// Drops a column from the table's schema; old snapshots keep it.
    DropColumn { type_name: Arc<str>, field: Arc<str> },
    /// Brings a dropped column back with the values that old files still hold, under the identity
    /// it had; rows written since get the default or null. Only an undo plans it.
    RestoreColumn { type_name: Arc<str>, field: Arc<str> },
    /// Gives a column another name; no file changes. `from` and `to` are API names and equal when
    /// only `@column(name:)` changes. Vectors and text index go along.
    RenameColumn { type_name: Arc<str>, from: Arc<str>, to: Arc<str> },
    /// Int → Long, Decimal precision up, required → nullable: no file changes.
    WidenColumn { type_name: Arc<str>, field: Arc<str> },
    /// Any other change of type that old values may survive: checks every row first and refuses when one does not
    /// fit, then rewrites.
    ConvertColumn { type_name: Arc<str>, field: Arc<str> },
    /// New partitioning or bucketing: for new files at once, for old ones by a rewrite.
    Repartition { type_name: Arc<str> },
    /// New sort order: likewise.
    Resort { type_name: Arc<str> },
    /// New key: checks uniqueness first.
    ChangeKey { type_name: Arc<str> },
    /// Copies a table into the other format, in the new schema's buckets, partitions and order, and
    /// switches.
    ChangeFormat { type_name: Arc<str> },
    /// Builds or rebuilds the text index of a table after its `@search` fields changed.
    BuildSearch { type_name: Arc<str> },
    /// Computes the vectors of a field, and its index.
    BuildVectors { type_name: Arc<str>, field: Arc<str> },
    /// Drops the vectors of a field.
    DropVectors { type_name: Arc<str>, field: Arc<str> },
    /// Changes how long snapshots are kept.
    SetRetention { type_name: Arc<str> },
    /// Asks a service from now on, asks it elsewhere or otherwise, or no more. Nothing stored is
    /// touched: it becomes true with the schema.
    ChangeSource { source: Arc<str> },
}
