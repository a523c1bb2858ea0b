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
#[path = "crash/moving.rs"]
mod moving;
#[path = "crash/oracle.rs"]
mod oracle;
#[path = "crash/places.rs"]
mod places;
#[path = "crash/process.rs"]
mod process;
#[path = "crash/reach.rs"]
mod reach;
#[path = "crash/sabotage.rs"]
mod sabotage;
#[path = "crash/session.rs"]
mod session;
#[path = "crash/verdict.rs"]
mod verdict;
#[path = "crash/victim.rs"]
mod victim;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use apply::Shop;
use places::Bucket;
pub(crate) use process::{Doom, victim};
use sabotage::Sabotage;
use session::Session;
use verdict::Found;
use victim::ACTIVITIES;
pub(crate) use victim::Activity;

/// How a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Way {
    /// By a signal.
    Killed,
    /// Without power.
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

/// What one suite is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) runs: u64,
    pub(crate) seed: u64,
    /// These activities; all when there are none.
    pub(crate) only: &'a [Activity],
    /// Only in this way.
    pub(crate) way: Option<Way>,
    pub(crate) sabotage: Option<&'a str>,
}

impl Asked<'_> {
    fn wants(&self, activity: Activity) -> bool {
        self.only.is_empty() || self.only.contains(&activity)
    }

    fn ends_by(&self, way: Way) -> bool {
        self.way.is_none_or(|one| one == way)
    }
}

/// Ends every activity in every way that is asked for, `runs` times each; gives the ends and how many
/// were survived, or with a sabotage the runs and how many noticed.
pub(crate) async fn run(asked: Asked<'_>) -> Result<(u64, u64)> {
    if let Some(sabotage) = asked.sabotage {
        return sabotage::run(Sabotage::parse(sabotage)?, asked).await;
    }
    let (mut ends, mut survived) = (0, 0);
    for activity in ACTIVITIES.into_iter().filter(|one| asked.wants(*one)) {
        for way in [Way::Killed, Way::Dark].into_iter().filter(|way| asked.ends_by(*way)) {
            let started = Instant::now();
            let (found, lost) = all_lives(activity, way, asked).await?;
            ends += asked.runs;
            survived += asked.runs - lost;
            report(activity, way, asked.runs, lost, &found, started.elapsed());
        }
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

/// Projects of some lives each, several at the same time, until there were as many ends as were asked
/// for.
async fn all_lives(activity: Activity, way: Way, asked: Asked<'_>) -> Result<(Found, u64)> {
    let bucket = (activity == Activity::MigrateStore).then(Bucket::new).transpose()?;
    let projects = (0..asked.runs.div_ceil(activity.lives())).map(|number| {
        let start = asked.seed.wrapping_mul(1_000_003);
        let seed = start.wrapping_add(number * 16 + way as u64 * 8) + activity as u64;
        let lives = activity.lives().min(asked.runs - number * activity.lives());
        base::task::spawn("torture project", some_lives(activity, way, seed, lives, bucket.clone()))
    });
    let mut projects = stream::iter(projects).buffer_unordered(activity.at_once());
    let (mut found, mut lost, mut ends) = (Found::default(), 0, 0);
    while let Some(one) = projects.try_next().await? {
        let (more, failed, lives) = one?;
        (found, lost, ends) = (found.plus(more), lost + failed, ends + lives);
        // A run of hours that is cut off has said how far it came.
        crate::note(&format!(
            "{} {}: {ends} of {} ends, {lost} not survived",
            activity.name(),
            way.name(),
            asked.runs
        ));
    }
    Ok((found, lost))
}

/// So many lives of one project; gives what was found, and how many were not survived of how many. A
/// life that is not survived ends its project, and the others are those of another one.
async fn some_lives(
    activity: Activity,
    way: Way,
    seed: u64,
    lives: u64,
    bucket: Option<Bucket>,
) -> Result<(Found, u64, u64)> {
    let (mut found, mut lost, mut left) = (Found::default(), 0, lives);
    while left > 0 {
        let seed = seed.wrapping_add(lost << 40);
        let bucket = bucket.as_ref().map(|bucket| bucket.below(&format!("{}-{seed}", way.name())));
        let mut subject = match activity {
            Activity::Apply => Subject::Shop(Box::new(Shop::new(way, seed).await?)),
            _ => Subject::Lake(Box::new(Session::new(activity, way, seed, left, bucket).await?)),
        };
        while left > 0 {
            left -= 1;
            match subject.life().await {
                Ok(one) => found = found.plus(one),
                Err(error) => {
                    lost += 1;
                    crate::say(&format!(
                        "{} {}: FAILED in life {} of project {seed}, kept in `{}`: {error:#}",
                        activity.name(),
                        way.name(),
                        subject.lived(),
                        subject.keep().display()
                    ));
                    break;
                }
            }
        }
    }
    Ok((found, lost, lives))
}

/// What lives and ends.
enum Subject {
    /// A lake and those who work on it.
    Lake(Box<Session>),
    /// A whole project, of which the schema changes.
    Shop(Box<Shop>),
}

impl Subject {
    async fn life(&mut self) -> Result<Found> {
        match self {
            Subject::Lake(session) => session.life().await,
            Subject::Shop(shop) => shop.life().await,
        }
    }

    /// Lives that were survived.
    fn lived(&self) -> u64 {
        match self {
            Subject::Lake(session) => session.lived(),
            Subject::Shop(shop) => shop.lived(),
        }
    }

    /// Leaves the folder of a failed project for a look, and says where it is.
    fn keep(self) -> PathBuf {
        match self {
            Subject::Lake(session) => session.keep(),
            Subject::Shop(shop) => shop.keep(),
        }
    }
}
