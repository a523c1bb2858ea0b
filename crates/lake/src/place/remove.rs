//! Empties the place that a move has left.
//!
//! In: both places, when everything that is needed is in the new one. Out: an empty old place; one
//! that was cut off goes on with what is left. Not here: when the move has ended (`migrate`).

use base::{Error, Kind, Result};
use futures::TryStreamExt;
use futures::future::BoxFuture;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use super::copy::Pass;
use super::migrate::{MoveReport, Progress};
use crate::failure::failed;

/// Objects that are removed between two looks whether this process is still who moves.
const BETWEEN: usize = 32;

/// Removes the objects of the old place that are in the new one. One that is not there was removed
/// there since, or was written by a node that is refused: nothing needs it either.
///
/// `still` fails when another process has taken over. A mover that slept while another one ended its
/// move, and moved back, must not remove what is in use again.
pub(super) async fn all<'a>(
    old: &dyn ObjectStore,
    new: &dyn ObjectStore,
    still: &(dyn Fn() -> BoxFuture<'a, Result<()>> + Send + Sync),
    progress: Progress<'_>,
) -> Result<Pass> {
    let mut pass = Pass::default();
    let found: Vec<ObjectMeta> =
        old.list(None).try_collect().await.map_err(failed("list old objects"))?;
    for (index, meta) in found.into_iter().enumerate() {
        if index % BETWEEN == 0 {
            still().await?;
        }
        one(old, new, &meta).await?;
        pass.objects += 1;
        pass.bytes += meta.size;
        let (objects, bytes) = (pass.objects, pass.bytes);
        progress(MoveReport { what: "remove old objects".to_owned(), objects, bytes });
    }
    Ok(pass)
}

async fn one(old: &dyn ObjectStore, new: &dyn ObjectStore, meta: &ObjectMeta) -> Result<()> {
    let path = &meta.location;
    let copy = match new.head(path).await {
        Ok(copy) => Some(copy),
        Err(object_store::Error::NotFound { .. }) => None,
        Err(error) => return Err(failed(format!("find `{path}`"))(error)),
    };
    if copy.is_some_and(|copy| copy.size != meta.size) {
        let text = format!("the copy of `{path}` has another size");
        return Err(Error::new(Kind::Corrupt, text).hint("the old object was kept"));
    }
    match old.delete(path).await {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(failed(format!("remove `{path}`"))(error)),
    }
}
