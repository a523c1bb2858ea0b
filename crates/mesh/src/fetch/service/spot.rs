//! Where the value of an object or a field stands, in one word.

use crate::tape::At;

/// A position in the tape of a group; or that there is none, for a reason or without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot(u32);

/// The first word that is no position: more than any tape has.
const FAULTS: u32 = 1 << 31;

impl Spot {
    /// Nothing.
    pub(crate) const NONE: Spot = Spot(u32::MAX);

    /// A position.
    pub(crate) fn of(at: At) -> Self {
        Spot(at.0)
    }

    /// Nothing, because of a fault.
    pub(crate) fn failed(fault: usize) -> Self {
        Spot((FAULTS + fault as u32).min(u32::MAX - 1))
    }

    pub(crate) fn at(self) -> Option<At> {
        (self.0 < FAULTS).then_some(At(self.0))
    }

    /// The fault that is the reason.
    pub(crate) fn fault(self) -> Option<usize> {
        (self.0 >= FAULTS && self != Spot::NONE).then(|| (self.0 - FAULTS) as usize)
    }
}
