//! Whether a plan may be applied: a checker that knows nothing of how plans are made.
//!
//! In: a plan and its two schemas. Out: every [`Violation`]. It runs the steps on the shape of the
//! old schema's tables and compares what comes out with the new schema's. Not here: making plans.

use std::collections::BTreeSet;
use std::fmt;

use super::state::{Tables, change_source, run, sources, states};
use super::{Plan, PlannedStep, Step, in_order_of_truth};
use crate::diff::StorageEffect;
use crate::model::Schema;

/// What is wrong with a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// The plan was made for other schemas.
    OtherSchemas {
        /// Which fingerprint differs: `base` or `target`.
        which: &'static str,
    },
    /// A step cannot run where it stands.
    CannotRun {
        /// Its position, from 0.
        step: usize,
        /// Why not.
        why: String,
    },
    /// After all steps a table is not what the new schema says.
    WrongResult {
        /// The type.
        type_name: String,
        /// What differs.
        what: String,
    },
    /// After all steps a service is not asked as the new schema says.
    WrongSource {
        /// Its name.
        source: String,
    },
    /// A step stands behind one of a later phase.
    OutOfPhase {
        /// The position of the step that comes too late.
        step: usize,
    },
    /// A step destroys and does not say what.
    UnnamedLoss {
        /// Its position.
        step: usize,
    },
    /// A step says that it destroys, and does not.
    FalseLoss {
        /// Its position.
        step: usize,
    },
    /// A step stands in the plan twice.
    Repeated {
        /// The position of the second.
        step: usize,
    },
    /// A step is not described.
    NoWords {
        /// Its position.
        step: usize,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Violation::OtherSchemas { which } => {
                write!(f, "the plan's {which} is not the given schema")
            }
            Violation::CannotRun { step, why } => write!(f, "step {} cannot run: {why}", step + 1),
            Violation::WrongResult { type_name, what } => {
                write!(
                    f,
                    "after the last step table `{type_name}` is not as the schema says: {what}"
                )
            }
            Violation::WrongSource { source } => {
                write!(f, "after the last step service `{source}` is not as the schema says")
            }
            Violation::OutOfPhase { step } => {
                write!(f, "step {} stands behind a step of a later phase", step + 1)
            }
            Violation::UnnamedLoss { step } => {
                write!(f, "step {} destroys and does not say what", step + 1)
            }
            Violation::FalseLoss { step } => {
                write!(f, "step {} says that it destroys, and does not", step + 1)
            }
            Violation::Repeated { step } => write!(f, "step {} stands there twice", step + 1),
            Violation::NoWords { step } => write!(f, "step {} is not described", step + 1),
        }
    }
}

/// Everything that is wrong with a plan; empty for every plan that `plan` makes.
pub fn check(plan: &Plan, old: &Schema, new: &Schema) -> Vec<Violation> {
    let mut found = Vec::new();
    if plan.base != old.fingerprint {
        found.push(Violation::OtherSchemas { which: "base" });
    }
    if plan.target != new.fingerprint {
        found.push(Violation::OtherSchemas { which: "target" });
    }
    order(plan, &mut found);
    for (position, step) in plan.steps.iter().enumerate() {
        losses(position, step, &mut found);
        if step.text.is_empty() {
            found.push(Violation::NoWords { step: position });
        }
        if plan.steps[..position].iter().any(|earlier| earlier.step == step.step) {
            found.push(Violation::Repeated { step: position });
        }
    }
    simulate(plan, old, new, &mut found);
    found
}

fn order(plan: &Plan, found: &mut Vec<Violation>) {
    let pairs = plan.steps.windows(2).enumerate();
    let late = pairs.filter(|(_, pair)| pair[1].step.phase() < pair[0].step.phase());
    found.extend(late.map(|(before, _)| Violation::OutOfPhase { step: before + 1 }));
}

fn losses(position: usize, step: &PlannedStep, found: &mut Vec<Violation>) {
    let destroys = matches!(step.step, Step::DropTable { .. } | Step::DropColumn { .. });
    let rebuildable = matches!(step.step, Step::DropVectors { .. });
    let contracts = step.storage == StorageEffect::Contract && !rebuildable;
    if (destroys || contracts) && step.destroys.is_empty() {
        found.push(Violation::UnnamedLoss { step: position });
    }
    if !(destroys || contracts || step.destroys.is_empty()) {
        found.push(Violation::FalseLoss { step: position });
    }
}

fn simulate(plan: &Plan, old: &Schema, new: &Schema, found: &mut Vec<Violation>) {
    let (mut tables, goal) = (states(old), states(new));
    let (mut asked, to_ask) = (sources(old), sources(new));
    // Nothing of a change is true before its switch, and then all of it is.
    for step in in_order_of_truth(plan.steps.iter().map(|planned| &planned.step)) {
        let done = match step {
            Step::ChangeSource { source } => change_source(&mut asked, source, &to_ask),
            step => run(&mut tables, step, &goal),
        };
        if let Err(why) = done {
            let position = plan.steps.iter().position(|planned| planned.step == *step);
            found.push(Violation::CannotRun { step: position.unwrap_or_default(), why });
            return;
        }
    }
    compare(&tables, &goal, found);
    let names: BTreeSet<_> = asked.keys().chain(to_ask.keys()).collect();
    let wrong = names.into_iter().filter(|name| asked.get(*name) != to_ask.get(*name));
    found.extend(wrong.map(|name| Violation::WrongSource { source: name.to_string() }));
}

fn compare(got: &Tables, wanted: &Tables, found: &mut Vec<Violation>) {
    let mut wrong = |type_name: &str, what: &str| {
        let (type_name, what) = (type_name.to_owned(), what.to_owned());
        found.push(Violation::WrongResult { type_name, what });
    };
    for name in got.keys().filter(|name| !wanted.contains_key(*name)) {
        wrong(name, "it should be gone");
    }
    for (name, wanted) in wanted {
        let Some(got) = got.get(name) else {
            wrong(name, "it is missing");
            continue;
        };
        let parts = [
            ("name", got.name == wanted.name && got.module == wanted.module),
            ("format", got.format == wanted.format),
            ("key", got.key == wanted.key),
            ("buckets", got.bucket == wanted.bucket),
            ("partitions", got.partition == wanted.partition),
            ("sort order", got.sort == wanted.sort),
            ("retention", got.retain == wanted.retain),
            ("text index", got.search == wanted.search),
            ("vectors", got.vectors == wanted.vectors),
        ];
        parts.iter().filter(|(_, same)| !same).for_each(|(what, _)| wrong(name, what));
        if let Some(what) = column_difference(got, wanted) {
            wrong(name, &what);
        }
    }
}

fn column_difference(got: &super::TableState, wanted: &super::TableState) -> Option<String> {
    let names = |table: &super::TableState| table.columns.keys().cloned().collect::<Vec<_>>();
    if names(got) != names(wanted) {
        return Some(format!("columns {:?} instead of {:?}", names(got), names(wanted)));
    }
    let mut pairs = got.columns.iter().zip(wanted.columns.values());
    pairs.find_map(|((name, got), wanted)| {
        let same = (&got.column, &got.data_type, got.nullable)
            == (&wanted.column, &wanted.data_type, wanted.nullable);
        // Values that rows held before must all be values that they may hold now.
        let values = match (&got.values, &wanted.values) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(held), Some(allowed)) => held.is_subset(allowed),
        };
        (!same || !values).then(|| format!("column `{name}`"))
    })
}
