//! One scenario: all gateways are started, then measured in turns, A–B–C–A–B–C.
//!
//! In: a scenario. Out: for each gateway its turns, or why there are none. Not here: what the table makes
//! of them (`report`).

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::gateway::{Gateway, Kind, Places};
use crate::load::{Phase, Until, closed, open};
use crate::scenario::Scenario;
use crate::service::Service;
use crate::sources::{Counts, Sources};
use crate::work::Work;
use crate::{gateway, people};

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Length {
    rounds: usize,
    /// Before the first turn of a gateway.
    warm: Duration,
    turn: Duration,
}

impl Length {
    /// To quote.
    pub(crate) const FULL: Length =
        Length { rounds: 5, warm: Duration::from_secs(6), turn: Duration::from_secs(6) };
    /// To see that it runs.
    pub(crate) const QUICK: Length =
        Length { rounds: 2, warm: Duration::from_secs(1), turn: Duration::from_secs(1) };
}

/// What came of one gateway.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) turns: Result<Measured>,
}

/// A gateway's turns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measured {
    /// MiB when nobody had asked yet.
    pub(crate) idle: f64,
    /// Calls of sources for one request.
    pub(crate) calls: f64,
    pub(crate) turns: Vec<Turn>,
}

/// One turn.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Turn {
    /// Microseconds of the gateway's processor time for a request.
    pub(crate) cpu: f64,
    /// Requests a second, which on two cores says little.
    pub(crate) rate: f64,
    /// MiB at the end.
    pub(crate) memory: f64,
    /// Milliseconds of the middle request and of the slowest hundredth at half the load.
    pub(crate) half_load: Option<(f64, f64)>,
}

/// A gateway that takes turns.
struct Runner {
    gateway: Gateway,
    work: Arc<Work>,
    calls: f64,
}

/// Measures one scenario.
pub(crate) async fn run(
    scenario: Scenario,
    places: &Places,
    length: Length,
    whole: &Arc<Service>,
) -> Result<Vec<Outcome>> {
    let mut sources = Sources::start(0)?;
    sources.behave(scenario.mode())?;
    let lake = places.folder.join("lake");
    if scenario.is_lake() {
        people::make(&lake)?;
    }
    let (mut runners, mut outcomes) = (Vec::new(), Vec::new());
    for &kind in scenario.kinds() {
        let gateway = match scenario.is_lake() {
            true => gateway::ours(places, &lake).await,
            false => Gateway::start(kind, places, &sources.addresses).await,
        };
        let work = Arc::new(scenario.work(whole)?);
        let runner = match gateway {
            Ok(gateway) => Runner::warm(gateway, work, scenario, length, &mut sources).await,
            Err(error) => Err(error),
        };
        let measured = |runner: &Runner| Measured {
            idle: runner.gateway.idle,
            calls: runner.calls,
            turns: Vec::new(),
        };
        let turns = runner.as_ref().map(measured).map_err(|error| anyhow::anyhow!("{error:#}"));
        outcomes.push(Outcome { kind, name: kind.name(places), turns });
        runners.push(runner.ok());
    }
    for _ in 0..length.rounds {
        for (runner, outcome) in runners.iter().zip(&mut outcomes) {
            let (Some(runner), Ok(measured)) = (runner, &mut outcome.turns) else { continue };
            match runner.turn(scenario, length, &mut sources).await {
                Ok(turn) => measured.turns.push(turn),
                Err(error) => outcome.turns = Err(error),
            }
        }
    }
    Ok(outcomes)
}

impl Runner {
    /// Asks once, to see that the answer is right and how many calls it takes; then warms up.
    async fn warm(
        gateway: Gateway,
        work: Arc<Work>,
        scenario: Scenario,
        length: Length,
        sources: &mut Sources,
    ) -> Result<Runner> {
        let once = Until { time: length.warm, requests: 1 };
        // The first request may be the one that fetches what a gateway keeps of a source.
        closed(&gateway.target, &work, 1, once).await?;
        sources.counts()?;
        closed(&gateway.target, &work, 1, once).await?;
        let calls = sources.counts()?.sum() as f64;
        let until = Until { time: length.warm, requests: scenario.most() };
        closed(&gateway.target, &work, scenario.connections(), until).await?;
        Ok(Runner { gateway, work, calls })
    }

    async fn turn(
        &self,
        scenario: Scenario,
        length: Length,
        sources: &mut Sources,
    ) -> Result<Turn> {
        let Runner { gateway, work, .. } = self;
        let until = Until { time: length.turn, requests: scenario.most() };
        sources.counts()?;
        let before = gateway.cpu()?;
        let phase = closed(&gateway.target, work, scenario.connections(), until).await?;
        let cpu = (gateway.cpu()? - before) * 1_000_000.0 / phase.requests as f64;
        if !scenario.is_lake() {
            self.check_calls(scenario, &phase, &sources.counts()?)?;
        }
        let memory = gateway.memory()?;
        let mut half_load = None;
        if scenario.has_open_loop() {
            let (rate, time) = (phase.rate() / 2.0, length.turn / 2);
            let half = open(&gateway.target, work, scenario.connections(), rate, time).await?;
            half_load = Some((half.within(0.5), half.within(0.99)));
        }
        Ok(Turn { cpu, rate: phase.rate(), memory, half_load })
    }

    /// Nobody may answer two requests by one call, which no gateway may do whose clients have rights of
    /// their own.
    fn check_calls(&self, scenario: Scenario, phase: &Phase, counts: &Counts) -> Result<()> {
        let requests = phase.requests as f64;
        // Where a source fails, a gateway is right to stop calling it; documents are not all alike.
        if !matches!(scenario, Scenario::Failing | Scenario::Documents) {
            let calls = counts.sum() as f64 / requests;
            ensure!(
                calls > self.calls * 0.99,
                "requests share calls: {calls:.2} for each, {} for one alone",
                self.calls
            );
        }
        let viewers = counts.viewers as f64;
        ensure!(
            self.gateway.kind == Kind::Ours || viewers > requests * 0.99,
            "the header of {requests} requests reached the sources {viewers} times"
        );
        Ok(())
    }
}
