//! One round of what is due without being asked.
//!
//! In: nothing but the tables themselves. Out: small files joined, old snapshots gone, vector indexes
//! that know the newest rows, files that nothing needs removed. What fails is logged and tried again
//! in the next round. Not here: when rounds are made (`server::maintenance`).

use base::Result;
use schema::TableFormat;

use super::{GRACE, after_commit};
use crate::companion::vectors::VectorSpace;
use crate::{Lake, Table};

impl Lake {
    /// Makes one round over all tables.
    pub async fn maintain(&self) -> Result<()> {
        for table in self.tables().await? {
            let type_name = table.type_name.as_ref();
            if table.format == TableFormat::Iceberg {
                if self.config().compact {
                    after_commit(self, type_name).await;
                }
                log_failure("let old snapshots go", type_name, self.expire(type_name, None).await);
            }
            log_failure("index vectors", type_name, self.tend_vectors(&table).await);
        }
        log_failure("remove files", "all tables", self.clean_orphans(GRACE).await);
        Ok(())
    }

    async fn tend_vectors(&self, table: &Table) -> Result<()> {
        let schema = self.schema();
        let Some(object) = schema.types.get(&table.type_name) else { return Ok(()) };
        for spec in object.fields.values().filter_map(|def| def.vector.as_ref()) {
            self.inner.companions.tend_index(&VectorSpace::of(table, spec)).await?;
        }
        Ok(())
    }
}

fn log_failure<T>(doing: &str, what: &str, result: Result<T>) {
    if let Err(error) = result {
        tracing::warn!(what, %error, "failed to {doing}");
    }
}
