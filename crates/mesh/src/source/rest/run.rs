//! One call of the planner while it is answered, level by level: in come the objects of a level, out come
//! their fields, after all calls that they need.

use std::sync::Arc;

use apollo_compiler::ast::OperationType;
use apollo_compiler::executable::SelectionSet;
use apollo_compiler::{ExecutableDocument, Name, Schema as Sdl};
use bytes::Bytes;
use futures::future::{BoxFuture, join_all};
use parking_lot::Mutex;
use schema::fetch::{FieldSource, Origin};

use super::Kept;
use super::ask::Asked;
use super::call::Calls;
use super::object::{Key, Object, Place, Value};
use super::write::{Fault, Node, Shape, Written};
use crate::fetch::service::ServiceCall;
use crate::tape::{Form, Tape};

/// One call of the planner.
pub(super) struct Run<'a> {
    pub(super) rest: &'a Kept,
    pub(super) document: &'a ExecutableDocument,
    pub(super) call: &'a ServiceCall<'a>,
    pub(super) variables: Option<Place>,
    pub(super) calls: Calls,
    faults: Mutex<Vec<Fault>>,
}

/// An object and its fields, or why it is none.
pub(super) type Made = Result<Vec<Node>, Value>;

impl<'a> Run<'a> {
    pub(super) fn new(
        rest: &'a Kept,
        document: &'a ExecutableDocument,
        call: &'a ServiceCall<'a>,
        body: Arc<Tape>,
    ) -> Self {
        let variables = Place::root(body).get("variables");
        let (calls, faults) = (Calls::default(), Mutex::default());
        Run { rest, document, call, variables, calls, faults }
    }

    pub(super) fn schema(&self) -> &'a Sdl {
        &self.rest.documents.schema
    }

    /// Keeps a fault; out comes its number.
    pub(super) fn fault(&self, fault: Fault) -> usize {
        let mut faults = self.faults.lock();
        faults.push(fault);
        faults.len() - 1
    }

    /// The body of the answer.
    pub(super) async fn answer(self) -> Bytes {
        let Some(operation) = self.document.operations.iter().next() else {
            return Bytes::from_static(b"{\"data\":null}");
        };
        let root = &operation.selection_set.ty;
        let asked = self.asked(root, &[&operation.selection_set]);
        let mut fields = Vec::with_capacity(asked.len());
        if operation.operation_type == OperationType::Mutation {
            // One after the other, as the language has it.
            for field in &asked {
                fields.push(self.field(root, field, &[Object::Root]).await);
            }
        } else {
            fields = join_all(asked.iter().map(|field| self.root_field(root, field))).await;
        }
        let nodes: Vec<Node> = fields.into_iter().filter_map(|mut field| field.pop()).collect();
        let shape = self.shape(root, &asked);
        let faults = std::mem::take(&mut *self.faults.lock());
        Written::of(&faults).body(&Node::Object(shape, nodes))
    }

    /// The body of the answer that a value of the one root field makes.
    pub(super) async fn event(self, root: &Name, asked: &Asked<'a>, value: Value) -> Bytes {
        let nodes = self.complete(root, asked, vec![value]).await;
        let shape = self.shape(root, std::slice::from_ref(asked));
        let faults = std::mem::take(&mut *self.faults.lock());
        Written::of(&faults).body(&Node::Object(shape, nodes))
    }

    async fn root_field(&self, root: &Name, asked: &Asked<'a>) -> Vec<Node> {
        if asked.field.name == "_entities" {
            return vec![self.entities(asked).await];
        }
        self.field(root, asked, &[Object::Root]).await
    }

    /// `_entities`: objects of any types by their keys.
    async fn entities(&self, asked: &Asked<'a>) -> Node {
        let passed = self.passed(asked);
        let mut types: Vec<Name> = Vec::new();
        let values = passed.into_iter().map(|place| {
            let name = place.get("__typename").and_then(|name| name.word());
            let name = name.and_then(|name| Name::new(&name).ok());
            let name = name.filter(|name| self.schema().get_object(name).is_some());
            name.map(|name| {
                if !types.contains(&name) {
                    types.push(name.clone());
                }
                (name, place)
            })
        });
        let values: Vec<Option<(Name, Place)>> = values.collect();
        let made = types.iter().map(|name| {
            let of_type = values.iter().flatten().filter(|(of, _)| of == name);
            let objects = of_type.map(|(_, place)| Object::Keyed(Key::Passed(place.clone())));
            self.objects(name.clone(), asked.below.clone(), objects.collect())
        });
        let mut made: Vec<_> = join_all(made)
            .await
            .into_iter()
            .map(|(shape, made)| (shape, made.into_iter()))
            .collect();
        let nodes = values.iter().map(|value| {
            let of = value.as_ref().and_then(|(name, _)| types.iter().position(|it| it == name));
            let Some((shape, rest)) = of.and_then(|of| made.get_mut(of)) else { return Node::Null };
            match rest.next() {
                Some(Ok(fields)) => Node::Object(shape.clone(), fields),
                Some(Err(Value::Fault(fault))) => Node::Fault(fault),
                _ => Node::Null,
            }
        });
        Node::List(nodes.collect())
    }

    fn passed(&self, asked: &Asked<'a>) -> Vec<Place> {
        use apollo_compiler::ast::Value as Ast;
        let given = asked.field.arguments.iter().find(|it| it.name == "representations");
        match given.map(|given| given.value.as_ref()) {
            Some(Ast::Variable(name)) => {
                let list = self.variables.as_ref().and_then(|all| all.get(name));
                list.map(|list| list.items().collect()).unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }

    /// Objects of one type with the fields that are asked for.
    pub(super) fn objects(
        &self,
        type_name: Name,
        sets: Vec<&'a SelectionSet>,
        objects: Vec<Object>,
    ) -> BoxFuture<'_, (Shape, Vec<Made>)> {
        Box::pin(async move {
            let asked = self.asked(&type_name, &sets);
            let shape = self.shape(&type_name, &asked);
            let found = self.fetched(&type_name, &asked, objects).await;
            let there: Vec<Object> = found.iter().flatten().cloned().collect();
            let fields = asked.iter().map(|asked| self.field(&type_name, asked, &there));
            let mut fields: Vec<_> =
                join_all(fields).await.into_iter().map(Vec::into_iter).collect();
            let made = found.into_iter().map(|found| {
                found.map(|_| {
                    fields.iter_mut().map(|nodes| nodes.next().unwrap_or(Node::Null)).collect()
                })
            });
            let made = made.collect();
            (shape, made)
        })
    }

    /// The objects after those are fetched of which more is asked than their key.
    async fn fetched(
        &self,
        type_name: &Name,
        asked: &[Asked<'a>],
        objects: Vec<Object>,
    ) -> Vec<Result<Object, Value>> {
        let lacks = |object: &Object| self.lacks(type_name, asked, object);
        let missing: Vec<&Object> = objects.iter().filter(|object| lacks(object)).collect();
        if missing.is_empty() {
            return objects.into_iter().map(Ok).collect();
        }
        let mut values = self.by_key(type_name, &missing).await.into_iter();
        let found = objects.iter().map(|object| match lacks(object) {
            false => Ok(object.clone()),
            true => match values.next().unwrap_or(Value::Null) {
                Value::Place(place) if place.form() == Form::Object => Ok(match object {
                    Object::Keyed(key) => Object::Found(key.clone(), place),
                    _ => Object::Whole(place),
                }),
                Value::Place(_) | Value::Items(_) | Value::Keyed(_) | Value::Done => {
                    let words = format!("what `{}` answers is no `{type_name}`", self.rest.name);
                    Err(Value::Fault(self.fault(Fault::wrong(words))))
                }
                none => Err(none),
            },
        });
        found.collect()
    }

    /// Whether something is asked of an object that does not come with it.
    fn lacks(&self, type_name: &Name, asked: &[Asked<'a>], object: &Object) -> bool {
        let Object::Keyed(_) = object else { return false };
        let Some(of) = self.rest.fetches.types.get(type_name) else { return false };
        let has = |name: &str| {
            let source = of.fields.get(name);
            source.is_none_or(|source| object.field(name, &source.wire).is_some())
        };
        asked.iter().any(|asked| match self.source(type_name, &asked.field.name) {
            None => false,
            Some(FieldSource { origin: Origin::Parent, .. }) => !has(&asked.field.name),
            Some(FieldSource { origin: Origin::Reference { by, .. }, .. }) => !has(by),
            Some(FieldSource { origin: Origin::Call(fetch), .. }) => {
                let arguments = &asked.field.definition.arguments;
                let is_argument = |name: &str| arguments.iter().any(|it| it.name == name);
                let holes = fetch.holes();
                let mut needed = holes.iter().map(|hole| hole.path.first());
                needed.any(|name| !is_argument(name) && !has(name))
            }
        })
    }

    fn shape(&self, type_name: &str, asked: &[Asked<'a>]) -> Shape {
        Shape::new(asked.iter().map(|asked| {
            let name = &asked.field.name;
            let told = format!("`{type_name}.{name}` of `{}`", self.rest.name);
            (asked.key.clone(), asked.ty().clone(), told)
        }))
    }

    pub(super) fn source(&self, type_name: &str, field: &str) -> Option<&'a FieldSource> {
        self.rest.fetches.types.get(type_name)?.fields.get(field)
    }

    /// A field of all objects of a level.
    async fn field(&self, type_name: &Name, asked: &Asked<'a>, objects: &[Object]) -> Vec<Node> {
        if asked.field.name == "__typename" {
            return objects.iter().map(|_| Node::Typename(type_name.clone())).collect();
        }
        let Some(source) = self.source(type_name, &asked.field.name) else {
            return objects.iter().map(|_| Node::Null).collect();
        };
        let values = match &source.origin {
            Origin::Parent => objects
                .iter()
                .map(|object| match object.field(&asked.field.name, &source.wire).flatten() {
                    Some(place) => Value::Place(place),
                    None => Value::Null,
                })
                .collect(),
            Origin::Reference { by, .. } => self.referred(type_name, by, objects),
            Origin::Call(fetch) => self.gather(type_name, asked, fetch, source, objects).await,
        };
        self.complete(type_name, asked, values).await
    }

    /// The objects whose keys are values of a field.
    fn referred(&self, type_name: &Name, by: &Name, objects: &[Object]) -> Vec<Value> {
        let wire = self.source(type_name, by).map_or(by.as_str(), |source| &source.wire);
        let keyed = |place: Place| match place.form() {
            Form::Null => Value::Null,
            _ => Value::Keyed(place),
        };
        objects
            .iter()
            .map(|object| match object.field(by, wire).flatten() {
                None => Value::Null,
                Some(place) if place.form() == Form::List => {
                    Value::Items(place.items().map(keyed).collect())
                }
                Some(place) => keyed(place),
            })
            .collect()
    }
}
