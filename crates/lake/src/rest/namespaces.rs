//! Namespaces: modules of the central schema, which follow it, and those of other tools.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base::Result;
use futures::FutureExt;
use serde_json::{Value as Json, json};

use super::foreign::{self, Properties, shown, stored};
use super::json::{check_namespace, maybe, paged, part};
use super::{Answer, Namespace, Outcome, Page, Refusal};
use crate::Lake;

/// Names that SQL needs for itself.
const RESERVED: [&str; 2] = ["information_schema", "main"];

/// The module that a namespace is, if it is one.
pub(super) fn module(lake: &Lake, namespace: &Namespace) -> Option<Arc<str>> {
    let [name] = namespace.as_slice() else { return None };
    let schema = lake.schema();
    let found = schema.modules.iter().find(|module| module.name.as_ref() == name);
    found.map(|module| Arc::clone(&module.name))
}

/// Refuses what would change a namespace of the central schema.
pub(super) fn refuse_module(lake: &Lake, namespace: &Namespace) -> Result<(), Refusal> {
    match module(lake, namespace) {
        Some(name) => Err(Refusal::forbidden(format!(
            "namespace `{name}` is a module of the central schema, and its tables follow the \
             schema: edit it, then `headwater plan` and `headwater apply`"
        ))),
        None => Ok(()),
    }
}

/// Succeeds when there is a namespace of this name.
pub(super) async fn must_exist(lake: &Lake, namespace: &Namespace) -> Result<(), Refusal> {
    if module(lake, namespace).is_some() || foreign::properties(lake, namespace).await?.is_some() {
        return Ok(());
    }
    Err(Refusal::no_namespace(&shown(namespace)))
}

/// Namespaces right below one, or the top ones.
pub(super) async fn list(lake: &Lake, parent: Option<&Namespace>, page: &Page) -> Outcome {
    let parent = parent.cloned().unwrap_or_default();
    if !parent.is_empty() {
        must_exist(lake, &parent).await?;
    }
    let mut found: BTreeSet<Namespace> = BTreeSet::new();
    if parent.is_empty() {
        let schema = lake.schema();
        found.extend(schema.modules.iter().map(|module| vec![module.name.to_string()]));
    }
    for namespace in foreign::namespaces(lake).await? {
        if namespace.len() > parent.len() && namespace.starts_with(&parent) {
            found.insert(namespace[..=parent.len()].to_vec());
        }
    }
    let found: Vec<Namespace> = found.into_iter().collect();
    let (namespaces, next) = paged(&found, page)?;
    Ok(Answer::ok(json!({ "namespaces": namespaces, "next-page-token": next })))
}

pub(super) async fn create(lake: &Lake, body: &Json) -> Outcome {
    let namespace: Namespace = part(body, "namespace")?;
    check_namespace(&namespace)?;
    let properties: Properties = maybe(body, "properties")?.unwrap_or_default();
    let name = shown(&namespace);
    if RESERVED.contains(&name.as_str()) {
        return Err(Refusal::bad(format!("`{name}` has a meaning in SQL; choose another name")));
    }
    if module(lake, &namespace).is_some() {
        return Err(Refusal::exists(format!("Namespace already exists: {name}")));
    }
    let (key, text) = (stored(&namespace), written(&properties));
    let made = lake
        .catalog()
        .database()
        .write(move |tx| {
            let (key, text) = (key.clone(), text.clone());
            async move {
                let sql = "INSERT INTO lake_foreign_namespaces (name, properties) \
                           VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
                tx.execute(sql, &[key.into(), text.into()]).await
            }
            .boxed()
        })
        .await?;
    if made == 0 {
        return Err(Refusal::exists(format!("Namespace already exists: {name}")));
    }
    Ok(Answer::ok(json!({ "namespace": namespace, "properties": properties })))
}

fn written(properties: &Properties) -> String {
    json!(properties).to_string()
}

pub(super) async fn load(lake: &Lake, namespace: &Namespace) -> Outcome {
    let properties = match module(lake, namespace) {
        Some(name) => Properties::from([("headwater.module".to_owned(), name.to_string())]),
        None => foreign::properties(lake, namespace)
            .await?
            .ok_or_else(|| Refusal::no_namespace(&shown(namespace)))?,
    };
    Ok(Answer::ok(json!({ "namespace": namespace, "properties": properties })))
}

pub(super) async fn drop(lake: &Lake, namespace: &Namespace) -> Outcome {
    refuse_module(lake, namespace)?;
    let key = stored(namespace);
    let outcome: Result<(), Refusal> = lake
        .catalog()
        .database()
        .write(move |tx| {
            let key = key.clone();
            async move {
                let below = format!("{key}\u{1f}");
                let sql = "SELECT name FROM lake_foreign_tables WHERE namespace = $1 LIMIT 1";
                let used = tx.query_one(sql, &[key.clone().into()]).await?.is_some();
                let sql = "SELECT name FROM lake_foreign_namespaces ORDER BY name";
                let mut inner = false;
                for row in tx.query(sql, &[]).await? {
                    inner |= row.text("name")?.starts_with(&below);
                }
                let name = key.replace('\u{1f}', ".");
                if used || inner {
                    return Ok(Err(Refusal::not_empty(&name)));
                }
                let sql = "DELETE FROM lake_foreign_namespaces WHERE name = $1";
                if tx.execute(sql, &[key.into()]).await? == 0 {
                    return Ok(Err(Refusal::no_namespace(&name)));
                }
                Ok(Ok(()))
            }
            .boxed()
        })
        .await?;
    outcome.map(|()| Answer::empty())
}

pub(super) async fn update(lake: &Lake, namespace: &Namespace, body: &Json) -> Outcome {
    let removals: BTreeSet<String> = maybe(body, "removals")?.unwrap_or_default();
    let updates: BTreeMap<String, String> = maybe(body, "updates")?.unwrap_or_default();
    if let Some(both) = removals.iter().find(|name| updates.contains_key(*name)) {
        let text = format!(
            "Invalid namespace update, cannot simultaneously set and remove keys: [{both}]"
        );
        return Err(Refusal::unprocessable(text));
    }
    must_exist(lake, namespace).await?;
    refuse_module(lake, namespace)?;
    let (key, name) = (stored(namespace), shown(namespace));
    let (gone, set) = (removals.clone(), updates.clone());
    let before: Option<Properties> = lake
        .catalog()
        .database()
        .write(move |tx| {
            let (key, gone, set) = (key.clone(), gone.clone(), set.clone());
            async move {
                let sql = "SELECT properties FROM lake_foreign_namespaces WHERE name = $1";
                let Some(row) = tx.query_one(sql, &[key.clone().into()]).await? else {
                    return Ok(None);
                };
                let before: Properties = serde_json::from_str(&row.text("properties")?)
                    .map_err(crate::failure::failed("read the properties of a namespace"))?;
                let mut after = before.clone();
                after.retain(|name, _| !gone.contains(name));
                after.extend(set);
                let sql = "UPDATE lake_foreign_namespaces SET properties = $1 WHERE name = $2";
                tx.execute(sql, &[written(&after).into(), key.into()]).await?;
                Ok(Some(before))
            }
            .boxed()
        })
        .await?;
    let before = before.ok_or_else(|| Refusal::no_namespace(&name))?;
    let (removed, missing): (Vec<&String>, Vec<&String>) =
        removals.iter().partition(|name| before.contains_key(*name));
    let updated: Vec<&String> = updates.keys().collect();
    Ok(Answer::ok(json!({ "updated": updated, "removed": removed, "missing": missing })))
}
