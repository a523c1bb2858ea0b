//! Random documents over random data: our answers are those of a naive interpreter.
//!
//! In: a seed. Out: a valid document with fragments, conditions, aliases, arguments and variables,
//! values of root fields with nulls and misfits, and a comparison. Not here: the interpreter
//! (`reference`).

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use apollo_compiler::Schema;
use apollo_compiler::ast::{Document, Type};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::validation::Valid;
use async_trait::async_trait;
use base::rng::Rng;
use base::{Principal, Result};
use mesh::{Engine, Limits, Request, Root, RootResolver, Settings};
use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};
use tokio::runtime::Runtime;

use crate::{parts, reference};

/// A field of one name has one shape everywhere, so that any two of them can be merged.
const SDL: &str = "
type Query {
  node(id: Int = 1, in: In): Node  nodes(first: Int! = 2): [Node!]  named: [Named]!
  any(color: Color = RED, ins: [In!]): Any  anys: [[Any!]]  a(ids: [Int]): A  must: B!  text(of: String): String
}
interface Named { name: String }
interface Node implements Named { name: String  id: ID!  peer: Node  part(x: Int): Part }
type A implements Node & Named { name: String  id: ID!  peer: A  part(x: Int): Part  number: Int  anys: [[Any!]] }
type B implements Node & Named { name: String  id: ID!  peer: Node  part(x: Int): Part  color: Color!  must: B! }
type C implements Named { name: String  colors: [Color!]  other: Any }
type Part { of: Any  must: B!  flag: Boolean  number: Int }
union Any = A | C | Part
enum Color { RED GREEN }
input In { x: Int = 3  color: Color  in: In  list: [Int!] = [1] }
";

/// Arguments of fields that have some, each with an alias that no other arguments have.
const ARGUMENTS: &[(&str, &[&str])] = &[
    (
        "node",
        &["id: 2", "id: $int", "in: {x: $int, in: {}}", "id: null, in: {color: GREEN, list: 7}"],
    ),
    ("nodes", &["first: 1", "first: $number", "first: $int0"]),
    ("any", &["color: GREEN", "color: null", "ins: {x: 1}", "ins: [{}, {x: null}]"]),
    ("a", &["ids: [1, $int, null]", "ids: 1"]),
    ("text", &["of: \"x\"", "of: $text"]),
    ("part", &["x: 1", "x: $int"]),
];

/// Variables with their types, and values that they may be given; `null` here means none.
const VARIABLES: &[(&str, &str, &[&str])] = &[
    ("$yes", "Boolean!", &["true", "false"]),
    ("$no", "Boolean! = false", &["true", "false", "null"]),
    ("$maybe", "Boolean = true", &["true", "false", "null"]),
    ("$int", "Int", &["4", "5", "null"]),
    ("$int0", "Int = 0", &["1", "null"]),
    ("$number", "Int! = 2", &["3", "null"]),
    ("$text", "String = \"d\"", &["\"t\"", "null"]),
];

/// Draws documents of the schema.
struct Draw<'a> {
    schema: &'a Valid<Schema>,
    rng: Rng,
    /// The types of fragments; one may spread those after it.
    fragments: Vec<&'static str>,
    /// Whether fragments are deferred and lists streamed.
    in_parts: bool,
}

const COMPOSITE: [&str; 7] = ["Named", "Node", "A", "B", "C", "Part", "Any"];

impl Draw<'_> {
    fn one<'b, T: ?Sized>(&self, of: &'b [&'b T]) -> &'b T {
        of[self.rng.below(of.len() as u64) as usize]
    }

    fn chance(&self, percent: u64) -> bool {
        self.rng.below(100) < percent
    }

    /// The object types that a type may stand for.
    fn possible(&self, name: &str) -> BTreeSet<&str> {
        match &self.schema.types[name] {
            ExtendedType::Union(union) => union.members.iter().map(|it| it.name.as_str()).collect(),
            ExtendedType::Interface(face) => ["A", "B", "C"]
                .into_iter()
                .filter(|object| self.schema.is_subtype(&face.name, object))
                .collect(),
            other => BTreeSet::from([other.name().as_str()]),
        }
    }

    fn overlaps(&self, one: &str, other: &str) -> bool {
        !self.possible(one).is_disjoint(&self.possible(other))
    }

    fn condition(&self) -> &'static str {
        self.one(&["true", "false", "$yes", "$no", "$maybe", "$yes", "$no"])
    }

    fn directives(&self) -> String {
        let mut out = String::new();
        for name in ["skip", "include"] {
            if self.chance(20) {
                out.push_str(&format!(" @{name}(if: {})", self.condition()));
            }
        }
        out
    }

    /// What makes a fragment come later, perhaps.
    fn later(&self, directive: &str) -> String {
        if !self.in_parts || self.chance(50) {
            return String::new();
        }
        let mut given = Vec::new();
        if self.chance(30) {
            given.push(format!("if: {}", self.one(&["true", "false", "$yes", "$no"])));
        }
        if self.chance(50) {
            given.push(format!("label: \"l{}\"", self.rng.below(1 << 40)));
        }
        if directive == "stream" && self.chance(60) {
            given.push(format!("initialCount: {}", self.one(&["0", "1", "2", "$number"])));
        }
        match given.is_empty() {
            true => format!(" @{directive}"),
            false => format!(" @{directive}({})", given.join(", ")),
        }
    }

    /// A selection set on a type; fragments from `next` on may be spread.
    fn set(&self, parent: &str, depth: usize, next: usize) -> String {
        let selections: Vec<String> = (0..=self.rng.below(4))
            .map(|_| match self.rng.below(10) {
                0 | 1 => self.inline(parent, depth, next),
                2 | 3 => self.spread(parent, next),
                _ => self.field(parent, depth, next),
            })
            .collect();
        format!("{{ {} }}", selections.join(" "))
    }

    fn inline(&self, parent: &str, depth: usize, next: usize) -> String {
        let types: Vec<&str> =
            COMPOSITE.into_iter().filter(|name| self.overlaps(parent, name)).collect();
        if depth == 0 {
            return format!("...{} {{ __typename }}", self.directives());
        }
        let directives = self.directives() + &self.later("defer");
        if types.is_empty() || self.chance(20) {
            return format!("...{directives} {}", self.set(parent, depth - 1, next));
        }
        let name = self.one(&types);
        format!("... on {name}{directives} {}", self.set(name, depth - 1, next))
    }

    fn spread(&self, parent: &str, next: usize) -> String {
        let known = self.fragments.iter().enumerate().skip(next);
        let known: Vec<usize> =
            known.filter(|(_, name)| self.overlaps(parent, name)).map(|(index, _)| index).collect();
        match known.is_empty() {
            true => "__typename".to_owned(),
            false => {
                let index = known[self.rng.below(known.len() as u64) as usize];
                format!("...F{index}{}{}", self.directives(), self.later("defer"))
            }
        }
    }

    fn field(&self, parent: &str, depth: usize, next: usize) -> String {
        let fields: Vec<(&str, &Type)> = match &self.schema.types[parent] {
            ExtendedType::Object(object) => {
                object.fields.iter().map(|(name, field)| (name.as_str(), &field.ty)).collect()
            }
            ExtendedType::Interface(face) => {
                face.fields.iter().map(|(name, field)| (name.as_str(), &field.ty)).collect()
            }
            _ => Vec::new(),
        };
        if fields.is_empty() || self.chance(10) {
            return format!("{}__typename{}", self.one(&["", "t: "]), self.directives());
        }
        let (name, ty) = fields[self.rng.below(fields.len() as u64) as usize];
        let inner = ty.inner_named_type();
        let is_leaf = self.schema.types[inner].is_leaf();
        if depth == 0 && !is_leaf {
            return "__typename".to_owned();
        }
        let set = if is_leaf { String::new() } else { self.set(inner, depth - 1, next) };
        let streamed = if ty.is_list() { self.later("stream") } else { String::new() };
        // A list that is streamed here must not stand under the same name where it is not.
        let alias = match streamed.is_empty() {
            true => String::new(),
            false => format!("s{}", self.rng.below(1 << 40)),
        };
        format!(
            "{alias}{}{}{streamed} {set}",
            self.head(name, !streamed.is_empty()),
            self.directives()
        )
    }

    /// Alias, name and arguments.
    fn head(&self, name: &str, needs_alias: bool) -> String {
        let alias = self.one(if needs_alias { &["x", "y"] } else { &["", "", "x", "y"] });
        let known = ARGUMENTS.iter().find(|(field, _)| *field == name);
        match known.filter(|_| self.chance(60)) {
            Some((_, all)) => {
                let index = self.rng.below(all.len() as u64) as usize;
                format!("{alias}{name}{index}: {name}({})", all[index])
            }
            None if alias.is_empty() => name.to_owned(),
            None => format!("{alias}{name}: {name}"),
        }
    }

    /// A whole document, and values of its variables.
    fn document(&self) -> (String, Map<String, Json>) {
        let mut body = self.set("Query", 5, 0);
        // A fragment is written down where one before it or the operation spreads it.
        for (index, name) in self.fragments.iter().enumerate() {
            if body.split_whitespace().any(|word| word == format!("...F{index}")) {
                let set = self.set(name, 2, index + 1);
                body.push_str(&format!("\nfragment F{index} on {name} {set}"));
            }
        }
        let mut declared = Vec::new();
        let mut values = Map::new();
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '$' || c == '_';
        for (name, ty, given) in VARIABLES {
            if body.split(|c: char| !is_name(c)).any(|word| word == *name) {
                declared.push(format!("{name}: {ty}"));
                let value: Json = serde_json::from_str(self.one(given)).expect("JSON");
                if !value.is_null() {
                    values.insert(name[1..].to_owned(), value);
                }
            }
        }
        let declared = match declared.is_empty() {
            true => String::new(),
            false => format!("query({}) ", declared.join(", ")),
        };
        (format!("{declared}{body}"), values)
    }
}

/// Values of root fields, the same for the same arguments.
struct Data {
    schema: Valid<Schema>,
    /// The seed of the document that is asked now.
    seed: AtomicU64,
}

impl Data {
    fn root(&self, field: &str, arguments: &Json) -> Json {
        let mut hasher = DefaultHasher::new();
        (self.seed.load(Ordering::SeqCst), field, canonical(arguments)).hash(&mut hasher);
        let rng = Rng::seeded(hasher.finish());
        let ty = &self.schema.type_field("Query", field).expect("a root field").ty;
        self.value(&rng, ty, 5)
    }

    /// A value of a type; here and there one that it forbids.
    fn value(&self, rng: &Rng, ty: &Type, depth: u64) -> Json {
        let odd = rng.below(100);
        if odd < 6 || (odd < 20 && !ty.is_non_null()) {
            return Json::Null;
        }
        if odd == 99 {
            return json!({"__typename": "Nothing"});
        }
        if ty.is_list() {
            let items = (0..rng.below(3)).map(|_| self.value(rng, ty.item_type(), depth));
            return Json::Array(items.collect());
        }
        let name = ty.inner_named_type().as_str();
        match (name, &self.schema.types[name]) {
            (_, ExtendedType::Enum(_)) => json!(["RED", "GREEN", "BLUE"][rng.below(3) as usize]),
            ("Int", _) => json!(rng.below(100)),
            ("Boolean", _) => json!(rng.below(2) == 0),
            (_, ExtendedType::Scalar(_)) => json!(format!("s{}\n\"é", rng.below(100))),
            _ if depth == 0 => Json::Null,
            (_, ExtendedType::Object(_)) => self.object(rng, name, depth - 1),
            ("Any", _) => self.object(rng, ["A", "C", "Part"][rng.below(3) as usize], depth - 1),
            ("Node", _) => self.object(rng, ["A", "B"][rng.below(2) as usize], depth - 1),
            _ => self.object(rng, ["A", "B", "C"][rng.below(3) as usize], depth - 1),
        }
    }

    fn object(&self, rng: &Rng, name: &str, depth: u64) -> Json {
        let mut object = Map::new();
        object.insert("__typename".to_owned(), json!(name));
        for (field, definition) in &self.schema.get_object(name).expect("an object type").fields {
            object.insert(field.to_string(), self.value(rng, &definition.ty, depth));
        }
        Json::Object(object)
    }
}

/// Arguments as text, whatever the order of their names.
fn canonical(json: &Json) -> String {
    match json {
        Json::Object(object) => {
            let sorted: BTreeMap<_, _> =
                object.iter().map(|(name, value)| (name, canonical(value))).collect();
            format!("{sorted:?}")
        }
        Json::Array(items) => format!("{:?}", items.iter().map(canonical).collect::<Vec<_>>()),
        other => other.to_string(),
    }
}

#[async_trait]
impl RootResolver for Data {
    async fn resolve(&self, _: Root, field: &str, arguments: Json, _: &Principal) -> Result<Json> {
        Ok(self.root(field, &arguments))
    }
}

/// Whether a path leads to a null of the data, or below one.
fn is_null_at(data: &Json, path: &Json) -> bool {
    let mut value = data;
    for part in path.as_array().into_iter().flatten() {
        if value.is_null() {
            return true;
        }
        value = match part {
            Json::String(key) => &value[key.as_str()],
            index => &value[index.as_u64().expect("an index") as usize],
        };
    }
    value.is_null()
}

/// What the documents of a run had, so that the property is known to say something.
#[derive(Default)]
struct Seen {
    errors: usize,
    fragments: usize,
    conditions: usize,
    nulled: usize,
}

/// What all documents are asked of.
struct Subject {
    runtime: Runtime,
    data: Arc<Data>,
    engine: Arc<Engine>,
}

impl Subject {
    fn new(incremental: bool) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let schema = Schema::parse_and_validate(SDL, "schema.graphql").expect("a schema");
        let data = Arc::new(Data { schema, seed: AtomicU64::new(0) });
        let (fields, selections) = (1_000_000, 10_000_000);
        // How busy the machine is must not decide.
        let time = Duration::from_secs(3_600);
        let (aliases, errors) = (10_000, 10_000);
        let limits = Limits { fields, selections, aliases, errors, time, ..Limits::default() };
        let settings = Settings { limits, incremental, ..Settings::default() };
        let engine = Engine::plain_with_settings(SDL, data.clone(), settings).expect("a schema");
        Subject { runtime: runtime.expect("a runtime"), data, engine: Arc::new(engine) }
    }
}

/// Compares one answer; in words what differs.
fn compare(subject: &Subject, seed: u64, seen: &mut Seen) -> std::result::Result<(), String> {
    let Subject { runtime, data, engine } = subject;
    data.seed.store(seed, Ordering::SeqCst);
    let rng = Rng::seeded(seed);
    let fragments = (0..4).map(|_| COMPOSITE[rng.below(7) as usize]).collect();
    let (text, variables) =
        Draw { schema: &data.schema, rng, fragments, in_parts: false }.document();
    let request =
        Request { variables: variables.clone(), ..Request::new(&text, Principal::local()) };
    let answer = runtime.block_on(engine.execute(request)).json().expect("JSON");
    let document = Document::parse(&text, "query.graphql").expect("a document");
    let root = |field: &str, arguments: &Json| data.root(field, arguments);
    let wanted = reference::execute(&data.schema, &document, &variables, &root);
    let context =
        || format!("seed {seed}\n{text}\n{variables:?}\nfound {answer}\nwanted {}", wanted.data);
    let errors = answer["errors"].as_array().cloned().unwrap_or_default();
    if answer.get("data") != Some(&wanted.data) {
        return Err(format!("the data differ: {}", context()));
    }
    if errors.is_empty() != wanted.errors.is_empty() {
        return Err(format!("the errors differ: {:?} {}", wanted.errors, context()));
    }
    // Where no variable decides what is there, the order of fields is the specification's too.
    let is_fixed = !text.contains("if: $");
    let paths: Vec<Json> = errors.iter().map(|error| error["path"].clone()).collect();
    let text_of = |json: &Json| serde_json::to_string(json).expect("JSON");
    let same_order = text_of(&answer["data"]) == text_of(&wanted.data) && paths == wanted.errors;
    if is_fixed && !same_order {
        return Err(format!("the order differs: {:?} {}", wanted.errors, context()));
    }
    if let Some(path) = paths.iter().find(|path| !is_null_at(&wanted.data, path)) {
        return Err(format!("an error at {path} left a value: {}", context()));
    }
    seen.errors += usize::from(!errors.is_empty());
    seen.fragments += usize::from(text.contains("fragment"));
    seen.conditions += usize::from(!is_fixed);
    seen.nulled += usize::from(wanted.data.is_null());
    Ok(())
}

#[test]
fn random_documents_are_answered_as_the_specification_says() {
    let subject = Subject::new(false);
    let seen = std::cell::RefCell::new(Seen::default());
    proptest!(ProptestConfig::with_cases(600), |(seed in any::<u64>())| {
        let compared = compare(&subject, seed, &mut seen.borrow_mut());
        prop_assert!(compared.is_ok(), "{}", compared.unwrap_err());
    });
    let seen = seen.into_inner();
    for (what, count) in [
        ("errors", seen.errors),
        ("fragments", seen.fragments),
        ("conditions", seen.conditions),
        ("answers that are null", seen.nulled),
    ] {
        assert!(count >= 20, "only {count} documents with {what}");
    }
}

/// A request for an answer in parts that is drawn from a seed.
fn drawn(subject: &Subject, seed: u64) -> Request {
    subject.data.seed.store(seed, Ordering::SeqCst);
    let rng = Rng::seeded(seed);
    let fragments = (0..4).map(|_| COMPOSITE[rng.below(7) as usize]).collect();
    let draw = Draw { schema: &subject.data.schema, rng, fragments, in_parts: true };
    let (text, variables) = draw.document();
    Request { variables, ..Request::new(text, Principal::local()) }
}

#[test]
fn parts_of_random_documents_make_the_answer_in_one_piece() {
    let subject = Subject::new(true);
    let seen = std::cell::RefCell::new(parts::Seen::default());
    proptest!(ProptestConfig::with_cases(600), |(seed in any::<u64>())| {
        let asked = drawn(&subject, seed);
        let compared = parts::compare(&subject.runtime, &subject.engine, asked, &mut seen.borrow_mut());
        prop_assert!(compared.is_ok(), "seed {seed} {}", compared.unwrap_err());
    });
    seen.into_inner().check(100, false);
}
