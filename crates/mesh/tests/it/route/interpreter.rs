//! A naive interpreter of operations over the world: as one service that has everything, or as one
//! source of a graph, which is caught when it is asked for what it does not have.

use apollo_compiler::ast::Type;
use apollo_compiler::executable::{Field, Operation, Selection, SelectionSet};
use apollo_compiler::schema::{ExtendedType, FieldDefinition};
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Name, Schema};
use indexmap::IndexMap;
use schema::graph::{FieldSet, FieldSetPart};
use serde_json::{Map, Value as Json, json};

use super::world::{Held, Object, World, literal};

/// The answer: data, and where errors are.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) data: Json,
    pub(super) errors: Vec<(Json, String)>,
    /// What a source was wrongly asked.
    pub(super) wrongs: Vec<String>,
}

/// An object as a source sees it.
#[derive(Clone)]
struct Seen {
    object: Object,
    /// What the source calls its type.
    shown: Name,
    /// What was passed on of it.
    given: Option<Json>,
    provided: FieldSet,
}

/// What a field holds, as a source sees it.
enum Found {
    Null,
    Broken,
    Scalar(Json),
    Seen(Box<Seen>),
    List(Vec<Found>),
}

struct Nulled;

struct Interpreter<'a> {
    world: &'a World,
    source: Option<usize>,
    schema: &'a Valid<Schema>,
    document: &'a Valid<ExecutableDocument>,
    variables: Map<String, Json>,
    path: Vec<Json>,
    errors: Vec<(Json, String)>,
    wrongs: Vec<String>,
}

/// Runs the only operation of a document.
pub(super) fn execute(
    world: &World,
    source: Option<usize>,
    schema: &Valid<Schema>,
    document: &Valid<ExecutableDocument>,
    given: &Map<String, Json>,
) -> Answer {
    let operation = document.operations.iter().next().expect("an operation");
    let variables = variables(operation, given);
    let (path, errors, wrongs) = (Vec::new(), Vec::new(), Vec::new());
    let mut it = Interpreter { world, source, schema, document, variables, path, errors, wrongs };
    let root = operation.selection_set.ty.clone();
    let object = Object { type_name: root.clone(), number: 0 };
    let (given, provided) = (None, FieldSet::default());
    let seen = Seen { object, shown: root, given, provided };
    let data = it.object(&seen, &[&operation.selection_set]).unwrap_or(Json::Null);
    Answer { data, errors: it.errors, wrongs: it.wrongs }
}

fn variables(operation: &Operation, given: &Map<String, Json>) -> Map<String, Json> {
    let values = operation.variables.iter().filter_map(|declared| {
        let default = || literal(declared.default_value.as_ref()?, &Map::new());
        let value = given.get(declared.name.as_str()).cloned().or_else(default)?;
        Some((declared.name.to_string(), value))
    });
    values.collect()
}

impl<'a> Interpreter<'a> {
    fn object(&mut self, seen: &Seen, sets: &[&'a SelectionSet]) -> Result<Json, Nulled> {
        let mut grouped: IndexMap<String, Vec<&'a Field>> = IndexMap::new();
        for set in sets {
            self.collect(&seen.shown, set, &mut grouped);
        }
        let mut out = Map::new();
        for (key, fields) in grouped {
            self.path.push(json!(key));
            let value = self.field(seen, &fields);
            self.path.pop();
            out.insert(key, value?);
        }
        Ok(Json::Object(out))
    }

    fn collect(
        &self,
        shown: &Name,
        set: &'a SelectionSet,
        grouped: &mut IndexMap<String, Vec<&'a Field>>,
    ) {
        for selection in &set.selections {
            let condition = |name: &str| {
                let given = selection.directives().get(name)?;
                literal(given.specified_argument_by_name("if")?, &self.variables)?.as_bool()
            };
            if condition("skip") == Some(true) || condition("include") == Some(false) {
                continue;
            }
            let (condition, inner) = match selection {
                Selection::Field(field) => {
                    grouped.entry(field.response_key().to_string()).or_default().push(field);
                    continue;
                }
                Selection::InlineFragment(fragment) => {
                    (fragment.type_condition.as_ref(), &fragment.selection_set)
                }
                Selection::FragmentSpread(spread) => {
                    let fragment = &self.document.fragments[&spread.fragment_name];
                    (Some(&fragment.selection_set.ty), &fragment.selection_set)
                }
            };
            let applies = condition.is_none_or(|condition| {
                condition == shown || self.schema.is_subtype(condition, shown)
            });
            if applies {
                self.collect(shown, inner, grouped);
            }
        }
    }

    fn field(&mut self, seen: &Seen, fields: &[&'a Field]) -> Result<Json, Nulled> {
        let first = fields[0];
        if first.name == "__typename" {
            return Ok(json!(seen.shown.as_str()));
        }
        let field = self.schema.type_field(&seen.shown, &first.name).expect("a field");
        let arguments = field.arguments.iter().filter_map(|argument| {
            let given = first.arguments.iter().find(|given| given.name == argument.name);
            let given = given.and_then(|given| literal(&given.value, &self.variables));
            let default = || literal(argument.default_value.as_ref()?, &Map::new());
            Some((argument.name.to_string(), given.or_else(default)?))
        });
        let arguments: Map<String, Json> = arguments.collect();
        let found = match first.name == "_entities" {
            true => {
                let Some(Json::Array(given)) = arguments.get("representations") else {
                    return Err(Nulled);
                };
                Found::List(given.iter().map(|given| self.entity(given)).collect())
            }
            false => self.found(seen, field, &arguments),
        };
        let ty = field.ty.clone();
        let name = format!("{}.{}", seen.object.type_name, first.name);
        self.handled(&ty, fields, found, &name)
    }

    /// What a field holds. A source that is asked for what it does not have says so.
    fn found(
        &mut self,
        seen: &Seen,
        field: &FieldDefinition,
        arguments: &Map<String, Json>,
    ) -> Found {
        let world = self.world;
        let (object, name) = (&seen.object, &field.name);
        let mut inputs = world.inputs(object, name);
        let mut provided = FieldSet::default();
        if let Some(source) = self.source {
            let below = self::provided(&seen.provided, name);
            let root = self.schema.root_operation(apollo_compiler::ast::OperationType::Query);
            let types = &world.graph.types;
            let offered = types.get(&seen.shown).and_then(|ty| ty.fields.get(name));
            let offered = offered.into_iter().flatten();
            let offered = offered.clone().find(|it| it.source.0 as usize == source);
            if let Some(offered) = offered {
                let is_own = !offered.external && !offered.overridden;
                if !is_own && below.is_none() && root != Some(&seen.shown) {
                    self.wrongs.push(format!(
                        "`{}.{name}` is asked of a source that has it not",
                        seen.shown
                    ));
                }
                provided.0.extend(below.iter().flat_map(|set| set.0.iter().cloned()));
                provided.0.extend(offered.provides.iter().flat_map(|set| set.0.iter().cloned()));
                if let Some(requires) = offered.requires.as_ref().filter(|_| below.is_none()) {
                    inputs = Some(given(seen.given.as_ref(), requires));
                }
            }
        }
        let held = world.held(object, field, arguments, inputs.as_ref());
        self.seen(held, &field.ty, &provided)
    }

    fn seen(&self, held: Held, ty: &Type, provided: &FieldSet) -> Found {
        match held {
            Held::Null => Found::Null,
            Held::Broken => Found::Broken,
            Held::Scalar(json) => Found::Scalar(json),
            Held::List(items) => {
                Found::List(items.into_iter().map(|it| self.seen(it, ty, provided)).collect())
            }
            Held::Object(object) => {
                // A source that has an interface as an object knows no other type.
                let inner = ty.inner_named_type();
                let is_object = self.schema.types[inner].is_object();
                let shown = if is_object { inner.clone() } else { object.type_name.clone() };
                let provided = provided.clone();
                Found::Seen(Box::new(Seen { object, shown, given: None, provided }))
            }
        }
    }

    /// The object that a representation is of.
    fn entity(&mut self, given: &Json) -> Found {
        let name = given["__typename"].as_str().expect("a type");
        let shown = Name::new(name).expect("a name");
        let source = self.source.expect("a source");
        let source = schema::graph::SourceId(source as u32);
        let known = &self.world.graph.types[&shown].sources[&source];
        let is_it = |object: &Object, key: &FieldSet| {
            let wanted = self.world.shown(object, key);
            wanted
                .iter()
                .all(|(name, value)| given.get(name).is_some_and(|it| is_within(value, it)))
        };
        let keys = || known.keys.iter().filter(|key| key.resolvable);
        let objects = self.world.objects(&shown).into_iter();
        let found = objects.into_iter().find(|object| keys().any(|key| is_it(object, &key.fields)));
        let Some(object) = found else {
            self.wrongs.push(format!("no object has the key {given}"));
            return Found::Null;
        };
        let is_face = known.interface_object;
        let shown = if is_face { shown } else { object.type_name.clone() };
        let provided = FieldSet::default();
        Found::Seen(Box::new(Seen { object, shown, given: Some(given.clone()), provided }))
    }

    fn handled(
        &mut self,
        ty: &Type,
        fields: &[&'a Field],
        found: Found,
        name: &str,
    ) -> Result<Json, Nulled> {
        match self.complete(ty, fields, found, name) {
            Err(Nulled) if !ty.is_non_null() => Ok(Json::Null),
            other => other,
        }
    }

    fn complete(
        &mut self,
        ty: &Type,
        fields: &[&'a Field],
        found: Found,
        name: &str,
    ) -> Result<Json, Nulled> {
        let mut error = |message: String| {
            self.errors.push((Json::Array(self.path.clone()), message));
            Nulled
        };
        match found {
            Found::Broken => Err(error(format!("`{name}` is broken"))),
            Found::Null if ty.is_non_null() => Err(error(format!("`{name}` is null"))),
            Found::Null => Ok(Json::Null),
            Found::Scalar(json) => Ok(json),
            Found::List(items) => {
                let mut completed = Vec::new();
                for (index, item) in items.into_iter().enumerate() {
                    self.path.push(json!(index));
                    let item = self.handled(ty.item_type(), fields, item, name);
                    self.path.pop();
                    completed.push(item?);
                }
                Ok(Json::Array(completed))
            }
            Found::Seen(seen) => {
                let sets: Vec<&SelectionSet> = fields.iter().map(|it| &it.selection_set).collect();
                self.object(&seen, &sets)
            }
        }
    }
}

/// What is provided below a field.
fn provided(set: &FieldSet, name: &Name) -> Option<FieldSet> {
    set.0.iter().find_map(|part| match part {
        FieldSetPart::Field { name: own, inner } if own == name => Some(inner.clone()),
        FieldSetPart::Field { .. } => None,
        FieldSetPart::On { inner, .. } => provided(inner, name),
    })
}

/// The inputs of a field as they were passed on; what is missing shows.
fn given(given: Option<&Json>, requires: &FieldSet) -> Json {
    let Some(given) = given else { return json!("nothing was passed on") };
    if let Json::Array(items) = given {
        return items.iter().map(|item| self::given(Some(item), requires)).collect();
    }
    if requires.0.is_empty() || given.is_null() {
        return given.clone();
    }
    let mut out = Map::new();
    for part in &requires.0 {
        match part {
            FieldSetPart::Field { name, inner } => {
                let value = given.get(name.as_str());
                let value = value.map(|value| self::given(Some(value), inner));
                out.insert(name.to_string(), value.unwrap_or(json!("missing")));
            }
            FieldSetPart::On { type_name, inner } => {
                if given.get("__typename") == Some(&json!(type_name.as_str()))
                    && let Json::Object(more) = self::given(Some(given), inner)
                {
                    out.extend(more);
                }
            }
        }
    }
    Json::Object(out)
}

/// Whether everything of a value is in another one too.
fn is_within(value: &Json, other: &Json) -> bool {
    match (value, other) {
        (Json::Object(one), Json::Object(other)) => one
            .iter()
            .all(|(name, value)| other.get(name).is_some_and(|other| is_within(value, other))),
        _ => value == other,
    }
}

/// Whether a type of a schema has fields.
pub(super) fn is_composite(ty: &ExtendedType) -> bool {
    !ty.is_leaf() && !ty.is_input_object()
}
