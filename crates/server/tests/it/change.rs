//! A schema changes while two nodes on one database read and write its tables: every answer is that
//! of the schema before or after, and nothing that was acknowledged is lost.
//!
//! Each writer owns rows of its own and remembers what it was told, so that it knows what must be
//! read. Clients that know only the schema before are served until the contract.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use server::Project;
use testkit::TempProject;

use crate::lab::{apply_request, open, run, runtime};

/// Rows that are there before a change begins.
const ROWS: usize = 60;
/// Writers and readers that go on during a change, half of them on each node.
const CLIENTS: usize = 4;
/// What each of them does at least, and at most.
const LEAST: usize = 6;
const MOST: usize = 400;

const HEAD: &str = "extend schema @module(name: \"main\", owner: \"core\")\n";
pub(crate) const FIELDS: &str =
    "id: ID! name: String! size: Int! note: String code: String! at: DateTime!";

pub(crate) fn sdl(key: &str, table: &str, fields: &str) -> String {
    format!(
        "{HEAD}type Item @key(fields: \"{key}\") @table(plural: \"items\"{table}) {{ {fields} }}\n"
    )
}

pub(crate) fn base() -> String {
    sdl("id", "", FIELDS)
}

/// A field of a schema, and what it holds of a row.
pub(crate) type Field = (&'static str, fn(&Row) -> Value);

/// One change, and what a row is in the schema after it.
struct Change {
    new: String,
    /// Fields of the new schema, each with what it holds of a row.
    fields: Vec<Field>,
    /// The name of the type after it.
    list: &'static str,
    /// Whether clients of the schema before may write after the switch.
    old_writes: bool,
    /// A field that goes: rows that are written after the switch have no value of it.
    forgets: Option<&'static str>,
}

/// What a client wrote.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    id: String,
    name: String,
    size: i64,
    note: String,
}

const AT: &str = "2026-01-02T03:04:05Z";

impl Row {
    pub(crate) fn new(id: String, size: i64) -> Row {
        Row { name: format!("name {size}"), note: format!("note {size}"), size, id }
    }

    fn code(&self) -> String {
        format!("code-{}", self.id)
    }

    /// The arguments of a mutation of the schema before.
    pub(crate) fn input(&self) -> String {
        format!(
            "{{id: \"{}\", name: \"{}\", size: {}, note: \"{}\", code: \"{}\", at: \"{AT}\"}}",
            self.id,
            self.name,
            self.size,
            self.note,
            self.code()
        )
    }
}

pub(crate) fn old_fields() -> Vec<Field> {
    vec![
        ("id", |row| json!(row.id)),
        ("name", |row| json!(row.name)),
        ("size", |row| json!(row.size)),
        ("note", |row| json!(row.note)),
        ("code", |row| json!(row.code())),
    ]
}

/// The fields of the schema before, with one of them changed.
pub(crate) fn with(name: &str, changed: Option<Field>) -> Vec<Field> {
    let mut fields = old_fields();
    fields.retain(|(field, _)| *field != name);
    fields.extend(changed);
    fields
}

impl Change {
    fn to(new: String, fields: Vec<Field>) -> Change {
        Change { new, fields, list: "items", old_writes: true, forgets: None }
    }
}

pub(crate) async fn ask(project: &Project, version: i64, text: &str) -> Result<Value, String> {
    project.refresh().await.unwrap();
    let live = project.live();
    let served = live.version(&version.to_string()).map_err(|error| error.to_string())?;
    let request = mesh_request(text);
    let answer = served.engine.execute(request).await.json().unwrap();
    match answer["errors"].as_array() {
        None => Ok(answer["data"].clone()),
        Some(_) => Err(answer["errors"].to_string()),
    }
}

fn mesh_request(text: &str) -> mesh::Request {
    mesh::Request::new(text, base::Principal::local())
}

fn expected(row: &Row, fields: &[Field]) -> Value {
    Value::Object(fields.iter().map(|(name, of)| ((*name).to_owned(), of(row))).collect())
}

fn names(fields: &[Field]) -> String {
    fields.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
}

/// A client of the schema before on one node: writes rows of its own and reads them back.
async fn client(
    project: Arc<Project>,
    number: usize,
    version: i64,
    (may_go_on, forgets): (bool, Option<&'static str>),
    until: Arc<AtomicBool>,
) -> BTreeMap<String, Row> {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let fields = old_fields();
    let mut turn = 0;
    while turn < LEAST || (turn < MOST && !until.load(Ordering::Acquire)) {
        turn += 1;
        let row = Row::new(format!("c{number}-{}", turn % 5), turn as i64);
        let text = match turn % 7 {
            0 => format!("mutation {{ deleteItem(id: \"{}\") {{ snapshot }} }}", row.id),
            1..=3 => {
                format!("mutation {{ upsertItem(input: {}) {{ node {{ id }} }} }}", row.input())
            }
            _ if rows.contains_key(&row.id) => format!(
                "mutation {{ updateItem(input: {{id: \"{}\", name: \"{}\", size: {}, note: \"{}\"}}) {{ node {{ id }} }} }}",
                row.id, row.name, row.size, row.note
            ),
            _ => format!("mutation {{ createItem(input: {}) {{ node {{ id }} }} }}", row.input()),
        };
        match ask(&project, version, &text).await {
            Ok(_) if turn % 7 == 0 => {
                rows.remove(&row.id);
            }
            Ok(_) => {
                rows.insert(row.id.clone(), row.clone());
            }
            // The switch came, and took away what this write needs; it said so.
            Err(error) if !may_go_on && error.contains("generate the client again") => return rows,
            Err(error) => panic!("{text}: {error}"),
        }
        let text = format!("{{ item(id: \"{}\") {{ {} }} }}", row.id, names(&fields));
        let read = ask(&project, version, &text).await.unwrap();
        let wanted = rows.get(&row.id).map_or(Value::Null, |row| expected(row, &fields));
        let wanted = forgotten(wanted, &read["item"], forgets);
        assert_eq!(read["item"], wanted, "turn {turn} of client {number}");
        let seed = turn * 7 % ROWS;
        let text = format!("{{ item(id: \"s{seed}\") {{ {} }} }}", names(&fields));
        let read = ask(&project, version, &text).await.unwrap();
        let wanted = Row::new(format!("s{seed}"), seed as i64);
        assert_eq!(read["item"], expected(&wanted, &fields), "turn {turn} of client {number}");
    }
    rows
}

/// What is wanted, without the value of a field that may be gone, where it is.
fn forgotten(mut wanted: Value, read: &Value, forgets: Option<&str>) -> Value {
    if let Some(field) = forgets
        && !wanted.is_null()
        && read[field].is_null()
    {
        wanted[field] = Value::Null;
    }
    wanted
}

pub(crate) fn seeds() -> BTreeMap<String, Row> {
    let rows = (0..ROWS).map(|seed| Row::new(format!("s{seed}"), seed as i64));
    rows.map(|row| (row.id.clone(), row)).collect()
}

/// All rows as a version sees them, by the field that tells them apart.
pub(crate) async fn all(
    project: &Project,
    version: i64,
    list: &str,
    fields: &[Field],
) -> BTreeMap<String, Value> {
    let text = format!("{{ {list}(first: 500) {{ nodes {{ code {} }} }} }}", names(fields));
    let read = ask(project, version, &text).await.unwrap();
    let nodes = read[list]["nodes"].as_array().unwrap().clone();
    nodes.into_iter().map(|node| (node["code"].as_str().unwrap().to_owned(), node)).collect()
}

pub(crate) fn all_expected(
    rows: &BTreeMap<String, Row>,
    fields: &[Field],
) -> BTreeMap<String, Value> {
    let of = |row: &Row| {
        let mut node = expected(row, fields);
        node["code"] = json!(row.code());
        (row.code(), node)
    };
    rows.values().map(of).collect()
}

/// Deploys `old`, changes it under load to what the change says, and judges.
fn check_from(old: &str, change: Change) {
    let folder = TempProject::with_schema(old);
    let runtime = runtime();
    runtime.block_on(async {
        let (one, _) = open(&folder, "").await;
        let (two, _) = open(&folder, "").await;
        let (one, two) = (Arc::new(one), Arc::new(two));
        run(&one, "apply", apply_request(old)).await.unwrap();
        two.refresh().await.unwrap();
        let version = one.live().deployed.version;
        seed(&one, version).await;
        let until = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let project = Arc::clone(if number % 2 == 0 { &one } else { &two });
                let until = Arc::clone(&until);
                let work =
                    client(project, number, version, (change.old_writes, change.forgets), until);
                base::task::spawn("client", work)
            })
            .collect();
        let mut request = apply_request(&change.new);
        request["keepOld"] = json!(3_600_000);
        request["allowDestructive"] = json!(["Item.note"]);
        let applied = run(&one, "apply", request).await;
        until.store(true, Ordering::Release);
        let mut rows = seeds();
        for client in clients {
            rows.extend(client.await.unwrap());
        }
        applied.unwrap();
        judge(&one, &two, version, &rows, &change).await;
    });
}

async fn judge(
    one: &Project,
    two: &Project,
    version: i64,
    rows: &BTreeMap<String, Row>,
    change: &Change,
) {
    let old = old_fields();
    for node in [one, two] {
        let seen = all(node, version, "items", &old).await;
        let mut wanted = all_expected(rows, &old);
        for (code, row) in wanted.iter_mut().filter(|(code, _)| code.starts_with("code-c")) {
            *row = forgotten(row.clone(), &seen[code], change.forgets);
        }
        assert_eq!(seen, wanted, "the schema before");
        let seen = all(node, version + 1, change.list, &change.fields).await;
        assert_eq!(seen, all_expected(rows, &change.fields), "the schema after");
    }
    let status = run(one, "status", json!({})).await.unwrap();
    assert!(status["running"].to_string().contains("still served"), "{status}");
    run(two, "applyContract", json!({})).await.unwrap();
    for node in [one, two] {
        let refused = ask(node, version, "{ items { nodes { id } } }").await.unwrap_err();
        assert!(refused.contains("is not served"), "{refused}");
        let seen = all(node, version + 1, change.list, &change.fields).await;
        assert_eq!(seen, all_expected(rows, &change.fields), "after the contract");
    }
    let columns = run(one, "sql", json!({"sql": format!("SELECT * FROM {}", change.list)})).await;
    let columns = columns.unwrap()["columns"].to_string();
    assert!(!columns.contains("__"), "a hidden column is shown: {columns}");
}

/// Writes the rows that are there before a change begins, in three commits.
pub(crate) async fn seed(project: &Project, version: i64) {
    let inputs: Vec<String> = seeds().values().map(Row::input).collect();
    for part in inputs.chunks(ROWS / 3) {
        let text =
            format!("mutation {{ upsertItems(inputs: [{}]) {{ __typename }} }}", part.join(", "));
        ask(project, version, &text).await.unwrap();
    }
}

fn check(change: Change) {
    check_from(&base(), change);
}

#[test]
fn a_column_with_a_default_is_added() {
    let fields = format!("{FIELDS} color: String! @column(default: \"'red'\")");
    let mut change = Change::to(sdl("id", "", &fields), old_fields());
    change.fields.push(("color", |_| json!("red")));
    check(change);
}

#[test]
fn a_computed_field_is_stored() {
    let derived = format!("{FIELDS} twice: Int @derived(expr: \"size * 2\")");
    let stored = format!("{FIELDS} twice: Int");
    let mut change = Change::to(sdl("id", "", &stored), old_fields());
    // Clients of the schema before do not write it, and then it is null.
    change.fields.retain(|(name, _)| *name != "note");
    check_from(&sdl("id", "", &derived), change);
}

#[test]
fn text_search_is_added() {
    let fields = FIELDS.replace("name: String!", "name: String! @search");
    check(Change::to(sdl("id", "", &fields), old_fields()));
}

#[test]
fn a_field_is_renamed() {
    let fields = FIELDS.replace("name: String!", "title: String! @was(name: \"name\")");
    let title: fn(&Row) -> Value = |row| json!(row.name);
    check(Change::to(sdl("id", "", &fields), with("name", Some(("title", title)))));
}

#[test]
fn a_type_is_renamed() {
    let new = format!(
        "{HEAD}type Thing @was(name: \"Item\") @key(fields: \"id\") @table(plural: \"things\") {{ {FIELDS} }}\n"
    );
    check(Change { list: "things", ..Change::to(new, old_fields()) });
}

#[test]
fn a_number_is_widened() {
    let fields = FIELDS.replace("size: Int!", "size: Long!");
    let size: fn(&Row) -> Value = |row| json!(row.size.to_string());
    check(Change::to(sdl("id", "", &fields), with("size", Some(("size", size)))));
}

#[test]
fn a_field_is_narrowed_after_a_check() {
    let fields = FIELDS.replace("note: String ", "note: String! ");
    check(Change { old_writes: false, ..Change::to(sdl("id", "", &fields), old_fields()) });
}

#[test]
fn a_column_is_converted() {
    let fields = FIELDS.replace("size: Int!", "size: String!");
    let size: fn(&Row) -> Value = |row| json!(row.size.to_string());
    let change = Change::to(sdl("id", "", &fields), with("size", Some(("size", size))));
    check(Change { old_writes: false, ..change });
}

#[test]
fn a_field_is_dropped() {
    let fields = FIELDS.replace("note: String ", "");
    let change = Change::to(sdl("id", "", &fields), with("note", None));
    check(Change { forgets: Some("note"), ..change });
}

#[test]
fn vectors_are_added() {
    let fields = FIELDS.replace("note: String", "note: String @vector(model: \"text-small\")");
    check(Change::to(sdl("id", "", &fields), old_fields()));
}

#[test]
fn two_dropped_fields_of_one_type_keep_their_own_values() {
    let wider = format!("{FIELDS} remark: String");
    let old = sdl("id", "", &wider);
    let folder = TempProject::with_schema(&old);
    runtime().block_on(async {
        let (one, _) = open(&folder, "").await;
        run(&one, "apply", apply_request(&old)).await.unwrap();
        let version = one.live().deployed.version;
        let input = Row::new("a".to_owned(), 1).input();
        let input = input.trim_end_matches('}');
        let text = format!(
            "mutation {{ upsertItem(input: {input}, remark: \"remark 1\"}}) {{ node {{ id }} }} }}"
        );
        ask(&one, version, &text).await.unwrap();
        let fields = FIELDS.replace("note: String ", "");
        let mut request = apply_request(&sdl("id", "", &fields));
        request["keepOld"] = json!(3_600_000);
        request["allowDestructive"] = json!(["Item.note", "Item.remark"]);
        run(&one, "apply", request).await.unwrap();
        // One after the other: what was read of the first must not be found for the second.
        for (field, value) in [("note", "note 1"), ("remark", "remark 1"), ("note", "note 1")] {
            let text = format!("{{ item(id: \"a\") {{ {field} }} }}");
            let read = ask(&one, version, &text).await.unwrap();
            assert_eq!(read["item"][field], json!(value));
        }
    });
}

#[test]
fn partitions_and_buckets_change() {
    let table = ", bucket: {by: \"id\", count: 4}";
    check(Change::to(sdl("id", table, FIELDS), old_fields()));
}

#[test]
fn the_order_changes() {
    check(Change::to(sdl("id", ", sort: \"size desc\"", FIELDS), old_fields()));
}

#[test]
fn the_key_changes() {
    let change = Change::to(sdl("code", "", FIELDS), old_fields());
    check(Change { old_writes: false, ..change });
}

#[test]
fn a_type_moves_to_the_other_format_and_back() {
    let lance = sdl("id", ", format: LANCE", FIELDS);
    check(Change::to(lance.clone(), old_fields()));
    check_from(&lance, Change::to(base(), old_fields()));
}

#[test]
fn a_type_moves_there_and_back_and_there_again() {
    let lance = sdl("id", ", format: LANCE", FIELDS);
    let folder = TempProject::with_schema(&base());
    runtime().block_on(async {
        let (one, _) = open(&folder, "").await;
        run(&one, "apply", apply_request(&base())).await.unwrap();
        seed(&one, 1).await;
        for (moves, new) in [&lance, &base(), &lance].into_iter().enumerate() {
            run(&one, "apply", apply_request(new)).await.unwrap();
            let version = moves as i64 + 2;
            let seen = all(&one, version, "items", &old_fields()).await;
            assert_eq!(seen, all_expected(&seeds(), &old_fields()), "move {moves}");
            let row = Row::new("s1".to_owned(), 1);
            let text =
                format!("mutation {{ upsertItem(input: {}) {{ node {{ id }} }} }}", row.input());
            ask(&one, version, &text).await.unwrap();
        }
    });
}
