//! Credentials for tools that read files without the catalog.

use base::{Principal, Result, Scope};

use crate::project::Project;
use crate::s3::credentials::lend;
use crate::wire::{ConnectAnswer, ConnectRequest};

/// Makes credentials for the files of one table.
pub(super) async fn connect(
    project: &Project,
    principal: &Principal,
    request: ConnectRequest,
) -> Result<ConnectAnswer> {
    if request.write {
        principal.require(Scope::Write)?;
    }
    let reach = project.live().lake.reach_by_name(&request.table).await?;
    let made = lend(project, principal, &reach, request.write, project.clock.now())?;
    Ok(ConnectAnswer {
        location: reach.locations.into_iter().next().unwrap_or_default(),
        access_key: made.access_key,
        secret_key: made.secret_key,
        session_token: made.session_token,
        expires_at: made.expires.to_string(),
    })
}
