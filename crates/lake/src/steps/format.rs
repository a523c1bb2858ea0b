//! Moves a type between formats: its rows are copied into the other one, while they change.
//!
//! ```text
//! all rows of a state → what came and went since → … → the same, held → where the table's rows are
//! ```
//!
//! In: a table and the new schema. Out: a copy that nobody sees, as of a state of the table; done again,
//! what became of the table since is made of the copy too, by key. So the last time, while writers
//! wait, little is copied. Rows go through the API's names, which both formats share. The table keeps
//! its id, and with it its media and vectors. A copy that is not finished is begun anew by the next
//! apply, and the clean-up finds what is left of it. Not here: which formats offer what
//! (`lance_table::refuse`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::RecordBatch;
use base::{Error, Kind, Result};
use frame::Value;
use futures::TryStreamExt;
use iceberg::spec::Operation;
use schema::{ObjectType, TableFormat};
use tokio::time::Instant;

use super::fill::HELD_ROWS;
use super::since::{self, Part, Since, State};
use super::switch::{Made, names_of};
use super::{Context, create, info};
use crate::binding::Binding;
use crate::catalog::Swap;
use crate::commit::delta::Delta;
use crate::commit::locate::{self, Wants};
use crate::commit::positions::{self, Gone};
use crate::commit::snapshot;
use crate::keys;
use crate::lance_table::{Filling, Since as LanceSince};
use crate::layout::Layout;
use crate::read::{self, Wanted};
use crate::shape;
use crate::stage::{StageWriter, StagedFiles};
use crate::table::Table;

/// Times that a copy catches up before writers must wait for the rest, however much that is.
const ROUNDS: u32 = 8;
/// Rows that are copied while writers wait, unless a copy gave way to them [`ROUNDS`] times.
const MOST_HELD: u64 = 2 * HELD_ROWS;
/// The version of a copy that gave way: no table has it.
const BEHIND: i64 = -1;
/// Bytes of rows that are written at once.
const UNIT_BYTES: usize = 64 << 20;
/// Of so many rows, one may go before a copy is begun anew.
const FEW: u64 = 4;

/// A copy of a table's rows, as of a version of the table.
#[derive(Debug)]
pub(crate) struct Copied {
    version: i64,
    rows: u64,
    to: To,
}

/// Where a copy is.
#[derive(Debug)]
enum To {
    Lance { of: State, filling: Filling },
    Iceberg(Box<Staged>),
}

/// A copy in data files of an Iceberg table that does not exist yet.
#[derive(Debug)]
struct Staged {
    /// The version of the Lance table that was copied.
    of: u64,
    empty: Table,
    files: Vec<StagedFiles>,
    gone: BTreeMap<String, Gone>,
}

/// Copies the rows, or what became of them since they were copied; with `all`, under a hold.
pub(super) async fn copy(context: &Context<'_>, type_name: &str, all: bool) -> Result<()> {
    let object = context.after(type_name)?;
    let wanted = shape::table_spec(object)?.format;
    for round in 0.. {
        let table = context.table_of(type_name).await?;
        if table.format == wanted {
            return Ok(());
        }
        let known = context.control.done.copies.lock().remove(type_name);
        let work = Work { context, object, table: &table, all };
        let began = Instant::now();
        let (mut copied, rows) = match wanted {
            TableFormat::Lance => work.to_lance(known).await?,
            TableFormat::Iceberg => work.to_iceberg(known).await?,
        };
        let millis = began.elapsed().as_millis() as u64;
        tracing::info!(type_name, round, rows, millis, held = all, "copied");
        let is_last = all || rows <= HELD_ROWS || round >= ROUNDS;
        if let (To::Lance { filling, .. }, true) = (&mut copied.to, is_last && !all) {
            filling.index(context.lake, object, &table).await?;
        }
        let is_behind = copied.version == BEHIND;
        context.control.done.copies.lock().insert(type_name.to_owned(), copied);
        if is_behind {
            let text = format!("{rows} rows came or went before writers had to wait");
            return Err(Error::new(Kind::Conflict, text));
        }
        if is_last {
            break;
        }
    }
    Ok(())
}

/// Gives the swap to the copy.
pub(super) async fn change(
    context: &Context<'_>,
    type_name: &str,
    table: &Arc<Table>,
    made: &mut Made,
) -> Result<(Option<Swap>, Binding)> {
    let object = context.after(type_name)?;
    let copied = context.control.done.copies.lock().remove(type_name);
    let Some(copied) = copied.filter(|copied| copied.version == table.version) else {
        let text = format!("table `{}` was changed after its rows were copied", table.name);
        return Err(Error::new(Kind::Conflict, text));
    };
    let binding = Binding { names: names_of(context, table)?, ..Binding::default() };
    let swap = match &copied.to {
        To::Lance { filling, .. } => {
            let finished = filling.clone().finish(context.lake, object, table).await?;
            let (location, version, statements) = finished;
            made.turn.also.extend(statements);
            let mut swap = Swap::metadata(table, location);
            swap.lance_version = version;
            swap.format = TableFormat::Lance;
            swap
        }
        To::Iceberg(staged) => publish(context, table, staged, copied.rows, made).await?,
    };
    // Kept for another attempt, when this one is not the last.
    context.control.done.copies.lock().insert(type_name.to_owned(), copied);
    Ok((Some(swap), binding))
}

/// One round of a copy.
struct Work<'a> {
    context: &'a Context<'a>,
    object: &'a ObjectType,
    table: &'a Arc<Table>,
    all: bool,
}

impl Work<'_> {
    async fn to_lance(&self, known: Option<Copied>) -> Result<(Copied, u64)> {
        let (lake, table) = (self.context.lake, self.table);
        let metadata = table.iceberg()?;
        let snapshot = metadata.current_snapshot().map(|snapshot| snapshot.as_ref());
        let content = lake.files().content(metadata, snapshot).await?;
        let (mut of, mut filling, mut rows) = match known {
            Some(Copied { to: To::Lance { of, filling }, rows, .. }) => (of, filling, rows),
            _ => (State::new(), Filling::begin(lake, table).await?, 0),
        };
        let mut since = since::since(lake, &of, &content).await?;
        if self.gives_way(since.rows()) {
            let to = To::Lance { of, filling };
            return Ok((Copied { version: BEHIND, rows, to }, since.rows()));
        }
        if !self.may_follow(since.gone(), rows)? {
            filling.clear();
            (of, rows) = (State::new(), 0);
            since = since::since(lake, &of, &content).await?;
        }
        let touched = since.rows();
        let gone = self.keys_of(&since).await?;
        filling.remove(lake, self.object, table, &gone).await?;
        let came = self.append(&since, &mut filling).await?;
        rows = (rows + came).saturating_sub(since.gone());
        of = since::state(&content);
        Ok((Copied { version: table.version, rows, to: To::Lance { of, filling } }, touched))
    }

    /// Whether writers would wait for long: a compaction, say, moved many rows just before the hold. Then
    /// the copy gives way to them and catches up while they go on, unless it did so often enough.
    fn gives_way(&self, rows: u64) -> bool {
        let gave_way = &self.context.control.done.gave_way;
        let gives = self.all && rows > MOST_HELD && gave_way.load(Ordering::Relaxed) < ROUNDS;
        if gives {
            gave_way.fetch_add(1, Ordering::Relaxed);
        }
        gives
    }

    /// Whether a copy can follow a table that lost so many rows.
    fn may_follow(&self, gone: u64, rows: u64) -> Result<bool> {
        let has_key = !shape::key_columns(self.object)?.is_empty();
        Ok(gone == 0 || (has_key && gone <= rows / FEW + HELD_ROWS))
    }

    /// Keys of the rows that went.
    async fn keys_of(&self, since: &Since) -> Result<Vec<Vec<Value>>> {
        let mut found = Vec::new();
        if since.went.is_empty() {
            return Ok(found);
        }
        let layout = Layout::new(self.table.iceberg()?, &shape::key_columns(self.object)?)?;
        let (columns, places) = layout.key_in_files();
        let types = keys::types(self.object)?;
        for part in &since.went {
            let wanted = Wanted::columns(&layout.arrow, &columns, part.rows.clone())?;
            let rows = read::read_all(self.context.lake.files(), part.file.data(), wanted).await?;
            for row in 0..rows.num_rows() {
                let value = |(place, data_type): (&usize, &frame::DataType)| {
                    frame::convert::value_at(rows.column(*place), row, data_type)
                };
                found.push(places.iter().zip(&types).map(value).collect::<Result<Vec<_>>>()?);
            }
        }
        Ok(found)
    }

    /// Appends the rows that came, in units.
    async fn append(&self, since: &Since, filling: &mut Filling) -> Result<u64> {
        let layout = Layout::new(self.table.iceberg()?, &[])?;
        let all: Vec<usize> = (0..layout.arrow.fields().len()).collect();
        let of: u64 = since.came.iter().map(|part| part.count).sum();
        let (mut unit, mut done) = (Unit::default(), 0);
        for Part { file, rows, .. } in &since.came {
            let wanted = Wanted::columns(&layout.arrow, &all, rows.clone())?;
            let mut reading = read::read(self.context.lake.files(), file.data(), wanted).await?;
            while let Some((batch, _)) = reading.next().await? {
                unit.add(shape::api_batch(self.object, &batch)?);
                if unit.is_full(self.context.control.unit_rows) {
                    done += self.write(&mut unit, filling).await?;
                    self.context.progress(done, of);
                }
            }
        }
        done += self.write(&mut unit, filling).await?;
        self.context.progress(done, of);
        Ok(done)
    }

    async fn write(&self, unit: &mut Unit, filling: &mut Filling) -> Result<u64> {
        let Unit { batches, rows, .. } = std::mem::take(unit);
        if rows > 0 {
            filling.append(self.context.lake, self.object, self.table, &batches).await?;
            self.between(rows).await?;
        }
        Ok(rows)
    }

    async fn between(&self, rows: u64) -> Result<()> {
        // Who holds the table neither rests nor pauses: writers wait.
        if self.all { Ok(()) } else { (self.context.control.between)(rows).await }
    }

    async fn to_iceberg(&self, known: Option<Copied>) -> Result<(Copied, u64)> {
        let (lake, table) = (self.context.lake, self.table);
        let (mut staged, mut rows) = match known {
            Some(Copied { to: To::Iceberg(staged), rows, .. }) => (staged, rows),
            _ => (Box::new(self.nothing().await?), 0),
        };
        let version = table.version;
        if table.lance_version == staged.of {
            return Ok((Copied { version, rows, to: To::Iceberg(staged) }, 0));
        }
        let since = LanceSince::of(lake, table, staged.of).await?;
        let much = since.as_ref().map_or(u64::MAX, |since| since.gone() + since.new_rows());
        if self.gives_way(much) {
            return Ok((Copied { version: BEHIND, rows, to: To::Iceberg(staged) }, much));
        }
        let since = match since {
            Some(since) if self.may_follow(since.gone(), rows)? => since,
            _ => {
                self.discard(&staged).await;
                (*staged, rows) = (self.nothing().await?, 0);
                let all = LanceSince::of(lake, table, 0).await?;
                all.ok_or_else(|| Error::internal("all rows of a Lance table are unknown"))?
            }
        };
        let gone = self.remove(&mut staged, &since).await?;
        let came = self.stage(&mut staged, &since).await?;
        rows = (rows + came).saturating_sub(gone);
        staged.of = table.lance_version;
        Ok((Copied { version, rows, to: To::Iceberg(staged) }, came + gone))
    }

    async fn nothing(&self) -> Result<Staged> {
        let context = self.context;
        let mut empty =
            create::empty(context.lake, context.new, self.object, TableFormat::Iceberg).await?;
        empty.id = self.table.id;
        Ok(Staged { of: 0, empty, files: Vec::new(), gone: BTreeMap::new() })
    }

    async fn discard(&self, staged: &Staged) {
        for files in &staged.files {
            self.context.lake.discard(files).await;
        }
    }

    /// Deletes rows that went from the files that are staged.
    async fn remove(&self, staged: &mut Staged, since: &LanceSince) -> Result<u64> {
        let found = since.keys(self.object).await?;
        if found.is_empty() {
            return Ok(0);
        }
        let layout = Layout::new(staged.empty.iceberg()?, &shape::key_columns(self.object)?)?;
        let wants = Wants::of_columns(&layout, keys::arrays_of(self.object, &found)?)?;
        for files in &staged.files {
            let lake = self.context.lake;
            for gone in locate::in_staged(lake.files(), &layout, files, &wants).await? {
                match staged.gone.get_mut(&gone.path) {
                    Some(known) => {
                        known.rows.extend(gone.rows);
                        known.rows.sort_unstable();
                        known.rows.dedup();
                    }
                    None => {
                        staged.gone.insert(gone.path.clone(), gone);
                    }
                }
            }
        }
        Ok(found.len() as u64)
    }

    /// Stages the rows that came, in units.
    async fn stage(&self, staged: &mut Staged, since: &LanceSince) -> Result<u64> {
        if !since.has_come() {
            return Ok(0);
        }
        let key = shape::key_columns(self.object)?;
        let metadata = Arc::clone(staged.empty.iceberg()?);
        let layout = Layout::new(&metadata, &key)?;
        let mut stage = StageWriter::with_layout(self.context.lake, self.object, layout);
        let (mut done, mut unit) = (0, 0);
        let mut stream = Box::pin(since.came(self.object).await?);
        while let Some(batch) = stream.try_next().await? {
            unit += batch.num_rows() as u64;
            stage.write(batch).await?;
            if unit >= self.context.control.unit_rows {
                done += unit;
                self.context.progress(done, 0);
                self.between(std::mem::take(&mut unit)).await?;
            }
        }
        staged.files.push(stage.finish().await?);
        Ok(done + unit)
    }
}

/// Rows that are written at once.
#[derive(Default)]
struct Unit {
    batches: Vec<RecordBatch>,
    rows: u64,
    bytes: usize,
}

impl Unit {
    fn add(&mut self, batch: RecordBatch) {
        self.rows += batch.num_rows() as u64;
        self.bytes += batch.get_array_memory_size();
        self.batches.push(batch);
    }

    fn is_full(&self, rows: u64) -> bool {
        self.rows >= rows || self.bytes >= UNIT_BYTES
    }
}

/// Makes the staged files the content of an Iceberg table.
async fn publish(
    context: &Context<'_>,
    table: &Arc<Table>,
    staged: &Staged,
    rows: u64,
    made: &mut Made,
) -> Result<Swap> {
    let mut empty = staged.empty.clone();
    empty.version = table.version;
    let mut delta = Delta::default();
    for files in &staged.files {
        delta.add_staged(files);
    }
    delta.operation = (!delta.add.is_empty()).then_some(Operation::Append);
    let gone = staged.gone.values().cloned().collect();
    positions::delete(context.lake, &empty, gone, &mut delta).await?;
    delta.rows = i64::try_from(rows).unwrap_or(i64::MAX);
    let empty = Arc::new(empty);
    let mut written = snapshot::write(context.lake, &empty, delta, &info()).await?;
    let location = match written.swap.take() {
        Some(swap) => swap.metadata_location,
        None => Arc::clone(&empty.metadata_location),
    };
    made.written.push(written);
    let mut swap = Swap::metadata(table, location);
    swap.lance_version = 0;
    swap.format = TableFormat::Iceberg;
    Ok(swap)
}
