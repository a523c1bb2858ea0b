//! When a step runs: before the moment at which a change becomes true, in it, or after it.
//!
//! In: a step. Out: its [`Phase`]. Not here: the order inside a phase (`order`).

use std::fmt;

use super::Step;

/// The four phases of a change, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Makes what is new, where nobody sees it.
    Expand,
    /// Fills, checks and indexes, in units between which an apply may pause; nobody sees it.
    Backfill,
    /// What is metadata alone: in the one transaction in which the new schema becomes the deployed
    /// one.
    Switch,
    /// Gives up what only the old schema needs, once it is no longer served.
    Contract,
}

impl Phase {
    /// All phases, in order.
    pub const ALL: [Phase; 4] = [Phase::Expand, Phase::Backfill, Phase::Switch, Phase::Contract];

    /// The stable name, for JSON and stored plans.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Expand => "expand",
            Phase::Backfill => "backfill",
            Phase::Switch => "switch",
            Phase::Contract => "contract",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Step {
    /// The phase in which the step does its work.
    pub fn phase(&self) -> Phase {
        match self {
            Step::CreateTable { .. } | Step::AddColumn { .. } => Phase::Expand,
            Step::ConvertColumn { .. }
            | Step::ChangeKey { .. }
            | Step::ChangeFormat { .. }
            | Step::BuildSearch { .. }
            | Step::BuildVectors { .. } => Phase::Backfill,
            Step::RestoreTable { .. }
            | Step::RenameTable { .. }
            | Step::RestoreColumn { .. }
            | Step::RenameColumn { .. }
            | Step::WidenColumn { .. }
            | Step::Repartition { .. }
            | Step::Resort { .. }
            | Step::SetRetention { .. }
            | Step::ChangeSource { .. } => Phase::Switch,
            Step::DropTable { .. } | Step::DropColumn { .. } | Step::DropVectors { .. } => {
                Phase::Contract
            }
        }
    }
}
