//! Time, processor time and memory of this process and of others, and the rows of the table.
//!
//! The kernel counts processor time; on a machine that others use too it is steadier than the clock.

use std::fs;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};
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
    bound: f64,
    absolute: bool,
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
            bound: 0.0,
            absolute: false,
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
        self.bound = times;
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
        self.bound = bound;
        let sign = if self.larger_is_better { ">=" } else { "<=" };
        self.goal = format!("{sign} {bound}");
        self
    }
}

/// What a process needed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Seconds by the clock.
    pub(crate) wall: f64,
    /// Seconds of processor time, its children's too.
    pub(crate) cpu: f64,
    /// The most memory that it held, in bytes.
    pub(crate) peak: u64,
}

/// Runs a program to its end.
pub(crate) fn whole(command: &mut Command) -> Result<Usage> {
    let before = seconds(UsageWho::RUSAGE_CHILDREN)?;
    let started = Instant::now();
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("failed to start {command:?}"))?;
    let mut stderr = child.stderr.take().context("a program has no standard error")?;
    // Read beside the wait, for a program that says much would stop at a full pipe.
    let said = std::thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).map(|_| text)
    });
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut peak = 0;
    let ended = loop {
        if let Ok(text) = fs::read_to_string(&status) {
            peak = kilobytes(&text, "VmHWM:").unwrap_or(0).max(peak);
        }
        match child.try_wait()? {
            Some(ended) => break ended,
            None => std::thread::park_timeout(Duration::from_millis(5)),
        }
    };
    let wall = started.elapsed().as_secs_f64();
    let said = said.join().ok().and_then(Result::ok).unwrap_or_default();
    ensure!(ended.success(), "{command:?} ended with {ended}:\n{said}");
    Ok(Usage { wall, cpu: seconds(UsageWho::RUSAGE_CHILDREN)? - before, peak: peak * 1024 })
}

/// A number of `/proc/PID/status`, in kilobytes.
pub(crate) fn kilobytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Processor time of this process so far, in seconds.
pub(crate) fn own_cpu() -> Result<f64> {
    seconds(UsageWho::RUSAGE_SELF)
}

fn seconds(who: UsageWho) -> Result<f64> {
    let usage = getrusage(who)?;
    let time = |value: nix::sys::time::TimeVal| {
        value.tv_sec() as f64 + value.tv_usec() as f64 / 1_000_000.0
    };
    Ok(time(usage.user_time()) + time(usage.system_time()))
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
