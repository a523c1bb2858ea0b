//! Which rows there must be after a crash.
//!
//! In: the rows before, what the diary says, and the rows that were found. Out: the rows from now on,
//! and what became of each operation that was not acknowledged: it is there whole or not at all, of
//! an import up to the part that its journal names; or an error that says what is lost, doubled or
//! half there. Not here: reading rows (`bank`), making up for what is missing (`verdict`).

use std::collections::BTreeMap;

use anyhow::{Result, bail, ensure};

use super::bank::TYPES;
use super::diary::{Kind, Line, Operation};

/// Marks by id.
pub(crate) type Rows = BTreeMap<String, i64>;

/// The rows of all types.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model(BTreeMap<String, Rows>);

/// What a victim was told and not told.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// Acknowledged operations in their order, with their snapshots.
    pub(crate) done: Vec<(Operation, i64)>,
    /// Operations without an answer, at most one a worker.
    pub(crate) pending: Vec<Operation>,
    /// How often tables were tended.
    pub(crate) tended: u64,
}

/// What became of an operation without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing of it is there.
    Absent,
    /// This many rows of it, which are not all: the committed parts of an import.
    Partly(usize),
    /// All of it.
    Whole,
}

impl Said {
    /// Sorts the lines of a diary.
    pub(crate) fn of(lines: Vec<Line>) -> Result<Said> {
        let mut said = Said::default();
        let mut begun: BTreeMap<u64, Operation> = BTreeMap::new();
        for line in lines {
            match line {
                Line::Begin { worker, operation } => {
                    begun.insert(worker, operation);
                }
                Line::Done { worker, snapshot } => match begun.remove(&worker) {
                    Some(operation) => said.done.push((operation, snapshot)),
                    None => bail!("worker {worker} ended what it had not begun"),
                },
                Line::Tended { .. } => said.tended += 1,
                Line::Failed { worker, error } => bail!("worker {worker} failed: {error}"),
            }
        }
        said.pending = begun.into_values().collect();
        Ok(said)
    }
}

impl Model {
    /// The rows of a type.
    pub(crate) fn rows(&self, type_name: &str) -> Rows {
        self.0.get(type_name).cloned().unwrap_or_default()
    }

    /// Carries an operation out.
    pub(crate) fn apply(&mut self, operation: &Operation) {
        self.apply_first(operation, operation.rows.len());
    }

    /// Carries out what an operation does with the first rows of it.
    fn apply_first(&mut self, operation: &Operation, count: usize) {
        let rows = self.0.entry(operation.type_name.clone()).or_default();
        if operation.kind == Kind::ImportReplace {
            rows.clear();
        }
        for (id, mark) in &operation.rows[..count] {
            match operation.kind {
                Kind::Delete => rows.remove(id),
                _ => rows.insert(id.clone(), *mark),
            };
        }
    }

    /// Takes over what was acknowledged, and finds out from the rows that are there what became of the
    /// rest. `parts` says up to which row of its file an import's journal says that it is committed.
    pub(crate) fn settle(
        &mut self,
        said: &Said,
        found: &BTreeMap<String, Rows>,
        parts: &BTreeMap<String, usize>,
    ) -> Result<Vec<(Operation, Fate)>> {
        said.done.iter().for_each(|(operation, _)| self.apply(operation));
        let mut fates = Vec::new();
        for operation in &said.pending {
            let there = found.get(&operation.type_name).cloned().unwrap_or_default();
            let part = operation.file.as_ref().and_then(|file| parts.get(file)).copied();
            let fate = self.fate(operation, &there, part)?;
            match fate {
                Fate::Absent => {}
                Fate::Partly(count) => self.apply_first(operation, count),
                Fate::Whole => self.apply(operation),
            }
            fates.push((operation.clone(), fate));
        }
        for type_name in TYPES {
            let there = found.get(type_name).cloned().unwrap_or_default();
            same(type_name, &self.rows(type_name), &there)?;
        }
        Ok(fates)
    }

    fn fate(&self, operation: &Operation, there: &Rows, part: Option<usize>) -> Result<Fate> {
        let all = operation.rows.len();
        let mut counts = vec![(0, Fate::Absent), (all, Fate::Whole)];
        counts.extend(part.filter(|part| *part < all).map(|part| (part, Fate::Partly(part))));
        for (count, fate) in counts {
            let mut model = self.clone();
            if count > 0 {
                model.apply_first(operation, count);
            }
            if agrees(operation, &model.rows(&operation.type_name), there) {
                return Ok(fate);
            }
        }
        bail!(
            "an operation without an answer is half there: {:?} of {} rows of `{}`, journal at {part:?}",
            operation.kind,
            all,
            operation.type_name
        )
    }
}

/// Whether the rows that an operation touches are as the model says.
fn agrees(operation: &Operation, expected: &Rows, there: &Rows) -> bool {
    if operation.kind == Kind::ImportReplace {
        return expected == there;
    }
    operation.rows.iter().all(|(id, _)| expected.get(id) == there.get(id))
}

/// An error that names some of the rows that differ.
pub(crate) fn same(type_name: &str, expected: &Rows, there: &Rows) -> Result<()> {
    let lost: Vec<_> = expected.iter().filter(|(id, _)| !there.contains_key(*id)).collect();
    let extra: Vec<_> = there.iter().filter(|(id, _)| !expected.contains_key(*id)).collect();
    let other: Vec<_> = expected
        .iter()
        .filter_map(|(id, mark)| Some((id, mark, there.get(id)?)))
        .filter(|(_, mark, is)| mark != is)
        .collect();
    ensure!(
        lost.is_empty() && extra.is_empty() && other.is_empty(),
        "`{type_name}`: {} rows are lost {:?}, {} should not be there {:?}, {} differ {:?}",
        lost.len(),
        lost.iter().take(3).collect::<Vec<_>>(),
        extra.len(),
        extra.iter().take(3).collect::<Vec<_>>(),
        other.len(),
        other.iter().take(3).collect::<Vec<_>>()
    );
    Ok(())
}
