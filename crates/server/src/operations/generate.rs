//! Text for other languages out of a schema, and typed clients for the documents of a program.
//!
//! In: a schema, deployed or given, and documents. Out: generated files, or everything that is wrong with
//! the documents. Not here: what is generated (`schema::generate`), how documents are read
//! (`mesh::documents`).

use base::Error;
use base::size::counted;
use mesh::documents::{ClientTerms, DocumentFile};
use schema::Schema;
use schema::generate::GeneratedFile;
use schema::generate::client::{self, Sending};

use super::schemas::compile;
use crate::gate::documents::faults::{Fault, list};
use crate::project::Project;
use crate::wire::{ErrorBody, GenerateAnswer, GenerateRequest};

/// Generates from the text in the request. Needs no project.
pub fn generate(request: &GenerateRequest) -> Result<GenerateAnswer, ErrorBody> {
    let Some(text) = &request.schema else {
        return Err(Error::invalid("there is no schema to generate from").into());
    };
    generate_from(&*compile(text)?, request)
}

pub(super) fn generate_deployed(
    project: &Project,
    request: &GenerateRequest,
) -> Result<GenerateAnswer, ErrorBody> {
    match &request.schema {
        Some(_) => generate(request),
        None => generate_from(&project.live().deployed.schema, request),
    }
}

fn generate_from(schema: &Schema, request: &GenerateRequest) -> Result<GenerateAnswer, ErrorBody> {
    let target = request.target.as_str();
    let files = match (target, request.documents.is_empty()) {
        ("typescript" | "python" | "rust", false) => for_documents(schema, request)?,
        ("typescript", true) => schema::generate::typescript(schema),
        ("python", true) => schema::generate::python(schema),
        ("ddl", true) => schema::generate::ddl(schema),
        ("sdl", true) => {
            let text = schema::api::served_sdl(schema);
            vec![GeneratedFile { path: "api.graphql".to_owned(), text }]
        }
        ("rust", true) => {
            let error = Error::invalid("Rust is generated for documents only");
            return Err(error.hint("name them by `--documents`").into());
        }
        ("ddl" | "sdl", false) => {
            let error = Error::invalid(format!("`{target}` is not generated for documents"));
            return Err(error.hint("clients are `typescript`, `python` and `rust`").into());
        }
        (other, _) => {
            return Err(Error::invalid(format!("nothing generates `{other}`"))
                .hint("targets are `typescript`, `python`, `rust`, `ddl` and `sdl`")
                .into());
        }
    };
    Ok(GenerateAnswer { files: files.into_iter().map(|file| (file.path, file.text)).collect() })
}

/// A typed client for the documents of a program.
fn for_documents(
    schema: &Schema,
    request: &GenerateRequest,
) -> Result<Vec<GeneratedFile>, ErrorBody> {
    let word = request.send.as_deref().unwrap_or_default();
    let sending = match word {
        "" => Sending::Text,
        word => Sending::parse(word).ok_or_else(|| {
            Error::invalid(format!("documents are not sent by `{word}`"))
                .hint("ways are `text`, `persisted` and `id`")
        })?,
    };
    let fingerprint = schema.fingerprint.to_string();
    let terms = ClientTerms { fingerprint, name: request.client.clone(), sending };
    let file = |document: &crate::wire::DocumentText| DocumentFile {
        name: document.file.clone(),
        text: document.text.clone(),
    };
    let files: Vec<DocumentFile> = request.documents.iter().map(file).collect();
    let sdl = schema::api::served_sdl(schema);
    let model = mesh::documents::client(&sdl, &files, &terms)?;
    let model = model.map_err(|faults| {
        let faults = faults.into_iter().map(|fault| Fault::of(&fault.file, fault.error));
        let faults: Vec<Fault> = faults.collect();
        let count = counted(faults.len() as u64, "fault");
        let message = format!("the documents have {count}");
        list(message, "they are checked against the schema", faults, &request.documents)
    })?;
    Ok(match request.target.as_str() {
        "typescript" => client::typescript(&model),
        "python" => client::python(&model),
        _ => client::rust(&model),
    })
}
