//! Asks the parts of a table.
//!
//! In: a query and the parts of the files that a snapshot has. Out: for each file the positions of
//! the rows that match, with their BM25 scores; word counts are summed over all parts first, so that
//! a score does not depend on how rows are spread over files. Not here: deleted rows.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use base::{Error, Kind, Result};
use tantivy::query::{Bm25StatisticsProvider, EnableScoring, Query};
use tantivy::schema::Field;
use tantivy::{Searcher, Term};

use super::build::schema;
use super::language::parse;
use super::parts::{Part, TextIndexes};

/// Documents with its words up to which a search is done on the thread that asks, within a millisecond or so:
/// handing it to another one and waiting costs more than most searches.
const SHORT: u64 = 100_000;

/// Rows of one file that match: positions, ascending, with scores.
pub(crate) type Hits = Vec<(u64, f32)>;

/// The hits of each file. `asked` are positions among the `fields` that are indexed.
pub(crate) async fn find(
    indexes: &TextIndexes,
    files: &[Arc<Vec<Part>>],
    text: &str,
    fields: usize,
    asked: &[usize],
    most: u64,
) -> Result<Vec<Hits>> {
    let (_, all) = schema(fields);
    let wanted: Vec<Field> = asked.iter().filter_map(|index| all.get(*index).copied()).collect();
    let query: Arc<dyn Query> = Arc::from(parse(text, &wanted)?);
    let statistics = Arc::new(gather(indexes, files, &query).await?);
    let (mut found, mut total) = (Vec::with_capacity(files.len()), 0);
    for parts in files {
        let mut hits = Hits::new();
        for part in parts.iter() {
            let searcher = indexes.open(part).await?;
            let (query, statistics, start) =
                (Arc::clone(&query), Arc::clone(&statistics), part.start);
            hits.extend(
                base::task::blocking("search-text", move || {
                    hits_of(&searcher, query.as_ref(), statistics.as_ref(), start)
                })
                .await??,
            );
        }
        total += hits.len() as u64;
        if total > most {
            return Err(Error::new(
                Kind::LimitExceeded,
                format!("the search `{text}` finds more than {most} rows"),
            )
            .hint("add words"));
        }
        found.push(hits);
    }
    Ok(found)
}

/// A question for the best rows only.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    /// What is looked for.
    pub(crate) text: &'a str,
    /// Fields that are indexed.
    pub(crate) fields: usize,
    /// Which of them are asked.
    pub(crate) asked: &'a [usize],
    /// Rows of each file that no longer count, ascending.
    pub(crate) gone: Vec<Vec<u64>>,
    /// How many rows.
    pub(crate) count: usize,
}

/// A row that matches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Hit {
    /// The file, by its place in the snapshot.
    pub(crate) file: usize,
    /// The row's position in it.
    pub(crate) position: u64,
    /// Its BM25 score.
    pub(crate) score: f32,
}

/// The rows with the best scores, best first.
pub(crate) async fn best(
    indexes: &TextIndexes,
    files: &[Arc<Vec<Part>>],
    wanted: Wanted<'_>,
) -> Result<Vec<Hit>> {
    let (_, all) = schema(wanted.fields);
    let asked: Vec<Field> = wanted.asked.iter().filter_map(|at| all.get(*at).copied()).collect();
    let query = parse(wanted.text, &asked)?;
    let mut searchers = Vec::new();
    for (file, parts) in files.iter().enumerate() {
        for part in parts.iter() {
            searchers.push((file, part.start, indexes.open(part).await?));
        }
    }
    let mut terms: Vec<Term> = Vec::new();
    query.query_terms(&mut |term, _| terms.push(term.clone()));
    let mut statistics = Statistics::default();
    for (_, _, searcher) in &searchers {
        statistics = count(statistics, searcher, &terms).map_err(damaged)?;
    }
    let (gone, count) = (wanted.gone, wanted.count);
    let short = statistics.frequencies.values().sum::<u64>() <= SHORT;
    let look = move || best_of(&searchers, query.as_ref(), &statistics, &gone, count);
    match short {
        true => look(),
        false => base::task::blocking("search-text", look).await?,
    }
}

fn best_of(
    searchers: &[(usize, u64, Searcher)],
    query: &dyn Query,
    statistics: &Statistics,
    gone: &[Vec<u64>],
    count: usize,
) -> Result<Vec<Hit>> {
    let mut best = Best { count, hits: BinaryHeap::with_capacity(count + 1) };
    for (file, start, searcher) in searchers {
        let of = Of { file: *file, start: *start, gone: &gone[*file] };
        best.look_into(searcher, query, statistics, &of).map_err(damaged)?;
    }
    Ok(best.hits.into_sorted_vec().into_iter().map(|Worst(hit)| hit).collect())
}

/// The part that is looked into.
struct Of<'a> {
    file: usize,
    start: u64,
    gone: &'a [u64],
}

/// The best so far; the worst of them is on top.
struct Best {
    count: usize,
    hits: BinaryHeap<Worst>,
}

impl Best {
    fn look_into(
        &mut self,
        searcher: &Searcher,
        query: &dyn Query,
        statistics: &Statistics,
        of: &Of<'_>,
    ) -> tantivy::Result<()> {
        let scoring = EnableScoring::enabled_from_statistics_provider(statistics, searcher);
        let weight = query.weight(scoring)?;
        for segment in searcher.segment_readers() {
            let threshold = self.threshold();
            weight.for_each_pruning(threshold, segment, &mut |document, score| {
                let position = of.start + u64::from(document);
                if of.gone.binary_search(&position).is_err() {
                    self.add(Hit { file: of.file, position, score });
                }
                self.threshold()
            })?;
        }
        Ok(())
    }

    /// What a score must be above to count.
    fn threshold(&self) -> f32 {
        match self.hits.peek() {
            Some(Worst(worst)) if self.hits.len() >= self.count => worst.score,
            _ => f32::MIN,
        }
    }

    fn add(&mut self, hit: Hit) {
        self.hits.push(Worst(hit));
        if self.hits.len() > self.count {
            self.hits.pop();
        }
    }
}

/// A hit, ordered so that the worst is the largest; ties go to the earlier row.
#[derive(Debug)]
struct Worst(Hit);

impl Ord for Worst {
    fn cmp(&self, other: &Self) -> Ordering {
        let place = |hit: &Hit| (hit.file, hit.position);
        let by_score = other.0.score.total_cmp(&self.0.score);
        by_score.then_with(|| place(&self.0).cmp(&place(&other.0)))
    }
}

impl PartialOrd for Worst {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Worst {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Worst {}

/// Counts over all parts.
#[derive(Debug, Default)]
struct Statistics {
    documents: u64,
    tokens: HashMap<Field, u64>,
    frequencies: HashMap<Term, u64>,
}

impl Bm25StatisticsProvider for Statistics {
    fn total_num_tokens(&self, field: Field) -> tantivy::Result<u64> {
        Ok(self.tokens.get(&field).copied().unwrap_or(0))
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        Ok(self.documents)
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        Ok(self.frequencies.get(term).copied().unwrap_or(0))
    }
}

async fn gather(
    indexes: &TextIndexes,
    files: &[Arc<Vec<Part>>],
    query: &Arc<dyn Query>,
) -> Result<Statistics> {
    let mut terms: Vec<Term> = Vec::new();
    query.query_terms(&mut |term, _| terms.push(term.clone()));
    let terms = Arc::new(terms);
    let mut statistics = Statistics::default();
    for part in files.iter().flat_map(|parts| parts.iter()) {
        let searcher = indexes.open(part).await?;
        let terms = Arc::clone(&terms);
        statistics = base::task::blocking("count-words", move || {
            count(statistics, &searcher, &terms).map_err(damaged)
        })
        .await??;
    }
    Ok(statistics)
}

fn count(
    mut statistics: Statistics,
    searcher: &Searcher,
    terms: &[Term],
) -> tantivy::Result<Statistics> {
    statistics.documents += searcher.total_num_docs()?;
    for (field, _) in searcher.schema().fields() {
        *statistics.tokens.entry(field).or_default() += searcher.total_num_tokens(field)?;
    }
    for term in terms {
        let frequency = Bm25StatisticsProvider::doc_freq(searcher, term)?;
        *statistics.frequencies.entry(term.clone()).or_default() += frequency;
    }
    Ok(statistics)
}

fn hits_of(
    searcher: &Searcher,
    query: &dyn Query,
    statistics: &Statistics,
    start: u64,
) -> Result<Hits> {
    let scoring = EnableScoring::enabled_from_statistics_provider(statistics, searcher);
    let weight = query.weight(scoring).map_err(damaged)?;
    let mut hits = Hits::new();
    for segment in searcher.segment_readers() {
        weight
            .for_each(segment, &mut |document, score| {
                hits.push((start + u64::from(document), score));
            })
            .map_err(damaged)?;
    }
    hits.sort_unstable_by_key(|(position, _)| *position);
    Ok(hits)
}

fn damaged(error: tantivy::TantivyError) -> Error {
    Error::new(Kind::Corrupt, "failed to search a text index").caused_by(error)
}
