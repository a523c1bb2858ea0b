//! Plan to route: which calls of services give which parts of an answer.
//!
//! ```text
//! Plan + Graph → draft (assign, reach) → Route: nodes and groups
//! ```
//!
//! In: a planned operation and the index of a composed graph. Out: a [`Route`]. A *node* is one
//! position of the answer for one concrete type; a *group* is one call of one source, which gives
//! fields of one node and of nodes below it. A group that adds fields to objects of other sources says
//! what it needs of them. A field that no source gives is computed of fields that are asked for it, and
//! not shown. The text of each call is printed here, once. Pure: no variable's value is
//! known, nothing is called. Not here: calls (`fetch::service`), the answer (`respond`).

mod assign;
mod atlas;
mod compute;
mod draft;
mod estimate;
mod finish;
mod print;
mod reach;
mod show;

use std::collections::HashMap;

use apollo_compiler::Name;
use apollo_compiler::ast::{OperationType, Type};
use schema::Derived;
use std::sync::Arc;

pub(crate) use atlas::Atlas;
pub(crate) use show::{Calls, show};

use super::defer::Timing;
use super::{Conditions, Plan};
use crate::error::GraphqlError;
use draft::Draft;

/// How much one route may be.
pub(crate) struct Budget {
    /// Calls of services.
    pub(crate) calls: usize,
    /// Steps of planning.
    pub(crate) steps: usize,
}

/// A planned operation over services.
#[derive(Debug)]
pub(crate) struct Route {
    /// The first is the root; each comes after the one above it.
    pub(crate) nodes: Vec<Node>,
    pub(crate) groups: Vec<Group>,
    /// Fields whose objects must be known one by one, as something is fetched for them or below them;
    /// what is above comes first.
    pub(crate) expansions: Vec<Expansion>,
}

/// One position of the answer for one type.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) type_name: Name,
    /// How many slots give the object itself; the others are fetched for it.
    pub(crate) bases: usize,
    /// The groups that give fields.
    pub(crate) slots: Vec<usize>,
    /// Those of the answer first, in its order.
    pub(crate) fields: Vec<Field>,
    pub(crate) shown: usize,
    /// Of an object whose source does not know its type.
    pub(crate) face: Option<Face>,
}

/// Who tells the type of an object, and the nodes of the types. They have the slot that tells first,
/// and then the bases of this node.
#[derive(Debug)]
pub(crate) struct Face {
    pub(crate) slot: usize,
    pub(crate) by_type: Vec<(Name, usize)>,
}

/// One field of a node.
#[derive(Debug)]
pub(crate) struct Field {
    /// The key in the answer.
    pub(crate) key: Arc<str>,
    /// A comma, the key as JSON, a colon.
    pub(crate) quoted: Box<[u8]>,
    pub(crate) name: Name,
    pub(crate) parent: Name,
    pub(crate) ty: Type,
    /// Nothing when the field is always there.
    pub(crate) when: Option<Conditions>,
    pub(crate) locations: Vec<(usize, usize)>,
    /// Several only for objects that several sources give together.
    pub(crate) from: Vec<From>,
    pub(crate) below: Below,
    /// When it is in the answer, of a document that asks for parts.
    pub(crate) timing: Option<Arc<Timing>>,
}

/// Where a value stands.
#[derive(Debug)]
pub(crate) struct From {
    pub(crate) slot: usize,
    /// The key in the group's answer.
    pub(crate) key: Box<str>,
}

/// What a field holds.
#[derive(Debug)]
pub(crate) enum Below {
    Typename,
    /// Answered from the types of the API.
    Introspection,
    Leaf(Leaf),
    Computed(Box<Computed>),
    One(usize),
    ByType(Vec<(Name, usize)>),
}

/// A field that no source gives.
#[derive(Debug)]
pub(crate) struct Computed {
    pub(crate) derived: Arc<Derived>,
    /// What it reads of its object, under the names that the expression knows.
    pub(crate) parts: Vec<Part>,
    /// The node of its object.
    pub(crate) node: usize,
    /// The calls that give what it reads.
    pub(crate) groups: Vec<usize>,
}

/// A scalar or an enum, as answers are checked against it.
#[derive(Debug)]
pub(crate) enum Leaf {
    Int,
    Float,
    String,
    Id,
    Boolean,
    Enum(Vec<Name>),
    /// A scalar that the specification does not know.
    Any,
}

/// One call.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) source: usize,
    /// Whose objects it gives or adds to.
    pub(crate) node: usize,
    /// The operation as the source is asked.
    pub(crate) text: String,
    /// The body up to the values of variables.
    pub(crate) prefix: Box<[u8]>,
    pub(crate) variables: Vec<Passed>,
    pub(crate) is_mutation: bool,
    /// The groups that must have answered.
    pub(crate) after: Vec<usize>,
    /// Nothing when the call is always made.
    pub(crate) when: Option<Vec<Conditions>>,
    pub(crate) entity: Option<Representation>,
}

/// A variable of a call.
#[derive(Debug)]
pub(crate) struct Passed {
    /// The name as JSON, and a colon.
    pub(crate) quoted: Box<[u8]>,
    pub(crate) value: PassedValue,
}

#[derive(Debug)]
pub(crate) enum PassedValue {
    /// A variable of the request.
    Variable(Name),
    /// Whether any of these hold.
    Conditions(Vec<Conditions>),
}

/// What is passed on of each object.
#[derive(Debug)]
pub(crate) struct Representation {
    /// How the variable begins.
    pub(crate) quoted: Box<[u8]>,
    /// The object up to its first field.
    pub(crate) open: Box<[u8]>,
    pub(crate) parts: Vec<Part>,
    /// The key, for people.
    pub(crate) shown: String,
}

/// A field that is passed on.
#[derive(Debug)]
pub(crate) struct Part {
    /// A comma, the name as JSON, a colon.
    pub(crate) quoted: Box<[u8]>,
    pub(crate) field: usize,
    /// Without it there is nothing to ask.
    pub(crate) is_key: bool,
    /// For each node below what is passed on of it.
    pub(crate) inner: Vec<(usize, Inner)>,
}

/// What is passed on of an object inside a representation.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) open: Box<[u8]>,
    pub(crate) parts: Vec<Part>,
}

/// Objects below a field, or below a face, that are known one by one.
#[derive(Debug)]
pub(crate) struct Expansion {
    pub(crate) node: usize,
    pub(crate) field: Option<usize>,
    /// The groups that must have answered.
    pub(crate) after: Vec<usize>,
}

/// Plans the calls of an operation.
pub(crate) fn route(atlas: &Atlas, plan: &Plan, budget: &Budget) -> Result<Route, GraphqlError> {
    let mut draft = Draft {
        atlas,
        operation: operation_of(plan),
        budget,
        nodes: Vec::new(),
        groups: Vec::new(),
        sets: Vec::new(),
        scopes: Vec::new(),
        costs: HashMap::new(),
        opening: Vec::new(),
        requiring: Vec::new(),
        work: 0,
    };
    let root = atlas.root(draft.operation).cloned().unwrap_or_else(|| plan.root.type_name.clone());
    let root = draft.add_node(root, None);
    draft.fill(root, &plan.root)?;
    finish::finish(&draft, plan)
}

fn operation_of(plan: &Plan) -> OperationType {
    match (plan.is_mutation, plan.is_subscription) {
        (true, _) => OperationType::Mutation,
        (_, true) => OperationType::Subscription,
        _ => OperationType::Query,
    }
}
