//! Values that have calls of their own: in come the objects of a level, out comes a value for each, after
//! one call a batch where the service takes many keys, and one for each different object where not.
//!
//! Items of a batch are known by their key, never by their position: services answer in any order, and
//! leave out what they do not have.

use std::collections::HashMap;

use apollo_compiler::Name;
use apollo_compiler::ast::Type;
use base::Kind;
use futures::future::join_all;
use indexmap::IndexMap;
use schema::fetch::{
    Batch, Call, EntityFetch, Fetch, FieldSource, Hole, Next, OnError, Pages, Path,
};
use serde_json::{Map, Value as Json};

use super::ask::Asked;
use super::call::Said;
use super::object::{Object, Place, Value};
use super::render::{Sent, Unsent, render};
use super::run::Run;
use super::write::Fault;
use crate::tape::Form;

/// What the holes of a call are filled with.
struct Scope<'s> {
    type_name: &'s Name,
    /// The arguments of the field with their types.
    arguments: &'s [(Name, Type)],
    values: &'s Map<String, Json>,
}

impl<'a> Run<'a> {
    /// A field with a call of its own.
    pub(super) async fn gather(
        &self,
        type_name: &Name,
        asked: &Asked<'a>,
        fetch: &Fetch,
        source: &FieldSource,
        objects: &[Object],
    ) -> Vec<Value> {
        let values = self.arguments(asked.field);
        let declared = asked.field.definition.arguments.iter();
        let arguments: Vec<(Name, Type)> =
            declared.map(|it| (it.name.clone(), (*it.ty).clone())).collect();
        let scope = Scope { type_name, arguments: &arguments, values: &values };
        let is_list = asked.ty().is_list();
        let own = Own {
            wire: &source.wire,
            is_list,
            is_leaf: self.is_plain_leaf(asked.ty().inner_named_type()),
        };
        let found = match &fetch.batch {
            Some(batch) => self.batches(&scope, fetch, batch, &own, objects).await,
            None => self.singles(&scope, fetch, &own, objects).await,
        };
        self.absorb(self.on_error(fetch) == Some(OnError::Propagate), found)
    }

    /// Objects by their keys. One that cannot be fetched is null itself, whatever `onError` says.
    pub(super) async fn by_key(&self, type_name: &Name, objects: &[&Object]) -> Vec<Value> {
        let objects: Vec<Object> = objects.iter().map(|object| (*object).clone()).collect();
        let entities = self.rest.fetches.types.get(type_name).map_or(&[][..], |of| &of.entities);
        let has = |entity: &EntityFetch, object: &Object| {
            entity.key.iter().all(|path| self.of_object(type_name, object, path).is_some())
        };
        // Objects may come by different keys.
        let chosen: Vec<Option<usize>> = objects
            .iter()
            .map(|object| entities.iter().position(|entity| has(entity, object)))
            .collect();
        let own = Own { wire: "", is_list: false, is_leaf: false };
        let values = Map::new();
        let scope = Scope { type_name, arguments: &[], values: &values };
        let mut found: Vec<Value> = objects.iter().map(|_| Value::Null).collect();
        for (index, entity) in entities.iter().enumerate() {
            let mine: Vec<usize> =
                (0..objects.len()).filter(|at| chosen[*at] == Some(index)).collect();
            let asked: Vec<Object> = mine.iter().map(|at| objects[*at].clone()).collect();
            if asked.is_empty() {
                continue;
            }
            let values = match &entity.fetch.batch {
                Some(batch) => self.batches(&scope, &entity.fetch, batch, &own, &asked).await,
                None => self.singles(&scope, &entity.fetch, &own, &asked).await,
            };
            for (at, value) in mine.into_iter().zip(self.absorb(false, values)) {
                found[at] = value;
            }
        }
        for (at, _) in chosen.iter().enumerate().filter(|(_, chosen)| chosen.is_none()) {
            let words = format!(
                "a `{type_name}` of `{}` cannot be found by what is known of it",
                self.rest.name
            );
            found[at] = Value::Fault(self.fault(Fault::wrong(words)));
        }
        found
    }

    /// What a failure of a call does to the object that has the field.
    fn absorb(&self, propagates: bool, found: Vec<Result<Value, Fault>>) -> Vec<Value> {
        let mut known: Vec<(Fault, usize)> = Vec::new();
        let value = |found: Result<Value, Fault>| match found {
            Ok(value) => value,
            Err(mut fault) => {
                fault.propagates = propagates;
                // One failure of a call for many is told at each of them.
                let number = known.iter().find(|(same, _)| *same == fault).map(|(_, at)| *at);
                let number = number.unwrap_or_else(|| {
                    let number = self.fault(fault.clone());
                    known.push((fault, number));
                    number
                });
                Value::Fault(number)
            }
        };
        found.into_iter().map(value).collect()
    }

    /// One call for each object.
    async fn singles(
        &self,
        scope: &Scope<'_>,
        fetch: &Fetch,
        own: &Own<'_>,
        objects: &[Object],
    ) -> Vec<Result<Value, Fault>> {
        let calls = objects.iter().map(|object| async move {
            if self.misses(scope, fetch, object) {
                return Ok(Value::Null);
            }
            let fill = |hole: &Hole| self.fill(scope, object, hole);
            let sent = match render(fetch, &fill) {
                Ok(sent) => sent,
                Err(unsent) => return self.unsent(scope, unsent),
            };
            let is_change = self.call.is_mutation && matches!(object, Object::Root);
            if is_change {
                let said = self.change(fetch, &sent).await?;
                return self.value_of(fetch, own, said);
            }
            match &fetch.pages {
                Some(pages) => self.pages(fetch, pages, own, sent).await,
                None => {
                    let said = self.read(fetch, &sent).await?;
                    self.value_of(fetch, own, said)
                }
            }
        });
        join_all(calls).await
    }

    /// What a call of a root field sends.
    pub(super) fn sent(
        &self,
        root: &Name,
        asked: &Asked<'a>,
        fetch: &Fetch,
    ) -> Result<Sent, Fault> {
        let values = self.arguments(asked.field);
        let declared = asked.field.definition.arguments.iter();
        let arguments: Vec<(Name, Type)> =
            declared.map(|it| (it.name.clone(), (*it.ty).clone())).collect();
        let scope = Scope { type_name: root, arguments: &arguments, values: &values };
        let fill = |hole: &Hole| self.fill(&scope, &Object::Root, hole);
        render(fetch, &fill).or_else(|unsent| {
            self.unsent(&scope, unsent)?;
            Err(Fault::wrong(format!("`{}` cannot be called", self.rest.name)))
        })
    }

    /// Whether a message lacks a value of its object, as a path may: it would ask for something else.
    fn misses(&self, scope: &Scope<'_>, fetch: &Fetch, object: &Object) -> bool {
        let of_object =
            |hole: &&&Hole| !scope.arguments.iter().any(|(name, _)| name == hole.path.first());
        let holes = fetch.holes();
        matches!(fetch.call, Call::Method(_))
            && holes.iter().filter(of_object).any(|hole| self.fill(scope, object, hole).is_none())
    }

    /// A call that cannot be made: without a value of its object there is nothing to ask for.
    fn unsent(&self, scope: &Scope<'_>, unsent: Unsent) -> Result<Value, Fault> {
        match unsent {
            Unsent::Missing(hole) => {
                let is_argument = scope.arguments.iter().any(|(name, _)| name == hole.path.first());
                if !is_argument {
                    return Ok(Value::Null);
                }
                let words = format!(
                    "`{}` has no value, which the call of `{}` needs",
                    hole.path, self.rest.name
                );
                Err(Fault::new(Kind::InvalidInput, words))
            }
            Unsent::Misfit(words) => Err(Fault::new(Kind::InvalidInput, words)),
        }
    }

    fn value_of(&self, fetch: &Fetch, own: &Own<'_>, said: Said) -> Result<Value, Fault> {
        match said {
            Said::NotFound => Ok(Value::Null),
            Said::Nothing => Ok(Value::Done),
            Said::Json(place, _) => {
                let found = self.result(fetch, &place)?;
                Ok(found.map_or(Value::Null, |found| own.leaf(found)))
            }
        }
    }

    /// Where in the answer the value stands; what stands there instead is a fault.
    pub(super) fn result(&self, fetch: &Fetch, place: &Place) -> Result<Option<Place>, Fault> {
        let mut found = place.clone();
        for part in &fetch.result.0 {
            if found.form() != Form::Object {
                let words = format!(
                    "the answer of `{}` has no object where `{}` leads",
                    self.rest.name, fetch.result
                );
                return Err(Fault::wrong(words));
            }
            match found.get(part) {
                Some(next) => found = next,
                None => return Ok(None),
            }
        }
        Ok((found.form() != Form::Null).then_some(found))
    }

    /// A list that comes in pages.
    async fn pages(
        &self,
        fetch: &Fetch,
        pages: &Pages,
        own: &Own<'_>,
        mut sent: Sent,
    ) -> Result<Value, Fault> {
        let first = sent.clone();
        let mut all = Vec::new();
        for number in 0..pages.most {
            let Said::Json(place, link) = self.read(fetch, &sent).await? else {
                return Ok(if number == 0 { Value::Null } else { Value::Items(all) });
            };
            match self.result(fetch, &place)? {
                Some(list) if list.form() == Form::List => {
                    all.extend(list.items().map(Place::value));
                }
                Some(other) if number == 0 => return Ok(own.leaf(other)),
                None if number == 0 => return Ok(Value::Null),
                _ => {}
            }
            let next = match &pages.next {
                Next::Link => link.map(|link| {
                    let target = self.rest.transport.target_of(&link, &sent.target)?;
                    Ok::<_, String>(Sent { target, ..sent.clone() })
                }),
                Next::Cursor { parameter, path } => {
                    let cursor = place.follow(path).and_then(|place| place.word());
                    // A message of gRPC has a number that says nothing where there is none.
                    let ends: &[&str] = match &fetch.call {
                        Call::Method(_) => &["", "false", "0"],
                        Call::Http { .. } => &["", "false"],
                    };
                    let cursor = cursor.filter(|cursor| !ends.contains(&cursor.as_str()));
                    cursor.map(|cursor| Ok(turned(fetch, &first, parameter, &cursor)))
                }
            };
            match next {
                None => return Ok(Value::Items(all)),
                Some(Ok(next)) if next != sent => sent = next,
                Some(Ok(_)) => {
                    let words = format!(
                        "a page of `{}` says that it is the next one itself",
                        self.rest.name
                    );
                    return Err(Fault::wrong(words));
                }
                Some(Err(words)) => {
                    return Err(Fault::wrong(format!("`{}`: {words}", self.rest.name)));
                }
            }
        }
        let words = format!("the list of `{}` has more than {} pages", self.rest.name, pages.most);
        Err(Fault::new(Kind::LimitExceeded, words))
    }

    /// One call for as many objects as it takes.
    async fn batches(
        &self,
        scope: &Scope<'_>,
        fetch: &Fetch,
        batch: &Batch,
        own: &Own<'_>,
        objects: &[Object],
    ) -> Vec<Result<Value, Fault>> {
        let groups = self.groups(scope, fetch, batch, objects);
        let calls = groups.iter().map(|group| async move {
            let object = &objects[group.first];
            let keys: Vec<Json> = group.keys.values().cloned().collect();
            let fill = |hole: &Hole| match hole.path == batch.by {
                true => Some(Json::Array(keys.clone())),
                false => self.fill(scope, object, hole),
            };
            let sent = match render(fetch, &fill) {
                Ok(sent) => sent,
                Err(unsent) => {
                    return self.unsent(scope, unsent).map(|_| HashMap::new());
                }
            };
            let said = self.read(fetch, &sent).await?;
            self.by_item(fetch, batch, own, said)
        });
        let answers = join_all(calls).await;
        let mut found: Vec<Result<Value, Fault>> =
            objects.iter().map(|_| Ok(Value::Null)).collect();
        for (group, answer) in groups.iter().zip(answers) {
            for (at, key) in &group.members {
                found[*at] = match &answer {
                    Err(fault) => Err(fault.clone()),
                    Ok(items) => Ok(own.of_batch(items.get(key))),
                };
            }
        }
        found
    }

    /// Objects that one call can be made for: all but their keys is the same.
    fn groups(
        &self,
        scope: &Scope<'_>,
        fetch: &Fetch,
        batch: &Batch,
        objects: &[Object],
    ) -> Vec<Group> {
        let holes = fetch.holes();
        let others: Vec<&&Hole> = holes.iter().filter(|hole| hole.path != batch.by).collect();
        let mut groups: IndexMap<String, Vec<Group>> = IndexMap::new();
        for (at, object) in objects.iter().enumerate() {
            let Some(value) = self.of_object(scope.type_name, object, &batch.by) else { continue };
            let Some(key) = value.word() else { continue };
            if self.misses(scope, fetch, object) {
                continue;
            }
            let rest: Vec<Option<Json>> =
                others.iter().map(|hole| self.fill(scope, object, hole)).collect();
            let rest = serde_json::to_string(&rest).unwrap_or_default();
            let groups = groups.entry(rest).or_default();
            let known = groups.iter().position(|group| group.keys.contains_key(&key));
            let place = known.or_else(|| groups.len().checked_sub(1));
            let place =
                place.filter(|place| known.is_some() || groups[*place].keys.len() < batch.most);
            let place = place.unwrap_or_else(|| {
                groups.push(Group { first: at, keys: IndexMap::new(), members: Vec::new() });
                groups.len() - 1
            });
            groups[place].keys.entry(key.clone()).or_insert_with(|| value.json());
            groups[place].members.push((at, key));
        }
        groups.into_values().flatten().collect()
    }

    /// The items of a batch by their keys.
    fn by_item(
        &self,
        fetch: &Fetch,
        batch: &Batch,
        own: &Own<'_>,
        said: Said,
    ) -> Result<HashMap<String, Vec<Value>>, Fault> {
        let mut found: HashMap<String, Vec<Value>> = HashMap::new();
        let Said::Json(place, _) = said else { return Ok(found) };
        let Some(result) = self.result(fetch, &place)? else { return Ok(found) };
        let own_value = |item: Place| match &batch.value {
            Some(path) => item.follow(path).map_or(Value::Null, Value::Place),
            None => own.leaf(item),
        };
        match result.form() {
            Form::Object => {
                for (key, item) in result.members() {
                    found.entry(key).or_default().push(own_value(item));
                }
            }
            Form::List => {
                for item in result.items().filter(|item| item.form() != Form::Null) {
                    let key = item.follow(&batch.key).and_then(|key| key.word());
                    let Some(key) = key else {
                        let words = format!(
                            "an item of the answer of `{}` has no `{}`, by which it is known",
                            self.rest.name, batch.key
                        );
                        return Err(Fault::wrong(words));
                    };
                    found.entry(key).or_default().push(own_value(item));
                }
            }
            _ => {
                let words = format!("the answer of `{}` to a batch is no list", self.rest.name);
                return Err(Fault::wrong(words));
            }
        }
        Ok(found)
    }

    /// The value of a hole.
    fn fill(&self, scope: &Scope<'_>, object: &Object, hole: &Hole) -> Option<Json> {
        let name = hole.path.first();
        let Some((_, ty)) = scope.arguments.iter().find(|(known, _)| known == name) else {
            let place = self.of_object(scope.type_name, object, &hole.path)?;
            return Some(place.json());
        };
        let (mut value, mut ty) = (scope.values.get(name)?, ty);
        for part in hole.path.0.iter().skip(1) {
            value = value.get(part.as_ref())?;
            let input = self.schema().get_input_object(ty.inner_named_type())?;
            ty = &input.fields.get(part.as_ref())?.ty;
        }
        Some(self.wired(ty, value.clone()))
    }

    /// What a path of names of the schema leads to in an object.
    fn of_object(&self, type_name: &Name, object: &Object, path: &Path) -> Option<Place> {
        let is_passed = object.is_passed(path.first());
        let wire_of = |type_name: &str, field: &str| match self.source(type_name, field) {
            Some(source) if !is_passed => source.wire.to_string(),
            _ => field.to_owned(),
        };
        let first = path.first();
        let mut place = object.field(first, &wire_of(type_name, first)).flatten()?;
        let mut parent = self.named_of(type_name, first);
        for part in path.0.iter().skip(1) {
            let of = parent.as_ref().map_or("", |name| name.as_str());
            place = place.get(&wire_of(of, part))?;
            parent = self.named_of(of, part);
        }
        (place.form() != Form::Null).then_some(place)
    }

    fn named_of(&self, type_name: &str, field: &str) -> Option<Name> {
        let field = self.schema().type_field(type_name, field).ok()?;
        Some(field.ty.inner_named_type().clone())
    }
}

/// Objects that are asked for in one call.
struct Group {
    /// One of them, for what is the same of all.
    first: usize,
    /// Their keys by their words.
    keys: IndexMap<String, Json>,
    /// Each with the word of its key.
    members: Vec<(usize, String)>,
}

/// What a field is.
struct Own<'o> {
    wire: &'o str,
    is_list: bool,
    is_leaf: bool,
}

impl Own<'_> {
    /// A scalar may stand as the member of its own name.
    fn leaf(&self, found: Place) -> Value {
        if self.is_leaf && !self.is_list && found.form() == Form::Object {
            return found.get(self.wire).map_or(Value::Null, Value::Place);
        }
        found.value()
    }

    /// All items with a key for a list, else the first of them.
    fn of_batch(&self, items: Option<&Vec<Value>>) -> Value {
        let Some(items) = items else {
            return if self.is_list { Value::Items(Vec::new()) } else { Value::Null };
        };
        match (self.is_list, items.as_slice()) {
            // The one item of a map is the list itself.
            (true, [Value::Place(only)]) if only.form() == Form::List => Value::Place(only.clone()),
            (true, items) => Value::Items(items.to_vec()),
            (false, items) => items.first().cloned().unwrap_or(Value::Null),
        }
    }
}

/// What is sent for the page of a cursor.
fn turned(fetch: &Fetch, first: &Sent, name: &str, cursor: &str) -> Sent {
    let mut sent = first.clone();
    match &fetch.call {
        Call::Http { .. } => sent.target = with_parameter(&first.target, name, cursor),
        Call::Method(_) => {
            let body = first.body.as_deref().unwrap_or("{}");
            let mut body: Json = serde_json::from_str(body).unwrap_or_default();
            if body.is_null() {
                body = Json::Object(Map::new());
            }
            if let Some(members) = body.as_object_mut() {
                members.insert(name.to_owned(), cursor.into());
            }
            sent.body = Some(body.to_string());
        }
    }
    sent
}

/// A target with one parameter set.
fn with_parameter(target: &str, name: &str, value: &str) -> String {
    let encoded: String = value
        .bytes()
        .map(|byte| match byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let start = format!("{name}=");
    let mut parts: Vec<String> = query
        .split('&')
        .filter(|part| !part.is_empty() && !part.starts_with(&start))
        .map(str::to_owned)
        .collect();
    parts.push(format!("{name}={encoded}"));
    format!("{path}?{}", parts.join("&"))
}
