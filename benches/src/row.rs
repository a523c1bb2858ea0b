//! Rows of the table that `cargo xtask bench` prints, and small statistics.
//!
//! In: numbers. Out: what the table says of them. Not here: how they are measured.

use serde::Serialize;

/// One row, as `cargo xtask bench` reads it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    row: String,
    ours: f64,
    peer: Option<f64>,
    peer_name: String,
    unit: String,
    goal: String,
    larger_is_better: bool,
    bound: Option<f64>,
    absolute: bool,
    /// What else is to be said, in lines.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) notes: Vec<String>,
}

impl Row {
    /// A row whose larger number is better, for instance rows a second.
    pub(crate) fn rate(row: impl Into<String>, ours: f64, unit: &str) -> Row {
        Row {
            row: row.into(),
            ours,
            peer: None,
            peer_name: String::new(),
            unit: unit.to_owned(),
            goal: String::new(),
            larger_is_better: true,
            bound: None,
            absolute: false,
            notes: Vec::new(),
        }
    }

    /// A row whose smaller number is better, for instance milliseconds.
    pub(crate) fn cost(row: impl Into<String>, ours: f64, unit: &str) -> Row {
        Row { larger_is_better: false, ..Row::rate(row, ours, unit) }
    }

    /// The goal against a peer: `times` better. An absent peer is `None`.
    #[must_use]
    pub(crate) fn against(mut self, name: &str, peer: Option<f64>, times: f64) -> Row {
        self.peer = peer;
        name.clone_into(&mut self.peer_name);
        self.bound = Some(times);
        self.goal = match self.larger_is_better {
            true => format!(">= {times}x"),
            false => format!("<= {:.2}x", 1.0 / times),
        };
        self
    }

    /// The goal as a bound on our own number.
    #[must_use]
    pub(crate) fn bound(mut self, bound: f64) -> Row {
        self.absolute = true;
        self.bound = Some(bound);
        let sign = if self.larger_is_better { ">=" } else { "<=" };
        self.goal = format!("{sign} {bound}");
        self
    }
}

/// A number of `/proc/PID/status`, in kilobytes.
pub(crate) fn kilobytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// The middle of some numbers.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let Some(last) = values.len().checked_sub(1) else { return f64::NAN };
    f64::midpoint(values[last / 2], values[last.div_ceil(2)])
}

/// The number below which `part` (of 1) of the values lie.
pub(crate) fn quantile(mut values: Vec<f64>, part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let Some(last) = values.len().checked_sub(1) else { return f64::NAN };
    values[((last as f64) * part).round() as usize]
}
