//! Lance tables as other tools find them in the object store.
//!
//! In: names below `_versions/` that Lance's readers list, get and put. Out: the manifests that the
//! metadata database says there are, under those names; and versions that another tool has written,
//! committed like our own. So the database stays the only judge of which versions exist, and
//! nothing is stored twice. Not here: the protocol (`server`), our own writes (`lance_table`).

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{Field, Schema};
use base::{Error, Kind, Result};
use futures::TryStreamExt;
use lance::Dataset;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use schema::{self as central, ObjectType, TableFormat};

use crate::catalog::Swap;
use crate::enums;
use crate::keys::{self, KeyHash};
use crate::lake::{Lake, object_named};
use crate::lance_store::{Prepared, VersionNote, failed};
use crate::lance_table::{self, dataset_name};
use crate::{Table, shape};

/// The folder of a dataset's versions.
const VERSIONS: &str = "/_versions/";
/// How manifests end.
const ENDING: &str = ".manifest";

impl Lake {
    /// The object behind the name of a version; nothing when the name is not one of a version of
    /// ours.
    pub async fn lance_manifest(&self, name: &str) -> Result<Option<Path>> {
        let Some((dataset, version)) = version_of(name) else { return Ok(None) };
        self.inner.companions.lance.manifest_path(dataset, version).await
    }

    /// The names of all versions of a dataset, and where each is; nothing when it is not ours.
    pub async fn lance_manifests(&self, dataset: &str) -> Result<Vec<(String, Path)>> {
        let found = self.inner.companions.lance.manifests(dataset).await?;
        Ok(found.into_iter().map(|(version, path)| (name_of(dataset, version), path)).collect())
    }

    /// Whether this is the dataset of a Lance table of ours, also of one without rows, which has no version.
    pub async fn is_lance_dataset(&self, dataset: &str) -> Result<bool> {
        let is_of_table = self.lance_table_of(dataset).await?.is_some();
        Ok(is_of_table || !self.lance_manifests(dataset).await?.is_empty())
    }

    /// Makes a version that another tool has written (its manifest lies at `path`) the newest of one
    /// of our tables. `Conflict` when it was written on another version than the present one.
    pub async fn commit_lance_version(
        &self,
        dataset: &str,
        name: &str,
        path: &Path,
        author: &str,
    ) -> Result<()> {
        let (_, version) = version_of(name).ok_or_else(|| {
            Error::invalid(format!("`{name}` is no name of a version"))
                .hint("write with the manifest naming scheme V2, which is the default")
        })?;
        let table = self.lance_table_of(dataset).await?.ok_or_else(|| {
            Error::new(Kind::Denied, format!("`{dataset}` is written by Headwater alone"))
        })?;
        if table.lance_version + 1 != version {
            return Err(Error::new(
                Kind::Conflict,
                format!("version {version} was written meanwhile"),
            ));
        }
        let objects = &self.config().objects;
        let meta = objects.head(path).await.map_err(crate::failure::failed("read a manifest"))?;
        let prepared = Prepared::new(dataset, version, path, meta.size);
        let lance = &self.inner.companions.lance;
        let wrong = |error: Error| {
            error.context(format!("version {version} of table `{}` is refused", table.name))
        };
        let new = lance.candidate(&prepared).await.map_err(wrong)?;
        let old = lance.dataset(dataset, Some(table.lance_version), None).await?;
        let schema = self.schema();
        let object = object_named(&schema, &table.type_name)?;
        check(&schema, object, old.as_deref(), &new).await.map_err(wrong)?;
        let at = self.config().clock.now();
        let (operation, summary) = ("overwrite", "another tool");
        let statement = prepared.statement(&VersionNote { at, operation, author, summary });
        let mut swap = Swap::metadata(&table, Arc::clone(&table.metadata_location));
        swap.lance_version = version;
        self.catalog().swap_as(&[swap], &[statement], &self.writer()).await
    }

    async fn lance_table_of(&self, dataset: &str) -> Result<Option<Arc<Table>>> {
        let tables = self.tables().await?;
        let is_it = |table: &&Arc<Table>| {
            table.format == TableFormat::Lance && dataset_name(table) == dataset
        };
        Ok(tables.iter().find(is_it).cloned())
    }
}

/// The dataset and the version that a name stands for.
fn version_of(name: &str) -> Option<(&str, u64)> {
    let (dataset, file) = name.split_once(VERSIONS)?;
    let digits = file.strip_suffix(ENDING)?;
    let is_number = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let inverted: u64 = digits.parse().ok().filter(|_| is_number)?;
    Some((dataset, u64::MAX - inverted))
}

/// The name under which readers look for a version: newer ones come first in a listing.
fn name_of(dataset: &str, version: u64) -> String {
    format!("{dataset}{VERSIONS}{:020}{ENDING}", u64::MAX - version)
}

/// Refuses a version whose columns are others, or whose rows break the type's promises.
async fn check(
    schema: &central::Schema,
    object: &ObjectType,
    old: Option<&Dataset>,
    new: &Dataset,
) -> Result<()> {
    let columns = |dataset: &Dataset| Schema::from(dataset.schema());
    let are_the_same = match old {
        Some(old) => columns(old) == columns(new),
        None => are_alike(&lance_table::schema_of(object), &columns(new)),
    };
    if !are_the_same {
        return Err(Error::invalid(format!("the columns of type `{}` would change", object.name))
            .hint("edit the schema, then `headwater plan` and `headwater apply`"));
    }
    for (field, column) in object.columns().filter(|(field, _)| !field.nullable) {
        let missing = format!("{} IS NULL", column.column);
        let count = new.count_rows(Some(missing)).await;
        if count.map_err(|error| failed("count rows", error))? > 0 {
            let text =
                format!("field `{}.{}` must have a value in every row", object.name, field.name);
            return Err(Error::invalid(text));
        }
    }
    check_enums(schema, object, new).await?;
    check_keys(object, new).await
}

/// Texts of enums must be values of them.
async fn check_enums(schema: &central::Schema, object: &ObjectType, new: &Dataset) -> Result<()> {
    let of_enums = object.columns().filter(|(_, column)| enums::are_in(schema, column));
    let names: Vec<&str> = of_enums.map(|(_, column)| column.column.as_ref()).collect();
    if names.is_empty() {
        return Ok(());
    }
    let wrong = |error| failed("read enums", error);
    let mut scanner = new.scan();
    scanner.project(&names).map_err(wrong)?;
    let mut batches = scanner.try_into_stream().await.map_err(wrong)?;
    while let Some(batch) = batches.try_next().await.map_err(wrong)? {
        enums::check(schema, object, &batch)?;
    }
    Ok(())
}

/// Whether columns have the names and types that these have, in any order. Values that must be there are
/// looked for in the rows, as tools declare every column to be without some.
fn are_alike(wanted: &Schema, found: &Schema) -> bool {
    let is_there = |field: &Arc<Field>| {
        found.field_with_name(field.name()).is_ok_and(|found| {
            let of_wanted = field.data_type();
            of_wanted == found.data_type() || of_wanted.equals_datatype(found.data_type())
        })
    };
    wanted.fields().len() == found.fields().len() && wanted.fields().iter().all(is_there)
}

async fn check_keys(object: &ObjectType, new: &Dataset) -> Result<()> {
    let key = shape::key_columns(object)?;
    if key.is_empty() {
        return Ok(());
    }
    let wrong = |error| failed("read keys", error);
    let names: Vec<&str> = key.iter().map(AsRef::as_ref).collect();
    let mut scanner = new.scan();
    scanner.project(&names).map_err(wrong)?;
    let mut batches = scanner.try_into_stream().await.map_err(wrong)?;
    let mut seen: HashSet<KeyHash> = HashSet::new();
    while let Some(batch) = batches.try_next().await.map_err(wrong)? {
        let column = |name: &&str| batch.column_by_name(name).map(Arc::clone);
        let columns: Option<Vec<ArrayRef>> = names.iter().map(column).collect();
        let columns = columns.ok_or_else(|| Error::internal("a key's column was not read"))?;
        for (row, hash) in keys::hashes(&columns)?.into_iter().enumerate() {
            if !seen.insert(hash) {
                let key = keys::shown(object, &columns, row)?;
                let text = format!("two rows have the key `{key}`");
                return Err(Error::new(Kind::InvalidInput, text));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_versions_go_both_ways_and_others_are_none() {
        let name = name_of("_tables/a.lance", 3);
        assert_eq!(name, "_tables/a.lance/_versions/18446744073709551612.manifest");
        assert_eq!(version_of(&name), Some(("_tables/a.lance", 3)));
        assert_eq!(version_of("_tables/a.lance/_versions/3.manifest"), None);
        assert_eq!(version_of("_tables/a.lance/data/18446744073709551612.manifest"), None);
    }
}
