//! Rules of the [GraphQL specification](https://spec.graphql.org/draft/#sec-Type-System) for types that
//! apollo-compiler lacks: those of `@oneOf` and of defaults.
//!
//! In: types, valid or not by its own rules. Out: what these two find. They are asked of each service,
//! of the API that all of them make together, and of any SDL that is executed as it is.

mod defaults;
mod one_of;

use apollo_compiler::Schema;
use apollo_compiler::ast::{Definition, Document};
use apollo_compiler::parser::SourceSpan;

/// The definition of `@oneOf`, which the specification gives to every schema.
pub const ONE_OF: &str =
    "\"Says that exactly one field of an input object must be given, and not as null.\"
directive @oneOf on INPUT_OBJECT
";

/// Whether a document defines a directive of this name itself.
pub fn defines(document: &Document, directive: &str) -> bool {
    document.definitions.iter().any(|definition| match definition {
        Definition::DirectiveDefinition(definition) => definition.name == directive,
        _ => false,
    })
}

/// What breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where that stands, when the types were parsed.
    pub at: Option<SourceSpan>,
    /// What is wrong; the first name between backticks is that of what it is about.
    pub words: String,
}

/// Everything that breaks one of the rules.
pub fn faults(schema: &Schema) -> Vec<Fault> {
    let mut faults = one_of::faults(schema);
    faults.extend(defaults::faults(schema));
    faults
}
