//! What holds for the one who asks, beside the limits that hold for everybody.
//!
//! In: a plan, or what is wrong with a document. Out: whether the plan may run, and what the caller is
//! told. Not here: who the caller is; `server` knows, and says it in these terms.

use std::sync::Arc;

use base::Kind;

use crate::error::GraphqlError;
use crate::plan::Plan;
use crate::usage::Usage;

/// The terms of one request. By default everything is allowed and costs nothing, as for the owner of the
/// machine.
#[derive(Clone, Copy)]
pub struct Terms<'a> {
    /// Whether `__schema` and `__type` are answered.
    pub introspection: bool,
    /// Whether refusals say which name was probably meant.
    pub suggestions: bool,
    /// Takes the static cost of an operation that is about to run, or says why it must not run.
    pub charge: &'a (dyn Fn(f64) -> Result<(), GraphqlError> + Sync),
    /// Hears what an operation uses that is about to run.
    pub used: &'a (dyn Fn(&Arc<Usage>) + Sync),
}

impl Default for Terms<'_> {
    fn default() -> Self {
        Terms { introspection: true, suggestions: true, charge: &|_| Ok(()), used: &|_| {} }
    }
}

impl Terms<'_> {
    /// Refuses questions about the types of the API where they are not answered.
    pub(crate) fn check(&self, plan: &Plan) -> Result<(), GraphqlError> {
        let asked = |name: &str| name == "__schema" || name == "__type";
        match plan.root.fields.iter().find(|field| asked(field.name.as_str())) {
            Some(field) if !self.introspection => Err(GraphqlError::new(
                Kind::Denied,
                format!("introspection is not offered here: `{}` is not answered", field.name),
            )
            .located(&field.locations)),
            _ => Ok(()),
        }
    }

    /// What a caller is told of a document that is refused.
    pub(crate) fn told(&self, errors: Vec<GraphqlError>) -> Vec<GraphqlError> {
        if self.suggestions {
            return errors;
        }
        errors.into_iter().map(GraphqlError::without_suggestion).collect()
    }
}
