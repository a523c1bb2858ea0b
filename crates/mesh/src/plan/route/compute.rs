//! Fields that no source gives: what they read is asked for in the same calls as the answer.
//!
//! In: a field of a node whose selection of inputs is planned. Out: for each input a field of the same node:
//! one that is asked anyway, where it asks the same, else one that is in no answer; and how the values are read
//! off them. Not here: the value (`respond`).

use super::assign::{given, shown};
use super::draft::{Draft, DraftPart};
use crate::error::GraphqlError;
use crate::plan::{Conditions, Inner, PlannedField, Resolve, Selection};

impl<'a> Draft<'a> {
    /// Plans what a field reads, if it is one that no source gives.
    pub(super) fn compute(&mut self, node: usize, field: usize) -> Result<(), GraphqlError> {
        let planned: Option<&'a PlannedField> = self.nodes[node].fields[field].shown;
        let Some(inputs) = planned.and_then(|planned| planned.inputs.as_deref()) else {
            return Ok(());
        };
        if self.nodes[node].fields[field].computed.is_none() {
            let parts = self.read(node, inputs)?;
            self.nodes[node].fields[field].computed = Some(parts);
        }
        Ok(())
    }

    /// Plans fields of a node that are not in the answer. Out: how they are read.
    fn read(&mut self, node: usize, inputs: &'a Selection) -> Result<Vec<DraftPart>, GraphqlError> {
        self.charge()?;
        let mut parts = Vec::with_capacity(inputs.fields.len());
        for planned in inputs.fields.iter().filter(|it| it.resolve != Resolve::Typename) {
            let field = self.input(node, planned);
            self.assign(node, vec![field])?;
            self.compute_input(node, field, planned)?;
            let mut inner = Vec::new();
            for child in self.nodes[node].fields[field].below.nodes() {
                if let Inner::Object(selection) = &planned.inner {
                    inner.push((child, self.read(child, selection)?));
                }
            }
            // Last, for what it reads may have brought it to further sources.
            self.widen(node, field, &planned.when);
            let key = Some(planned.key.clone());
            parts.push(DraftPart { field, key, is_key: false, inner });
        }
        Ok(parts)
    }

    /// Plans what an input reads that no source gives. Where somebody else asks for it already, what it reads
    /// is asked for whenever this one is, too.
    fn compute_input(
        &mut self,
        node: usize,
        field: usize,
        planned: &'a PlannedField,
    ) -> Result<(), GraphqlError> {
        let Some(inputs) = planned.inputs.as_deref() else { return Ok(()) };
        let known = &self.nodes[node].fields[field];
        if known.computed.is_some() && known.also.contains(&planned.when) {
            return Ok(());
        }
        let parts = self.read(node, inputs)?;
        self.nodes[node].fields[field].computed.get_or_insert(parts);
        Ok(())
    }

    /// The field that gives an input: one that is there, or a new one.
    fn input(&mut self, node: usize, planned: &'a PlannedField) -> usize {
        let arguments = given(planned);
        let mut fields = self.nodes[node].fields.iter();
        let same = fields.position(|known| {
            known.name == planned.name
                && *known.arguments == arguments
                && known.shown.is_some_and(|shown| shown.inputs.is_some())
                    == planned.inputs.is_some()
        });
        same.unwrap_or_else(|| {
            let field = super::draft::DraftField { is_input: true, ..shown(planned) };
            self.nodes[node].fields.push(field);
            self.nodes[node].fields.len() - 1
        })
    }

    /// Has a field asked whenever what is computed of it is.
    fn widen(&mut self, node: usize, field: usize, when: &Conditions) {
        self.nodes[node].fields[field].also.push(when.clone());
        let is_always = when.0.iter().any(Vec::is_empty);
        for (seat, key) in self.nodes[node].fields[field].from.clone() {
            let slot = self.slot(node, seat);
            let (set, on) = (slot.set, slot.on.clone());
            let entries = self.sets[set].entries.get_mut(&on);
            let Some(entry) = entries.and_then(|entries| entries.get_mut(&key)) else { continue };
            match &mut entry.when {
                Some(_) if is_always => entry.when = None,
                Some(all) if !all.contains(when) => all.push(when.clone()),
                _ => {}
            }
        }
    }
}
