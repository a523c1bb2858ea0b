//! Where the faults of composition are gathered: in come codes, words and spots in several texts,
//! out come `Diagnostics`.

use crate::diagnostic::{Also, Code, Diagnostic, Diagnostics};

use super::text::{Spot, Text};

/// Faults that are kept; a graph that is wrong in more places is not understood better by all of
/// them.
const MAX_FAULTS: usize = 1000;

/// Gathers diagnostics and knows the texts they speak of.
pub(crate) struct Report<'g> {
    texts: Vec<&'g Text>,
    found: Diagnostics,
    /// Takes what is found beyond the limit.
    spare: Diagnostic,
}

impl<'g> Report<'g> {
    pub(crate) fn new(texts: Vec<&'g Text>) -> Self {
        let nowhere = base::Place { file: String::new(), line: 0, column: 0 };
        let spare = Diagnostic::new(Code::Limit, nowhere, 0, "");
        Report { texts, found: Diagnostics::default(), spare }
    }

    /// Adds a finding at one place and beside it others with words of their own; the caller adds a
    /// hint to what it gives back.
    pub(crate) fn add(
        &mut self,
        code: Code,
        spot: Spot,
        others: Vec<(Spot, String)>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        let (place, length) = self.texts[spot.source].place(spot.span);
        let mut item = Diagnostic::new(code, place, length, message);
        let others = others.into_iter().map(|(spot, message)| {
            let (place, length) = self.texts[spot.source].place(spot.span);
            Also { place, length, message }
        });
        item.also = others.collect();
        if self.found.items.len() >= MAX_FAULTS {
            self.spare = item;
            return &mut self.spare;
        }
        self.found.items.push(item);
        let last = self.found.items.len() - 1;
        &mut self.found.items[last]
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.found.has_errors()
    }

    /// Everything found, in the order of files and lines.
    pub(crate) fn finish(mut self) -> Diagnostics {
        self.found.sort();
        self.found
    }
}

/// Names as prose lists them: `a`, `b` and `c`.
pub(crate) fn listed<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    let quoted: Vec<String> =
        names.into_iter().map(|name| format!("`{}`", name.as_ref())).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} and {last}", before.join(", ")),
    }
}
