//! Histories at random: whatever is compacted, rolled back, let go and removed, each state that is kept
//! can be read whole.

use std::collections::HashMap;
use std::time::Duration;

use base::rng::Rng;
use frame::Value;
use lake::{Change, Config, Lake, TableChange};

use crate::lab::{self, Lab, film, info, row};

const MINUTE: i64 = 60_000_000;

/// A table, and what each state of it held.
struct Past {
    lake: Lake,
    rng: Rng,
    states: HashMap<i64, Vec<Vec<Value>>>,
    made: i64,
}

impl Past {
    async fn step(&mut self) {
        match self.rng.below(10) {
            0..=3 => self.insert().await,
            4..=5 => self.delete().await,
            6 => drop(self.lake.compact("Film").await.unwrap()),
            7 => self.go_back().await,
            8 => drop(self.lake.expire("Film", None).await.unwrap()),
            _ => drop(self.lake.clean_orphans(Duration::ZERO).await.unwrap()),
        }
        let rows = lab::rows(&self.lake, "Film").await;
        let kept = self.lake.snapshots("Film").await.unwrap();
        // A compaction makes several states, all of the same rows.
        for state in &kept {
            self.states.entry(state.id).or_insert_with(|| rows.clone());
        }
        assert!(kept.last().is_none_or(|present| self.states[&present.id] == rows));
    }

    async fn insert(&mut self) {
        let new = self.made..self.made + 1 + self.rng.below(4) as i64;
        self.made = new.end;
        let rows: Vec<_> = new.map(|n| row(&format!("{n}"), "t", n)).collect();
        let staged = lab::stage(&self.lake, "Film", &rows).await;
        self.commit(Change::Insert(staged)).await;
    }

    async fn delete(&mut self) {
        let key = self.rng.below(self.made as u64 + 1).to_string();
        self.commit(Change::Delete(vec![vec![key.as_str().into()]])).await;
    }

    async fn commit(&self, change: Change) {
        let change = TableChange { type_name: "Film".into(), change };
        self.lake.commit(vec![change], info("test")).await.unwrap();
    }

    async fn go_back(&mut self) {
        let snapshots = self.lake.snapshots("Film").await.unwrap();
        if snapshots.is_empty() {
            return;
        }
        let to = snapshots[self.rng.below(snapshots.len() as u64) as usize].id;
        self.lake.rollback("Film", to, "test").await.unwrap();
        assert_eq!(lab::rows(&self.lake, "Film").await, self.states[&to]);
    }

    async fn check(&self) {
        let table = self.lake.table("Film").await.unwrap();
        for snapshot in table.iceberg().unwrap().snapshots() {
            let mut rows = lab::rows_at(&self.lake, "Film", Some(snapshot.as_ref())).await;
            rows.sort();
            assert_eq!(rows, self.states[&snapshot.snapshot_id()]);
        }
        self.lake.verify().await.unwrap();
    }
}

#[tokio::test]
async fn every_state_that_is_kept_can_be_read_whole() {
    let mut let_go = 0;
    for seed in 0..3 {
        let lab = Lab::new(vec![film()]).await;
        let config = Config {
            compact: false,
            snapshots: Some(12),
            retain: Duration::from_secs(90 * 60),
            ..lab.lake.config().clone()
        };
        let lake = Lake::open(config, lab.lake.schema()).await.unwrap();
        let rng = Rng::seeded(seed);
        let mut past = Past { lake, rng, states: HashMap::new(), made: 0 };
        for _ in 0..80 {
            lab.clock.advance(past.rng.below(4 * MINUTE as u64) as i64);
            past.step().await;
        }
        past.lake.clean_orphans(Duration::ZERO).await.unwrap();
        past.check().await;
        let_go += past.states.len() - past.lake.snapshots("Film").await.unwrap().len();
    }
    assert!(let_go > 50, "{let_go}");
}
