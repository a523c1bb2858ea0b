//! Our parts are those of graphql-js, the reference of incremental delivery: over plain SDL the same is
//! promised first, under the same paths and labels, and what a client has in the end is the same. Needs `node`
//! and what `npm ci` puts into `tests/incremental`; without them the suite says that it was skipped.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use apollo_compiler::Schema;
use apollo_compiler::ast::Type;
use apollo_compiler::schema::ExtendedType;
use async_trait::async_trait;
use base::rng::Rng;
use base::{Principal, Result};
use mesh::{Engine, Request, Root, RootResolver, Settings};
use serde_json::{Map, Value as Json, json};

use super::{Merged, merge, payloads};
use crate::route::random::Draw;

const SDL: &str = "
type Query { hero: Node  heroes: [Node!]  grid: [[Item]]  must: Item!  item: Item  any: [Any!] }
interface Node { id: ID!  name: String  peer: Node  items: [Item!]! }
type A implements Node { id: ID!  name: String  peer: Node  items: [Item!]!  number: Int }
type B implements Node { id: ID!  name: String  peer: Node  items: [Item!]!  must: Item! }
type Item { title: String!  number: Int  of: Any  list: [Int!]  more: [Item!] }
union Any = A | B | Item
";

/// A value of a type; here and there one that it forbids.
fn value(schema: &Schema, rng: &Rng, ty: &Type, depth: u64) -> Json {
    let odd = rng.below(100);
    if odd < 3 || (odd < 12 && !ty.is_non_null()) {
        return Json::Null;
    }
    if ty.is_list() {
        let items = (0..rng.below(4)).map(|_| value(schema, rng, ty.item_type(), depth));
        return items.collect();
    }
    let name = ty.inner_named_type();
    let object = match (name.as_str(), &schema.types[name]) {
        ("Int", _) => return json!(rng.below(100)),
        (_, ExtendedType::Scalar(_)) => return json!(format!("s{}", rng.below(100))),
        _ if depth == 0 => return Json::Null,
        (_, ExtendedType::Object(_)) => name.as_str(),
        ("Any", _) => ["A", "B", "Item"][rng.below(3) as usize],
        _ => ["A", "B"][rng.below(2) as usize],
    };
    let mut out = Map::new();
    out.insert("__typename".to_owned(), json!(object));
    for (field, definition) in &schema.get_object(object).expect("an object type").fields {
        out.insert(field.to_string(), value(schema, rng, &definition.ty, depth - 1));
    }
    Json::Object(out)
}

#[derive(Default)]
struct Data(parking_lot::Mutex<Json>);

#[async_trait]
impl RootResolver for Data {
    async fn resolve(&self, _: Root, field: &str, _: Json, _: &Principal) -> Result<Json> {
        Ok(self.0.lock()[field].clone())
    }
}

fn installed() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/incremental");
    let is_there = folder.join("node_modules/graphql/package.json").is_file();
    if is_there && Command::new("node").arg("--version").output().is_ok() {
        return Some(folder);
    }
    // Past the capture of the test harness, which would hide it from a passing test.
    let notice = "skipped: tests/incremental is not installed; `cargo xtask setup` installs it\n";
    drop(std::io::stderr().write_all(notice.as_bytes()));
    None
}

/// What graphql-js answers to each case: its payloads, or null for a document that it refuses.
fn theirs(folder: &Path, cases: &[Json]) -> Vec<Json> {
    let mut child = Command::new("node")
        .arg("execute.mjs")
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node");
    let text = serde_json::to_vec(&json!({"sdl": SDL, "cases": cases})).expect("JSON");
    let mut stdin = child.stdin.take().expect("an input");
    let writer = std::thread::spawn(move || stdin.write_all(&text));
    let output = child.wait_with_output().expect("an output");
    writer.join().expect("a thread").expect("everything is written");
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// How the two differ; nothing when they do not.
fn difference(ours: &[Json], theirs: &[Json]) -> Option<String> {
    let (found, wanted) = match (merge(ours), merge(theirs)) {
        (Ok(found), Ok(wanted)) => (found, wanted),
        (Err(error), _) => return Some(error),
        (_, Err(error)) => return Some(format!("theirs: {error}")),
    };
    // The reference promises the rest of a list also where there is none, and completes it with nothing.
    // What is promised later, when several parts are there at once, depends on which is taken first.
    let promised = |merged: &Merged| {
        let all = merged.promised.values().filter(|it| it.is_first && it.is_something);
        let mut all: Vec<(String, String)> =
            all.map(|it| (it.path.clone(), it.label.clone())).collect();
        all.sort();
        all.dedup();
        all
    };
    let (ours, theirs) = (promised(&found), promised(&wanted));
    if ours != theirs {
        return Some(format!("promised {ours:?}\nand not {theirs:?}"));
    }
    if (found.is_broken, &found.data) != (wanted.is_broken, &wanted.data) {
        return Some(format!("merged {}\nand not {}", found.data, wanted.data));
    }
    None
}

#[tokio::test]
async fn random_documents_have_the_parts_that_the_reference_gives_them() {
    let Some(folder) = installed() else { return };
    let schema = Schema::parse_and_validate(SDL, "schema.graphql").expect("a schema");
    let rng = Rng::seeded(20_261_130);
    let cases: Vec<Json> = (0..500)
        .map(|_| {
            let seed = rng.next_u64();
            let (text, variables) = Draw::new(&schema, Rng::seeded(seed)).in_parts().document();
            let own = Rng::seeded(seed ^ 1);
            let fields = &schema.get_object("Query").expect("a root").fields;
            let data = fields
                .iter()
                .map(|(name, field)| (name.to_string(), value(&schema, &own, &field.ty, 4)));
            json!({"text": text, "variables": variables, "data": data.collect::<Map<_, _>>()})
        })
        .collect();
    let answers = theirs(&folder, &cases);
    let settings = Settings { incremental: true, ..Settings::default() };
    let data = Arc::new(Data::default());
    let engine = Engine::plain_with_settings(SDL, data.clone(), settings).expect("a schema");
    let engine = Arc::new(engine);
    let (mut wrong, mut in_parts, mut many) = (Vec::new(), 0, 0);
    for (case, theirs) in cases.iter().zip(answers) {
        let Some(theirs) = theirs.as_array() else { continue };
        *data.0.lock() = case["data"].clone();
        let variables = case["variables"].as_object().cloned().unwrap_or_default();
        let text = case["text"].as_str().expect("a document");
        let request = Request { variables, ..Request::new(text, Principal::local()) };
        let ours = payloads(&engine, request).await;
        if ours[0].get("data").is_none() {
            continue;
        }
        in_parts += usize::from(theirs.len() > 1);
        many += usize::from(theirs.len() > 2);
        if let Some(difference) = difference(&ours, theirs) {
            let show =
                |all: &[Json]| all.iter().map(Json::to_string).collect::<Vec<_>>().join("\n");
            let (ours, theirs) = (show(&ours), show(theirs));
            let head = format!("{difference}\n{text}\n{}", case["variables"]);
            wrong.push(format!("{head}\n--- ours\n{ours}\n--- theirs\n{theirs}"));
        }
    }
    let count = wrong.len();
    assert!(wrong.is_empty(), "{count} differ; the shortest:\n{}", shortest(wrong));
    assert!(in_parts > 80 && many > 8, "{in_parts} in parts, {many} in many");
}

fn shortest(mut texts: Vec<String>) -> String {
    texts.sort_by_key(String::len);
    texts.truncate(2);
    texts.join("\n\n")
}
