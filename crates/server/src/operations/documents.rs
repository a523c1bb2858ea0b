//! Operations on trusted documents: register, list, remove.

use base::{Principal, Result};

use crate::gate::documents;
use crate::project::Project;
use crate::wire::{
    DocumentInfo, DocumentRegisterAnswer, DocumentRegisterRequest, DocumentRemoveAnswer,
    DocumentRemoveRequest, ErrorBody,
};

pub(super) async fn register(
    project: &Project,
    principal: &Principal,
    request: DocumentRegisterRequest,
) -> Result<DocumentRegisterAnswer, ErrorBody> {
    let live = project.live();
    let (client, now) = (request.client.trim(), project.clock.now());
    let check = |text: &str| live.engine.check(text);
    documents::register(&project.database, principal, now, client, &request.documents, check).await
}

pub(super) async fn list(project: &Project) -> Result<Vec<DocumentInfo>> {
    documents::list(&project.database).await
}

pub(super) async fn remove(
    project: &Project,
    request: DocumentRemoveRequest,
) -> Result<DocumentRemoveAnswer> {
    let removed = documents::remove(&project.database, request.ids, request.client).await?;
    Ok(DocumentRemoveAnswer { removed })
}
