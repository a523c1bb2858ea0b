//! The lake as a `frame::Write`: one change of one table, acknowledged when it is durable.

use async_trait::async_trait;
use base::{Result, Scope};
use frame::{WriteReceipt, WriteRequest};

use crate::commit::group;
use crate::lake::{Lake, object_named};

#[async_trait]
impl frame::Write for Lake {
    async fn write(&self, request: WriteRequest) -> Result<WriteReceipt> {
        request.principal.require(Scope::Write)?;
        object_named(&self.schema(), &request.table)?;
        group::write(self, request).await
    }
}
