//! Carries a plan out while the project is used, journalled in the metadata database, so that a killed
//! apply goes on where it stopped.
//!
//! ```text
//! plan → begin (journal) → prepare each step → switch: one transaction → contract, when it is time
//! ```
//!
//! In: the deployed schema, the wanted one, and the names of what may be lost. Out: a new deployed
//! version. Not here: which steps there are (`schema::plan`), how a table changes (`lake`).

mod abandon;
mod contract;
mod run;

use std::sync::Arc;
use std::time::Duration;

use base::ids::RunId;
use base::{Error, Kind, Principal, Result};
use meta::Param;
use meta::leases::{self, Lease};
use schema::Schema;
use schema::load::Sources;
use schema::plan::{self, Direction, Plan};

pub(crate) use self::abandon::abandon;
use crate::operations::loss_name;
use crate::project::Project;
use crate::versions::{self, Deployed};
use crate::wire::{Progress, SchemaText};

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

/// What the journal was given when changes got phases. Entries from before are contracted.
pub(crate) const PHASES: &[&str] = &[
    "ALTER TABLE server_applies ADD COLUMN paused BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE server_applies ADD COLUMN throttle BIGINT",
    "ALTER TABLE server_applies ADD COLUMN keep_old BIGINT",
    "ALTER TABLE server_applies ADD COLUMN keep_until BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE server_applies ADD COLUMN contracted BIGINT NOT NULL DEFAULT 1",
];

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

/// How fast an apply goes, and for how long it serves whom it leaves behind.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    /// Rows that are rewritten a second at most.
    pub(crate) throttle: Option<u64>,
    /// Milliseconds for which the version before is served on.
    pub(crate) keep_old: Option<u64>,
}

/// What to apply, and under which conditions.
struct Wanted<'a> {
    schema: Arc<Schema>,
    direction: Direction,
    expected_base: Option<&'a str>,
    allowed: &'a [String],
    pace: Pace,
}

/// Applies the wanted schema. Errors: `Stale` when the deployed schema is not `expected_base`;
/// `Conflict` while another apply runs; `Denied` when something would be lost that is not named.
pub(crate) async fn apply(
    project: &Project,
    principal: &Principal,
    wanted: Arc<Schema>,
    expected_base: Option<&str>,
    allowed: &[String],
    pace: Pace,
    report: &mut (dyn FnMut(Progress) + Send),
) -> Result<Applied> {
    let direction = Direction::Forward;
    let wanted = Wanted { schema: wanted, direction, expected_base, allowed, pace };
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
    let (schema, direction, pace) = (earlier.schema, Direction::Undo, Pace::default());
    let wanted = Wanted { schema, direction, expected_base, allowed, pace };
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
        return resume(project, principal, &deployed, &wanted, unfinished, report).await;
    }
    let plan = match wanted.direction {
        Direction::Forward => plan_steps(&deployed.schema, &wanted.schema)?,
        Direction::Undo => plan_undo(&deployed.schema, &wanted.schema)?,
    };
    refuse_losses(&plan, wanted.allowed)?;
    refuse_laxer_clients(&plan, wanted.pace)?;
    refuse_taken_names(project, &deployed.schema, &wanted.schema).await?;
    if plan.is_empty() && deployed.version > 0 {
        project.refresh().await?;
        return Ok(Applied { version: deployed.version, plan, steps: 0, resumed: false });
    }
    // Two versions are served at most: this apply takes the place of the one before it.
    match wanted.direction {
        Direction::Forward => contract::leftover(project, report).await?,
        Direction::Undo => contract::forget(project).await?,
    }
    let id = RunId::generate(&project.rng).to_string();
    begin(project, &id, principal, &deployed, &wanted, &plan).await?;
    let run = Run { id, from: 0, resumed: false, pace: wanted.pace };
    run::finish(project, principal, &deployed, wanted.schema, plan, run, report).await
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

/// Whoever names the version before is served by its policies: a change of policies is not for some only.
fn refuse_laxer_clients(plan: &Plan, pace: Pace) -> Result<()> {
    use schema::diff::ChangeKind;
    let kinds = [ChangeKind::TypePolicy, ChangeKind::FieldPolicy, ChangeKind::SourceScope];
    let changed = plan.changes.iter().find(|change| kinds.contains(&change.kind));
    match changed.filter(|_| pace.keep_old.is_some()) {
        None => Ok(()),
        Some(change) => Err(Error::new(
            Kind::Denied,
            format!(
                "policies change ({}), and clients of the schema before would be served by the old ones",
                change.message
            ),
        )
        .hint("apply the change of policies by itself, without `--keep-old`")),
    }
}

/// A new module whose name another tool's namespace has would hide the tables in it.
async fn refuse_taken_names(project: &Project, deployed: &Schema, wanted: &Schema) -> Result<()> {
    let is_new = |name: &str| deployed.modules.iter().all(|module| module.name.as_ref() != name);
    let taken = project.lake.foreign_namespaces().await?;
    let new = wanted.modules.iter().map(|module| module.name.as_ref()).filter(|name| is_new(name));
    match new.into_iter().find(|name| taken.iter().any(|taken| taken == name)) {
        None => Ok(()),
        Some(name) => Err(Error::new(
            Kind::AlreadyExists,
            format!(
                "module `{name}` has the name of a namespace that another tool made in the catalog"
            ),
        )
        .hint("give the module another name, or drop the namespace with that tool first")),
    }
}

async fn begin(
    project: &Project,
    id: &str,
    principal: &Principal,
    deployed: &Deployed,
    wanted: &Wanted<'_>,
    plan: &Plan,
) -> Result<()> {
    let (pace, wanted) = (wanted.pace, &wanted.schema);
    let files = serde_json::to_string(&SchemaText::from(&wanted.sources()).files)
        .map_err(|error| Error::internal("failed to write a schema's text").caused_by(error))?;
    let sql = "INSERT INTO server_applies (id, base_version, base, target, plan, files, author, started_at, steps_done, contracted, throttle, keep_old)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0, $9, $10)";
    let params = [
        id.into(),
        deployed.version.into(),
        deployed.schema.fingerprint.as_ref().into(),
        wanted.fingerprint.as_ref().into(),
        plan::stored::to_text(plan)?.into(),
        files.into(),
        principal.subject.as_ref().into(),
        project.clock.now().as_micros().into(),
        number(pace.throttle),
        number(pace.keep_old),
    ];
    project.database.execute(sql, &params).await?;
    Ok(())
}

fn number(value: Option<u64>) -> Param {
    match value {
        Some(value) => Param::Int(i64::try_from(value).unwrap_or(i64::MAX)),
        None => Param::Null,
    }
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
    wanted: &Wanted<'_>,
    unfinished: Unfinished,
    report: &mut (dyn FnMut(Progress) + Send),
) -> Result<Applied> {
    if unfinished.target != wanted.schema.fingerprint.as_ref() {
        return Err(Error::new(
            Kind::Conflict,
            format!(
                "an earlier apply of another schema was interrupted after step {} of {}",
                unfinished.steps_done,
                unfinished.plan.steps.len()
            ),
        )
        .hint("run `headwater apply --resume` to finish it first, or `headwater apply --abandon` to give it up"));
    }
    refuse_laxer_clients(&unfinished.plan, wanted.pace)?;
    let pace = run::unpause(project, &unfinished.id, wanted.pace).await?;
    let run = Run { id: unfinished.id, from: unfinished.steps_done, resumed: true, pace };
    let schema = Arc::clone(&wanted.schema);
    run::finish(project, principal, deployed, schema, unfinished.plan, run, report).await
}

/// Which run of the journal, and where it goes on.
struct Run {
    id: String,
    from: usize,
    resumed: bool,
    pace: Pace,
}

/// Asks the running apply to pause before its next unit.
pub(crate) async fn pause(project: &Project) -> Result<String> {
    let sql = "UPDATE server_applies SET paused = 1 WHERE finished_at IS NULL OR contracted = 0";
    if project.database.execute(sql, &[]).await? == 0 {
        return Err(
            Error::not_found("no apply is running").hint("`headwater status` shows what is")
        );
    }
    Ok("the apply pauses before its next unit; `headwater apply --resume` goes on".to_owned())
}

/// Ends the service of the version before, and gives up what only it needs.
pub(crate) async fn contract(
    project: &Project,
    report: &mut (dyn FnMut(Progress) + Send),
) -> Result<String> {
    let Some(version) = served(project).await? else {
        if contract::waits(project).await? {
            under_lease(project, report).await?;
        }
        return Ok("no earlier schema version is served".to_owned());
    };
    under_lease(project, report).await?;
    Ok(format!("schema version {version} is not served any more"))
}

async fn under_lease(project: &Project, report: &mut (dyn FnMut(Progress) + Send)) -> Result<()> {
    let lease = acquire(project).await?;
    let renewal = renew(project, lease.clone());
    let result = contract::leftover(project, report).await;
    drop(renewal);
    leases::release(&project.database, &lease).await?;
    result
}

/// Contracts when the time is over for which the version before was to be served.
pub(crate) async fn contract_when_due(project: &Project) -> Result<()> {
    if !contract::is_due(project).await? {
        return Ok(());
    }
    under_lease(project, &mut |_| {}).await
}

/// The version before the deployed one, while it is served.
pub(crate) async fn served(project: &Project) -> Result<Option<i64>> {
    let (deployed, oldest) = project.lake.catalog().deployed().await?;
    Ok((oldest > 0 && oldest < deployed).then_some(oldest))
}
