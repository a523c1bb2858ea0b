//! The log of requests: a line of JSON for each, written by a task of its own.
//!
//! In: requests that have ended. Out: lines in a file or on standard error, never with values of variables,
//! tokens or messages of errors, which may tell either. No request waits for it: lines that there is no room
//! for are dropped and counted. Not here: which requests have a line (`telemetry`).

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base::task::{self, Task};
use base::{Error, Result};
use mesh::record::{Fault, Step, Work};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tokio::sync::{Notify, mpsc};

use super::seen::Seen;

/// Lines that may wait.
const LINES: usize = 4096;

/// Steps of one request that have a place in its line.
const STEPS: usize = 50;

/// Where lines go.
pub(super) struct Log {
    sender: mpsc::Sender<String>,
    /// Ends when it is told to stop, after the last line.
    writing: Mutex<Option<Task<()>>>,
    stop: Arc<Notify>,
    dropped: AtomicU64,
}

impl Log {
    /// A log that writes to a file, or to standard error.
    pub(super) fn start(folder: &Path, file: Option<&Path>) -> Result<Log> {
        let out = file.map(|file| open(&folder.join(file))).transpose()?;
        let (sender, receiver) = mpsc::channel(LINES);
        let stop = Arc::new(Notify::new());
        let writing = write(out, receiver, Arc::clone(&stop));
        let writing = Mutex::new(Some(task::spawn("write the log of requests", writing)));
        Ok(Log { sender, writing, stop, dropped: AtomicU64::new(0) })
    }

    /// Takes a line, or drops it.
    pub(super) fn take(&self, line: &Value) {
        if self.sender.try_send(format!("{line}\n")).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Writes what waits, and takes no more.
    pub(super) async fn stop(&self, time: Duration) {
        self.stop.notify_one();
        let writing = self.writing.lock().take();
        if let Some(writing) = writing
            && tokio::time::timeout(time, writing).await.is_err()
        {
            tracing::warn!("the last lines of the log of requests could not be written in time");
        }
    }
}

fn open(path: &Path) -> Result<File> {
    let opened = OpenOptions::new().create(true).append(true).open(path);
    opened.map_err(|error| {
        Error::from(error).context(format!("failed to open the log `{}`", path.display()))
    })
}

/// Writes lines until none can come any more. One write takes all that wait.
async fn write(mut out: Option<File>, mut receiver: mpsc::Receiver<String>, stop: Arc<Notify>) {
    loop {
        let mut lines = Vec::new();
        tokio::select! {
            count = receiver.recv_many(&mut lines, LINES) => if count == 0 { return },
            () = stop.notified() => {
                receiver.close();
                continue;
            }
        }
        let text = lines.drain(..).collect::<String>();
        let mut file = out.take();
        let written = task::blocking("write the log of requests", move || {
            let written = match &mut file {
                Some(file) => file.write_all(text.as_bytes()),
                None => std::io::stderr().lock().write_all(text.as_bytes()),
            };
            (file, written)
        });
        let Ok((file, written)) = written.await else { return };
        out = file;
        if let Err(error) = written {
            tracing::error!(%error, "the log of requests cannot be written");
        }
    }
}

/// The line of a request that ended with this status.
pub(super) fn line(
    seen: &Seen,
    steps: &[Step],
    status: u16,
    took: Duration,
    is_slow: bool,
) -> Value {
    let mut line = Map::new();
    let mut set = |name: &str, value: Value| {
        line.insert(name.to_owned(), value);
    };
    set("time", seen.began.to_string().into());
    set("method", seen.method.as_str().into());
    set("route", seen.route.as_str().into());
    set("status", status.into());
    set("millis", millis(took));
    if is_slow {
        set("slow", true.into());
    }
    if let Some(who) = seen.who() {
        set("subject", who.subject.as_ref().into());
        set("client", who.asker.client.as_ref().into());
        if !who.asker.version.is_empty() {
            set("clientVersion", who.asker.version.as_ref().into());
        }
    }
    if let Some(operation) = seen.record.operation() {
        set("operation", operation.usage.operation.as_str().into());
        set("type", operation.kind.into());
        set("planned", (!operation.is_planned).into());
        set("cost", seen.record.cost().into());
    }
    if let Some(document) = seen.document() {
        set("document", document.hash.as_str().into());
    }
    if let Some(answer) = seen.answer() {
        set("outcome", answer.outcome.name().into());
        set("errorCount", answer.errors.into());
        if !answer.faults.is_empty() {
            set("errors", answer.faults.iter().map(fault).collect());
        }
    }
    if let Some(trace) = seen.record.trace() {
        set("trace", hex(&trace.id).into());
        set("span", hex(&trace.span).into());
    }
    let told = |wanted: fn(&Step) -> Option<Value>| -> Vec<Value> {
        steps.iter().filter_map(wanted).take(STEPS).collect()
    };
    for (name, steps) in [("calls", told(call)), ("tables", told(table))] {
        if !steps.is_empty() {
            set(name, steps.into());
        }
    }
    Value::Object(line)
}

fn fault(fault: &Fault) -> Value {
    let mut told = Map::new();
    told.insert("code".to_owned(), fault.code.as_ref().into());
    let more =
        [("owner", &fault.owner), ("source", &fault.source), ("reference", &fault.reference)];
    for (name, text) in more {
        if let Some(text) = text {
            told.insert(name.to_owned(), text.as_ref().into());
        }
    }
    Value::Object(told)
}

fn call(step: &Step) -> Option<Value> {
    let Work::Call(call) = &step.work else { return None };
    let mut told = json!({
        "source": call.source.as_ref(), "owner": call.owner.as_ref(), "batch": call.batch,
        "bytes": call.received, "millis": millis(step.took),
    });
    if let Some(code) = step.error {
        told["error"] = code.into();
    }
    Some(told)
}

fn table(step: &Step) -> Option<Value> {
    let (table, did, rows) = match &step.work {
        Work::Scan { table, rows } => (table, "scan", Some(rows)),
        Work::Write { table } => (table, "write", None),
        _ => return None,
    };
    let mut told = json!({"table": table.as_ref(), "did": did, "millis": millis(step.took)});
    if let Some(rows) = rows {
        told["rows"] = (*rows).into();
    }
    if let Some(code) = step.error {
        told["error"] = code.into();
    }
    Some(told)
}

/// Milliseconds with three digits behind the point.
fn millis(took: Duration) -> Value {
    (took.as_micros() as f64 / 1e3).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
