//! `headwater documents`: registers the documents of clients, lists and removes them.

use std::path::PathBuf;

use base::size::{counted, format_bytes};
use server::wire::{
    DocumentInfo, DocumentRegisterAnswer, DocumentRegisterRequest, DocumentRemoveAnswer,
    DocumentRemoveRequest,
};

use crate::arguments::Global;
use crate::printer::{Outcome, Printer, table};
use crate::target::Target;

pub(crate) mod files;

/// What to do with documents.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    /// Register documents, all or, when one does not fit the deployed schema, none.
    Register(Register),
    /// List the registered documents, without their texts.
    List,
    /// Remove registered documents.
    Remove(Remove),
}

/// Documents to register.
#[derive(clap::Args, Debug)]
pub(crate) struct Register {
    /// Files with one document each (`.graphql`, `.gql`), lists of documents as clients' tools write them
    /// (`.json`), or folders of both.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Which program sends them.
    #[arg(long, value_name = "NAME", default_value = "")]
    client: String,
}

/// Documents to remove.
#[derive(clap::Args, Debug)]
pub(crate) struct Remove {
    /// Ids, as `list` prints them.
    #[arg(value_name = "ID", required_unless_present = "client")]
    ids: Vec<String>,
    /// Only those of this client; all of them, when there is no id.
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
}

pub(crate) async fn run(global: &Global, command: Command, printer: &Printer) -> Outcome {
    match command {
        Command::Register(options) => {
            let documents = files::read(&options.files)?;
            let request = DocumentRegisterRequest { client: options.client, documents };
            let target = Target::open(global).await?;
            let answer: DocumentRegisterAnswer = target.call("documentRegister", &request).await?;
            printer.answer(&answer, || registered(&answer));
        }
        Command::List => {
            let target = Target::open(global).await?;
            let documents: Vec<DocumentInfo> =
                target.call("documentList", &serde_json::json!({})).await?;
            printer.answer(&documents, || listing(&documents));
        }
        Command::Remove(options) => {
            let target = Target::open(global).await?;
            let request = DocumentRemoveRequest { ids: options.ids, client: options.client };
            let answer: DocumentRemoveAnswer = target.call("documentRemove", &request).await?;
            printer.answer(&answer, || format!("removed {}", counted(answer.removed, "document")));
        }
    }
    Ok(())
}

fn registered(answer: &DocumentRegisterAnswer) -> String {
    let mut text = format!("registered {}", counted(answer.registered, "document"));
    if !answer.client.is_empty() {
        text.push_str(&format!(" of `{}`", answer.client));
    }
    if answer.known > 0 {
        text.push_str(&format!("; {} registered before", answer.known));
    }
    text
}

fn listing(documents: &[DocumentInfo]) -> String {
    if documents.is_empty() {
        return "no documents: `headwater documents register FILE` registers them".to_owned();
    }
    let row = |document: &DocumentInfo| {
        vec![
            document.id.clone(),
            document.name.clone(),
            document.client.clone(),
            format_bytes(document.bytes),
            document.author.clone(),
            document.at.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = documents.iter().map(row).collect();
    table(&["id", "name", "client", "size", "author", "at"], &rows)
}
