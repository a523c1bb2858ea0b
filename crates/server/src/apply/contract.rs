//! The last phase: what only the version before needs goes, once nobody is served by it.
//!
//! In: a change that is true and not contracted. Out: tables without what is hidden, and one served
//! version. It may be killed anywhere and done again. Not here: what a table gives up (`lake`).

use base::{Error, Kind, Result};
use lake::steps::SchemaChange;
use schema::plan::{self, Phase, Plan};

use super::Pace;
use super::run::{Reports, control};
use crate::project::Project;
use crate::versions;
use crate::wire::Progress;

/// A change that waits to be contracted.
struct Waiting {
    id: String,
    base: i64,
    plan: Plan,
    throttle: Option<u64>,
}

async fn waiting(project: &Project) -> Result<Option<Waiting>> {
    let sql = "SELECT id, base_version, plan, throttle FROM server_applies \
               WHERE finished_at IS NOT NULL AND contracted = 0 ORDER BY finished_at LIMIT 1";
    let Some(row) = project.database.query_one(sql, &[]).await? else { return Ok(None) };
    Ok(Some(Waiting {
        id: row.text("id")?,
        base: row.int("base_version")?,
        plan: plan::stored::from_text(&row.text("plan")?)?,
        throttle: row.opt_int("throttle")?.and_then(|rate| u64::try_from(rate).ok()),
    }))
}

/// Whether a change waits to be contracted.
pub(super) async fn waits(project: &Project) -> Result<bool> {
    Ok(waiting(project).await?.is_some())
}

/// Whether a change waits whose time is over.
pub(super) async fn is_due(project: &Project) -> Result<bool> {
    let sql = "SELECT id FROM server_applies \
               WHERE finished_at IS NOT NULL AND contracted = 0 AND paused = 0 AND keep_until <= $1";
    let now = project.clock.now().as_micros();
    Ok(project.database.query_one(sql, &[now.into()]).await?.is_some())
}

/// Contracts whatever waits for it, also what was paused.
pub(super) async fn leftover(
    project: &Project,
    report: &mut (dyn FnMut(Progress) + Send),
) -> Result<()> {
    let sql =
        "UPDATE server_applies SET paused = 0 WHERE finished_at IS NOT NULL AND contracted = 0";
    project.database.execute(sql, &[]).await?;
    all(project, &Reports::new(report)).await?;
    project.refresh().await
}

/// Contracts whatever waits for it.
pub(super) async fn all(project: &Project, reports: &Reports<'_>) -> Result<()> {
    while let Some(waiting) = waiting(project).await? {
        one(project, waiting, reports).await?;
    }
    Ok(())
}

/// Lets a change that is undone stay as it is: what it would give up comes back.
pub(super) async fn forget(project: &Project) -> Result<()> {
    let sql = "UPDATE server_applies SET contracted = 1 WHERE finished_at IS NOT NULL";
    project.database.execute(sql, &[]).await.map(|_| ())
}

async fn one(project: &Project, waiting: Waiting, reports: &Reports<'_>) -> Result<()> {
    let old = versions::at(&project.database, waiting.base).await?;
    let new = versions::at(&project.database, waiting.base + 1).await?;
    let bump = meta::changes::statement(versions::TOPIC);
    project.lake.catalog().retire(&[bump]).await?;
    for planned in waiting.plan.steps_in(Phase::Contract) {
        reports.begin(&planned.text);
    }
    let steps: Vec<_> = waiting.plan.steps.iter().map(|planned| &planned.step).collect();
    let change = SchemaChange { steps: &steps, old: &old.schema, new: &new.schema };
    let progress = |done| reports.rows(done);
    let throttle = waiting.throttle;
    let (database, id) = (project.database.clone(), waiting.id.clone());
    let between = move |rows: u64| -> futures::future::BoxFuture<'static, Result<()>> {
        let (database, id) = (database.clone(), id.clone());
        Box::pin(async move {
            refuse_paused(&database, &id).await?;
            if let Some(rate) = throttle.filter(|_| rows > 0) {
                let rest = rows as f64 / rate.max(1) as f64;
                tokio::time::sleep(std::time::Duration::from_secs_f64(rest)).await;
            }
            Ok(())
        })
    };
    let pace = Pace { throttle, ..Pace::default() };
    let control = control(&progress, &between, pace);
    let contracted = project.lake.contract(change, &control).await;
    contracted.map_err(|error: Error| match error.kind() {
        Kind::Cancelled => error,
        _ => error.context("failed to contract"),
    })?;
    let sql = "UPDATE server_applies SET contracted = 1 WHERE id = $1";
    project.database.execute(sql, &[waiting.id.as_str().into()]).await.map(|_| ())
}

async fn refuse_paused(database: &meta::Database, id: &str) -> Result<()> {
    let sql = "SELECT id FROM server_applies WHERE id = $1 AND paused = 1";
    match database.query_one(sql, &[id.into()]).await? {
        None => Ok(()),
        Some(_) => Err(Error::new(
            Kind::Cancelled,
            "the apply was paused while it gives up what only the version before needs",
        )
        .hint("`headwater apply --contract` goes on")),
    }
}
