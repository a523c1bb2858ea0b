//! What the changes of a schema mean to those who use its API.
//!
//! ```text
//! changes → changes of the API behind them → coordinates that hurt → operations that use them → consumers
//! ```
//!
//! In: two schemas, and what was asked in the last days. Out: for each change that may hurt callers, whom it
//! hurts. Not here: counting requests (`server::usage`), which change hurts at all (`diff`).

use std::collections::{BTreeMap, HashMap, HashSet};

use apollo_compiler::schema::ExtendedType;
use base::size::counted;

use crate::api::served_sdl;
use crate::diff::{ApiChange, attributed};
use crate::model::Schema;

/// What was asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// By operation and client.
    pub operations: Vec<Operation>,
    /// The days that were counted, the present one included; 0 when nothing was.
    pub days: u64,
}

/// One operation, as one version of a client asked it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Operation {
    /// The client's name.
    pub client: String,
    /// Its version; empty when it says none.
    pub version: String,
    /// The operation's name; empty when it has none.
    pub operation: String,
    /// How often it was asked.
    pub requests: u64,
    /// How many days ago it was asked last.
    pub days_ago: u64,
    /// What it uses of the API: `Type.field`, `Type.field.argument`, `Input.field`, `Enum.VALUE`; an input
    /// object or an enum by itself when any of its members may be used.
    pub coordinates: Vec<String>,
}

/// Whom the changes of a plan hurt.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    /// The days that were counted.
    pub days: u64,
    /// By change, in the order of the diff; nothing for one that hurts nobody.
    pub of: Vec<Option<Affected>>,
}

/// Whom one change hurts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Affected {
    /// Requests that used what changes.
    pub requests: u64,
    /// Who made them, the most eager first.
    pub consumers: Vec<Consumer>,
}

/// One version of a client.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Consumer {
    /// Its name.
    pub client: String,
    /// Its version; empty when it says none.
    pub version: String,
    /// Its requests.
    pub requests: u64,
    /// Names of the operations, in their order; of one without a name, the empty one.
    pub operations: Vec<String>,
}

/// Weighs the changes from one schema to the next by what was asked.
pub fn weigh(old: &Schema, new: &Schema, usage: &Usage) -> Weights {
    let (changes, laid) = attributed(old, new);
    let mut concerns: Vec<Vec<Concern<'_>>> = changes.iter().map(|_| Vec::new()).collect();
    for (position, api) in &laid {
        concerns[*position].extend(Concern::of(api));
    }
    let sdl = served_sdl(old);
    let inputs = Inputs::of(&sdl);
    let used: Vec<(&Operation, Used<'_>)> =
        usage.operations.iter().map(|one| (one, Used::of(one, &inputs))).collect();
    let of = changes.iter().zip(&concerns).map(|(change, concerns)| {
        let hurts = change.wire >= crate::diff::WireEffect::Dangerous;
        hurts.then(|| affected(concerns, &used))
    });
    Weights { days: usage.days, of: of.collect() }
}

fn affected(concerns: &[Concern<'_>], used: &[(&Operation, Used<'_>)]) -> Affected {
    let mut by_client: BTreeMap<(&str, &str), Consumer> = BTreeMap::new();
    let hit = used.iter().filter(|(_, used)| concerns.iter().any(|concern| used.has(concern)));
    for (operation, _) in hit {
        let key = (operation.client.as_str(), operation.version.as_str());
        let consumer = by_client.entry(key).or_insert_with(|| Consumer {
            client: operation.client.clone(),
            version: operation.version.clone(),
            ..Consumer::default()
        });
        consumer.requests += operation.requests;
        consumer.operations.push(operation.operation.clone());
    }
    let mut consumers: Vec<Consumer> = by_client.into_values().collect();
    for consumer in &mut consumers {
        consumer.operations.sort();
        consumer.operations.dedup();
    }
    consumers.sort_by_key(|consumer| std::cmp::Reverse(consumer.requests));
    Affected { requests: consumers.iter().map(|consumer| consumer.requests).sum(), consumers }
}

/// A coordinate whose users feel a change.
#[derive(Debug, PartialEq)]
enum Concern<'a> {
    /// All who use a type, whatever of it.
    Type(&'a str),
    /// All who use a member of a type.
    Member(&'a str, &'a str),
    /// All who give an argument.
    Argument(&'a str),
}

impl<'a> Concern<'a> {
    /// Whom a change of the API concerns; nobody that is known when it is one of a directive's definition.
    fn of(api: &'a ApiChange) -> Option<Concern<'a>> {
        let path = api.path.split(".@").next().unwrap_or(&api.path);
        if path.starts_with('@') {
            return None;
        }
        let path = match api.when_absent {
            true => path.rsplit_once('.').map_or(path, |(parent, _)| parent),
            false => path,
        };
        let mut parts = path.split('.');
        Some(match (parts.next(), parts.next(), parts.next()) {
            (Some(of), None, _) => Concern::Type(of),
            (Some(of), Some(member), None) => Concern::Member(of, member),
            _ => Concern::Argument(path),
        })
    }
}

/// Which types values of an input object may hold.
struct Inputs {
    below: HashMap<String, HashSet<String>>,
}

impl Inputs {
    /// Of an API; were a part of it not valid, of the rest.
    fn of(sdl: &str) -> Inputs {
        let api = match apollo_compiler::Schema::parse(sdl, "api.graphql") {
            Ok(api) => api,
            Err(faults) => faults.partial,
        };
        let mut below = HashMap::new();
        for (name, found) in &api.types {
            let ExtendedType::InputObject(input) = found else { continue };
            let of = input.fields.values().map(|field| field.ty.inner_named_type().to_string());
            below.insert(name.to_string(), of.collect());
        }
        Inputs { below }
    }

    /// All types that values of this one may hold, itself included.
    fn reach<'a>(&'a self, name: &'a str, reached: &mut HashSet<&'a str>) {
        let mut waiting = vec![name];
        while let Some(name) = waiting.pop() {
            if reached.insert(name) {
                waiting.extend(self.below.get(name).into_iter().flatten().map(String::as_str));
            }
        }
    }
}

/// What one operation uses, as it is asked for.
struct Used<'a> {
    coordinates: HashSet<&'a str>,
    /// Types of which anything is used.
    types: HashSet<&'a str>,
    /// Types of which everything may be used.
    whole: HashSet<&'a str>,
}

impl<'a> Used<'a> {
    fn of(operation: &'a Operation, inputs: &'a Inputs) -> Used<'a> {
        let mut used =
            Used { coordinates: HashSet::new(), types: HashSet::new(), whole: HashSet::new() };
        for coordinate in &operation.coordinates {
            match coordinate.split_once('.') {
                Some((of, _)) => {
                    used.types.insert(of);
                    used.coordinates.insert(coordinate);
                }
                None => inputs.reach(coordinate, &mut used.whole),
            }
        }
        used
    }

    fn has(&self, concern: &Concern<'_>) -> bool {
        match concern {
            Concern::Type(of) => self.types.contains(of) || self.whole.contains(of),
            Concern::Member(of, member) => {
                self.whole.contains(of)
                    || self.coordinates.contains(format!("{of}.{member}").as_str())
            }
            Concern::Argument(path) => self.coordinates.contains(path),
        }
    }
}

/// Consumers, and operations of each, that are named on a terminal.
const NAMED: usize = 4;

impl Weights {
    /// What is told of a change, without a full stop; nothing of one that hurts nobody, and nothing as long
    /// as no request was counted.
    pub fn told(&self, change: usize) -> Option<String> {
        let affected = self.of.get(change)?.as_ref().filter(|_| self.days > 0)?;
        let days = counted(self.days, "day");
        if affected.requests == 0 {
            return Some(format!("used: by nobody in {days}"));
        }
        let consumers: Vec<String> = affected.consumers.iter().map(Consumer::told).collect();
        let requests = counted(affected.requests, "request");
        Some(format!("used: {requests} in {days} by {}", some_of(&consumers)))
    }

    /// Whether what a change takes away was used, as far as is known.
    pub fn is_used(&self, change: usize) -> bool {
        let affected = self.of.get(change).and_then(Option::as_ref);
        self.days == 0 || affected.is_some_and(|affected| affected.requests > 0)
    }
}

impl Consumer {
    /// `web 3.1 (Home, Titles)`.
    fn told(&self) -> String {
        let mut text = self.client.clone();
        if !self.version.is_empty() {
            text.push(' ');
            text.push_str(&self.version);
        }
        let named: Vec<String> =
            self.operations.iter().filter(|name| !name.is_empty()).cloned().collect();
        if !named.is_empty() {
            text.push_str(&format!(" ({})", some_of(&named)));
        }
        text
    }
}

/// The first of a list, and how many more there are.
fn some_of(all: &[String]) -> String {
    match all.len().checked_sub(NAMED + 1) {
        // One more is as short as saying so.
        None | Some(0) => all.join(", "),
        Some(more) => format!("{} and {} more", all[..NAMED].join(", "), more + 1),
    }
}
