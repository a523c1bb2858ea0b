//! Views of other tools: kept, shown and changed as the specification has it. Their SQL is of the
//! tools' own dialects, so that nothing here runs it.

use std::collections::HashMap;

use base::Result;
use iceberg::ViewUpdate;
use iceberg::spec::{Schema, ViewFormatVersion, ViewMetadata, ViewMetadataBuilder, ViewVersion};
use serde_json::{Value as Json, json};

use super::foreign::{self, Foreign, Shown, Step};
use super::json::{check_name, maybe, ordered, paged, part, properties};
use super::namespaces::{module, must_exist, refuse_module};
use super::tables::{
    check_free, idents, location_for, moved, of_iceberg, removed, run, run_or_discard,
};
use super::{Answer, Ident, Namespace, Outcome, Page, Reach, Refusal};
use crate::Lake;
use crate::failure::failed;

pub(super) async fn list(lake: &Lake, namespace: &Namespace, page: &Page) -> Outcome {
    must_exist(lake, namespace).await?;
    let found = match module(lake, namespace) {
        Some(_) => Vec::new(),
        None => foreign::listed(lake, namespace, Shown::View).await?,
    };
    let (page, next) = paged(&found, page)?;
    Ok(Answer::ok(json!({ "identifiers": idents(&page), "next-page-token": next })))
}

fn loaded(location: &str, metadata: &ViewMetadata) -> Outcome {
    let mut told = serde_json::to_value(metadata).map_err(failed("tell a view's metadata"))?;
    ordered(&mut told, "versions", "version-id");
    ordered(&mut told, "schemas", "schema-id");
    let body = json!({ "metadata-location": location, "metadata": told, "config": {} });
    let locations = vec![metadata.location().trim_end_matches('/').to_owned()];
    Ok(Answer { reach: Some(Reach { locations, owned: false }), ..Answer::ok(body) })
}

async fn read(lake: &Lake, location: &str) -> Result<ViewMetadata> {
    let doing = || format!("read view metadata `{location}`");
    let input = lake.inner.io.new_input(location).map_err(failed(doing()))?;
    let bytes = input.read().await.map_err(failed(doing()))?;
    serde_json::from_slice(&bytes).map_err(failed(doing()))
}

/// Writes metadata under a new name below the view's location.
async fn write(lake: &Lake, metadata: &ViewMetadata, version: i64) -> Result<String> {
    let folder = metadata.location().trim_end_matches('/');
    let name = lake.config().rng.uuid();
    let location = format!("{folder}/metadata/{version:05}-{name}.metadata.json");
    let doing = || format!("write view metadata `{location}`");
    let text = serde_json::to_vec(metadata).map_err(failed(doing()))?;
    let output = lake.inner.io.new_output(&location).map_err(failed(doing()))?;
    output.write(text.into()).await.map_err(failed(doing()))?;
    Ok(location)
}

async fn must_find(lake: &Lake, view: &Ident) -> Result<(Foreign, ViewMetadata), Refusal> {
    let found = foreign::find(lake, view).await?.filter(|found| found.kind == Shown::View);
    let found = found.ok_or_else(|| Refusal::no_view(&view.shown()))?;
    let metadata = read(lake, &found.location).await?;
    Ok((found, metadata))
}

pub(super) async fn load(lake: &Lake, view: &Ident) -> Outcome {
    let (found, metadata) = must_find(lake, view).await?;
    loaded(&found.location, &metadata)
}

pub(super) async fn create(lake: &Lake, namespace: &Namespace, body: &Json) -> Outcome {
    let name: String = part(body, "name")?;
    check_name(&name)?;
    let view = Ident { namespace: namespace.clone(), name };
    refuse_module(lake, namespace)?;
    must_exist(lake, namespace).await?;
    let location = location_for(lake, &view, maybe(body, "location")?);
    let schema: Schema = part(body, "schema")?;
    let version: ViewVersion = part(body, "view-version")?;
    let properties: HashMap<String, String> = properties(body, "properties")?;
    let made =
        ViewMetadataBuilder::new(location, schema, version, ViewFormatVersion::V1, properties);
    let built = made.and_then(|made| made.build());
    let metadata = built.map_err(|error| Refusal::argument(error.message().to_owned()))?.metadata;
    let location = write(lake, &metadata, 0).await?;
    let step = Step::Create { ident: view, kind: Shown::View, location: location.clone() };
    run_or_discard(lake, step, &location).await?;
    loaded(&location, &metadata)
}

pub(super) async fn register(lake: &Lake, namespace: &Namespace, body: &Json) -> Outcome {
    let name: String = part(body, "name")?;
    check_name(&name)?;
    let view = Ident { namespace: namespace.clone(), name };
    let location: String = part(body, "metadata-location")?;
    refuse_module(lake, namespace)?;
    must_exist(lake, namespace).await?;
    check_free(lake, &location)?;
    let metadata = read(lake, &location).await.map_err(|_| {
        let text = format!("Failed to open input stream for file: {location}");
        Refusal::missing("NotFoundException", text)
    })?;
    let step = Step::Create { ident: view, kind: Shown::View, location: location.clone() };
    run(lake, step).await?;
    loaded(&location, &metadata)
}

/// Commits changes of a view.
pub(super) async fn replace(lake: &Lake, view: &Ident, body: &Json) -> Outcome {
    refuse_module(lake, &view.namespace)?;
    let (from, metadata) = must_find(lake, view).await?;
    for requirement in maybe::<Vec<Json>>(body, "requirements")?.unwrap_or_default() {
        check(&requirement, &metadata)?;
    }
    let mut builder = ViewMetadataBuilder::new_from_metadata(metadata.clone());
    for update in part::<Vec<ViewUpdate>>(body, "updates")? {
        let applied = apply(builder, update);
        builder = applied.map_err(|error| of_iceberg("the view cannot be changed", error))?;
    }
    let built = builder.build().map_err(|error| of_iceberg("the view cannot be changed", error))?;
    if built.changes.is_empty() {
        return loaded(&from.location, &metadata);
    }
    if built.metadata.location() != metadata.location() {
        check_free(lake, built.metadata.location())?;
    }
    let location = write(lake, &built.metadata, from.version).await?;
    let step = Step::Move { from, location: location.clone() };
    run_or_discard(lake, step, &location).await?;
    loaded(&location, &built.metadata)
}

fn check(requirement: &Json, metadata: &ViewMetadata) -> Result<(), Refusal> {
    let kind: String = part(requirement, "type")?;
    if kind != "assert-view-uuid" {
        return Err(Refusal::bad(format!("`{kind}` is no requirement of a view")));
    }
    let wanted: uuid::Uuid = part(requirement, "uuid")?;
    if wanted == metadata.uuid() {
        return Ok(());
    }
    let text = format!(
        "Requirement failed: view UUID does not match: expected {} != {wanted}",
        metadata.uuid()
    );
    Err(Refusal::conflict(text))
}

fn apply(builder: ViewMetadataBuilder, update: ViewUpdate) -> iceberg::Result<ViewMetadataBuilder> {
    match update {
        ViewUpdate::AssignUuid { uuid } => Ok(builder.assign_uuid(uuid)),
        ViewUpdate::UpgradeFormatVersion { format_version } => {
            builder.upgrade_format_version(format_version)
        }
        ViewUpdate::AddSchema { schema, .. } => Ok(builder.add_schema(schema)),
        ViewUpdate::SetLocation { location } => Ok(builder.set_location(location)),
        ViewUpdate::SetProperties { updates } => builder.set_properties(updates),
        ViewUpdate::RemoveProperties { removals } => Ok(builder.remove_properties(&removals)),
        ViewUpdate::AddViewVersion { view_version } => builder.add_version(view_version),
        ViewUpdate::SetCurrentViewVersion { view_version_id } => {
            builder.set_current_version_id(view_version_id)
        }
    }
}

pub(super) async fn drop(lake: &Lake, view: &Ident) -> Outcome {
    refuse_module(lake, &view.namespace)?;
    removed(lake, view, Shown::View).await.map(|_| Answer::empty())
}

pub(super) async fn rename(lake: &Lake, body: &Json) -> Outcome {
    moved(lake, body, Shown::View).await
}
