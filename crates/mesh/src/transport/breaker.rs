//! The circuit breaker: whether a source is well enough to be called. In: what came of the calls, and
//! the time. Out: whether the next one may be sent. Pure: the time is given with every question.
//!
//! ```text
//! Closed ─ too many failures ─> Open ─ time over ─> HalfOpen ─ tries went well ─> Closed
//!                                ^────────── a try failed ──────────┘
//! ```
//!
//! The idea is Nygard's (Release It!, 2007); the rolling window by count and by time at once, the
//! minimum, and tries one at a time follow Resilience4j's and Polly's documentation.

use std::collections::VecDeque;

use base::Timestamp;

use super::settings::BreakerSettings;

/// A breaker; see the module.
#[derive(Debug)]
pub(crate) struct Breaker {
    settings: BreakerSettings,
    state: State,
    /// Rises with every change of the state, so that an answer to a call of an earlier state says
    /// nothing about this one.
    era: u64,
    opened: u64,
}

#[derive(Debug)]
enum State {
    Closed(Window),
    Open { until: Timestamp },
    HalfOpen { trying: bool, passed: u32 },
}

/// The last calls that count.
#[derive(Debug, Default)]
struct Window {
    calls: VecDeque<(Timestamp, bool)>,
    failed: usize,
}

/// Leave to send one call; it must be settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    era: u64,
}

/// What a call says about its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It works.
    Well,
    /// It does not.
    Failed,
    /// Nothing: the call was given up by this side.
    Unknown,
}

/// A breaker's state for people and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls are sent.
    Closed,
    /// None is.
    Open,
    /// One at a time is, to try.
    HalfOpen,
}

impl Breaker {
    pub(crate) fn new(settings: BreakerSettings) -> Self {
        Breaker { settings, state: State::Closed(Window::default()), era: 0, opened: 0 }
    }

    /// Leave for one call, or `None`.
    pub(crate) fn admit(&mut self, now: Timestamp) -> Option<Ticket> {
        if !self.would_admit(now) {
            return None;
        }
        if let State::Open { .. } = self.state {
            self.turn(State::HalfOpen { trying: false, passed: 0 });
        }
        if let State::HalfOpen { trying, .. } = &mut self.state {
            *trying = true;
        }
        Some(Ticket { era: self.era })
    }

    /// Whether [`Breaker::admit`] would give leave now.
    pub(crate) fn would_admit(&self, now: Timestamp) -> bool {
        match &self.state {
            State::Closed(_) => true,
            // A clock that was put back must not keep the breaker open for longer than was set.
            State::Open { until } => now >= *until || micros(*until, now) > self.open_micros(),
            State::HalfOpen { trying, .. } => !trying,
        }
    }

    /// Notes what came of a call.
    pub(crate) fn settle(&mut self, ticket: Ticket, outcome: Outcome, now: Timestamp) {
        if ticket.era != self.era {
            return;
        }
        match &mut self.state {
            State::Closed(window) => {
                if outcome == Outcome::Unknown {
                    return;
                }
                window.note(now, outcome == Outcome::Failed, &self.settings);
                if window.is_bad(&self.settings) {
                    self.open(now);
                }
            }
            State::HalfOpen { trying, passed } => {
                *trying = false;
                match outcome {
                    Outcome::Unknown => {}
                    Outcome::Failed => self.open(now),
                    Outcome::Well if *passed + 1 < self.settings.probes => *passed += 1,
                    Outcome::Well => self.turn(State::Closed(Window::default())),
                }
            }
            // No ticket is given in this state, and those of earlier ones are of another era.
            State::Open { .. } => {}
        }
    }

    /// The state as of now, and how often it opened.
    pub(crate) fn state(&self, now: Timestamp) -> (BreakerState, u64) {
        let state = match &self.state {
            State::Closed(_) => BreakerState::Closed,
            State::Open { .. } if self.would_admit(now) => BreakerState::HalfOpen,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        };
        (state, self.opened)
    }

    fn open(&mut self, now: Timestamp) {
        let until = now.as_micros().saturating_add(self.open_micros());
        self.opened += 1;
        self.turn(State::Open { until: Timestamp::from_micros(until) });
    }

    fn turn(&mut self, state: State) {
        self.state = state;
        self.era += 1;
    }

    fn open_micros(&self) -> i64 {
        i64::try_from(self.settings.open_for.as_micros()).unwrap_or(i64::MAX)
    }
}

impl Window {
    fn note(&mut self, now: Timestamp, failed: bool, settings: &BreakerSettings) {
        while let Some((at, _)) = self.calls.front() {
            let is_old = micros(now, *at).unsigned_abs() >= as_micros(settings);
            if !is_old && self.calls.len() < settings.calls {
                break;
            }
            let (_, had_failed) = self.calls.pop_front().unwrap_or((now, false));
            self.failed -= usize::from(had_failed);
        }
        self.calls.push_back((now, failed));
        self.failed += usize::from(failed);
    }

    fn is_bad(&self, settings: &BreakerSettings) -> bool {
        let count = self.calls.len();
        count >= settings.minimum && self.failed * 100 >= settings.failed_percent as usize * count
    }
}

fn as_micros(settings: &BreakerSettings) -> u64 {
    u64::try_from(settings.window.as_micros()).unwrap_or(u64::MAX)
}

/// From `earlier` to `later`.
fn micros(later: Timestamp, earlier: Timestamp) -> i64 {
    later.as_micros().saturating_sub(earlier.as_micros())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const SETTINGS: BreakerSettings = BreakerSettings {
        calls: 6,
        window: Duration::from_micros(10),
        minimum: 3,
        failed_percent: 50,
        open_for: Duration::from_micros(7),
        probes: 2,
    };

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    /// The same, told anew at every step from the whole history.
    #[derive(Debug, Default)]
    struct Model {
        /// When and how the calls of this closed time ended.
        history: Vec<(i64, bool)>,
        open_until: Option<i64>,
        passed: Option<u32>,
        trying: bool,
        era: u64,
    }

    impl Model {
        fn admit(&mut self, now: i64) -> Option<u64> {
            if self.open_until.is_some_and(|until| now < until) || self.trying {
                return None;
            }
            if self.open_until.take().is_some() {
                self.passed = Some(0);
                self.era += 1;
            }
            self.trying = self.passed.is_some();
            Some(self.era)
        }

        fn settle(&mut self, era: u64, outcome: Outcome, now: i64) {
            if era != self.era {
                return;
            }
            self.trying = false;
            let failed = outcome == Outcome::Failed;
            let opens = match (self.passed, outcome) {
                (_, Outcome::Unknown) => false,
                (Some(_), _) => failed,
                (None, _) => {
                    self.history.push((now, failed));
                    let last = self.history.iter().rev().take(SETTINGS.calls);
                    let counted: Vec<_> = last.filter(|(then, _)| now - then < 10).collect();
                    let failures = counted.iter().filter(|(_, failed)| *failed).count();
                    counted.len() >= SETTINGS.minimum && failures * 2 >= counted.len()
                }
            };
            if opens {
                *self = Model { open_until: Some(now + 7), era: self.era + 1, ..Model::default() };
            } else if outcome == Outcome::Well {
                match self.passed {
                    Some(1) => *self = Model { era: self.era + 1, ..Model::default() },
                    Some(passed) => self.passed = Some(passed + 1),
                    None => {}
                }
            }
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Wait(i64),
        Admit,
        /// Ends one of the calls that run.
        Settle(prop::sample::Index, Outcome),
    }

    fn step() -> impl Strategy<Value = Step> {
        let outcome = prop_oneof![
            3 => Just(Outcome::Failed),
            3 => Just(Outcome::Well),
            1 => Just(Outcome::Unknown),
        ];
        prop_oneof![
            (0_i64..9).prop_map(Step::Wait),
            Just(Step::Admit),
            Just(Step::Admit),
            (any::<prop::sample::Index>(), outcome).prop_map(|(i, o)| Step::Settle(i, o)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn a_breaker_is_its_model(steps in prop::collection::vec(step(), 0..80)) {
            let (mut breaker, mut model) = (Breaker::new(SETTINGS), Model::default());
            let (mut now, mut running) = (0, Vec::new());
            for step in steps {
                match step {
                    Step::Wait(micros) => now += micros,
                    Step::Admit => {
                        let ticket = breaker.admit(at(now));
                        prop_assert_eq!(ticket.map(|ticket| ticket.era), model.admit(now));
                        running.extend(ticket);
                    }
                    Step::Settle(_, _) if running.is_empty() => {}
                    Step::Settle(index, outcome) => {
                        let ticket: Ticket = running.swap_remove(index.index(running.len()));
                        breaker.settle(ticket, outcome, at(now));
                        model.settle(ticket.era, outcome, now);
                    }
                }
                if let State::HalfOpen { trying, .. } = breaker.state {
                    let tries = running.iter().filter(|ticket| ticket.era == breaker.era).count();
                    prop_assert_eq!(tries, usize::from(trying), "one try at a time");
                }
            }
        }
    }

    #[test]
    fn a_clock_that_is_put_back_does_not_keep_the_breaker_open() {
        let mut breaker = Breaker::new(SETTINGS);
        for _ in 0..3 {
            let ticket = breaker.admit(at(1_000)).unwrap();
            breaker.settle(ticket, Outcome::Failed, at(1_000));
        }
        assert_eq!(breaker.admit(at(1_006)), None);
        assert_eq!(breaker.state(at(1_006)), (BreakerState::Open, 1));
        assert!(breaker.admit(at(10)).is_some());
    }
}
