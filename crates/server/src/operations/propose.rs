//! A schema proposed from a user's files. Needs no project.

use std::path::PathBuf;

use base::Result;
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
        profiles.push(lake::profile::profile(source.clone()).await?);
    }
    let proposal = schema::propose::propose(&profiles);
    Ok(Proposed {
        file: proposal.file,
        text: proposal.text,
        notes: proposal.notes,
        imports: proposal
            .imports
            .into_iter()
            .map(|(type_name, position)| (type_name, sources[position].clone()))
            .collect(),
    })
}
