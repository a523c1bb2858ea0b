//! The retry budget: every call pays a part of a token in, every retry takes a whole one out. In: that
//! a call begins, that one should be tried again. Out: whether it may be. So retries stay a share of
//! the calls however many fail, and a source in trouble is not drowned by them. The idea is Finagle's
//! `RetryBudget` (a share of calls plus a reserve) and gRPC's retry throttling (proposal A6: a bounded
//! number of tokens); unlike Finagle's, tokens do not age here, because their number is bounded.

use std::sync::atomic::{AtomicU64, Ordering};

use super::settings::RetrySettings;

/// A retry costs a hundred parts, so that a percent is one part.
const RETRY: u64 = 100;

/// A budget; see the module.
#[derive(Debug)]
pub(crate) struct Budget {
    parts: AtomicU64,
    percent: u64,
    most: u64,
}

impl Budget {
    pub(crate) fn new(settings: &RetrySettings) -> Self {
        let most = u64::from(settings.reserve).saturating_mul(RETRY);
        // A reserve of less than one retry could never pay for one.
        let most = if settings.budget_percent == 0 { most } else { most.max(RETRY) };
        let percent = u64::from(settings.budget_percent);
        Budget { parts: AtomicU64::new(most), percent, most }
    }

    /// A call begins.
    pub(crate) fn pay_in(&self) {
        let paid = |parts: u64| (parts < self.most).then(|| (parts + self.percent).min(self.most));
        // There is nothing to do when the budget is full.
        let _full = self.parts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, paid);
    }

    /// Whether one call may be tried again.
    pub(crate) fn take(&self) -> bool {
        let taken = |parts: u64| parts.checked_sub(RETRY);
        self.parts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_ok()
    }

    /// The retries that it would pay for now.
    pub(crate) fn left(&self) -> u64 {
        self.parts.load(Ordering::Relaxed) / RETRY
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn budget(percent: u32, reserve: u32) -> Budget {
        let settings = RetrySettings { budget_percent: percent, reserve, ..Default::default() };
        Budget::new(&settings)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]
        #[test]
        fn a_budget_is_its_model(
            percent in 0_u32..=100,
            reserve in 0_u32..6,
            steps in prop::collection::vec(any::<bool>(), 0..200),
        ) {
            let budget = budget(percent, reserve);
            // The model counts in percent of a retry, with exact numbers of its own.
            let most = i64::from(if percent > 0 { reserve.max(1) } else { reserve }) * 100;
            let (mut tokens, mut calls, mut retries) = (most, 0_i64, 0_i64);
            for is_call in steps {
                if is_call {
                    budget.pay_in();
                    calls += 1;
                    tokens = most.min(tokens + i64::from(percent));
                } else {
                    prop_assert_eq!(budget.take(), tokens >= 100);
                    if tokens >= 100 {
                        tokens -= 100;
                        retries += 1;
                    }
                }
                prop_assert_eq!(budget.left() as i64, tokens / 100);
                let share = most + calls * i64::from(percent);
                prop_assert!(retries * 100 <= share, "the share of calls holds");
            }
        }
    }
}
