//! What became of an Iceberg table between two of its states: which rows of which files came, and which
//! went.
//!
//! In: the files of the earlier state, as they were then, and the content of the later one. Out: parts,
//! each rows of one file. Rows that a compaction moves both come and go. Not here: what is done with
//! them (`key`, `format`, `query::changes`).

use std::collections::{BTreeMap, BTreeSet};

use base::Result;

use crate::files::{Content, LiveFile};
use crate::lake::Lake;
use crate::read::RowsWanted;

/// The files of a state, by location.
pub(crate) type State = BTreeMap<String, LiveFile>;

/// Rows of one file.
pub(crate) struct Part {
    pub(crate) file: LiveFile,
    pub(crate) rows: RowsWanted,
    /// How many they are.
    pub(crate) count: u64,
}

/// What became of a table.
#[derive(Default)]
pub(crate) struct Since {
    pub(crate) came: Vec<Part>,
    pub(crate) went: Vec<Part>,
}

/// The files of a state.
pub(crate) fn state(content: &Content) -> State {
    content.data.iter().map(|file| (file.path().to_owned(), file.clone())).collect()
}

/// Compares two states.
pub(crate) async fn since(lake: &Lake, before: &State, now: &Content) -> Result<Since> {
    let mut since = Since::default();
    let mut present = BTreeSet::new();
    for file in &now.data {
        present.insert(file.path());
        match before.get(file.path()) {
            None => since.came.push(live(lake, file).await?),
            Some(known) if deletes(known) == deletes(file) => {}
            Some(known) => since.changed(lake, known, file).await?,
        }
    }
    for (path, file) in before {
        if !present.contains(path.as_str()) {
            since.went.push(live(lake, file).await?);
        }
    }
    Ok(since)
}

impl Since {
    async fn changed(&mut self, lake: &Lake, known: &LiveFile, file: &LiveFile) -> Result<()> {
        let (before, now) = (lake.files().deleted(known).await?, lake.files().deleted(file).await?);
        self.went.extend(only(file, &now, &before));
        // A rollback takes deletions back.
        self.came.extend(only(file, &before, &now));
        Ok(())
    }

    /// Rows that went.
    pub(crate) fn gone(&self) -> u64 {
        self.went.iter().map(|part| part.count).sum()
    }

    /// Rows that came or went.
    pub(crate) fn rows(&self) -> u64 {
        self.gone() + self.came.iter().map(|part| part.count).sum::<u64>()
    }
}

async fn live(lake: &Lake, file: &LiveFile) -> Result<Part> {
    let gone = lake.files().deleted(file).await?;
    let count = file.data().record_count().saturating_sub(gone.len() as u64);
    Ok(Part { file: file.clone(), rows: RowsWanted::Except(gone), count })
}

/// The rows of `of` that are not in `not`; both are sorted.
fn only(file: &LiveFile, of: &[u64], not: &[u64]) -> Option<Part> {
    let rows: Vec<u64> = of.iter().copied().filter(|row| not.binary_search(row).is_err()).collect();
    let count = rows.len() as u64;
    let part = Part { file: file.clone(), rows: RowsWanted::Only(rows), count };
    (count > 0).then_some(part)
}

fn deletes(file: &LiveFile) -> BTreeSet<&str> {
    file.deletes.iter().map(|delete| delete.file_path()).collect()
}
