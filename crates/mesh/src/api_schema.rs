//! SDL to the types that documents are checked against.
//!
//! What the specification defines and apollo-compiler does not is added: `@oneOf`, `isOneOf`, and, where
//! they are offered, `@defer` and `@stream`; the rules of definitions that it lacks are those of
//! `schema::rules`.
//! One rule of the specification is not insisted on, as the reference implementation does not: a
//! directive may be applied to a type that its own arguments use. Its applications are dropped then;
//! no engine reads them. Not here: rules for documents (`validate`).

use apollo_compiler::ast::{Definition, DirectiveList, Document};
use apollo_compiler::validation::{DiagnosticList, Valid};
use apollo_compiler::{Name, Schema};
use base::{Error, Result};
use schema::rules;

const FILE: &str = "api.graphql";
const RECURSIVE: &str = "directive definition cannot reference itself";

/// How introspection says which input objects take exactly one field.
const IS_ONE_OF: &str = "
extend type __Type {
  \"True for an input object that takes exactly one of its fields, null for other kinds of types.\"
  isOneOf: Boolean
}
";

/// Directives of the proposal, each added where the SDL does not define it itself.
const INCREMENTAL: [(&str, &str); 2] = [
    (
        "defer",
        "\"Lets a fragment come later than the rest of the answer.\"
directive @defer(
  \"The fragment may come later unless this is false.\"
  if: Boolean! = true
  \"Tells this fragment from others in the parts of the answer.\"
  label: String
) on FRAGMENT_SPREAD | INLINE_FRAGMENT
",
    ),
    (
        "stream",
        "\"Lets items of a list come later than the rest of the answer.\"
directive @stream(
  \"Items may come later unless this is false.\"
  if: Boolean! = true
  \"Tells this list from others in the parts of the answer.\"
  label: String
  \"How many items come at once.\"
  initialCount: Int! = 0
) on FIELD
",
    ),
];

/// Reads and validates SDL; `incremental` offers `@defer` and `@stream`.
pub(crate) fn read(sdl: &str, incremental: bool) -> Result<Valid<Schema>> {
    let mut document =
        Document::parse(sdl, FILE).map_err(|failed| refused(&messages(&failed.errors)))?;
    let ours = additions(&document, incremental)?;
    let faults = match build(&document, &ours) {
        Ok(schema) => return Ok(schema),
        Err(faults) => faults,
    };
    if !faults.iter().all(|message| message.contains(RECURSIVE)) {
        return Err(refused(&faults));
    }
    drop_recursive(&mut document, &faults);
    build(&document, &ours).map_err(|faults| refused(&faults))
}

fn refused(faults: &[String]) -> Error {
    Error::invalid(format!("failed to read the API: {}", faults.join("; ")))
}

fn messages(errors: &DiagnosticList) -> Vec<String> {
    errors.iter().map(|diagnostic| diagnostic.to_json().message).collect()
}

/// What the specification defines beyond the document.
fn additions(document: &Document, incremental: bool) -> Result<Document> {
    let incremental = INCREMENTAL.into_iter().filter(|_| incremental);
    let mut text = IS_ONE_OF.to_owned();
    for (name, definition) in std::iter::once(("oneOf", rules::ONE_OF)).chain(incremental) {
        if !rules::defines(document, name) {
            text.push_str(definition);
        }
    }
    Document::parse(text, "specification.graphql")
        .map_err(|failed| Error::internal(messages(&failed.errors).join("; ")))
}

fn build(document: &Document, ours: &Document) -> std::result::Result<Valid<Schema>, Vec<String>> {
    let built = Schema::builder().add_ast(document).add_ast(ours).build();
    let built = built.map_err(|failed| messages(&failed.errors))?;
    let mut faults: Vec<String> =
        rules::faults(&built).into_iter().map(|fault| fault.words).collect();
    match built.validate() {
        Ok(valid) if faults.is_empty() => return Ok(valid),
        Ok(_) => {}
        Err(failed) => faults.extend(messages(&failed.errors)),
    }
    Err(faults)
}

/// Drops the applications of directives that are refused as recursive.
fn drop_recursive(document: &mut Document, faults: &[String]) {
    let recursive =
        |name: &Name| faults.iter().any(|message| message.starts_with(&format!("`{name}` ")));
    for definition in &mut document.definitions {
        match definition {
            Definition::EnumTypeDefinition(definition) => {
                let definition = definition.make_mut();
                drop_applications(&mut definition.directives, &recursive);
                for value in &mut definition.values {
                    drop_applications(&mut value.make_mut().directives, &recursive);
                }
            }
            Definition::InputObjectTypeDefinition(definition) => {
                let definition = definition.make_mut();
                drop_applications(&mut definition.directives, &recursive);
                for field in &mut definition.fields {
                    drop_applications(&mut field.make_mut().directives, &recursive);
                }
            }
            Definition::ScalarTypeDefinition(definition) => {
                drop_applications(&mut definition.make_mut().directives, &recursive);
            }
            _ => {}
        }
    }
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
        assert!(read(sdl, false).is_ok());
        let error = read("type Query { x: Nothing }", false).expect_err("an unknown type");
        assert!(error.to_string().starts_with("failed to read the API: "), "{error}");
    }

    #[test]
    fn directives_of_the_sdl_are_kept_as_they_are() {
        let sdl =
            "directive @defer on FRAGMENT_SPREAD  directive @oneOf(why: String) on INPUT_OBJECT
            input In @oneOf(why: \"x\") { a: Int }  type Query { x(in: In): Int }";
        let schema = read(sdl, true).expect("a schema");
        assert!(schema.directive_definitions["defer"].arguments.is_empty());
        assert_eq!(schema.directive_definitions["stream"].arguments.len(), 3);
    }
}
