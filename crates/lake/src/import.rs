//! Brings a file into a table.
//!
//! ```text
//! source → decode → RawBatch → stage → StagedFiles → commit with journal row → ImportReport
//! ```
//!
//! In: an [`ImportRequest`]. Out: an [`ImportReport`], and rows that are visible all at once. The
//! journal remembers each file by its content: importing it again does nothing, and an import that
//! was interrupted goes on after its last committed part. A file of up to [`PART_ROWS`] rows is one
//! part, so it is there wholly or not at all; a replacement is always one part. While a part is gathered,
//! the one before it is written and committed.

mod images;
mod journal;
mod media;
mod rejects;
mod sink;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use base::{Error, Kind, Principal, Result, Scope};
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::Semaphore;

use crate::Lake;
use crate::commit::CommitInfo;
use crate::decode::{self, FaultKind, RawBatch, Shape};
use crate::source::{Format, Origin, ReadOptions, Source};
use journal::{Journal, Part, Start};
use rejects::Rejects;
use sink::{Sink, Staged};

/// Rows of a part: a longer file is committed in several, each visible as soon as it is committed.
pub const PART_ROWS: u64 = 2_000_000;

/// New schemas that an import goes on by, one after the other, before it says so and ends.
const OVERTAKEN: u32 = 5;

/// What to do with the rows that are there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ImportMode {
    /// Adds rows; in a type with a key their keys must be new.
    #[default]
    Append,
    /// Adds rows, or replaces those with the same key.
    Upsert,
    /// Puts the file's rows in the place of all rows.
    Replace,
}

impl ImportMode {
    /// The name, as `--mode` spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            ImportMode::Append => "append",
            ImportMode::Upsert => "upsert",
            ImportMode::Replace => "replace",
        }
    }

    /// The mode with this name.
    pub fn parse(name: &str) -> Option<ImportMode> {
        [ImportMode::Append, ImportMode::Upsert, ImportMode::Replace]
            .into_iter()
            .find(|mode| mode.as_str() == name)
    }
}

/// One file to import.
#[derive(Clone, Debug)]
pub struct ImportRequest {
    /// The file.
    pub origin: Origin,
    /// What messages and the table's history call it, when that is not its path.
    pub name: Option<Arc<str>>,
    /// The type's name.
    pub type_name: Arc<str>,
    /// What to do with the rows that are there already.
    pub mode: ImportMode,
    /// How the file is to be read.
    pub options: ReadOptions,
    /// Rows that may be left out; one more ends the import. 0: the first fault ends it.
    pub max_errors: u64,
    /// Where rows that were left out are written: JSON Lines when the name ends in `.jsonl`, else CSV.
    pub rejects: Option<PathBuf>,
    /// Rows of a part.
    pub part_rows: u64,
    /// Import even if the same file was imported before.
    pub again: bool,
    /// Who asks.
    pub principal: Principal,
}

impl ImportRequest {
    /// Appends a file, found out and strict in everything.
    pub fn new(origin: Origin, type_name: impl Into<Arc<str>>, principal: Principal) -> Self {
        ImportRequest {
            origin,
            name: None,
            type_name: type_name.into(),
            mode: ImportMode::Append,
            options: ReadOptions::default(),
            max_errors: 0,
            rejects: None,
            part_rows: PART_ROWS,
            again: false,
            principal,
        }
    }
}

/// How far an import is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportProgress {
    /// Rows that were read and are good.
    pub rows: u64,
    /// Bytes of the file that were read.
    pub bytes: u64,
    /// Bytes of the file.
    pub total_bytes: u64,
    /// Rows that were left out.
    pub rejected: u64,
}

/// What an import did.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportReport {
    /// Rows that were written.
    pub rows: u64,
    /// Rows that were left out.
    pub rejected: u64,
    /// Rows that were left out, by kind.
    pub rejected_by_kind: Vec<(FaultKind, u64)>,
    /// The snapshot with the last part; 0 when nothing was committed.
    pub snapshot: i64,
    /// Parts that were committed by this run.
    pub parts: u64,
    /// Rows that earlier, interrupted runs had committed; they are in `rows` too.
    pub resumed_after: u64,
    /// Whether the same file was imported before and nothing was done.
    pub skipped_as_already_imported: bool,
    /// How long it took.
    pub seconds: f64,
}

/// Receives how far an import is, after each batch.
pub type OnProgress<'a> = &'a mut (dyn FnMut(ImportProgress) + Send);

impl Lake {
    /// Imports a file. Errors: `InvalidInput` at file, line and column for the row that is wrong;
    /// `Denied`; `AlreadyExists` for keys that must be new; `LimitExceeded`.
    pub async fn import(
        &self,
        request: ImportRequest,
        progress: OnProgress<'_>,
    ) -> Result<ImportReport> {
        request.principal.require(Scope::Write)?;
        let started = self.config().clock.now();
        let (source, fingerprint) = open(&request).await?;
        let mut lake = self.clone();
        let mut tally = Tally { stamp: source.stamp()?, ..Tally::default() };
        let mut report = loop {
            let progress = &mut *progress;
            match lake.import_from(&request, &source, &fingerprint, &mut tally, progress).await {
                Ok(report) => break report,
                Err(error) => lake = lake.overtaken_by(error, &mut tally).await?,
            }
        };
        let spent = self.config().clock.now().as_micros() - started.as_micros();
        report.seconds = spent as f64 / 1e6;
        Ok(report)
    }

    /// Imports what is not committed yet, by the schema of this handle.
    async fn import_from(
        &self,
        request: &ImportRequest,
        source: &Source,
        fingerprint: &str,
        tally: &mut Tally,
        progress: OnProgress<'_>,
    ) -> Result<ImportReport> {
        let shape = Arc::new(Shape::of(&self.schema(), &request.type_name)?);
        check_mode(request, &shape)?;
        let mut journal = Journal::open(self, request, fingerprint, &shape).await?;
        match journal.start(self, request).await? {
            Start::Done(part) => Ok(already(&part)),
            Start::After(part) => {
                let turn = Arc::new(Semaphore::new(1));
                let source = source.clone();
                let run = Run { lake: self, request, shape, source, journal, turn };
                run.run(part, tally, progress).await
            }
        }
    }

    /// The handle by which an import goes on that a new schema overtook: what was staged for the
    /// schema before cannot be committed any more, and what was committed stays. Any other error
    /// comes back, and this one too when it came too often.
    async fn overtaken_by(&self, error: Error, tally: &mut Tally) -> Result<Lake> {
        let Some(before) = self.version().filter(|_| error.kind() == Kind::Stale) else {
            return Err(error);
        };
        let (deployed, _) = self.catalog().deployed().await?;
        tally.overtaken += 1;
        if deployed <= before || tally.overtaken > OVERTAKEN {
            return Err(error);
        }
        match self.at_version(deployed).await {
            Ok(lake) => {
                tracing::info!(before, deployed, "an import goes on by a newer schema");
                Ok(lake)
            }
            // This node cannot learn of it, so that only a repetition helps.
            Err(_) => Err(error),
        }
    }
}

fn check_mode(request: &ImportRequest, shape: &Shape) -> Result<()> {
    if request.mode == ImportMode::Upsert && shape.key.is_empty() {
        let message = format!("type `{}` has no key to upsert by", request.type_name);
        return Err(Error::invalid(message)
            .hint("add `@key(fields: …)` to the type, or use `--mode append`"));
    }
    if request.part_rows == 0 {
        return Err(Error::invalid("a part must have at least one row"));
    }
    Ok(())
}

async fn open(request: &ImportRequest) -> Result<(Source, String)> {
    let (origin, options) = (request.origin.clone(), request.options.clone());
    let name = request.name.clone();
    let opened = base::task::blocking("open source", move || {
        let mut source = Source::open(origin, &options)?;
        source.name = name.unwrap_or(source.name);
        let fingerprint = source.fingerprint()?;
        Ok((source, fingerprint))
    });
    opened.await?
}

fn already(part: &Part) -> ImportReport {
    ImportReport {
        rows: part.loaded,
        rejected: part.rejected,
        rejected_by_kind: Vec::new(),
        snapshot: part.snapshot,
        parts: 0,
        resumed_after: part.loaded,
        skipped_as_already_imported: true,
        seconds: 0.0,
    }
}

/// The last part of a path: the folders of one machine do not belong into a table's history.
fn file_name(path: &str) -> &str {
    Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or(path)
}

/// What an import has done so far, by however many schemas.
#[derive(Default)]
struct Tally {
    /// What the file was known by at the beginning.
    stamp: Stamp,
    /// Rows that runs before this one had committed.
    resumed_after: Option<u64>,
    /// Parts that were committed.
    parts: u64,
    /// Records that were left out of them.
    rejected: BTreeMap<FaultKind, u64>,
    /// New schemas that came meanwhile.
    overtaken: u32,
}

/// One import on its way.
struct Run<'a> {
    lake: &'a Lake,
    request: &'a ImportRequest,
    shape: Arc<Shape>,
    source: Source,
    journal: Journal,
    /// Which part writes files.
    turn: Arc<Semaphore>,
}

/// Batches ready for staging, with what was left out.
pub(crate) type RowBatches = BoxStream<'static, Result<RawBatch>>;

impl Run<'_> {
    /// Gathers part after part; while one is gathered, the one before it is written and committed.
    async fn run(
        self,
        before: Part,
        tally: &mut Tally,
        progress: OnProgress<'_>,
    ) -> Result<ImportReport> {
        let resumed_after = *tally.resumed_after.get_or_insert(before.loaded);
        let stamp = tally.stamp;
        let mut rows = self.rows(before.read).await?;
        let mut rejects = Rejects::open(self.request, &before, tally.rejected.clone()).await?;
        let mut part = before.clone();
        let mut gathered: Option<Gathered> = None;
        let mut committed = before;
        while !part.done || gathered.is_some() {
            let more = !part.done;
            let gather = async {
                if !more {
                    return Ok(None);
                }
                part.number += 1;
                self.gather(&mut rows, &mut part, &mut rejects, &mut *progress).await.map(Some)
            };
            let conclude = async {
                let Some(mut gathered) = gathered.take() else { return Ok(None) };
                let rejected = std::mem::take(&mut gathered.rejected);
                let concluded = self.conclude(gathered, &committed, stamp).await?;
                Ok(Some((concluded, rejected)))
            };
            let (concluded, next) = futures::join!(conclude, gather);
            match concluded {
                Ok(None) => {}
                Ok(Some((Committed::Ours(part), rejected))) => {
                    tally.parts += 1;
                    tally.rejected = rejected;
                    committed = part;
                }
                Ok(Some((Committed::Theirs(theirs), _))) => {
                    abort(next).await;
                    return Ok(already(&theirs));
                }
                Err(error) => {
                    abort(next).await;
                    return Err(error);
                }
            }
            gathered = next.map_err(|error| self.explain(error, &committed))?;
        }
        Ok(ImportReport {
            rejected_by_kind: std::mem::take(&mut tally.rejected).into_iter().collect(),
            parts: tally.parts,
            resumed_after,
            skipped_as_already_imported: false,
            ..already(&committed)
        })
    }

    async fn rows(&self, skip: u64) -> Result<RowBatches> {
        let options = self.request.options.clone();
        let workers = workers();
        let (source, shape) = (self.source.clone(), Arc::clone(&self.shape));
        if source.format == Format::Images {
            return images::rows(self.lake, source, shape, options, skip).await;
        }
        let (base, file) = (media::base_folder(&self.request.origin), Arc::clone(&source.name));
        let batches = decode::open(source, Arc::clone(&shape), options, skip, workers).await?;
        Ok(media::attach(self.lake, shape, base, batches.boxed(), file))
    }

    /// Gathers rows until the part is full or the file ends.
    async fn gather(
        &self,
        rows: &mut RowBatches,
        part: &mut Part,
        rejects: &mut Rejects,
        progress: OnProgress<'_>,
    ) -> Result<Gathered> {
        let whole = self.request.mode == ImportMode::Replace;
        let limit = if whole { u64::MAX } else { self.request.part_rows };
        let mut sink = Sink::open(self.lake, &self.request.type_name, &self.turn).await?;
        let begin = part.read;
        part.done = true;
        let mut step = Ok(());
        while let (Ok(()), Some(batch)) = (&step, rows.next().await) {
            step = match batch {
                Ok(batch) => self.take(batch, &mut sink, part, rejects, progress).await,
                Err(error) => Err(error),
            };
            if part.read - begin >= limit || sink.is_full(self.request.mode) {
                part.done = false;
                break;
            }
        }
        let closed = match step {
            Ok(()) => sink.close().await,
            error => error,
        };
        if let Err(error) = closed {
            sink.abort().await;
            return Err(error);
        }
        part.rejects_bytes = rejects.sync().await?;
        Ok(Gathered { sink, part: part.clone(), rejected: rejects.counts().clone() })
    }

    /// Writes what is left of a part, and commits it.
    async fn conclude(&self, gathered: Gathered, before: &Part, stamp: Stamp) -> Result<Committed> {
        let mut part = gathered.part;
        (part.committed, part.snapshot) = (before.committed, before.snapshot);
        let staged = gathered.sink.finish().await.map_err(|error| self.explain(error, before))?;
        if part.done && self.source.stamp()? != stamp {
            let message = format!("file `{}` changed while it was imported", self.source.name);
            staged.discard(self.lake).await;
            return Err(Error::new(Kind::Conflict, message).hint("import it again"));
        }
        let committed = self.commit(staged, part).await?;
        if let Committed::Ours(part) = &committed {
            self.journal.note_snapshot(part).await?;
        }
        Ok(committed)
    }

    async fn take(
        &self,
        batch: RawBatch,
        writer: &mut Sink,
        part: &mut Part,
        rejects: &mut Rejects,
        progress: OnProgress<'_>,
    ) -> Result<()> {
        part.read += batch.rows;
        part.rejected += batch.rejects.len() as u64;
        if part.rejected > self.request.max_errors {
            return Err(too_many(batch, part.rejected, self.request.max_errors));
        }
        rejects.write(&batch.rejects)?;
        part.loaded += batch.batch.num_rows() as u64;
        let (rows, rejected, consumed) = (part.loaded, part.rejected, batch.consumed);
        if batch.batch.num_rows() > 0 {
            writer.write(conform(&self.shape, batch.batch)?, self.request.mode).await?;
        }
        let total_bytes = self.source.bytes;
        progress(ImportProgress { rows, bytes: consumed.min(total_bytes), total_bytes, rejected });
        Ok(())
    }

    async fn commit(&self, staged: Staged, mut part: Part) -> Result<Committed> {
        let replaces = self.request.mode == ImportMode::Replace;
        let nothing = staged.is_empty() && !replaces;
        let statement = self.journal.statement(&part, self.lake.config().clock.now());
        let result = if nothing {
            // Without rows there is no snapshot, but that the file was read must be remembered.
            self.journal.record(&statement).await.map(|()| part.snapshot)
        } else {
            let info = CommitInfo {
                author: Arc::clone(&self.request.principal.subject),
                summary: format!("import {}", file_name(&self.source.name)).into(),
                idempotency_key: Some(self.journal.idempotency_key(&part).into()),
                also: vec![statement],
            };
            let (type_name, mode) = (&self.request.type_name, self.request.mode);
            let has_key = !self.shape.key.is_empty();
            staged.commit(self.lake, type_name, mode, has_key, info).await
        };
        // Another import of the same file may have been faster: the journal tells whose row counts.
        let recorded = self.journal.part(part.number).await?;
        part.snapshot = match (recorded, result) {
            (Some(theirs), _) if theirs.run != self.journal.run => {
                staged.discard(self.lake).await;
                return Ok(Committed::Theirs(theirs));
            }
            (Some(_), Ok(snapshot)) => snapshot,
            // The answer was lost and the commit was not.
            (Some(_), Err(_)) => self.lake.table(&self.request.type_name).await?.snapshot_id(),
            (None, Err(error)) => {
                // A commit whose answer was lost may still come, and then its files are needed.
                if error.nothing_happened() {
                    staged.discard(self.lake).await;
                }
                return Err(self.overtaken(error, &part).await);
            }
            (None, Ok(_)) => {
                let text = "a part was committed without its row in the import journal";
                return Err(Error::internal(text));
            }
        };
        part.committed = part.read;
        Ok(Committed::Ours(part))
    }

    /// Words why a part was not committed. What was staged for the schema before a change cannot be
    /// committed after it; the same import begins after the parts that were, by the schema as it is.
    async fn overtaken(&self, error: Error, part: &Part) -> Error {
        let what = format!("failed to import `{}`", self.source.name);
        let deployed = self.lake.catalog().deployed().await.map_or(0, |(deployed, _)| deployed);
        let newer = self.lake.version().is_some_and(|version| deployed > version);
        if error.kind() != Kind::Stale || !newer {
            return error.context(what);
        }
        let text = format!("{what}: schema version {deployed} was deployed meanwhile");
        let hint = match part.committed {
            0 => "no row of the file was taken; import it again".to_owned(),
            rows => format!(
                "rows up to {rows} are committed; import the file again, it goes on after them"
            ),
        };
        Error::new(Kind::Stale, text).hint(hint).caused_by(error)
    }

    /// Says what is already visible when the part after it fails.
    fn explain(&self, error: Error, part: &Part) -> Error {
        if part.committed == 0 {
            return error;
        }
        let hint = format!(
            "parts up to row {} are committed; mend the rest in a file of its own, or take them back with `headwater rollback`",
            part.committed
        );
        error
            // The next one, counted from 1.
            .context(format!("failed to import part {} of `{}`", part.number + 2, self.source.name))
            .hint(hint)
    }
}

/// Removes what was gathered after a part that could not be committed.
async fn abort(gathered: Result<Option<Gathered>>) {
    if let Ok(Some(gathered)) = gathered {
        gathered.sink.abort().await;
    }
}

/// A part whose rows were all read, and are being written.
struct Gathered {
    sink: Sink,
    part: Part,
    /// Records that were left out up to its end, by kind.
    rejected: BTreeMap<FaultKind, u64>,
}

enum Committed {
    Ours(Part),
    Theirs(Part),
}

/// What a file is known by while it is read.
type Stamp = Option<(u64, std::time::SystemTime)>;

/// Threads that decode; staging takes one more.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(2, |count| count.get().min(8))
}

fn too_many(batch: RawBatch, rejected: u64, allowed: u64) -> Error {
    let last = batch.rejects.into_iter().next_back();
    let Some(reject) = last else { return Error::internal("rejected rows without a reason") };
    let error = reject.into_error();
    if allowed == 0 {
        return error;
    }
    error.context(format!("{rejected} rows cannot be read, and `--max-errors` allows {allowed}"))
}

/// Gives a batch the schema of the shape, once media columns hold media.
fn conform(shape: &Shape, batch: RecordBatch) -> Result<RecordBatch> {
    RecordBatch::try_new(shape.arrow(), batch.columns().to_vec()).map_err(|error| {
        Error::internal("a decoded batch is not in the type's shape").caused_by(error)
    })
}
