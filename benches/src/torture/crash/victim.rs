//! What goes on when the end comes: workers that change, import, compact and expire.
//!
//! In: lakes over one project (several are several nodes), an activity and a seed. Out: nothing but
//! what the diary says; it works until it is ended. Not here: the end (`testkit::ending_store`), and
//! what must be there afterwards (`verdict`).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use base::Principal;
use base::rng::Rng;
use base::task::Task;
use frame::{Value, Write, WriteOp, WriteRequest};
use lake::Lake;
use lake::import::{ImportMode, ImportRequest};
use lake::place::Place;
use lake::source::Origin;

use super::bank::{self, ACCOUNT, CARD, EVENT, PHOTO, Rows};
use super::diary::{Diary, Kind, Line, Operation};
use super::moving::{self, Mover};

/// How long snapshots are kept where they are expired.
pub(crate) const KEEP: Duration = Duration::from_secs(1800);
/// Types whose snapshots are expired.
const EXPIRED: [&str; 3] = [ACCOUNT, EVENT, PHOTO];
/// How old a file must be before the clean-up may take it.
const GRACE: Duration = Duration::from_secs(1800);
/// Ids that a worker changes again and again.
const POOL: u64 = 12;
/// Rows of a part of an import.
const PIECE_ROWS: usize = 20;
/// Ids of files that are imported over themselves.
const FILE_POOL: u64 = 60;
/// The longest pause of a worker between two changes while objects move.
const PAUSE: Duration = Duration::from_millis(600);

/// What is under way when the end comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Activity {
    /// Mutations with and without idempotency keys, of one row and of several, over two nodes.
    Mutate,
    /// Files of several parts, appended, upserted, and in the place of all rows.
    Import,
    /// Compactions beside small writes.
    Compact,
    /// Expiry and clean-up beside writes and imports.
    Expire,
    /// Schema changes of every kind.
    Apply,
    /// Moves of all objects from the folder to a bucket and back, beside writes.
    MigrateStore,
}

/// All activities.
pub(crate) const ACTIVITIES: [Activity; 6] = [
    Activity::Mutate,
    Activity::Import,
    Activity::Compact,
    Activity::Expire,
    Activity::Apply,
    Activity::MigrateStore,
];

impl Activity {
    /// As the command line spells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Activity::Mutate => "mutate",
            Activity::Import => "import",
            Activity::Compact => "compact",
            Activity::Expire => "expire",
            Activity::Apply => "apply",
            Activity::MigrateStore => "migrate-store",
        }
    }

    /// Lives of one project before a new one is made. Of moves they are fewer, because each of them
    /// copies everything that those before have written.
    pub(crate) fn lives(self) -> u64 {
        if self == Activity::MigrateStore { 4 } else { 8 }
    }

    /// Lines of the diary that a round of expiry and clean-up writes; 0 where it does not go round.
    pub(crate) fn round(self) -> u64 {
        if self == Activity::Expire { EXPIRED.len() as u64 + 1 } else { 0 }
    }

    /// Projects that live at the same time. A move waits for nodes most of its time.
    pub(crate) fn at_once(self) -> usize {
        if self == Activity::MigrateStore { 8 } else { 3 }
    }

    fn jobs(self) -> Vec<Job> {
        match self {
            Activity::Mutate => vec![
                Job::Mutate(&[ACCOUNT]),
                Job::Mutate(&[ACCOUNT]),
                Job::Mutate(&[CARD]),
                Job::Mutate(&[EVENT, PHOTO]),
            ],
            Activity::Import => {
                [EVENT, CARD, ACCOUNT, PHOTO].map(|one| Job::Import(one, true)).to_vec()
            }
            Activity::Compact => vec![
                Job::Compact,
                Job::Mutate(&[ACCOUNT]),
                Job::Mutate(&[EVENT]),
                Job::Import(ACCOUNT, false),
            ],
            Activity::Expire => vec![
                Job::Expire,
                Job::Mutate(&[ACCOUNT, PHOTO]),
                Job::Import(EVENT, false),
                Job::Mutate(&[CARD]),
            ],
            Activity::MigrateStore => vec![
                Job::Move,
                Job::Mutate(&[ACCOUNT, EVENT]),
                Job::Mutate(&[CARD, PHOTO]),
                Job::Import(ACCOUNT, false),
                Job::Compact,
            ],
            Activity::Apply => Vec::new(),
        }
    }
}

/// The work of one worker.
#[derive(Clone, Copy, Debug)]
enum Job {
    Mutate(&'static [&'static str]),
    /// Of a type; replacements only where nobody else changes it.
    Import(&'static str, bool),
    Compact,
    Expire,
    Move,
}

/// What a victim does.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub(crate) activity: Activity,
    pub(crate) seed: u64,
    /// Which of the lives of one project this is.
    pub(crate) round: u64,
    /// Where files to import are put.
    pub(crate) files: PathBuf,
    /// Whoever moves the objects.
    pub(crate) mover: Option<Arc<Mover>>,
}

/// Nodes over one project.
#[derive(Clone, Debug)]
pub(crate) struct Nodes {
    pub(crate) lakes: Vec<Lake>,
    /// The one that compacts, expires and cleans up.
    pub(crate) tender: Lake,
    /// Where each of them finds the objects, when they move; that of the tender is the last.
    pub(crate) places: Vec<Place>,
}

/// Starts the workers; they stop with their handles.
pub(crate) fn start(nodes: &Nodes, work: &Work, diary: &Arc<Diary>) -> Vec<Task<Result<()>>> {
    let followers = nodes.places.iter().map(|place| moving::follow(place.clone(), diary));
    let jobs = work.activity.jobs().into_iter().enumerate();
    let workers = jobs.map(|(index, job)| {
        let number = index as u64;
        let seed = work.seed.wrapping_mul(1000).wrapping_add(work.round * 10 + number);
        let worker = Worker {
            number,
            lake: nodes.lakes[index % nodes.lakes.len()].clone(),
            tender: nodes.tender.clone(),
            place: nodes.places.last().cloned(),
            rng: Rng::seeded(seed),
            work: work.clone(),
            diary: Arc::clone(diary),
            count: 0,
            compacted: 0,
        };
        base::task::spawn("torture worker", worker.run(job))
    });
    workers.chain(followers).collect()
}

struct Worker {
    number: u64,
    lake: Lake,
    tender: Lake,
    place: Option<Place>,
    rng: Rng,
    work: Work,
    diary: Arc<Diary>,
    count: u64,
    /// Operations that were acknowledged before it compacted last.
    compacted: u64,
}

impl Worker {
    async fn run(mut self, job: Job) -> Result<()> {
        loop {
            let result = match job {
                Job::Mutate(types) => {
                    self.mutate(types[self.rng.below(types.len() as u64) as usize]).await
                }
                Job::Import(type_name, alone) => self.import(type_name, alone).await,
                Job::Compact => self.compact().await,
                Job::Expire => self.expire().await,
                Job::Move => self.travel().await,
            };
            if self.place.is_some() {
                let pause = self.rng.below(PAUSE.as_micros() as u64);
                tokio::time::sleep(Duration::from_micros(pause)).await;
            }
            if let Err(error) = result {
                let error = format!("{error:#}");
                self.diary.write(&Line::Failed { worker: self.number, error })?;
                return Ok(());
            }
        }
    }

    /// A mark that nobody else writes; those of files are odd.
    fn mark(&mut self, of_file: bool) -> i64 {
        self.count += 1;
        let number = (self.work.round * 8 + self.number) * 100_000 + self.count;
        (number * 2) as i64 + i64::from(of_file)
    }

    fn fresh(&mut self, count: u64, of_file: bool) -> Rows {
        let (worker, round) = (self.number, self.work.round);
        (0..count)
            .map(|_| {
                let mark = self.mark(of_file);
                (format!("{worker}.{round}.{}", self.count), mark)
            })
            .collect()
    }

    fn known(&mut self, count: u64, pool: u64, of_file: bool) -> Rows {
        let first = self.rng.below(pool);
        (0..count.min(pool))
            .map(|index| {
                let id = format!("{}-{}", self.number, (first + index) % pool);
                (id, self.mark(of_file))
            })
            .collect()
    }

    async fn mutate(&mut self, type_name: &'static str) -> Result<()> {
        let count = 1 + self.rng.below(5);
        let dice = self.rng.below(10);
        let (kind, rows) = match dice {
            _ if type_name == EVENT => (Kind::Insert, self.fresh(count, false)),
            _ if type_name == PHOTO => (Kind::Upsert, self.known(1 + count / 3, 6, false)),
            0..=5 => (Kind::Upsert, self.known(count, POOL, false)),
            6 | 7 => (Kind::Insert, self.fresh(count, false)),
            _ => (Kind::Delete, self.known(count, POOL, false)),
        };
        let key = (self.rng.below(2) == 0)
            .then(|| format!("{}.{}.{}", self.work.round, self.number, self.count));
        let type_name = type_name.to_owned();
        let operation = Operation { kind, type_name, rows, key, file: None };
        self.begin(&operation)?;
        let receipt = self.lake.write(request(&self.lake, &operation).await?).await?;
        self.done(receipt.snapshot)
    }

    async fn import(&mut self, type_name: &'static str, alone: bool) -> Result<()> {
        let photo = bank::is_photo(type_name);
        let count = if photo { 1 + self.rng.below(3) } else { 5 + self.rng.below(150) };
        let keyed = type_name != EVENT;
        let dice = self.rng.below(10);
        let (kind, rows) = match dice {
            0..=4 if keyed => {
                let pool = if photo { 6 } else { FILE_POOL };
                (Kind::ImportUpsert, self.known(count, pool, true))
            }
            5 | 6 if alone => (Kind::ImportReplace, self.fresh(count, true)),
            _ => (Kind::ImportAppend, self.fresh(count.min(80), true)),
        };
        let name = format!("{}-{}-{}.csv", self.work.round, self.number, self.count);
        let path = self.work.files.join(name);
        bank::write_csv(&path, type_name, &rows)?;
        let file = Some(path.display().to_string());
        let operation = Operation { kind, type_name: type_name.to_owned(), rows, key: None, file };
        self.begin(&operation)?;
        let report = self.lake.import(import_request(&operation, &path), &mut |_| {}).await?;
        self.done(report.snapshot)
    }

    async fn compact(&mut self) -> Result<()> {
        // Tables that nobody changed since have nothing to compact: that would only take cores from the others.
        self.compacted = self.diary.more_than(self.compacted).await;
        for type_name in [ACCOUNT, EVENT] {
            match self.tender.compact(type_name).await {
                // It gave way to writers.
                Err(error) if error.kind() == base::Kind::Conflict => {}
                done => drop(done?),
            }
            self.diary.write(&Line::Tended { what: format!("compact {type_name}") })?;
        }
        Ok(())
    }

    async fn expire(&mut self) -> Result<()> {
        for type_name in EXPIRED {
            self.tender.expire(type_name, Some(KEEP)).await?;
            self.diary.write(&Line::Tended { what: format!("expire {type_name}") })?;
        }
        self.tender.clean_orphans(GRACE).await?;
        self.diary.write(&Line::Tended { what: "clean up".to_owned() })
    }

    async fn travel(&mut self) -> Result<()> {
        let (Some(mover), Some(place)) = (&self.work.mover, &self.place) else {
            anyhow::bail!("nobody moves the objects of this project");
        };
        mover.run(place, &self.diary).await
    }

    fn begin(&self, operation: &Operation) -> Result<()> {
        self.diary.write(&Line::Begin { worker: self.number, operation: operation.clone() })
    }

    fn done(&self, snapshot: i64) -> Result<()> {
        self.diary.write(&Line::Done { worker: self.number, snapshot })
    }
}

/// The request of a mutation; the same again asks for the same.
pub(crate) async fn request(lake: &Lake, operation: &Operation) -> Result<WriteRequest> {
    let op = match operation.kind {
        Kind::Delete => {
            let keys = operation.rows.iter().map(|(id, _)| vec![Value::from(id.as_str())]);
            WriteOp::Delete(keys.collect())
        }
        kind => {
            let batch = bank::batch(lake, &operation.type_name, &operation.rows).await?;
            match kind {
                Kind::Upsert => WriteOp::Upsert(vec![batch]),
                _ if operation.type_name == EVENT => WriteOp::Append(vec![batch]),
                _ => WriteOp::Insert(vec![batch]),
            }
        }
    };
    Ok(WriteRequest {
        table: operation.type_name.as_str().into(),
        op,
        idempotency_key: operation.key.as_deref().map(Into::into),
        principal: Principal::local(),
    })
}

/// The request of an import; the same again goes on where it stopped.
pub(crate) fn import_request(operation: &Operation, path: &Path) -> ImportRequest {
    let origin = Origin::Path(path.to_path_buf());
    let mut request = ImportRequest::new(origin, operation.type_name.as_str(), Principal::local());
    request.mode = match operation.kind {
        Kind::ImportUpsert => ImportMode::Upsert,
        Kind::ImportReplace => ImportMode::Replace,
        _ => ImportMode::Append,
    };
    // Every piece that the decoder gives is a part of its own, and a piece is short.
    request.part_rows = 1;
    request.options.limits.rows = PIECE_ROWS;
    request
}
