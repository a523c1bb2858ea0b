//! A plan as the journal keeps it, with a version of its own.
//!
//! In and out: JSON text. A text of a newer version is refused, never guessed at. Not here: what
//! `--json` prints, which may change with every release.

use std::sync::Arc;

use base::{Error, Kind, Place, Result};
use serde::{Deserialize, Serialize};

use super::{Plan, PlannedStep, Step};
use crate::diff::{Change, ChangeKind, StorageEffect, WireEffect};

/// The version that this program writes.
pub const VERSION: u32 = 3;
/// The oldest version that is still read: its steps stand in the order in which they were carried out
/// one after the other, and have no phases. Version 2 has them, and no services.
const OLDEST: u32 = 1;

/// The text that the journal keeps.
pub fn to_text(plan: &Plan) -> Result<String> {
    let failed = |error| Error::internal("failed to write a plan as text").caused_by(error);
    serde_json::to_string_pretty(&StoredPlan::from(plan))
        .map_err(|error: serde_json::Error| failed(error))
}

/// Reads a text that [`to_text`] wrote.
pub fn from_text(text: &str) -> Result<Plan> {
    let corrupt = |error: serde_json::Error| {
        Error::new(Kind::Corrupt, "failed to read a stored plan").caused_by(error)
    };
    let version: Version = serde_json::from_str(text).map_err(corrupt)?;
    if !(OLDEST..=VERSION).contains(&version.version) {
        return Err(Error::new(
            Kind::Unsupported,
            format!(
                "the stored plan has version {}, this program reads {OLDEST} to {VERSION}",
                version.version
            ),
        )
        .hint("use the version of Headwater that wrote it, or a newer one"));
    }
    let stored: StoredPlan = serde_json::from_str(text).map_err(corrupt)?;
    stored.into_plan()
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct StoredPlan {
    version: u32,
    base: Arc<str>,
    target: Arc<str>,
    changes: Vec<StoredChange>,
    steps: Vec<StoredPlannedStep>,
}

#[derive(Serialize, Deserialize)]
struct StoredChange {
    kind: String,
    path: String,
    message: String,
    storage: String,
    wire: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    wire_reasons: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    file: String,
    line: usize,
    column: usize,
}

#[derive(Serialize, Deserialize)]
struct StoredPlannedStep {
    /// Follows from the step; for whoever reads the journal.
    #[serde(default)]
    phase: String,
    step: StoredStep,
    storage: String,
    wire: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    destroys: Vec<String>,
    text: String,
}

/// Declares the stored form of every step with the conversions both ways, so that a new step cannot
/// be forgotten in one of them.
macro_rules! stored_steps {
    ($($name:ident { $($field:ident),* })*) => {
        #[derive(Serialize, Deserialize)]
        #[serde(tag = "do", rename_all = "snake_case")]
        enum StoredStep { $($name { $($field: Arc<str>),* },)* }

        impl From<&Step> for StoredStep {
            fn from(step: &Step) -> Self {
                match step { $(Step::$name { $($field),* } => StoredStep::$name { $($field: $field.clone()),* },)* }
            }
        }

        impl From<StoredStep> for Step {
            fn from(step: StoredStep) -> Self {
                match step { $(StoredStep::$name { $($field),* } => Step::$name { $($field),* },)* }
            }
        }
    };
}

stored_steps! {
    CreateTable { type_name }
    DropTable { type_name }
    RestoreTable { type_name }
    RenameTable { from, to }
    AddColumn { type_name, field }
    DropColumn { type_name, field }
    RestoreColumn { type_name, field }
    RenameColumn { type_name, from, to }
    WidenColumn { type_name, field }
    ConvertColumn { type_name, field }
    Repartition { type_name }
    Resort { type_name }
    ChangeKey { type_name }
    ChangeFormat { type_name }
    BuildSearch { type_name }
    BuildVectors { type_name, field }
    DropVectors { type_name, field }
    SetRetention { type_name }
    ChangeSource { source }
}

impl From<&Plan> for StoredPlan {
    fn from(plan: &Plan) -> Self {
        StoredPlan {
            version: VERSION,
            base: plan.base.clone(),
            target: plan.target.clone(),
            changes: plan.changes.iter().map(StoredChange::from).collect(),
            steps: plan.steps.iter().map(StoredPlannedStep::from).collect(),
        }
    }
}

impl From<&Change> for StoredChange {
    fn from(change: &Change) -> Self {
        StoredChange {
            kind: change.kind.code().to_owned(),
            path: change.path.clone(),
            message: change.message.clone(),
            storage: change.storage.name().to_owned(),
            wire: change.wire.name().to_owned(),
            wire_reasons: change.wire_reasons.clone(),
            hint: change.hint.clone(),
            file: change.place.file.clone(),
            line: change.place.line,
            column: change.place.column,
        }
    }
}

impl From<&PlannedStep> for StoredPlannedStep {
    fn from(planned: &PlannedStep) -> Self {
        StoredPlannedStep {
            phase: planned.step.phase().name().to_owned(),
            step: StoredStep::from(&planned.step),
            storage: planned.storage.name().to_owned(),
            wire: planned.wire.name().to_owned(),
            destroys: planned.destroys.clone(),
            text: planned.text.clone(),
        }
    }
}

fn unknown(what: &str, name: &str) -> Error {
    Error::new(Kind::Corrupt, format!("the stored plan names an unknown {what} `{name}`"))
}

fn storage_named(name: &str) -> Result<StorageEffect> {
    let found = StorageEffect::ALL.into_iter().find(|effect| effect.name() == name);
    found.ok_or_else(|| unknown("storage effect", name))
}

fn wire_named(name: &str) -> Result<WireEffect> {
    let found = WireEffect::ALL.into_iter().find(|effect| effect.name() == name);
    found.ok_or_else(|| unknown("wire effect", name))
}

impl StoredPlan {
    fn into_plan(self) -> Result<Plan> {
        let changes: Result<_> = self.changes.into_iter().map(StoredChange::into_change).collect();
        let steps = self.steps.into_iter().map(StoredPlannedStep::into_step);
        let mut steps = steps.collect::<Result<Vec<PlannedStep>>>()?;
        // Every step looks whether it was done, so an older plan may go on in the order of phases.
        steps.sort_by_key(|planned| planned.step.phase());
        Ok(Plan { base: self.base, target: self.target, changes: changes?, steps })
    }
}

impl StoredChange {
    fn into_change(self) -> Result<Change> {
        let kind = ChangeKind::ALL.iter().find(|kind| kind.code() == self.kind);
        let kind = *kind.ok_or_else(|| unknown("change", &self.kind))?;
        let place = Place { file: self.file, line: self.line, column: self.column };
        let mut change = Change::new(kind, self.path, &place, self.message);
        change.storage = storage_named(&self.storage)?;
        change.wire = wire_named(&self.wire)?;
        change.wire_reasons = self.wire_reasons;
        change.hint = self.hint;
        Ok(change)
    }
}

impl StoredPlannedStep {
    fn into_step(self) -> Result<PlannedStep> {
        Ok(PlannedStep {
            step: Step::from(self.step),
            storage: storage_named(&self.storage)?,
            wire: wire_named(&self.wire)?,
            destroys: self.destroys,
            text: self.text,
        })
    }
}
