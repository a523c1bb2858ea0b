//! Collected selections to planned fields, one list for each concrete type.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use apollo_compiler::collections::HashMap as ApolloMap;
use apollo_compiler::executable::{SelectionSet, VariableDefinition};
use apollo_compiler::schema::{ExtendedType, Implementers};
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Name, Schema};
use base::Kind;
use indexmap::IndexSet;

use super::arguments::Arguments;
use super::collect::{Around, Collected, Guard, Place};
use super::cost::FieldCost;
use super::defer::{Deferred, asks_for_parts};
use super::inputs::Inputs;
use super::resolve::{Backend, columns};
use super::route::{Budget, route};
use super::{Inner, Plan, PlannedField, Resolve, Selection};
use crate::error::GraphqlError;
use crate::input::{Variable, Variables, literal};
use crate::limits::Limits;
use crate::usage::usage;
use crate::validate::ValidDocument;

/// Everything that holds still while one document is planned, and what was counted.
pub(super) struct Planner<'a> {
    pub(super) schema: &'a Valid<Schema>,
    pub(super) document: &'a ExecutableDocument,
    /// The variables of the operation; guards know them by their positions.
    pub(super) variables: IndexSet<&'a Name>,
    implementers: &'a ApolloMap<Name, Implementers>,
    backend: &'a Backend,
    inputs: &'a Inputs,
    limits: &'a Limits,
    fields: usize,
    work: usize,
    earlier: Vec<(String, Arc<str>)>,
    /// Whether the document asks for parts.
    pub(super) has_parts: bool,
    pub(super) deferred: Vec<Deferred>,
    /// Where the directives of them stand.
    pub(super) places: Vec<usize>,
}

/// A selection set, and when it is asked for.
type Asked<'a> = (&'a SelectionSet, Around);

/// What plans of an engine are made of.
#[derive(Clone, Copy)]
pub(crate) struct Ground<'a> {
    pub(crate) schema: &'a Valid<Schema>,
    pub(crate) implementers: &'a ApolloMap<Name, Implementers>,
    pub(crate) backend: &'a Backend,
    pub(crate) inputs: &'a Inputs,
}

/// Plans a valid operation.
pub(crate) fn plan(
    ground: Ground<'_>,
    valid: &ValidDocument,
    limits: &Limits,
) -> Result<Plan, GraphqlError> {
    let Ground { schema, implementers, backend, inputs } = ground;
    let operation = &valid.operation;
    let mut planner = Planner {
        schema,
        document: &valid.document,
        variables: operation.variables.iter().map(|declared| &declared.name).collect(),
        implementers,
        backend,
        inputs,
        limits,
        fields: 0,
        work: 0,
        earlier: Vec::new(),
        has_parts: asks_for_parts(schema, &valid.document),
        deferred: Vec::new(),
        places: Vec::new(),
    };
    let variables = operation.variables.iter().map(|declared| variable(schema, declared));
    let variables = variables.collect::<Result<Vec<_>, _>>()?;
    let root_type = operation.selection_set.ty.clone();
    let root =
        planner.selection(&root_type, &[(&operation.selection_set, Around::default())], 1)?;
    let Planner { fields, earlier, deferred, .. } = planner;
    let (is_mutation, is_subscription) = (operation.is_mutation(), operation.is_subscription());
    let usage = Arc::new(usage(schema, valid));
    let mut plan = Plan {
        is_mutation,
        is_subscription,
        variables,
        root,
        fields,
        earlier,
        route: None,
        direct: None,
        usage,
        deferred,
    };
    if let Backend::Graph(atlas) = backend {
        let budget = Budget { calls: limits.calls, steps: limits.selections };
        plan.route = Some(route(atlas, &plan, &budget)?);
    }
    Ok(plan)
}

fn variable(schema: &Schema, declared: &VariableDefinition) -> Result<Variable, GraphqlError> {
    let ty = declared.ty.as_ref().clone();
    let default = match &declared.default_value {
        None => None,
        Some(value) => literal(schema, &ty, value, &Variables::new()).map_err(|error| {
            GraphqlError::new(Kind::InvalidInput, format!("variable `${}`: {error}", declared.name))
        })?,
    };
    Ok(Variable { name: declared.name.clone(), ty, default })
}

impl<'a> Planner<'a> {
    fn selection(
        &mut self,
        type_name: &Name,
        sets: &[Asked<'a>],
        depth: usize,
    ) -> Result<Selection, GraphqlError> {
        if depth > self.limits.depth {
            return Err(self.beyond("nests selections", depth, self.limits.depth));
        }
        let mut collected = Collected::at(depth - 1);
        for (set, around) in sets {
            self.collect(type_name, set, around, &mut collected)?;
        }
        let mut fields = Vec::with_capacity(collected.fields.len());
        for (key, places) in collected.fields {
            let places: Vec<Place<'a>> = places.into_values().collect();
            fields.push(self.field(type_name, key, &places, depth)?);
        }
        let columns = columns(self.backend, type_name, &fields);
        Ok(Selection { type_name: type_name.clone(), fields, columns })
    }

    fn beyond(&self, what: &str, count: usize, limit: usize) -> GraphqlError {
        GraphqlError::new(
            Kind::LimitExceeded,
            format!("the operation {what} {count} times; at most {limit} are allowed"),
        )
    }

    /// Counts what is done for the plan against its limit.
    pub(super) fn charge(&mut self, work: usize) -> Result<(), GraphqlError> {
        self.work += work;
        let limit = self.limits.selections;
        if self.work > limit {
            let message = format!("the operation spreads to more than {limit} selections");
            return Err(GraphqlError::new(Kind::LimitExceeded, message)
                .with("hint", "spread each fragment once, under fewer variables"));
        }
        Ok(())
    }

    fn field(
        &mut self,
        parent: &Name,
        key: &Name,
        places: &[Place<'a>],
        depth: usize,
    ) -> Result<PlannedField, GraphqlError> {
        self.fields += 1;
        if self.fields > self.limits.fields {
            return Err(self.beyond("asks for fields", self.fields, self.limits.fields));
        }
        let number = self.fields;
        let first = places[0].field;
        let mut locations: Vec<(usize, usize)> = Vec::with_capacity(places.len());
        for place in places {
            let location = place.field.location();
            let place = location.and_then(|it| it.line_column(&self.document.sources));
            // What is asked at once and later stands at one place, too.
            locations.extend(place.map(|place| (place.line, place.column)));
        }
        let mut seen = HashSet::new();
        locations.retain(|location| seen.insert(*location));
        let timing = self.timing(number, places)?;
        // The field of the concrete type may be narrower than that of the interface.
        let definition = self.schema.type_field(parent, &first.name).ok();
        let ty = definition.map_or(&first.definition.ty, |definition| &definition.ty).clone();
        let arguments = Arguments::plan(self.schema, first)
            .map_err(|error| GraphqlError::new(Kind::InvalidInput, error).located(&locations))?;
        let resolve = self
            .backend
            .resolve(parent, &first.name)
            .map_err(|error| GraphqlError::from(&error).located(&locations))?;
        if let Some(until) = self.backend.until(parent, &first.name) {
            self.earlier.push((format!("{parent}.{}", first.name), until));
        }
        let inner = match resolve {
            Resolve::Typename => Inner::Leaf,
            _ => self.inner(ty.inner_named_type(), places, depth)?,
        };
        let inputs = self.read(parent, places, &resolve, depth)?;
        let cost = FieldCost::of(self.schema, parent, first, &ty);
        let when = self.conditions(places.iter())?;
        Ok(PlannedField {
            key: key.as_str().into(),
            name: first.name.clone(),
            parent: parent.clone(),
            ty,
            when,
            arguments,
            locations,
            inner,
            resolve,
            inputs,
            cost,
            timing,
        })
    }

    /// What a derived field reads of its object, whenever it is asked itself. It comes with the first part
    /// of an answer in parts, unless the field as a whole is put off.
    fn read(
        &mut self,
        parent: &Name,
        places: &[Place<'a>],
        resolve: &Resolve,
        depth: usize,
    ) -> Result<Option<Box<Selection>>, GraphqlError> {
        let Some(set) = self.inputs.get(parent, &places[0].field.name) else {
            let is_lost = matches!(resolve, Resolve::Derived(id, field)
                if self.backend.reads_beyond(*id, *field));
            let lost = || {
                let message =
                    format!("what `{parent}.{}` reads is not there", places[0].field.name);
                GraphqlError::new(Kind::Internal, message)
            };
            return if is_lost { Err(lost()) } else { Ok(None) };
        };
        let guards = places.iter().flat_map(|place| place.guards.iter());
        let sets: Vec<Asked<'a>> =
            guards.map(|guard| (set, Around { guard: guard.clone(), deferred: None })).collect();
        Ok(Some(Box::new(self.selection(parent, &sets, depth)?)))
    }

    fn inner(
        &mut self,
        type_name: &Name,
        places: &[Place<'a>],
        depth: usize,
    ) -> Result<Inner, GraphqlError> {
        let sets = places.iter().flat_map(|place| {
            let around = |guard: &Guard| Around { guard: guard.clone(), deferred: place.deferred };
            place.guards.iter().map(move |guard| (&place.field.selection_set, around(guard)))
        });
        let sets: Vec<Asked<'a>> = sets.collect();
        let concrete = match self.schema.types.get(type_name) {
            Some(ExtendedType::Object(_)) => {
                return Ok(Inner::Object(self.selection(type_name, &sets, depth + 1)?));
            }
            Some(ExtendedType::Union(union)) => {
                union.members.iter().map(|member| member.name.clone()).collect()
            }
            Some(ExtendedType::Interface(_)) => {
                let implementers = self.implementers.get(type_name);
                implementers.map_or_else(Vec::new, |found| found.objects.iter().cloned().collect())
            }
            _ => return Ok(Inner::Leaf),
        };
        let mut by_type = HashMap::with_capacity(concrete.len());
        for concrete in concrete {
            let selection = self.selection(&concrete, &sets, depth + 1)?;
            by_type.insert(concrete, selection);
        }
        Ok(Inner::Abstract(by_type))
    }
}
