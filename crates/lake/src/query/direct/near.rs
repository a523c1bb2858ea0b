//! The rows that are near a vector, when nothing but the distance orders them.
//!
//! ```text
//! request → queries → rows that the predicate wants, when there is one
//!         → nearest contents (among theirs) → living rows with them → as many as are asked for
//! ```
//!
//! In: a request with `nearest` whose vectors are held. Out: its rows. Not here: vectors beyond memory,
//! searches that also match a text (`query::near`).

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, RecordBatch, UInt32Array};
use base::Result;
use datafusion::common::ScalarValue;
use frame::Nearest;

use super::blocks::BLOCK_ROWS;
use super::contents::RowContents;
use super::gather::{self, Places, batch};
use super::unfit;
use crate::Lake;
use crate::companion::held::{Held, Position, VectorSet};
use crate::companion::nearest::{Among, NearPosition, nearest};
use crate::query::engine::{View, iceberg_provider};
use crate::query::manifests::DeletedRows;
use crate::query::near::{Question, Searched};
use crate::query::provider::IcebergProvider;
use crate::query::scan::{Asked, DISTANCE, QUERY};

/// How many more contents are asked for when too few of their rows are wanted.
const MORE: usize = 8;

/// A row: the number of its file among the table's, and where it stands there.
type Row = (usize, usize);

/// A row near a query.
#[derive(Clone, Copy, Debug)]
struct Hit {
    query: usize,
    distance: f32,
    row: Row,
}

pub(super) async fn answer(
    lake: &Lake,
    asked: &Asked,
    nearest: &Nearest,
) -> Result<Option<RecordBatch>> {
    let request = &asked.request;
    if request.search.is_some() || !request.order.is_empty() {
        return Ok(None);
    }
    let searched = Searched::open(lake, asked, nearest).await?;
    let Held::All(set) = &searched.held else { return Ok(None) };
    let (engine, object) = (&lake.inner.query, Some(&asked.object));
    let provider =
        iceberg_provider(engine, &asked.table, object, request.at, View::Current).await?;
    let column = provider.column(&searched.column)?;
    let Some(contents) = provider.contents(column).await? else { return Ok(None) };
    let wanted = match request.predicate.is_some() {
        false => None,
        true => match super::wanted(asked, &provider).await? {
            Some(places) => Some(places),
            None => return Ok(None),
        },
    };
    let files = &provider.files.data;
    let deleted = engine.manifests.deleted_rows(&provider.files, files).await?;
    let set = Arc::clone(set);
    let near = NearRows { asked, nearest, searched, set, provider, contents, deleted };
    let candidates = wanted.map(|places| near.by_position(&places));
    let hits = near.hits(candidates).await?;
    near.rows(&hits).await.map(Some)
}

/// A question, and all that is needed to find its rows.
struct NearRows<'a> {
    asked: &'a Asked,
    nearest: &'a Nearest,
    searched: Searched<'a>,
    set: Arc<VectorSet>,
    provider: IcebergProvider,
    /// By file, in the order of the provider's.
    contents: Vec<Arc<RowContents>>,
    deleted: DeletedRows,
}

impl NearRows<'_> {
    /// The wanted rows by the vector of their content.
    fn by_position(&self, places: &Places) -> HashMap<Position, Vec<Row>> {
        let files = self.provider.files.data.iter().enumerate();
        let numbers: HashMap<&str, usize> =
            files.map(|(number, file)| (file.file.file_path(), number)).collect();
        let of_block: Vec<Option<usize>> = places
            .blocks
            .iter()
            .map(|(file, _)| numbers.get(file.file.file_path()).copied())
            .collect();
        let mut found: HashMap<Position, Vec<Row>> = HashMap::new();
        for (block, row) in &places.rows {
            let Some(file) = of_block[*block] else { continue };
            let row = places.blocks[*block].1 * BLOCK_ROWS + row;
            let content = self.contents[file].content(row);
            let position = content.and_then(|content| self.set.position_of(content));
            if let Some(position) = position {
                found.entry(position).or_default().push((file, row));
            }
        }
        found
    }

    async fn hits(&self, candidates: Option<HashMap<Position, Vec<Row>>>) -> Result<Vec<Hit>> {
        let questions = self.searched.questions().await?;
        let asking: Vec<usize> =
            (0..questions.len()).filter(|question| questions[*question].vector.is_some()).collect();
        let vectors = asking.iter().filter_map(|question| questions[*question].vector.clone());
        let vectors = Arc::new(vectors.collect::<Vec<_>>());
        let mut among = match &candidates {
            Some(rows) => {
                let mut these: Vec<Position> = rows.keys().copied().collect();
                these.sort_unstable();
                Among::These(Arc::new(these))
            }
            None if self.nearest.exact => Among::All,
            None => Among::Likely,
        };
        let mut count = self.nearest.count.saturating_mul(2).saturating_add(8);
        loop {
            let (set, vectors, metric) =
                (Arc::clone(&self.set), Arc::clone(&vectors), self.searched.space.metric);
            let found = nearest(set, metric, vectors, count, among.clone()).await?;
            let hits = self.of_rows(&asking, found, candidates.as_ref());
            let hits = self.not_own(&questions, hits).await?;
            let (hits, enough) = self.first_of_each(&asking, hits);
            let likely = matches!(among, Among::Likely);
            if enough || (count >= self.set.len() && !likely) {
                return Ok(hits);
            }
            count = count.saturating_mul(MORE);
            if likely {
                among = Among::All;
            }
        }
    }

    /// The living rows with near contents, by query, nearest first.
    fn of_rows(
        &self,
        asking: &[usize],
        found: Vec<Vec<NearPosition>>,
        candidates: Option<&HashMap<Position, Vec<Row>>>,
    ) -> Vec<Hit> {
        let mut hits = Vec::new();
        for (query, near) in asking.iter().zip(found) {
            for (position, distance) in near {
                let hit = |row| Hit { query: *query, distance, row };
                match candidates {
                    Some(rows) => hits.extend(rows[&position].iter().copied().map(hit)),
                    None => hits.extend(self.living(position).map(hit)),
                }
            }
        }
        hits
    }

    fn living(&self, position: Position) -> impl Iterator<Item = Row> {
        let content = self.set.content(position);
        let files = self.contents.iter().zip(&self.provider.files.data).enumerate();
        files.flat_map(move |(number, (contents, file))| {
            let gone = self.deleted.get(file.file.file_path());
            let lives = move |row: &usize| {
                gone.is_none_or(|gone| gone.binary_search(&(*row as u64)).is_err())
            };
            contents.rows(content).filter(lives).map(move |row| (number, row))
        })
    }

    /// A row is not its own neighbour; queries by vector are nobody's.
    async fn not_own(&self, questions: &[Question], hits: Vec<Hit>) -> Result<Vec<Hit>> {
        if questions.iter().all(|question| question.own.is_none()) {
            return Ok(hits);
        }
        let fields = self.asked.object.table().map(|table| table.key.as_slice());
        let names: Vec<String> = fields
            .unwrap_or_default()
            .iter()
            .map(|id| self.asked.object.field(*id).name.as_ref().to_owned())
            .collect();
        let columns = self.columns(&names, &hits).await?;
        let mut kept = Vec::with_capacity(hits.len());
        for (at, hit) in hits.iter().enumerate() {
            let own = questions[hit.query].own.as_ref();
            let same = own.map(|own| has_key(&columns, at, own)).transpose()?;
            if same != Some(true) {
                kept.push(*hit);
            }
        }
        Ok(kept)
    }

    /// As many of each query as are asked for, and whether all have so many.
    fn first_of_each(&self, asking: &[usize], hits: Vec<Hit>) -> (Vec<Hit>, bool) {
        let mut counts: HashMap<usize, usize> = asking.iter().map(|query| (*query, 0)).collect();
        let mut first = hits;
        first.retain(|hit| {
            let count = counts.entry(hit.query).or_default();
            *count += 1;
            *count <= self.nearest.count
        });
        let enough = counts.values().all(|count| *count >= self.nearest.count);
        (first, enough)
    }

    /// Columns of the rows, one array for each name.
    async fn columns(&self, names: &[String], hits: &[Hit]) -> Result<Vec<ArrayRef>> {
        let mut places = Places::default();
        for Hit { row: (file, row), .. } in hits {
            let file = &self.provider.files.data[*file];
            places.add(file, row / BLOCK_ROWS, vec![row % BLOCK_ROWS]);
        }
        gather::named(self.asked, &self.provider, &places, names).await
    }

    async fn rows(&self, hits: &[Hit]) -> Result<RecordBatch> {
        let request = &self.asked.request;
        let hits = &hits[..request.limit.unwrap_or(usize::MAX).min(hits.len())];
        let mut names = self.asked.field_names();
        let mut columns = self.columns(&names, hits).await?;
        let distances = hits.iter().map(|hit| hit.distance);
        let queries = hits.iter().map(|hit| u32::try_from(hit.query).unwrap_or(u32::MAX));
        columns.push(Arc::new(Float32Array::from_iter_values(distances)));
        columns.push(Arc::new(UInt32Array::from_iter_values(queries)));
        names.extend([DISTANCE.to_owned(), QUERY.to_owned()]);
        batch(&names, columns, hits.len())
    }
}

/// Whether a row has a key.
fn has_key(columns: &[ArrayRef], row: usize, key: &[ScalarValue]) -> Result<bool> {
    for (column, part) in columns.iter().zip(key) {
        let value = ScalarValue::try_from_array(column, row);
        if value.map_err(|error| unfit(error.into()))? != *part {
            return Ok(false);
        }
    }
    Ok(true)
}
