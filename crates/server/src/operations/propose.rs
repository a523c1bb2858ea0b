//! A schema proposed from a user's files. Needs no project.

use std::path::{Path, PathBuf};

use base::Result;
use futures::FutureExt;
use lake::source::{Origin, ReadOptions};
use schema::propose::FileProfile;
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
        let profile = lake::profile::profile(origin, ReadOptions::default()).boxed().await?;
        profiles.push(FileProfile { file: shown(source).into(), ..profile });
    }
    let module = "data";
    let proposal = schema::propose::propose_module(&profiles, module, module);
    let source_of = |file: &str| sources.iter().find(|source| shown(source) == file).cloned();
    let imports = proposal
        .types
        .iter()
        .filter_map(|proposed| Some((proposed.type_name.clone(), source_of(&proposed.file)?)));
    Ok(Proposed {
        file: format!("{module}.graphql"),
        imports: imports.collect(),
        text: proposal.text,
        notes: proposal.notes,
    })
}

/// The file as the schema names it: where a machine keeps it is nobody's business.
fn shown(source: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let below = source.strip_prefix(&here).ok();
    let name = below.or_else(|| source.file_name().map(Path::new)).unwrap_or(source);
    name.display().to_string()
}
