//! The phases of one apply, from its journal entry to the deployed version.
//!
//! In: a plan whose entry is in the journal. Out: the new version. Between two units the apply looks
//! whether it is to pause, and keeps to its pace. Not here: when the old version goes (`contract`).

use std::sync::Arc;
use std::time::Duration;

use base::{Error, Kind, Principal, Result};
use futures::future::BoxFuture;
use lake::catalog::Statement;
use lake::steps::{Control, SchemaChange, StepProgress, UNIT_ROWS};
use meta::Database;
use parking_lot::Mutex;
use schema::Schema;
use schema::plan::{Phase, Plan, PlannedStep};

use super::{Applied, Pace, Run, contract, number};
use crate::project::Project;
use crate::versions::{self, Deployed};
use crate::wire::Progress;

/// What takes reports, from wherever a step stands.
pub(super) struct Reports<'a> {
    report: Mutex<&'a mut (dyn FnMut(Progress) + Send)>,
    what: Mutex<String>,
}

impl<'a> Reports<'a> {
    pub(super) fn new(report: &'a mut (dyn FnMut(Progress) + Send)) -> Reports<'a> {
        Reports { report: Mutex::new(report), what: Mutex::default() }
    }

    /// Says what is done from now on.
    pub(super) fn begin(&self, what: &str) {
        what.clone_into(&mut self.what.lock());
        (self.report.lock())(Progress { what: what.to_owned(), ..Progress::default() });
    }

    pub(super) fn rows(&self, done: StepProgress) {
        let what = self.what.lock().clone();
        let what = if done.of > 0 { format!("{what} (of {} rows)", done.of) } else { what };
        (self.report.lock())(Progress { what, rows: done.rows, ..Progress::default() });
    }
}

/// Goes on from the first step that is not done.
pub(super) async fn finish(
    project: &Project,
    principal: &Principal,
    deployed: &Deployed,
    wanted: Arc<Schema>,
    plan: Plan,
    run: Run,
    report: &mut (dyn FnMut(Progress) + Send),
) -> Result<Applied> {
    let reports = Reports::new(report);
    let version = deployed.version + 1;
    {
        let progress = |done| reports.rows(done);
        let between = between(project, &run, &plan);
        // One for both: what was read before the switch is not read again while writers wait.
        let control = control(&progress, &between, run.pace);
        let work = Work { project, deployed, wanted: &wanted, plan: &plan, run: &run };
        work.prepare(&control, &reports).await?;
        reports.begin(&format!("switch to schema version {version}"));
        work.switch(principal, &control).await?;
    }
    project.refresh().await?;
    if run.pace.keep_old.is_none() {
        contract::all(project, &reports).await?;
        project.refresh().await?;
    }
    Ok(Applied { version, steps: plan.steps.len(), plan, resumed: run.resumed })
}

/// One apply under way.
#[derive(Clone, Copy)]
struct Work<'a> {
    project: &'a Project,
    deployed: &'a Deployed,
    wanted: &'a Schema,
    plan: &'a Plan,
    run: &'a Run,
}

impl Work<'_> {
    /// What nobody sees: every step's part before the switch.
    async fn prepare(self, control: &Control<'_>, reports: &Reports<'_>) -> Result<()> {
        let Work { project, deployed, wanted, plan, run } = self;
        let steps: Vec<_> = plan.steps.iter().map(|planned| &planned.step).collect();
        let change = SchemaChange { steps: &steps, old: &deployed.schema, new: wanted };
        for (index, planned) in plan.steps.iter().enumerate().skip(run.from) {
            // What is metadata alone happens in the switch and nowhere else.
            if planned.step.phase() == Phase::Contract {
                break;
            }
            reports.begin(&planned.text);
            (control.between)(0).await?;
            let prepared = project.lake.prepare_step(&planned.step, change, control).await;
            prepared.map_err(|error| failed(planned, error))?;
            note(&project.database, &run.id, index + 1).await?;
        }
        Ok(())
    }

    /// Makes the new schema the deployed one: tables, version and journal entry in one transaction.
    async fn switch(self, principal: &Principal, control: &Control<'_>) -> Result<()> {
        let Work { project, deployed, wanted, plan, run } = self;
        let version = deployed.version + 1;
        let steps: Vec<_> = plan.steps.iter().map(|planned| &planned.step).collect();
        let change = SchemaChange { steps: &steps, old: &deployed.schema, new: wanted };
        let now = project.clock.now();
        let mut also = versions::record(version, wanted, &principal.subject, now)?;
        let kept = run.pace.keep_old.map_or(0, |millis| millis.saturating_mul(1000));
        let until = now.as_micros().saturating_add(i64::try_from(kept).unwrap_or(i64::MAX));
        let sql = "UPDATE server_applies SET finished_at = $1, keep_until = $2, steps_done = $3 \
                   WHERE id = $4";
        let done = i64::try_from(plan.steps.len()).unwrap_or(i64::MAX);
        let finished: Statement = (
            sql.to_owned(),
            vec![now.as_micros().into(), until.into(), done.into(), run.id.as_str().into()],
        );
        also.push(finished);
        let versions = Some((deployed.version, version));
        let switched = project.lake.switch(change, versions, also, control).await;
        switched.map_err(|error| match error.kind() {
            // It was paused while it caught up with what was written meanwhile.
            Kind::Cancelled => error,
            _ => error.context(format!("failed to switch to version {version}")),
        })
    }
}

fn failed(planned: &PlannedStep, error: Error) -> Error {
    match error.kind() {
        Kind::Cancelled => error,
        _ => error.context(format!("failed to {}", planned.text)),
    }
}

async fn note(database: &Database, id: &str, done: usize) -> Result<()> {
    let sql = "UPDATE server_applies SET steps_done = $1 WHERE id = $2";
    let done = i64::try_from(done).unwrap_or(i64::MAX);
    database.execute(sql, &[done.into(), id.into()]).await.map(|_| ())
}

pub(super) fn control<'a>(
    progress: &'a (dyn Fn(StepProgress) + Send + Sync),
    between: &'a (dyn Fn(u64) -> BoxFuture<'static, Result<()>> + Send + Sync),
    pace: Pace,
) -> Control<'a> {
    let unit_rows = pace.throttle.map_or(UNIT_ROWS, |rate| rate.clamp(1, UNIT_ROWS));
    Control { between, unit_rows, ..Control::new(progress) }
}

/// What happens between two units: a look whether to pause, and a rest as long as the pace asks for.
fn between(
    project: &Project,
    run: &Run,
    plan: &Plan,
) -> impl Fn(u64) -> BoxFuture<'static, Result<()>> + Send + Sync + use<> {
    let (database, id, pace, of) =
        (project.database.clone(), run.id.clone(), run.pace, plan.steps.len());
    move |rows| {
        let (database, id) = (database.clone(), id.clone());
        Box::pin(async move {
            refuse_paused(&database, &id, of).await?;
            if let Some(rate) = pace.throttle.filter(|_| rows > 0) {
                let rest = Duration::from_secs_f64(rows as f64 / rate.max(1) as f64);
                tokio::time::sleep(rest).await;
            }
            Ok(())
        })
    }
}

async fn refuse_paused(database: &Database, id: &str, of: usize) -> Result<()> {
    let sql = "SELECT steps_done FROM server_applies WHERE id = $1 AND paused = 1";
    let Some(row) = database.query_one(sql, &[id.into()]).await? else { return Ok(()) };
    let done = row.int("steps_done")?;
    Err(Error::new(Kind::Cancelled, format!("the apply was paused after step {done} of {of}"))
        .hint("`headwater apply --resume` goes on"))
}

/// Ends a pause; gives the pace, which may be another one from now on.
pub(super) async fn unpause(project: &Project, id: &str, pace: Pace) -> Result<Pace> {
    let sql = "UPDATE server_applies SET paused = 0, throttle = COALESCE($1, throttle), \
               keep_old = COALESCE($2, keep_old) WHERE id = $3";
    let params = [number(pace.throttle), number(pace.keep_old), id.into()];
    project.database.execute(sql, &params).await?;
    let sql = "SELECT throttle, keep_old FROM server_applies WHERE id = $1";
    let row = project.database.query_one(sql, &[id.into()]).await?;
    let row = row.ok_or_else(|| Error::not_found("the journal entry of the apply is gone"))?;
    let number =
        |column| Ok::<_, Error>(row.opt_int(column)?.and_then(|number| u64::try_from(number).ok()));
    Ok(Pace { throttle: number("throttle")?, keep_old: number("keep_old")? })
}
