//! Federated SDLs to a graph: as much of composition as the tests need, and no check.
//!
//! A file has parts, each of which begins with a line `=== NAME`; a part is the SDL of one source.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use apollo_compiler::ast::FieldDefinition;
use apollo_compiler::schema::{DirectiveList, ExtendedType};
use apollo_compiler::validation::Valid;
use apollo_compiler::{Name, Node, Schema};
use base::Team;
use indexmap::IndexMap;
use schema::graph::{
    EntityKey, FieldInSource, FieldSet, FieldSetPart, Graph, GraphSource, GraphType, SourceId,
    SourceKind, TypeInSource,
};

const DIRECTIVES: &str = "
directive @key(fields: String!, resolvable: Boolean = true) repeatable on OBJECT | INTERFACE
directive @requires(fields: String!) on FIELD_DEFINITION
directive @provides(fields: String!) on FIELD_DEFINITION
directive @external on FIELD_DEFINITION
directive @shareable on FIELD_DEFINITION | OBJECT
directive @override(from: String!) on FIELD_DEFINITION
directive @interfaceObject on OBJECT
";

/// Where the graphs and their cases are.
pub(super) fn folder() -> PathBuf {
    crate::fixture::folder().join("route")
}

/// The graph of a file.
pub(super) fn read(path: &Path) -> Arc<Graph> {
    compose(&std::fs::read_to_string(path).expect("the SDL of a graph"))
}

/// The graph of the parts of a text.
pub(crate) fn compose(text: &str) -> Arc<Graph> {
    let parts = text.split("=== ").skip(1);
    let sources: Vec<GraphSource> = parts
        .map(|part| {
            let (name, sdl) = part.split_once('\n').expect("a line that begins a part");
            let sdl = format!("{DIRECTIVES}{sdl}");
            let schema = Schema::parse_and_validate(sdl, name).expect("a valid source");
            GraphSource {
                name: name.into(),
                kind: SourceKind::GraphQl,
                url: format!("http://{name}.test").into(),
                owner: Team::new(format!("team-{name}")),
                schema: Arc::new(schema),
            }
        })
        .collect();
    let mut types: IndexMap<Name, GraphType> = IndexMap::new();
    for (index, source) in sources.iter().enumerate() {
        for ty in source.schema.types.values() {
            declare(SourceId(index as u32), ty, &mut types);
        }
    }
    take_over(&sources, &mut types);
    let api = api(&sources);
    Arc::new(Graph { api, sources, types, derived: IndexMap::default() })
}

fn fields(ty: &ExtendedType) -> Vec<&FieldDefinition> {
    match ty {
        ExtendedType::Object(object) => object.fields.values().map(|it| &***it).collect(),
        ExtendedType::Interface(face) => face.fields.values().map(|it| &***it).collect(),
        _ => Vec::new(),
    }
}

fn text(directive: &Node<apollo_compiler::ast::Directive>, argument: &str) -> String {
    let value = directive.specified_argument_by_name(argument);
    value.and_then(|value| value.as_str()).expect("text").to_owned()
}

fn declare(source: SourceId, ty: &ExtendedType, types: &mut IndexMap<Name, GraphType>) {
    if !(ty.is_object() || ty.is_interface()) || ty.is_built_in() {
        return;
    }
    let known = types.entry(ty.name().clone()).or_default();
    let directives: &DirectiveList = ty.directives();
    let keys: Vec<EntityKey> = directives
        .get_all("key")
        .map(|key| EntityKey {
            fields: field_set(&text(key, "fields")),
            resolvable: key
                .specified_argument_by_name("resolvable")
                .and_then(|value| value.to_bool())
                .unwrap_or(true),
        })
        .collect();
    let is_key = |name: &Name| {
        let parts = keys.iter().flat_map(|key| &key.fields.0);
        parts
            .clone()
            .any(|part| matches!(part, FieldSetPart::Field { name: own, .. } if own == name))
    };
    for field in fields(ty) {
        let set = |name: &str| Some(field_set(&text(field.directives.get(name)?, "fields")));
        known.fields.entry(field.name.clone()).or_default().push(FieldInSource {
            source,
            ty: field.ty.clone(),
            external: field.directives.has("external") && !is_key(&field.name),
            overridden: false,
            requires: set("requires"),
            provides: set("provides"),
        });
    }
    let interface_object = directives.has("interfaceObject");
    known.sources.insert(source, TypeInSource { keys, interface_object });
}

/// `@override` takes fields away from other sources.
fn take_over(sources: &[GraphSource], types: &mut IndexMap<Name, GraphType>) {
    for ty in sources.iter().flat_map(|source| source.schema.types.values()) {
        for field in fields(ty) {
            let Some(directive) = field.directives.get("override") else { continue };
            let from = text(directive, "from");
            let from = sources.iter().position(|source| *source.name == *from).expect("a source");
            for offered in types[ty.name()].fields[&field.name].iter_mut() {
                offered.overridden |= offered.source.0 as usize == from;
            }
        }
    }
}

/// What clients see: all types with all fields, without directives.
fn api(sources: &[GraphSource]) -> Valid<Schema> {
    let mut types: IndexMap<&Name, Vec<&ExtendedType>> = IndexMap::new();
    for ty in sources.iter().flat_map(|source| source.schema.types.values()) {
        if !ty.is_built_in() {
            types.entry(ty.name()).or_default().push(ty);
        }
    }
    let faces: Vec<(&Name, &ExtendedType)> = types
        .iter()
        .flat_map(|(name, all)| all.iter().map(move |ty| (*name, *ty)))
        .filter(|(_, ty)| ty.directives().has("interfaceObject"))
        .collect();
    let mut out = String::new();
    for (name, all) in &types {
        let is_face = faces.iter().any(|(face, _)| face == name);
        out.push_str(&definition(name, all, is_face, &faces));
    }
    Schema::parse_and_validate(out, "api.graphql").expect("a valid API")
}

fn definition(
    name: &Name,
    all: &[&ExtendedType],
    is_face: bool,
    faces: &[(&Name, &ExtendedType)],
) -> String {
    let mut shown: IndexMap<String, String> = IndexMap::new();
    let mut implemented: Vec<String> = Vec::new();
    let mut add = |ty: &ExtendedType| {
        for field in fields(ty) {
            shown.entry(field.name.to_string()).or_insert_with(|| print(field));
        }
    };
    all.iter().for_each(|ty| add(ty));
    for ty in all {
        let of = match ty {
            ExtendedType::Object(object) => &object.implements_interfaces,
            ExtendedType::Interface(face) => &face.implements_interfaces,
            _ => continue,
        };
        for face in of.iter().map(|face| &face.name) {
            if !implemented.iter().any(|known| *known == **face) {
                implemented.push(face.to_string());
            }
            faces.iter().filter(|(own, _)| *own == face).for_each(|(_, ty)| add(ty));
        }
    }
    let implements = match implemented.is_empty() {
        true => String::new(),
        false => format!(" implements {}", implemented.join(" & ")),
    };
    let shown: Vec<String> = shown.into_values().collect();
    let shown = shown.join(" ");
    let values = |values: Vec<String>| {
        let mut values = values;
        values.sort();
        values.dedup();
        values
    };
    match all[0] {
        _ if is_face => format!("interface {name}{implements} {{ {shown} }}\n"),
        ExtendedType::Object(_) => format!("type {name}{implements} {{ {shown} }}\n"),
        ExtendedType::Interface(_) => format!("interface {name}{implements} {{ {shown} }}\n"),
        ExtendedType::Union(_) => {
            let members = all.iter().filter_map(|ty| ty.as_union()).flat_map(|it| &it.members);
            let members = values(members.map(|member| member.name.to_string()).collect());
            format!("union {name} = {}\n", members.join(" | "))
        }
        ExtendedType::Enum(_) => {
            let all = all.iter().filter_map(|ty| ty.as_enum()).flat_map(|it| it.values.keys());
            format!(
                "enum {name} {{ {} }}\n",
                values(all.map(|it| it.to_string()).collect()).join(" ")
            )
        }
        ExtendedType::InputObject(input) => {
            let all = input.fields.values().map(|field| format!("{}: {}", field.name, field.ty));
            format!("input {name} {{ {} }}\n", all.collect::<Vec<_>>().join(" "))
        }
        ExtendedType::Scalar(_) => format!("scalar {name}\n"),
    }
}

fn print(field: &FieldDefinition) -> String {
    let arguments: Vec<String> = field
        .arguments
        .iter()
        .map(|argument| {
            let default = argument.default_value.as_ref();
            let default = default.map_or_else(String::new, |value| format!(" = {value}"));
            format!("{}: {}{default}", argument.name, argument.ty)
        })
        .collect();
    match arguments.is_empty() {
        true => format!("{}: {}", field.name, field.ty),
        false => format!("{}({}): {}", field.name, arguments.join(" "), field.ty),
    }
}

/// Reads a set of fields.
pub(super) fn field_set(text: &str) -> FieldSet {
    let spaced = text.replace('{', " { ").replace('}', " } ").replace("...", " ... ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut words = words.as_slice();
    parts(&mut words)
}

fn parts(words: &mut &[&str]) -> FieldSet {
    let mut found = Vec::new();
    while let Some((word, rest)) = words.split_first() {
        *words = rest;
        match *word {
            "}" => break,
            "..." => {
                let type_name = Name::new(words[1]).expect("a name");
                *words = &words[3..];
                found.push(FieldSetPart::On { type_name, inner: parts(words) });
            }
            name => {
                let mut inner = FieldSet::default();
                if words.first() == Some(&"{") {
                    *words = &words[1..];
                    inner = parts(words);
                }
                found.push(FieldSetPart::Field { name: Name::new(name).expect("a name"), inner });
            }
        }
    }
    FieldSet(found)
}

#[test]
fn sets_of_fields_are_read() {
    let set = field_set("a b{c ... on D { e }} f");
    assert_eq!(set.0.len(), 3);
    let FieldSetPart::Field { inner, .. } = &set.0[1] else { panic!("{set:?}") };
    assert_eq!(
        inner.0[1],
        FieldSetPart::On { type_name: apollo_compiler::name!("D"), inner: field_set("e") }
    );
}
