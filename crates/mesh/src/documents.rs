//! The documents of a program to the model of a typed client.
//!
//! ```text
//! texts → joined → parse → rules → each set says its type → shapes of answers → schema::generate::Client
//! ```
//!
//! In: the SDL of an API and the texts of files, whose fragments may be used across files. Out: a
//! [`Client`], or everything that is wrong, each fault with its file, line and column. Not here: text in
//! other languages (`schema::generate`), reading files, execution.

mod collect;
mod joined;
mod shape;
mod sound;
mod texts;
mod types;
mod views;

use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Schema};
use base::{Error, Result};
use schema::generate::client::{Client, Sending};

use crate::api_schema;
use crate::error::GraphqlError;

/// A file with documents.
#[derive(Clone, Debug)]
pub struct DocumentFile {
    /// Its name, for messages.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Something that is wrong with a file.
#[derive(Clone, Debug)]
pub struct DocumentFault {
    /// The file.
    pub file: String,
    /// What is wrong, with lines and columns of that file.
    pub error: GraphqlError,
}

/// What a client is made for.
#[derive(Clone, Debug, Default)]
pub struct ClientTerms {
    /// The fingerprint of the schema, which the client sends.
    pub fingerprint: String,
    /// What the program calls itself.
    pub name: Option<String>,
    /// How operations name their documents.
    pub sending: Sending,
}

/// Reads the documents of a program against an API. The outer error is of the API, or of documents that
/// reach too much; the inner one lists what is wrong with the documents.
pub fn client(
    sdl: &str,
    files: &[DocumentFile],
    terms: &ClientTerms,
) -> Result<std::result::Result<Client, Vec<DocumentFault>>> {
    let schema = api_schema::read(sdl, false)?;
    let mut document = match sound::read(&schema, files) {
        Ok(document) => document,
        Err(faults) => return Ok(Err(faults)),
    };
    if document.operations.named.is_empty() {
        return Err(Error::not_found("there is no operation in the documents")
            .hint("write one, for instance `query Home { __typename }`"));
    }
    texts::say_types(&schema, &mut document);
    model(&schema, &document, terms).map(Ok)
}

fn model(
    schema: &Valid<Schema>,
    document: &ExecutableDocument,
    terms: &ClientTerms,
) -> Result<Client> {
    let mut shapes = shape::Shapes::new(schema, document);
    let mut types = types::Reached::new(schema);
    let mut operations = Vec::new();
    for operation in document.operations.named.values() {
        let shape = shapes.of_operation(operation)?;
        let variables = operation.variables.iter().map(|variable| types.variable(variable));
        let variables = variables.collect();
        operations.push(texts::operation(document, operation, variables, shape));
    }
    for name in document.fragments.keys() {
        shapes.of_fragment(name)?;
    }
    let (fragments, mut shapes) = shapes.done();
    views::keep_readable(&fragments, &mut shapes);
    types.of_answers(&shapes);
    operations.sort_by(|one, other| one.name.cmp(&other.name));
    let (inputs, enums, scalars) = types.done();
    let ClientTerms { fingerprint, name, sending } = terms.clone();
    Ok(Client { fingerprint, name, sending, operations, fragments, shapes, inputs, enums, scalars })
}
