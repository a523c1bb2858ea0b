//! Selection sets to the shapes of objects in answers.
//!
//! In: a document whose sets on abstract types ask for `__typename`. Out: a [`Shape`] for every place of
//! every operation and fragment. A place whose set is one fragment alone has the fragment's shape. The
//! base of a shape is what objects of any type have, also of types that come later; a type that has more
//! gets a variant.

use std::collections::HashMap;

use apollo_compiler::ast::Type;
use apollo_compiler::executable::{Field as Selected, Operation};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Name, Schema};
use base::{Error, Kind, Result};
use schema::generate::client::{Field, Fragment, Shape, TypeOf, ValueType, Variant};

use super::collect::{Clause, Collected, Of, Placed, collect, is_certain, only_spread};
use super::texts::is_abstract;
use super::types::{deprecation, leaf, text};

/// Shapes at most. Fragments within fragments, merged with other fields, can make very many.
const MOST: usize = 50_000;

/// The shapes found so far.
pub(super) struct Shapes<'a> {
    schema: &'a Valid<Schema>,
    document: &'a ExecutableDocument,
    shapes: Vec<Shape>,
    fragments: HashMap<&'a Name, usize>,
}

impl<'a> Shapes<'a> {
    pub(super) fn new(schema: &'a Valid<Schema>, document: &'a ExecutableDocument) -> Self {
        Shapes { schema, document, shapes: Vec::new(), fragments: HashMap::new() }
    }

    /// Fragments by name, and all shapes.
    pub(super) fn done(self) -> (Vec<Fragment>, Vec<Shape>) {
        let fragments = self.document.fragments.keys().filter_map(|name| {
            let shape = *self.fragments.get(name)?;
            Some(Fragment { name: name.to_string(), shape })
        });
        let mut fragments: Vec<_> = fragments.collect();
        fragments.sort_by(|one, other| one.name.cmp(&other.name));
        (fragments, self.shapes)
    }

    /// The shape of an operation's data.
    pub(super) fn of_operation(&mut self, operation: &'a Operation) -> Result<usize> {
        let name = operation.name.as_ref().map(ToString::to_string).unwrap_or_default();
        let set = &operation.selection_set;
        let place = Place { path: vec![name], present: vec![Clause::new()] };
        self.at(&set.ty, vec![(set, Clause::new())], place)
    }

    /// The shape of a fragment.
    pub(super) fn of_fragment(&mut self, name: &'a Name) -> Result<usize> {
        if let Some(shape) = self.fragments.get(name) {
            return Ok(*shape);
        }
        let set = &self.document.fragments[name].selection_set;
        let place = Place { path: vec![name.to_string()], present: vec![Clause::new()] };
        // A fragment that is another one alone still has a name of its own.
        let shape = self.merged(&set.ty, vec![(set, Clause::new())], place)?;
        self.fragments.insert(name, shape);
        Ok(shape)
    }

    fn at(&mut self, ty: &'a Name, sets: Vec<Placed<'a>>, place: Place) -> Result<usize> {
        if let [(set, _)] = sets.as_slice()
            && set.ty == *ty
            && let Some(fragment) = only_spread(self.document, set)
        {
            return self.of_fragment(fragment);
        }
        self.merged(ty, sets, place)
    }

    fn merged(&mut self, ty: &'a Name, sets: Vec<Placed<'a>>, place: Place) -> Result<usize> {
        if self.shapes.len() >= MOST {
            let text = format!("the answers of the operations have more than {MOST} shapes");
            return Err(Error::new(Kind::LimitExceeded, text)
                .hint("spread a fragment alone in a selection set, and its type is used again"));
        }
        let is_open = is_abstract(self.schema, ty);
        let empty = Variant { types: Vec::new(), fields: Vec::new(), fragments: Vec::new() };
        let shape = self.shapes.len();
        self.shapes.push(Shape {
            path: place.path.clone(),
            type_name: ty.to_string(),
            is_open,
            base: empty,
            variants: Vec::new(),
        });
        let of = if is_open { Of::Any(ty) } else { Of::Type(ty) };
        let base = collect(self.schema, self.document, &sets, of);
        let mut others = Vec::new();
        let mut variants = Vec::new();
        for object in self.possible(ty) {
            let own = collect(self.schema, self.document, &sets, Of::Type(object));
            if !is_open || own.count == base.count {
                others.push(object.to_string());
                continue;
            }
            let place = place.below(&format!("On{object}"));
            variants.push(self.variant(Of::Type(object), own, vec![object.to_string()], &place)?);
        }
        self.shapes[shape].base = self.variant(of, base, others, &place)?;
        self.shapes[shape].variants = variants;
        Ok(shape)
    }

    /// The types of objects that a type stands for, in the order of the schema.
    fn possible(&self, ty: &'a Name) -> Vec<&'a Name> {
        let objects = self.schema.types.iter().filter(|(_, found)| found.is_object());
        let objects = objects.map(|(name, _)| name);
        match self.schema.types.get(ty) {
            Some(ExtendedType::Object(found)) => vec![&found.name],
            _ => objects.filter(|name| self.schema.is_subtype(ty, name)).collect(),
        }
    }

    fn variant(
        &mut self,
        of: Of<'a>,
        found: Collected<'a>,
        types: Vec<String>,
        place: &Place,
    ) -> Result<Variant> {
        let spreads = found.spreads.iter();
        let spreads = spreads.filter(|(_, clauses)| is_certain(&place.present, clauses.iter()));
        let fragments = spreads.map(|(name, _)| name.to_string()).collect();
        let mut fields = Vec::new();
        for (key, occurrences) in found.fields {
            fields.push(self.field(of, key, occurrences, place)?);
        }
        Ok(Variant { types, fields, fragments })
    }

    fn field(
        &mut self,
        of: Of<'a>,
        key: &Name,
        occurrences: Vec<(&'a Selected, Clause)>,
        place: &Place,
    ) -> Result<Field> {
        let (Of::Type(parent) | Of::Any(parent)) = of;
        let first = occurrences[0].0;
        let definition = self.schema.type_field(parent, &first.name);
        let definition = definition.map_or(&first.definition, |found| &found.node);
        let clauses: Vec<Clause> = occurrences.iter().map(|(_, clause)| clause.clone()).collect();
        let optional = !is_certain(&place.present, clauses.iter());
        let inner = Place { present: clauses, ..place.below(key) };
        let sets = occurrences.into_iter().map(|(field, clause)| (&field.selection_set, clause));
        let ty = self.value(&definition.ty, &mut Some((sets.collect(), inner)))?;
        Ok(Field {
            key: key.to_string(),
            description: text(definition.description.as_ref()),
            deprecated: deprecation(&definition.directives),
            ty,
            optional,
            is_typename: first.name == "__typename",
        })
    }

    /// A type of an answer; `below` is taken by the object inside it.
    fn value(
        &mut self,
        ty: &'a Type,
        below: &mut Option<(Vec<Placed<'a>>, Place)>,
    ) -> Result<ValueType> {
        let nullable = !ty.is_non_null();
        if ty.is_list() {
            let item = self.value(ty.item_type(), below)?;
            return Ok(ValueType { nullable, of: TypeOf::List(Box::new(item)) });
        }
        let name = ty.inner_named_type();
        let of = match (leaf(self.schema, name), below.take()) {
            (None, Some((sets, place))) => TypeOf::Shape(self.at(name, sets, place)?),
            (found, _) => found.unwrap_or_else(|| TypeOf::Scalar(name.to_string())),
        };
        Ok(ValueType { nullable, of })
    }
}

/// Where an object is, and when it is there.
#[derive(Clone)]
struct Place {
    path: Vec<String>,
    /// The object is there when one of them holds.
    present: Vec<Clause>,
}

impl Place {
    fn below(&self, key: &str) -> Place {
        let mut place = self.clone();
        place.path.push(key.to_owned());
        place
    }
}
