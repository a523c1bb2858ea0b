//! Where the contents of a companion lie.
//!
//! ```text
//! newest version → held already | held before: what was added since | all of it → places → rows
//! ```
//!
//! In: hashes. Out: which of them a companion has, and the rows of those. Every write of a medium asks which
//! are known, and every read of one where it is: looking into all fragments for that would make each the
//! slower the more came before it. Places are held for companions that are small enough, and looked for
//! beyond. Not here: what the rows hold (`media`, `vectors`).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::UInt64Type;
use arrow::record_batch::RecordBatch;
use base::Result;
use futures::{FutureExt, TryStreamExt};
use lance::Dataset;
use lance::dataset::ProjectionRequest;
use lance_table::format::Fragment;

use super::Companions;
use super::content::{Content, content_named};
use crate::lance_store::failed;

/// Bytes of places that are held, over all companions.
pub(super) const HELD_BYTES: usize = 96 << 20;
/// Bytes that are held for a content.
const OF_ONE: usize = 64;
/// Contents that one filter looks for.
const AT_ONCE: usize = 512;

/// The fragments of a version by number, each with the name of its file, which nothing else ever has.
#[derive(Clone, Debug, Default)]
pub(super) struct Fragments(BTreeMap<u64, Arc<str>>);

impl Fragments {
    pub(super) fn of(dataset: &Dataset) -> Fragments {
        let file = |one: &Fragment| (one.id, Arc::from(file_of(one)));
        Fragments(dataset.fragments().iter().map(file).collect())
    }

    /// Whether what was read of these is there in the others as well. A companion only grows, and its
    /// fragments are joined some at a time; one that has none of them was made anew.
    pub(super) fn lead_to(&self, now: &Fragments) -> bool {
        self.0.is_empty() || self.0.iter().any(|(id, file)| now.0.get(id) == Some(file))
    }

    /// The fragments of a version that are not among these.
    pub(super) fn missing(&self, dataset: &Dataset) -> Vec<Fragment> {
        let is_new = |one: &&Fragment| {
            self.0.get(&one.id).is_none_or(|known| known.as_ref() != file_of(one))
        };
        dataset.fragments().iter().filter(is_new).cloned().collect()
    }

    fn has(&self, address: u64) -> bool {
        self.0.contains_key(&(address >> 32))
    }
}

fn file_of(fragment: &Fragment) -> &str {
    fragment.files.first().map_or("", |file| file.path.as_str())
}

/// The places of a companion at the version that was read last.
#[derive(Debug, Default)]
pub(super) struct Places {
    of: Option<Version>,
    addresses: HashMap<Content, u64>,
}

#[derive(Debug)]
struct Version {
    dataset: Arc<Dataset>,
    manifest: String,
    fragments: Fragments,
}

/// The companions whose places are held, each read by one at a time.
pub(super) type HeldPlaces = crate::cache::Cache<String, Arc<tokio::sync::Mutex<Places>>>;

/// Contents that were found, and where.
#[derive(Debug)]
pub(super) struct Found {
    dataset: Arc<Dataset>,
    addresses: HashMap<String, u64>,
}

impl Found {
    /// Whether a content is there.
    pub(super) fn has(&self, hash: &str) -> bool {
        self.addresses.contains_key(hash)
    }

    /// A column of the row of a content; nothing when there is none.
    pub(super) async fn row(&self, hash: &str, column: &str) -> Result<Option<RecordBatch>> {
        let Some(address) = self.addresses.get(hash) else { return Ok(None) };
        let columns = ProjectionRequest::from_columns([column], self.dataset.schema());
        let taken = self.dataset.take_rows(&[*address], columns).boxed().await;
        let taken = taken.map_err(|error| failed("read a companion", error))?;
        Ok((taken.num_rows() > 0).then_some(taken))
    }
}

impl Companions {
    /// Which of these contents a companion has; nothing when there is no such companion.
    pub(super) async fn find(&self, companion: &str, hashes: &[&str]) -> Result<Option<Found>> {
        let Some(manifest) = self.lance.newest_manifest(companion).await? else { return Ok(None) };
        let held = self.places.get(companion).unwrap_or_default();
        let mut places = held.lock().await;
        if places.of.as_ref().is_none_or(|of| of.manifest != manifest.path) {
            let version = Some(manifest.version);
            // The version may have gone meanwhile, together with the companion.
            let Some(dataset) = self.lance.dataset(companion, version, None).await? else {
                return Ok(None);
            };
            let rows = dataset.count_rows(None).await.map_err(wrong)?;
            if rows.saturating_mul(OF_ONE) > HELD_BYTES / 2 {
                self.places.remove(&companion.to_owned());
                return Ok(Some(look_for(dataset, hashes).await?));
            }
            places.follow(dataset, manifest.path).await?;
            self.places.put(companion.to_owned(), Arc::clone(&held), rows * OF_ONE);
        }
        Ok(places.found(hashes))
    }
}

impl Places {
    /// Reads what a version has that the one before it had not.
    async fn follow(&mut self, dataset: Arc<Dataset>, manifest: String) -> Result<()> {
        let now = Fragments::of(&dataset);
        let before = self.of.take().map(|of| of.fragments).unwrap_or_default();
        let before = if before.lead_to(&now) { before } else { Fragments::default() };
        if before.0.is_empty() {
            self.addresses.clear();
        }
        let new = before.missing(&dataset);
        if !new.is_empty() {
            let mut scanner = dataset.scan();
            scanner.project(&["hash"]).map_err(wrong)?.with_row_address().with_fragments(new);
            let mut batches = scanner.try_into_stream().await.map_err(wrong)?;
            while let Some(batch) = batches.try_next().await.map_err(wrong)? {
                self.addresses.extend(
                    addresses(&batch)
                        .filter_map(|(hash, address)| Some((content_named(hash)?, address))),
                );
            }
        }
        self.of = Some(Version { dataset, manifest, fragments: now });
        Ok(())
    }

    fn found(&self, hashes: &[&str]) -> Option<Found> {
        let of = self.of.as_ref()?;
        let address = |hash: &&str| {
            let address = *self.addresses.get(&content_named(hash)?)?;
            of.fragments.has(address).then(|| ((*hash).to_owned(), address))
        };
        let addresses = hashes.iter().filter_map(address).collect();
        Some(Found { dataset: Arc::clone(&of.dataset), addresses })
    }
}

/// Filters that together let the rows of these contents through.
pub(super) fn filters<H: AsRef<str>>(hashes: &[H]) -> impl Iterator<Item = String> {
    hashes.chunks(AT_ONCE).map(|some| {
        let listed: Vec<String> = some.iter().map(|hash| format!("'{}'", hash.as_ref())).collect();
        format!("hash IN ({})", listed.join(","))
    })
}

/// Looks into all fragments.
async fn look_for(dataset: Arc<Dataset>, hashes: &[&str]) -> Result<Found> {
    let mut found = HashMap::new();
    let asked: HashSet<&str> =
        hashes.iter().copied().filter(|hash| content_named(hash).is_some()).collect();
    let mut asked: Vec<&str> = asked.into_iter().collect();
    asked.sort_unstable();
    for filter in filters(&asked) {
        let mut scanner = dataset.scan();
        scanner.project(&["hash"]).map_err(wrong)?.filter(&filter).map_err(wrong)?;
        scanner.with_row_address();
        let mut batches = scanner.try_into_stream().await.map_err(wrong)?;
        while let Some(batch) = batches.try_next().await.map_err(wrong)? {
            found.extend(addresses(&batch).map(|(hash, address)| (hash.to_owned(), address)));
        }
    }
    Ok(Found { dataset, addresses: found })
}

/// The hashes of a batch, each with the address of its row.
fn addresses(batch: &RecordBatch) -> impl Iterator<Item = (&str, u64)> {
    let hashes = batch.column(0).as_string::<i32>();
    let addresses = batch.column(1).as_primitive::<UInt64Type>();
    (0..batch.num_rows())
        .filter(|row| hashes.is_valid(*row))
        .map(|row| (hashes.value(row), addresses.value(row)))
}

fn wrong(error: lance::Error) -> base::Error {
    failed("read a companion", error)
}

#[cfg(test)]
mod tests {
    use arrow::array::{LargeBinaryArray, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};

    use super::super::content::hash_of_text;
    use super::*;
    use crate::lance_fragments;

    const COMPANION: &str = "_companions/t/media.lance";

    fn text(number: usize) -> String {
        format!("text {number}")
    }

    async fn store(companions: &Companions, numbers: std::ops::Range<usize>) {
        let texts: Vec<String> = numbers.map(text).collect();
        let schema = Arc::new(Schema::new(vec![
            Field::new("hash", DataType::Utf8, false),
            Field::new("bytes", DataType::LargeBinary, false),
        ]));
        let hashes = StringArray::from_iter_values(texts.iter().map(|text| hash_of_text(text)));
        let bytes = LargeBinaryArray::from_iter_values(texts.iter().map(String::as_bytes));
        let batch = RecordBatch::try_new(schema, vec![Arc::new(hashes), Arc::new(bytes)]).unwrap();
        companions.lance.append(COMPANION, vec![batch]).await.unwrap();
    }

    async fn dataset(companions: &Companions) -> Arc<Dataset> {
        companions.lance.dataset(COMPANION, None, None).await.unwrap().unwrap()
    }

    /// The texts of these numbers are there, each with its bytes, and no other is.
    async fn check(companions: &Companions, there: std::ops::Range<usize>, all: usize) {
        let hashes: Vec<String> = (0..all).map(|number| hash_of_text(&text(number))).collect();
        let asked: Vec<&str> = hashes.iter().map(String::as_str).collect();
        let held = companions.find(COMPANION, &asked).await.unwrap().unwrap();
        let looked_for = look_for(dataset(companions).await, &asked).await.unwrap();
        for found in [held, looked_for] {
            for (number, hash) in hashes.iter().enumerate() {
                assert_eq!(found.has(hash), there.contains(&number), "{number}");
                let row = found.row(hash, "bytes").await.unwrap();
                let bytes = row.map(|row| row.column(0).as_binary::<i64>().value(0).to_vec());
                let expected = there.contains(&number).then(|| text(number).into_bytes());
                assert_eq!(bytes, expected, "{number}");
            }
        }
    }

    #[tokio::test]
    async fn contents_are_found_however_their_fragments_lie() {
        let companions = Companions::in_memory().await;
        assert!(companions.find(COMPANION, &["x"]).await.unwrap().is_none());
        store(&companions, 0..40).await;
        check(&companions, 0..40, 80).await;
        for number in 40..60 {
            store(&companions, number..number + 1).await;
        }
        check(&companions, 0..60, 80).await;
        let before = dataset(&companions).await;
        let plan = lance_fragments::plan(&before, false).await.unwrap().unwrap();
        lance_fragments::join(&before, &plan).await.unwrap();
        let after = dataset(&companions).await;
        assert_eq!((before.fragments().len(), after.fragments().len()), (21, 1));
        check(&companions, 0..60, 80).await;
        store(&companions, 60..61).await;
        check(&companions, 0..61, 80).await;
    }

    #[tokio::test]
    async fn a_companion_that_was_made_anew_has_nothing_of_before() {
        let companions = Companions::in_memory().await;
        store(&companions, 0..10).await;
        check(&companions, 0..10, 20).await;
        companions.lance.forget(COMPANION).await.unwrap();
        store(&companions, 10..12).await;
        check(&companions, 10..12, 20).await;
    }

    #[tokio::test]
    async fn what_is_no_hash_is_not_looked_for() {
        let companions = Companions::in_memory().await;
        store(&companions, 0..1).await;
        let asked = ["' OR true --", &hash_of_text(&text(0))];
        let held = companions.find(COMPANION, &asked).await.unwrap().unwrap();
        let looked_for = look_for(dataset(&companions).await, &asked).await.unwrap();
        assert!(!held.has(asked[0]) && !looked_for.has(asked[0]) && looked_for.has(asked[1]));
    }
}
