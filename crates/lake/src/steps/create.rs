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
use crate::table::Table;

/// Makes the table when there is none.
pub(super) async fn create(lake: &Lake, schema: &Schema, type_name: &str) -> Result<()> {
    if lake.catalog().find(type_name).await?.is_some() {
        return Ok(());
    }
    let object = object_named(schema, type_name)?;
    let spec = shape::table_spec(object)?;
    let namespace = namespace_of(schema, object);
    let id = TableId::generate(&lake.config().rng);
    if spec.format == TableFormat::Lance {
        let table = empty_lance(lake, object, &spec.name, namespace, id);
        return created(lake, type_name, lake.catalog().create(&table).await).await;
    }
    let location = location(lake, &namespace, &spec.name, id);
    let metadata = metadata(lake, object, &location)?;
    let file = MetadataLocation::new_with_metadata(&location, &metadata);
    write_metadata_file(lake, &metadata, &file).await?;
    let table = Table {
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
    };
    let result = lake.catalog().create(&table).await;
    if result.is_err() {
        lake.discard_location(&file.to_string()).await;
    }
    created(lake, type_name, result).await
}

/// Another process that applies the same plan may have been faster, which is as good.
async fn created(lake: &Lake, type_name: &str, result: Result<()>) -> Result<()> {
    match result {
        Err(_) if lake.catalog().find(type_name).await?.is_some() => Ok(()),
        result => result,
    }
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
