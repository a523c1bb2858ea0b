//! Takes federation's machinery out of a text: in comes a document, out comes the document without
//! the definitions that federation adds. What a source spells out must be as the specification has
//! it.

use apollo_compiler::ast::{Definition, DirectiveDefinition, Document, FieldDefinition};
use apollo_compiler::{Name, Node};
use indexmap::IndexMap;

use crate::compose::link::{Link, Word};
use crate::compose::report::{Report, listed};
use crate::compose::subgraph::{SubType, TypeKind};
use crate::compose::text::{Span, Spot};
use crate::diagnostic::Code;

/// Removes definitions of machinery.
pub(super) fn remove(document: &mut Document, link: &Link, report: &mut Report<'_>) {
    // Under its bare name it may be a scalar of the source's own, which then some field has.
    let bare_field_set = !uses(document, "FieldSet");
    document.definitions.retain(|definition| {
        let Some(name) = definition.name() else { return true };
        match definition {
            Definition::DirectiveDefinition(directive) => match link.word(name) {
                Some(word) => {
                    as_specified(word, directive, report);
                    false
                }
                None => !link.is_machinery(name) && !is_our_own(name),
            },
            _ if link.is_machinery(name) || (bare_field_set && name == "FieldSet") => {
                is_of_its_kind(name, definition, report);
                false
            }
            _ => true,
        }
    });
}

/// Whether a field, an argument or an input field has this type.
fn uses(document: &Document, wanted: &str) -> bool {
    let fields_use = |fields: &[Node<FieldDefinition>]| {
        fields.iter().any(|field| {
            let arguments = field.arguments.iter().map(|argument| argument.ty.as_ref());
            arguments.chain([&field.ty]).any(|ty| ty.inner_named_type() == wanted)
        })
    };
    document.definitions.iter().any(|definition| match definition {
        Definition::ObjectTypeDefinition(found) => fields_use(&found.fields),
        Definition::ObjectTypeExtension(found) => fields_use(&found.fields),
        Definition::InterfaceTypeDefinition(found) => fields_use(&found.fields),
        Definition::InterfaceTypeExtension(found) => fields_use(&found.fields),
        Definition::InputObjectTypeDefinition(found) => {
            found.fields.iter().any(|field| field.ty.inner_named_type() == wanted)
        }
        Definition::InputObjectTypeExtension(found) => {
            found.fields.iter().any(|field| field.ty.inner_named_type() == wanted)
        }
        _ => false,
    })
}

/// Directives that module files have and services do not know.
fn is_our_own(name: &Name) -> bool {
    ["module", "source"].contains(&name.as_str())
}

/// Removes `_service` and `_entities` from the root of queries, and the root if nothing is left.
pub(super) fn remove_fields(types: &mut IndexMap<Name, SubType>) {
    let Some(query) = types.get_mut("Query") else { return };
    query.fields.shift_remove("_service");
    query.fields.shift_remove("_entities");
    if query.kind == TypeKind::Object && query.fields.is_empty() {
        types.shift_remove("Query");
    }
}

fn is_of_its_kind(name: &Name, definition: &Definition, report: &mut Report<'_>) {
    let scalar = matches!(
        definition,
        Definition::ScalarTypeDefinition(_) | Definition::ScalarTypeExtension(_)
    );
    if scalar || !name.ends_with("FieldSet") {
        return;
    }
    let spot = Spot { source: 0, span: name.location().into() };
    let words = format!("`{name}` is no scalar");
    report
        .add(Code::TypeDefinitionInvalid, spot, Vec::new(), words)
        .hint(format!("write `scalar {name}`, or leave it out"));
}

/// Arguments that a definition may have, the required ones first, and places.
fn specified(word: Word) -> Option<(&'static [&'static str], usize, &'static [&'static str])> {
    const MARKED: &[&str] = &[
        "FIELD_DEFINITION",
        "OBJECT",
        "INTERFACE",
        "UNION",
        "ARGUMENT_DEFINITION",
        "SCALAR",
        "ENUM",
        "ENUM_VALUE",
        "INPUT_OBJECT",
        "INPUT_FIELD_DEFINITION",
        "SCHEMA",
    ];
    Some(match word {
        Word::Key => (&["fields", "resolvable"], 1, &["OBJECT", "INTERFACE"]),
        Word::Requires | Word::Provides => (&["fields"], 1, &["FIELD_DEFINITION"]),
        Word::External => (&["reason"], 0, &["OBJECT", "FIELD_DEFINITION"]),
        Word::Extends => (&[], 0, &["OBJECT", "INTERFACE"]),
        Word::Shareable => (&[], 0, &["OBJECT", "FIELD_DEFINITION"]),
        Word::Override => (&["from", "label"], 1, &["FIELD_DEFINITION"]),
        Word::InterfaceObject => (&[], 0, &["OBJECT"]),
        Word::Tag => (&["name"], 1, MARKED),
        Word::Inaccessible => (&[], 0, MARKED),
        _ => return None,
    })
}

fn as_specified(word: Word, definition: &DirectiveDefinition, report: &mut Report<'_>) {
    let Some((arguments, required, places)) = specified(word) else { return };
    let name = &definition.name;
    let span: Span = name.location().into();
    let mut fault = |words: String, hint: String| {
        let spot = Spot { source: 0, span };
        report.add(Code::DirectiveDefinitionInvalid, spot, Vec::new(), words).hint(hint);
    };
    let leave_out = "leave the definition out; federation brings it";
    for missing in arguments[..required].iter().filter(|a| definition.argument_by_name(a).is_none())
    {
        let words = format!("the definition of `@{name}` lacks the argument `{missing}`");
        fault(words, leave_out.to_owned());
    }
    for other in &definition.arguments {
        if !arguments.contains(&other.name.as_str()) {
            let words = format!("the definition of `@{name}` has an argument `{}`", other.name);
            fault(words, leave_out.to_owned());
        }
    }
    for place in &definition.locations {
        if !places.contains(&place.name()) {
            let words = format!("the definition of `@{name}` names the place `{}`", place.name());
            fault(words, format!("it stands on {}", listed(places)));
        }
    }
}
