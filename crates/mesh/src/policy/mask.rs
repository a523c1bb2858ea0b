//! Values that are not seen become null or a mask: in come batches with what the masks need, out come those
//! that were asked for. What is never seen is not read at all.
//!
//! Where a policy wants an error in place of a value, a column behind all others says of which rows
//! ([`denied`]); whoever shows the value shows the error instead.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, StringArray, new_null_array,
};
use arrow::compute::kernels::zip::zip;
use arrow::compute::{not, nullif};
use arrow::datatypes::{DataType as ArrowType, Field as ArrowField, Schema as ArrowSchema};
use base::{Error, Principal, Result};
use frame::{Evaluate, Expr, Field, RowInterpreter};
use schema::{ObjectType, Otherwise};

use super::rules::{Mask, fields_of};

/// What is done to the batches of one scan.
pub(super) struct Masks {
    /// The columns that are read.
    read: Vec<Arc<str>>,
    /// The columns of the answer.
    columns: Vec<Column>,
    principal: Principal,
}

/// One column of the answer.
enum Column {
    /// As it was read.
    Read(usize),
    /// As it was read, where this holds.
    When(usize, Expr, Otherwise),
    /// Nothing of it.
    Never(ArrowField, Otherwise),
}

/// How the names of columns begin that say of which rows a value is denied; no field has such a name.
const DENIED: &str = "_denied:";

/// Of which rows of a batch the value of a field is denied; `None`: of none.
pub(crate) fn denied(batch: &RecordBatch, field: &str) -> Option<BooleanArray> {
    // Such columns are behind all others, and most batches have none.
    let schema = batch.schema_ref();
    let mut columns = schema.fields().iter().enumerate().rev();
    let is_of = |name: &str| name.strip_prefix(DENIED).is_some_and(|name| name == field);
    let (index, _) = columns
        .by_ref()
        .take_while(|(_, column)| column.name().starts_with(DENIED))
        .find(|(_, column)| is_of(column.name()))?;
    batch.column(index).as_any().downcast_ref().cloned()
}

impl Masks {
    /// What a scan reads, and how its answer is made of that.
    pub(super) fn new(
        object: &ObjectType,
        masked: &HashMap<&str, Mask>,
        fields: &[Arc<str>],
        principal: &Principal,
    ) -> Result<Self> {
        let mut masks =
            Masks { read: Vec::new(), columns: Vec::new(), principal: principal.clone() };
        for name in fields {
            let column = match masked.get(name.as_ref()) {
                None => Column::Read(masks.position(name)),
                Some(Mask { when: Some(when), otherwise }) => {
                    Column::When(masks.position(name), when.clone(), *otherwise)
                }
                Some(Mask { when: None, otherwise }) => {
                    Column::Never(null_field(object, name)?, *otherwise)
                }
            };
            masks.columns.push(column);
        }
        masked.values().filter_map(|mask| mask.when.as_ref()).for_each(|when| masks.needs(when));
        if masks.read.is_empty() {
            // A scan of no columns says nothing of how many rows there are.
            masks.read.extend(least(object));
        }
        Ok(masks)
    }

    /// Reads what a condition needs, too.
    pub(super) fn needs(&mut self, condition: &Expr) {
        for name in fields_of(condition) {
            self.position(&name);
        }
    }

    /// How many columns the answer has, without those behind them.
    pub(super) fn len(&self) -> usize {
        self.columns.len()
    }

    /// The columns that are read.
    pub(super) fn read(&self) -> &[Arc<str>] {
        &self.read
    }

    fn position(&mut self, name: &Arc<str>) -> usize {
        self.read.iter().position(|known| known == name).unwrap_or_else(|| {
            self.read.push(name.clone());
            self.read.len() - 1
        })
    }

    /// The answer without what is not seen; what a scan adds behind its columns stays there.
    pub(super) fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let schema = batch.schema();
        let mut answer = Answer::default();
        let mut denied = Answer::default();
        for column in &self.columns {
            let (field, seen, otherwise) = match column {
                Column::Read(index) => {
                    answer.push(schema.field(*index).clone(), batch.column(*index).clone());
                    continue;
                }
                Column::When(index, when, otherwise) => {
                    let seen = self.seen(batch, when)?;
                    let field = schema.field(*index).clone().with_nullable(true);
                    answer.push(field, veiled(batch.column(*index), &seen, *otherwise)?);
                    (schema.field(*index), seen, *otherwise)
                }
                Column::Never(field, otherwise) => {
                    let rows = batch.num_rows();
                    answer.push(field.clone(), stand_ins(field, rows, *otherwise));
                    (field, BooleanArray::from(vec![false; rows]), *otherwise)
                }
            };
            if otherwise == Otherwise::Error {
                let name = format!("{DENIED}{}", field.name());
                let hidden = not(&seen).map_err(failed)?;
                denied.push(ArrowField::new(name, ArrowType::Boolean, false), Arc::new(hidden));
            }
        }
        for index in self.read.len()..batch.num_columns() {
            answer.push(schema.field(index).clone(), batch.column(index).clone());
        }
        answer.fields.append(&mut denied.fields);
        answer.arrays.append(&mut denied.arrays);
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let schema = Arc::new(ArrowSchema::new(answer.fields));
        RecordBatch::try_new_with_options(schema, answer.arrays, &options).map_err(failed)
    }

    /// Of which rows a condition holds.
    pub(super) fn seen(&self, batch: &RecordBatch, when: &Expr) -> Result<BooleanArray> {
        let decided = RowInterpreter.evaluate(when, batch, &self.principal)?;
        let decided = decided.as_any().downcast_ref::<BooleanArray>();
        let decided = decided.ok_or_else(|| Error::internal("a condition is a boolean"))?;
        // What is not known to be seen is not seen.
        Ok(decided.iter().map(|seen| Some(seen.unwrap_or(false))).collect())
    }
}

/// Columns on the way to a batch.
#[derive(Default)]
struct Answer {
    fields: Vec<ArrowField>,
    arrays: Vec<ArrayRef>,
}

impl Answer {
    fn push(&mut self, field: ArrowField, array: ArrayRef) {
        self.fields.push(field);
        self.arrays.push(array);
    }
}

/// A column with what stands in place of the values that are not seen.
fn veiled(column: &ArrayRef, seen: &BooleanArray, otherwise: Otherwise) -> Result<ArrayRef> {
    match otherwise {
        Otherwise::Null | Otherwise::Error => nullif(column, &not(seen).map_err(failed)?),
        Otherwise::Mask => zip(seen, column, &StringArray::new_scalar(Otherwise::MASK)),
    }
    .map_err(failed)
}

/// A column of which nothing is seen.
fn stand_ins(field: &ArrowField, rows: usize, otherwise: Otherwise) -> ArrayRef {
    match otherwise {
        Otherwise::Null | Otherwise::Error => new_null_array(field.data_type(), rows),
        Otherwise::Mask => Arc::new(StringArray::from(vec![Otherwise::MASK; rows])),
    }
}

pub(super) fn failed(error: arrow::error::ArrowError) -> Error {
    Error::internal("failed to hold values back").caused_by(error)
}

/// A column without values.
fn null_field(object: &ObjectType, name: &str) -> Result<ArrowField> {
    let column = object.fields.get(name).and_then(|field| field.column());
    let data_type = column.map(|column| column.data_type.clone());
    let data_type = data_type.ok_or_else(|| Error::internal(format!("`{name}` is no column")))?;
    Ok(Field::new(name, data_type, true).to_arrow())
}

/// A column that is cheap to read.
fn least(object: &ObjectType) -> Option<Arc<str>> {
    let key = object.table().and_then(|table| table.key.first());
    let key = key.map(|id| object.field(*id).name.clone());
    let small = |field: &ArrowField| !matches!(field.data_type(), ArrowType::Struct(_));
    let first = || {
        let mut columns = object.columns();
        columns.find_map(|(field, _)| {
            let found = null_field(object, &field.name).ok()?;
            small(&found).then(|| field.name.clone())
        })
    };
    key.or_else(first)
}
