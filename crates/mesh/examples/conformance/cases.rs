//! A file of conformance cases to cases, one a line.
//!
//! In: JSON lines, packed by gzip or not. Out: the cases in their order, or an error that names the
//! line. Not here: asking anything.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use base::{Error, Place, Result};
use flate2::bufread::MultiGzDecoder;
use serde::Deserialize;
use serde_json::{Map, Value as Json};

/// One question with the answer of the reference.
#[derive(Deserialize)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) schema: String,
    pub(crate) query: String,
    #[serde(default)]
    pub(crate) variables: Map<String, Json>,
    pub(crate) expected: Expected,
}

/// What the reference answers.
#[derive(Deserialize)]
pub(crate) struct Expected {
    pub(crate) data: Json,
    #[serde(rename = "hasErrors")]
    pub(crate) has_errors: bool,
}

/// The two bytes that every file of gzip begins with.
const GZIP: &[u8] = &[0x1f, 0x8b];

/// The cases of a file, read as they are asked for.
pub(crate) fn open(path: &Path) -> Result<impl Iterator<Item = Result<Case>>> {
    let name = path.display().to_string();
    let failed = |error: std::io::Error| {
        Error::from(error).context(format!("failed to read the cases in `{name}`"))
    };
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    let is_packed = file.fill_buf().map_err(failed)?.starts_with(GZIP);
    let text: Box<dyn Read> = match is_packed {
        true => Box::new(MultiGzDecoder::new(file)),
        false => Box::new(file),
    };
    Ok(read(name, BufReader::new(text)))
}

/// The cases of a text.
pub(crate) fn read(name: String, text: impl BufRead) -> impl Iterator<Item = Result<Case>> {
    let lines = text.lines().enumerate();
    lines.filter(|(_, line)| line.as_ref().map_or(true, |line| !line.trim().is_empty())).map(
        move |(index, line)| {
            let place = |column| Place { file: name.clone(), line: index + 1, column };
            let line = line.map_err(|error| {
                Error::invalid("failed to read the line").caused_by(error).at(place(0))
            })?;
            serde_json::from_str(&line).map_err(|error| misread(&error, place(error.column())))
        },
    )
}

fn misread(error: &serde_json::Error, place: Place) -> Error {
    // The parser counts lines too, and knows of this one only.
    let text = error.to_string();
    let cause = text.split(" at line ").next().unwrap_or(&text);
    Error::invalid(format!("the line is no case: {cause}"))
        .at(place)
        .hint("a case is `{id, schema, query, variables, expected: {data, hasErrors}}`")
}
