//! Guards that are broken on purpose, from outside: the product knows nothing of it.
//!
//! In: the guard's name. Out: what the victim's store, clock and database become, and whether each run
//! noticed. Not here: how runs notice (`verdict`).

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use base::{Clock, Timestamp};
use object_store::ObjectStore;
use testkit::ending_store::Moment;
use testkit::hasty_store::HastyStore;

use super::process::PATIENCE;
use super::session::{Fall, Session};
use super::verdict::{Project, Verdict};
use super::{Activity, Asked, Way};

/// Objects that a store has acknowledged and holds in its memory.
const HELD: usize = 6;
/// Operations that are acknowledged before a sabotaged victim ends.
const ENOUGH: u64 = 24;
/// How far the clock of the node that expires is ahead.
const AHEAD: i64 = 1000 * 3600 * 1_000_000;

/// A guard that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sabotage {
    /// The store acknowledges objects that it has not written.
    AckBeforeSync,
    /// A commit does not look whether the table has moved.
    SkipConflictCheck,
    /// Snapshots and files count as old before they are.
    EarlyExpire,
}

impl Sabotage {
    const ALL: [Sabotage; 3] =
        [Sabotage::AckBeforeSync, Sabotage::SkipConflictCheck, Sabotage::EarlyExpire];

    pub(super) fn parse(name: &str) -> Result<Sabotage> {
        match Sabotage::ALL.into_iter().find(|one| one.name() == name) {
            Some(found) => Ok(found),
            None => {
                let known = Sabotage::ALL.map(Sabotage::name).join("`, `");
                bail!("this suite cannot sabotage `{name}`; it can `{known}`")
            }
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Sabotage::AckBeforeSync => "ack-before-sync",
            Sabotage::SkipConflictCheck => "skip-conflict-check",
            Sabotage::EarlyExpire => "early-expire",
        }
    }

    /// Where the guard stands.
    fn activities(self) -> &'static [Activity] {
        match self {
            Sabotage::AckBeforeSync => &[Activity::Mutate, Activity::Import],
            Sabotage::SkipConflictCheck => &[Activity::Mutate],
            Sabotage::EarlyExpire => &[Activity::Expire],
        }
    }
}

/// The store that the victim works on.
pub(super) fn store(
    sabotage: Option<Sabotage>,
    store: Arc<dyn ObjectStore>,
) -> Arc<dyn ObjectStore> {
    match sabotage {
        Some(Sabotage::AckBeforeSync) => Arc::new(HastyStore::new(store, HELD)),
        _ => store,
    }
}

/// The clock of the node that expires.
pub(super) fn tender(sabotage: Option<Sabotage>, clock: &Clock) -> Clock {
    match sabotage {
        Some(Sabotage::EarlyExpire) => {
            Clock::fixed(Timestamp::from_micros(clock.now().as_micros() + AHEAD))
        }
        _ => clock.clone(),
    }
}

/// Lets every table keep the version that it has, so that whoever asks whether it has moved hears that
/// it has not.
pub(super) async fn database(sabotage: Option<Sabotage>, project: &Project) -> Result<()> {
    if sabotage != Some(Sabotage::SkipConflictCheck) {
        return Ok(());
    }
    let sql = "CREATE TRIGGER IF NOT EXISTS sabotage AFTER UPDATE ON lake_tables \
               WHEN NEW.version <> OLD.version BEGIN \
               UPDATE lake_tables SET version = OLD.version WHERE id = NEW.id; END";
    project.database().await?.execute(sql, &[]).await?;
    Ok(())
}

/// Runs sabotaged lives; gives how many there were and how many noticed.
pub(super) async fn run(sabotage: Sabotage, asked: Asked<'_>) -> Result<(u64, u64)> {
    let (mut runs, mut caught) = (0, 0);
    for activity in sabotage.activities() {
        for way in [Way::Killed, Way::Dark] {
            for number in 0..asked.runs {
                runs += 1;
                let seed = asked.seed.wrapping_add(number);
                match life(sabotage, *activity, way, seed).await? {
                    Some(notice) => {
                        caught += 1;
                        crate::say(&format!(
                            "{} {} {seed}: caught: {notice}",
                            activity.name(),
                            way.name()
                        ));
                    }
                    None => crate::say(&format!(
                        "{} {} {seed}: NOT caught",
                        activity.name(),
                        way.name()
                    )),
                }
            }
        }
    }
    Ok((runs, caught))
}

/// One sabotaged life of a new project; gives what was noticed.
async fn life(
    sabotage: Sabotage,
    activity: Activity,
    way: Way,
    seed: u64,
) -> Result<Option<String>> {
    let mut session = Session::new(activity, way, seed, 1, None).await?;
    let never = Moment { call: 0, before: false, later: Duration::ZERO };
    let fall = Fall { moment: never, at: PATIENCE, enough: ENOUGH, step: 0 };
    let said = match session.live(fall, Some(sabotage)).await {
        Ok(said) => said,
        // A victim that notices the damage itself has noticed.
        Err(error) => return Ok(Some(format!("{error:#}"))),
    };
    ensure!(said.done.len() as u64 >= ENOUGH, "a sabotaged victim did too little");
    let clock = session.clock();
    let verdict = Verdict {
        project: &session.project,
        said: &said,
        clock: &clock,
        rng: &session.rng,
        clean: false,
    };
    let found = verdict.reach(&mut session.model).await;
    Ok(found.err().map(|error| format!("{error:#}")))
}
