//! A progress bar on standard error: rows and bytes a second for imports, steps for an apply.

use std::time::Duration;

use base::size::{format_bytes, format_count};
use indicatif::{ProgressBar, ProgressStyle};
use server::wire::Progress;

use crate::printer::Printer;

/// Shows how far a long operation is; silent in a pipe, with `--quiet` and with `--json`.
pub(crate) struct Bar(Option<ProgressBar>);

impl Bar {
    /// A bar that appears with the first report.
    pub(crate) fn new(printer: &Printer) -> Self {
        Bar(printer.shows_progress().then(|| {
            let bar = ProgressBar::new_spinner();
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        }))
    }

    /// Takes the next report.
    pub(crate) fn report(&self, progress: &Progress) {
        let Some(bar) = &self.0 else {
            return;
        };
        if let (Some(total), None) = (progress.total_bytes, bar.length()) {
            bar.set_length(total);
            if let Ok(style) =
                ProgressStyle::with_template("{bar:32} {percent:>3}%  {msg}  {eta} left")
            {
                bar.set_style(style);
            }
        }
        bar.set_position(progress.bytes);
        let seconds = bar.elapsed().as_secs_f64().max(0.001);
        let mut text = progress.what.clone();
        if progress.rows > 0 {
            let rate = (progress.rows as f64 / seconds) as u64;
            text.push_str(&format!(
                " {} rows, {}/s",
                format_count(progress.rows),
                format_count(rate)
            ));
        }
        if progress.bytes > 0 {
            text.push_str(&format!(
                ", {}/s",
                format_bytes((progress.bytes as f64 / seconds) as u64)
            ));
        }
        if progress.rejected > 0 {
            text.push_str(&format!(", {} refused", format_count(progress.rejected)));
        }
        bar.set_message(text);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
