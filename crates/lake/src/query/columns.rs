//! How columns of a table are found in its files: by Iceberg field id, at every level, never by name.
//!
//! In: an Iceberg schema and the type of the central schema. Out: the Arrow schema that queries
//! see, and the adapter that maps expressions over it onto any file of the table, whatever the
//! columns were named or typed when the file was written. Not here: reading files.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, ListArray, RecordBatch, StructArray,
    new_null_array,
};
use arrow::compute::kernels::zip::zip;
use arrow::compute::{CastOptions, cast_with_options, is_not_null};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use base::{Error, Kind, Result};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DataFusionError, Result as DfResult, ScalarValue};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column, Literal};
use datafusion::physical_expr_adapter::{PhysicalExprAdapter, PhysicalExprAdapterFactory};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use schema::ObjectType;

use super::values::literal_to_scalar;

/// The columns of a table as queries see them.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    /// Physical column names and the Arrow types of `frame`; no metadata.
    pub(crate) schema: SchemaRef,
    /// The same fields with their Iceberg ids in the metadata, at every level.
    pub(crate) identified: SchemaRef,
    /// What rows of files that are older than a column have in it; null where `None`.
    defaults: Vec<Option<ScalarValue>>,
    /// Columns of an earlier version of the schema that are not what files hold under their id.
    earlier: Vec<Option<Earlier>>,
}

/// How an earlier version of the schema reads a column that a later one has changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Earlier {
    /// It is gone; rows without a value have this one.
    Gone(ScalarValue),
    /// It is read from values of another type; those that do not fit are this one.
    Converted(ScalarValue),
}

impl Columns {
    /// The columns of this Iceberg schema; `object` tells vectors from lists.
    pub(crate) fn new(
        iceberg: &iceberg::spec::Schema,
        object: Option<&ObjectType>,
        earlier: Vec<Option<Earlier>>,
    ) -> Result<Columns> {
        let arrow = iceberg::arrow::schema_to_arrow_schema(iceberg).map_err(unreadable_schema)?;
        let identified: Fields = arrow
            .fields()
            .iter()
            .map(|field| identify(field, declared_type(object, field.name()).as_ref()))
            .collect();
        let defaults = iceberg.as_struct().fields().iter().map(|field| {
            let default = field.initial_default.as_ref()?;
            literal_to_scalar(default, &field.field_type)
        });
        Ok(Columns {
            schema: Arc::new(Schema::new(without_metadata(&identified))),
            identified: Arc::new(Schema::new(identified)),
            defaults: defaults.collect(),
            earlier,
        })
    }

    /// The Iceberg id by which statistics of files know a column; nothing when they say nothing of
    /// its values.
    pub(crate) fn id(&self, index: usize) -> Option<i32> {
        if self.earlier(index).is_some() {
            return None;
        }
        self.file_id(index)
    }

    /// The Iceberg id under which files hold a column.
    pub(crate) fn file_id(&self, index: usize) -> Option<i32> {
        field_id(self.identified.field(index))
    }

    /// Where a file keeps these columns; those that it lacks are passed over.
    pub(crate) fn sources(&self, wanted: &[usize], file: &Schema) -> Vec<usize> {
        let found =
            wanted.iter().map(|index| source_of(file.fields(), self.identified.field(*index)));
        found.flatten().collect()
    }

    /// The array of one column for a file that has, or has not, the column.
    pub(crate) fn read(&self, index: usize, file: &RecordBatch) -> Result<ArrayRef> {
        let schema = file.schema();
        let target = self.identified.field(index);
        let array = match source_of(schema.fields(), target) {
            Some(source) => match self.earlier(index) {
                Some(earlier) => earlier.read(file.column(source), schema.field(source), target),
                None => convert(file.column(source), schema.field(source), target),
            },
            None => self.default(index).to_array_of_size(file.num_rows()),
        };
        array.map_err(|error| {
            Error::new(Kind::Corrupt, format!("failed to read column `{}`", target.name()))
                .caused_by(error)
        })
    }

    fn earlier(&self, index: usize) -> Option<&Earlier> {
        self.earlier.get(index).and_then(Option::as_ref)
    }

    fn default(&self, index: usize) -> ScalarValue {
        if let Some(Earlier::Gone(value) | Earlier::Converted(value)) = self.earlier(index) {
            return value.clone();
        }
        let null = || {
            ScalarValue::try_from(self.schema.field(index).data_type()).unwrap_or(ScalarValue::Null)
        };
        let Some(Some(default)) = self.defaults.get(index) else { return null() };
        default.cast_to(self.schema.field(index).data_type()).unwrap_or_else(|_| null())
    }
}

impl Earlier {
    /// The values that a file holds, as the earlier version has them.
    fn read(&self, array: &ArrayRef, source: &Field, target: &Field) -> DfResult<ArrayRef> {
        let (array, value) = match self {
            Earlier::Gone(value) => (convert(array, source, target)?, value),
            Earlier::Converted(value) => {
                let wanted = bare_type(target.data_type());
                let converted = crate::steps::convert_or_null(array, &wanted);
                (converted.map_err(|error| DataFusionError::External(Box::new(error)))?, value)
            }
        };
        if value.is_null() || array.null_count() == 0 {
            return Ok(array);
        }
        let filled = value.to_array_of_size(array.len())?;
        Ok(zip(&is_not_null(&array)?, &array, &filled)?)
    }
}

fn unreadable_schema(error: iceberg::Error) -> Error {
    Error::new(Kind::Corrupt, "failed to read the columns of an Iceberg table").caused_by(error)
}

fn declared_type(object: Option<&ObjectType>, column: &str) -> Option<frame::DataType> {
    let (_, spec) = object?.columns().find(|(_, spec)| spec.column.as_ref() == column)?;
    Some(spec.data_type.clone())
}

/// The field as queries see it, still with ids: list items are called `item`, and a list that the
/// central schema declares as a vector has its fixed size.
fn identify(field: &Field, declared: Option<&frame::DataType>) -> FieldRef {
    let data_type = match (field.data_type(), declared) {
        (DataType::List(item), Some(frame::DataType::Vector { dimension })) => {
            let number =
                Field::new("item", DataType::Float32, false).with_metadata(item.metadata().clone());
            let dimension = i32::try_from(*dimension).unwrap_or(i32::MAX);
            DataType::FixedSizeList(Arc::new(number), dimension)
        }
        (DataType::List(item), declared) => {
            let inner = match declared {
                Some(frame::DataType::List { item, .. }) => Some(item.as_ref()),
                _ => None,
            };
            DataType::List(Arc::new(identify(item, inner).as_ref().clone().with_name("item")))
        }
        (DataType::Struct(children), declared) => {
            let inner = |name: &str| match declared {
                Some(frame::DataType::Struct(fields)) => {
                    fields.iter().find(|field| field.name.as_ref() == name).map(|f| &f.data_type)
                }
                _ => None,
            };
            DataType::Struct(children.iter().map(|c| identify(c, inner(c.name()))).collect())
        }
        (other, _) => other.clone(),
    };
    Arc::new(field.clone().with_data_type(data_type))
}

fn without_metadata(fields: &Fields) -> Fields {
    fields.iter().map(|field| Arc::new(bare(field))).collect()
}

fn bare(field: &Field) -> Field {
    let data_type = match field.data_type() {
        DataType::List(item) => DataType::List(Arc::new(bare(item))),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(Arc::new(bare(item)), *size),
        DataType::Struct(children) => DataType::Struct(without_metadata(children)),
        other => other.clone(),
    };
    Field::new(field.name(), data_type, field.is_nullable())
}

fn field_id(field: &Field) -> Option<i32> {
    field.metadata().get(PARQUET_FIELD_ID_META_KEY)?.parse().ok()
}

/// Where a file keeps the column: by id; by name only in a file that knows no ids.
fn source_of(file: &Fields, target: &Field) -> Option<usize> {
    let id = field_id(target);
    let by_id = file.iter().position(|field| id.is_some() && field_id(field) == id);
    if by_id.is_some() || file.iter().any(|field| field_id(field).is_some()) {
        return by_id;
    }
    file.iter().position(|field| field.name() == target.name())
}

/// The values of `array`, a column or part of one in a file, as `target` has them today.
fn convert(array: &ArrayRef, source: &Field, target: &Field) -> DfResult<ArrayRef> {
    match (source.data_type(), target.data_type()) {
        (from, to) if from == &bare_type(to) => Ok(Arc::clone(array)),
        (DataType::Struct(from), DataType::Struct(to)) => convert_struct(array, from, to),
        (DataType::List(from), DataType::List(to)) => {
            let list = array.as_list::<i32>();
            let values = convert(list.values(), from, to)?;
            let item = Arc::new(bare(to));
            let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
            Ok(Arc::new(ListArray::try_new(item, offsets, values, nulls)?))
        }
        (DataType::FixedSizeList(from, _), DataType::FixedSizeList(to, size)) => {
            let list = array.as_fixed_size_list();
            let values = convert(list.values(), from, to)?;
            let item = Arc::new(bare(to));
            let nulls = list.nulls().cloned();
            Ok(Arc::new(FixedSizeListArray::try_new(item, *size, values, nulls)?))
        }
        (_, to) => {
            let strict = CastOptions { safe: false, ..CastOptions::default() };
            Ok(cast_with_options(array, &bare_type(to), &strict)?)
        }
    }
}

fn convert_struct(array: &ArrayRef, from: &Fields, to: &Fields) -> DfResult<ArrayRef> {
    let source = array.as_struct();
    let children = to.iter().map(|target| match source_of(from, target) {
        Some(index) => convert(source.column(index), &from[index], target),
        None => Ok(new_null_array(&bare_type(target.data_type()), source.len())),
    });
    let children = children.collect::<DfResult<Vec<_>>>()?;
    let nulls = source.nulls().cloned();
    Ok(Arc::new(StructArray::try_new(without_metadata(to), children, nulls)?))
}

fn bare_type(data_type: &DataType) -> DataType {
    bare(&Field::new("", data_type.clone(), true)).data_type().clone()
}

/// Makes the adapter of each file that a scan opens.
#[derive(Clone, Debug)]
pub(crate) struct ByFieldId(pub(crate) Arc<Columns>);

impl PhysicalExprAdapterFactory for ByFieldId {
    fn create(
        &self,
        logical_file_schema: SchemaRef,
        physical_file_schema: SchemaRef,
    ) -> DfResult<Arc<dyn PhysicalExprAdapter>> {
        let columns = Arc::clone(&self.0);
        Ok(Arc::new(FileAdapter {
            columns,
            asked: logical_file_schema,
            file: physical_file_schema,
        }))
    }
}

/// Rewrites expressions over the table's columns into expressions over one file's.
#[derive(Debug)]
struct FileAdapter {
    columns: Arc<Columns>,
    /// The columns as the scan gives them: those of the table, of which one may be asked for by codes.
    asked: SchemaRef,
    file: SchemaRef,
}

impl PhysicalExprAdapter for FileAdapter {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> DfResult<Arc<dyn PhysicalExpr>> {
        // Bottom up, so that a column of the file that was just put in is not rewritten again.
        expr.transform_up(|node| match node.as_any().downcast_ref::<Column>() {
            Some(column) => Ok(Transformed::yes(self.rewrite_column(column)?)),
            None => Ok(Transformed::no(node)),
        })
        .data()
    }
}

impl FileAdapter {
    fn rewrite_column(&self, column: &Column) -> DfResult<Arc<dyn PhysicalExpr>> {
        let index = self.columns.schema.index_of(column.name())?;
        let asked = self.asked.field_with_name(column.name())?.data_type();
        let found = self.found(index, asked)?;
        let codes = matches!(asked, DataType::Dictionary(..));
        Ok(match codes && found.data_type(&self.file)? != *asked {
            true => Arc::new(CastExpr::new(found, asked.clone(), None)),
            false => found,
        })
    }

    /// Where a file has a column, in the type of the table; in the asked one where the file has it.
    fn found(&self, index: usize, asked: &DataType) -> DfResult<Arc<dyn PhysicalExpr>> {
        let target = self.columns.identified.field(index);
        let Some(source) = source_of(self.file.fields(), target) else {
            return Ok(Arc::new(Literal::new(self.columns.default(index))));
        };
        let source_field = self.file.field(source);
        let found: Arc<dyn PhysicalExpr> = Arc::new(Column::new(source_field.name(), source));
        let wanted = self.columns.schema.field(index).data_type();
        if let Some(earlier) = self.columns.earlier(index) {
            return Ok(Arc::new(Convert {
                input: found,
                source: Arc::new(source_field.clone()),
                target: Arc::new(target.clone()),
                earlier: Some(earlier.clone()),
            }));
        }
        if source_field.data_type() == wanted || source_field.data_type() == asked {
            return Ok(found);
        }
        if !source_field.data_type().is_nested() && !wanted.is_nested() {
            // A plain cast is understood by statistics and page pruning; see `unwrap_cast`.
            return Ok(Arc::new(CastExpr::new(found, wanted.clone(), None)));
        }
        Ok(Arc::new(Convert {
            input: found,
            source: Arc::new(source_field.clone()),
            target: Arc::new(target.clone()),
            earlier: None,
        }))
    }
}

/// Nested values by field id: what a cast is for plain ones.
#[derive(Debug, Eq)]
struct Convert {
    input: Arc<dyn PhysicalExpr>,
    source: FieldRef,
    target: FieldRef,
    earlier: Option<Earlier>,
}

impl PartialEq for Convert {
    fn eq(&self, other: &Self) -> bool {
        self.input.eq(&other.input)
            && self.source == other.source
            && self.target == other.target
            && self.earlier == other.earlier
    }
}

impl Hash for Convert {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.input.hash(state);
        self.source.hash(state);
        self.target.hash(state);
        self.earlier.hash(state);
    }
}

impl fmt::Display for Convert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "by_field_id({})", self.input)
    }
}

impl PhysicalExpr for Convert {
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }

    fn data_type(&self, _input: &Schema) -> DfResult<DataType> {
        Ok(bare_type(self.target.data_type()))
    }

    fn nullable(&self, _input: &Schema) -> DfResult<bool> {
        Ok(true)
    }

    fn evaluate(&self, batch: &RecordBatch) -> DfResult<ColumnarValue> {
        let array = self.input.evaluate(batch)?.into_array(batch.num_rows())?;
        Ok(ColumnarValue::Array(match &self.earlier {
            Some(earlier) => earlier.read(&array, &self.source, &self.target)?,
            None => convert(&array, &self.source, &self.target)?,
        }))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.input]
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> DfResult<Arc<dyn PhysicalExpr>> {
        let input = children.into_iter().next().unwrap_or_else(|| Arc::clone(&self.input));
        let (source, target) = (Arc::clone(&self.source), Arc::clone(&self.target));
        let earlier = self.earlier.clone();
        Ok(Arc::new(Convert { input, source, target, earlier }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.input.fmt_sql(f)
    }
}
