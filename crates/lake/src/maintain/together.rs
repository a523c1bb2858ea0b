//! Removes objects together: a store deletes many of them for little more than one.
//!
//! In: paths. Out: what became of each, durably. Not here: which objects go (`doomed`, `superseded`), and
//! those that may be written again meanwhile (`orphans`).

use base::Result;
use futures::{StreamExt, stream};
use object_store::ObjectStore;
use object_store::path::Path;

use crate::failure::failed;

/// Objects that are removed with one call, and noted as removed with one statement.
pub(super) const TOGETHER: usize = 200;

/// Removes objects; says of each, in their order, whether it was there (some stores do not know). The list
/// is shorter when the store refused them together. What is removed stays so when the power fails.
pub(super) async fn remove(objects: &dyn ObjectStore, paths: &[Path]) -> Vec<Result<bool>> {
    let wanted: Vec<_> = paths.iter().cloned().map(Ok).collect();
    let deleted: Vec<_> = objects.delete_stream(stream::iter(wanted).boxed()).collect().await;
    let told = |(path, one): (&Path, object_store::Result<Path>)| match one {
        Ok(_) => Ok(true),
        Err(object_store::Error::NotFound { .. }) => Ok(false),
        Err(error) => Err(failed(format!("remove `{path}`"))(error)),
    };
    paths.iter().zip(deleted).map(told).collect()
}
