//! Turns batches of a type into data files that no snapshot refers to yet.
//!
//! ```text
//! batches → gathered → divide → runs by partition → sort → each in order, as one file → StagedFiles
//! ```
//!
//! In: batches in the shape of the type's columns (API names, types of the schema). Out:
//! [`StagedFiles`], durable but invisible. Rows are gathered up to a stated number of bytes and
//! written beside whatever the caller does next, some files at a time, so memory does not grow with
//! the input or with the number of partitions. Not here: making them visible (`commit`).

mod divide;
mod file;
mod repeats;
mod sort;

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::Array;
use arrow::record_batch::RecordBatch;
use base::task::Task;
use base::{Error, Kind, Result};
use futures::{StreamExt, TryStreamExt, stream};
use iceberg::spec::DataFile;
use schema::ObjectType;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::lake::{Lake, object_named};
use crate::layout::Layout;
use crate::shape;

/// Files that are written at the same time: more than cores, because each waits for the disk at its
/// end.
const FILES_AT_ONCE: usize = 4;

/// Files that are removed at the same time.
const REMOVED_AT_ONCE: usize = 8;

/// Files that are written and synced, and that `commit` can make visible; when it never does, the
/// orphan clean-up finds them.
#[derive(Clone, Debug, Default)]
pub struct StagedFiles {
    /// Iceberg data files, in the order in which their rows came.
    pub data: Vec<DataFile>,
    /// Iceberg position-delete files.
    pub deletes: Vec<DataFile>,
    /// Rows in `data`.
    pub rows: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// The schema that they were written with; a commit to a table that has another is refused.
    pub schema_id: i32,
    /// The partition spec that they were written with.
    pub spec_id: i32,
    /// Rows whose key came again later, where both were seen together: only the last is in `data`.
    pub duplicates: u64,
    /// One such key, as people read it.
    pub duplicate: Option<String>,
}

/// Writes batches of one type; see the module.
#[derive(Debug)]
pub struct StageWriter {
    lake: Lake,
    object: Arc<ObjectType>,
    layout: Arc<Layout>,
    gathered: Vec<RecordBatch>,
    gathered_bytes: usize,
    limit: usize,
    seen: u64,
    staged: StagedFiles,
    /// The files of the rows that were gathered before: when some are begun, of those before them
    /// the last few are being written still.
    writing: VecDeque<Task<Result<StagedFiles>>>,
    /// Whose turn it is to write, among writers that share their memory.
    turn: Arc<Semaphore>,
}

impl Lake {
    /// Starts writing files for a table of this type.
    pub async fn stage(&self, type_name: &str) -> Result<StageWriter> {
        let table = self.table(type_name).await?;
        self.stage_for(&table).await
    }

    /// Starts writing files for a table as it was read.
    pub(crate) async fn stage_for(&self, table: &crate::Table) -> Result<StageWriter> {
        let schema = self.schema();
        let object = object_named(&schema, &table.type_name)?;
        let layout = Layout::new(table.iceberg()?, &shape::key_columns(object)?)?;
        Ok(StageWriter::with_layout(self, object, layout))
    }
}

impl StageWriter {
    /// Writes files of a layout that the table may only get with the commit.
    pub(crate) fn with_layout(lake: &Lake, object: &ObjectType, layout: Layout) -> StageWriter {
        let staged = StagedFiles {
            schema_id: layout.schema.schema_id(),
            spec_id: layout.spec.spec_id(),
            ..StagedFiles::default()
        };
        // A fifth: as much again is being written, which needs some for sorting and encoding, and
        // the caller decodes meanwhile.
        let limit = usize::try_from(lake.config().limits.import_memory / 5).unwrap_or(usize::MAX);
        StageWriter {
            lake: lake.clone(),
            object: Arc::new(object.clone()),
            layout: Arc::new(layout),
            gathered: Vec::new(),
            gathered_bytes: 0,
            limit,
            seen: 0,
            staged,
            writing: VecDeque::new(),
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// Writes files only while no other writer of this turn does: one may gather rows while another's last ones
    /// are written, in the memory of one writer.
    pub(crate) fn in_turn(mut self, turn: Arc<Semaphore>) -> StageWriter {
        self.turn = turn;
        self
    }

    /// Adds rows: any of the type's stored fields by API name; those that the batch lacks are null.
    /// A required field without a value is refused with its row, counted from 1 over all batches.
    pub async fn write(&mut self, batch: RecordBatch) -> Result<()> {
        let physical = shape::to_physical(&self.object, &batch, &self.layout.arrow, self.seen)?;
        self.write_physical(physical).await
    }

    /// Adds rows in the form of the files.
    pub(crate) async fn write_physical(&mut self, batch: RecordBatch) -> Result<()> {
        self.seen += batch.num_rows() as u64;
        self.gathered_bytes += memory_of(&batch);
        self.gathered.push(batch);
        if self.gathered_bytes >= self.limit { self.flush().await } else { Ok(()) }
    }

    /// Rows that were given so far.
    pub fn rows(&self) -> u64 {
        self.seen
    }

    /// Writes what is left and gives the files.
    pub async fn finish(mut self) -> Result<StagedFiles> {
        let flushed = self.flush().await;
        match flushed.and(self.take_written(0).await) {
            Ok(()) => Ok(self.staged),
            Err(error) => {
                self.abort().await;
                Err(error)
            }
        }
    }

    /// Removes the files that were written.
    pub async fn abort(mut self) {
        while !self.writing.is_empty() {
            if let Err(error) = self.take_written(0).await {
                tracing::debug!(%error, "an aborted write had failed");
            }
        }
        self.lake.discard(&self.staged).await;
    }

    /// Begins to write the gathered rows, once the last file of those before them is begun.
    pub(crate) async fn flush(&mut self) -> Result<()> {
        let batches = std::mem::take(&mut self.gathered);
        self.gathered_bytes = 0;
        if batches.iter().all(|batch| batch.num_rows() == 0) {
            return Ok(());
        }
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        let turn = turn.map_err(|_| Error::internal("nobody gives the turn to write files"))?;
        self.take_written(1).await?;
        let (lake, layout) = (self.lake.clone(), Arc::clone(&self.layout));
        let work = write_gathered(lake, layout, Arc::clone(&self.object), batches, turn);
        self.writing.push_back(base::task::spawn("write data files", work));
        Ok(())
    }

    /// Waits for files that are being written, until only the last `most` writes are left.
    async fn take_written(&mut self, most: usize) -> Result<()> {
        while self.writing.len() > most {
            let Some(writing) = self.writing.pop_front() else { break };
            let written = writing.await??;
            self.staged.duplicates += written.duplicates;
            self.staged.duplicate = self.staged.duplicate.take().or(written.duplicate);
            self.staged.rows += written.rows;
            self.staged.bytes += written.bytes;
            self.staged.data.extend(written.data);
        }
        Ok(())
    }
}

/// Writes rows as sorted files, in the order of their partitions; all or none. The turn is over when
/// the last file is begun, so that no core waits for it.
async fn write_gathered(
    lake: Lake,
    layout: Arc<Layout>,
    object: Arc<ObjectType>,
    batches: Vec<RecordBatch>,
    turn: OwnedSemaphorePermit,
) -> Result<StagedFiles> {
    let shared = Arc::clone(&layout);
    let divided =
        base::task::blocking("divide rows", move || divide::divide(&shared, batches)).await??;
    let mut written = StagedFiles { duplicates: divided.duplicates, ..StagedFiles::default() };
    if let Some(row) = divided.duplicate {
        written.duplicate = Some(crate::keys::shown(&object, &layout.key_arrays(&row), 0)?);
    }
    let mut left = divided.runs.len();
    let mut turn = Some(turn);
    let write = |run: divide::Run| {
        left -= 1;
        if left == 0 {
            drop(turn.take());
        }
        let (lake, layout) = (lake.clone(), Arc::clone(&layout));
        base::task::on_a_thread("write a data file", async move {
            file::write(&lake, &layout, run).await
        })
    };
    let mut files = stream::iter(divided.runs).map(write).buffered(FILES_AT_ONCE);
    let mut failure = None;
    while let Some(file) = files.next().await {
        match file.and_then(|file| file) {
            Ok(file) => {
                written.rows += file.record_count();
                written.bytes += file.file_size_in_bytes();
                written.data.push(file);
            }
            // The others are waited for, so that nothing is left behind.
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    let Some(error) = failure else { return Ok(written) };
    lake.discard(&written).await;
    Err(error)
}

impl Lake {
    /// Removes staged files that will not be committed. A failure leaves orphans, which the
    /// clean-up finds, so it is only logged.
    pub async fn discard(&self, staged: &StagedFiles) {
        let files = staged.data.iter().chain(&staged.deletes);
        self.discard_locations(files.map(|file| file.file_path().to_owned()).collect()).await;
    }

    /// As `discard`, of any files. At the first one that cannot be removed the others stay too: the caller's
    /// request waits, and a store that is away would be waited for once more with each of them.
    pub(crate) async fn discard_locations(&self, locations: Vec<String>) {
        let remove = |location: String| async move {
            self.inner.io.delete(&location).await.map_err(|error| (location, error))
        };
        let locations = stream::iter(locations).map(Ok);
        if let Err((location, error)) =
            locations.try_for_each_concurrent(REMOVED_AT_ONCE, remove).await
        {
            tracing::warn!(location, %error, "failed to remove files that are not needed");
        }
    }

    pub(crate) async fn discard_location(&self, location: &str) {
        self.discard_locations(vec![location.to_owned()]).await;
    }
}

impl StagedFiles {
    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty() && self.deletes.is_empty()
    }

    /// Refuses files of another schema than the table's present one.
    pub(crate) fn check_schema(&self, table: &crate::Table) -> Result<()> {
        if self.is_empty() || self.schema_id == table.iceberg()?.current_schema_id() {
            return Ok(());
        }
        let text = format!("the columns of table `{}` were changed meanwhile", table.name);
        Err(Error::new(Kind::Stale, text).hint("repeat the command"))
    }
}

/// Bytes of the rows of a batch, not of the larger arrays that it may be a part of.
fn memory_of(batch: &RecordBatch) -> usize {
    let size = |column: &Arc<dyn Array>| {
        column.to_data().get_slice_memory_size().unwrap_or_else(|_| column.get_array_memory_size())
    };
    batch.columns().iter().map(size).sum()
}
