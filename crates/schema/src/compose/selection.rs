//! Field sets, the texts in `@key`, `@requires` and `@provides`: in come a text and the type it
//! speaks of, out come a [`FieldSet`], the fields that it names, and what is wrong with it.

use apollo_compiler::Name;
use apollo_compiler::ast::{Definition, Selection};
use apollo_compiler::parser::Parser;
use indexmap::IndexMap;

use super::subgraph::{SubType, TypeKind};
use crate::compile::too_deep;
use crate::graph::{FieldSet, FieldSetPart};

/// The longest field set, in bytes.
const MAX_BYTES: usize = 10_000;

/// A kind of fault in a field set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It cannot be read, or names what is not there.
    Invalid,
    /// It gives arguments, or names a field that takes some.
    Arguments,
    /// It has a directive.
    Directive,
    /// It leads through an interface or union.
    Abstract,
}

/// A field that a set names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) parent: Name,
    pub(crate) field: Name,
    /// Whether nothing is chosen below it.
    pub(crate) leaf: bool,
    /// Whether something above it is external.
    pub(crate) below_external: bool,
}

/// What came of resolving a set.
#[derive(Debug, Default)]
pub(crate) struct Resolved {
    pub(crate) fields: FieldSet,
    pub(crate) named: Vec<Named>,
    pub(crate) faults: Vec<(Fault, String)>,
}

/// Reads a field set of a type.
pub(crate) fn resolve(types: &IndexMap<Name, SubType>, parent: &Name, text: &str) -> Resolved {
    let mut resolver = Resolver { types, resolved: Resolved::default() };
    match parse(text) {
        Ok(selections) => {
            let fields = resolver.set(parent, &selections, false);
            if fields.0.is_empty() && resolver.resolved.faults.is_empty() {
                resolver.fault(Fault::Invalid, "names no field".to_owned());
            }
            resolver.resolved.fields = fields;
        }
        Err(message) => resolver.fault(Fault::Invalid, message),
    }
    resolver.resolved
}

fn parse(text: &str) -> Result<Vec<Selection>, String> {
    if text.len() > MAX_BYTES || too_deep(text).is_some() {
        return Err("is too long or nests too deeply".to_owned());
    }
    let braced = text.trim_start().starts_with('{');
    let text = if braced { text.to_owned() } else { format!("{{{text}}}") };
    let parsed = Parser::new().parse_ast(&text, "fields");
    let unreadable = || "is not a list of fields such as `id organization { id }`".to_owned();
    let document = parsed.map_err(|_| unreadable())?;
    match document.definitions.as_slice() {
        [Definition::OperationDefinition(operation)] => Ok(operation.selection_set.clone()),
        _ => Err(unreadable()),
    }
}

struct Resolver<'s> {
    types: &'s IndexMap<Name, SubType>,
    resolved: Resolved,
}

impl Resolver<'_> {
    fn fault(&mut self, fault: Fault, message: String) {
        self.resolved.faults.push((fault, message));
    }

    fn set(&mut self, parent: &Name, selections: &[Selection], external: bool) -> FieldSet {
        let parts = selections.iter().filter_map(|selection| match selection {
            Selection::Field(field) => self.field(parent, field, external),
            Selection::InlineFragment(fragment) => {
                self.directives(&fragment.directives);
                let type_name = fragment.type_condition.as_ref().unwrap_or(parent).clone();
                if !self.types.get(&type_name).is_some_and(|found| found.kind.is_composite()) {
                    self.fault(Fault::Invalid, format!("names an unknown type `{type_name}`"));
                    return None;
                }
                let inner = self.set(&type_name, &fragment.selection_set, external);
                Some(FieldSetPart::On { type_name, inner })
            }
            Selection::FragmentSpread(_) => {
                self.fault(Fault::Invalid, "spreads a fragment".to_owned());
                None
            }
        });
        FieldSet(parts.collect())
    }

    fn directives(&mut self, directives: &apollo_compiler::ast::DirectiveList) {
        if let Some(directive) = directives.first() {
            self.fault(Fault::Directive, format!("has a directive `@{}`", directive.name));
        }
    }

    fn field(
        &mut self,
        parent: &Name,
        field: &apollo_compiler::ast::Field,
        below_external: bool,
    ) -> Option<FieldSetPart> {
        self.directives(&field.directives);
        let name = field.name.clone();
        if field.alias.is_some() {
            self.fault(Fault::Invalid, format!("renames `{name}`"));
        }
        if name == "__typename" {
            return Some(FieldSetPart::Field { name, inner: FieldSet::default() });
        }
        let types = self.types;
        let Some(known) = types.get(parent).and_then(|found| found.fields.get(&name)) else {
            let message = format!("names `{name}`, which `{parent}` does not have here");
            self.fault(Fault::Invalid, message);
            return None;
        };
        if !field.arguments.is_empty() || !known.arguments.is_empty() {
            let message = format!("names `{parent}.{name}`, which takes arguments");
            self.fault(Fault::Arguments, message);
        }
        let target = known.ty.inner_named_type();
        let kind = types.get(target).map_or(TypeKind::Scalar, |found| found.kind);
        self.shape(parent, field, kind);
        let leaf = field.selection_set.is_empty();
        let named = Named { parent: parent.clone(), field: name.clone(), leaf, below_external };
        self.resolved.named.push(named);
        let external = below_external || known.is_external() || self.hidden_external(parent, &name);
        let inner = self.set(target, &field.selection_set, external);
        Some(FieldSetPart::Field { name, inner })
    }

    /// Objects are chosen from, scalars are not.
    fn shape(&mut self, parent: &Name, field: &apollo_compiler::ast::Field, kind: TypeKind) {
        let name = &field.name;
        match (kind.is_composite(), field.selection_set.is_empty()) {
            (true, true) => self.fault(
                Fault::Invalid,
                format!("names `{parent}.{name}` without what is chosen of it"),
            ),
            (false, false) => {
                self.fault(Fault::Invalid, format!("chooses from `{parent}.{name}`, a scalar"));
            }
            _ => {}
        }
        if matches!(kind, TypeKind::Interface | TypeKind::Union) {
            let message = format!("leads through `{parent}.{name}`, {}", kind.words());
            self.fault(Fault::Abstract, message);
        }
    }

    /// Whether the field of an interface is external in a type that implements it.
    fn hidden_external(&self, parent: &Name, field: &Name) -> bool {
        let is_interface =
            self.types.get(parent).is_some_and(|found| found.kind == TypeKind::Interface);
        is_interface
            && self.types.values().any(|found| {
                found.implements.contains(parent)
                    && found.fields.get(field).is_some_and(|field| field.is_external())
            })
    }
}
