//! What the table says of the turns.
//!
//! In: for each gateway its turns. Out: rows with notes, and the whole as JSON. Not here: printing.

use serde_json::{Value, json};

use crate::gateway::Kind;
use crate::row::{Row, median};
use crate::scenario::Scenario;
use crate::turns::{Measured, Outcome, Turn};

/// Microseconds that a small request may cost.
const SMALL: f64 = 40.0;
/// Heavy requests that a second of one core must do.
const HEAVY: f64 = 2500.0;
/// MiB at 50 connections.
const MEMORY: f64 = 64.0;

/// The rows of a scenario.
pub(crate) fn rows(scenario: Scenario, outcomes: &[Outcome]) -> Vec<Row> {
    let ours = outcomes.iter().find(|outcome| outcome.kind == Kind::Ours);
    let ours = ours.and_then(|outcome| outcome.turns.as_ref().ok());
    let cost = |measured: &Measured| middle(measured, |turn| turn.cpu);
    let own = ours.map_or(f64::NAN, cost);
    let peers = outcomes.iter().filter(|outcome| outcome.kind != Kind::Ours);
    let best = peers
        .filter_map(|outcome| Some((&outcome.name, cost(outcome.turns.as_ref().ok()?))))
        .min_by(|left, right| left.1.total_cmp(&right.1));
    let title = scenario.title();
    let mut row = Row::cost(title, own, "cpu-µs");
    if !scenario.is_lake() {
        let name = best.map_or("", |(name, _)| name.as_str());
        row = row.against(name, best.map(|(_, cost)| cost), scenario.times());
    }
    row.notes = outcomes.iter().map(note).collect();
    let mut rows = vec![row];
    match scenario {
        Scenario::Small => {
            rows.push(Row::cost(format!("{title}, alone"), own, "cpu-µs").bound(SMALL))
        }
        Scenario::Heavy => {
            let rate = 1_000_000.0 / own;
            let memory = ours.map_or(f64::NAN, |ours| middle(ours, |turn| turn.memory));
            rows.push(
                Row::rate(format!("{title}, a second of a core"), rate, "requests").bound(HEAVY),
            );
            rows.push(Row::cost("memory at 50 connections", memory, "MiB").bound(MEMORY));
        }
        _ => {}
    }
    rows
}

/// One line on one gateway.
fn note(outcome: &Outcome) -> String {
    let name = &outcome.name;
    let measured = match &outcome.turns {
        Ok(measured) => measured,
        Err(error) => return format!("{name} cannot run: {}", first_lines(&format!("{error:#}"))),
    };
    let all: Vec<f64> = measured.turns.iter().map(|turn| turn.cpu).collect();
    let least = all.iter().copied().fold(f64::INFINITY, f64::min);
    let most = all.iter().copied().fold(0.0, f64::max);
    let mut text = format!(
        "{name}: {:.0} cpu-µs [{least:.0}–{most:.0}] in {} turns, {:.0} requests/s, {:.0} calls, {:.0} MiB (idle {:.0})",
        median(all.clone()),
        all.len(),
        middle(measured, |turn| turn.rate),
        measured.calls,
        middle(measured, |turn| turn.memory),
        measured.idle,
    );
    if measured.turns.iter().any(|turn| turn.half_load.is_some()) {
        let half = |turn: &Turn| turn.half_load.unwrap_or((f64::NAN, f64::NAN));
        let (p50, p99) =
            (middle(measured, |turn| half(turn).0), middle(measured, |turn| half(turn).1));
        text.push_str(&format!("; at half load p50 {p50:.2} ms, p99 {p99:.2} ms"));
    }
    text
}

/// Enough of an error to act on.
fn first_lines(error: &str) -> String {
    error
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .take(6)
        .collect::<Vec<_>>()
        .join(" | ")
}

fn middle(measured: &Measured, of: impl Fn(&Turn) -> f64) -> f64 {
    median(measured.turns.iter().map(of).collect())
}

/// Every turn, for the record.
pub(crate) fn record(scenario: Scenario, outcomes: &[Outcome]) -> Value {
    let turn = |turn: &Turn| {
        json!({
            "cpu_us": turn.cpu,
            "requests_per_s": turn.rate,
            "memory_mib": turn.memory,
            "half_load_ms": turn.half_load.map(|(p50, p99)| json!({ "p50": p50, "p99": p99 })),
        })
    };
    let gateways: Vec<Value> = outcomes
        .iter()
        .map(|outcome| match &outcome.turns {
            Ok(measured) => json!({
                "gateway": outcome.name,
                "idle_mib": measured.idle,
                "calls": measured.calls,
                "turns": measured.turns.iter().map(turn).collect::<Vec<_>>(),
            }),
            Err(error) => json!({ "gateway": outcome.name, "cannot_run": format!("{error:#}") }),
        })
        .collect();
    json!({ "scenario": scenario.title(), "gateways": gateways })
}
