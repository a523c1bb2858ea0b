//! What is asked in a scenario, and whether an answer is right.
//!
//! In: the scenario's requests and what knows their answers. Out: bodies by number, verdicts. Answers are
//! compared as JSON: order of keys and `1` beside `1.0` are alike. Not here: connections, time.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::Value;

/// The body of the request with a number.
pub(crate) type Ask = Box<dyn Fn(u64) -> Bytes + Send + Sync>;
/// The right `data` of the answer to a body.
pub(crate) type Truth = Box<dyn Fn(&Bytes) -> Result<Value> + Send + Sync>;

/// Of answers that hold what differs each time, one in so many is read.
const READ_ONE_IN: u64 = 16;
/// So many are read before that.
const READ_FIRST: u64 = 64;
/// Right answers that are kept to be recognised by their bytes.
const RECOGNISED: usize = 4;

/// Requests with their answers.
pub(crate) struct Work {
    ask: Ask,
    truth: Truth,
    /// Whether every request is the same.
    alike: bool,
    /// Whether a source fails, so that an answer has errors beside its data.
    partial: bool,
    next: AtomicU64,
    read: AtomicU64,
    right: Mutex<Vec<Bytes>>,
}

impl Work {
    /// The same request each time.
    pub(crate) fn alike(body: Bytes, truth: Truth) -> Work {
        Work::over(Box::new(move |_| body.clone()), truth, true)
    }

    /// Another request each time.
    pub(crate) fn various(ask: Ask, truth: Truth) -> Work {
        Work::over(ask, truth, false)
    }

    fn over(ask: Ask, truth: Truth, alike: bool) -> Work {
        let (next, read) = (AtomicU64::new(0), AtomicU64::new(0));
        Work { ask, truth, alike, partial: false, next, read, right: Mutex::default() }
    }

    /// The same, where a source fails.
    #[must_use]
    pub(crate) fn partial(mut self) -> Work {
        self.partial = true;
        self
    }

    /// A request that nobody asked before, with its number.
    pub(crate) fn next(&self) -> (u64, Bytes) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number, (self.ask)(number))
    }

    /// Checks an answer.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn check(&self, body: &Bytes, status: u16, answer: &Bytes) -> Result<()> {
        if self.alike && self.right.lock().contains(answer) {
            return Ok(());
        }
        ensure!(status == 200, "status {status}: {}", beginning(answer));
        let read = self.read.fetch_add(1, Ordering::Relaxed);
        if self.partial && read > READ_FIRST && !read.is_multiple_of(READ_ONE_IN) {
            return Ok(());
        }
        self.compare(body, answer)?;
        let mut right = self.right.lock();
        if self.alike && right.len() < RECOGNISED {
            right.push(answer.clone());
        }
        Ok(())
    }

    fn compare(&self, body: &Bytes, answer: &Bytes) -> Result<()> {
        let found: Value = serde_json::from_slice(answer)
            .with_context(|| format!("an answer is not JSON: {}", beginning(answer)))?;
        let failed = found.get("errors").is_some();
        ensure!(failed == self.partial, "errors are not as expected: {}", beginning(answer));
        let right = (self.truth)(body)?;
        let data = found.get("data").unwrap_or(&Value::Null);
        match difference(data, &right, &mut String::from("data")) {
            None => Ok(()),
            Some(difference) => bail!("a wrong answer: {difference}"),
        }
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Work").field("alike", &self.alike).finish_non_exhaustive()
    }
}

/// The first place at which two values differ.
fn difference(found: &Value, right: &Value, path: &mut String) -> Option<String> {
    let depth = path.len();
    match (found, right) {
        (Value::Object(left), Value::Object(wanted)) if left.len() == wanted.len() => {
            for (name, wanted) in wanted {
                path.push_str(&format!(".{name}"));
                let found = left.get(name).unwrap_or(&Value::Null);
                if let Some(difference) = difference(found, wanted, path) {
                    return Some(difference);
                }
                path.truncate(depth);
            }
            None
        }
        (Value::Array(left), Value::Array(wanted)) if left.len() == wanted.len() => {
            for (index, (found, wanted)) in left.iter().zip(wanted).enumerate() {
                path.push_str(&format!("[{index}]"));
                if let Some(difference) = difference(found, wanted, path) {
                    return Some(difference);
                }
                path.truncate(depth);
            }
            None
        }
        (Value::Number(left), Value::Number(wanted)) if left.as_f64() == wanted.as_f64() => None,
        _ if found == right => None,
        _ => Some(format!("`{path}` is {}, not {}", short(found), short(right))),
    }
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(120).collect()
}

fn beginning(answer: &[u8]) -> String {
    String::from_utf8_lossy(answer).chars().take(300).collect()
}
