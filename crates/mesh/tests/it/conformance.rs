//! The public conformance cases: random schemas and documents with the answers of the reference.
//!
//! The file is not part of the repository: `HEADWATER_CONFORMANCE` names its folder, else it is
//! looked for beside the repository. Without it the test says so and passes.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::sync::Arc;

use apollo_compiler::collections::HashMap as ApolloMap;
use apollo_compiler::executable::{Field, Selection, SelectionSet};
use apollo_compiler::schema::{ExtendedType, Implementers};
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Name, Schema, ast::Type};
use async_trait::async_trait;
use base::{Principal, Result};
use mesh::{Engine, Limits, Request, RootResolver, Settings};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

#[derive(Deserialize)]
struct Case {
    id: String,
    schema: String,
    query: String,
    variables: Map<String, Json>,
    expected: Expected,
}

#[derive(Deserialize)]
struct Expected {
    data: Json,
    #[serde(rename = "hasErrors")]
    has_errors: bool,
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
    async fn resolve(&self, field: &str, _: Json, _: &Principal) -> Result<Json> {
        let asked = Asked { fixed: self, document: self.document.lock().clone() };
        let roots: Vec<_> =
            asked.document.operations.iter().map(|operation| &operation.selection_set).collect();
        let mut fields = Vec::new();
        asked.fields(&roots, field, &mut fields);
        let inner: Vec<_> = fields.iter().map(|field| &field.selection_set).collect();
        Ok(asked.value(&fields[0].definition.ty, &inner))
    }
}

/// An engine for the schema of some cases.
struct Subject {
    text: String,
    fixed: Arc<Fixed>,
    engine: Engine,
}

impl Subject {
    fn new(text: &str) -> std::result::Result<Self, String> {
        // Whether the schema is valid is for the engine to say.
        let schema = match Schema::parse(text, "schema.graphql") {
            Ok(schema) => Valid::assume_valid(schema),
            Err(failed) => return Err(format!("schema refused: {}", failed.errors)),
        };
        let implementers = schema.implementers_map();
        let document = parking_lot::Mutex::default();
        let fixed = Arc::new(Fixed { schema, implementers, document });
        let limits = Limits { depth: 60, aliases: 10_000, fields: 200_000, ..Limits::default() };
        let settings = Settings { limits, ..Settings::default() };
        let engine = Engine::plain_with_settings(text, fixed.clone(), settings)
            .map_err(|error| error.to_string())?;
        Ok(Subject { text: text.to_owned(), fixed, engine })
    }

    /// What is wrong with our answer to a case.
    async fn fault(&self, case: Case) -> Option<String> {
        let document = ExecutableDocument::parse(&self.fixed.schema, &case.query, "query.graphql");
        match document {
            Ok(document) => *self.fixed.document.lock() = Arc::new(document),
            Err(failed) => return Some(format!("document refused: {}", failed.errors)),
        }
        let request =
            Request { variables: case.variables, ..Request::new(case.query, Principal::local()) };
        let answer = self.engine.execute(request).await.json().expect("an answer is JSON");
        let has_errors = answer.get("errors").is_some();
        let data = answer.get("data").cloned().unwrap_or(Json::Null);
        if data == case.expected.data && has_errors == case.expected.has_errors {
            return None;
        }
        Some(match answer.get("errors") {
            Some(errors) => format!("errors: {errors}"),
            None => format!("data: {data}\n  wanted: {}", case.expected.data),
        })
    }
}

fn cases() -> Option<Vec<Case>> {
    let folder = std::env::var_os("HEADWATER_CONFORMANCE").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"),
        PathBuf::from,
    );
    let file = std::fs::File::open(folder.join("graphql/cases.jsonl.gz")).ok()?;
    let lines = BufReader::new(flate2::read::GzDecoder::new(file)).lines();
    let cases = lines.map(|line| {
        let line = line.expect("a line of the corpus");
        serde_json::from_str(&line).expect("a case")
    });
    Some(cases.collect())
}

#[tokio::test]
async fn every_public_case_is_answered_as_the_reference_does() {
    let Some(cases) = cases() else {
        println!("skipped: no conformance cases at hand (set HEADWATER_CONFORMANCE)");
        return;
    };
    let total = cases.len();
    let mut faults = Vec::new();
    let mut subject: Option<Subject> = None;
    for case in cases {
        let id = case.id.clone();
        if subject.as_ref().is_none_or(|subject| subject.text != case.schema) {
            subject = match Subject::new(&case.schema) {
                Ok(subject) => Some(subject),
                Err(fault) => {
                    faults.push(format!("{id}: {fault}"));
                    continue;
                }
            };
        }
        let Some(subject) = &subject else { continue };
        if let Some(fault) = subject.fault(case).await {
            let short: String = fault.chars().take(600).collect();
            faults.push(format!("{id}: {short}"));
        }
    }
    println!("conformance: {} of {total}", total - faults.len());
    assert!(faults.is_empty(), "{} of {total} cases fail:\n{}", faults.len(), faults.join("\n"));
}
