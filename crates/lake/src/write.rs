//! The lake as a `frame::Write`: one change of one table, acknowledged when it is durable.

use async_trait::async_trait;
use base::{Result, Scope};
use frame::{WriteReceipt, WriteRequest};
use schema::TableFormat;

use crate::commit::group;
use crate::lake::{Lake, object_named};
use crate::lance_table;
use crate::successor;

/// How often a table may move to the other format under one write.
const MOVES: usize = 3;

#[async_trait]
impl frame::Write for Lake {
    async fn write(&self, request: WriteRequest) -> Result<WriteReceipt> {
        request.principal.require(Scope::Write)?;
        object_named(&self.schema(), &request.table)?;
        for _ in 1..MOVES {
            match once(self, request.clone()).await {
                Err(error) if successor::is_moved(&error) => {}
                result => return result,
            }
        }
        once(self, request).await
    }
}

async fn once(lake: &Lake, request: WriteRequest) -> Result<WriteReceipt> {
    match lake.table(&request.table).await?.format {
        TableFormat::Iceberg => group::write(lake, request).await,
        TableFormat::Lance => lance_table::write(lake, &request).await,
    }
}
