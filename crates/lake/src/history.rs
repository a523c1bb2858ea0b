//! What the snapshots that are kept say of a table's past.
//!
//! In: an Iceberg table of the schema. Its history is one line, in the order of the sequence numbers: going
//! back is a new snapshot (`maintain::rollback`), and no tool may move the table back (`rest::check`). States
//! of it may be gone (`maintain::thin`), so neither parents nor Iceberg's log lead through it: a parent may
//! be missing, and the log is cut off at the last gap. Not here: which states go.

use base::{Error, Kind, Result, Timestamp};
use iceberg::spec::{Snapshot, SnapshotRef, TableMetadata};

use crate::table::{Table, summary};

/// The state that the table was in at a moment; `None` when it is older than all that are kept. Refused
/// when that state is gone while older ones are kept: the next one would be another answer.
pub(crate) fn state_at<'a>(
    table: &Table,
    metadata: &'a TableMetadata,
    time: Timestamp,
) -> Result<Option<&'a SnapshotRef>> {
    let millis = time.as_millis();
    if let Some(known) = metadata.history().iter().rfind(|log| log.timestamp_ms <= millis) {
        return Ok(metadata.snapshot_by_id(known.snapshot_id));
    }
    let line = line(metadata);
    let next = line.partition_point(|one| one.timestamp_ms() <= millis);
    let Some(before) = next.checked_sub(1).map(|place| line[place]) else { return Ok(None) };
    match line.get(next) {
        Some(after)
            if before.timestamp_ms() < millis
                && after.parent_snapshot_id() != Some(before.snapshot_id()) =>
        {
            let told = |one: &Snapshot| {
                let at = Timestamp::from_micros(one.timestamp_ms().saturating_mul(1000));
                format!("{} of {at}", one.snapshot_id())
            };
            let text = format!("the state of table `{}` at {time} is not kept", table.name);
            let hint = format!("the nearest are {} and {}", told(before), told(after));
            Err(Error::new(Kind::NotFound, text).hint(hint))
        }
        _ => Ok(Some(before)),
    }
}

/// Whether a state that is kept is no part of the present one, because the table went back to an
/// earlier one.
pub(crate) fn taken_back(metadata: &TableMetadata, id: i64) -> bool {
    let mut counts = i64::MAX;
    for snapshot in line(metadata).into_iter().rev() {
        if snapshot.sequence_number() > counts {
            continue;
        }
        if snapshot.snapshot_id() == id {
            return false;
        }
        counts = went_back_to(snapshot).unwrap_or(counts);
    }
    true
}

/// The sequence number of the state that a snapshot brought back.
fn went_back_to(snapshot: &Snapshot) -> Option<i64> {
    snapshot.summary().additional_properties.get(summary::BACK_TO)?.parse().ok()
}

/// Whether a state may have files that an earlier one had and those between have not: it brought one
/// back, or is another tool's. All other files come once and go once.
pub(crate) fn may_bring_back(snapshot: &Snapshot) -> bool {
    let properties = &snapshot.summary().additional_properties;
    properties.contains_key(summary::BACK_TO)
        || properties.contains_key(summary::FOREIGN)
        || !properties.contains_key(summary::TEXT)
}

/// All that are kept, oldest first.
pub(crate) fn line(metadata: &TableMetadata) -> Vec<&SnapshotRef> {
    let mut snapshots: Vec<_> = metadata.snapshots().collect();
    snapshots.sort_unstable_by_key(|snapshot| snapshot.sequence_number());
    snapshots
}
