//! One attempt of a batch: what its requests make of the table as it is now, committed at once.
//!
//! ```text
//! requests → those made before | as the deployed schema says them → rows by format → one snapshot → answers
//! ```
//!
//! In: requests of one table, in their order. Out: a receipt or an error for each; an error of the whole when
//! another commit came first. Not here: queues and repetition (`group`), how a request changes rows (`overlay` of
//! Iceberg tables, `lance_table::changes`).

use std::collections::HashMap;
use std::sync::Arc;

use base::{Error, Kind, Result};
use frame::{WriteReceipt, WriteRequest};
use iceberg::spec::Operation;
use schema::TableFormat;

use super::super::CommitInfo;
use super::super::delta::Delta;
use super::super::locate::Found;
use super::super::overlay::Overlay;
use super::super::{positions, snapshot};
use super::receipt::{Earlier, earlier, forget_old, key_is_taken, receipt, taken_meanwhile};
use super::{Pending, copy};
use crate::catalog::Statement;
use crate::lake::{Lake, object_named};
use crate::lance_table::Changes;
use crate::successor;
use crate::table::Table;

/// What the attempts of one batch have found in data files, which never change.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The version of the schema and the columns by which it was found.
    by: (i64, i32),
    found: Found,
}

impl Known {
    /// What was found by these columns. Keys of another type have other hashes.
    fn of(&mut self, table: &Table) -> Result<&mut Found> {
        let by = (table.seen.deployed, table.iceberg()?.current_schema_id());
        if self.by != by {
            *self = Known { by, found: Found::new() };
        }
        Ok(&mut self.found)
    }
}

pub(super) async fn try_batch(
    lake: &Lake,
    batch: &[Pending],
    known: &mut Known,
) -> Result<Vec<Result<WriteReceipt>>> {
    let Some(first) = batch.first() else { return Ok(Vec::new()) };
    let table = match lake.table(&first.request.table).await {
        Ok(table) => table,
        // The version that the requests were made for is not served any more.
        Err(error) => return Ok(batch.iter().map(|_| Err(copy(&error))).collect()),
    };
    let (mut answers, fresh, twins) = replayed(lake, batch).await?;
    let newer = match successor::writer(lake, &table).await {
        Ok(newer) => newer,
        // This process cannot learn the deployed schema, and no repetition cures that.
        Err(error) => return Ok(batch.iter().map(|_| Err(copy(&error))).collect()),
    };
    let (lake, table, requests) = match &newer {
        None => {
            let same = |pending: &Pending| Ok(Arc::clone(&pending.request));
            (lake, table, batch.iter().map(same).collect::<Vec<Result<_>>>())
        }
        Some(newer) => {
            let say = |pending: &Pending| {
                successor::translated(lake, newer, &pending.request).map(Arc::new)
            };
            let requests: Vec<Result<Arc<WriteRequest>>> = batch.iter().map(say).collect();
            let Some(said) = requests.iter().find_map(|said| said.as_ref().ok()) else {
                return Ok(requests.into_iter().map(|said| said.and_then(|_| lost())).collect());
            };
            (newer, newer.table(&said.table).await?, requests)
        }
    };
    let asked = Asked { lake, table: &table, batch, requests: &requests, fresh: &fresh };
    let (id, made) = match table.format {
        TableFormat::Iceberg => asked.of_iceberg(known.of(&table)?, &mut answers).await?,
        TableFormat::Lance => asked.of_lance(&mut answers).await?,
    };
    for (index, rows) in made {
        answers[index] = Some(Ok(WriteReceipt { snapshot: id, rows, replayed: false }));
    }
    for (index, first) in twins {
        let same = batch[index].fingerprint == batch[first].fingerprint;
        answers[index] = Some(match &answers[first] {
            Some(Ok(receipt)) if same => Ok(WriteReceipt { replayed: true, ..receipt.clone() }),
            Some(Err(error)) if same => Err(copy(error)),
            _ => Err(key_is_taken(batch[index].request.idempotency_key.as_deref())),
        });
    }
    Ok(answers.into_iter().map(|answer| answer.unwrap_or_else(lost)).collect())
}

/// The requests of a batch, as the deployed schema says them.
struct Asked<'a> {
    lake: &'a Lake,
    table: &'a Arc<Table>,
    batch: &'a [Pending],
    requests: &'a [Result<Arc<WriteRequest>>],
    /// Those that are made now.
    fresh: &'a [usize],
}

/// Requests that were made, each with the rows that it touched.
type Made = Vec<(usize, u64)>;

impl Asked<'_> {
    /// Commits what the requests make of an Iceberg table; gives the snapshot.
    async fn of_iceberg(&self, found: &mut Found, answers: &mut Answers) -> Result<(i64, Made)> {
        let Asked { lake, table, batch, .. } = *self;
        let mut overlay = Overlay::new(lake, table, &self.wanted(), found).await?;
        let made = self.make(answers, |request| overlay.apply(request));
        let (delta, info) = delta_of(lake, table, overlay, &made, batch).await?;
        let written = snapshot::write(lake, table, delta, &info).await?;
        let id = written.snapshot.id;
        let receipts = self.receipts(&made, id);
        lake.publish(vec![written], &receipts).await.map_err(taken_meanwhile)?;
        Ok((id, made))
    }

    /// Likewise of a Lance table; gives the version.
    async fn of_lance(&self, answers: &mut Answers) -> Result<(i64, Made)> {
        let schema = self.lake.schema();
        let object = object_named(&schema, &self.table.type_name)?;
        let mut changes = Changes::new(self.lake, object, self.table, &self.wanted()).await?;
        let made = self.make(answers, |request| changes.apply(request));
        let (author, summary) = words(&made, self.batch);
        let receipts = |id: i64| self.receipts(&made, id);
        let id = changes.publish(&author, &summary, receipts).await?;
        Ok((id, made))
    }

    fn wanted(&self) -> Vec<Arc<WriteRequest>> {
        let requests = self.fresh.iter().map(|index| &self.requests[*index]);
        requests.filter_map(|request| request.as_ref().ok().map(Arc::clone)).collect()
    }

    /// Makes one request after the other; those that are refused are answered.
    fn make(
        &self,
        answers: &mut Answers,
        mut apply: impl FnMut(&WriteRequest) -> Result<u64>,
    ) -> Made {
        let mut made = Vec::new();
        for index in self.fresh {
            let said = self.requests[*index].as_ref().map_err(copy);
            match said.and_then(|request| apply(request)) {
                Ok(rows) => made.push((*index, rows)),
                Err(error) => answers[*index] = Some(Err(error)),
            }
        }
        made
    }

    /// The statements that remember what was made.
    fn receipts(&self, made: &[(usize, u64)], snapshot: i64) -> Vec<Statement> {
        let now = self.lake.config().clock.now();
        let remembered = made.iter().filter_map(|(index, rows)| {
            let pending = &self.batch[*index];
            let key = pending.request.idempotency_key.as_ref()?;
            Some(receipt(key, &pending.fingerprint, snapshot, *rows, now))
        });
        let mut receipts: Vec<Statement> = remembered.collect();
        if !receipts.is_empty() {
            receipts.insert(0, forget_old(now));
        }
        receipts
    }
}

/// Who made the requests, and what they are.
fn words(made: &[(usize, u64)], batch: &[Pending]) -> (String, String) {
    let mut authors: Vec<&str> =
        made.iter().map(|(index, _)| batch[*index].request.principal.subject.as_ref()).collect();
    authors.sort_unstable();
    authors.dedup();
    let summary = match made.len() {
        1 => "mutation".to_owned(),
        count => format!("{count} mutations"),
    };
    (authors.join(", "), summary)
}

fn lost() -> Result<WriteReceipt> {
    Err(Error::internal("a write was neither made nor refused"))
}

type Answers = Vec<Option<Result<WriteReceipt>>>;

/// Answers those whose idempotency key was used before; then the requests to make now, and those
/// that repeat an earlier one of the same batch, each with that one.
async fn replayed(
    lake: &Lake,
    batch: &[Pending],
) -> Result<(Answers, Vec<usize>, Vec<(usize, usize)>)> {
    let mut answers: Answers = Vec::with_capacity(batch.len());
    let (mut fresh, mut twins) = (Vec::new(), Vec::new());
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (index, pending) in batch.iter().enumerate() {
        answers.push(None);
        let Some(key) = pending.request.idempotency_key.as_deref() else {
            fresh.push(index);
            continue;
        };
        if let Some(first) = seen.get(key) {
            twins.push((index, *first));
            continue;
        }
        seen.insert(key, index);
        match earlier(lake, key, &pending.fingerprint).await {
            Ok(Some(Earlier { snapshot, rows })) => {
                answers[index] = Some(Ok(WriteReceipt { snapshot, rows, replayed: true }));
            }
            Ok(None) => fresh.push(index),
            Err(error) if error.kind() == Kind::Conflict => answers[index] = Some(Err(error)),
            Err(error) => return Err(error),
        }
    }
    Ok((answers, fresh, twins))
}

async fn delta_of(
    lake: &Lake,
    table: &Arc<Table>,
    overlay: Overlay<'_>,
    made: &[(usize, u64)],
    batch: &[Pending],
) -> Result<(Delta, CommitInfo)> {
    let mut delta = Delta::default();
    let (rows, gone) = overlay.finish()?;
    if !rows.is_empty() {
        let mut stage = lake.stage_for(table).await?;
        for batch in rows {
            stage.write_physical(batch).await?;
        }
        let staged = stage.finish().await?;
        delta.rows += staged.rows as i64;
        delta.made.extend(staged.data.iter().map(|file| file.file_path().to_owned()));
        delta.add_staged(&staged);
    }
    delta.operation = match (delta.add.is_empty(), gone.is_empty()) {
        (true, true) => None,
        (false, true) => Some(Operation::Append),
        (true, false) => Some(Operation::Delete),
        (false, false) => Some(Operation::Overwrite),
    };
    positions::delete(lake, table, gone, &mut delta).await?;
    let (author, summary) = words(made, batch);
    let info =
        CommitInfo { author: author.into(), summary: summary.into(), ..CommitInfo::default() };
    Ok((delta, info))
}
