//! What an object holds of a selection, as JSON: for values that follow from it.
//!
//! In: rows with everything that a selection asks of them. Out: the JSON of one row as an answer would have
//! it, or the first error that the answer would tell. Not here: what follows (`fetch::derived`).

use base::Kind;
use serde_json::Value as Json;

use super::rows::row;
use super::writer::Writer;
use crate::error::GraphqlError;
use crate::exact;
use crate::fetch::{RowSet, Session};
use crate::plan::Selection;

/// What a row holds of a selection. Of errors that are not told the text says nothing.
pub(crate) fn held(
    session: &Session<'_>,
    selection: &Selection,
    rows: &RowSet,
    at: usize,
    is_told: bool,
) -> Result<Json, GraphqlError> {
    let mut writer = if is_told { Writer::new(session) } else { Writer::silent(session) };
    let written = row(&mut writer, selection, rows, at);
    let (text, errors) = writer.taken();
    match (errors.into_iter().next(), written, exact::json(&text)) {
        (Some(error), ..) => Err(error),
        (None, Ok(()), Ok(json)) => Ok(json),
        _ => Err(GraphqlError::new(Kind::Internal, "it cannot be read")),
    }
}
