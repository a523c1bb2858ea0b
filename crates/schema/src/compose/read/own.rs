//! The source's own schema: in comes what was parsed, out comes the schema that the source would
//! print without federation, valid by the rules of GraphQL.

use apollo_compiler::ast::DirectiveList as FieldDirectives;
use apollo_compiler::diagnostic::ToCliReport;
use apollo_compiler::schema::{DirectiveList, ExtendedType};
use apollo_compiler::validation::{DiagnosticList, Valid};
use apollo_compiler::{Name, Schema as Sdl};

use crate::compose::link::Link;
use crate::compose::report::Report;
use crate::compose::text::Spot;
use crate::diagnostic::Code;
use crate::rules;

const SPECIFIED: &str = "see the GraphQL specification, section 3";

/// Strips and validates.
pub(super) fn valid(mut schema: Sdl, link: &Link, report: &mut Report<'_>) -> Option<Valid<Sdl>> {
    strip(&mut schema, link);
    for fault in rules::faults(&schema) {
        let spot = Spot { source: 0, span: fault.at.into() };
        report.add(Code::InvalidGraphql, spot, Vec::new(), fault.words).hint(SPECIFIED);
    }
    match schema.validate() {
        Ok(schema) => Some(schema),
        Err(failed) => {
            let before = report.has_errors();
            faults(&failed.errors, link, report);
            // A service without queries of its own is entered by keys alone.
            (before || !report.has_errors()).then(|| Valid::assume_valid(failed.partial))
        }
    }
}

/// Says what the rules of GraphQL say of a text.
pub(super) fn faults(errors: &DiagnosticList, link: &Link, report: &mut Report<'_>) {
    for error in errors.iter() {
        let name = error.error.unstable_error_name();
        if name == Some("QueryRootOperationType") {
            continue;
        }
        let words = error.error.to_string();
        let words = words.lines().next().unwrap_or("the text is not valid").to_owned();
        let words = words.trim_end_matches('.').replace(" in this document", "");
        let hint = match (name, link.is_first()) {
            (Some("UndefinedDefinition" | "UndefinedDirective"), true) => {
                "define it; or link federation 2 to use what came with it"
            }
            (Some("UndefinedDefinition" | "UndefinedDirective"), false) => {
                "define it; directives of federation are imported by `@link`"
            }
            _ => SPECIFIED,
        };
        let spot = Spot { source: 0, span: error.error.location().into() };
        report.add(Code::InvalidGraphql, spot, Vec::new(), words).hint(hint);
    }
}

fn strip(schema: &mut Sdl, link: &Link) {
    let root = schema.schema_definition.query.as_ref().map(|query| query.name.clone());
    if let Some(root) = root {
        strip_root(schema, &root);
    }
    schema.schema_definition.make_mut().directives = DirectiveList::default();
    for found in schema.types.values_mut().filter(|found| !found.is_built_in()) {
        strip_type(found, link);
    }
}

fn strip_root(schema: &mut Sdl, root: &Name) {
    let Some(ExtendedType::Object(object)) = schema.types.get_mut(root) else { return };
    let object = object.make_mut();
    object.fields.shift_remove("_service");
    object.fields.shift_remove("_entities");
    if object.fields.is_empty() {
        schema.types.shift_remove(root);
        schema.schema_definition.make_mut().query = None;
    }
}

fn strip_type(found: &mut ExtendedType, link: &Link) {
    let on_type = |list: &mut DirectiveList| list.0.retain(|d| link.word(&d.name).is_none());
    let inside = |list: &mut FieldDirectives| list.0.retain(|d| link.word(&d.name).is_none());
    let on_field = |field: &mut apollo_compiler::ast::FieldDefinition| {
        inside(&mut field.directives);
        for argument in &mut field.arguments {
            if !argument.directives.is_empty() {
                inside(&mut argument.make_mut().directives);
            }
        }
    };
    match found {
        ExtendedType::Scalar(scalar) => on_type(&mut scalar.make_mut().directives),
        ExtendedType::Object(object) => {
            let object = object.make_mut();
            on_type(&mut object.directives);
            object.fields.values_mut().for_each(|field| on_field(field.make_mut()));
        }
        ExtendedType::Interface(interface) => {
            let interface = interface.make_mut();
            on_type(&mut interface.directives);
            interface.fields.values_mut().for_each(|field| on_field(field.make_mut()));
        }
        ExtendedType::Union(union) => on_type(&mut union.make_mut().directives),
        ExtendedType::Enum(enumeration) => {
            let enumeration = enumeration.make_mut();
            on_type(&mut enumeration.directives);
            let values = enumeration.values.values_mut();
            values.for_each(|value| inside(&mut value.make_mut().directives));
        }
        ExtendedType::InputObject(input) => {
            let input = input.make_mut();
            on_type(&mut input.directives);
            let fields = input.fields.values_mut();
            fields.for_each(|field| inside(&mut field.make_mut().directives));
        }
    }
}
