//! What derived fields read beyond the stored fields of their rows, as selections that can be planned.
//!
//! In: an API and what stands behind it. Out: for each such field its selection, made once an engine. What
//! it selects becomes hidden fields of the plan (`select`). Not here: whether a fragment is right (`schema`).

use std::collections::HashMap;

use apollo_compiler::executable::{FieldSet, SelectionSet};
use apollo_compiler::validation::Valid;
use apollo_compiler::{Name, Schema};
use schema::{Derived, FieldKind, Giver};

use super::Backend;

/// The selections of derived fields, by type and field.
#[derive(Default)]
pub(crate) struct Inputs(HashMap<Name, HashMap<Name, FieldSet>>);

impl Inputs {
    /// Those of an engine.
    pub(crate) fn of(api: &Valid<Schema>, backend: &Backend) -> Self {
        let mut inputs = Inputs::default();
        match backend {
            Backend::Plain => {}
            Backend::Graph(atlas) => {
                for ((object, field), derived) in &atlas.graph.derived {
                    inputs.add(api, object, field, derived);
                }
            }
            Backend::Tables { schema, .. } => {
                for object in schema.types.values() {
                    for field in object.fields.values() {
                        let FieldKind::Derived(derived) = &field.kind else { continue };
                        let earlier = field.was.iter().map(|was| &was.name);
                        for name in std::iter::once(&field.name).chain(earlier) {
                            if derived.beyond.as_ref().is_some_and(|it| it.giver == Giver::Tables) {
                                inputs.add(api, &object.name, name, derived);
                            }
                        }
                    }
                }
            }
        }
        inputs
    }

    /// Adds a field, unless the API lacks it: it is not asked for then.
    fn add(&mut self, api: &Valid<Schema>, object: &str, field: &str, derived: &Derived) {
        let (Some(beyond), Ok(_)) = (&derived.beyond, api.type_field(object, field)) else {
            return;
        };
        let (Ok(object), Ok(field)) = (Name::new(object), Name::new(field)) else { return };
        if let Ok(set) = FieldSet::parse(api, object.clone(), beyond.from.as_ref(), "from") {
            self.0.entry(object).or_default().insert(field, set);
        }
    }

    /// What a field of a type reads.
    pub(crate) fn get(&self, object: &str, field: &str) -> Option<&SelectionSet> {
        Some(&self.0.get(object)?.get(field)?.selection_set)
    }
}
