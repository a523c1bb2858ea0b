//! The best rows of a text search, when nothing but the score decides.
//!
//! In: a search with a limit. Out: its best living rows. The index passes over what cannot be among
//! the best. Not here: searches with a predicate or an order (`searched`).

use std::sync::Arc;

use arrow::array::{Float64Array, RecordBatch};
use base::Result;
use frame::Search;

use super::blocks::BLOCK_ROWS;
use super::gather::{self, Places, batch};
use crate::Lake;
use crate::query::scan::{Asked, SCORE};
use crate::query::searched::{asked_positions, searched_fields};
use crate::search::{Wanted, best};

/// Rows up to which the best are looked for here.
const MOST: usize = 10_000;

pub(super) async fn answer(
    lake: &Lake,
    asked: &Asked,
    search: &Search,
) -> Result<Option<RecordBatch>> {
    let Some(count) = asked.best_are_enough().filter(|count| (1..=MOST).contains(count)) else {
        return Ok(None);
    };
    let fields = searched_fields(&asked.object)?;
    let positions = asked_positions(&asked.object.name, &fields, search)?;
    let (provider, parts) = lake.text_parts(&asked.table, &asked.object, asked.request.at).await?;
    let files = &provider.files.data;
    let deleted = provider.engine.manifests.deleted_rows(&provider.files, files).await?;
    let gone = files.iter().map(|file| deleted.get(file.file.file_path()).cloned());
    let wanted = Wanted {
        text: &search.text,
        fields: fields.len(),
        asked: &positions,
        gone: gone.map(Option::unwrap_or_default).collect(),
        count,
    };
    let hits = best(&provider.engine.texts, &parts, wanted).await?;
    let mut places = Places::default();
    for hit in &hits {
        let position = usize::try_from(hit.position).unwrap_or(usize::MAX);
        places.add(&files[hit.file], position / BLOCK_ROWS, vec![position % BLOCK_ROWS]);
    }
    let mut names = asked.field_names();
    let mut arrays = gather::named(asked, &provider, &places, &names).await?;
    let scores = hits.iter().map(|hit| f64::from(hit.score));
    arrays.push(Arc::new(Float64Array::from_iter_values(scores)));
    names.push(SCORE.to_owned());
    batch(&names, arrays, hits.len()).map(Some)
}
