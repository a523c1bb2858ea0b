//! Random operations over the graphs of `tests/graphql/route`: the answers of many sources are those of
//! one service that has everything, errors included.

use apollo_compiler::ast::Type;
use apollo_compiler::schema::FieldDefinition;
use apollo_compiler::{Name, Schema};
use base::Principal;
use base::rng::Rng;
use mesh::Request;
use serde_json::{Map, Value as Json, json};
use tokio::runtime::Runtime;

use super::graph::{folder, read};
use super::interpreter::is_composite;
use super::service::Federation;
use crate::parts;

/// Draws operations over any schema.
pub(crate) struct Draw<'a> {
    schema: &'a Schema,
    composite: Vec<&'a Name>,
    rng: Rng,
    /// The types of fragments; one may spread those after it.
    fragments: Vec<&'a Name>,
    /// Whether fragments are deferred and lists streamed.
    in_parts: bool,
}

/// Variables with their types, and values that they may be given; `null` here means none.
const VARIABLES: &[(&str, &str, &[&str])] = &[
    ("$yes", "Boolean!", &["true", "false"]),
    ("$no", "Boolean! = false", &["true", "false", "null"]),
    ("$int", "Int", &["2", "3", "null"]),
    ("$text", "String = \"d\"", &["\"t\"", "null"]),
];

impl<'a> Draw<'a> {
    pub(crate) fn new(schema: &'a Schema, rng: Rng) -> Self {
        let types = schema.types.values().filter(|ty| is_composite(ty) && !ty.is_built_in());
        let composite: Vec<&Name> = types.map(|ty| ty.name()).collect();
        let mut draw = Draw { schema, composite, rng, fragments: Vec::new(), in_parts: false };
        draw.fragments = (0..3).map(|_| *draw.one(&draw.composite)).collect();
        draw
    }

    /// One whose fragments are deferred and whose lists are streamed, here and there.
    pub(crate) fn in_parts(self) -> Self {
        Draw { in_parts: true, ..self }
    }

    /// What makes a part come later, perhaps.
    fn later(&self, directive: &str) -> String {
        if !self.in_parts || self.chance(50) {
            return String::new();
        }
        match self.rng.below(4) {
            0 => format!(" @{directive}(if: $yes)"),
            1 => format!(" @{directive}(label: \"l{}\")", self.rng.below(1 << 40)),
            2 if directive == "stream" => " @stream(initialCount: 1)".to_owned(),
            _ => format!(" @{directive}"),
        }
    }

    fn one<'b, T>(&self, of: &'b [T]) -> &'b T {
        &of[self.rng.below(of.len() as u64) as usize]
    }

    fn chance(&self, percent: u64) -> bool {
        self.rng.below(100) < percent
    }

    fn possible(&self, name: &Name) -> Vec<&'a Name> {
        let objects = self.schema.types.values().filter_map(|ty| ty.as_object());
        let objects = objects.map(|object| &object.name);
        objects.filter(|object| *object == name || self.schema.is_subtype(name, object)).collect()
    }

    fn overlaps(&self, one: &Name, other: &Name) -> bool {
        let possible = self.possible(one);
        self.possible(other).iter().any(|name| possible.contains(name))
    }

    fn directives(&self) -> String {
        let mut out = String::new();
        for name in ["skip", "include"] {
            if self.chance(8) {
                let condition = self.one(&["true", "false", "$yes", "$no", "$yes", "$no"]);
                out.push_str(&format!(" @{name}(if: {condition})"));
            }
        }
        out
    }

    fn set(&self, parent: &Name, depth: usize, next: usize) -> String {
        let selections: Vec<String> = (0..=self.rng.below(4))
            .map(|_| match self.rng.below(12) {
                0 | 1 => self.inline(parent, depth, next),
                2 => self.spread(parent, next),
                _ => self.field(parent, depth, next),
            })
            .collect();
        format!("{{ {} }}", selections.join(" "))
    }

    fn inline(&self, parent: &Name, depth: usize, next: usize) -> String {
        let known = self.composite.iter().copied();
        let types: Vec<&Name> = known.filter(|name| self.overlaps(parent, name)).collect();
        if depth == 0 || types.is_empty() {
            return format!("...{} {{ __typename }}", self.directives());
        }
        let name = self.one(&types);
        let directives = self.directives() + &self.later("defer");
        format!("... on {name}{directives} {}", self.set(name, depth - 1, next))
    }

    fn spread(&self, parent: &Name, next: usize) -> String {
        let known = self.fragments.iter().enumerate().skip(next);
        let known: Vec<usize> =
            known.filter(|(_, name)| self.overlaps(parent, name)).map(|(index, _)| index).collect();
        match known.is_empty() {
            true => "__typename".to_owned(),
            false => {
                format!("...F{}{}{}", self.one(&known), self.directives(), self.later("defer"))
            }
        }
    }

    fn field(&self, parent: &Name, depth: usize, next: usize) -> String {
        let ty = &self.schema.types[parent];
        let fields: Vec<&FieldDefinition> = match (ty.as_object(), ty.as_interface()) {
            (Some(object), _) => object.fields.values().map(|it| &***it).collect(),
            (_, Some(face)) => face.fields.values().map(|it| &***it).collect(),
            _ => return self.inline(parent, depth, next),
        };
        if self.chance(8) {
            return "__typename".to_owned();
        }
        let field = self.one(&fields);
        let inner = field.ty.inner_named_type();
        let is_leaf = self.schema.types[inner].is_leaf();
        if depth == 0 && !is_leaf {
            return "__typename".to_owned();
        }
        let set = if is_leaf { String::new() } else { self.set(inner, depth - 1, next) };
        let streamed = if field.ty.is_list() { self.later("stream") } else { String::new() };
        // A list that is streamed here must not stand under the same name where it is not.
        let alias = match streamed.is_empty() {
            true => String::new(),
            false => format!("s{}", self.rng.below(1 << 40)),
        };
        let head = self.head(field, &alias);
        format!("{head}{}{streamed} {set}", self.directives())
    }

    /// Alias, name and arguments; what has other arguments has another alias.
    fn head(&self, field: &FieldDefinition, given: &str) -> String {
        let alias = if given.is_empty() { self.one(&["", "", "", "x", "y"]) } else { given };
        let arguments: Vec<String> = field
            .arguments
            .iter()
            .filter(|argument| argument.is_required() || self.chance(50))
            .map(|argument| format!("{}: {}", argument.name, self.literal(&argument.ty)))
            .collect();
        let name = &field.name;
        if arguments.is_empty() {
            return match alias.is_empty() {
                true => name.to_string(),
                false => format!("{alias}{name}: {name}"),
            };
        }
        let arguments = arguments.join(", ");
        let mark: String = arguments.chars().filter(char::is_ascii_alphanumeric).collect();
        format!("{alias}{name}_{mark}: {name}({arguments})")
    }

    fn literal(&self, ty: &Type) -> String {
        if ty.is_list() {
            return format!("[{}]", self.literal(ty.item_type()));
        }
        let name = ty.inner_named_type();
        if let Some(values) = self.schema.get_enum(name) {
            let values: Vec<&Name> = values.values.keys().collect();
            return self.one(&values).to_string();
        }
        if let Some(input) = self.schema.get_input_object(name) {
            let fields =
                input.fields.values().filter(|field| field.is_required() || self.chance(50));
            let fields = fields.map(|field| format!("{}: {}", field.name, self.literal(&field.ty)));
            return format!("{{{}}}", fields.collect::<Vec<_>>().join(", "));
        }
        let is_open = !ty.is_non_null();
        match name.as_str() {
            "Int" if is_open && self.chance(40) => "$int".to_owned(),
            "String" if is_open && self.chance(40) => "$text".to_owned(),
            "Int" => self.rng.below(4).to_string(),
            "Boolean" => "true".to_owned(),
            _ => format!("\"a{}\"", self.rng.below(3)),
        }
    }

    /// A whole document, and values of its variables.
    pub(crate) fn document(&self) -> (String, Map<String, Json>) {
        let is_mutation = self.schema.types.contains_key("Mutation") && self.chance(15);
        let (word, root) = if is_mutation { ("mutation", "Mutation") } else { ("query", "Query") };
        let root = Name::new(root).expect("a name");
        let mut body = self.set(&root, 5, 0);
        for (index, name) in self.fragments.iter().enumerate() {
            if body.split_whitespace().any(|word| word == format!("...F{index}")) {
                let set = self.set(name, 2, index + 1);
                body.push_str(&format!("\nfragment F{index} on {name} {set}"));
            }
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '$' || c == '_';
        let (mut declared, mut values) = (Vec::new(), Map::new());
        for (name, ty, given) in VARIABLES {
            if body.split(|c: char| !is_name(c)).any(|word| word == *name) {
                declared.push(format!("{name}: {ty}"));
                let value: Json = serde_json::from_str(self.one::<&str>(given)).expect("JSON");
                if !value.is_null() {
                    values.insert(name[1..].to_owned(), value);
                }
            }
        }
        let declared = match declared.is_empty() {
            true => String::new(),
            false => format!("({})", declared.join(", ")),
        };
        (format!("{word}{declared} {body}"), values)
    }
}

/// What the operations of a run had, so that the property is known to say something.
#[derive(Debug, Default)]
struct Seen {
    valid: usize,
    entities: usize,
    deep: usize,
    errors: usize,
    nulled: usize,
    conditions: usize,
}

/// Compares one answer; in words what differs.
fn compare(
    runtime: &Runtime,
    federation: &Federation,
    seed: u64,
    may_break: bool,
    seen: &mut Seen,
) -> Result<(), String> {
    let rng = Rng::seeded(seed);
    let broken = if may_break { [0, 0, 5][rng.below(3) as usize] } else { 0 };
    federation.set_world(rng.next_u64(), broken);
    let (text, variables) = Draw::new(&federation.graph.api, rng).document();
    let Some(wanted) = federation.monolith(&text, &variables) else { return Ok(()) };
    let answer = runtime.block_on(federation.ask(&text, &variables));
    let calls = federation.shared.calls.lock().clone();
    let wrongs = federation.shared.wrongs.lock().clone();
    let context = || {
        let calls: Vec<String> =
            calls.iter().map(|(name, body)| format!("{name} {body}")).collect();
        format!(
            "seed {seed}\n{text}\n{}\n{}\nfound {answer}\nwanted {} {:?}",
            json!(variables),
            calls.join("\n"),
            wanted.data,
            wanted.errors
        )
    };
    if !wrongs.is_empty() {
        return Err(format!("a source is wrongly asked: {wrongs:?} {}", context()));
    }
    if answer.get("data") != Some(&wanted.data) {
        return Err(format!("the data differ: {}", context()));
    }
    let errors = answer["errors"].as_array().cloned().unwrap_or_default();
    if errors.is_empty() != wanted.errors.is_empty() {
        return Err(format!("the errors differ: {errors:?} {}", context()));
    }
    // Every place that is wrong in one service is told of, and each place that is told of is null.
    for (path, _) in &wanted.errors {
        // A source that nulls an object for one of its fields has no place for the field: it is told of
        // at the object, or at the first field of the object that may not be null.
        let steps = path.as_array().expect("a path");
        // Of several errors that take the same parent with them one is enough (specification, 6.4.4).
        let nulled = &steps[..steps_to_null(&wanted.data, steps)];
        let leads = |told: &Json| {
            let Some(told) = told.as_array() else { return false };
            let above = &told[..told.len().saturating_sub(1)];
            told.starts_with(nulled) || steps.starts_with(above)
        };
        let is_told = errors.iter().any(|error| leads(&error["path"]));
        if !is_told {
            return Err(format!("no error is at {path}: {errors:?} {}", context()));
        }
    }
    if let Some(error) = errors.iter().find(|error| !is_null_at(&wanted.data, &error["path"])) {
        return Err(format!("{error} left a value: {}", context()));
    }
    let entities = calls.iter().filter(|(_, body)| body["variables"]["representations"].is_array());
    seen.valid += 1;
    seen.entities += usize::from(entities.clone().count() > 0);
    seen.deep += usize::from(entities.count() > 2);
    seen.errors += usize::from(!errors.is_empty());
    seen.nulled += usize::from(wanted.data.is_null());
    seen.conditions += usize::from(text.contains("if: $"));
    Ok(())
}

/// How many steps of a path lead to the null that stands there, or above it.
fn steps_to_null(data: &Json, steps: &[Json]) -> usize {
    let mut value = data;
    for (taken, step) in steps.iter().enumerate() {
        if value.is_null() {
            return taken;
        }
        value = match step {
            Json::String(name) => &value[name.as_str()],
            step => &value[step.as_u64().unwrap_or_default() as usize],
        };
    }
    steps.len()
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

/// The operations are the same in every run, but for how many there are.
const SEED: u64 = 20_261_130;

/// How many operations are drawn for each graph.
fn cases() -> u32 {
    let set = std::env::var_os("ROUTE_CASES").and_then(|text| text.to_str()?.parse().ok());
    set.unwrap_or(300)
}

#[test]
fn random_operations_are_answered_as_one_service_answers_them() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    let entries = std::fs::read_dir(folder()).expect("graphs");
    let mut folders: Vec<_> = entries.map(|entry| entry.expect("a folder").path()).collect();
    folders.sort();
    assert!(folders.len() >= 5, "there are only {} graphs", folders.len());
    let mut all = Seen::default();
    for folder in folders {
        let federation = Federation::new(read(&folder.join("sources.graphql")));
        let (rng, mut seen) = (Rng::seeded(SEED), Seen::default());
        // A source that holds an interface as an object is asked for fields of all objects, whatever
        // their types, so that a broken one takes more with it than in a monolith.
        let may_break = !folder.ends_with("object");
        for _ in 0..cases() {
            let compared = compare(&runtime, &federation, rng.next_u64(), may_break, &mut seen);
            assert!(compared.is_ok(), "{}: {}", folder.display(), compared.unwrap_err());
        }
        assert!(seen.valid * 2 >= cases() as usize, "{}: {seen:?}", folder.display());
        all.valid += seen.valid;
        all.entities += seen.entities;
        all.deep += seen.deep;
        all.errors += seen.errors;
        all.nulled += seen.nulled;
        all.conditions += seen.conditions;
    }
    let counts = [all.entities, all.deep, all.errors, all.nulled, all.conditions];
    assert!(counts.iter().all(|count| *count >= 5), "{all:?}");
}

#[test]
fn parts_of_many_services_make_the_answer_in_one_piece() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    let entries = std::fs::read_dir(folder()).expect("graphs");
    let mut folders: Vec<_> = entries.map(|entry| entry.expect("a folder").path()).collect();
    folders.sort();
    let mut seen = parts::Seen::default();
    for folder in folders {
        let federation = Federation::new(read(&folder.join("sources.graphql")));
        let rng = Rng::seeded(SEED);
        for _ in 0..cases() {
            let rng = Rng::seeded(rng.next_u64());
            let broken = [0, 0, 5][rng.below(3) as usize];
            federation.set_world(rng.next_u64(), broken);
            let (text, variables) = Draw::new(&federation.graph.api, rng).in_parts().document();
            let request = Request { variables, ..Request::new(text, Principal::local()) };
            let compared = parts::compare(&runtime, &federation.engine, request, &mut seen);
            assert!(compared.is_ok(), "{}: {}", folder.display(), compared.unwrap_err());
        }
    }
    seen.check(100, false);
}
