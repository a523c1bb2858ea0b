//! SDL to the types that documents are checked against.
//!
//! One rule of the specification is not insisted on, as the reference implementation does not: a
//! directive may be applied to a type that its own arguments use. Its applications are dropped then;
//! no engine reads them.

use apollo_compiler::ast::{Definition, DirectiveList, Document};
use apollo_compiler::validation::Valid;
use apollo_compiler::{Name, Schema};
use base::{Error, Result};

const FILE: &str = "api.graphql";
const RECURSIVE: &str = "directive definition cannot reference itself";

/// Reads and validates SDL.
pub(crate) fn read(sdl: &str) -> Result<Valid<Schema>> {
    let failed = match Schema::parse_and_validate(sdl, FILE) {
        Ok(schema) => return Ok(schema),
        Err(failed) => failed,
    };
    let messages: Vec<String> =
        failed.errors.iter().map(|diagnostic| diagnostic.to_json().message).collect();
    let refused = || Error::invalid(format!("failed to read the API: {}", messages.join("; ")));
    if !messages.iter().all(|message| message.contains(RECURSIVE)) {
        return Err(refused());
    }
    let mut document = Document::parse(sdl, FILE).map_err(|_| refused())?;
    let recursive =
        |name: &Name| messages.iter().any(|message| message.starts_with(&format!("`{name}` ")));
    for definition in &mut document.definitions {
        if let Definition::EnumTypeDefinition(definition) = definition {
            let definition = definition.make_mut();
            drop_applications(&mut definition.directives, &recursive);
            for value in &mut definition.values {
                drop_applications(&mut value.make_mut().directives, &recursive);
            }
        }
        if let Definition::InputObjectTypeDefinition(definition) = definition {
            let definition = definition.make_mut();
            drop_applications(&mut definition.directives, &recursive);
            for field in &mut definition.fields {
                drop_applications(&mut field.make_mut().directives, &recursive);
            }
        }
        if let Definition::ScalarTypeDefinition(definition) = definition {
            drop_applications(&mut definition.make_mut().directives, &recursive);
        }
    }
    document.to_schema_validate().map_err(|_| refused())
}

fn drop_applications(directives: &mut DirectiveList, recursive: &impl Fn(&Name) -> bool) {
    directives.0.retain(|directive| !recursive(&directive.name));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directive_on_a_type_of_its_own_arguments_is_passed_over() {
        let sdl = "directive @d(e: E) on ENUM_VALUE  enum E { A @d(e: A) }  type Query { e: E }";
        assert!(read(sdl).is_ok());
        let error = read("type Query { x: Nothing }").expect_err("an unknown type");
        assert!(error.to_string().starts_with("failed to read the API: "), "{error}");
    }
}
