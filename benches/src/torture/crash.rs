//! `torture lake`: a project is ended in the middle of its work, again and again, and nothing that was
//! acknowledged may be lost, nothing half visible, nothing left behind that the clean-up does not find.
//!
//! ```text
//! seed → activity → victim works → the end → verdict → the same project goes on → the next end
//! ```
//!
//! It ends in two ways. *Killed*: the victim is a process, and `SIGKILL` reaches it at a counted change
//! of the object store, some time after one, or at a random time. *Dark*: the victim lives in this
//! process over a folder of which only what was synced survives, and the power fails at such a moment.
//! With a sabotage one guard is broken on purpose, and every run must notice.

#[path = "crash/apply.rs"]
mod apply;
#[path = "crash/avro.rs"]
mod avro;
#[path = "crash/bank.rs"]
mod bank;
#[path = "crash/diary.rs"]
mod diary;
#[path = "crash/manifest.rs"]
mod manifest;
#[path = "crash/oracle.rs"]
mod oracle;
#[path = "crash/reach.rs"]
mod reach;
#[path = "crash/sabotage.rs"]
mod sabotage;
#[path = "crash/verdict.rs"]
mod verdict;
#[path = "crash/victim.rs"]
mod victim;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use base::rng::Rng;
use base::{Clock, Timestamp};
use futures::future::join_all;
use lake::store::{Durability, LocalStore};
use object_store::ObjectStore;
use testkit::ending_store::{End, EndingStore, Moment};
use testkit::unsynced_store::UnsyncedFolder;

use diary::Diary;
use oracle::{Model, Said};
use sabotage::Sabotage;
use verdict::{Found, Project, Verdict};
pub(crate) use victim::Activity;
use victim::{ACTIVITIES, Nodes, Work};

/// Lives of one project before a new one is made.
const LIVES: u64 = 8;
/// Changing calls among which a counted end is drawn.
const CALLS: u64 = 120;
/// The longest life of a victim that no counted end reaches.
const LONGEST: Duration = Duration::from_millis(1500);
/// How long after a counted call the end may come.
const LATER: Duration = Duration::from_millis(25);
/// How long a victim may take to begin, and to reach a counted end.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at a victim.
const INTERVAL: Duration = Duration::from_millis(2);
/// Between the clocks of two lives of a project, so that what one wrote is old to the next.
const APART: i64 = 3600 * 1_000_000;

/// How a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Killed,
    Dark,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Way::Killed => "killed",
            Way::Dark => "dark",
        }
    }
}

/// Which end a victim process meets; its arguments.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Doom {
    /// Of a victim: the project's folder.
    #[arg(long, hide = true)]
    project: Option<PathBuf>,
    /// Of a victim: which of the lives of the project it is.
    #[arg(long, default_value_t = 0, hide = true)]
    life: u64,
    /// Of a victim: the changing call at which it ends; 0 is none.
    #[arg(long, default_value_t = 0, hide = true)]
    call: u64,
    /// Of a victim: end before the call.
    #[arg(long, hide = true)]
    before: bool,
    /// Of a victim: end so many microseconds later.
    #[arg(long, default_value_t = 0, hide = true)]
    later: u64,
    /// Of a victim: end when so many things are done; 0 is never.
    #[arg(long, default_value_t = 0, hide = true)]
    enough: u64,
    /// Of a victim: its clock, in microseconds since the epoch.
    #[arg(long, default_value_t = 0, hide = true)]
    clock: i64,
}

/// What one suite is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) runs: u64,
    pub(crate) seed: u64,
    /// These activities; all when there are none.
    pub(crate) only: &'a [Activity],
    pub(crate) sabotage: Option<&'a str>,
}

impl Asked<'_> {
    fn wants(&self, activity: Activity) -> bool {
        self.only.is_empty() || self.only.contains(&activity)
    }
}

/// Ends every activity in both ways, `runs` times each; gives the ends and how many were survived, or
/// with a sabotage the runs and how many noticed.
pub(crate) async fn run(asked: Asked<'_>) -> Result<(u64, u64)> {
    if let Some(sabotage) = asked.sabotage {
        return sabotage::run(Sabotage::parse(sabotage)?, asked).await;
    }
    let (mut ends, mut survived) = (0, 0);
    for activity in ACTIVITIES.into_iter().filter(|one| asked.wants(*one)) {
        for way in [Way::Killed, Way::Dark] {
            let started = Instant::now();
            let (found, lost) = all_lives(activity, way, asked).await?;
            ends += asked.runs;
            survived += asked.runs - lost;
            report(activity, way, asked.runs, lost, &found, started.elapsed());
        }
    }
    if asked.wants(Activity::Apply) {
        let started = Instant::now();
        let (found, lost) = apply::run(asked).await?;
        ends += asked.runs;
        survived += asked.runs - lost;
        report(Activity::Apply, Way::Killed, asked.runs, lost, &found, started.elapsed());
    }
    Ok((ends, survived))
}

fn report(activity: Activity, way: Way, runs: u64, lost: u64, found: &Found, took: Duration) {
    crate::say(&format!(
        "{} {}: survived {} of {runs}; {} acknowledged, without an answer {} whole, {} in part, {} absent; {} tended, {} snapshots, {} orphans removed; {} s",
        activity.name(),
        way.name(),
        runs - lost,
        found.acknowledged,
        found.whole,
        found.partly,
        found.absent,
        found.tended,
        found.snapshots,
        found.orphans,
        took.as_secs()
    ));
}

/// Projects of some lives each, until there were as many ends as were asked for.
async fn all_lives(activity: Activity, way: Way, asked: Asked<'_>) -> Result<(Found, u64)> {
    let (mut found, mut lost, mut left, mut number) = (Found::default(), 0, asked.runs, 0);
    while left > 0 {
        let seed = asked.seed.wrapping_mul(1_000_003).wrapping_add(number * 16 + way as u64 * 8)
            + activity as u64;
        number += 1;
        let lives = left.min(LIVES);
        let mut session = Session::new(activity, way, seed, lives).await?;
        for _ in 0..lives {
            left -= 1;
            match session.life().await {
                Ok(one) => found = found.plus(one),
                Err(error) => {
                    lost += 1;
                    let life = session.lived;
                    crate::say(&format!(
                        "{} {}: FAILED in life {life} of project {seed}: {error:#}",
                        activity.name(),
                        way.name()
                    ));
                    session.keep();
                    break;
                }
            }
        }
    }
    Ok((found, lost))
}

/// One project through several lives.
struct Session {
    activity: Activity,
    way: Way,
    seed: u64,
    rng: Rng,
    folder: Option<tempfile::TempDir>,
    project: Project,
    model: Model,
    start: Timestamp,
    lives: u64,
    lived: u64,
}

/// When a life ends.
#[derive(Clone, Copy, Debug)]
struct Fall {
    moment: Moment,
    /// At this time after the beginning, whatever was counted.
    at: Duration,
    /// Once so many things were done; 0 is never.
    enough: u64,
}

impl Session {
    async fn new(activity: Activity, way: Way, seed: u64, lives: u64) -> Result<Session> {
        let folder = tempfile::tempdir()?;
        std::fs::create_dir(folder.path().join("files"))?;
        let project = Project { folder: folder.path().join("0") };
        std::fs::create_dir(&project.folder)?;
        project.create().await?;
        Ok(Session {
            activity,
            way,
            seed,
            rng: Rng::seeded(seed),
            folder: Some(folder),
            project,
            model: Model::default(),
            start: Clock::system().now(),
            lives,
            lived: 0,
        })
    }

    fn path(&self) -> &Path {
        self.folder.as_ref().map_or(Path::new(""), tempfile::TempDir::path)
    }

    /// Leaves the folder of a failed project for a look, and says where it is.
    fn keep(&mut self) {
        if let Some(folder) = self.folder.take() {
            crate::say(&format!("the project is kept in `{}`", folder.keep().display()));
        }
    }

    /// The clock of the present life. Where snapshots expire, it stands still, and each life is an
    /// hour after the one before it: what earlier lives wrote is old, what this one writes is not.
    fn clock(&self) -> Clock {
        if self.activity != Activity::Expire {
            return Clock::system();
        }
        let behind = (self.lives - self.lived) as i64 * APART;
        Clock::fixed(Timestamp::from_micros(self.start.as_micros() - behind))
    }

    /// One more life, its end, and what is found then.
    async fn life(&mut self) -> Result<Found> {
        let fall = self.draw();
        let said = self.live(fall, None).await?;
        let clean = self.activity != Activity::Expire || self.rng.below(2) == 0;
        let clock = self.clock();
        let verdict = Verdict {
            project: &self.project,
            said: &said,
            clock: &clock,
            rng: &self.rng,
            clean: clean || self.lived + 1 == self.lives,
        };
        let found = verdict.reach(&mut self.model).await?;
        self.lived += 1;
        Ok(found)
    }

    fn draw(&self) -> Fall {
        let later = match self.rng.below(2) {
            0 => Duration::ZERO,
            _ => Duration::from_micros(self.rng.below(LATER.as_micros() as u64)),
        };
        let call = 1 + self.rng.below(CALLS);
        let moment = Moment { call, before: self.rng.below(2) == 0, later };
        match self.rng.below(3) {
            0 => Fall {
                moment: Moment { call: 0, ..moment },
                at: Duration::from_micros(self.rng.below(LONGEST.as_micros() as u64)),
                enough: 0,
            },
            _ => Fall { moment, at: LONGEST * 2, enough: 0 },
        }
    }

    /// Lets the victim live until its end; gives what it was told.
    async fn live(&mut self, fall: Fall, sabotage: Option<Sabotage>) -> Result<Said> {
        if self.activity == Activity::Expire {
            let micros = self.clock().now().as_micros() - APART;
            let at = Duration::from_micros(u64::try_from(micros)?);
            reach::age(&self.project.objects(), std::time::SystemTime::UNIX_EPOCH + at)?;
        }
        let diary = self.path().join(format!("diary-{}", self.lived));
        match self.way {
            Way::Killed => self.be_killed(fall, sabotage).await?,
            Way::Dark => self.go_dark(&diary, fall, sabotage).await?,
        }
        Said::of(diary::read(&diary)?)
    }

    fn work(&self) -> Work {
        Work {
            activity: self.activity,
            seed: self.seed,
            round: self.lived,
            files: self.path().join("files"),
        }
    }

    async fn be_killed(&self, fall: Fall, sabotage: Option<Sabotage>) -> Result<()> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("lake-victim").arg("--project").arg(&self.project.folder);
        command.args(["--seed", &self.seed.to_string(), "--life", &self.lived.to_string()]);
        command.args(["--only", self.activity.name(), "--call", &fall.moment.call.to_string()]);
        command.args(["--later", &fall.moment.later.as_micros().to_string()]);
        command.args(["--enough", &fall.enough.to_string()]);
        command.args(["--clock", &fixed(&self.clock(), self.activity).to_string()]);
        if fall.moment.before {
            command.arg("--before");
        }
        if let Some(sabotage) = sabotage {
            command.args(["--sabotage", sabotage.name()]);
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let child = child.context("failed to start a victim")?;
        wait_for_end(child, &self.path().join("files"), self.lived, fall).await
    }

    async fn go_dark(
        &mut self,
        diary: &Path,
        fall: Fall,
        sabotage: Option<Sabotage>,
    ) -> Result<()> {
        let folder = Arc::new(UnsyncedFolder::new(&self.project.objects())?);
        // What earlier lives left is on the disk already.
        sync_all(&folder, &self.project.objects())?;
        let hook = Arc::clone(&folder);
        let sync = Durability::Watched(Arc::new(move |path: &Path| hook.synced(path)));
        let local = LocalStore::open_with(&self.project.objects(), sync)?;
        let store = EndingStore::new(Arc::new(local), End::Freeze, fall.moment);
        let nodes = open_nodes(&self.project, &store, &self.clock(), sabotage, &self.rng).await?;
        let diary = Arc::new(Diary::open(diary)?);
        let mut workers = victim::start(&nodes, &self.work(), &diary);
        tokio::select! {
            _ = join_all(&mut workers) => {}
            () = store.ended() => {}
            () = tokio::time::sleep(fall.at) => {}
            () = until(&diary, fall.enough) => {}
        }
        store.end();
        // Those that ended were heard already.
        workers.retain(|worker| !worker.is_finished());
        workers.iter().for_each(base::task::Task::abort);
        join_all(workers).await;
        drop(nodes);
        let after = Project { folder: self.path().join(format!("{}", self.lived + 1)) };
        std::fs::create_dir_all(after.objects())?;
        let database = self.project.database().await?;
        database.snapshot_to(&after.folder.join("meta.db")).await?;
        folder.crash(&after.objects())?;
        store.release();
        self.project = after;
        Ok(())
    }
}

/// Ends when so many things were done; never for 0.
async fn until(diary: &Diary, enough: u64) {
    while enough == 0 || diary.done() < enough {
        tokio::time::sleep(INTERVAL).await;
    }
}

/// The time of a clock that stands still; 0 for the machine's.
fn fixed(clock: &Clock, activity: Activity) -> i64 {
    if activity == Activity::Expire { clock.now().as_micros() } else { 0 }
}

/// Nodes over a store that ends, with what the sabotage does to them.
async fn open_nodes(
    project: &Project,
    store: &EndingStore,
    clock: &Clock,
    sabotage: Option<Sabotage>,
    rng: &Rng,
) -> Result<Nodes> {
    let objects = sabotage::store(sabotage, Arc::new(store.clone()));
    let tender = sabotage::tender(sabotage, clock);
    sabotage::database(sabotage, project).await?;
    let objects: Arc<dyn ObjectStore> = objects;
    project.nodes(&objects, clock, &tender, rng).await
}

/// Takes note that everything below a folder is durable.
fn sync_all(watched: &UnsyncedFolder, folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sync_all(watched, &path)?;
        } else {
            watched.synced(&path)?;
        }
    }
    watched.synced(folder)?;
    Ok(())
}

/// Waits until the victim has begun, and until its end; kills it when its time is over.
async fn wait_for_end(mut child: Child, files: &Path, life: u64, fall: Fall) -> Result<()> {
    let begun = files.join(format!("begun-{life}"));
    let started = Instant::now();
    let mut since = None;
    loop {
        if let Some(status) = child.try_wait()? {
            ensure!(status.code().is_none(), "the victim ended by itself, with {status}");
            return Ok(());
        }
        if since.is_none() && begun.try_exists()? {
            since = Some(Instant::now());
        }
        let limit = if fall.enough > 0 { PATIENCE } else { fall.at };
        let is_over = since.is_some_and(|since| since.elapsed() >= limit);
        if is_over || started.elapsed() > PATIENCE * 2 {
            child.kill()?;
            child.wait()?;
            ensure!(since.is_some(), "the victim did not begin");
            return Ok(());
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// The life of a victim process; it does not return but with an error.
pub(crate) async fn victim(
    doom: &Doom,
    seed: u64,
    only: &[Activity],
    sabotage: Option<&str>,
) -> Result<()> {
    let folder = doom.project.clone().context("a victim needs `--project`")?;
    let above = folder.parent().context("a project has a folder around it")?.to_path_buf();
    let activity = *only.first().context("a victim needs `--only`")?;
    let sabotage = sabotage.map(Sabotage::parse).transpose()?;
    let project = Project { folder };
    let moment =
        Moment { call: doom.call, before: doom.before, later: Duration::from_micros(doom.later) };
    let local = LocalStore::open(&project.objects())?;
    let store = EndingStore::new(Arc::new(local), End::Kill, moment);
    let clock = match doom.clock {
        0 => Clock::system(),
        at => Clock::fixed(Timestamp::from_micros(at)),
    };
    let nodes = open_nodes(&project, &store, &clock, sabotage, &Rng::from_entropy()).await?;
    let files = above.join("files");
    let work = Work { activity, seed, round: doom.life, files: files.clone() };
    let diary = Arc::new(Diary::open(&above.join(format!("diary-{}", doom.life)))?);
    std::fs::write(files.join(format!("begun-{}", doom.life)), "")?;
    let mut workers = victim::start(&nodes, &work, &diary);
    tokio::select! {
        _ = join_all(&mut workers) => {}
        () = until(&diary, doom.enough) => store.end(),
    }
    // All workers have failed, and the diary says why; the end comes by time.
    std::future::pending::<()>().await;
    Ok(())
}

impl Found {
    fn plus(self, other: Found) -> Found {
        Found {
            acknowledged: self.acknowledged + other.acknowledged,
            whole: self.whole + other.whole,
            partly: self.partly + other.partly,
            absent: self.absent + other.absent,
            orphans: self.orphans + other.orphans,
            snapshots: self.snapshots + other.snapshots,
            tended: self.tended + other.tended,
        }
    }
}
