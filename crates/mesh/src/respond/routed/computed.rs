//! Fields that no source gives: in comes an object whose inputs were answered, out comes the value that its
//! expression has, or why there is none.

use std::cell::RefCell;

use base::{Error, Kind};
use frame::convert::array_of;
use frame::{DataType, Value};

use super::{Asked, Routed};
use crate::error::GraphqlError;
use crate::exact;
use crate::fetch::Session;
use crate::fetch::derived::{self, of_input};
use crate::fetch::service::{Spot, Withheld};
use crate::plan::route::{Computed, Field};
use crate::respond::scalar;
use crate::respond::writer::{Nulled, Written};

impl<'a> Routed<'a> {
    /// Computes a field of an object whose slots stand on the stack from a position on.
    pub(super) fn computed(
        &mut self,
        asked: Asked<'a>,
        computed: &'a Computed,
        start: usize,
    ) -> Written {
        let field = asked.field;
        let slots = asked.node.slots.len();
        let spots: Vec<Spot> =
            self.stack.iter().skip(start).take(slots).map(|place| place.spot).collect();
        let session = self.session;
        let failed = RefCell::new(None);
        let evaluate = |inner: &Computed, inputs: &[u8], out: &mut Vec<u8>| match derived_value(
            session, inner, inputs,
        ) {
            Ok((value, data_type)) => write_value(out, &value, &data_type),
            Err(error) => {
                failed.borrow_mut().get_or_insert(error);
                false
            }
        };
        let inputs = self.answers.inputs(self.route, computed, &spots, &evaluate);
        let found = inputs
            .map_err(|withheld| self.withheld(field, withheld, failed.take()))
            .and_then(|inputs| derived_value(session, computed, &inputs));
        let error = match found {
            Ok((Value::Null, _)) => return self.null(asked, &field.ty),
            Ok((value, data_type)) => {
                let mark = self.output.text.len();
                if write_value(&mut self.output.text, &value, &data_type) {
                    return Ok(());
                }
                self.output.text.truncate(mark);
                GraphqlError::not_finite(&field.parent, &field.name)
            }
            Err(error) => error,
        };
        if computed.derived.propagates {
            self.report(field, error);
            self.takes_object = true;
            return Err(Nulled);
        }
        self.failed(field, &field.ty, error)
    }

    /// Why there are no inputs.
    fn withheld(
        &mut self,
        field: &Field,
        withheld: Withheld,
        failed: Option<GraphqlError>,
    ) -> GraphqlError {
        let told = withheld.fault().and_then(|fault| self.answers.faults.tell(fault)).or(failed);
        let missing = || GraphqlError::new(Kind::Internal, "it has no value, but must have one");
        of_input(&field.parent, &field.name, told.unwrap_or_else(missing))
    }
}

/// The value of a computed field, and its type.
fn derived_value(
    session: &Session<'_>,
    computed: &Computed,
    inputs: &[u8],
) -> Result<(Value, DataType), GraphqlError> {
    let read = |error| Error::internal("inputs are not JSON").caused_by(error);
    let found = exact::json(inputs)
        .map_err(read)
        .and_then(|json| derived::value(session, &computed.derived, &json));
    let value = found.map_err(|error| GraphqlError::from(&error))?;
    Ok((value, computed.derived.expr.data_type.clone()))
}

/// Appends a value as an answer has it; false when JSON has no spelling for it.
fn write_value(out: &mut Vec<u8>, value: &Value, data_type: &DataType) -> bool {
    match (value, data_type) {
        (Value::Null, _) => {
            out.extend_from_slice(b"null");
            true
        }
        (Value::List(items), DataType::List { item, .. }) => {
            out.push(b'[');
            for (index, value) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                if !write_value(out, value, item) {
                    return false;
                }
            }
            out.push(b']');
            true
        }
        _ => array_of([value], data_type)
            .is_ok_and(|array| scalar::scalar(out, array.as_ref(), 0, data_type)),
    }
}
