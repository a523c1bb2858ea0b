//! What a change makes of one Iceberg table's metadata, as a value: nothing is written here.
//!
//! In: the table as it is, and the steps about it in the order in which they become true. Out: its
//! names, its metadata with the columns of the new schema, and how the old schema finds its columns
//! in it. A step that was done already changes nothing. Columns that only the old schema has stay in
//! the present Iceberg schema, hidden and optional, so that a compaction does not lose their values
//! before the old schema is out of service. Not here: rows (`fill`), the transaction (`catalog`).

use std::sync::Arc;

use base::{Error, Result, Timestamp};
use iceberg::spec::{
    NestedField, NestedFieldRef, Schema as IcebergSchema, SortOrder, TableMetadata, Type,
    UnboundPartitionSpec,
};
use schema::ObjectType;
use schema::plan::Step;

use super::convert::same_shape;
use super::{Context, stored};
use crate::binding::{self, Binding};
use crate::commit::delta::Alter;
use crate::commit::snapshot::altered;
use crate::failure::failed;
use crate::maintain::RETENTION;
use crate::shape;
use crate::table::Table;

/// One table on its way to the new schema.
pub(super) struct Draft<'a> {
    context: &'a Context<'a>,
    table: &'a Table,
    fields: Vec<NestedFieldRef>,
    next_id: i32,
    key: Option<&'a ObjectType>,
    layout: Option<&'a ObjectType>,
    retention: Option<Option<String>>,
    moved: Vec<(i32, i32)>,
}

/// What became of it.
pub(super) struct Drafted {
    /// The new metadata; nothing when it stays as it is.
    pub(super) metadata: Option<TableMetadata>,
    /// How the old schema finds its columns.
    pub(super) binding: Binding,
}

/// The parts of new metadata, in the order in which they are put in.
struct Parts {
    shown: IcebergSchema,
    whole: Option<IcebergSchema>,
    spec: Option<UnboundPartitionSpec>,
    order: Option<SortOrder>,
    retention: Option<Option<String>>,
}

impl<'a> Draft<'a> {
    pub(super) fn of(context: &'a Context<'a>, table: &'a Table) -> Result<Draft<'a>> {
        let fields = table.iceberg()?.current_schema().as_struct().fields().to_vec();
        let next_id = table.stored()?.last_column_id() + 1;
        Ok(Draft {
            context,
            table,
            fields,
            next_id,
            key: None,
            layout: None,
            retention: None,
            moved: Vec::new(),
        })
    }

    /// Does one step.
    pub(super) fn apply(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::AddColumn { type_name, field } => self.add(type_name, field),
            Step::RestoreColumn { type_name, field } => self.restore(type_name, field),
            Step::DropColumn { type_name, field } => self.drop(type_name, field),
            Step::RenameColumn { type_name, from, to } => self.rename(type_name, from, to),
            Step::WidenColumn { type_name, field } => self.widen(type_name, field),
            Step::ConvertColumn { type_name, field } => self.convert(type_name, field),
            Step::ChangeKey { type_name } => {
                self.key = Some(self.context.after(type_name)?);
                Ok(())
            }
            Step::Repartition { type_name } | Step::Resort { type_name } => {
                self.layout = Some(self.context.after(type_name)?);
                Ok(())
            }
            Step::SetRetention { type_name } => {
                let retain = shape::table_spec(self.context.after(type_name)?)?.retain;
                self.retention = Some(retain.map(|retain| retain.as_millis().to_string()));
                Ok(())
            }
            // Names are in the catalog, and indexes are beside the table.
            _ => Ok(()),
        }
    }

    fn named(&self, column: &str) -> Option<&NestedFieldRef> {
        self.fields.iter().find(|field| field.name == column)
    }

    /// The column that was prepared for this one.
    fn prepared(&self, column: &str) -> Result<Option<NestedFieldRef>> {
        let present = self.table.stored()?.current_schema();
        Ok(present.field_by_name(&binding::coming(column)).map(Arc::clone))
    }

    fn add(&mut self, type_name: &str, field: &str) -> Result<()> {
        let (def, column) = stored(self.context.after(type_name)?, field)?;
        if self.named(&column.column).is_some() {
            return Ok(());
        }
        let added = match self.prepared(&column.column)? {
            Some(prepared) => shown_as(&prepared, &column.column, !def.nullable),
            None => shape::iceberg_field(def, column, &mut self.next_id),
        };
        self.fields.push(added);
        Ok(())
    }

    fn restore(&mut self, type_name: &str, field: &str) -> Result<()> {
        let (def, column) = stored(self.context.after(type_name)?, field)?;
        if self.named(&column.column).is_none() {
            let earlier = earlier(self.table, &column.column)?;
            self.fields.push(shown_as(&earlier, &column.column, !def.nullable));
        }
        Ok(())
    }

    fn drop(&mut self, type_name: &str, field: &str) -> Result<()> {
        let (_, column) = stored(self.context.before(type_name)?, field)?;
        self.fields.retain(|kept| kept.name != column.column.as_ref());
        Ok(())
    }

    fn rename(&mut self, type_name: &str, from: &str, to: &str) -> Result<()> {
        let (_, old) = stored(self.context.before(type_name)?, from)?;
        let (_, new) = stored(self.context.after(type_name)?, to)?;
        // It is there already when the names are equal, or an earlier run has renamed it.
        if self.named(&new.column).is_some() {
            return Ok(());
        }
        let found = self.fields.iter_mut().find(|field| field.name == old.column.as_ref());
        let found = found.ok_or_else(|| missing(self.table, &old.column))?;
        *found = shown_as(found, &new.column, found.required);
        Ok(())
    }

    fn widen(&mut self, type_name: &str, field: &str) -> Result<()> {
        let (def, column) = stored(self.context.after(type_name)?, field)?;
        let wanted = shape::iceberg_type(&column.data_type, &mut 0);
        let found = self.fields.iter_mut().find(|field| field.name == column.column.as_ref());
        let found = found.ok_or_else(|| missing(self.table, &column.column))?;
        let field_type = match (found.field_type.as_ref(), &wanted) {
            (Type::Primitive(_), Type::Primitive(_)) => wanted,
            // Only its being required changes; the ids of its parts stay.
            (nested, _) => nested.clone(),
        };
        *found = NestedField::new(found.id, found.name.clone(), field_type, !def.nullable).into();
        Ok(())
    }

    fn convert(&mut self, type_name: &str, field: &str) -> Result<()> {
        let (def, column) = stored(self.context.after(type_name)?, field)?;
        let place = self.fields.iter().position(|field| field.name == column.column.as_ref());
        let place = place.ok_or_else(|| missing(self.table, &column.column))?;
        let present = Arc::clone(&self.fields[place]);
        let mut next_id = self.next_id;
        let wanted = shape::iceberg_field(def, column, &mut next_id);
        if same_shape(&present.field_type, &wanted.field_type) {
            self.fields[place] = shown_as(&present, &column.column, wanted.required);
            return Ok(());
        }
        // A new id, because old files hold values of another type under the old one.
        let new = match self.prepared(&column.column)? {
            Some(prepared) => shown_as(&prepared, &column.column, wanted.required),
            None => {
                self.next_id = next_id;
                wanted
            }
        };
        if present.field_type.is_primitive() && new.field_type.is_primitive() {
            self.moved.push((present.id, new.id));
        }
        self.layout = self.layout.or(Some(self.context.after(type_name)?));
        self.fields[place] = new;
        Ok(())
    }

    /// The new metadata. With `keep_old`, columns that went stay hidden in it.
    pub(super) fn finish(self, keep_old: bool, at: Timestamp) -> Result<Drafted> {
        let before = self.table.iceberg()?.current_schema();
        let binding = Binding {
            schema_id: Some(before.schema_id()),
            moved: self.moved.clone(),
            names: Vec::new(),
        };
        let shown = self.schema(self.fields.clone())?;
        let stored = Arc::clone(self.table.stored()?);
        let whole = self.whole(&stored, keep_old)?;
        let (spec, order) = self.layout_of(&shown)?;
        let key = |schema: &IcebergSchema| {
            let mut ids: Vec<i32> = schema.identifier_field_ids().collect();
            ids.sort_unstable();
            ids
        };
        let wanted = whole.as_ref().unwrap_or(&shown);
        let same_columns = wanted.as_struct() == stored.current_schema().as_struct()
            && key(wanted) == key(stored.current_schema());
        let property = stored.properties().get(RETENTION).cloned();
        let retention = self.retention.filter(|wanted| *wanted != property);
        if same_columns && spec.is_none() && order.is_none() && retention.is_none() {
            return Ok(Drafted { metadata: None, binding });
        }
        let parts = Parts { shown, whole, spec, order, retention };
        let location = self.table.metadata_location.as_ref();
        let metadata = altered(&stored, Some(location), parts.alter(&self.table.name), at)?;
        Ok(Drafted { metadata: Some(metadata), binding })
    }

    /// A schema of these columns; identifiers that went are identifiers no more.
    fn schema(&self, fields: Vec<NestedFieldRef>) -> Result<IcebergSchema> {
        let present = self.table.iceberg()?.current_schema();
        let identifiers = match self.key {
            Some(object) => shape::identifier_ids(object, &fields)?,
            None => {
                let required =
                    |id: &i32| fields.iter().any(|field| field.id == *id && field.required);
                let now = |id: i32| {
                    let moved = self.moved.iter().find(|(from, _)| *from == id);
                    moved.map_or(id, |(_, to)| *to)
                };
                present.identifier_field_ids().map(now).filter(required).collect()
            }
        };
        IcebergSchema::builder()
            .with_schema_id(present.schema_id() + 1)
            .with_fields(fields)
            .with_identifier_field_ids(identifiers)
            .build()
            .map_err(failed(format!("change the columns of table `{}`", self.table.name)))
    }

    /// The columns of the new schema, and behind them those that only the old one has.
    fn whole(&self, stored: &TableMetadata, keep_old: bool) -> Result<Option<IcebergSchema>> {
        let kept = |field: &&NestedFieldRef| {
            keep_old
                && !binding::is_coming(&field.name)
                && !self.fields.iter().any(|shown| shown.id == field.id)
        };
        let old = stored.current_schema().as_struct().fields().iter().filter(kept);
        let old: Vec<NestedFieldRef> =
            old.map(|field| shown_as(field, &binding::going(field.id), false)).collect();
        if old.is_empty() {
            return Ok(None);
        }
        self.schema(self.fields.iter().cloned().chain(old).collect()).map(Some)
    }

    /// The partitions and the order of new files, where they change.
    fn layout_of(
        &self,
        shown: &IcebergSchema,
    ) -> Result<(Option<UnboundPartitionSpec>, Option<SortOrder>)> {
        let Some(object) = self.layout else { return Ok((None, None)) };
        let metadata = self.table.stored()?;
        let spec = shape::partition_spec(object, shown)?;
        let present = metadata.default_partition_spec();
        let present = present.fields().iter().map(|field| (field.source_id, field.transform));
        let same = present.eq(spec.fields().iter().map(|field| (field.source_id, field.transform)));
        let order = shape::sort_order(object, shown)?;
        let sorted = metadata.default_sort_order().fields == order.fields;
        Ok(((!same).then_some(spec), (!sorted).then_some(order)))
    }
}

impl Parts {
    fn alter(self, table: &str) -> Alter {
        let doing = format!("change the columns of table `{table}`");
        Box::new(move |builder| {
            let wrong = || failed(doing.clone());
            let mut builder = builder.add_current_schema(self.shown).map_err(wrong())?;
            if let Some(spec) = self.spec {
                builder = builder.add_default_partition_spec(spec).map_err(wrong())?;
            }
            if let Some(order) = self.order {
                builder = builder.add_sort_order(order).map_err(wrong())?;
                builder = builder.set_default_sort_order(-1).map_err(wrong())?;
            }
            builder = match self.retention {
                Some(Some(retain)) => {
                    builder.set_properties([(RETENTION.to_owned(), retain)].into())
                }
                Some(None) => builder.remove_properties(&[RETENTION.to_owned()]),
                None => Ok(builder),
            }
            .map_err(wrong())?;
            match self.whole {
                Some(whole) => builder.add_current_schema(whole).map_err(wrong()),
                None => Ok(builder),
            }
        })
    }
}

/// The same column under a name.
pub(super) fn shown_as(field: &NestedField, name: &str, required: bool) -> NestedFieldRef {
    NestedField::new(field.id, name, field.field_type.as_ref().clone(), required).into()
}

/// The column as an earlier schema of the table had it, under the id by which old files know it.
pub(super) fn earlier(table: &Table, column: &str) -> Result<NestedFieldRef> {
    let mut schemas: Vec<_> = table.stored()?.schemas_iter().collect();
    schemas.sort_by_key(|schema| std::cmp::Reverse(schema.schema_id()));
    let earlier = schemas.iter().find_map(|schema| schema.field_by_name(column)).cloned();
    earlier.ok_or_else(|| {
        Error::not_found(format!("table `{}` never had a column `{column}`", table.name))
    })
}

fn missing(table: &Table, column: &str) -> Error {
    let text = format!("table `{}` has no column `{column}`", table.name);
    Error::new(base::Kind::Stale, text)
}
