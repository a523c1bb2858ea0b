//! Which of too many snapshots go before their time.
//!
//! In: when the snapshots were made, and how many of them there may be. Out: those that go. The states of
//! the last minute stay; of the older ones those stay that lie evenly over the doublings of their age, as
//! backups are kept by the hour, then by the day, then by the week: a state of an hour ago is found to the minute,
//! one of a week ago to a few hours. Not here: what is past its time (`expire`).

use std::collections::HashSet;

/// Age in milliseconds up to which each snapshot stays: readers that began with it may still be told of it.
const YOUNG: i64 = 60_000;
/// States for each doubling of the age, at most.
const FINEST: f64 = 512.0;

/// A snapshot, as the choice sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) id: i64,
    /// When, in milliseconds.
    pub(super) at: i64,
    /// Whether it decides what became of others, and stays with them: it may have brought some back.
    pub(super) decides: bool,
}

/// The snapshots that go when there are more than `most`: half of `most` stay, so that the next choice is far off.
/// The young ones count, but leave room for a quarter of `most` that is older. The snapshots come in the order in
/// which they were made.
pub(super) fn superfluous(snapshots: &[Made], now: i64, most: usize) -> HashSet<i64> {
    if snapshots.len() <= most {
        return HashSet::new();
    }
    let old = snapshots.partition_point(|one| one.at + YOUNG < now);
    let young = snapshots.len() - old;
    let room = (most / 2).saturating_sub(young).max(most / 4);
    let mut fineness = FINEST;
    loop {
        let kept = spread(&snapshots[..old], now, fineness);
        if kept.len() <= room || fineness <= 1.0 {
            let gone = snapshots[..old].iter().map(|one| one.id);
            return gone.filter(|id| !kept.contains(id)).collect();
        }
        fineness /= 2.0;
    }
}

/// The oldest snapshot of each part of each doubling of the age.
fn spread(old: &[Made], now: i64, fineness: f64) -> HashSet<i64> {
    let part = |one: &Made| (((now - one.at) as f64).log2() * fineness) as i64;
    let firsts = old.chunk_by(|one, next| part(one) == part(next)).map(|chunk| chunk[0].id);
    firsts.chain(old.iter().filter(|one| one.decides).map(|one| one.id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn made_at(id: i64, at: i64) -> Made {
        Made { id, at, decides: false }
    }

    fn made(ats: impl IntoIterator<Item = i64>) -> Vec<Made> {
        ats.into_iter().enumerate().map(|(id, at)| made_at(id as i64, at)).collect()
    }

    #[test]
    fn few_and_young_snapshots_stay() {
        let few = made((0..100).map(|n| n * HOUR));
        assert!(superfluous(&few, 100 * HOUR, 100).is_empty());
        let young = made((0..1000).map(|n| n * 10));
        assert!(superfluous(&young, 10_000, 100).is_empty());
    }

    /// A day of ten commits a second, thinned whenever there are too many.
    #[test]
    fn a_busy_table_keeps_a_bounded_history_that_reaches_back() {
        let (most, second) = (1000, 1000);
        let mut kept: Vec<Made> = Vec::new();
        let (mut largest, mut times) = (0, 0);
        for tick in 0..24 * 3600 * 10 {
            let now = tick * second / 10;
            kept.push(made_at(tick, now));
            if tick % 100 == 0 {
                let gone = superfluous(&kept, now, most);
                times += i32::from(!gone.is_empty());
                largest = largest.max(kept.len());
                kept.retain(|one| !gone.contains(&one.id));
            }
        }
        let now = 24 * HOUR;
        assert!(largest <= most + 700, "{largest}");
        // Each time a good part goes, because each costs a commit.
        assert!(times < 24 * 3600 / 5, "{times}");
        assert!(kept[0].at < HOUR, "{:?}", kept[0]);
        // Whenever one looks back, there is a state of about that age.
        for pair in kept.windows(2) {
            let (gap, age) = (pair[1].at - pair[0].at, now - pair[1].at);
            assert!(gap <= age / 4 + second, "{pair:?}");
        }
    }

    #[test]
    fn what_stays_lies_evenly_over_the_doublings_of_its_age() {
        let snapshots = made((0..100_000).map(|n| n * 1000));
        let now = 100_000_000;
        let gone = superfluous(&snapshots, now, 400);
        let stays = |from: i64, to: i64| {
            let of_age = |one: &&Made| (from..to).contains(&(now - one.at));
            let stays = snapshots.iter().filter(of_age).filter(|one| !gone.contains(&one.id));
            stays.count()
        };
        assert_eq!((stays(0, 60_000), stays(2 * HOUR, 4 * HOUR)), (59, 8));
        assert_eq!((stays(4 * HOUR, 8 * HOUR), stays(8 * HOUR, 16 * HOUR)), (8, 8));
        let mut snapshots = snapshots.clone();
        snapshots[77].decides = true;
        assert!(gone.contains(&77) && !superfluous(&snapshots, now, 400).contains(&77));
    }
}
