//! What a victim set out to do and what it was told is done: lines of a file outside of the project.
//!
//! In: events of workers. Out: the same, read back after the victim died; a line that was cut off
//! counts as not written. A line reaches the file before the next step is taken, and a killed process
//! loses nothing of what the kernel has, so the file says at least what was acknowledged.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::bank::Rows;

/// What an operation does with the rows of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// Adds rows with new ids in one mutation.
    Insert,
    /// Sets rows in one mutation.
    Upsert,
    /// Removes rows in one mutation.
    Delete,
    /// Adds the rows of a file.
    ImportAppend,
    /// Sets the rows of a file.
    ImportUpsert,
    /// Puts the rows of a file in the place of all others.
    ImportReplace,
}

/// One operation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Operation {
    pub(crate) kind: Kind,
    pub(crate) type_name: String,
    /// Rows that come; of a deletion only the ids count.
    pub(crate) rows: Rows,
    /// The idempotency key of a mutation.
    pub(crate) key: Option<String>,
    /// The file of an import.
    pub(crate) file: Option<String>,
}

/// A line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Line {
    /// A worker is about to ask for this.
    Begin { worker: u64, operation: Operation },
    /// It was told that it is done, in this snapshot; 0 when there is none.
    Done { worker: u64, snapshot: i64 },
    /// Work that leaves rows alone was done: a compaction, an expiry, a clean-up.
    Tended { what: String },
    /// It was told that it is not done, which nothing in these suites explains.
    Failed { worker: u64, error: String },
}

/// The file while a victim writes to it.
#[derive(Debug)]
pub(crate) struct Diary {
    file: Mutex<File>,
    done: AtomicU64,
    /// Is told of each operation that is acknowledged.
    news: Notify,
    tended: AtomicU64,
}

impl Diary {
    /// Goes on with a file, or makes it.
    pub(crate) fn open(path: &Path) -> Result<Diary> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.with_context(|| format!("failed to open `{}`", path.display()))?;
        Ok(Diary {
            file: Mutex::new(file),
            done: AtomicU64::default(),
            news: Notify::new(),
            tended: AtomicU64::default(),
        })
    }

    /// Writes a line.
    pub(crate) fn write(&self, line: &Line) -> Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.file.lock().write_all(&text)?;
        let count = match line {
            Line::Done { .. } => &self.done,
            Line::Tended { .. } => &self.tended,
            _ => return Ok(()),
        };
        count.fetch_add(1, Ordering::SeqCst);
        self.news.notify_waiters();
        Ok(())
    }

    /// Waits until more operations were acknowledged than so many; gives how many were.
    pub(crate) async fn more_than(&self, known: u64) -> u64 {
        loop {
            let news = self.news.notified();
            let done = self.done();
            if done > known {
                return done;
            }
            news.await;
        }
    }

    /// How many operations were acknowledged.
    pub(crate) fn done(&self) -> u64 {
        self.done.load(Ordering::SeqCst)
    }

    /// How often a table was tended.
    pub(crate) fn tended(&self) -> u64 {
        self.tended.load(Ordering::SeqCst)
    }
}

/// All whole lines of a file; none when there is no file.
pub(crate) fn read(path: &Path) -> Result<Vec<Line>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    whole.map(|line| serde_json::from_str(line).context("a line of the diary")).collect()
}
