//! Document to plan: an immutable value that no variable's value changes, made once a document.
//!
//! In: a valid operation. Out: a [`Plan`]: for every selection the fields in order, merged over all
//! fragments, each with its conditions, its arguments, and what stands behind it ([`Resolve`]).
//! What a derived field reads is planned with it, as a selection that is not in the answer.
//! Selections on interfaces and unions are planned for each concrete type. Where services answer, the
//! plan has their calls too (`route`). Not here: values of variables, reading of anything.

pub(crate) mod arguments;
pub(crate) mod cache;
mod collect;
pub(crate) mod cost;
pub(crate) mod defer;
mod explain;
pub(crate) mod inputs;
mod resolve;
pub(crate) mod route;
mod select;

use std::collections::HashMap;
use std::sync::Arc;

use apollo_compiler::Name;
use apollo_compiler::ast::Type;
use serde_json::{Map, Value as Json};

pub(crate) use explain::explain;
pub(crate) use resolve::{Backend, MeasureKind, Part, Resolve};
pub(crate) use select::{Ground, plan};

use crate::input::Variable;
use crate::usage::Usage;
use arguments::Arguments;
use defer::{Deferred, Timing};

/// A prepared operation.
pub(crate) struct Plan {
    /// Whether the root fields run one after the other.
    pub(crate) is_mutation: bool,
    /// Whether it is answered by a stream; it has one root field then.
    pub(crate) is_subscription: bool,
    pub(crate) variables: Vec<Variable>,
    pub(crate) root: Selection,
    /// How many fields there are in all selections.
    pub(crate) fields: usize,
    /// Earlier names that are asked for, as `Type.field`, each with its last day.
    pub(crate) earlier: Vec<(String, Arc<str>)>,
    /// The calls of services, where services answer.
    pub(crate) route: Option<route::Route>,
    /// The same document as the tables' engine plans it, where it asks them alone.
    pub(crate) direct: Option<Arc<Plan>>,
    /// What the operation uses of the API.
    pub(crate) usage: Arc<Usage>,
    /// The fragments that may come later, by the numbers that fields know them by.
    pub(crate) deferred: Vec<Deferred>,
}

impl Plan {
    /// What the operation is.
    pub(crate) fn kind(&self) -> &'static str {
        match (self.is_mutation, self.is_subscription) {
            (true, _) => "mutation",
            (_, true) => "subscription",
            _ => "query",
        }
    }
}

/// The fields that are asked of objects of one type.
#[derive(Debug)]
pub(crate) struct Selection {
    pub(crate) type_name: Name,
    pub(crate) fields: Vec<PlannedField>,
    /// Of a row: the columns that its fields read.
    pub(crate) columns: Vec<Arc<str>>,
}

/// One field of an answer.
#[derive(Debug)]
pub(crate) struct PlannedField {
    /// The key in the answer.
    pub(crate) key: Arc<str>,
    pub(crate) name: Name,
    pub(crate) parent: Name,
    pub(crate) ty: Type,
    pub(crate) when: Conditions,
    pub(crate) arguments: Arguments,
    pub(crate) locations: Vec<(usize, usize)>,
    pub(crate) inner: Inner,
    pub(crate) resolve: Resolve,
    /// Of a derived field: what it reads of the same object beyond the stored fields of its row.
    pub(crate) inputs: Option<Box<Selection>>,
    pub(crate) cost: cost::FieldCost,
    /// When it is in the answer, of a document that asks for parts.
    pub(crate) timing: Option<Arc<Timing>>,
}

/// What is asked of a field's value.
#[derive(Debug)]
pub(crate) enum Inner {
    /// Nothing: a scalar or an enum.
    Leaf,
    /// An object.
    Object(Selection),
    /// An interface or a union: by the name of the concrete type.
    Abstract(HashMap<Name, Selection>),
}

/// When a field is in the answer: any of these, each with all its parts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Conditions(pub(crate) Vec<Vec<Condition>>);

/// A variable that must have this value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Condition {
    pub(crate) variable: Name,
    pub(crate) expected: bool,
}

impl Conditions {
    /// Whether the field is in the answer.
    pub(crate) fn hold(&self, variables: &Map<String, Json>) -> bool {
        let holds = |condition: &Condition| {
            variables.get(condition.variable.as_str()) == Some(&Json::Bool(condition.expected))
        };
        self.0.iter().any(|all| all.iter().all(holds))
    }
}

impl PlannedField {
    /// The selection on an object that is not abstract.
    pub(crate) fn selection(&self) -> Option<&Selection> {
        match &self.inner {
            Inner::Object(selection) => Some(selection),
            _ => None,
        }
    }

    fn is_same_as(&self, other: &PlannedField) -> bool {
        self.key == other.key
            && self.name == other.name
            && self.ty == other.ty
            && self.resolve != Resolve::Introspection
            && match (&self.inner, &other.inner) {
                (Inner::Leaf, Inner::Leaf) => true,
                (Inner::Object(own), Inner::Object(others)) => own.is_same_as(others),
                _ => false,
            }
    }

    /// Whether both ask for the same objects, whatever they ask of them.
    pub(crate) fn leads_as(&self, other: &PlannedField) -> bool {
        self.name == other.name
            && self.resolve == other.resolve
            && self.arguments == other.arguments
    }

    /// Whether both ask the same of an object, whatever they are called in the answer and wherever in
    /// the document they stand.
    pub(crate) fn asks_as(&self, other: &PlannedField) -> bool {
        self.leads_as(other)
            && match (&self.inner, &other.inner) {
                (Inner::Leaf, Inner::Leaf) => true,
                (Inner::Object(own), Inner::Object(others)) => own.asks_as(others),
                _ => false,
            }
    }
}

impl Selection {
    /// Whether both give the same answer of the same data: the same keys in the same order, each with
    /// a value of the same type. What is said of the API itself is never the same.
    pub(crate) fn is_same_as(&self, other: &Selection) -> bool {
        let mut pairs = self.fields.iter().zip(&other.fields);
        self.type_name == other.type_name
            && self.fields.len() == other.fields.len()
            && pairs.all(|(own, others)| own.is_same_as(others))
    }

    fn asks_as(&self, other: &Selection) -> bool {
        let mut pairs = self.fields.iter().zip(&other.fields);
        self.type_name == other.type_name
            && self.fields.len() == other.fields.len()
            && pairs.all(|(own, others)| own.when == others.when && own.asks_as(others))
    }
}
