//! A schema proposed from a user's files. Needs no project.

use std::path::PathBuf;

use base::Result;
use lake::source::{Origin, ReadOptions};
use serde::{Deserialize, Serialize};

use super::Report;
use crate::wire::Progress;

/// A proposed module, and which file goes into which of its types.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Proposed {
    /// File name below the schema folder.
    pub file: String,
    /// The module.
    pub text: String,
    /// What was guessed, and why.
    pub notes: Vec<String>,
    /// Types and the files to import into them, in an order that references allow.
    pub imports: Vec<(String, PathBuf)>,
}

/// Looks at the files and proposes a module.
pub async fn propose(sources: &[PathBuf], report: Report<'_>) -> Result<Proposed> {
    let mut profiles = Vec::new();
    for source in sources {
        report(Progress { what: format!("look at {}", source.display()), ..Progress::default() });
        let origin = Origin::Path(source.clone());
        profiles.push(lake::profile::profile(origin, ReadOptions::default()).await?);
    }
    let module = "data";
    let proposal = schema::propose::propose_module(&profiles, module, module);
    let source_of = |file: &str| profiles.iter().position(|profile| &*profile.file == file);
    let imports = proposal.types.iter().filter_map(|proposed| {
        Some((proposed.type_name.clone(), sources[source_of(&proposed.file)?].clone()))
    });
    Ok(Proposed {
        file: format!("{module}.graphql"),
        imports: imports.collect(),
        text: proposal.text,
        notes: proposal.notes,
    })
}
