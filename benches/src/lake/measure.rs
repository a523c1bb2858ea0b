//! Time, processor time and memory of this process and of others.
//!
//! The kernel counts processor time; on a machine that others use too it is steadier than the clock.

use std::fs;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};

pub(crate) use crate::row::{Row, kilobytes, median, quantile};

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
