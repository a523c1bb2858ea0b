//! Tables as a source, those of the lake or of a database: in comes a compiled schema and its API, out
//! comes a [`Subgraph`] whose tables with a key are entities, and whose faults are shown where the modules declare them.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use base::{Place, Team};

use super::read::read_text;
use super::subgraph::Subgraph;
use super::text::{SourceSdl, Text};
use crate::api::Api;
use crate::diagnostic::Diagnostics;
use crate::graph::SourceKind;
use crate::model::Schema;

/// Types that several sources may have alike: what a page is belongs to nobody.
const SHARED: [&str; 3] = ["PageInfo", "WritePayload", "Media"];

/// The lake as a source of a graph.
///
/// # Errors
/// When the API breaks a rule of composition; no API that [`Api::new`] makes does.
pub fn lake(schema: &Schema, api: &Api, owner: Team) -> Result<Subgraph, Diagnostics> {
    let source = SourceSdl {
        name: "lake".into(),
        kind: SourceKind::Lake,
        url: "".into(),
        owner,
        file: "<lake>".into(),
        text: "".into(),
    };
    tables(schema, api, source)
}

/// The tables of a database as a source of a graph; the text of `source` is made here.
///
/// # Errors
/// As [`lake`].
pub fn database(schema: &Schema, api: &Api, source: SourceSdl) -> Result<Subgraph, Diagnostics> {
    // Faults are shown in the API that follows from the module, unless they have a place in it.
    tables(schema, api, SourceSdl { file: format!("<{}>", source.name).into(), ..source })
}

fn tables(schema: &Schema, api: &Api, source: SourceSdl) -> Result<Subgraph, Diagnostics> {
    let mut text = api.sdl().to_string();
    for object in schema.types.values() {
        let Some(table) = object.table().filter(|table| !table.key.is_empty()) else { continue };
        let key: Vec<&str> = table.key.iter().map(|id| object.field(*id).name.as_ref()).collect();
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "extend type {} @key(fields: \"{}\")", object.name, key.join(" "));
    }
    for name in SHARED {
        // On an extension it would be said of the extension's fields only.
        text = text.replace(&format!("type {name} {{"), &format!("type {name} @shareable {{"));
    }
    let text: Arc<str> = text.into();
    let source = SourceSdl { text: text.clone(), ..source };
    let mut subgraph = read_text(&source, Text::new(source.file.clone(), text))?;
    subgraph.text.elsewhere = places(schema, &subgraph);
    Ok(subgraph)
}

/// Where the modules declare what the API has under the same names.
fn places(schema: &Schema, subgraph: &Subgraph) -> HashMap<usize, Place> {
    let mut places = HashMap::new();
    for object in schema.types.values() {
        let Some(known) = subgraph.types.get(object.name.as_ref()) else { continue };
        places.insert(known.span.start, object.place.clone());
        for field in object.fields.values() {
            if let Some(known) = known.fields.get(field.name.as_ref()) {
                places.insert(known.span.start, field.place.clone());
            }
        }
    }
    places
}
