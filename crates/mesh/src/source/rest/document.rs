//! What a service of calls is asked: in come the texts of calls, out come documents, parsed once.
//! Texts are made by the planner and are few; what fills the memory all the same is forgotten.

use std::collections::HashMap;
use std::sync::Arc;

use apollo_compiler::schema::ExtendedType;
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Name, Schema as Sdl};
use base::{Error, Result};
use parking_lot::Mutex;

/// Documents that are kept.
const KEPT: usize = 1_000;

/// The schema of a source with what a subgraph answers beside it, and the documents of its calls.
pub(super) struct Documents {
    pub(super) schema: Valid<Sdl>,
    known: Mutex<HashMap<Arc<str>, Arc<ExecutableDocument>>>,
}

impl Documents {
    pub(super) fn new(schema: &Valid<Sdl>) -> Result<Self> {
        let mut sdl = schema.to_string();
        let roots: Vec<&Name> =
            schema.schema_definition.iter_root_operations().map(|(_, name)| &name.name).collect();
        let is_object =
            |ty: &&ExtendedType| ty.is_object() && !ty.is_built_in() && !roots.contains(&ty.name());
        let objects: Vec<&str> =
            schema.types.values().filter(is_object).map(|ty| ty.name().as_str()).collect();
        if !objects.is_empty() {
            let query = schema.schema_definition.query.as_ref();
            let query =
                query.map_or("type Query".to_owned(), |it| format!("extend type {}", it.name));
            sdl.push_str(&format!(
                "\nscalar _Any\nunion _Entity = {}\n{query} {{ _entities(representations: [_Any!]!): [_Entity]! }}\n",
                objects.join(" | ")
            ));
        }
        let schema = Sdl::parse_and_validate(sdl, "source.graphql").map_err(|failed| {
            Error::internal("its schema is not valid").caused_by(failed.errors.to_string())
        })?;
        Ok(Documents { schema, known: Mutex::default() })
    }

    /// The document of a text.
    pub(super) fn get(&self, text: &str) -> std::result::Result<Arc<ExecutableDocument>, String> {
        if let Some(known) = self.known.lock().get(text) {
            return Ok(Arc::clone(known));
        }
        let parsed = ExecutableDocument::parse(&self.schema, text, "call.graphql");
        let document = Arc::new(parsed.map_err(|failed| failed.errors.to_string())?);
        let mut known = self.known.lock();
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(text.into(), Arc::clone(&document));
        Ok(document)
    }
}
