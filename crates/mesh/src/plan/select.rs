//! Merges the selections of a document into one list of fields for each concrete type.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use apollo_compiler::ast::Value as Literal;
use apollo_compiler::collections::HashMap as ApolloMap;
use apollo_compiler::executable::{
    DirectiveList, Field, Selection as Selected, SelectionSet, VariableDefinition,
};
use apollo_compiler::schema::{ExtendedType, Implementers};
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Name, Node, Schema};
use base::Kind;
use indexmap::IndexMap;

use super::arguments::Arguments;
use super::cost::FieldCost;
use super::resolve::{Backend, columns};
use super::{Condition, Conditions, Inner, Plan, PlannedField, Resolve, Selection};
use crate::error::GraphqlError;
use crate::input::{Variable, Variables, literal};
use crate::limits::Limits;
use crate::validate::ValidDocument;

/// Everything that holds still while one document is planned.
struct Planner<'a> {
    schema: &'a Valid<Schema>,
    implementers: &'a ApolloMap<Name, Implementers>,
    backend: &'a Backend,
    document: &'a ExecutableDocument,
    limits: &'a Limits,
    fields: usize,
    earlier: Vec<(String, Arc<str>)>,
}

/// All parts must hold.
type Guard = Vec<Condition>;

/// One place where a field stands.
struct Occurrence<'a> {
    field: &'a Node<Field>,
    guard: Guard,
}

type Collected<'a> = IndexMap<&'a Name, Vec<Occurrence<'a>>>;

/// Plans a valid operation.
pub(crate) fn plan(
    schema: &Valid<Schema>,
    implementers: &ApolloMap<Name, Implementers>,
    backend: &Backend,
    valid: ValidDocument,
    limits: &Limits,
) -> Result<Plan, GraphqlError> {
    let mut planner = Planner {
        schema,
        implementers,
        backend,
        document: &valid.document,
        limits,
        fields: 0,
        earlier: Vec::new(),
    };
    let operation = &valid.operation;
    let variables = operation.variables.iter().map(|declared| variable(schema, declared));
    let variables = variables.collect::<Result<Vec<_>, _>>()?;
    let root_type = operation.selection_set.ty.clone();
    let root = planner.selection(&root_type, &[(&operation.selection_set, Guard::new())], 1)?;
    let (fields, earlier) = (planner.fields, std::mem::take(&mut planner.earlier));
    let is_mutation = operation.is_mutation();
    let introspects = root.fields.iter().any(|field| field.resolve == Resolve::Introspection);
    let introspection = introspects.then_some(valid);
    Ok(Plan { is_mutation, variables, root, fields, earlier, introspection })
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
        sets: &[(&'a SelectionSet, Guard)],
        depth: usize,
    ) -> Result<Selection, GraphqlError> {
        if depth > self.limits.depth {
            return Err(self.beyond("nests selections", depth, self.limits.depth));
        }
        let mut collected = Collected::new();
        let mut visited = HashSet::new();
        for (set, guard) in sets {
            self.collect(type_name, set, guard, &mut collected, &mut visited);
        }
        let mut fields = Vec::with_capacity(collected.len());
        for (key, occurrences) in collected {
            fields.push(self.field(type_name, key, &occurrences, depth)?);
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

    fn collect(
        &self,
        type_name: &Name,
        set: &'a SelectionSet,
        guard: &Guard,
        collected: &mut Collected<'a>,
        visited: &mut HashSet<(Name, Guard)>,
    ) {
        for selection in &set.selections {
            let directives = match selection {
                Selected::Field(field) => &field.directives,
                Selected::FragmentSpread(spread) => &spread.directives,
                Selected::InlineFragment(fragment) => &fragment.directives,
            };
            let Some(guard) = guarded(guard, directives) else { continue };
            match selection {
                Selected::Field(field) => {
                    let places = collected.entry(field.response_key()).or_default();
                    let known = |place: &Occurrence<'_>| {
                        std::ptr::eq(place.field.as_ref(), field.as_ref()) && place.guard == guard
                    };
                    if !places.iter().any(known) {
                        places.push(Occurrence { field, guard });
                    }
                }
                Selected::FragmentSpread(spread) => {
                    let Some(fragment) = self.document.fragments.get(&spread.fragment_name) else {
                        continue;
                    };
                    let name = spread.fragment_name.clone();
                    let set = &fragment.selection_set;
                    if self.applies(&set.ty, type_name) && visited.insert((name, guard.clone())) {
                        self.collect(type_name, set, &guard, collected, visited);
                    }
                }
                Selected::InlineFragment(fragment) => {
                    let condition = fragment.type_condition.as_ref();
                    if condition.is_none_or(|condition| self.applies(condition, type_name)) {
                        let set = &fragment.selection_set;
                        self.collect(type_name, set, &guard, collected, visited);
                    }
                }
            }
        }
    }

    fn applies(&self, condition: &Name, type_name: &Name) -> bool {
        condition == type_name || self.schema.is_subtype(condition, type_name)
    }

    fn field(
        &mut self,
        parent: &Name,
        key: &Name,
        occurrences: &[Occurrence<'a>],
        depth: usize,
    ) -> Result<PlannedField, GraphqlError> {
        self.fields += 1;
        if self.fields > self.limits.fields {
            return Err(self.beyond("asks for fields", self.fields, self.limits.fields));
        }
        let first = occurrences[0].field;
        let locations: Vec<(usize, usize)> = occurrences
            .iter()
            .filter_map(|place| place.field.location()?.line_column(&self.document.sources))
            .map(|place| (place.line, place.column))
            .collect();
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
            Resolve::Introspection | Resolve::Typename => Inner::Leaf,
            _ => self.inner(ty.inner_named_type(), occurrences, depth)?,
        };
        let cost = FieldCost::of(self.schema, parent, first, &ty);
        let when = Conditions(occurrences.iter().map(|place| place.guard.clone()).collect());
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
            cost,
        })
    }

    fn inner(
        &mut self,
        type_name: &Name,
        occurrences: &[Occurrence<'a>],
        depth: usize,
    ) -> Result<Inner, GraphqlError> {
        let sets: Vec<(&SelectionSet, Guard)> = occurrences
            .iter()
            .map(|place| (&place.field.selection_set, place.guard.clone()))
            .collect();
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

/// The guard with what `@skip` and `@include` add; `None` when they leave the selection out.
fn guarded(guard: &Guard, directives: &DirectiveList) -> Option<Guard> {
    let mut guard = guard.clone();
    for (name, expected) in [("skip", false), ("include", true)] {
        let Some(directive) = directives.get(name) else { continue };
        match directive.specified_argument_by_name("if").map(AsRef::as_ref) {
            Some(Literal::Boolean(value)) if *value != expected => return None,
            Some(Literal::Variable(variable)) => {
                let opposite = Condition { variable: variable.clone(), expected: !expected };
                if guard.contains(&opposite) {
                    return None;
                }
                let condition = Condition { variable: variable.clone(), expected };
                if !guard.contains(&condition) {
                    guard.push(condition);
                }
            }
            _ => {}
        }
    }
    Some(guard)
}
