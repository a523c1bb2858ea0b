//! The steps of a plan that concern what lies beside the rows.
//!
//! In: a `schema::plan::Step` about text indexes or vectors. Out: what it says, done; doing it again
//! finds nothing left to do. Not here: all other steps (`crate::steps`).

use base::{Error, Kind, Result};
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;
use object_store::path::Path;
use schema::ObjectType;

use super::vectors::{Making, VectorSpace};
use crate::{Lake, Table};

impl Lake {
    /// Builds the text index of a table as it is.
    pub(crate) async fn build_search(&self, table: &Table, object: &ObjectType) -> Result<()> {
        if object.columns().any(|(field, _)| field.search) {
            self.text_parts(table, object, None).await?;
        }
        Ok(())
    }

    /// Computes the vectors of a field that are missing; with `index`, tends its index too.
    pub(crate) async fn build_vectors(
        &self,
        table: &Table,
        object: &ObjectType,
        field: &str,
        index: bool,
        making: &mut Making<'_>,
    ) -> Result<()> {
        let def = object.fields.get(field);
        let parts = def.and_then(|def| Some((def.column()?, def.vector.as_ref()?)));
        let (column, spec) = parts.ok_or_else(|| {
            Error::not_found(format!("field `{field}` of `{}` has no vectors", object.name))
        })?;
        let space = VectorSpace::of(table, spec);
        self.make_missing_vectors(table, object, &space, &column.column, None, making).await?;
        match index {
            true => self.inner.companions.tend_index(&space).await,
            false => Ok(()),
        }
    }

    /// Drops the vectors of a field that no other field of the new type shares.
    pub(crate) async fn drop_vectors(
        &self,
        table: &Table,
        old: &ObjectType,
        new: Option<&ObjectType>,
        field: &str,
    ) -> Result<()> {
        let Some(spec) = old.fields.get(field).and_then(|def| def.vector.as_ref()) else {
            return Ok(());
        };
        let space = VectorSpace::of(table, spec);
        let mut kept = new.iter().flat_map(|object| object.fields.values());
        let shared = kept.any(|def| {
            def.vector.as_ref().is_some_and(|spec| VectorSpace::of(table, spec) == space)
        });
        if shared {
            return Ok(());
        }
        self.inner.companions.forget_seen(&space).await?;
        self.inner.companions.lance.forget(&space.dataset).await?;
        delete_below(self.config().objects.as_ref(), &Path::from(space.dataset)).await
    }
}

async fn delete_below(objects: &dyn ObjectStore, folder: &Path) -> Result<()> {
    let failed = |error: object_store::Error| {
        Error::new(Kind::Io, format!("failed to delete what is in `{folder}`")).caused_by(error)
    };
    let listed = objects.list(Some(folder)).map_ok(|object| object.location).boxed();
    objects.delete_stream(listed).try_for_each(|_| async { Ok(()) }).await.map_err(failed)
}
