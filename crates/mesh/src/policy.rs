//! Policies: what a caller may not see is held back here, whatever is asked and whoever forgot to ask.
//!
//! ```text
//! request → rules of the caller → predicate and masks → Source → masks → batches
//! ```
//!
//! In: requests of tables, each with who asks. Out: answers without the rows and values that policies of
//! the schema hold back. Every scan, count and write of an engine passes here, so that by-key fields,
//! references, pages, counts, groups, search, neighbours and rows read back need no rule of their own.
//! Not here: what of the API a caller knows of (`schema::view`, [`views`]), which is where words are
//! given to callers; what is refused here was let through there by mistake.

mod changes;
mod mask;
mod rules;
pub(crate) mod views;

use std::sync::Arc;

use async_trait::async_trait;
use base::{Principal, Result};
use frame::{
    BatchStream, ChangesRequest, ChangesSeen, Scan, ScanRequest, State, Write, WriteReceipt,
    WriteRequest,
};
use futures::StreamExt;
use schema::Schema;

use crate::source::Source;
pub(crate) use mask::denied;
use rules::Rules;

/// Tables whose policies are held to.
pub(crate) struct Guarded {
    schema: Arc<Schema>,
    tables: Arc<dyn Source>,
}

/// The tables with the policies of a schema around them, if it has any.
pub(crate) fn guarded(schema: &Arc<Schema>, tables: Arc<dyn Source>) -> Arc<dyn Source> {
    if !schema.is_protected() {
        return tables;
    }
    Arc::new(Guarded { schema: Arc::clone(schema), tables })
}

#[async_trait]
impl Scan for Guarded {
    async fn scan(&self, request: ScanRequest) -> Result<BatchStream> {
        let Some(rules) = Rules::of(&self.schema, &request.table, &request.principal) else {
            return self.tables.scan(request).await;
        };
        let (request, masks) = rules.scan(request)?;
        let stream = self.tables.scan(request).await?;
        Ok(match masks {
            Some(masks) => Box::pin(stream.map(move |batch| masks.apply(&batch?))),
            None => stream,
        })
    }

    async fn count(&self, request: ScanRequest) -> Result<u64> {
        let Some(rules) = Rules::of(&self.schema, &request.table, &request.principal) else {
            return self.tables.count(request).await;
        };
        self.tables.count(rules.count(request)?).await
    }

    async fn snapshot(&self, table: &str) -> Result<i64> {
        self.tables.snapshot(table).await
    }

    fn changes_seen(
        &self,
        table: &str,
        fields: &[Arc<str>],
        principal: &Principal,
    ) -> Result<Option<ChangesSeen>> {
        let Some(rules) = Rules::of(&self.schema, table, principal) else {
            return self.tables.changes_seen(table, fields, principal);
        };
        Ok(Some(rules.changes(fields)?.seen()))
    }

    async fn since(&self, table: &str, from: i64) -> Result<Vec<State>> {
        self.tables.since(table, from).await
    }

    async fn changes(&self, request: ChangesRequest) -> Result<BatchStream> {
        let seen = self.changes_seen(&request.table, &request.fields, &request.principal)?;
        let Some(ChangesSeen { reads, show }) = seen else {
            return self.tables.changes(request).await;
        };
        let rows = self.tables.changes(ChangesRequest { fields: reads, ..request }).await?;
        Ok(show(rows))
    }
}

#[async_trait]
impl Write for Guarded {
    async fn write(&self, request: WriteRequest) -> Result<WriteReceipt> {
        if let Some(rules) = Rules::of(&self.schema, &request.table, &request.principal) {
            rules.check(&request.op)?;
        }
        self.tables.write(request).await
    }
}
