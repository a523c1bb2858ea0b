//! Makes an empty table for a type.

use std::collections::HashMap;
use std::sync::Arc;

use base::Result;
use base::ids::TableId;
use iceberg::MetadataLocation;
use iceberg::spec::{FormatVersion, TableMetadata, TableMetadataBuilder};
use schema::{ObjectType, Schema, TableFormat};

use crate::commit::snapshot::{stamped, write_metadata_file};
use crate::failure::failed;
use crate::lake::{Lake, object_named};
use crate::lance_table;
use crate::shape;
use crate::table::{Seen, Table};

/// Makes the table when there is none; nobody sees it before the catalog names it.
pub(super) async fn create(
    lake: &Lake,
    schema: &Schema,
    type_name: &str,
) -> Result<Option<Arc<Table>>> {
    if lake.catalog().find(type_name).await?.is_some() {
        return Ok(None);
    }
    let object = object_named(schema, type_name)?;
    let table = empty(lake, schema, object, shape::table_spec(object)?.format).await?;
    Ok(Some(Arc::new(table)))
}

/// An empty table for a type, in a format.
pub(super) async fn empty(
    lake: &Lake,
    schema: &Schema,
    object: &ObjectType,
    format: TableFormat,
) -> Result<Table> {
    let spec = shape::table_spec(object)?;
    let namespace = namespace_of(schema, object);
    let id = TableId::generate(&lake.config().rng);
    if format == TableFormat::Lance {
        return Ok(empty_lance(lake, object, &spec.name, namespace, id));
    }
    let location = location(lake, &namespace, &spec.name, id);
    let metadata = metadata(lake, object, &location)?;
    let file = MetadataLocation::new_with_metadata(&location, &metadata);
    write_metadata_file(lake, &metadata, &file).await?;
    Ok(Table {
        id,
        type_name: Arc::clone(&object.name),
        namespace,
        name: Arc::clone(&spec.name),
        format: TableFormat::Iceberg,
        metadata_location: file.to_string().into(),
        iceberg: Some(Arc::new(metadata)),
        lance_version: 0,
        search_version: 0,
        version: 1,
        seen: Seen::default(),
    })
}

/// A Lance table without rows: its dataset is made by the first ones.
fn empty_lance(
    lake: &Lake,
    object: &ObjectType,
    name: &Arc<str>,
    namespace: Arc<str>,
    id: TableId,
) -> Table {
    let mut table = Table {
        id,
        type_name: Arc::clone(&object.name),
        namespace,
        name: Arc::clone(name),
        format: TableFormat::Lance,
        metadata_location: "".into(),
        iceberg: None,
        lance_version: 0,
        search_version: 0,
        version: 1,
        seen: Seen::default(),
    };
    let location = lake.locations().location(&lance_table::dataset_name(&table));
    table.metadata_location = location.into();
    table
}

/// The module of a type: the namespace of its table.
pub(super) fn namespace_of(schema: &Schema, object: &ObjectType) -> Arc<str> {
    let module = schema.modules.get(object.module);
    module.map_or_else(|| "default".into(), |module| Arc::clone(&module.name))
}

/// A table's folder: its name for people, and a part of its id, because a table may be dropped and
/// made again.
fn location(lake: &Lake, namespace: &str, name: &str, id: TableId) -> String {
    let short = id.as_uuid().simple().to_string();
    lake.locations().location(&format!("{namespace}/{name}-{}", &short[..8]))
}

/// The metadata of an empty table.
fn metadata(lake: &Lake, object: &ObjectType, location: &str) -> Result<TableMetadata> {
    let doing = || format!("create a table for type `{}`", object.name);
    let schema = shape::iceberg_schema(object)?;
    let spec = shape::partition_spec(object, &schema)?;
    let order = shape::sort_order(object, &schema)?;
    let properties = HashMap::from([
        ("write.parquet.compression-codec".to_owned(), "zstd".to_owned()),
        ("write.metadata.previous-versions-max".to_owned(), "20".to_owned()),
        ("headwater.type".to_owned(), object.name.to_string()),
    ]);
    let location = location.to_owned();
    let builder =
        TableMetadataBuilder::new(schema, spec, order, location, FormatVersion::V2, properties)
            .map_err(failed(doing()))?;
    let built = builder.build().map_err(failed(doing()))?;
    stamped(built.metadata, lake.config().clock.now())
}
