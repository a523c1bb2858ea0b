//! Leases: one holder at a time, and fences that never repeat.

use std::time::Duration;

use base::ids::NodeId;
use base::rng::Rng;
use base::{Clock, Kind, Timestamp};
use futures::FutureExt;
use meta::Database;
use meta::leases::{self, Lease};

use crate::backends::on_each;

const TTL: Duration = Duration::from_secs(10);

fn node(seed: u64) -> NodeId {
    NodeId::generate(&Rng::seeded(seed))
}

async fn acquire(database: &Database, clock: &Clock, holder: NodeId) -> Option<Lease> {
    leases::acquire(database, clock, "compact", holder, TTL).await.expect("an answer")
}

async fn is_held(database: &Database, lease: &Lease) -> bool {
    let lease = lease.clone();
    let checked = database.write(move |tx| {
        let lease = lease.clone();
        async move { leases::check(tx, &lease).await }.boxed()
    });
    match checked.await {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(error.kind(), Kind::Conflict);
            false
        }
    }
}

#[tokio::test]
async fn a_lease_passes_on_when_it_expires_and_its_fence_grows() {
    on_each(async |place| {
        let database = place.open().await;
        let clock = Clock::fixed(Timestamp::from_micros(0));
        let first = acquire(&database, &clock, node(1)).await.unwrap();
        assert_eq!(acquire(&database, &clock, node(2)).await, None);
        assert_eq!(acquire(&database, &clock, node(1)).await, None);
        clock.advance(10_000_000);
        assert!(is_held(&database, &first).await, "nobody has taken it yet");
        let second = acquire(&database, &clock, node(2)).await.unwrap();
        assert_eq!((first.fence, second.fence), (1, 2));
        assert!(!is_held(&database, &first).await);
        let late = leases::renew(&database, &clock, &first, TTL).await.unwrap_err();
        assert_eq!(late.kind(), Kind::Conflict);
    })
    .await;
}

#[tokio::test]
async fn a_renewed_lease_stays_and_a_released_one_goes() {
    on_each(async |place| {
        let database = place.open().await;
        let clock = Clock::fixed(Timestamp::from_micros(0));
        let first = acquire(&database, &clock, node(1)).await.unwrap();
        clock.advance(6_000_000);
        let first = leases::renew(&database, &clock, &first, TTL).await.unwrap();
        clock.advance(6_000_000);
        assert_eq!(acquire(&database, &clock, node(2)).await, None);
        leases::release(&database, &first).await.unwrap();
        assert!(!is_held(&database, &first).await);
        let second = acquire(&database, &clock, node(2)).await.unwrap();
        leases::release(&database, &first).await.unwrap();
        assert!(is_held(&database, &second).await, "a late release frees nothing");
        assert_eq!(second.fence, 2);
    })
    .await;
}

#[tokio::test]
async fn clocks_that_jump_never_give_one_fence_twice() {
    on_each(async |place| {
        let database = place.open().await;
        let rng = Rng::seeded(11);
        let clocks = [(); 3].map(|()| Clock::fixed(Timestamp::from_micros(0)));
        let mut fences = Vec::new();
        for _ in 0..60 {
            let which = rng.below(3) as usize;
            // From two minutes back to two minutes ahead.
            clocks[which].advance(rng.below(240_000_000) as i64 - 120_000_000);
            if let Some(lease) = acquire(&database, &clocks[which], node(which as u64)).await {
                assert!(is_held(&database, &lease).await);
                fences.push(lease.fence);
            }
        }
        let expected: Vec<i64> = (1..=fences.len() as i64).collect();
        assert!(fences.len() > 5, "the seed lets the lease change hands");
        assert_eq!(fences, expected);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_rivals_one_gets_the_lease() {
    on_each(async |place| {
        let clock = Clock::fixed(Timestamp::from_micros(0));
        let mut rivals = Vec::new();
        for seed in 0..8 {
            let (database, clock) = (place.open().await, clock.clone());
            rivals.push(base::task::spawn("rival", async move {
                acquire(&database, &clock, node(seed)).await
            }));
        }
        let mut winners = Vec::new();
        for rival in rivals {
            winners.extend(rival.await.unwrap());
        }
        assert_eq!(winners.len(), 1);
        assert_eq!(winners[0].fence, 1);
    })
    .await;
}
