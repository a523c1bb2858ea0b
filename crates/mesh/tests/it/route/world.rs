//! Data that any service can be asked for: every value is drawn from a seed, the object and the field.
//!
//! Objects of types with a key are few, and known by a number; so a service finds them again by what it
//! is given of their keys. The value of a field that needs others depends on theirs.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use apollo_compiler::ast::{Type, Value};
use apollo_compiler::schema::{ExtendedType, FieldDefinition};
use apollo_compiler::{Name, Node};
use base::rng::Rng;
use schema::graph::{FieldSet, FieldSetPart, Graph};
use serde_json::{Map, Value as Json, json};

/// How many objects a type with a key has.
const OBJECTS: u64 = 5;

/// Everything that there is.
pub(super) struct World {
    pub(super) graph: Arc<Graph>,
    pub(super) seed: u64,
    /// How many values of a hundred are errors.
    pub(super) broken: u64,
    /// Fields that objects are found by, or that others are computed of: never null, never broken.
    sound: BTreeSet<(String, String)>,
}

/// An object: its type and its number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Object {
    pub(super) type_name: Name,
    pub(super) number: u64,
}

/// What a field holds.
#[derive(Clone, Debug)]
pub(super) enum Held {
    Null,
    Broken,
    Scalar(Json),
    Object(Object),
    List(Vec<Held>),
}

impl World {
    pub(super) fn new(graph: Arc<Graph>, seed: u64, broken: u64) -> Self {
        let mut world = World { graph, seed, broken, sound: BTreeSet::new() };
        let graph = world.graph.clone();
        for (name, ty) in &graph.types {
            for key in ty.sources.values().flat_map(|source| &source.keys) {
                world.keep_sound(name, &key.fields);
            }
            for field in ty.fields.values().flatten() {
                if let Some(requires) = &field.requires {
                    world.keep_sound(name, requires);
                }
            }
        }
        world
    }

    fn keep_sound(&mut self, type_name: &Name, set: &FieldSet) {
        for part in &set.0 {
            match part {
                FieldSetPart::On { type_name, inner } => self.keep_sound(type_name, inner),
                FieldSetPart::Field { name, inner } => {
                    for object in self.possible(type_name) {
                        self.sound.insert((object.to_string(), name.to_string()));
                        if let Ok(field) = self.graph.api.type_field(&object, name) {
                            let below = field.ty.inner_named_type().clone();
                            self.keep_sound(&below, inner);
                        }
                    }
                }
            }
        }
    }

    /// The object types that a type of the API stands for.
    pub(super) fn possible(&self, name: &Name) -> Vec<Name> {
        let mut found: Vec<Name> = match self.graph.api.types.get(name) {
            Some(ExtendedType::Union(union)) => {
                union.members.iter().map(|member| member.name.clone()).collect()
            }
            Some(ExtendedType::Interface(_)) => {
                let objects = self.graph.api.types.values().filter_map(|ty| ty.as_object());
                let objects =
                    objects.filter(|object| self.graph.api.is_subtype(name, &object.name));
                objects.map(|object| object.name.clone()).collect()
            }
            _ => vec![name.clone()],
        };
        found.sort();
        found
    }

    /// The keys of a type in any source.
    fn keys(&self, name: &Name) -> Vec<&FieldSet> {
        let object = self.graph.api.get_object(name);
        let faces = object.iter().flat_map(|object| &object.implements_interfaces);
        let names = faces.map(|face| &face.name).chain([name]);
        let types = names.filter_map(|name| self.graph.types.get(name));
        let keys = types.flat_map(|ty| ty.sources.values()).flat_map(|source| &source.keys);
        keys.map(|key| &key.fields).collect()
    }

    /// What an object says of a field.
    pub(super) fn held(
        &self,
        object: &Object,
        field: &FieldDefinition,
        arguments: &Map<String, Json>,
        inputs: Option<&Json>,
    ) -> Held {
        let mut hasher = DefaultHasher::new();
        (self.seed, object, field.name.as_str()).hash(&mut hasher);
        format!("{arguments:?} {inputs:?}").hash(&mut hasher);
        let rng = Rng::seeded(hasher.finish());
        let is_sound = self.sound.contains(&(object.type_name.to_string(), field.name.to_string()));
        if !is_sound && rng.below(100) < self.broken {
            return Held::Broken;
        }
        let is_key = self.keys(&object.type_name).iter().any(|key| {
            let mut parts = key.0.iter();
            parts
                .any(|part| matches!(part, FieldSetPart::Field { name, .. } if *name == field.name))
        });
        if is_key && self.is_leaf(&field.ty) {
            let text = format!("{}-{}-{}", object.type_name, field.name, object.number);
            return Held::Scalar(match field.ty.inner_named_type().as_str() {
                "Int" => json!(object.number),
                _ => json!(text),
            });
        }
        self.value(&rng, &field.ty, &field.name, &object.type_name, is_sound)
    }

    fn is_leaf(&self, ty: &Type) -> bool {
        self.graph.api.types[ty.inner_named_type()].is_leaf()
    }

    fn value(&self, rng: &Rng, ty: &Type, field: &Name, parent: &Name, is_sound: bool) -> Held {
        if !ty.is_non_null() && !is_sound && rng.below(100) < 12 {
            return Held::Null;
        }
        if ty.is_list() {
            let count = rng.below(4);
            let items =
                (0..count).map(|_| self.value(rng, ty.item_type(), field, parent, is_sound));
            return Held::List(items.collect());
        }
        let name = ty.inner_named_type();
        match (name.as_str(), &self.graph.api.types[name]) {
            ("Int", _) => Held::Scalar(json!(rng.below(100))),
            ("Float", _) => Held::Scalar(json!(rng.below(1000) as f64 / 8.0)),
            ("Boolean", _) => Held::Scalar(json!(rng.below(2) == 0)),
            (_, ExtendedType::Enum(values)) => {
                let index = rng.below(values.values.len() as u64) as usize;
                let value = values.values.keys().nth(index).expect("a value");
                Held::Scalar(json!(value.as_str()))
            }
            (_, ExtendedType::Scalar(_)) => {
                Held::Scalar(json!(format!("{field} {}\n\"é\\", rng.below(1000))))
            }
            _ => {
                let possible = self.offered(parent, field, name);
                let type_name = possible[rng.below(possible.len() as u64) as usize].clone();
                let is_root = type_name == "Query";
                let number = match self.keys(&type_name).is_empty() {
                    _ if is_root => 0,
                    true => rng.next_u64(),
                    false => rng.below(OBJECTS),
                };
                Held::Object(Object { type_name, number })
            }
        }
    }

    /// The types that every source of a field knows.
    fn offered(&self, parent: &Name, field: &Name, name: &Name) -> Vec<Name> {
        let mut possible = self.possible(name);
        let known = self.graph.types.get(parent).and_then(|ty| ty.fields.get(field));
        for offered in known.into_iter().flatten() {
            let sdl = &self.graph.sources[offered.source.0 as usize].schema;
            let inner = offered.ty.inner_named_type();
            let is_abstract = sdl.types[inner].is_interface() || sdl.types[inner].is_union();
            if is_abstract {
                possible.retain(|object| sdl.is_subtype(inner, object));
            }
        }
        possible
    }

    /// An object as a set of fields shows it.
    pub(super) fn shown(&self, object: &Object, set: &FieldSet) -> Map<String, Json> {
        let mut shown = Map::new();
        for part in &set.0 {
            match part {
                FieldSetPart::On { type_name, inner } => {
                    if *type_name == object.type_name
                        || self.graph.api.is_subtype(type_name, &object.type_name)
                    {
                        shown.extend(self.shown(object, inner));
                    }
                }
                FieldSetPart::Field { name, inner } => {
                    let field = self.graph.api.type_field(&object.type_name, name);
                    let field = field.expect("a field of the API").clone();
                    let inputs = self.inputs(object, name);
                    let held = self.held(object, &field, &defaults(&field), inputs.as_ref());
                    shown.insert(name.to_string(), self.json(&held, inner));
                }
            }
        }
        shown
    }

    fn json(&self, held: &Held, inner: &FieldSet) -> Json {
        match held {
            Held::Null | Held::Broken => Json::Null,
            Held::Scalar(json) => json.clone(),
            Held::Object(object) => Json::Object(self.shown(object, inner)),
            Held::List(items) => items.iter().map(|item| self.json(item, inner)).collect(),
        }
    }

    /// What a field is computed of.
    pub(super) fn inputs(&self, object: &Object, field: &Name) -> Option<Json> {
        let requires = self.requires(&object.type_name, field)?;
        Some(Json::Object(self.shown(object, requires)))
    }

    fn requires(&self, type_name: &Name, field: &Name) -> Option<&FieldSet> {
        let object = self.graph.api.get_object(type_name)?;
        let faces = object.implements_interfaces.iter().map(|face| &face.name);
        let mut types = faces.chain([type_name]).filter_map(|name| self.graph.types.get(name));
        types.find_map(|ty| {
            ty.fields.get(field)?.iter().find_map(|offered| offered.requires.as_ref())
        })
    }

    /// The objects of a type that have a key.
    pub(super) fn objects(&self, name: &Name) -> Vec<Object> {
        let types = self.possible(name).into_iter();
        let objects = types.flat_map(|type_name| {
            (0..OBJECTS).map(move |number| Object { type_name: type_name.clone(), number })
        });
        objects.collect()
    }
}

/// The arguments of a field that is given none.
fn defaults(field: &FieldDefinition) -> Map<String, Json> {
    let given = field.arguments.iter().filter_map(|argument| {
        let value = literal(argument.default_value.as_ref()?, &Map::new())?;
        Some((argument.name.to_string(), value))
    });
    given.collect()
}

/// A literal as JSON; nothing when it is an absent variable.
pub(super) fn literal(value: &Node<Value>, variables: &Map<String, Json>) -> Option<Json> {
    Some(match value.as_ref() {
        Value::Variable(name) => return variables.get(name.as_str()).cloned(),
        Value::Int(digits) => json!(digits.as_str().parse::<i64>().expect("a small number")),
        Value::Float(digits) => json!(digits.as_str().parse::<f64>().expect("a number")),
        Value::String(text) => json!(text),
        Value::Boolean(value) => json!(value),
        Value::Enum(name) => json!(name.as_str()),
        Value::Null => Json::Null,
        Value::List(items) => {
            items.iter().map(|item| literal(item, variables).unwrap_or(Json::Null)).collect()
        }
        Value::Object(fields) => {
            let fields = fields.iter();
            let fields = fields
                .filter_map(|(name, value)| Some((name.to_string(), literal(value, variables)?)));
            Json::Object(fields.collect())
        }
    })
}
