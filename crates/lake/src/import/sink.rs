//! Where the rows of a part wait for their commit: staged files of an Iceberg table, or rows in
//! memory for a Lance table, whose parts are small for that reason.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use base::size::format_bytes;
use base::{Error, Kind, Result};
use schema::TableFormat;
use tokio::sync::Semaphore;

use super::ImportMode;
use crate::Lake;
use crate::commit::{Change, CommitInfo, TableChange};
use crate::lance_table;
use crate::stage::{StageWriter, StagedFiles};

/// Bytes of a part of a Lance table.
const ROWS_BYTES: usize = 32 << 20;
/// Bytes that may replace all rows of a Lance table, which is one part.
const REPLACED_BYTES: usize = 128 << 20;

/// A part that is being gathered.
pub(super) enum Sink {
    Files(Box<StageWriter>),
    Rows { batches: Vec<RecordBatch>, bytes: usize },
}

/// A part that is ready to be committed.
pub(super) enum Staged {
    Files(StagedFiles),
    Rows(Vec<RecordBatch>),
}

impl Sink {
    /// A sink of the next part; the parts of one import write their files in turn.
    pub(super) async fn open(lake: &Lake, type_name: &str, turn: &Arc<Semaphore>) -> Result<Sink> {
        match lake.table(type_name).await?.format {
            TableFormat::Iceberg => {
                let writer = lake.stage(type_name).await?;
                Ok(Sink::Files(Box::new(writer.in_turn(Arc::clone(turn)))))
            }
            TableFormat::Lance => Ok(Sink::Rows { batches: Vec::new(), bytes: 0 }),
        }
    }

    pub(super) async fn write(&mut self, batch: RecordBatch, mode: ImportMode) -> Result<()> {
        match self {
            Sink::Files(writer) => writer.write(batch).await,
            Sink::Rows { batches, bytes } => {
                *bytes += batch.get_array_memory_size();
                batches.push(batch);
                if mode == ImportMode::Replace && *bytes > REPLACED_BYTES {
                    let most = format_bytes(REPLACED_BYTES as u64);
                    let text = format!("more than {most} cannot replace a Lance table at once");
                    return Err(Error::new(Kind::LimitExceeded, text)
                        .hint("delete the rows, and import with `--mode append`"));
                }
                Ok(())
            }
        }
    }

    /// Whether the part must end here; a replacement is one part.
    pub(super) fn is_full(&self, mode: ImportMode) -> bool {
        match self {
            Sink::Files(_) => false,
            Sink::Rows { bytes, .. } => mode != ImportMode::Replace && *bytes >= ROWS_BYTES,
        }
    }

    /// No more rows come: the last ones are being written when this returns.
    pub(super) async fn close(&mut self) -> Result<()> {
        match self {
            Sink::Files(writer) => writer.flush().await,
            Sink::Rows { .. } => Ok(()),
        }
    }

    pub(super) async fn finish(self) -> Result<Staged> {
        Ok(match self {
            Sink::Files(writer) => Staged::Files(writer.finish().await?),
            Sink::Rows { batches, .. } => Staged::Rows(batches),
        })
    }

    pub(super) async fn abort(self) {
        if let Sink::Files(writer) = self {
            writer.abort().await;
        }
    }
}

impl Staged {
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Staged::Files(files) => files.rows == 0,
            Staged::Rows(batches) => batches.is_empty(),
        }
    }

    /// Makes the rows visible; gives the snapshot.
    pub(super) async fn commit(
        &self,
        lake: &Lake,
        type_name: &str,
        mode: ImportMode,
        has_key: bool,
        info: CommitInfo,
    ) -> Result<i64> {
        let files = match self {
            Staged::Files(files) => files.clone(),
            Staged::Rows(batches) => {
                return lance_table::import(lake, type_name, mode, batches, &info).await;
            }
        };
        let change = match mode {
            ImportMode::Append if has_key => Change::Insert(files),
            ImportMode::Append => Change::Append(files),
            ImportMode::Upsert => Change::Upsert(files),
            ImportMode::Replace => Change::Replace(files),
        };
        let change = TableChange { type_name: type_name.into(), change };
        let snapshots = lake.commit(vec![change], info).await?;
        Ok(snapshots.last().map_or(0, |snapshot| snapshot.id))
    }

    pub(super) async fn discard(&self, lake: &Lake) {
        if let Staged::Files(files) = self {
            lake.discard(files).await;
        }
    }
}
