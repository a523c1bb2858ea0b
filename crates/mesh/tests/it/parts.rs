//! Answers in parts: the payloads of documents that are written down, and that the parts of any document
//! make its answer in one piece.
//!
//! The merging here is a client's: it knows nothing of plans. It refuses what a client could not
//! understand: a part of something that was not promised, a field that comes twice, a promise that is
//! kept twice or never.

mod cases;
mod peer;
mod tables;
mod timing;

use std::collections::BTreeMap;
use std::sync::Arc;

use base::Principal;
use futures::StreamExt as _;
use mesh::{Answer, Engine, Request, Terms};
use serde_json::{Map, Value as Json, json};
use tokio::runtime::Runtime;

/// All payloads of an answer.
pub(crate) async fn payloads(engine: &Arc<Engine>, request: Request) -> Vec<Json> {
    match engine.deliver(request, &Terms::default()).await {
        Answer::Whole(response) => vec![response.json().expect("JSON")],
        Answer::Parts(first, mut parts) => {
            let mut all = vec![first.json().expect("JSON")];
            while let Some(part) = parts.next().await {
                let json: Json = serde_json::from_slice(&part.body).expect("JSON");
                assert_eq!(json["hasNext"], !part.is_last, "{json}");
                all.push(json);
            }
            all
        }
    }
}

/// Something that was promised.
#[derive(Clone, Debug, Default)]
pub(crate) struct Promised {
    pub(crate) path: String,
    pub(crate) label: String,
    /// Whether the first payload did.
    pub(crate) is_first: bool,
    /// Whether it is more than a list to which nothing was added.
    pub(crate) is_something: bool,
}

/// What a client has after all payloads.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    pub(crate) data: Json,
    /// Everything that was promised, by its id.
    pub(crate) promised: BTreeMap<String, Promised>,
    pub(crate) has_errors: bool,
    /// Whether a promise was not kept, as a null took it along.
    pub(crate) is_broken: bool,
}

/// The value at a path.
fn at<'j>(data: &'j mut Json, path: &[Json]) -> Option<&'j mut Json> {
    path.iter().try_fold(data, |value, step| match step {
        Json::String(key) => value.get_mut(key.as_str()),
        index => value.get_mut(index.as_u64()? as usize),
    })
}

/// Adds fields to an object; what both have must be objects or lists of them.
fn add(into: &mut Json, data: &Json) -> Result<(), String> {
    match (into, data) {
        (Json::Object(into), Json::Object(data)) => {
            for (key, value) in data {
                match into.get(key) {
                    None => drop(into.insert(key.clone(), value.clone())),
                    Some(known) => return Err(format!("`{key}` comes twice: {known} {value}")),
                }
            }
            Ok(())
        }
        (into, data) => Err(format!("{data} is added to {into}")),
    }
}

/// Puts payloads together as a client does.
pub(crate) fn merge(payloads: &[Json]) -> Result<Merged, String> {
    let mut merged = Merged { data: payloads[0]["data"].clone(), ..Merged::default() };
    merged.has_errors = payloads[0].get("errors").is_some();
    let mut open: BTreeMap<String, Vec<Json>> = BTreeMap::new();
    for (index, payload) in payloads.iter().enumerate() {
        let list = |name: &str| payload[name].as_array().cloned().unwrap_or_default();
        for pending in list("pending") {
            let id = pending["id"].as_str().ok_or("an id is no text")?.to_owned();
            let path = pending["path"].as_array().cloned().ok_or("no path")?;
            let (place, label) = (pending["path"].to_string(), pending["label"].to_string());
            let (is_first, is_something) = (index == 0, false);
            let promised = Promised { path: place, label, is_first, is_something };
            if merged.promised.insert(id.clone(), promised).is_some() {
                return Err(format!("the id {id} is given twice"));
            }
            // A promise may be about what the same payload brings.
            open.insert(id, path);
        }
        for part in list("incremental") {
            let id = part["id"].as_str().ok_or("an id is no text")?;
            let path = open.get(id).ok_or_else(|| format!("{part} was not promised"))?;
            merged.promised.entry(id.to_owned()).and_modify(|it| it.is_something = true);
            let below = part["subPath"].as_array().cloned().unwrap_or_default();
            let path = [path.clone(), below].concat();
            let place = at(&mut merged.data, &path);
            let place = place.ok_or_else(|| format!("{part} is for nothing that is there"))?;
            merged.has_errors |= part.get("errors").is_some();
            match (&part["data"], part["items"].as_array(), place) {
                (_, Some(items), Json::Array(list)) => list.extend(items.iter().cloned()),
                (data, None, place) => add(place, data)?,
                (_, Some(_), place) => return Err(format!("{part} is added to {place}")),
            }
        }
        for done in list("completed") {
            let id = done["id"].as_str().ok_or("an id is no text")?;
            let path = open.remove(id);
            let path = path.ok_or_else(|| format!("{done} is completed twice, or was unknown"))?;
            let is_broken = done.get("errors").is_some();
            merged.is_broken |= is_broken;
            let is_list = at(&mut merged.data, &path).is_some_and(|place| place.is_array());
            if is_broken || !is_list {
                merged.promised.entry(id.to_owned()).and_modify(|it| it.is_something = true);
            }
        }
        let has_next = payload.get("hasNext").map(|it| it == &json!(true));
        let is_last = index + 1 == payloads.len();
        if has_next.unwrap_or(false) == is_last || has_next.is_none() != (payloads.len() == 1) {
            return Err(format!("`hasNext` is wrong at {index}: {payload}"));
        }
    }
    match open.is_empty() && merged.promised.is_empty() == (payloads.len() == 1) {
        true => Ok(merged),
        false => Err(format!("promised and never completed: {open:?}")),
    }
}

/// Whether what came in parts is the whole, but for what nulls took along: in parts a null takes less.
fn is_part_of(whole: &Json, found: &Json, is_broken: bool) -> bool {
    match (whole, found) {
        (Json::Null, _) => true,
        (Json::Object(whole), Json::Object(found)) => {
            (is_broken || whole.len() == found.len())
                && found.iter().all(|(key, found)| {
                    whole.get(key).is_some_and(|whole| is_part_of(whole, found, is_broken))
                })
        }
        (Json::Array(whole), Json::Array(found)) => {
            (is_broken || whole.len() == found.len())
                && whole.iter().zip(found).all(|(whole, found)| is_part_of(whole, found, is_broken))
        }
        (whole, found) => whole == found,
    }
}

/// What the documents of a run had, so that the property is known to say something.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    in_parts: usize,
    many: usize,
    streams: usize,
    errors: usize,
    broken: usize,
    nested: usize,
}

impl Seen {
    /// Asserts that there was enough of everything; of data that has no null where none may be, no part
    /// can be broken.
    pub(crate) fn check(&self, parts: usize, is_sound: bool) {
        let counts = [self.many, self.streams, self.errors, self.nested];
        assert!(self.in_parts >= parts && counts.iter().all(|count| *count >= 5), "{self:?}");
        assert!(is_sound || self.broken > 0, "{self:?}");
    }
}

/// Compares the parts of an answer with the answer in one piece; in words what differs.
pub(crate) fn compare(
    runtime: &Runtime,
    engine: &Arc<Engine>,
    request: Request,
    seen: &mut Seen,
) -> Result<(), String> {
    let whole = runtime.block_on(engine.execute(request.clone())).json().expect("JSON");
    let found = runtime.block_on(payloads(engine, request.clone()));
    let context = || {
        let all: Vec<String> = found.iter().map(Json::to_string).collect();
        let (text, variables) = (&request.query, json!(request.variables));
        format!("{text}\n{variables}\n{}\nwhole {whole}", all.join("\n"))
    };
    if whole.get("data").is_none() {
        return match found.as_slice() {
            [only] if only.get("data").is_none() => Ok(()),
            _ => Err(format!("one is refused: {}", context())),
        };
    }
    let merged = merge(&found).map_err(|error| format!("{error}: {}", context()))?;
    let has_errors = whole.get("errors").is_some();
    if has_errors != (merged.has_errors || merged.is_broken) {
        return Err(format!("only one has errors: {}", context()));
    }
    let is_same = match has_errors {
        false => merged.data == whole["data"],
        true => is_part_of(&whole["data"], &merged.data, merged.is_broken),
    };
    if !is_same {
        return Err(format!("the data differ: {} {}", merged.data, context()));
    }
    let pending = |payload: &Json| payload["pending"].as_array().map_or(0, Vec::len);
    seen.in_parts += usize::from(found.len() > 1);
    seen.many += usize::from(merged.promised.len() > 2);
    seen.streams += usize::from(found.iter().any(|it| it.to_string().contains("\"items\"")));
    seen.errors += usize::from(has_errors && found.len() > 1);
    seen.broken += usize::from(merged.is_broken);
    seen.nested += usize::from(found.iter().skip(1).any(|payload| pending(payload) > 0));
    Ok(())
}

/// A request without variables.
pub(crate) fn asked(text: &str) -> Request {
    Request { variables: Map::new(), ..Request::new(text, Principal::local()) }
}

#[test]
fn a_client_refuses_what_it_cannot_understand() {
    let first = json!({"data": {"a": 1}, "pending": [{"id": "0", "path": []}], "hasNext": true});
    let part = |id: &str, data: Json, done: &[&str], next: bool| {
        let done: Vec<Json> = done.iter().map(|id| json!({"id": id})).collect();
        json!({"incremental": [{"id": id, "data": data}], "completed": done, "hasNext": next})
    };
    let check = |parts: &[Json], word: &str| {
        let payloads = [std::slice::from_ref(&first), parts].concat();
        let error = merge(&payloads).expect_err(word);
        assert!(error.contains(word), "{error}");
    };
    let whole = part("0", json!({"b": 2}), &["0"], false);
    assert_eq!(
        merge(&[first.clone(), whole.clone()]).expect("whole").data,
        json!({"a": 1, "b": 2})
    );
    check(&[part("0", json!({"a": 1}), &["0"], false)], "twice");
    check(&[part("1", json!({"b": 2}), &["0"], false)], "not promised");
    check(&[part("0", json!({"b": 2}), &["0", "0"], false)], "twice");
    check(&[part("0", json!({"b": 2}), &[], false)], "never");
    check(&[part("0", json!({"b": 2}), &["0"], true)], "hasNext");
    let early = json!({"completed": [{"id": "0"}], "hasNext": true});
    check(&[early, whole], "not promised");
}
