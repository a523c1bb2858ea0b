//! Methods as fields of `Query`, `Mutation` and `Subscription`: in come descriptors, out come fields with
//! their calls, and the keys by which types are found.

use std::fmt::{self, Write as _};

use indexmap::IndexMap;
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor};

use super::types::{Types, capital, is_id, named, own};
use crate::protobuf::{Descriptors, MACHINERY};

/// Methods that begin with one of these words find what they are given the keys of, alone or after `Batch`.
const FINDING: [&str; 5] = ["Get", "Find", "Lookup", "Read", "Fetch"];

/// Methods that begin with one of these words read, too; all others change something. What may be either
/// (`CheckIn`) is taken for a change, which is not made twice.
const READING: [&str; 7] = ["List", "Search", "Query", "Count", "Describe", "Has", "Is"];

/// Which root a method belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Root {
    Query,
    Mutation,
    Subscription,
}

/// What the methods are.
pub(super) struct Methods {
    pub(super) fields: Vec<RootField>,
    /// How objects are found, by the full names of their messages.
    pub(super) entities: IndexMap<String, Entity>,
    pub(super) notes: Vec<String>,
}

/// A field of a root.
pub(super) struct RootField {
    root: Root,
    name: String,
    text: String,
}

/// How the objects of a type are found.
pub(super) struct Entity {
    key: String,
    method: String,
    request: String,
    result: Option<String>,
    is_batch: bool,
}

impl Entity {
    /// The type of a field of what is found by a key: only the key is sure to be there, as other sources may
    /// have objects that this one lacks.
    pub(super) fn of_found(&self, field: &FieldDescriptor, ty: &str) -> String {
        let loose = ty.strip_suffix('!').unwrap_or(ty);
        if field.json_name() == self.key { format!("{loose}!") } else { loose.to_owned() }
    }
}

/// `@key` and `@fetch`.
impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Entity { key, method, request, result, is_batch } = self;
        let comma = if *is_batch { "," } else { "" };
        write!(f, " @key(fields: \"{key}\")\n  @fetch(method: \"{method}\", ")?;
        write!(f, "body: {{{request}: \"{{{key}{comma}}}\"}}")?;
        if let Some(result) = result {
            write!(f, ", result: \"{result}\"")?;
        }
        f.write_str(")")
    }
}

/// What of an answer is wanted.
struct Wanted {
    ty: String,
    /// The message of the objects, and whether there are many.
    of: Option<(MessageDescriptor, bool)>,
    result: Option<String>,
    next: Option<String>,
}

impl Methods {
    pub(super) fn of(descriptors: &Descriptors, types: &mut Types) -> Self {
        let mut methods =
            Methods { fields: Vec::new(), entities: IndexMap::new(), notes: Vec::new() };
        let is_meant = |name: &str| !MACHINERY.iter().any(|start| name.starts_with(start));
        for service in descriptors.pool().services().filter(|it| is_meant(it.full_name())) {
            for method in service.methods() {
                methods.add(&method, types);
            }
        }
        methods.tell();
        methods
    }

    fn add(&mut self, method: &MethodDescriptor, types: &mut Types) {
        let full = format!("{}/{}", method.parent_service().full_name(), method.name());
        if method.is_client_streaming() {
            self.notes.push(format!("`{full}` takes a stream of messages, and is left out."));
            return;
        }
        let is_read =
            finds(method.name()) || READING.iter().any(|word| begins_with(method.name(), word));
        let root = match (method.is_server_streaming(), is_read) {
            (true, _) => Root::Subscription,
            (_, true) => Root::Query,
            _ => Root::Mutation,
        };
        let wanted = wanted(method, root, types);
        let name = self.name(root, method);
        let arguments = arguments(method, &wanted, types);
        let text = format!("{name}{arguments}: {}\n    {}", wanted.ty, call(&full, &wanted));
        self.fields.push(RootField { root, name, text });
        if root == Root::Query && finds(method.name()) {
            self.entity(method, full, &wanted);
        }
    }

    /// The field's name: the method's, or with the service's where that is taken.
    fn name(&self, root: Root, method: &MethodDescriptor) -> String {
        let name = lower(method.name());
        let is_taken = |name: &str| self.fields.iter().any(|it| it.root == root && it.name == name);
        if !is_taken(&name) {
            return name;
        }
        let longer = lower(method.parent_service().name()) + &capital(method.name());
        let numbered = (2..).map(|number| format!("{longer}{number}"));
        let mut candidates = std::iter::once(longer.clone()).chain(numbered);
        candidates.find(|name| !is_taken(name)).unwrap_or(longer)
    }

    /// A method that takes a key, or many, and gives objects that have it.
    fn entity(&mut self, method: &MethodDescriptor, full: String, wanted: &Wanted) {
        let Some((message, is_many)) = &wanted.of else { return };
        let Some(request) = sole(&method.input()).filter(is_id) else { return };
        let is_batch = request.is_list();
        if *is_many != is_batch || wanted.next.is_some() {
            return;
        }
        let own_name = |field: &FieldDescriptor| field.name() == request.name();
        let fields = || message.fields().filter(|field| is_id(field) && !field.is_list());
        let key = fields().find(own_name).or_else(|| fields().find(|it| it.name() == "id"));
        let Some(key) = key.filter(|_| message.fields().len() > 1) else { return };
        let known = self.entities.get(message.full_name());
        // One call for many is better than one for each.
        if known.is_some_and(|known| known.is_batch || !is_batch) {
            return;
        }
        let (key, request) = (key.json_name().to_owned(), request.json_name().to_owned());
        let result = wanted.result.clone();
        let entity = Entity { key, method: full, request, result, is_batch };
        self.entities.insert(message.full_name().to_owned(), entity);
    }

    fn tell(&mut self) {
        for (message, entity) in &self.entities {
            let Entity { key, method, .. } = entity;
            let note = format!("`{message}` has the key `{key}`, because `{method}` finds it.");
            self.notes.push(note);
        }
        let is_guessed = self.fields.iter().any(|field| field.root == Root::Mutation);
        if is_guessed {
            let words = [&FINDING[..], &READING[..2]].concat().join(", ");
            self.notes.push(format!(
                "Methods that begin with {words} or the like are queries, all others mutations: move what is no change."
            ));
        }
    }

    /// The text of the roots.
    pub(super) fn write(&self, text: &mut String) {
        let roots = [
            (Root::Query, "Query"),
            (Root::Mutation, "Mutation"),
            (Root::Subscription, "Subscription"),
        ];
        for (root, name) in roots {
            let fields: Vec<&RootField> = self.fields.iter().filter(|it| it.root == root).collect();
            if fields.is_empty() {
                continue;
            }
            let _ = writeln!(text, "\ntype {name} {{");
            for field in fields {
                let _ = writeln!(text, "  {}", field.text);
            }
            text.push_str("}\n");
        }
    }
}

fn call(full: &str, wanted: &Wanted) -> String {
    let mut call = format!("@fetch(method: \"{full}\"");
    for (name, value) in [("result", &wanted.result), ("next", &wanted.next)] {
        if let Some(value) = value {
            let _ = write!(call, ", {name}: \"{value}\"");
        }
    }
    call + ")"
}

/// What of a method's answer is wanted: a message of one field is what the field is.
fn wanted(method: &MethodDescriptor, root: Root, types: &mut Types) -> Wanted {
    let output = method.output();
    let mut wanted = Wanted { ty: String::new(), of: None, result: None, next: None };
    let is_own = own(&Kind::Message(output.clone())).is_some();
    if output.fields().len() == 0 {
        wanted.ty = "Boolean".to_owned();
        return wanted;
    }
    let paged = (root == Root::Query).then(|| pages(method)).flatten();
    let field = paged.as_ref().map(|(field, _)| field.clone()).or_else(|| sole(&output));
    let Some(field) = field.filter(|_| is_own && root != Root::Subscription) else {
        wanted.ty = types.message(&output, false);
        wanted.of = is_own.then_some((output, false));
        return wanted;
    };
    let ty = types.taken(&field);
    wanted.ty = ty.strip_suffix('!').unwrap_or(&ty).to_owned();
    wanted.of =
        own(&field.kind()).filter(|_| !field.is_map()).map(|it| (it.clone(), field.is_list()));
    wanted.result = Some(field.json_name().to_owned());
    wanted.next = paged.map(|(_, next)| next);
    wanted
}

/// A list that comes in pages, as many services have it: `page_token` and `next_page_token`.
fn pages(method: &MethodDescriptor) -> Option<(FieldDescriptor, String)> {
    let (input, output) = (method.input(), method.output());
    let asked = input.get_field_by_name("page_token")?;
    let next = output.get_field_by_name("next_page_token")?;
    let mut lists = output.fields().filter(FieldDescriptor::is_list);
    let list = lists.next().filter(|_| lists.next().is_none())?;
    Some((list, format!("{}={}", asked.json_name(), next.json_name())))
}

/// The arguments of a method: the fields of its request.
fn arguments(method: &MethodDescriptor, wanted: &Wanted, types: &mut Types) -> String {
    let input = method.input();
    let is_alone = sole(&input).is_some();
    let turned = wanted.next.as_ref().and_then(|next| next.split_once('=')).map(|(name, _)| name);
    let mut arguments = Vec::new();
    for field in input.fields().filter(|field| Some(field.json_name()) != turned) {
        let (name, wire) = named(&field);
        if !wire.is_empty() {
            types
                .notes
                .push(format!("`{}` has a name that no argument can have.", field.full_name()));
            continue;
        }
        let must = if is_alone && is_id(&field) { "!" } else { "" };
        arguments.push(format!("{name}: {}{must}", types.given(&field)));
    }
    if arguments.is_empty() { String::new() } else { format!("({})", arguments.join(", ")) }
}

/// The one field of a message.
fn sole(message: &MessageDescriptor) -> Option<FieldDescriptor> {
    message.fields().next().filter(|_| message.fields().len() == 1)
}

fn lower(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect()
}

/// Whether a method of this name finds what it is given the keys of.
fn finds(name: &str) -> bool {
    let name = name.strip_prefix("Batch").unwrap_or(name);
    FINDING.iter().any(|word| begins_with(name, word))
}

/// Whether a name begins with a word, and not only with its letters.
fn begins_with(name: &str, word: &str) -> bool {
    name.strip_prefix(word).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_lowercase()))
}
