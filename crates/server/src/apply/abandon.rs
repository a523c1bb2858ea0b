//! Gives an apply up that did not come to its switch: nobody has seen anything of it.
//!
//! In: the journal entry of an apply that was paused, interrupted or refused by the rows. Out: no entry,
//! and tables without what it prepared, so that another schema can be applied. Not here: an apply that
//! came to its switch, which `undo` takes back.

use base::{Error, Kind, Result};
use lake::steps::{Control, SchemaChange};

use super::{Unfinished, acquire, interrupted, renew, unfinished};
use crate::project::Project;
use crate::versions;

/// Gives it up; says what in words. `Conflict` while it runs.
pub(crate) async fn abandon(project: &Project) -> Result<String> {
    let lease = acquire(project).await?;
    let renewal = renew(project, lease.clone());
    let result = leased(project).await;
    drop(renewal);
    meta::leases::release(&project.database, &lease).await?;
    result
}

async fn leased(project: &Project) -> Result<String> {
    let (Some(Unfinished { id, plan, steps_done, .. }), Some(sources)) =
        (unfinished(project).await?, interrupted(project).await?)
    else {
        return Err(Error::not_found("no apply was interrupted")
            .hint("`headwater undo` takes back one that is finished"));
    };
    let wanted = schema::compile(&sources).map_err(|_| {
        Error::new(Kind::Corrupt, "the schema in the journal of an apply does not compile")
    })?;
    let deployed = versions::current(&project.database).await?;
    let steps: Vec<_> = plan.steps.iter().map(|planned| &planned.step).collect();
    let change = SchemaChange { steps: &steps, old: &deployed.schema, new: &wanted };
    project.lake.give_up(change, &Control::new(&|_| {})).await?;
    let sql = "DELETE FROM server_applies WHERE id = $1 AND finished_at IS NULL";
    project.database.execute(sql, &[id.into()]).await?;
    let (of, version) = (steps.len(), deployed.version);
    Ok(format!(
        "the apply is given up after step {steps_done} of {of}; schema version {version} stays"
    ))
}
