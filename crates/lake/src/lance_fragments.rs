//! Which fragments of a Lance dataset are worth joining, and joining them.
//!
//! In: a dataset. Out: a version of it with the same rows in fewer files. Fragments are joined with those of
//! about their size, so that a row is written anew as often as its fragment grows by a step. Not here: when,
//! and how the version becomes the one that everybody reads (`lance_table::tidy`, `companion::join`).

use std::sync::Arc;

use futures::FutureExt;
use lance::Dataset;
use lance::dataset::index::DatasetIndexRemapperOptions;
use lance::dataset::optimize::{
    CompactionMetrics, CompactionOptions, CompactionPlan, TaskData, commit_compaction,
    plan_compaction,
};
use lance_table::format::Fragment;

/// Rows up to which fragments are of one size; larger ones are left alone.
const SIZES: [usize; 3] = [4_096, 65_536, 1 << 20];
/// Fragments of one size that are worth joining without being asked.
pub(crate) const MANY: usize = 16;
/// The share of a fragment's rows that were deleted which makes it worth writing anew.
const DELETED: f32 = 0.1;
/// Bytes that are joined at once: writers may wait meanwhile.
const LOT: u64 = 128 << 20;

/// What is to be joined, if anything: fragments of a size of which there are many, or, when somebody asked
/// for it, all that are small or have deleted rows.
pub(crate) async fn plan(dataset: &Dataset, asked: bool) -> lance::Result<Option<CompactionPlan>> {
    let Some(rows) = worth_joining(dataset, asked) else { return Ok(None) };
    let options = CompactionOptions {
        target_rows_per_fragment: rows,
        materialize_deletions_threshold: if asked { 0.0 } else { DELETED },
        ..CompactionOptions::default()
    };
    let mut plan = plan_compaction(dataset, &options).await?;
    if !asked {
        plan.tasks = plan.tasks.into_iter().flat_map(lots).collect();
    }
    Ok((!plan.tasks.is_empty()).then_some(plan))
}

/// Bytes that a plan reads.
pub(crate) fn read_by(plan: &CompactionPlan) -> u64 {
    plan.tasks.iter().flat_map(|task| &task.fragments).map(bytes).sum()
}

/// Writes what a plan joins, and commits it to the dataset.
pub(crate) async fn join(
    dataset: &Dataset,
    plan: &CompactionPlan,
) -> lance::Result<CompactionMetrics> {
    let mut written = Vec::with_capacity(plan.num_tasks());
    for task in plan.compaction_tasks() {
        written.push(task.execute(dataset).boxed().await?);
    }
    let remap = Arc::new(DatasetIndexRemapperOptions::default());
    commit_compaction(&mut dataset.clone(), written, remap, plan.options()).boxed().await
}

/// Rows below which fragments are to be joined.
fn worth_joining(dataset: &Dataset, asked: bool) -> Option<usize> {
    if asked {
        return SIZES.last().copied();
    }
    let small = dataset.fragments().iter().filter(|one| bytes(one) < LOT / 2);
    let sizes: Vec<usize> = small.filter_map(Fragment::num_rows).collect();
    SIZES.into_iter().find(|size| sizes.iter().filter(|rows| *rows < size).count() >= MANY)
}

/// Divides what lies beside each other into parts that are joined while writers wait.
fn lots(task: TaskData) -> Vec<TaskData> {
    let mut lots: Vec<Vec<Fragment>> = vec![Vec::new()];
    let mut held = 0;
    for fragment in task.fragments {
        held += bytes(&fragment);
        match lots.last_mut() {
            Some(lot) if held <= LOT => lot.push(fragment),
            _ => {
                held = bytes(&fragment);
                lots.push(vec![fragment]);
            }
        }
    }
    lots.retain(|lot| lot.len() > 1 || lot.iter().any(is_worn));
    lots.into_iter().map(|fragments| TaskData { fragments }).collect()
}

/// Whether so many of a fragment's rows were deleted that it is worth writing anew by itself.
fn is_worn(fragment: &Fragment) -> bool {
    let deleted = fragment.deletion_file.as_ref().and_then(|file| file.num_deleted_rows);
    let rows = fragment.physical_rows.unwrap_or(0);
    deleted.is_some_and(|deleted| deleted as f32 > rows as f32 * DELETED)
}

/// Bytes of a fragment's files.
fn bytes(fragment: &Fragment) -> u64 {
    fragment.files.iter().filter_map(|file| file.file_size_bytes.get()).map(u64::from).sum()
}
