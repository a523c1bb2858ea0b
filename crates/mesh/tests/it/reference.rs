//! A naive interpreter, word for word after the specification's algorithms, to compare with.
//!
//! In: a parsed document, the types, values of root fields. Out: the data, and where errors are. It
//! knows no plan, and walks the document anew for every object. Not here: validation.

use std::collections::HashSet;

use apollo_compiler::ast::{
    Definition, DirectiveList, Document, Field, FragmentDefinition, OperationDefinition, Selection,
    Type, Value,
};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::validation::Valid;
use apollo_compiler::{Node, Schema};
use indexmap::IndexMap;
use serde_json::{Map, Value as Json, json};

/// The value of a root field for its arguments.
pub(crate) type Root<'a> = &'a dyn Fn(&str, &Json) -> Json;

/// The answer of the interpreter.
pub(crate) struct Answer {
    pub(crate) data: Json,
    /// The paths of errors, in JSON as an answer has them.
    pub(crate) errors: Vec<Json>,
}

/// A null that must go further up.
struct Nulled;

struct Interpreter<'a> {
    schema: &'a Valid<Schema>,
    document: &'a Document,
    variables: Map<String, Json>,
    root: Root<'a>,
    path: Vec<Json>,
    errors: Vec<Json>,
}

type Grouped<'a> = IndexMap<String, Vec<&'a Field>>;

/// ExecuteRequest of a document with one operation.
pub(crate) fn execute(
    schema: &Valid<Schema>,
    document: &Document,
    given: &Map<String, Json>,
    root: Root<'_>,
) -> Answer {
    let operation = document.definitions.iter().find_map(|definition| match definition {
        Definition::OperationDefinition(operation) => Some(operation.as_ref()),
        _ => None,
    });
    let operation = operation.expect("an operation");
    let mut interpreter = Interpreter {
        schema,
        document,
        variables: Map::new(),
        root,
        path: Vec::new(),
        errors: Vec::new(),
    };
    interpreter.variables = interpreter.variable_values(operation, given);
    let data = interpreter.selection_set("Query", &[&operation.selection_set], None);
    Answer { data: data.unwrap_or(Json::Null), errors: interpreter.errors }
}

fn directives(selection: &Selection) -> &DirectiveList {
    match selection {
        Selection::Field(field) => &field.directives,
        Selection::FragmentSpread(spread) => &spread.directives,
        Selection::InlineFragment(fragment) => &fragment.directives,
    }
}

impl<'a> Interpreter<'a> {
    /// CoerceVariableValues, of values that are of their types already.
    fn variable_values(
        &self,
        operation: &OperationDefinition,
        given: &Map<String, Json>,
    ) -> Map<String, Json> {
        let values = operation.variables.iter().filter_map(|declared| {
            let default = declared.default_value.as_ref();
            let value = given.get(declared.name.as_str()).cloned();
            let value = value.or_else(|| self.coerced(&declared.ty, default?))?;
            Some((declared.name.to_string(), value))
        });
        values.collect()
    }

    /// ExecuteSelectionSet; the root has no value of its own.
    fn selection_set(
        &mut self,
        object_type: &str,
        sets: &[&'a Vec<Selection>],
        object: Option<&Json>,
    ) -> Result<Json, Nulled> {
        let mut grouped = Grouped::new();
        for set in sets {
            self.collect(object_type, set, &mut HashSet::new(), &mut grouped);
        }
        let mut result = Map::new();
        for (key, fields) in grouped {
            self.path.push(json!(key));
            let value = self.field(object_type, &fields, object);
            self.path.pop();
            result.insert(key, value?);
        }
        Ok(Json::Object(result))
    }

    /// CollectFields.
    fn collect(
        &self,
        object_type: &str,
        set: &'a [Selection],
        visited: &mut HashSet<&'a str>,
        grouped: &mut Grouped<'a>,
    ) {
        for selection in set.iter().filter(|selection| self.is_included(directives(selection))) {
            match selection {
                Selection::Field(field) => {
                    grouped.entry(field.response_name().to_string()).or_default().push(field);
                }
                Selection::FragmentSpread(spread) => {
                    if !visited.insert(&spread.fragment_name) {
                        continue;
                    }
                    let fragment = self.fragment(&spread.fragment_name);
                    if self.applies(&fragment.type_condition, object_type) {
                        self.collect(object_type, &fragment.selection_set, visited, grouped);
                    }
                }
                Selection::InlineFragment(fragment) => {
                    let condition = fragment.type_condition.as_ref();
                    if condition.is_none_or(|condition| self.applies(condition, object_type)) {
                        self.collect(object_type, &fragment.selection_set, visited, grouped);
                    }
                }
            }
        }
    }

    fn fragment(&self, name: &str) -> &'a FragmentDefinition {
        let mut fragments = self.document.definitions.iter().filter_map(|it| match it {
            Definition::FragmentDefinition(fragment) => Some(fragment.as_ref()),
            _ => None,
        });
        fragments.find(|fragment| fragment.name == name).expect("a fragment")
    }

    fn is_included(&self, directives: &DirectiveList) -> bool {
        let says = |name: &str| {
            let condition = directives.get(name)?.specified_argument_by_name("if")?;
            match condition.as_ref() {
                Value::Boolean(value) => Some(*value),
                Value::Variable(name) => self.variables.get(name.as_str())?.as_bool(),
                _ => None,
            }
        };
        says("skip") != Some(true) && says("include") != Some(false)
    }

    /// DoesFragmentTypeApply.
    fn applies(&self, condition: &str, object_type: &str) -> bool {
        match self.schema.types.get(condition) {
            Some(ExtendedType::Interface(_)) => {
                let object = self.schema.get_object(object_type).expect("an object type");
                object.implements_interfaces.iter().any(|face| face.name == condition)
            }
            Some(ExtendedType::Union(union)) => {
                union.members.iter().any(|member| member.name == object_type)
            }
            _ => condition == object_type,
        }
    }

    /// ExecuteField.
    fn field(
        &mut self,
        object_type: &str,
        fields: &[&'a Field],
        object: Option<&Json>,
    ) -> Result<Json, Nulled> {
        let first = fields[0];
        if first.name == "__typename" {
            return Ok(json!(object_type));
        }
        let definition = self.schema.type_field(object_type, &first.name).expect("a known field");
        let value = match object {
            Some(object) => object.get(first.name.as_str()).cloned().unwrap_or(Json::Null),
            None => {
                let arguments = definition.arguments.iter().filter_map(|argument| {
                    let given = first.arguments.iter().find(|given| given.name == argument.name);
                    let value = given.and_then(|given| self.coerced(&argument.ty, &given.value));
                    let default = argument.default_value.as_ref();
                    let value = value.or_else(|| self.coerced(&argument.ty, default?))?;
                    Some((argument.name.to_string(), value))
                });
                let arguments = Json::Object(arguments.collect());
                (self.root)(&first.name, &arguments)
            }
        };
        self.handled(&definition.ty.clone(), fields, &value)
    }

    /// A value in its place: an error makes it null, or its parent.
    fn handled(&mut self, ty: &Type, fields: &[&'a Field], value: &Json) -> Result<Json, Nulled> {
        match self.complete(ty, fields, value) {
            Err(Nulled) if !ty.is_non_null() => Ok(Json::Null),
            other => other,
        }
    }

    fn error(&mut self) -> Nulled {
        self.errors.push(Json::Array(self.path.clone()));
        Nulled
    }

    /// CompleteValue.
    fn complete(&mut self, ty: &Type, fields: &[&'a Field], value: &Json) -> Result<Json, Nulled> {
        if value.is_null() {
            return if ty.is_non_null() { Err(self.error()) } else { Ok(Json::Null) };
        }
        if ty.is_list() {
            let Json::Array(items) = value else { return Err(self.error()) };
            let mut completed = Vec::new();
            for (index, item) in items.iter().enumerate() {
                self.path.push(json!(index));
                let item = self.handled(ty.item_type(), fields, item);
                self.path.pop();
                completed.push(item?);
            }
            return Ok(Json::Array(completed));
        }
        let name = ty.inner_named_type();
        let fits = match (self.schema.types.get(name), value) {
            (Some(ExtendedType::Enum(values)), Json::String(value)) => {
                values.values.contains_key(value.as_str())
            }
            (Some(ExtendedType::Scalar(_)), _) => match name.as_str() {
                "Int" => value.as_i64().is_some_and(|value| i32::try_from(value).is_ok()),
                "String" | "ID" => value.is_string(),
                _ => value.is_boolean(),
            },
            (Some(ExtendedType::Object(_)), Json::Object(_)) => {
                return self.object(name, fields, value);
            }
            (Some(ExtendedType::Interface(_) | ExtendedType::Union(_)), Json::Object(object)) => {
                // ResolveAbstractType.
                let object_type = object.get("__typename").and_then(Json::as_str).unwrap_or("");
                if self.schema.get_object(object_type).is_some() && self.applies(name, object_type)
                {
                    return self.object(object_type, fields, value);
                }
                false
            }
            _ => false,
        };
        if fits { Ok(value.clone()) } else { Err(self.error()) }
    }

    /// ExecuteSelectionSet of MergeSelectionSets.
    fn object(
        &mut self,
        object_type: &str,
        fields: &[&'a Field],
        value: &Json,
    ) -> Result<Json, Nulled> {
        let sets: Vec<&'a Vec<Selection>> =
            fields.iter().map(|field| &field.selection_set).collect();
        self.selection_set(object_type, &sets, Some(value))
    }

    /// A literal as a value of its type; nothing when it is an absent variable.
    fn coerced(&self, ty: &Type, value: &Node<Value>) -> Option<Json> {
        if let Value::Variable(name) = value.as_ref() {
            return self.variables.get(name.as_str()).cloned();
        }
        if ty.is_list() && !value.is_null() {
            let item = |item| self.coerced(ty.item_type(), item).unwrap_or(Json::Null);
            return Some(match value.as_ref() {
                Value::List(items) => Json::Array(items.iter().map(item).collect()),
                _ => Json::Array(vec![item(value)]),
            });
        }
        Some(match value.as_ref() {
            Value::Object(given) => {
                let input = self.schema.get_input_object(ty.inner_named_type());
                let fields = input.expect("an input object").fields.values();
                let fields = fields.filter_map(|field| {
                    let given = given.iter().find(|(name, _)| *name == field.name);
                    let value = given.and_then(|(_, value)| self.coerced(&field.ty, value));
                    let default = field.default_value.as_ref();
                    let value = value.or_else(|| self.coerced(&field.ty, default?))?;
                    Some((field.name.to_string(), value))
                });
                Json::Object(fields.collect())
            }
            Value::Int(digits) => json!(digits.as_str().parse::<i64>().expect("a small number")),
            Value::String(text) => json!(text),
            Value::Enum(name) => json!(name.as_str()),
            Value::Boolean(value) => json!(value),
            _ => Json::Null,
        })
    }
}
