//! A victim that is a process of its own, from both sides: started and killed, and being it.
//!
//! In: a project, an activity, and when it ends. Out: a dead process, whose diary is left. Not here:
//! what it does (`victim`), when it ends (`session`).

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use base::rng::Rng;
use base::{Clock, Timestamp};
use futures::future::join_all;
use lake::store::LocalStore;
use testkit::ending_store::{End, EndingStore, Moment};

use super::diary::Diary;
use super::moving::Mover;
use super::places::Bucket;
use super::sabotage::Sabotage;
use super::session::{Fall, INTERVAL, open_nodes, until};
use super::verdict::Project;
use super::victim::{self, Activity, Work};

/// How long a victim may take to begin, and to reach a counted end.
pub(super) const PATIENCE: Duration = Duration::from_secs(180);

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
    /// Of a victim: end when so many operations are acknowledged; 0 is never.
    #[arg(long, default_value_t = 0, hide = true)]
    enough: u64,
    /// Of a victim: its clock, in microseconds since the epoch.
    #[arg(long, default_value_t = 0, hide = true)]
    clock: i64,
    /// Of a victim that moves objects: end with this report of a step; 0 is none.
    #[arg(long, default_value_t = 0, hide = true)]
    step: u64,
    /// Of a victim that moves objects: the bucket.
    #[arg(long, hide = true, requires = "endpoint")]
    bucket: Option<String>,
    /// Of a victim that moves objects: the server of the bucket.
    #[arg(long, hide = true)]
    endpoint: Option<String>,
}

/// Starts a victim of this life, lets it work until the end, and waits until it is dead.
pub(super) async fn be_killed(
    project: &Project,
    work: &Work,
    clock: i64,
    fall: Fall,
    sabotage: Option<Sabotage>,
) -> Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("lake-victim").arg("--project").arg(&project.folder);
    command.args(["--seed", &work.seed.to_string(), "--life", &work.round.to_string()]);
    command.args(["--only", work.activity.name(), "--call", &fall.moment.call.to_string()]);
    command.args(["--later", &fall.moment.later.as_micros().to_string()]);
    command.args(["--enough", &fall.enough.to_string(), "--step", &fall.step.to_string()]);
    command.args(["--clock", &clock.to_string()]);
    if fall.moment.before {
        command.arg("--before");
    }
    if let Some(bucket) = &project.bucket {
        command.args(["--bucket", &bucket.place, "--endpoint", &bucket.endpoint]);
    }
    if let Some(sabotage) = sabotage {
        command.args(["--sabotage", sabotage.name()]);
    }
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
    let child = child.context("failed to start a victim")?;
    wait_for_end(child, &work.files, work.round, fall).await
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
    let bucket = doom.bucket.clone().zip(doom.endpoint.clone());
    let bucket = bucket.map(|(place, endpoint)| Bucket::at(endpoint, place));
    let project = Project { folder, bucket };
    let later = Duration::from_micros(doom.later);
    let moment = Moment { call: doom.call, before: doom.before, later };
    let local = LocalStore::open(&project.objects())?;
    let store = EndingStore::new(Arc::new(local), End::Kill, moment);
    let clock = match doom.clock {
        0 => Clock::system(),
        at => Clock::fixed(Timestamp::from_micros(at)),
    };
    let nodes = open_nodes(&project, &store, &clock, sabotage, &Rng::from_entropy()).await?;
    let files = above.join("files");
    let mover = project.bucket.as_ref();
    let mover = mover.map(|bucket| Mover::new(&bucket.place, doom.step, later, &store));
    let work = Work { activity, seed, round: doom.life, files: files.clone(), mover };
    let diary = Arc::new(Diary::open(&above.join(format!("diary-{}", doom.life)))?);
    std::fs::write(files.join(format!("begun-{}", doom.life)), "")?;
    let mut workers = victim::start(&nodes, &work, &diary);
    tokio::select! {
        _ = join_all(&mut workers) => {}
        () = until(&diary, doom.enough, activity) => store.end(),
    }
    // All workers have failed, and the diary says why; the end comes by time.
    std::future::pending::<()>().await;
    Ok(())
}
