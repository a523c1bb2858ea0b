//! Schemas of a table that nothing finds columns by any more.
//!
//! In: a table's metadata, the snapshots that go, and the schemas that served versions are bound to. Out: the
//! ids of schemas that can go too. A change of columns adds one or two, and every commit writes all of them
//! anew. Not here: which snapshots go (`expire`).

use std::collections::HashSet;
use std::sync::Arc;

use base::Result;
use iceberg::spec::{Schema, TableMetadata};

use crate::binding::{is_hidden, shown_schema};

/// The schemas that may go with some snapshots. The newest stays whatever it is for, so that no id comes
/// again: files that were staged by a schema, and columns that are held, are told by it.
pub(super) fn unneeded(
    metadata: &TableMetadata,
    gone: &HashSet<i64>,
    bound: &[i32],
) -> Result<Vec<i32>> {
    let mut schemas: Vec<&Arc<Schema>> = metadata.schemas_iter().collect();
    schemas.sort_unstable_by_key(|schema| std::cmp::Reverse(schema.schema_id()));
    let mut needed: HashSet<i32> = bound.iter().copied().collect();
    needed.insert(metadata.current_schema_id());
    needed.extend(shown_schema(metadata)?);
    needed.extend(schemas.first().map(|schema| schema.schema_id()));
    let kept = metadata.snapshots().filter(|one| !gone.contains(&one.snapshot_id()));
    needed.extend(kept.filter_map(|one| one.schema_id()));
    needed.extend(newest_of_names(&schemas));
    needed.extend(newest_of_layouts(metadata, &schemas));
    let ids = schemas.iter().map(|schema| schema.schema_id());
    Ok(ids.filter(|id| !needed.contains(id)).collect())
}

/// The newest schemas that have each column by its name: a column that comes back has the id by which old
/// files know it (`steps::draft`).
fn newest_of_names(schemas: &[&Arc<Schema>]) -> Vec<i32> {
    let mut names = HashSet::new();
    let mut has_new = |schema: &Schema| {
        let fields = schema.as_struct().fields().iter();
        let shown = fields.map(|field| field.name.as_str()).filter(|name| !is_hidden(name));
        shown.filter(|name| names.insert((*name).to_owned())).count() > 0
    };
    let newest = schemas.iter().filter(|schema| has_new(schema));
    newest.map(|schema| schema.schema_id()).collect()
}

/// The newest schemas by which the manifests of each partition spec can be written, and that each order sorts
/// by: an old one may cut or sort by a column that is gone.
fn newest_of_layouts(metadata: &TableMetadata, schemas: &[&Arc<Schema>]) -> Vec<i32> {
    let specs = metadata
        .partition_specs_iter()
        .filter_map(|spec| schemas.iter().find(|schema| spec.partition_type(schema).is_ok()));
    let orders = metadata.sort_orders_iter().filter_map(|order| {
        let has_all = |schema: &Schema| {
            order.fields.iter().all(|field| schema.field_by_id(field.source_id).is_some())
        };
        schemas.iter().find(|schema| has_all(schema))
    });
    specs.chain(orders).map(|schema| schema.schema_id()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use iceberg::spec::{
        FormatVersion, NestedField, Operation, PrimitiveType, Snapshot, SortOrder, Summary,
        TableMetadataBuilder, Transform, Type, UnboundPartitionSpec,
    };

    use super::*;

    /// A schema of these columns, by their ids.
    fn schema(columns: &[(i32, &str)]) -> Schema {
        let field = |(id, name): &(i32, &str)| {
            Arc::new(NestedField::optional(*id, *name, Type::Primitive(PrimitiveType::String)))
        };
        Schema::builder().with_fields(columns.iter().map(field)).build().unwrap()
    }

    fn snapshot(id: i64, schema: i32) -> Snapshot {
        let summary =
            Summary { operation: Operation::Append, additional_properties: HashMap::new() };
        Snapshot::builder()
            .with_snapshot_id(id)
            .with_sequence_number(id)
            .with_timestamp_ms(base::Clock::system().now().as_millis() + id)
            .with_manifest_list(format!("s3://test/{id}.avro"))
            .with_summary(summary)
            .with_schema_id(schema)
            .build()
    }

    fn cut_by(id: i32, name: &str) -> UnboundPartitionSpec {
        let spec =
            UnboundPartitionSpec::builder().add_partition_field(id, name, Transform::Identity);
        spec.unwrap().build()
    }

    /// Metadata that has seen these schemas, partitioned once by `c` and now by nothing.
    fn metadata(schemas: &[&[(i32, &str)]]) -> TableMetadata {
        let (first, rest) = schemas.split_first().unwrap();
        let (place, order) = ("s3://test/a".to_owned(), SortOrder::unsorted_order());
        let mut builder = TableMetadataBuilder::new(
            schema(first),
            cut_by(3, "cut"),
            order,
            place,
            FormatVersion::V2,
            HashMap::new(),
        )
        .unwrap();
        let whole = UnboundPartitionSpec::builder().build();
        builder = builder.add_default_partition_spec(whole).unwrap();
        for columns in rest {
            builder = builder.add_current_schema(schema(columns)).unwrap();
        }
        for (id, schema) in [(1, 2), (2, 4)] {
            builder = builder.add_snapshot(snapshot(id, schema)).unwrap();
        }
        builder.build().unwrap().metadata
    }

    #[test]
    fn a_schema_goes_when_nothing_finds_columns_by_it() {
        let metadata = metadata(&[
            &[(1, "a"), (2, "b"), (3, "c")], // An old partition's.
            &[(1, "a"), (2, "b"), (4, "d")], // The newest with `d`, for an undo.
            &[(1, "a"), (2, "x")],           // Of the first snapshot.
            &[(1, "a"), (2, "y")],           // Bound.
            &[(1, "a"), (2, "z")],           // Of the second snapshot.
            &[(1, "a"), (5, "__new_e")],     // Nobody's: no undo asks for a hidden column.
            &[(1, "a"), (2, "b")],           // Nobody's.
            &[(1, "a"), (2, "b"), (6, "x"), (7, "y"), (8, "z"), (9, "c")], // The present one.
        ]);
        let unneeded = |gone: &[i64], bound: &[i32]| {
            let mut ids = unneeded(&metadata, &gone.iter().copied().collect(), bound).unwrap();
            ids.sort_unstable();
            ids
        };
        assert_eq!(metadata.current_schema_id(), 7);
        assert_eq!(unneeded(&[], &[3]), [5, 6]);
        assert_eq!(unneeded(&[1], &[3]), [2, 5, 6]);
        assert_eq!(unneeded(&[1, 2], &[]), [2, 3, 4, 5, 6]);
    }
}
