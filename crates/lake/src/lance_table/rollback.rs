//! Goes back to what an earlier version of a Lance table holds, by a new version.

use base::{Error, Kind, Result};
use futures::FutureExt;

use super::{Note, Work, dataset_at, snapshots};
use crate::lake::object_named;
use crate::{Lake, Snapshot};

/// Makes the table hold what it held at this version.
pub(crate) async fn rollback(
    lake: &Lake,
    type_name: &str,
    id: i64,
    author: &str,
) -> Result<Snapshot> {
    let schema = lake.schema();
    let object = object_named(&schema, type_name)?;
    let table = lake.table(type_name).await?;
    let work = Work::new(lake, object, &table);
    let known = snapshots(lake, &table).await?;
    let version =
        known.iter().find(|snapshot| snapshot.id == id).map(|snapshot| snapshot.id as u64);
    let dataset = match version {
        Some(version) => dataset_at(lake, &table, version, Some(&work.held)).await?,
        None => None,
    };
    let dataset = dataset.ok_or_else(|| {
        Error::not_found(format!("table `{}` has no snapshot {id}", table.name))
            .hint("`headwater snapshots` lists those that can be read")
    })?;
    let lacks = work.fields.iter().find(|field| dataset.schema().field(&field.name).is_none());
    if let Some(field) = lacks {
        let text = format!(
            "snapshot {id} of table `{}` is from before column `{}`",
            table.name, field.name
        );
        return Err(Error::new(Kind::Unsupported, text)
            .hint("undo the schema change first, or read the snapshot with `--at`"));
    }
    let mut dataset = dataset.as_ref().clone();
    dataset.restore().boxed().await.map_err(|error| work.writing(error))?;
    let summary = format!("rollback to {id}");
    let note = Note { operation: "overwrite", author, summary: &summary };
    work.publish(note, |_| Vec::new()).await?;
    let table = lake.table(type_name).await?;
    let newest = snapshots(lake, &table).await?.pop();
    newest.ok_or_else(|| Error::internal("a rollback made no version"))
}
