//! What became of a Lance table between two of its versions, as whoever listens to it wants to know.
//!
//! In: two versions that are kept. Out: the rows that may have come, and those that may have gone. Where
//! fragments do not tell which rows they are (a version was brought back, a column was added in place), all
//! rows of both. Not here: which of them are the same (`query::changes`).

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use base::{Error, Kind, Result};
use frame::{BatchStream, State};
use futures::{FutureExt, StreamExt, TryStreamExt};
use lance::Dataset;
use lance::dataset::ProjectionRequest;
use schema::ObjectType;

use super::copy::{Since, reading};
use super::{dataset_at, dataset_name};
use crate::query::changes::{Side, Sides, forgotten};
use crate::{Lake, Table, shape};

/// Rows that are taken at once.
const BATCH: usize = 8192;

/// The versions after one.
pub(crate) async fn states_since(lake: &Lake, table: &Table, from: i64) -> Result<Vec<State>> {
    let known = lake.inner.companions.lance.versions(&dataset_name(table)).await?;
    let now = i64::try_from(table.lance_version).unwrap_or(i64::MAX);
    if from != 0 && from != now && !known.iter().any(|version| version.id == from) {
        return Err(forgotten(table, from));
    }
    // A version is one of the table once the table's pointer has come to it or gone past it.
    let later = known.into_iter().filter(|version| version.id > from && version.id <= now);
    // Versions in between may be gone, so that what a version itself did says nothing of the others.
    let mut before = from;
    let states = later.map(|version| {
        let follows = before + 1 == version.id;
        before = version.id;
        State { id: version.id, is_same: follows && version.operation.as_ref() == "replace" }
    });
    Ok(states.collect())
}

/// Both sides of a comparison of two versions.
pub(crate) async fn sides(
    lake: &Lake,
    table: &Table,
    object: &ObjectType,
    [from, to]: [i64; 2],
) -> Result<Sides> {
    if table.seen.binding.is_some() {
        let text = format!("the schema of table `{}` was changed meanwhile", table.name);
        return Err(Error::new(Kind::Stale, text).hint("subscribe again"));
    }
    let version = |id: i64| u64::try_from(id).unwrap_or(0);
    let mut later = table.clone();
    later.lance_version = version(to);
    if let Some(since) = Since::of(lake, &later, version(from)).await? {
        let rows = [since.gone(), since.new_rows()];
        let since = Arc::new(since);
        let (went, came) = (Arc::clone(&since), since);
        let (of_went, of_came) = (object.clone(), object.clone());
        return Ok(Sides {
            went: Box::new(move || Arc::clone(&went).rows_that_went(of_went.clone()).boxed()),
            came: Box::new(move || {
                let (came, object) = (Arc::clone(&came), of_came.clone());
                async move { Ok(Box::pin(came.came(&object).await?) as BatchStream) }.boxed()
            }),
            rows,
        });
    }
    let whole = async |id: i64| -> Result<(Side, u64)> {
        let dataset = dataset_at(lake, table, version(id), None).await?;
        let rows = match &dataset {
            Some(dataset) => dataset.count_rows(None).await.map_err(reading)?,
            None => 0,
        };
        let object = object.clone();
        let side: Side = Box::new(move || all_rows(dataset.clone(), object.clone()).boxed());
        Ok((side, rows as u64))
    };
    let ((went, before), (came, now)) = (whole(from).await?, whole(to).await?);
    Ok(Sides { went, came, rows: [before, now] })
}

async fn all_rows(dataset: Option<Arc<Dataset>>, object: ObjectType) -> Result<BatchStream> {
    let Some(dataset) = dataset else { return Ok(Box::pin(futures::stream::empty())) };
    let stream = dataset.scan().try_into_stream().await.map_err(reading)?;
    Ok(Box::pin(stream.map(move |batch| shape::api_batch(&object, &batch.map_err(reading)?))))
}

impl Since {
    /// Rows that came.
    pub(crate) fn new_rows(&self) -> u64 {
        self.came.iter().filter_map(|fragment| fragment.num_rows()).sum::<usize>() as u64
    }

    /// The rows that went, as they were.
    async fn rows_that_went(self: Arc<Self>, object: ObjectType) -> Result<BatchStream> {
        let Some(before) = self.before.clone() else {
            return Ok(Box::pin(futures::stream::empty()));
        };
        let parts: Vec<Vec<u64>> = self.went.chunks(BATCH).map(<[u64]>::to_vec).collect();
        let state = (before, object);
        let taken = futures::stream::iter(parts).map(Ok).and_then(move |rows| {
            let (before, object) = state.clone();
            async move { take(&before, &object, &rows).await }
        });
        Ok(Box::pin(taken))
    }
}

async fn take(dataset: &Arc<Dataset>, object: &ObjectType, rows: &[u64]) -> Result<RecordBatch> {
    let names = dataset.schema().fields.iter().map(|field| field.name.clone());
    let projection = ProjectionRequest::from_columns(names, dataset.schema());
    let taken = dataset.take_rows(rows, projection).boxed().await.map_err(reading)?;
    shape::api_batch(object, &taken)
}
