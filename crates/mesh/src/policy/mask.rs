//! Values that are not seen become null: in come batches with what the masks need, out come those that
//! were asked for. What is never seen is not read at all.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::{not, nullif};
use arrow::datatypes::{DataType as ArrowType, Field as ArrowField, Schema as ArrowSchema};
use base::{Error, Principal, Result};
use frame::{Evaluate, Expr, Field, RowInterpreter, ScanRequest};
use schema::ObjectType;

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
    When(usize, Expr),
    /// Null.
    Never(ArrowField),
}

impl Masks {
    /// What a scan reads, and how its answer is made of that.
    pub(super) fn new(
        object: &ObjectType,
        masked: &HashMap<&str, Mask>,
        request: &ScanRequest,
        principal: &Principal,
    ) -> Result<Self> {
        let mut masks =
            Masks { read: Vec::new(), columns: Vec::new(), principal: principal.clone() };
        for name in &request.fields {
            let column = match masked.get(name.as_ref()) {
                None => Column::Read(masks.position(name)),
                Some(Mask::When(when)) => Column::When(masks.position(name), when.clone()),
                Some(Mask::Never) => Column::Never(null_field(object, name)?),
            };
            masks.columns.push(column);
        }
        for when in masked.values().filter_map(Mask::condition) {
            for name in fields_of(when) {
                masks.position(&name);
            }
        }
        if masks.read.is_empty() {
            // A scan of no columns says nothing of how many rows there are.
            masks.read.extend(least(object));
        }
        Ok(masks)
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
        let mut fields: Vec<ArrowField> = Vec::with_capacity(self.columns.len());
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            let (field, array) = match column {
                Column::Read(index) => (schema.field(*index).clone(), batch.column(*index).clone()),
                Column::When(index, when) => {
                    let field = schema.field(*index).clone().with_nullable(true);
                    (field, self.seen(batch, *index, when)?)
                }
                Column::Never(field) => {
                    (field.clone(), new_null_array(field.data_type(), batch.num_rows()))
                }
            };
            fields.push(field);
            arrays.push(array);
        }
        for index in self.read.len()..batch.num_columns() {
            fields.push(schema.field(index).clone());
            arrays.push(batch.column(index).clone());
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::new(ArrowSchema::new(fields)), arrays, &options)
            .map_err(failed)
    }

    fn seen(&self, batch: &RecordBatch, index: usize, when: &Expr) -> Result<ArrayRef> {
        let decided = RowInterpreter.evaluate(when, batch, &self.principal)?;
        let decided = decided.as_any().downcast_ref::<BooleanArray>();
        let decided = decided.ok_or_else(|| Error::internal("a condition is a boolean"))?;
        // What is not known to be seen is not seen.
        let decided: BooleanArray =
            decided.iter().map(|seen| Some(seen.unwrap_or(false))).collect();
        let hidden = not(&decided).map_err(failed)?;
        nullif(batch.column(index), &hidden).map_err(failed)
    }
}

impl Mask {
    fn condition(&self) -> Option<&Expr> {
        match self {
            Mask::When(when) => Some(when),
            Mask::Never => None,
        }
    }
}

fn failed(error: arrow::error::ArrowError) -> Error {
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
