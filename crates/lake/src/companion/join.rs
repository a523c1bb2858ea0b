//! Joins the fragments of companions.
//!
//! In: a table. Out: its companions with the same contents in fewer fragments: each write adds one to them,
//! and each version lists them all. Not here: which are worth joining (`lance_fragments`), when (`maintain`),
//! letting old versions go (`maintain::lance_versions`).

use std::sync::Arc;

use base::Result;
use lance::Dataset;
use schema::{FieldKind, ObjectType};

use super::media::dataset_name;
use super::vectors::VectorSpace;
use crate::lance_store::failed;
use crate::{Lake, Table, lance_fragments};

impl Lake {
    /// Whether a table's companions have fragments that are worth joining.
    pub(crate) async fn are_companions_scattered(&self, table: &Table) -> Result<bool> {
        for dataset in self.open_companions(table).await? {
            // Most often there are too few of them to be worth a plan.
            if dataset.fragments().len() >= lance_fragments::MANY
                && lance_fragments::plan(&dataset, false).await.map_err(wrong)?.is_some()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Joins the fragments of a table's companions that are worth it. Contents may be added meanwhile.
    pub(crate) async fn join_companions(&self, table: &Table) -> Result<()> {
        for dataset in self.open_companions(table).await? {
            if let Some(plan) = lance_fragments::plan(&dataset, false).await.map_err(wrong)? {
                self.inner.budget.take(lance_fragments::read_by(&plan)).await;
                let done = lance_fragments::join(&dataset, &plan).await.map_err(wrong)?;
                let (removed, added) = (done.fragments_removed, done.fragments_added);
                tracing::debug!(companion = dataset.uri(), removed, added, "joined fragments");
            }
        }
        Ok(())
    }

    /// The companions that a table has by the schema, as they are now.
    async fn open_companions(&self, table: &Table) -> Result<Vec<Arc<Dataset>>> {
        let schema = self.schema();
        let Some(object) = schema.types.get(&table.type_name) else { return Ok(Vec::new()) };
        let mut open = Vec::new();
        for name in names(table, object) {
            open.extend(self.inner.companions.lance.dataset(&name, None, None).await?);
        }
        Ok(open)
    }
}

fn names(table: &Table, object: &ObjectType) -> Vec<String> {
    let mut names = Vec::new();
    for field in object.fields.values() {
        if matches!(field.kind, FieldKind::Media(_)) {
            names.push(dataset_name(table));
        }
        names.extend(field.vector.as_ref().map(|spec| VectorSpace::of(table, spec).dataset));
    }
    names.sort_unstable();
    names.dedup();
    names
}

fn wrong(error: lance::Error) -> base::Error {
    failed("join the fragments of a companion", error)
}
