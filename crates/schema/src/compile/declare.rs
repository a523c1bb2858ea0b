//! Collects what the modules declare: in come documents, out come modules, object types with their
//! fields and directives, enums, and services, each name once. What a module may not hold is
//! refused here. Types of fields are not looked at yet.

use std::sync::Arc;

use apollo_compiler::Node;
use apollo_compiler::ast::{
    Definition, DirectiveLocation, EnumTypeDefinition, FieldDefinition, ObjectTypeDefinition,
    SchemaExtension,
};
use apollo_compiler::parser::SourceSpan;
use base::Team;
use indexmap::IndexMap;

use crate::diagnostic::Code;
use crate::load::Sources;
use crate::model::{EnumType, EnumValue, Holder, Module, ServiceModule};

use super::directives::{Applied, Directives};
use super::parse::{Parsed, ParsedFile};
use super::report::{Report, Spot};
use super::{names, service, shape};

/// Everything that the modules declare.
pub(crate) struct Declared<'a> {
    pub(crate) modules: Vec<Module>,
    pub(crate) objects: IndexMap<&'a str, Object<'a>>,
    pub(crate) enums: IndexMap<Arc<str>, EnumType>,
    pub(crate) services: Vec<ServiceModule>,
    /// Who holds the tables.
    pub(crate) holder: Holder,
}

/// An object type as it is written.
pub(crate) struct Object<'a> {
    pub(crate) node: &'a Node<ObjectTypeDefinition>,
    pub(crate) module: usize,
    /// Whether its rows are another source's, and only their key is known here.
    pub(crate) elsewhere: bool,
    pub(crate) directives: Directives<'a>,
    pub(crate) fields: IndexMap<&'a str, Field<'a>>,
}

/// A field as it is written.
pub(crate) struct Field<'a> {
    pub(crate) node: &'a Node<FieldDefinition>,
    pub(crate) directives: Directives<'a>,
}

impl<'a> Object<'a> {
    pub(crate) fn name(&self) -> &'a str {
        &self.node.name
    }

    pub(crate) fn at(&self) -> Option<SourceSpan> {
        self.node.name.location()
    }

    /// Whether the type is (or was meant to be) a table.
    pub(crate) fn is_table(&self) -> bool {
        self.elsewhere || self.node.directives.has("table")
    }
}

impl<'a> Field<'a> {
    pub(crate) fn name(&self) -> &'a str {
        &self.node.name
    }

    pub(crate) fn at(&self) -> Option<SourceSpan> {
        self.node.name.location()
    }

    /// Where the field's type stands.
    pub(crate) fn at_type(&self) -> Option<SourceSpan> {
        self.node.ty.inner_named_type().location()
    }
}

/// Collects the declarations of all files.
pub(crate) fn declare<'a>(
    sources: &Sources,
    parsed: &'a Parsed,
    holder: Holder,
    report: &mut Report<'_>,
) -> Declared<'a> {
    let mut declared = Declared {
        modules: Vec::new(),
        objects: IndexMap::new(),
        enums: IndexMap::new(),
        services: Vec::new(),
        holder,
    };
    let mut spellings = Spellings { known: IndexMap::new(), complete: parsed.complete };
    for parsed_file in &parsed.files {
        let header = Header::of(parsed_file, report);
        let module = module_of(sources, parsed_file, &header, &declared, parsed.complete, report);
        let index = declared.modules.len();
        declared.modules.push(module);
        // What a service declares is its own affair; none of our rules of types hold there.
        if header.is_service {
            service::declare(sources, parsed_file, &header, &mut declared, report);
            continue;
        }
        for definition in &parsed_file.document.definitions {
            declare_one(definition, index, &mut declared, &mut spellings, report);
        }
    }
    declared
}

/// Type names by their lowercase spelling: two that differ only in case would collide in the API
/// and in SQL.
struct Spellings {
    known: IndexMap<String, String>,
    /// Whether all of every file parsed; otherwise an empty type may only seem so.
    complete: bool,
}

/// What the `extend schema` of a file say of it, by our directives.
pub(super) struct Header<'a> {
    /// Whether the rest of the file is the SDL of a service.
    pub(super) is_service: bool,
    /// The first `@module`.
    pub(super) module: Option<Applied<'a>>,
    /// Every `@source`.
    pub(super) sources: Vec<Applied<'a>>,
    /// Whether a directive was refused: it may have been the one that is missed.
    pub(super) broken: bool,
}

impl<'a> Header<'a> {
    fn of(parsed: &'a ParsedFile, report: &mut Report<'_>) -> Self {
        let is_service = service::is_service(&parsed.document);
        let mut header = Header { is_service, module: None, sources: Vec::new(), broken: false };
        for definition in &parsed.document.definitions {
            let Definition::SchemaExtension(extension) = definition else { continue };
            let directives = schema_directives(extension, is_service, report);
            header.broken |= directives.broken;
            header.sources.extend(directives.all("source"));
            for found in directives.all("module") {
                if header.module.is_some() {
                    report
                        .at(Code::DuplicateModule, found.at(), "the file names its module twice")
                        .hint("a file is one module: keep one `@module`");
                }
                header.module = header.module.or(Some(found));
            }
        }
        header
    }
}

fn module_of(
    sources: &Sources,
    parsed: &ParsedFile,
    header: &Header<'_>,
    earlier: &Declared<'_>,
    complete: bool,
    report: &mut Report<'_>,
) -> Module {
    let source = &sources.files[parsed.file];
    let mut module = Module {
        name: "".into(),
        owner: Team::new(""),
        file: source.file.clone(),
        text: source.text.clone(),
    };
    let applied = header.module;
    let broken = header.broken || !complete;
    let Some(applied) = applied else {
        if !broken {
            let stem = source.file.rsplit('/').next().unwrap_or_default();
            let stem = stem.strip_suffix(".graphql").unwrap_or(stem);
            report
                .add(
                    Code::MissingModule,
                    Spot::file(parsed.file),
                    "the file does not say which module it is",
                )
                .hint(format!(
                    "begin it with `extend schema @module(name: \"{stem}\", owner: \"your-team\")`"
                ));
        }
        return module;
    };
    if let Some(name) = applied.text("name") {
        let spot = report.spot(name.at);
        names::module(name.value, spot, report);
        let same =
            earlier.modules.iter().find(|module| module.name.eq_ignore_ascii_case(name.value));
        if let Some(same) = same {
            let words = format!("module `{}` is already in `{}`", name.value, same.file);
            report.add(Code::DuplicateModule, spot, words).hint("give one of them another name");
        }
        module.name = name.value.into();
    }
    if let Some(owner) = applied.text("owner") {
        names::team(owner.value, report.spot(owner.at), report);
        module.owner = Team::new(owner.value);
    }
    module
}

fn schema_directives<'a>(
    extension: &'a Node<SchemaExtension>,
    is_service: bool,
    report: &mut Report<'_>,
) -> Directives<'a> {
    let list = &extension.directives;
    if is_service {
        return Directives::check_some(list, DirectiveLocation::Schema, service::is_ours, report);
    }
    for root in &extension.root_operations {
        report
            .at(
                Code::UnsupportedDefinition,
                root.location(),
                "root operation types are not declared",
            )
            .hint("queries and mutations follow from the tables");
    }
    Directives::check(list, DirectiveLocation::Schema, report)
}

fn declare_one<'a>(
    definition: &'a Definition,
    module: usize,
    declared: &mut Declared<'a>,
    spellings: &mut Spellings,
    report: &mut Report<'_>,
) {
    match definition {
        Definition::SchemaExtension(_) => {}
        Definition::ObjectTypeDefinition(node) => {
            if name_is_free(&node.name, spellings, report) {
                let mut object = object(node, module, report);
                object.elsewhere =
                    declared.holder.extends(&node.name) && !node.directives.has("table");
                if node.fields.is_empty() && spellings.complete {
                    let words = format!("type `{}` has no fields", node.name);
                    report.at(Code::EmptyDefinition, node.name.location(), words);
                }
                declared.objects.insert(&node.name, object);
            }
        }
        Definition::EnumTypeDefinition(node) => {
            if name_is_free(&node.name, spellings, report) {
                let enumeration = enumeration(node, report);
                if node.values.is_empty() && spellings.complete {
                    let words = format!("enum `{}` has no values", node.name);
                    report.at(Code::EmptyDefinition, node.name.location(), words);
                }
                declared.enums.insert(enumeration.name.clone(), enumeration);
            }
        }
        Definition::ScalarTypeDefinition(node) if shape::is_scalar(&node.name) => {
            Directives::check(&node.directives, DirectiveLocation::Scalar, report);
            let words = format!("`{}` is built in; this changes nothing", node.name);
            report.at(Code::BuiltInScalar, node.name.location(), words).hint("take it out");
        }
        other => refuse(other, report),
    }
}

fn name_is_free(
    name: &apollo_compiler::Name,
    spellings: &mut Spellings,
    report: &mut Report<'_>,
) -> bool {
    let at = name.location();
    if shape::is_scalar(name) {
        report
            .at(Code::ReservedName, at, format!("`{name}` is a built-in scalar"))
            .hint("give the type another name");
        return false;
    }
    if let Some(reason) = names::reserved_type(name) {
        report
            .at(Code::ReservedName, at, format!("the type name `{name}` is reserved"))
            .hint(reason);
        return false;
    }
    if !names::is_identifier(name) {
        names::identifier("a type", name, report.spot(at), report);
        return false;
    }
    if let Some(earlier) = spellings.known.get(&name.to_lowercase()) {
        let words = if earlier == name.as_str() {
            format!("type `{name}` is declared twice")
        } else {
            format!("type `{name}` differs from `{earlier}` only in case")
        };
        report
            .at(Code::DuplicateType, at, words)
            .hint("types are shared by all modules: declare each once");
        return false;
    }
    spellings.known.insert(name.to_lowercase(), name.to_string());
    true
}

fn object<'a>(
    node: &'a Node<ObjectTypeDefinition>,
    module: usize,
    report: &mut Report<'_>,
) -> Object<'a> {
    for interface in &node.implements_interfaces {
        report
            .at(
                Code::UnsupportedDefinition,
                interface.location(),
                "interfaces are not offered in a module",
            )
            .hint("repeat the fields in each type");
    }
    let directives = Directives::check(&node.directives, DirectiveLocation::Object, report);
    let mut fields = IndexMap::new();
    for field in &node.fields {
        let directives =
            Directives::check(&field.directives, DirectiveLocation::FieldDefinition, report);
        if field.name.starts_with("__") {
            report
                .at(
                    Code::ReservedName,
                    field.name.location(),
                    format!("the field name `{}` is reserved", field.name),
                )
                .hint("names with two underscores at the start belong to GraphQL");
        }
        if fields.contains_key(field.name.as_str()) {
            let words = format!("field `{}` of `{}` is declared twice", field.name, node.name);
            report.at(Code::DuplicateField, field.name.location(), words);
            continue;
        }
        fields.insert(field.name.as_str(), Field { node: field, directives });
    }
    Object { node, module, elsewhere: false, directives, fields }
}

fn enumeration(node: &Node<EnumTypeDefinition>, report: &mut Report<'_>) -> EnumType {
    Directives::check(&node.directives, DirectiveLocation::Enum, report);
    let (place, _) = report.place(report.spot(node.name.location()));
    let mut enumeration = EnumType {
        name: node.name.as_str().into(),
        description: node.description.as_ref().map(|text| text.as_str().into()),
        values: Vec::new(),
        details: Vec::new(),
        place,
    };
    for value in &node.values {
        let at = value.value.location();
        let directives = Directives::check(&value.directives, DirectiveLocation::EnumValue, report);
        let name = value.value.as_str();
        if enumeration.values.iter().any(|earlier| earlier.as_ref() == name) {
            let words = format!("value `{name}` of enum `{}` is declared twice", node.name);
            report.at(Code::DuplicateField, at, words);
            continue;
        }
        if name.starts_with("__") {
            report
                .at(Code::ReservedName, at, format!("the value `{name}` is reserved"))
                .hint("names with two underscores at the start belong to GraphQL");
        }
        enumeration.values.push(name.into());
        enumeration.details.push(EnumValue {
            description: value.description.as_ref().map(|text| text.as_str().into()),
            deprecated: deprecated(&directives),
        });
    }
    enumeration
}

/// The reason of `@deprecated`, or GraphQL's own words.
pub(crate) fn deprecated(directives: &Directives<'_>) -> Option<Arc<str>> {
    let applied = directives.get("deprecated")?;
    Some(applied.text("reason").map_or("No longer supported", |reason| reason.value).into())
}

pub(super) fn refuse(definition: &Definition, report: &mut Report<'_>) {
    let (what, hint) = match definition {
        Definition::OperationDefinition(_) | Definition::FragmentDefinition(_) => {
            ("a query", "queries are sent to the API, they are not part of the schema")
        }
        Definition::DirectiveDefinition(_) => {
            ("an own directive", "all directives are built in; take the definition out")
        }
        Definition::SchemaDefinition(_) => {
            ("`schema { … }`", "write `extend schema @module(name: …, owner: …)`")
        }
        Definition::ScalarTypeDefinition(_) | Definition::ScalarTypeExtension(_) => (
            "an own scalar",
            "the scalars are Boolean, Int, Long, Float, Decimal, String, ID, Date, DateTime, UUID, Bytes, Vector, JSON and Media",
        ),
        Definition::InterfaceTypeDefinition(_) | Definition::InterfaceTypeExtension(_) => {
            ("an interface", "a table is one object type; repeat the fields in each type")
        }
        Definition::UnionTypeDefinition(_) | Definition::UnionTypeExtension(_) => {
            ("a union", "a table is one object type; refer to each type in a field of its own")
        }
        Definition::InputObjectTypeDefinition(_) | Definition::InputObjectTypeExtension(_) => {
            ("an input type", "input types follow from the tables")
        }
        _ => ("`extend type` or `extend enum`", "declare all fields of a type in its own module"),
    };
    let at = definition.name().map_or(definition.location(), apollo_compiler::Name::location);
    report
        .at(Code::UnsupportedDefinition, at, format!("{what} is not offered in a module"))
        .hint(hint);
}
