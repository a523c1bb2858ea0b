//! Writes the records that were left out to a file, with the reason beside each.
//!
//! In: [`Reject`]s in the order of the file. Out: JSON Lines when the file's name ends in `.jsonl`,
//! else CSV, with the columns `file, line, column, row, kind, reason, original`. The file is made
//! with the first of them; an import that goes on cuts off what no committed part vouches for.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use base::{Error, Result};
use serde_json::json;

use super::ImportRequest;
use super::journal::Part;
use crate::decode::{FaultKind, Reject};

/// The rejects of one import.
pub(super) struct Rejects {
    path: Option<PathBuf>,
    file: Option<BufWriter<File>>,
    length: u64,
    counts: BTreeMap<FaultKind, u64>,
}

impl Rejects {
    /// Takes up the file where the part left it, and what was counted until then.
    pub(super) async fn open(
        request: &ImportRequest,
        before: &Part,
        counts: BTreeMap<FaultKind, u64>,
    ) -> Result<Rejects> {
        let mut rejects = Rejects {
            path: request.rejects.clone(),
            file: None,
            length: before.rejects_bytes,
            counts,
        };
        if let Some(path) = &rejects.path {
            if rejects.length == 0 {
                remove(path)?;
            } else {
                rejects.file = Some(take_up(path, rejects.length)?);
            }
        }
        Ok(rejects)
    }

    /// Adds records.
    pub(super) fn write(&mut self, rejects: &[Reject]) -> Result<()> {
        for reject in rejects {
            *self.counts.entry(reject.kind).or_default() += 1;
        }
        let (Some(path), false) = (&self.path, rejects.is_empty()) else { return Ok(()) };
        let as_json = path.extension().is_some_and(|extension| extension == "jsonl");
        if self.file.is_none() {
            let file = File::create(path).map_err(|error| failed(path, error))?;
            self.file = Some(BufWriter::new(file));
            if !as_json {
                self.put("file,line,column,row,kind,reason,original\n")?;
            }
        }
        for reject in rejects {
            let line = if as_json { json_line(reject) } else { csv_line(reject) };
            self.put(&line)?;
        }
        Ok(())
    }

    /// Makes durable what was written; gives the length.
    pub(super) async fn sync(&mut self) -> Result<u64> {
        if let (Some(file), Some(path)) = (&mut self.file, &self.path) {
            file.flush().map_err(|error| failed(path, error))?;
            file.get_ref().sync_all().map_err(|error| failed(path, error))?;
        }
        Ok(self.length)
    }

    /// Counts by kind.
    pub(super) fn counts(&self) -> &BTreeMap<FaultKind, u64> {
        &self.counts
    }

    fn put(&mut self, text: &str) -> Result<()> {
        if let (Some(file), Some(path)) = (&mut self.file, &self.path) {
            file.write_all(text.as_bytes()).map_err(|error| failed(path, error))?;
            self.length += text.len() as u64;
        }
        Ok(())
    }
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(path, error)),
        _ => Ok(()),
    }
}

fn take_up(path: &Path, length: u64) -> Result<BufWriter<File>> {
    let opened = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    let mut file = opened.map_err(|error| failed(path, error))?;
    file.set_len(length).map_err(|error| failed(path, error))?;
    file.seek(SeekFrom::Start(length)).map_err(|error| failed(path, error))?;
    Ok(BufWriter::new(file))
}

fn failed(path: &Path, error: std::io::Error) -> Error {
    Error::from(error).context(format!("failed to write rejected rows to `{}`", path.display()))
}

fn json_line(reject: &Reject) -> String {
    let line = json!({
        "file": reject.place.file,
        "line": reject.place.line,
        "column": reject.place.column,
        "row": reject.row,
        "kind": reject.kind.as_str(),
        "reason": reject.reason,
        "original": reject.original,
    });
    format!("{line}\n")
}

fn csv_line(reject: &Reject) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    format!(
        "{},{},{},{},{},{},{}\n",
        quoted(&reject.place.file),
        reject.place.line,
        reject.place.column,
        reject.row,
        reject.kind,
        quoted(&reject.reason),
        quoted(&reject.original),
    )
}
