//! Makes an empty table for a type.

use std::collections::HashMap;
use std::sync::Arc;

use base::ids::TableId;
use base::{Error, Kind, Result};
use iceberg::MetadataLocation;
use iceberg::spec::{FormatVersion, TableMetadata, TableMetadataBuilder};
use schema::{ObjectType, Schema, TableFormat};

use crate::commit::snapshot::{stamped, write_metadata_file};
use crate::failure::failed;
use crate::lake::{Lake, object_named};
use crate::shape;
use crate::table::Table;

/// Makes the table when there is none.
pub(super) async fn create(lake: &Lake, schema: &Schema, type_name: &str) -> Result<()> {
    if lake.catalog().find(type_name).await?.is_some() {
        return Ok(());
    }
    let object = object_named(schema, type_name)?;
    let spec = shape::table_spec(object)?;
    if spec.format == TableFormat::Lance {
        let text = format!("type `{type_name}` asks for a Lance table");
        return Err(Error::new(Kind::Unsupported, text)
            .hint("use `@table(format: ICEBERG)`; media and vectors are in Lance either way"));
    }
    let module = schema.modules.get(object.module);
    let namespace: Arc<str> =
        module.map_or_else(|| "default".into(), |module| Arc::clone(&module.name));
    let id = TableId::generate(&lake.config().rng);
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
    match lake.catalog().create(&table).await {
        Ok(()) => Ok(()),
        Err(error) => {
            lake.discard_location(&file.to_string()).await;
            // Another process that applies the same plan was faster.
            let made = lake.catalog().find(type_name).await?.is_some();
            if made { Ok(()) } else { Err(error) }
        }
    }
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
