//! Rules that concern several types at once: in come the declarations and what was built of them,
//! out come faults. Rules of one directive on one field stand with that directive in `compile`.

mod circles;
mod database;
mod earlier_names;
mod table_names;
mod unused;

pub(crate) use circles::{circles, words as circle_words};

use crate::compile::{Declared, Draft, Report};

/// Runs every rule.
pub(crate) fn check(declared: &Declared<'_>, draft: &Draft, report: &mut Report<'_>) {
    table_names::check(declared, draft, report);
    earlier_names::check(declared, draft, report);
    circles::check(declared, draft, report);
    database::check(declared, draft, report);
    unused::check(declared, draft, report);
}
