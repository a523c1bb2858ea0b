//! One project through several lives: when each ends, how, and what is found afterwards.
//!
//! ```text
//! draw the end → live → the diary → verdict → the next life
//! ```
//!
//! In: an activity, a way to end and a seed. Out: what was found after each life. Not here: the
//! victim's work (`victim`), victims that are processes (`process`), what must hold (`verdict`).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use base::rng::Rng;
use base::{Clock, Timestamp};
use futures::future::join_all;
use lake::store::{Durability, LocalStore};
use testkit::ending_store::{End, EndingStore, Moment};
use testkit::unsynced_store::UnsyncedFolder;

use super::diary::{self, Diary};
use super::moving::{self, Mover};
use super::oracle::{Model, Said};
use super::places::Bucket;
use super::sabotage::{self, Sabotage};
use super::verdict::{Found, Project, Verdict};
use super::victim::{self, Activity, Nodes, Work};
use super::{Way, process, reach};

/// Changing calls among which a counted end is drawn.
const CALLS: u64 = 120;
/// The longest life of a victim that no counted end reaches.
const LONGEST: Duration = Duration::from_millis(1500);
/// How long after a counted call the end may come.
pub(super) const LATER: Duration = Duration::from_millis(25);
/// Between two looks at a victim.
pub(super) const INTERVAL: Duration = Duration::from_millis(2);
/// Changing calls among which the end of a life in which objects move is drawn.
const MOVING_CALLS: u64 = 500;
/// Reports of a move among which an end is drawn.
const STEPS: u64 = 24;
/// The longest life in which objects move that no counted end reaches: about a move and a half.
const LONGEST_MOVE: Duration = Duration::from_secs(15);
/// Between the clocks of two lives of a project, so that what one wrote is old to the next.
const APART: i64 = 3600 * 1_000_000;

/// One project through several lives.
pub(super) struct Session {
    activity: Activity,
    way: Way,
    seed: u64,
    pub(super) rng: Rng,
    folder: tempfile::TempDir,
    pub(super) project: Project,
    pub(super) model: Model,
    start: Timestamp,
    lives: u64,
    lived: u64,
}

/// When a life ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fall {
    pub(super) moment: Moment,
    /// At this time after the beginning, whatever was counted.
    pub(super) at: Duration,
    /// Once so many operations were acknowledged, and the tables were tended after that; 0 is never.
    pub(super) enough: u64,
    /// With this report of a move, and as much later as the moment says; 0 is never.
    pub(super) step: u64,
}

impl Session {
    pub(super) async fn new(
        activity: Activity,
        way: Way,
        seed: u64,
        lives: u64,
        bucket: Option<Bucket>,
    ) -> Result<Session> {
        let folder = tempfile::tempdir()?;
        std::fs::create_dir(folder.path().join("files"))?;
        let project = Project { folder: folder.path().join("0"), bucket };
        std::fs::create_dir(&project.folder)?;
        project.create().await?;
        Ok(Session {
            activity,
            way,
            seed,
            rng: Rng::seeded(seed),
            folder,
            project,
            model: Model::default(),
            start: Clock::system().now(),
            lives,
            lived: 0,
        })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Lives that were survived.
    pub(super) fn lived(&self) -> u64 {
        self.lived
    }

    /// Leaves the folder for a look; gives where it is.
    pub(super) fn keep(self) -> PathBuf {
        self.folder.keep()
    }

    /// The clock of the present life. Where snapshots expire, it stands still, and each life is an
    /// hour after the one before it: what earlier lives wrote is old, what this one writes is not.
    pub(super) fn clock(&self) -> Clock {
        if self.activity != Activity::Expire {
            return Clock::system();
        }
        let behind = (self.lives - self.lived) as i64 * APART;
        Clock::fixed(Timestamp::from_micros(self.start.as_micros() - behind))
    }

    /// One more life, its end, and what is found then.
    pub(super) async fn life(&mut self) -> Result<Found> {
        let fall =
            if self.activity == Activity::MigrateStore { self.draw_move() } else { self.draw() };
        let said = self.live(fall, None).await?;
        let (clock, is_last) = (self.clock(), self.lived + 1 == self.lives);
        let is_moving = self.activity == Activity::MigrateStore;
        let resumes = is_moving && (self.rng.below(2) == 0 || is_last);
        // A move that goes on to its end is cleaned up after it, and one that does not in the middle.
        let clean = match self.activity {
            Activity::MigrateStore => !resumes,
            Activity::Expire => self.rng.below(2) == 0 || is_last,
            _ => true,
        };
        let verdict =
            Verdict { project: &self.project, said: &said, clock: &clock, rng: &self.rng, clean };
        let mut found = verdict.reach(&mut self.model).await?;
        if resumes {
            found.orphans += self.resume().await.context("when the move had gone on to its end")?;
        }
        self.lived += 1;
        Ok(found)
    }

    /// Lets an interrupted move go on to its end, and looks once more; gives the orphans.
    async fn resume(&mut self) -> Result<u64> {
        moving::resume(&self.project).await?;
        let (said, clock) = (Said::default(), self.clock());
        let (project, rng) = (&self.project, &self.rng);
        let verdict = Verdict { project, said: &said, clock: &clock, rng, clean: true };
        Ok(verdict.reach(&mut self.model).await?.orphans)
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
                step: 0,
            },
            _ => Fall { moment, at: LONGEST * 2, enough: 0, step: 0 },
        }
    }

    /// An end at a counted change of either place, at a random time, or with a step of the move.
    fn draw_move(&self) -> Fall {
        let Fall { moment, .. } = self.draw();
        let never = Moment { call: 0, ..moment };
        let limit = LONGEST_MOVE * 2;
        match self.rng.below(3) {
            0 => Fall {
                moment: never,
                at: Duration::from_micros(self.rng.below(LONGEST_MOVE.as_micros() as u64)),
                enough: 0,
                step: 0,
            },
            1 => {
                let moment = Moment { call: 1 + self.rng.below(MOVING_CALLS), ..moment };
                Fall { moment, at: limit, enough: 0, step: 0 }
            }
            _ => Fall { moment: never, at: limit, enough: 0, step: 1 + self.rng.below(STEPS) },
        }
    }

    /// Lets the victim live until its end; gives what it was told.
    pub(super) async fn live(&mut self, fall: Fall, sabotage: Option<Sabotage>) -> Result<Said> {
        if self.activity == Activity::MigrateStore {
            moving::forget_lease(&self.project).await?;
        }
        if self.activity == Activity::Expire {
            let micros = self.clock().now().as_micros() - APART;
            let at = Duration::from_micros(u64::try_from(micros)?);
            reach::age(&self.project.objects(), SystemTime::UNIX_EPOCH + at)?;
        }
        let diary = self.path().join(format!("diary-{}", self.lived));
        match self.way {
            Way::Killed => {
                let clock = fixed(&self.clock(), self.activity);
                let work = self.work(None);
                process::be_killed(&self.project, &work, clock, fall, sabotage).await?;
            }
            Way::Dark => self.go_dark(&diary, fall, sabotage).await?,
        }
        Said::of(diary::read(&diary)?)
    }

    fn work(&self, mover: Option<Arc<Mover>>) -> Work {
        Work {
            activity: self.activity,
            seed: self.seed,
            round: self.lived,
            files: self.path().join("files"),
            mover,
        }
    }

    async fn go_dark(
        &mut self,
        diary: &Path,
        fall: Fall,
        sabotage: Option<Sabotage>,
    ) -> Result<()> {
        let (folder, store) = unsynced(&self.project.objects(), fall.moment)?;
        let nodes = open_nodes(&self.project, &store, &self.clock(), sabotage, &self.rng).await?;
        let diary = Arc::new(Diary::open(diary)?);
        let bucket = self.project.bucket.as_ref();
        let later = fall.moment.later;
        let mover = bucket.map(|bucket| Mover::new(&bucket.place, fall.step, later, &store));
        let mut workers = victim::start(&nodes, &self.work(mover), &diary);
        tokio::select! {
            _ = join_all(&mut workers) => {}
            () = store.ended() => {}
            () = tokio::time::sleep(fall.at) => {}
            () = until(&diary, fall.enough, self.activity) => {}
        }
        store.end();
        // Those that ended were heard already.
        workers.retain(|worker| !worker.is_finished());
        workers.iter().for_each(base::task::Task::abort);
        join_all(workers).await;
        drop(nodes);
        let after = Project {
            folder: self.path().join(format!("{}", self.lived + 1)),
            bucket: self.project.bucket.clone(),
        };
        std::fs::create_dir_all(after.objects())?;
        let database = self.project.database().await?;
        database.snapshot_to(&after.folder.join("meta.db")).await?;
        folder.crash(&after.objects())?;
        store.release();
        self.project = after;
        Ok(())
    }
}

/// Ends when so many operations were acknowledged, and what tends the tables has gone round after
/// that; never for 0.
pub(super) async fn until(diary: &Diary, enough: u64, activity: Activity) {
    while enough == 0 || diary.done() < enough {
        tokio::time::sleep(INTERVAL).await;
    }
    // The round under way had begun before.
    let rounds = diary.tended() + 2 * activity.round();
    while diary.tended() < rounds {
        tokio::time::sleep(INTERVAL).await;
    }
}

/// The time of a clock that stands still; 0 for the machine's.
fn fixed(clock: &Clock, activity: Activity) -> i64 {
    if activity == Activity::Expire { clock.now().as_micros() } else { 0 }
}

/// Nodes over a store that ends, with what the sabotage does to them.
pub(super) async fn open_nodes(
    project: &Project,
    store: &EndingStore,
    clock: &Clock,
    sabotage: Option<Sabotage>,
    rng: &Rng,
) -> Result<Nodes> {
    let objects = sabotage::store(sabotage, Arc::new(store.clone()));
    let tender = sabotage::tender(sabotage, clock);
    sabotage::database(sabotage, project).await?;
    project.nodes(&objects, store, [clock, clock, &tender], rng).await
}

/// A folder of which only what is synced survives, and the store over it that freezes.
pub(super) fn unsynced(
    objects: &Path,
    moment: Moment,
) -> Result<(Arc<UnsyncedFolder>, EndingStore)> {
    let folder = Arc::new(UnsyncedFolder::new(objects)?);
    // What earlier lives left is on the disk already.
    sync_all(&folder, objects)?;
    let hook = Arc::clone(&folder);
    let sync = Durability::Watched(Arc::new(move |path: &Path| hook.synced(path)));
    let local = LocalStore::open_with(objects, sync)?;
    Ok((folder, EndingStore::new(Arc::new(local), End::Freeze, moment)))
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
