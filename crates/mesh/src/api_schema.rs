//! SDL to the types that documents are checked against.
//!
//! What the specification defines and apollo-compiler does not is added: `@oneOf` with its rules for
//! definitions, rules for defaults, `isOneOf`, and, where they are offered, `@defer` and `@stream`.
//! One rule of the specification is not insisted on, as the reference implementation does not: a
//! directive may be applied to a type that its own arguments use. Its applications are dropped then;
//! no engine reads them. Not here: rules for documents (`validate`).

mod defaults;

use std::collections::HashSet;

use apollo_compiler::ast::{Definition, DirectiveList, Document, Type};
use apollo_compiler::schema::{ExtendedType, InputObjectType};
use apollo_compiler::validation::{DiagnosticList, Valid};
use apollo_compiler::{Name, Schema};
use base::{Error, Result};

const FILE: &str = "api.graphql";
const RECURSIVE: &str = "directive definition cannot reference itself";

/// How introspection says which input objects take exactly one field.
const IS_ONE_OF: &str = "
extend type __Type {
  \"True for an input object that takes exactly one of its fields, null for other kinds of types.\"
  isOneOf: Boolean
}
";

/// Directives of the specification, each added where the SDL does not define it itself.
const ONE_OF: (&str, &str) = (
    "oneOf",
    "\"Says that exactly one field of an input object must be given, and not as null.\"
directive @oneOf on INPUT_OBJECT
",
);
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
    let defines = |name: &str| {
        document.definitions.iter().any(|definition| match definition {
            Definition::DirectiveDefinition(directive) => directive.name == name,
            _ => false,
        })
    };
    let incremental = INCREMENTAL.into_iter().filter(|_| incremental);
    let mut text = IS_ONE_OF.to_owned();
    for (name, definition) in std::iter::once(ONE_OF).chain(incremental) {
        if !defines(name) {
            text.push_str(definition);
        }
    }
    Document::parse(text, "specification.graphql")
        .map_err(|failed| Error::internal(messages(&failed.errors).join("; ")))
}

fn build(document: &Document, ours: &Document) -> std::result::Result<Valid<Schema>, Vec<String>> {
    let schema = Schema::builder().add_ast(document).add_ast(ours).build();
    let schema = schema.map_err(|failed| messages(&failed.errors))?;
    let mut faults = one_of_faults(&schema);
    faults.extend(defaults::faults(&schema));
    match schema.validate() {
        Ok(schema) if faults.is_empty() => return Ok(schema),
        Ok(_) => {}
        Err(failed) => faults.extend(messages(&failed.errors)),
    }
    Err(faults)
}

fn inputs(schema: &Schema) -> impl Iterator<Item = &InputObjectType> {
    schema.types.values().filter_map(|ty| match ty {
        ExtendedType::InputObject(input) => Some(input.as_ref()),
        _ => None,
    })
}

fn is_one_of(input: &InputObjectType) -> bool {
    input.directives.has("oneOf")
}

/// What is wrong with input objects that take exactly one field.
fn one_of_faults(schema: &Schema) -> Vec<String> {
    let mut faults = Vec::new();
    for input in inputs(schema).filter(|input| is_one_of(input)) {
        let mut extended = input.directives.iter().filter(|directive| directive.name == "oneOf");
        if extended.any(|directive| directive.origin.extension_id().is_some()) {
            let name = &input.name;
            faults.push(format!(
                "`@oneOf` must stand at the definition of `{name}`, not an extension"
            ));
        }
        for field in input.fields.values() {
            let place = format!("`{}.{}`", input.name, field.name);
            if field.ty.is_non_null() {
                faults.push(format!("{place} must be nullable, as `{}` is `@oneOf`", input.name));
            }
            if field.default_value.is_some() {
                faults
                    .push(format!("{place} must have no default, as `{}` is `@oneOf`", input.name));
            }
        }
    }
    let finite = finite(schema);
    let endless = inputs(schema).filter(|input| is_one_of(input) && !finite.contains(&input.name));
    faults.extend(endless.map(|input| {
        format!("`{}` can never be given, as every field of it needs another one", input.name)
    }));
    faults
}

/// The input objects of which a value can be written down, found from those that need no other one.
fn finite(schema: &Schema) -> HashSet<&Name> {
    let mut finite = HashSet::new();
    loop {
        let found = inputs(schema)
            .filter(|input| !finite.contains(&input.name) && is_finite(schema, input, &finite));
        let found: Vec<&Name> = found.map(|input| &input.name).collect();
        if found.is_empty() {
            return finite;
        }
        finite.extend(found);
    }
}

fn is_finite(schema: &Schema, input: &InputObjectType, finite: &HashSet<&Name>) -> bool {
    let needs = |ty: &Type| match ty {
        Type::Named(name) if is_one_of(input) => schema.get_input_object(name).map(|it| &it.name),
        Type::NonNullNamed(name) => schema.get_input_object(name).map(|it| &it.name),
        _ => None,
    };
    let mut ends = input
        .fields
        .values()
        .map(|field| needs(&field.ty).is_none_or(|name| finite.contains(name)));
    // An input object without fields is another fault, which is told elsewhere.
    match is_one_of(input) {
        true => input.fields.is_empty() || ends.any(|ends| ends),
        false => ends.all(|ends| ends),
    }
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
