//! How many calls a selection needs below objects of a source: a guess that compares sources, made once
//! for each selection and source.

use std::collections::BTreeSet;

use apollo_compiler::Name;

use super::draft::Draft;
use crate::plan::{Inner, PlannedField, Resolve, Selection};

/// More than any reachable selection costs.
const UNREACHABLE: u32 = 1_000;

impl<'a> Draft<'a> {
    /// What a field of a node costs below, when a source gives it.
    pub(super) fn cost_at(&mut self, node: usize, field: usize, source: usize) -> u32 {
        let type_name = self.nodes[node].type_name.clone();
        match self.nodes[node].fields[field].shown {
            Some(shown) => self.cost_below(&type_name, shown, source),
            None => 0,
        }
    }

    fn cost_below(&mut self, type_name: &Name, field: &'a PlannedField, source: usize) -> u32 {
        let atlas = self.atlas;
        match &field.inner {
            Inner::Leaf => 0,
            Inner::Object(selection) => self.cost(selection, source),
            Inner::Abstract(by_type) => {
                let Some(offer) = atlas.offer(type_name, &field.name, source) else { return 0 };
                let inner = offer.ty.inner_named_type();
                let mut names = atlas.possible(source, inner);
                let mut total: u32 = 0;
                if atlas.is_face(source, inner) {
                    total = 1;
                    names = by_type.keys().cloned().collect();
                }
                for selection in names.iter().filter_map(|name| by_type.get(name)) {
                    total = total.saturating_add(self.cost(selection, source));
                }
                total
            }
        }
    }

    fn cost(&mut self, selection: &'a Selection, source: usize) -> u32 {
        let known = (std::ptr::from_ref(selection), source);
        if let Some(cost) = self.costs.get(&known) {
            return *cost;
        }
        let mut total: u32 = 0;
        let mut others = BTreeSet::new();
        for field in selection.fields.iter().filter(|field| field.resolve != Resolve::Typename) {
            let own = self.atlas.offer(&selection.type_name, &field.name, source);
            let cost = match own.filter(|offer| offer.is_plain()) {
                Some(_) => self.cost_below(&selection.type_name, field, source),
                None => self.cost_elsewhere(selection, field, &mut others),
            };
            total = total.saturating_add(cost);
        }
        let total = total.saturating_add(others.len() as u32);
        self.costs.insert(known, total);
        total
    }

    /// What a field costs that another source gives; the source is added to the others.
    fn cost_elsewhere(
        &mut self,
        selection: &'a Selection,
        field: &'a PlannedField,
        others: &mut BTreeSet<usize>,
    ) -> u32 {
        let atlas = self.atlas;
        let type_name = &selection.type_name;
        let mut best: Option<(u32, usize)> = None;
        for offer in atlas.offers(type_name, &field.name).iter().filter(|offer| !offer.external) {
            let is_keyed = atlas.access(type_name).iter().any(|it| it.source == offer.source);
            let mut cost = self.cost_below(type_name, field, offer.source);
            if !is_keyed {
                cost = cost.saturating_add(UNREACHABLE);
            }
            cost = cost.saturating_add(u32::from(offer.requires.is_some()));
            let compared = cost.saturating_add(u32::from(!others.contains(&offer.source)));
            if best.is_none_or(|(least, _)| compared < least) {
                best = Some((compared, offer.source));
            }
        }
        match best {
            Some((cost, source)) => {
                // The call itself is counted with the others.
                let is_new = others.insert(source);
                cost.saturating_sub(u32::from(is_new))
            }
            None => UNREACHABLE,
        }
    }
}
