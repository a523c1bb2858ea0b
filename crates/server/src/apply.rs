//! Carries a plan out: step by step, journalled in the metadata database, so that a killed apply
//! goes on where it stopped and never runs a finished step twice.
//!
//! In: the deployed schema, the wanted one, and the names of what may be lost. Out: a new deployed
//! version. Not here: which steps there are (`schema::plan`), how a table changes (`lake`).

use std::sync::Arc;
use std::time::Duration;

use base::ids::RunId;
use base::{Error, Kind, Principal, Result};
use meta::leases::{self, Lease};
use schema::Schema;
use schema::load::Sources;
use schema::plan::{self, Direction, Plan, PlannedStep};

use crate::operations::loss_name;
use crate::project::Project;
use crate::versions::{self, Deployed};
use crate::wire::Progress;

/// The journal of applies.
pub(crate) const MIGRATION: &str = "CREATE TABLE server_applies (
    id TEXT PRIMARY KEY,
    base_version BIGINT NOT NULL,
    base TEXT NOT NULL,
    target TEXT NOT NULL,
    plan TEXT NOT NULL,
    files TEXT NOT NULL,
    author TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    finished_at BIGINT,
    steps_done BIGINT NOT NULL
)";

/// One apply at a time, over all nodes.
const LEASE: &str = "apply";
const LEASE_TIME: Duration = Duration::from_secs(30);
const LEASE_RENEWAL: Duration = Duration::from_secs(10);

/// What an apply did.
#[derive(Clone, Debug)]
pub(crate) struct Applied {
    pub(crate) version: i64,
    pub(crate) plan: Plan,
    pub(crate) steps: usize,
    pub(crate) resumed: bool,
}

/// A journal entry that has no end yet.
struct Unfinished {
    id: String,
    target: String,
    plan: Plan,
    steps_done: usize,
}

/// What to apply, and under which conditions.
struct Wanted<'a> {
    schema: Arc<Schema>,
    direction: Direction,
    expected_base: Option<&'a str>,
    allowed: &'a [String],
}

/// Applies the wanted schema. Errors: `Stale` when the deployed schema is not `expected_base`;
/// `Conflict` while another apply runs; `Denied` when something would be lost that is not named.
pub(crate) async fn apply(
    project: &Project,
    principal: &Principal,
    wanted: Arc<Schema>,
    expected_base: Option<&str>,
    allowed: &[String],
    report: &mut (dyn FnMut(Progress) + Send),
) -> Result<Applied> {
    let wanted = Wanted { schema: wanted, direction: Direction::Forward, expected_base, allowed };
    leased(project, principal, wanted, report).await
}

/// Goes back to the schema before the deployed one, under the same conditions.
pub(crate) async fn undo(
    project: &Project,
    principal: &Principal,
    expected_base: Option<&str>,
    allowed: &[String],
    report: &mut (dyn FnMut(Progress) + Send),
) -> Result<Applied> {
    let deployed = versions::current(&project.database).await?;
    let earlier = versions::before(&project.database, deployed.version).await?;
    let expected_base = Some(expected_base.unwrap_or(&deployed.schema.fingerprint));
    let wanted =
        Wanted { schema: earlier.schema, direction: Direction::Undo, expected_base, allowed };
    leased(project, principal, wanted, report).await
}

async fn leased(
    project: &Project,
    principal: &Principal,
    wanted: Wanted<'_>,
    report: &mut (dyn FnMut(Progress) + Send),
) -> Result<Applied> {
    let lease = acquire(project).await?;
    let renewal = renew(project, lease.clone());
    let result = apply_leased(project, principal, wanted, report).await;
    drop(renewal);
    leases::release(&project.database, &lease).await?;
    result
}

async fn acquire(project: &Project) -> Result<Lease> {
    leases::acquire(&project.database, &project.clock, LEASE, project.node, LEASE_TIME)
        .await?
        .ok_or_else(|| {
            Error::new(Kind::Conflict, "another apply is running").hint(
                "`headwater status` shows how far it is; when its process died, wait half a minute",
            )
        })
}

/// Keeps the lease while the apply runs; stops with its handle.
fn renew(project: &Project, mut lease: Lease) -> base::task::Task<()> {
    let (database, clock) = (project.database.clone(), project.clock.clone());
    base::task::spawn("renew the lease of an apply", async move {
        loop {
            tokio::time::sleep(LEASE_RENEWAL).await;
            match leases::renew(&database, &clock, &lease, LEASE_TIME).await {
                Ok(renewed) => lease = renewed,
                Err(error) => tracing::warn!(%error, "failed to renew the lease of an apply"),
            }
        }
    })
}

async fn apply_leased(
    project: &Project,
    principal: &Principal,
    wanted: Wanted<'_>,
    report: &mut (dyn FnMut(Progress) + Send),
) -> Result<Applied> {
    let deployed = versions::current(&project.database).await?;
    refuse_stale(&deployed, wanted.expected_base)?;
    if let Some(unfinished) = unfinished(project).await? {
        return resume(project, principal, &deployed, wanted.schema, unfinished, report).await;
    }
    let plan = match wanted.direction {
        Direction::Forward => plan_steps(&deployed.schema, &wanted.schema)?,
        Direction::Undo => plan_undo(&deployed.schema, &wanted.schema)?,
    };
    refuse_losses(&plan, wanted.allowed)?;
    if plan.is_empty() && deployed.version > 0 {
        project.refresh().await?;
        return Ok(Applied { version: deployed.version, plan, steps: 0, resumed: false });
    }
    let id = RunId::generate(&project.rng).to_string();
    begin(project, &id, principal, &deployed, &wanted.schema, &plan).await?;
    let run = Run { id: &id, from: 0, resumed: false };
    finish(project, principal, &deployed, wanted.schema, plan, run, report).await
}

fn refuse_stale(deployed: &Deployed, expected_base: Option<&str>) -> Result<()> {
    match expected_base {
        Some(base) if base != deployed.schema.fingerprint.as_ref() => Err(Error::new(
            Kind::Stale,
            format!(
                "the deployed schema changed since it was planned (it is version {} now)",
                deployed.version
            ),
        )
        .hint("run `headwater plan` again and review the new plan")),
        _ => Ok(()),
    }
}

/// Plans, and holds the plan to its checker before anything is touched.
pub(crate) fn plan_steps(deployed: &Schema, wanted: &Schema) -> Result<Plan> {
    let plan = plan::plan(deployed, wanted).map_err(Error::from)?;
    checked(plan, deployed, wanted)
}

/// Plans the way back.
pub(crate) fn plan_undo(deployed: &Schema, earlier: &Schema) -> Result<Plan> {
    let plan = plan::undo(deployed, earlier).map_err(Error::from)?;
    checked(plan, deployed, earlier)
}

fn checked(plan: Plan, deployed: &Schema, wanted: &Schema) -> Result<Plan> {
    let violations = plan::check(&plan, deployed, wanted);
    match violations.first() {
        None => {
            let steps: Vec<_> = plan.steps.iter().map(|planned| &planned.step).collect();
            lake::steps::check(&steps, deployed, wanted)?;
            Ok(plan)
        }
        Some(violation) => {
            Err(Error::internal(format!("the planned steps are not sound: {violation}")))
        }
    }
}

fn refuse_losses(plan: &Plan, allowed: &[String]) -> Result<()> {
    let lossy = || plan.steps.iter().filter_map(|step| Some((step, loss_name(step)?)));
    let unnamed: Vec<&str> = lossy()
        .filter(|(_, name)| !allowed.contains(name))
        .flat_map(|(step, _)| step.destroys.iter().map(String::as_str))
        .collect();
    if unnamed.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = lossy().map(|(_, name)| name).collect();
    Err(Error::new(Kind::Denied, format!("this would lose {}", unnamed.join("; ")))
        .hint(format!("add `--allow-destructive {}`", names.join(","))))
}

async fn begin(
    project: &Project,
    id: &str,
    principal: &Principal,
    deployed: &Deployed,
    wanted: &Schema,
    plan: &Plan,
) -> Result<()> {
    let files: Vec<(&str, &str)> =
        wanted.modules.iter().map(|module| (module.file.as_ref(), module.text.as_ref())).collect();
    let files = serde_json::to_string(&files)
        .map_err(|error| Error::internal("failed to write a schema's text").caused_by(error))?;
    let sql = "INSERT INTO server_applies (id, base_version, base, target, plan, files, author, started_at, steps_done)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0)";
    let params = [
        id.into(),
        deployed.version.into(),
        deployed.schema.fingerprint.as_ref().into(),
        wanted.fingerprint.as_ref().into(),
        plan::stored::to_text(plan)?.into(),
        files.into(),
        principal.subject.as_ref().into(),
        project.clock.now().as_micros().into(),
    ];
    project.database.execute(sql, &params).await?;
    Ok(())
}

async fn unfinished(project: &Project) -> Result<Option<Unfinished>> {
    let sql = "SELECT id, target, plan, steps_done FROM server_applies WHERE finished_at IS NULL ORDER BY started_at LIMIT 1";
    let Some(row) = project.database.query_one(sql, &[]).await? else {
        return Ok(None);
    };
    Ok(Some(Unfinished {
        id: row.text("id")?,
        target: row.text("target")?,
        plan: plan::stored::from_text(&row.text("plan")?)?,
        steps_done: usize::try_from(row.int("steps_done")?).unwrap_or(0),
    }))
}

/// The schema that an interrupted apply was going to, when there is one: for `apply --resume`.
pub(crate) async fn interrupted(project: &Project) -> Result<Option<Sources>> {
    let sql =
        "SELECT files FROM server_applies WHERE finished_at IS NULL ORDER BY started_at LIMIT 1";
    let Some(row) = project.database.query_one(sql, &[]).await? else {
        return Ok(None);
    };
    let files: Vec<(String, String)> =
        serde_json::from_str(&row.text("files")?).map_err(|error| {
            Error::new(Kind::Corrupt, "the journal of an apply cannot be read").caused_by(error)
        })?;
    Ok(Some(Sources::from_texts(files)))
}

async fn resume(
    project: &Project,
    principal: &Principal,
    deployed: &Deployed,
    wanted: Arc<Schema>,
    unfinished: Unfinished,
    report: &mut (dyn FnMut(Progress) + Send),
) -> Result<Applied> {
    if unfinished.target != wanted.fingerprint.as_ref() {
        return Err(Error::new(
            Kind::Conflict,
            format!(
                "an earlier apply of another schema was interrupted after step {} of {}",
                unfinished.steps_done,
                unfinished.plan.steps.len()
            ),
        )
        .hint("run `headwater apply --resume` to finish it first"));
    }
    let run = Run { id: &unfinished.id, from: unfinished.steps_done, resumed: true };
    finish(project, principal, deployed, wanted, unfinished.plan, run, report).await
}

/// Which run of the journal, and where it goes on.
struct Run<'a> {
    id: &'a str,
    from: usize,
    resumed: bool,
}

async fn finish(
    project: &Project,
    principal: &Principal,
    deployed: &Deployed,
    wanted: Arc<Schema>,
    plan: Plan,
    run: Run<'_>,
    report: &mut (dyn FnMut(Progress) + Send),
) -> Result<Applied> {
    for (index, planned) in plan.steps.iter().enumerate().skip(run.from) {
        report(Progress { what: planned.text.clone(), ..Progress::default() });
        step(project, planned, &deployed.schema, &wanted).await?;
        let sql = "UPDATE server_applies SET steps_done = $1 WHERE id = $2";
        let done = i64::try_from(index + 1).unwrap_or(i64::MAX);
        project.database.execute(sql, &[done.into(), run.id.into()]).await?;
    }
    let version = deployed.version + 1;
    switch(project, principal, run.id, version, &wanted).await?;
    project.refresh().await?;
    Ok(Applied { version, steps: plan.steps.len(), plan, resumed: run.resumed })
}

async fn step(project: &Project, planned: &PlannedStep, old: &Schema, new: &Schema) -> Result<()> {
    project
        .lake
        .execute_step(&planned.step, old, new, &|_| {})
        .await
        .map_err(|error| error.context(format!("failed to {}", planned.text)))
}

/// Makes the new schema the deployed one and closes the journal entry, in one transaction.
async fn switch(
    project: &Project,
    principal: &Principal,
    id: &str,
    version: i64,
    wanted: &Arc<Schema>,
) -> Result<()> {
    let now = project.clock.now();
    let author = principal.subject.to_string();
    let (id, wanted) = (id.to_owned(), Arc::clone(wanted));
    project
        .database
        .write(move |tx| {
            let (id, author, wanted) = (id.clone(), author.clone(), Arc::clone(&wanted));
            Box::pin(async move {
                versions::record(tx, version, &wanted, &author, now).await?;
                let sql = "UPDATE server_applies SET finished_at = $1 WHERE id = $2";
                tx.execute(sql, &[now.as_micros().into(), id.into()]).await?;
                Ok(())
            })
        })
        .await
}
