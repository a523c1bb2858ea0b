//! Cases to verdicts: an engine for each schema, whose resolver answers as the cases say.
//!
//! In: cases. Out: how many pass, and what is wrong with the others. Not here: printing.

use std::collections::BTreeSet;
use std::sync::Arc;

use apollo_compiler::collections::HashMap as ApolloMap;
use apollo_compiler::executable::{Field, Selection, SelectionSet};
use apollo_compiler::schema::{ExtendedType, Implementers};
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Name, Schema, ast::Type};
use async_trait::async_trait;
use base::{Error, Principal, Result};
use mesh::{Engine, Limits, Request, Root, RootResolver, Settings};
use serde_json::{Map, Value as Json, json};

use super::cases::Case;

/// What came out of all cases.
#[derive(Default)]
pub(crate) struct Verdicts {
    pub(crate) passed: usize,
    pub(crate) failures: Vec<Failure>,
}

/// A case that is not answered as the reference does.
pub(crate) struct Failure {
    pub(crate) id: String,
    pub(crate) document: String,
    pub(crate) expected: String,
    pub(crate) found: String,
}

/// Asks all cases; one that cannot be read ends the run.
pub(crate) async fn run(cases: impl Iterator<Item = Result<Case>>) -> Result<Verdicts> {
    let mut verdicts = Verdicts::default();
    let mut subject: Option<Subject> = None;
    for case in cases {
        let case = case?;
        // Cases of one schema follow one another.
        let known = subject.take().filter(|subject| subject.text == case.schema);
        let found = match known.map_or_else(|| Subject::new(&case.schema), Ok) {
            Ok(made) => {
                let found = made.fault(&case).await;
                subject = Some(made);
                found
            }
            Err(error) => Some(base::error_chain(&error).join(": ")),
        };
        match found {
            None => verdicts.passed += 1,
            Some(found) => verdicts.failures.push(Failure {
                expected: expected(&case),
                id: case.id,
                document: case.query,
                found,
            }),
        }
    }
    if verdicts.passed == 0 && verdicts.failures.is_empty() {
        return Err(Error::invalid("there is no case in the file"));
    }
    Ok(verdicts)
}

fn expected(case: &Case) -> String {
    let errors = if case.expected.has_errors { "errors, and " } else { "" };
    format!("{errors}data: {}", case.expected.data)
}

/// Answers every field as the cases say: fixed scalars, lists of two, fixed concrete types.
struct Fixed {
    schema: Valid<Schema>,
    implementers: ApolloMap<Name, Implementers>,
    /// The document of the case that runs now.
    document: parking_lot::Mutex<Arc<ExecutableDocument>>,
}

/// A document under the types of its schema.
struct Asked<'a> {
    fixed: &'a Fixed,
    document: Arc<ExecutableDocument>,
}

impl Asked<'_> {
    /// All fields below these selections, whatever their conditions, by name.
    fn fields<'a>(&'a self, sets: &[&'a SelectionSet], name: &str, found: &mut Vec<&'a Field>) {
        for selection in sets.iter().flat_map(|set| &set.selections) {
            match selection {
                Selection::Field(field) if field.name == name => found.push(field),
                Selection::Field(_) => {}
                Selection::InlineFragment(inner) => {
                    self.fields(&[&inner.selection_set], name, found);
                }
                Selection::FragmentSpread(spread) => {
                    if let Some(inner) = self.document.fragments.get(&spread.fragment_name) {
                        self.fields(&[&inner.selection_set], name, found);
                    }
                }
            }
        }
    }

    fn names<'a>(&'a self, sets: &[&'a SelectionSet], found: &mut BTreeSet<&'a str>) {
        for selection in sets.iter().flat_map(|set| &set.selections) {
            match selection {
                Selection::Field(field) => {
                    found.insert(&field.name);
                }
                Selection::InlineFragment(inner) => self.names(&[&inner.selection_set], found),
                Selection::FragmentSpread(spread) => {
                    if let Some(inner) = self.document.fragments.get(&spread.fragment_name) {
                        self.names(&[&inner.selection_set], found);
                    }
                }
            }
        }
    }

    #[expect(clippy::approx_constant, reason = "the corpus says 3.14")]
    fn value(&self, ty: &Type, sets: &[&SelectionSet]) -> Json {
        if ty.is_list() {
            let item = self.value(ty.item_type(), sets);
            return json!([item, item]);
        }
        let name = ty.inner_named_type();
        match (name.as_str(), self.fixed.schema.types.get(name)) {
            ("Int", _) => json!(2),
            ("Float", _) => json!(3.14),
            ("Boolean", _) => json!(true),
            ("ID", _) => json!("id"),
            (_, Some(ExtendedType::Enum(values))) => {
                json!(values.values.keys().next().map(|value| value.as_str()))
            }
            (_, Some(ExtendedType::Union(union))) => {
                let first = union.members.iter().map(|member| member.name.as_str()).min();
                self.object(first.unwrap_or_default(), sets)
            }
            (_, Some(ExtendedType::Interface(_))) => {
                let types = self.fixed.implementers.get(name).map(|found| &found.objects);
                let last = types.and_then(|types| types.iter().map(|name| name.as_str()).max());
                self.object(last.unwrap_or_default(), sets)
            }
            (_, Some(ExtendedType::Object(_))) => self.object(name, sets),
            _ => json!("str"),
        }
    }

    fn object(&self, type_name: &str, sets: &[&SelectionSet]) -> Json {
        let mut names = BTreeSet::new();
        self.names(sets, &mut names);
        let mut object = Map::new();
        object.insert("__typename".to_owned(), json!(type_name));
        for name in names {
            let Ok(definition) = self.fixed.schema.type_field(type_name, name) else { continue };
            if name.starts_with("__") {
                continue;
            }
            let mut fields = Vec::new();
            self.fields(sets, name, &mut fields);
            let inner: Vec<_> = fields.iter().map(|field| &field.selection_set).collect();
            object.insert(name.to_owned(), self.value(&definition.ty, &inner));
        }
        Json::Object(object)
    }
}

#[async_trait]
impl RootResolver for Fixed {
    async fn resolve(&self, _: Root, field: &str, _: Json, _: &Principal) -> Result<Json> {
        let asked = Asked { fixed: self, document: self.document.lock().clone() };
        let roots: Vec<_> =
            asked.document.operations.iter().map(|operation| &operation.selection_set).collect();
        let mut fields = Vec::new();
        asked.fields(&roots, field, &mut fields);
        let inner: Vec<_> = fields.iter().map(|field| &field.selection_set).collect();
        let first = fields.first();
        Ok(first.map_or(Json::Null, |first| asked.value(&first.definition.ty, &inner)))
    }
}

/// An engine for the schema of some cases.
struct Subject {
    text: String,
    fixed: Arc<Fixed>,
    engine: Engine,
}

impl Subject {
    fn new(text: &str) -> Result<Self> {
        // Whether the schema is valid is for the engine to say.
        let schema = Schema::parse(text, "schema.graphql")
            .map_err(|failed| Error::invalid(format!("schema refused: {}", failed.errors)))?;
        let schema = Valid::assume_valid(schema);
        let implementers = schema.implementers_map();
        let document = parking_lot::Mutex::default();
        let fixed = Arc::new(Fixed { schema, implementers, document });
        let settings = Settings { limits: limits(), ..Settings::default() };
        let engine = Engine::plain_with_settings(text, fixed.clone(), settings)?;
        Ok(Subject { text: text.to_owned(), fixed, engine })
    }

    /// What is wrong with our answer to a case.
    async fn fault(&self, case: &Case) -> Option<String> {
        let document = ExecutableDocument::parse(&self.fixed.schema, &case.query, "query.graphql");
        match document {
            Ok(document) => *self.fixed.document.lock() = Arc::new(document),
            Err(failed) => return Some(format!("document refused: {}", failed.errors)),
        }
        let request = Request::new(case.query.clone(), Principal::local());
        let request = Request { variables: case.variables.clone(), ..request };
        let answer = match self.engine.execute(request).await.json() {
            Ok(answer) => answer,
            Err(error) => return Some(base::error_chain(&error).join(": ")),
        };
        let has_errors = answer.get("errors").is_some();
        let data = answer.get("data").unwrap_or(&Json::Null);
        if *data == case.expected.data && has_errors == case.expected.has_errors {
            return None;
        }
        Some(match answer.get("errors") {
            Some(errors) => format!("errors: {errors}\ndata: {data}"),
            None => format!("data: {data}"),
        })
    }
}

/// The cases are about answers: their random documents are larger than an open endpoint allows.
fn limits() -> Limits {
    let (depth, aliases, fields, selections) = (60, 10_000, 200_000, 2_000_000);
    Limits { depth, aliases, fields, selections, ..Limits::default() }
}
