//! What was used, field by field, as it is shown.
//!
//! In: operations with their requests. Out: for each coordinate who used it, and which team owns it. Not
//! here: changes (`schema::usage`).

use std::collections::BTreeMap;

use schema::Schema;
use schema::usage::{Operation, Usage};

use crate::wire::{UsageAnswer, UsageBy, UsageOf, UsageRequest};

/// What of the usage is about the wanted coordinates: those that are equal to it or lie below it.
pub(crate) fn shown(schema: &Schema, usage: &Usage, request: &UsageRequest) -> UsageAnswer {
    let wanted = request.coordinate.as_deref().unwrap_or_default();
    let is_wanted = |coordinate: &str| {
        let rest = coordinate.strip_prefix(wanted);
        wanted.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let mut by_coordinate: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
    for operation in &usage.operations {
        for coordinate in operation.coordinates.iter().filter(|one| is_wanted(one)) {
            by_coordinate.entry(coordinate).or_default().push(operation);
        }
    }
    let owners = owners(schema);
    let of = |(coordinate, operations): (&str, Vec<&Operation>)| UsageOf {
        coordinate: coordinate.to_owned(),
        owner: owner(&owners, coordinate),
        requests: operations.iter().map(|operation| operation.requests).sum(),
        by: operations.iter().map(|operation| by(operation)).collect(),
    };
    UsageAnswer { days: usage.days, coordinates: by_coordinate.into_iter().map(of).collect() }
}

fn by(operation: &Operation) -> UsageBy {
    UsageBy {
        client: operation.client.clone(),
        version: operation.version.clone(),
        operation: operation.operation.clone(),
        requests: operation.requests,
        days_ago: operation.days_ago,
    }
}

/// The team that owns a name of the API: a type, or a root field with its type.
type Owners = BTreeMap<String, String>;

fn owners(schema: &Schema) -> Owners {
    let mut owners = Owners::new();
    for object in schema.types.values() {
        let names = schema::api::reserved_names(object);
        let types = names.types.into_iter().chain([object.name.to_string()]);
        let queries = names.queries.into_iter().map(|name| format!("Query.{name}"));
        let mutations = names.mutations.into_iter().map(|name| format!("Mutation.{name}"));
        let changes = names.subscriptions.into_iter().map(|name| format!("Subscription.{name}"));
        let roots = queries.chain(mutations).chain(changes);
        let owner = object.owner.to_string();
        owners.extend(types.chain(roots).map(|name| (name, owner.clone())));
    }
    owners
}

/// Empty for what several teams share, and for what a service declares.
fn owner(owners: &Owners, coordinate: &str) -> String {
    let mut parts = coordinate.splitn(3, '.');
    let of = parts.next().unwrap_or_default();
    let member = parts.next().map(|member| format!("{of}.{member}"));
    let found = member.and_then(|member| owners.get(&member)).or_else(|| owners.get(of));
    found.cloned().unwrap_or_default()
}
