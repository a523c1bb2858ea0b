//! Values to what is written: each is looked at by the type that it should be of. Objects of one level,
//! in however many lists they stand, go on together.

use apollo_compiler::Name;
use apollo_compiler::ast::Type;
use apollo_compiler::schema::ExtendedType;
use futures::future::join_all;
use indexmap::IndexMap;
use schema::fetch::Origin;

use super::ask::Asked;
use super::object::{Key, Object, Place, Value};
use super::run::{Made, Run};
use super::write::{Fault, Node};
use crate::tape::Form;

/// How the first value of an enum of protobuf ends by convention.
const UNSPECIFIED: &str = "_UNSPECIFIED";

/// A value of which the objects are still to come.
enum Draft {
    Node(Node),
    /// An object, by the position of its type and its number among those.
    Object(usize, usize),
    List(Vec<Draft>),
}

/// A field while its values are looked at.
struct Field<'f> {
    parent: &'f Name,
    name: &'f Name,
    named: &'f Name,
    /// The field that is the key of what is referred to.
    key: Option<&'f Name>,
    is_leaf: bool,
}

impl<'a> Run<'a> {
    /// The values of a field for all objects of a level.
    pub(super) async fn complete(
        &self,
        parent: &Name,
        asked: &Asked<'a>,
        values: Vec<Value>,
    ) -> Vec<Node> {
        let named = asked.ty().inner_named_type();
        let key = match self.source(parent, &asked.field.name).map(|source| &source.origin) {
            Some(Origin::Reference { key, .. }) => Some(key),
            _ => None,
        };
        let ty = self.schema().types.get(named);
        let is_leaf =
            ty.is_none_or(ExtendedType::is_scalar) || ty.is_some_and(ExtendedType::is_enum);
        let field = Field { parent, name: &asked.field.name, named, key, is_leaf };
        let mut objects: IndexMap<Name, Vec<Object>> = IndexMap::new();
        let drafts: Vec<Draft> = values
            .into_iter()
            .map(|value| self.draft(&field, asked.ty(), value, &mut objects))
            .collect();
        let made = objects
            .into_iter()
            .map(|(name, objects)| self.objects(name, asked.below.clone(), objects));
        let mut made: Vec<_> = join_all(made)
            .await
            .into_iter()
            .map(|(shape, made)| (shape, made.into_iter().map(Some).collect::<Vec<_>>()))
            .collect();
        let mut object = |of: usize, number: usize| {
            let Some((shape, made)) = made.get_mut(of) else { return Node::Null };
            match made.get_mut(number).and_then(Option::take) {
                Some(Made::Ok(fields)) => Node::Object(shape.clone(), fields),
                Some(Made::Err(Value::Fault(fault))) => Node::Fault(fault),
                _ => Node::Null,
            }
        };
        drafts.into_iter().map(|draft| finished(draft, &mut object)).collect()
    }

    fn draft(
        &self,
        field: &Field<'_>,
        ty: &Type,
        value: Value,
        objects: &mut IndexMap<Name, Vec<Object>>,
    ) -> Draft {
        let item = |run: &Self, value, objects: &mut IndexMap<Name, Vec<Object>>| {
            run.draft(field, ty.item_type(), value, objects)
        };
        match value {
            Value::Null => Draft::Node(Node::Null),
            Value::Fault(fault) => Draft::Node(Node::Fault(fault)),
            Value::Done if field.named == "Boolean" && !ty.is_list() => {
                Draft::Node(Node::Text("true".into()))
            }
            Value::Done => Draft::Node(Node::Null),
            Value::Items(items) if ty.is_list() => {
                Draft::List(items.into_iter().map(|value| item(self, value, objects)).collect())
            }
            Value::Place(place) if ty.is_list() && place.form() == Form::List => {
                Draft::List(place.items().map(|it| item(self, it.value(), objects)).collect())
            }
            Value::Place(place) if !ty.is_list() && field.is_leaf => {
                Draft::Node(self.leaf(field, place))
            }
            Value::Place(place) if !ty.is_list() && place.form() == Form::Object => {
                match self.concrete(field.named, &place) {
                    Some(name) => push(objects, name, Object::Whole(place)),
                    None => Draft::Node(self.untold(field)),
                }
            }
            Value::Keyed(place) if !ty.is_list() && place.word().is_some() => match field.key {
                Some(key) => {
                    let object = Object::Keyed(Key::Field(key.clone(), place));
                    push(objects, field.named.clone(), object)
                }
                None => Draft::Node(Node::Null),
            },
            _ => Draft::Node(self.misfit(field)),
        }
    }

    /// The type of an object; that of an interface or union is told by a property.
    fn concrete(&self, named: &Name, place: &Place) -> Option<Name> {
        if self.schema().get_object(named).is_some() {
            return Some(named.clone());
        }
        let types = &self.rest.fetches.types;
        let word = place.get(types.get(named)?.wire.as_ref()?)?.word()?;
        let found = types.iter().find(|(name, of)| {
            let own = of.wire.as_deref().unwrap_or(name.as_str());
            own == word && self.schema().get_object(name).is_some() && self.is_a(name, named)
        });
        found.map(|(name, _)| name.clone())
    }

    /// A scalar or an enum.
    fn leaf(&self, field: &Field<'_>, place: Place) -> Node {
        let fits = match (field.named.as_str(), place.form()) {
            ("Int", Form::Number) => {
                std::str::from_utf8(place.raw()).is_ok_and(|text| text.parse::<i32>().is_ok())
            }
            ("Float", Form::Number)
            | ("String" | "ID", Form::Plain | Form::Escaped)
            | ("Boolean", Form::Boolean) => true,
            ("ID", Form::Number) => {
                // Keys of all sources are texts, so that they can be compared.
                let text = String::from_utf8_lossy(place.raw());
                return Node::Text(format!("\"{text}\"").into());
            }
            ("Int" | "Float" | "String" | "Boolean" | "ID", _) => false,
            (name, form) => match self.schema().types.get(name) {
                Some(ExtendedType::Enum(_)) if matches!(form, Form::Plain | Form::Escaped) => {
                    return self.value_of_enum(field, &place);
                }
                Some(ExtendedType::Enum(_)) => false,
                _ => true,
            },
        };
        if fits { Node::Raw(place) } else { self.misfit(field) }
    }

    fn value_of_enum(&self, field: &Field<'_>, place: &Place) -> Node {
        let word = place.word().unwrap_or_default();
        let wires = self.rest.fetches.members.get(field.named);
        let by_wire = wires.and_then(|wires| wires.iter().find(|(_, wire)| wire.as_ref() == word));
        let renamed = wires.is_some_and(|wires| wires.contains_key(word.as_str()));
        let values = self.schema().get_enum(field.named).map(|it| &it.values);
        let is_known = values.is_some_and(|it| it.contains_key(word.as_str()));
        match by_wire {
            Some((value, _)) => Node::Text(format!("\"{value}\"").into()),
            // Of protobuf every enum has such a value, which says that there is none.
            None if self.rest.has_unspecified() && word.ends_with(UNSPECIFIED) && !is_known => {
                Node::Null
            }
            // A value that the service calls otherwise is not meant by its name in the schema.
            None if !renamed && is_known => Node::Text(format!("\"{word}\"").into()),
            None => self.misfit(field),
        }
    }

    /// Whether a type is a scalar of GraphQL itself or an enum: never an object.
    pub(super) fn is_plain_leaf(&self, name: &Name) -> bool {
        match self.schema().types.get(name) {
            Some(ExtendedType::Enum(_)) => true,
            Some(ExtendedType::Scalar(scalar)) => scalar.is_built_in(),
            _ => false,
        }
    }

    fn misfit(&self, field: &Field<'_>) -> Node {
        let Field { parent, name, named, .. } = field;
        let words =
            format!("`{parent}.{name}` of `{}` is not of its type `{named}`", self.rest.name);
        Node::Fault(self.fault(Fault::wrong(words)))
    }

    fn untold(&self, field: &Field<'_>) -> Node {
        let Field { parent, name, named, .. } = field;
        let words =
            format!("`{parent}.{name}` of `{}` does not say which `{named}` it is", self.rest.name);
        Node::Fault(self.fault(Fault::wrong(words)))
    }
}

fn push(objects: &mut IndexMap<Name, Vec<Object>>, name: Name, object: Object) -> Draft {
    let entry = objects.entry(name);
    let of = entry.index();
    let all = entry.or_default();
    all.push(object);
    Draft::Object(of, all.len() - 1)
}

fn finished(draft: Draft, object: &mut impl FnMut(usize, usize) -> Node) -> Node {
    match draft {
        Draft::Node(node) => node,
        Draft::Object(of, number) => object(of, number),
        Draft::List(items) => {
            Node::List(items.into_iter().map(|item| finished(item, object)).collect())
        }
    }
}
