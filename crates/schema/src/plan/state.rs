//! The shape of all tables as plain values (and how services are asked), and what one step does to
//! it: the reference that plans are checked against.
//!
//! In: a schema, or a shape and a step. Out: the shape after it, or why the step cannot run. Not
//! here: rows; and nothing of how plans are made, so that a fault there is seen here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use frame::DataType;

use super::Step;
use crate::diff::{Conversion, conversion};
use crate::model::{
    FieldDef, Metric, ObjectType, PartitionTransform, Schema, SourceSpec, TableFormat, VectorSpec,
};

/// All tables, by type name.
pub(super) type Tables = BTreeMap<Arc<str>, TableState>;

/// How all services are asked, by name.
pub(super) type Sources = BTreeMap<Arc<str>, SourceSpec>;

/// The shape of one table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TableState {
    /// The SQL name.
    pub name: Arc<str>,
    /// The module.
    pub module: Arc<str>,
    /// The format.
    pub format: TableFormat,
    /// Columns by API name.
    pub columns: BTreeMap<Arc<str>, ColumnState>,
    /// Fields of the key.
    pub key: Vec<Arc<str>>,
    /// The bucketed field and how many buckets.
    pub bucket: Option<(Arc<str>, u32)>,
    /// Partition fields.
    pub partition: Vec<(Arc<str>, PartitionTransform)>,
    /// Sort fields, with whether they descend.
    pub sort: Vec<(Arc<str>, bool)>,
    /// How long snapshots are kept.
    pub retain: Option<Duration>,
    /// Fields in the text index.
    pub search: BTreeSet<Arc<str>>,
    /// Fields with vectors.
    pub vectors: BTreeMap<Arc<str>, Vectors>,
}

/// What makes vectors: model, dimension, metric.
type Vectors = (Option<Arc<str>>, u32, Metric);

/// The shape of one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ColumnState {
    /// The name in files and SQL.
    pub column: Arc<str>,
    /// The type.
    pub data_type: DataType,
    /// Whether rows may hold null.
    pub nullable: bool,
    /// The values that rows may hold, when the type is an enum.
    pub values: Option<BTreeSet<Arc<str>>>,
}

/// The tables of a schema.
pub(crate) fn states(schema: &Schema) -> Tables {
    let tables = schema.tables();
    tables.map(|(_, object, _)| (object.name.clone(), state(schema, object))).collect()
}

/// How the services of a schema are asked.
pub(super) fn sources(schema: &Schema) -> Sources {
    let specs = schema.services.iter().map(|service| &service.source);
    specs.map(|spec| (spec.name.clone(), spec.clone())).collect()
}

/// Asks one service as the new schema says.
pub(super) fn change_source(
    sources: &mut Sources,
    name: &Arc<str>,
    goal: &Sources,
) -> Result<(), String> {
    let before = match goal.get(name) {
        Some(spec) => sources.insert(name.clone(), spec.clone()),
        None => sources.remove(name),
    };
    if before.as_ref() == goal.get(name) {
        return Err(format!("nothing changes in how service `{name}` is asked"));
    }
    Ok(())
}

fn state(schema: &Schema, object: &ObjectType) -> TableState {
    let Some(spec) = object.table() else { unreachable!("only tables have a state") };
    let name = |id| object.field(id).name.clone();
    let fields = || object.fields.values().filter(|field| field.column().is_some());
    TableState {
        name: spec.name.clone(),
        module: schema.modules.get(object.module).map_or_else(|| "".into(), |m| m.name.clone()),
        format: spec.format,
        columns: fields()
            .filter_map(|field| Some((field.name.clone(), column(schema, field)?)))
            .collect(),
        key: spec.key.iter().map(|id| name(*id)).collect(),
        bucket: spec.bucket.as_ref().map(|bucket| (name(bucket.by), bucket.count)),
        partition: spec.partition.iter().map(|part| (name(part.field), part.transform)).collect(),
        sort: spec.sort.iter().map(|order| (name(order.field), order.descending)).collect(),
        retain: spec.retain,
        search: fields().filter(|field| field.search).map(|field| field.name.clone()).collect(),
        vectors: fields()
            .filter_map(|field| Some((field.name.clone(), vector(field.vector.as_ref()?))))
            .collect(),
    }
}

fn column(schema: &Schema, field: &FieldDef) -> Option<ColumnState> {
    let spec = field.column()?;
    let values = spec.enum_name.as_ref().and_then(|name| schema.enums.get(name));
    Some(ColumnState {
        column: spec.column.clone(),
        data_type: spec.data_type.clone(),
        nullable: field.nullable,
        values: values.map(|found| found.values.iter().cloned().collect()),
    })
}

fn vector(spec: &VectorSpec) -> Vectors {
    (spec.model.clone(), spec.dimension, spec.metric)
}

/// Does one step to the shape; `goal` is the shape that the new schema wants.
pub(super) fn run(tables: &mut Tables, step: &Step, goal: &Tables) -> Result<(), String> {
    match step {
        Step::CreateTable { type_name } | Step::RestoreTable { type_name } => {
            create(tables, goal, type_name)
        }
        Step::DropTable { type_name } => {
            tables.remove(type_name).map(drop).ok_or_else(|| missing(type_name))
        }
        Step::RenameTable { from, to } => rename_table(tables, goal, from, to),
        _ => {
            let type_name = type_of(step);
            let table = tables.get_mut(type_name).ok_or_else(|| missing(type_name))?;
            let goal = goal
                .get(type_name)
                .ok_or_else(|| format!("`{type_name}` is no table of the new schema"))?;
            run_in_table(table, goal, step)
        }
    }
}

fn missing(type_name: &str) -> String {
    format!("there is no table of type `{type_name}`")
}

/// The type that a step names.
pub(super) fn type_of(step: &Step) -> &Arc<str> {
    match step {
        Step::RenameTable { to, .. } => to,
        Step::CreateTable { type_name }
        | Step::DropTable { type_name }
        | Step::RestoreTable { type_name }
        | Step::AddColumn { type_name, .. }
        | Step::RestoreColumn { type_name, .. }
        | Step::DropColumn { type_name, .. }
        | Step::RenameColumn { type_name, .. }
        | Step::WidenColumn { type_name, .. }
        | Step::ConvertColumn { type_name, .. }
        | Step::Repartition { type_name }
        | Step::Resort { type_name }
        | Step::ChangeKey { type_name }
        | Step::ChangeFormat { type_name }
        | Step::BuildSearch { type_name }
        | Step::BuildVectors { type_name, .. }
        | Step::DropVectors { type_name, .. }
        | Step::SetRetention { type_name } => type_name,
        Step::ChangeSource { source } => source,
    }
}

fn create(tables: &mut Tables, goal: &Tables, type_name: &Arc<str>) -> Result<(), String> {
    let made = goal.get(type_name).ok_or_else(|| format!("the new schema has no `{type_name}`"))?;
    if let Some(owner) = tables.values().find(|table| table.name == made.name) {
        return Err(format!("the name `{}` is taken by another table", owner.name));
    }
    match tables.insert(type_name.clone(), made.clone()) {
        None => Ok(()),
        Some(_) => Err(format!("there is a table of type `{type_name}` already")),
    }
}

fn rename_table(
    tables: &mut Tables,
    goal: &Tables,
    from: &Arc<str>,
    to: &Arc<str>,
) -> Result<(), String> {
    let mut table = tables.remove(from).ok_or_else(|| missing(from))?;
    let named = goal.get(to).ok_or_else(|| format!("the new schema has no `{to}`"))?;
    if tables.contains_key(to) || tables.values().any(|other| other.name == named.name) {
        return Err(format!("the name `{}` is taken by another table", named.name));
    }
    table.name = named.name.clone();
    table.module = named.module.clone();
    tables.insert(to.clone(), table);
    Ok(())
}

fn run_in_table(table: &mut TableState, goal: &TableState, step: &Step) -> Result<(), String> {
    match step {
        Step::AddColumn { field, .. } => add_column(table, goal, field, false),
        Step::RestoreColumn { field, .. } => add_column(table, goal, field, true),
        Step::DropColumn { field, .. } => drop_column(table, field),
        Step::RenameColumn { from, to, .. } => rename_column(table, goal, from, to),
        Step::WidenColumn { field, .. } => change_column(table, goal, field, true),
        Step::ConvertColumn { field, .. } => change_column(table, goal, field, false),
        Step::Repartition { .. } => {
            table.bucket.clone_from(&goal.bucket);
            table.partition.clone_from(&goal.partition);
            all_exist(table)
        }
        Step::Resort { .. } => {
            table.sort.clone_from(&goal.sort);
            all_exist(table)
        }
        Step::ChangeKey { .. } => {
            table.key.clone_from(&goal.key);
            all_exist(table)
        }
        Step::ChangeFormat { .. } => {
            table.format = goal.format;
            table.bucket.clone_from(&goal.bucket);
            table.partition.clone_from(&goal.partition);
            table.sort.clone_from(&goal.sort);
            all_exist(table)
        }
        Step::BuildSearch { .. } => {
            table.search.clone_from(&goal.search);
            all_exist(table)
        }
        Step::BuildVectors { field, .. } => build_vectors(table, goal, field),
        Step::DropVectors { field, .. } => {
            table.vectors.remove(field).map(drop).ok_or_else(|| format!("`{field}` has no vectors"))
        }
        Step::SetRetention { .. } => {
            table.retain = goal.retain;
            Ok(())
        }
        Step::CreateTable { .. }
        | Step::DropTable { .. }
        | Step::RestoreTable { .. }
        | Step::RenameTable { .. }
        | Step::ChangeSource { .. } => {
            Err(format!("a step of whole tables was run within table `{}`", table.name))
        }
    }
}

/// Every field that the key, the layout and the text index name must be a column.
fn all_exist(table: &TableState) -> Result<(), String> {
    let layout = table.key.iter().chain(table.bucket.iter().map(|(field, _)| field));
    let layout = layout.chain(table.partition.iter().map(|(field, _)| field));
    let mut named = layout.chain(table.sort.iter().map(|(field, _)| field)).chain(&table.search);
    match named.find(|field| !table.columns.contains_key(*field)) {
        None => Ok(()),
        Some(field) => Err(format!("there is no column `{field}` in table `{}`", table.name)),
    }
}

fn add_column(
    table: &mut TableState,
    goal: &TableState,
    field: &Arc<str>,
    restored: bool,
) -> Result<(), String> {
    let Some(made) = goal.columns.get(field) else {
        return Err(format!("the new schema has no column `{field}`"));
    };
    if table.columns.values().any(|other| other.column == made.column) {
        return Err(format!("the column name `{}` is taken", made.column));
    }
    match table.columns.insert(field.clone(), made.clone()) {
        None => Ok(()),
        Some(_) => Err(format!("column `{field}` exists already (restored: {restored})")),
    }
}

fn drop_column(table: &mut TableState, field: &Arc<str>) -> Result<(), String> {
    if table.vectors.contains_key(field) {
        return Err(format!("column `{field}` goes while it still has vectors"));
    }
    table.columns.remove(field).ok_or_else(|| format!("there is no column `{field}` to drop"))?;
    all_exist(table)
}

fn rename_column(
    table: &mut TableState,
    goal: &TableState,
    from: &Arc<str>,
    to: &Arc<str>,
) -> Result<(), String> {
    let Some(named) = goal.columns.get(to) else {
        return Err(format!("the new schema has no column `{to}`"));
    };
    let mut column = table
        .columns
        .remove(from)
        .ok_or_else(|| format!("there is no column `{from}` to rename"))?;
    let taken = |other: &ColumnState| other.column == named.column;
    if table.columns.contains_key(to) || table.columns.values().any(taken) {
        return Err(format!("the column name `{}` is taken", named.column));
    }
    column.column = named.column.clone();
    table.columns.insert(to.clone(), column);
    let rename = |name: &mut Arc<str>| {
        if name == from {
            name.clone_from(to);
        }
    };
    table.key.iter_mut().for_each(rename);
    table.bucket.iter_mut().for_each(|(name, _)| rename(name));
    table.partition.iter_mut().for_each(|(name, _)| rename(name));
    table.sort.iter_mut().for_each(|(name, _)| rename(name));
    if table.search.remove(from) {
        table.search.insert(to.clone());
    }
    if let Some(vectors) = table.vectors.remove(from) {
        table.vectors.insert(to.clone(), vectors);
    }
    Ok(())
}

fn change_column(
    table: &mut TableState,
    goal: &TableState,
    field: &Arc<str>,
    only_widen: bool,
) -> Result<(), String> {
    let (Some(column), Some(wanted)) = (table.columns.get_mut(field), goal.columns.get(field))
    else {
        return Err(format!("there is no column `{field}` to change"));
    };
    let found =
        conversion((&column.data_type, column.nullable), (&wanted.data_type, wanted.nullable));
    match found {
        Conversion::Impossible(why) => return Err(why),
        Conversion::Convert { .. } if only_widen => {
            return Err(format!("column `{field}` is widened, but its values must be converted"));
        }
        Conversion::Same | Conversion::Widen | Conversion::Convert { .. } => {}
    }
    column.data_type = wanted.data_type.clone();
    column.nullable = wanted.nullable;
    // Checking every row is what makes fewer values safe; more values need no step at all.
    if !only_widen {
        column.values.clone_from(&wanted.values);
    }
    Ok(())
}

fn build_vectors(
    table: &mut TableState,
    goal: &TableState,
    field: &Arc<str>,
) -> Result<(), String> {
    if !table.columns.contains_key(field) {
        return Err(format!("there is no column `{field}` to make vectors of"));
    }
    let Some(made) = goal.vectors.get(field) else {
        return Err(format!("the new schema has no vectors of `{field}`"));
    };
    table.vectors.insert(field.clone(), made.clone());
    Ok(())
}
