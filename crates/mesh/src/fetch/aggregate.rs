//! Groups of rows: one scan for everything that a root field asks, whatever aliases and fragments it is
//! spread over.
//!
//! In: the arguments and the selection of an aggregate field. Out: a batch with one row a group, and for
//! each field of the selection the column where its value is. Measures that `having` and `orderBy` look
//! at are columns too. Not here: how rows are grouped (`frame::aggregate`).

mod having;
mod keys;
mod order;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use base::{Error, Kind, Result};
use frame::{Aggregate, DataType, Expr, Measure, MeasureOf, ScanRequest, Search};
use schema::{FieldDef, ObjectType, TypeId};
use serde_json::Value as Json;

use super::filter::Names;
use super::reference::page_size;
use super::{Session, as_of};
use crate::plan::arguments::ArgumentValues;
use crate::plan::{MeasureKind, PlannedField, Resolve, Selection};

/// The groups of one root field.
pub(crate) struct Groups {
    /// One row a group.
    pub(crate) batch: RecordBatch,
    /// For each field of the selection.
    pub(crate) slots: Vec<GroupSlot>,
}

/// Where what one field of a group says is.
pub(crate) enum GroupSlot {
    /// Not in the answer, or without values of its own.
    Unused,
    /// A value.
    Value(Place),
    /// An object: for each field of its selection a value.
    Object(Vec<Option<Place>>),
}

/// A column of the batch and its type.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) column: usize,
    pub(crate) data_type: DataType,
}

/// Groups of a table's rows.
pub(super) async fn aggregate(
    session: &Session<'_>,
    field: &PlannedField,
    id: TypeId,
    arguments: &ArgumentValues,
) -> Result<Groups> {
    let names = session.names()?;
    let mut asked = Asked::new(names, id, arguments.get("groupBy"))?;
    let Some(selection) = field.selection() else {
        return Err(Error::internal(format!("`{}` has no selection", field.name)));
    };
    let slots = selection.fields.iter().map(|field| asked.slot(session, field));
    let slots = slots.collect::<Result<Vec<_>>>()?;
    let limit = session.engine.settings.limits.page;
    let first =
        arguments.get("first").map(|count| page_size(session, "first", count)).transpose()?;
    let mut request = asked.request(session, arguments)?;
    // One more than may be answered shows that there are more.
    request.limit = Some(first.unwrap_or(limit + 1));
    let columns = request.aggregate.as_ref().map(|asked| asked.group.len() + asked.measures.len());
    let batch = session.scan(request).await?;
    if Some(batch.num_columns()) != columns {
        return Err(Error::internal(format!("`{}` was not answered in groups", field.name)));
    }
    if first.is_none() && batch.num_rows() > limit {
        return Err(Error::new(
            Kind::LimitExceeded,
            format!("`{}` has more than {limit} groups", field.name),
        )
        .hint("group by less, narrow `where`, or take the `first` of them in an order"));
    }
    Ok(Groups { batch, slots })
}

/// What is asked of the groups of one table; every measure once.
struct Asked<'a> {
    names: Names<'a>,
    id: TypeId,
    aggregate: Aggregate,
    /// Columns of the answer by name.
    places: HashMap<Arc<str>, Place>,
}

impl<'a> Asked<'a> {
    /// Groups by these keys of which nothing is measured yet.
    fn new(names: Names<'a>, id: TypeId, keys: Option<&Json>) -> Result<Self> {
        let group = keys::keys(names, id, keys)?;
        let places = group.iter().enumerate().map(|(column, key)| {
            (key.name.clone(), Place { column, data_type: key.input.data_type.clone() })
        });
        let places = places.collect();
        let aggregate = Aggregate { group, ..Aggregate::default() };
        Ok(Asked { names, id, aggregate, places })
    }

    fn object(&self) -> &'a ObjectType {
        self.names.schema.object(self.id)
    }

    /// The field with this name in the API.
    fn field(&self, name: &str) -> Result<&'a FieldDef> {
        let object = self.object();
        let found = self.names.api.field(self.id, name).map(|found| object.field(found.field));
        found.ok_or_else(|| Error::invalid(format!("`{}` has no field `{name}`", object.name)))
    }

    /// Where the values of a field of the selection will be.
    fn slot(&mut self, session: &Session<'_>, field: &PlannedField) -> Result<GroupSlot> {
        let Resolve::Measure(_, kind) = &field.resolve else { return Ok(GroupSlot::Unused) };
        if !field.when.hold(&session.variables) {
            return Ok(GroupSlot::Unused);
        }
        if *kind == MeasureKind::Rows {
            return Ok(GroupSlot::Value(self.rows()?.1));
        }
        let share = match kind {
            MeasureKind::Percentile => share(session.arguments(field)?.get("p"))?,
            _ => 0.0,
        };
        let selection = field.selection().map_or(&[][..], |selection| &selection.fields);
        let places = selection.iter().map(|leaf| {
            let Resolve::Measured(_, measured) = leaf.resolve else { return Ok(None) };
            if !leaf.when.hold(&session.variables) {
                return Ok(None);
            }
            let measured = self.object().field(measured);
            self.measure(*kind, measured, share).map(|(_, place)| Some(place))
        });
        Ok(GroupSlot::Object(places.collect::<Result<_>>()?))
    }

    /// The column that counts rows.
    fn rows(&mut self) -> Result<(Arc<str>, Place)> {
        self.column(MeasureKind::Rows.name().into(), MeasureOf::Rows)
    }

    /// The column of a measure of a field; `share` is that of a percentile.
    fn measure(
        &mut self,
        kind: MeasureKind,
        field: &FieldDef,
        share: f64,
    ) -> Result<(Arc<str>, Place)> {
        let name: Arc<str> = match kind {
            MeasureKind::Percentile => format!("{}({share}).{}", kind.name(), field.name).into(),
            _ => format!("{}.{}", kind.name(), field.name).into(),
        };
        let operand = || {
            let column = field.column().ok_or_else(|| {
                Error::internal(format!("nothing can be measured of `{}`", field.name))
            })?;
            Ok::<_, Error>(Expr::field(&field.name, column.data_type.clone()))
        };
        let of = match kind {
            MeasureKind::Keys => return self.key(name, &field.name),
            MeasureKind::Rows => MeasureOf::Rows,
            MeasureKind::CountOf => MeasureOf::Count(operand()?),
            MeasureKind::CountDistinct => MeasureOf::CountDistinct(operand()?),
            MeasureKind::Min => MeasureOf::Min(operand()?),
            MeasureKind::Max => MeasureOf::Max(operand()?),
            MeasureKind::Sum => MeasureOf::Sum(operand()?),
            MeasureKind::Avg => MeasureOf::Avg(operand()?),
            MeasureKind::Percentile => MeasureOf::Percentile(operand()?, share),
        };
        self.column(name, of)
    }

    fn key(&self, name: Arc<str>, field: &str) -> Result<(Arc<str>, Place)> {
        match self.places.get(&name) {
            Some(place) => Ok((name, place.clone())),
            None => Err(Error::invalid(format!(
                "`{name}` is asked for, but `groupBy` does not name `{field}`"
            ))
            .hint("rows of one group differ in fields that they are not grouped by")),
        }
    }

    fn column(&mut self, name: Arc<str>, of: MeasureOf) -> Result<(Arc<str>, Place)> {
        if let Some(place) = self.places.get(&name) {
            return Ok((name, place.clone()));
        }
        let column = self.aggregate.group.len() + self.aggregate.measures.len();
        let place = Place { column, data_type: of.data_type()? };
        self.aggregate.measures.push(Measure { name: name.clone(), of });
        self.places.insert(name.clone(), place.clone());
        Ok((name, place))
    }

    /// The scan, but for its limit.
    fn request(mut self, session: &Session<'_>, arguments: &ArgumentValues) -> Result<ScanRequest> {
        let mut request = session.request(self.object(), &[]);
        request.at = as_of(arguments)?;
        if let Some(json) = arguments.get("where") {
            request.predicate = session.predicate(self.id, json)?;
        }
        if let Some(text) = arguments.get("search").and_then(Json::as_str) {
            request.search = Some(Search { fields: Vec::new(), text: text.to_owned() });
        }
        if let Some(json) = arguments.get("having") {
            self.aggregate.having = having::having(&mut self, json)?;
        }
        request.order = order::order(&mut self, arguments.get("orderBy"))?;
        if self.places.is_empty() {
            self.rows()?;
        }
        request.aggregate = Some(self.aggregate);
        Ok(request)
    }
}

/// The share of a percentile.
fn share(json: Option<&Json>) -> Result<f64> {
    let share = json.and_then(Json::as_f64).unwrap_or(f64::NAN);
    match (0.0..=1.0).contains(&share) {
        // Both zeros are one share, and one name of a column.
        true => Ok(share + 0.0),
        false => Err(Error::invalid(format!("`p: {share}` is not a share from 0 to 1"))
            .hint("the median is `p: 0.5`")),
    }
}

/// The only entry of an object that is no null; `place` says where the object stands.
fn single<'j>(place: &str, json: &'j Json) -> Result<(&'j String, &'j Json)> {
    let given = json.as_object().into_iter().flatten().filter(|(_, json)| !json.is_null());
    let given: Vec<_> = given.collect();
    match given.as_slice() {
        [one] => Ok(*one),
        _ => Err(Error::invalid(format!(
            "an item of `{place}` takes exactly one field, not {}",
            given.len()
        ))),
    }
}

/// What a selection measures, as plans show it.
pub(crate) fn measured(selection: &Selection) -> Vec<String> {
    let mut shown: Vec<String> = Vec::new();
    for field in &selection.fields {
        let Resolve::Measure(_, kind) = field.resolve else { continue };
        let leaves = field.selection().map_or(&[][..], |inner| &inner.fields);
        let leaves = leaves.iter().filter(|leaf| matches!(leaf.resolve, Resolve::Measured(..)));
        let mut names: Vec<String> =
            leaves.map(|leaf| format!("{}.{}", kind.name(), leaf.name)).collect();
        if kind == MeasureKind::Rows {
            names.push(kind.name().to_owned());
        }
        names.retain(|name| !shown.contains(name));
        shown.extend(names);
    }
    shown
}
