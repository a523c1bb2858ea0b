//! A plan as people read it on a terminal, and as JSON for other programs.
//!
//! In: a plan. Out: text with one line a change and a step, marks `+ ~ -`, both effects in columns,
//! losses below their step, totals at the end. Not here: what is kept in the journal (`stored`).

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::words::count;
use super::{Plan, PlannedStep, Step};
use crate::diff::{Change, ChangeKind, Generated, Mark, StorageEffect, WireEffect};
use crate::usage::Weights;

const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const RESET: &str = "\x1b[0m";

impl Plan {
    /// The plan as a terminal shows it.
    pub fn render(&self, color: bool) -> String {
        self.render_weighed(color, &Weights::default())
    }

    /// The same, with whom each change hurts.
    pub fn render_weighed(&self, color: bool, weights: &Weights) -> String {
        let paint = Paint { color };
        let mut text = String::new();
        let (base, target) = (short(&self.base), short(&self.target));
        let _ = writeln!(text, "{}", paint.with(BOLD, &format!("plan {base} → {target}")));
        if self.is_empty() {
            text.push_str("\nnothing changes\n");
            return text;
        }
        let head = format!("\n     {:<10}  {:<9}  change", "storage", "wire");
        let _ = writeln!(text, "{}", paint.with(DIM, &head));
        for (position, change) in self.changes.iter().enumerate() {
            paint.change(&mut text, change);
            if let Some(told) = weights.told(position) {
                paint.below(&mut text, &paint.used(&told, weights.is_used(position)));
            }
        }
        if !self.steps.is_empty() {
            let head = format!("\n     {:<10}  {:<9}  step", "storage", "wire");
            let _ = writeln!(text, "{}", paint.with(DIM, &head));
        }
        let mut phase = None;
        for (position, step) in self.steps.iter().enumerate() {
            if phase.replace(step.step.phase()) != Some(step.step.phase()) {
                let _ = writeln!(text, "   {}", paint.with(BOLD, step.step.phase().name()));
            }
            paint.step(&mut text, position + 1, step);
        }
        text.push('\n');
        for (what, types) in self.generated() {
            let line = format!("generated {}: {}", what.name(), types.join(", "));
            let _ = writeln!(text, "{}", paint.with(DIM, &line));
        }
        let _ = writeln!(text, "{}", paint.with(BOLD, &self.totals()));
        if !self.losses().is_empty() {
            let words =
                "what is marked `lost` is given up for good: applying needs --allow-destructive";
            let _ = writeln!(text, "{}", paint.with(RED, words));
        }
        text
    }

    /// Which generated files change, and for which types.
    pub fn generated(&self) -> Vec<(Generated, Vec<&str>)> {
        let types_in = |what: Generated| {
            let mut types: Vec<&str> = Vec::new();
            for change in self.changes.iter().filter(|c| c.kind.generated().contains(&what)) {
                if !types.contains(&change.type_name()) {
                    types.push(change.type_name());
                }
            }
            types
        };
        let all = Generated::ALL.into_iter().map(|what| (what, types_in(what)));
        all.filter(|(_, types)| !types.is_empty()).collect()
    }

    /// The last line: counts, and the strongest effects.
    fn totals(&self) -> String {
        let marked = |mark| self.changes.iter().filter(|change| change.kind.mark() == mark).count();
        let mut parts = Vec::new();
        for (number, verb) in [
            (marked(Mark::Added), "added"),
            (marked(Mark::Changed), "changed"),
            (marked(Mark::Removed), "removed"),
        ] {
            if number > 0 {
                parts.push(format!("{number} {verb}"));
            }
        }
        let losses = match self.losses().len() {
            0 => "nothing lost".to_owned(),
            1 => "1 loss".to_owned(),
            number => format!("{number} losses"),
        };
        format!(
            "{}; {}; storage: {}; wire: {}; {losses}",
            parts.join(", "),
            count(self.steps.len(), "step"),
            self.storage(),
            self.wire(),
        )
    }

    /// The plan for other programs.
    pub fn to_json(&self) -> Value {
        let changes = self.changes.iter().map(change_json);
        let steps = self.steps.iter().enumerate().map(|(position, step)| {
            json!({
                "number": position + 1,
                "phase": step.step.phase().name(),
                "text": step.text,
                "mark": mark_of(&step.step).sign().to_string(),
                "storage": step.storage.name(),
                "wire": step.wire.name(),
                "destroys": step.destroys,
            })
        });
        json!({
            "base": self.base.as_ref(),
            "target": self.target.as_ref(),
            "storage": self.storage().name(),
            "wire": self.wire().name(),
            "changes": changes.collect::<Vec<_>>(),
            "steps": steps.collect::<Vec<_>>(),
            "losses": self.losses(),
            "generated": self
                .generated()
                .into_iter()
                .map(|(what, types)| (what.name().to_owned(), Value::from(types)))
                .collect::<serde_json::Map<_, _>>(),
        })
    }
}

fn change_json(change: &Change) -> Value {
    json!({
        "kind": change.kind.code(),
        "mark": change.kind.mark().sign().to_string(),
        "path": change.path,
        "message": change.message,
        "storage": change.storage.name(),
        "wire": change.wire.name(),
        "wireReasons": change.wire_reasons,
        "hint": change.hint,
        "file": change.place.file,
        "line": change.place.line,
        "column": change.place.column,
        "generated": change.kind.generated().iter().map(|what| what.name()).collect::<Vec<_>>(),
    })
}

/// How many changes of the API stand below one change of the schema; JSON has them all.
const MOST_REASONS: usize = 2;

/// Likewise for a service, whose change is all that is said of what it declares.
const MOST_REASONS_OF_SERVICE: usize = 20;

/// Why a change hurts callers, unless its own words say it: that what is gone is gone.
fn reasons_worth_telling(change: &Change) -> &[String] {
    use ChangeKind as K;
    let plain = matches!(
        change.kind,
        K::TypeRemoved
            | K::TypeRenamed
            | K::FieldRemoved
            | K::FieldRenamed
            | K::EnumRemoved
            | K::EnumValueAdded
            | K::EnumValueRemoved
            | K::Cost
            | K::ListSize
            | K::Api
    );
    if plain { &[] } else { &change.wire_reasons }
}

/// Eight digits tell two schemas apart on a terminal.
fn short(fingerprint: &str) -> &str {
    match fingerprint {
        "" => "(empty)",
        _ => fingerprint.get(..8).unwrap_or(fingerprint),
    }
}

fn mark_of(step: &Step) -> Mark {
    match step {
        Step::CreateTable { .. }
        | Step::RestoreTable { .. }
        | Step::AddColumn { .. }
        | Step::RestoreColumn { .. }
        | Step::BuildSearch { .. }
        | Step::BuildVectors { .. } => Mark::Added,
        Step::DropTable { .. } | Step::DropColumn { .. } | Step::DropVectors { .. } => {
            Mark::Removed
        }
        _ => Mark::Changed,
    }
}

/// Whether to colour.
struct Paint {
    color: bool,
}

impl Paint {
    fn with(&self, style: &str, text: &str) -> String {
        if self.color { format!("{style}{text}{RESET}") } else { text.to_owned() }
    }

    fn mark(&self, mark: Mark) -> String {
        let style = match mark {
            Mark::Added => GREEN,
            Mark::Changed => YELLOW,
            Mark::Removed => RED,
        };
        self.with(style, &mark.sign().to_string())
    }

    fn storage(&self, effect: StorageEffect) -> String {
        let style = match effect {
            StorageEffect::None => DIM,
            StorageEffect::Expand => GREEN,
            StorageEffect::Rewrite => YELLOW,
            StorageEffect::Contract | StorageEffect::Impossible => RED,
        };
        self.with(style, &format!("{effect:<10}"))
    }

    fn wire(&self, effect: WireEffect) -> String {
        let style = match effect {
            WireEffect::None => DIM,
            WireEffect::Safe => GREEN,
            WireEffect::Dangerous => YELLOW,
            WireEffect::Breaking => RED,
        };
        self.with(style, &format!("{effect:<9}"))
    }

    fn used(&self, text: &str, is_used: bool) -> String {
        self.with(if is_used { YELLOW } else { DIM }, text)
    }

    fn change(&self, text: &mut String, change: &Change) {
        let _ = writeln!(
            text,
            "   {} {}  {}  {}",
            self.mark(change.kind.mark()),
            self.storage(change.storage),
            self.wire(change.wire),
            change.message
        );
        let reasons = reasons_worth_telling(change);
        let most = match change.kind {
            ChangeKind::SourceSdl | ChangeKind::SourceRemoved => MOST_REASONS_OF_SERVICE,
            _ => MOST_REASONS,
        };
        for reason in reasons.iter().take(most) {
            self.below(text, &self.with(DIM, &format!("api: {reason}")));
        }
        if reasons.len() > most {
            let more = format!("api: and {} more", reasons.len() - most);
            self.below(text, &self.with(DIM, &more));
        }
        if let Some(hint) = &change.hint {
            self.below(text, &self.with(DIM, &format!("hint: {hint}")));
        }
    }

    fn step(&self, text: &mut String, number: usize, step: &PlannedStep) {
        let _ = writeln!(
            text,
            "{number:>2} {} {}  {}  {}",
            self.mark(mark_of(&step.step)),
            self.storage(step.storage),
            self.wire(step.wire),
            step.text
        );
        for lost in &step.destroys {
            self.below(text, &self.with(RED, &format!("lost: {lost}")));
        }
    }

    /// A line under the words of the line before.
    fn below(&self, text: &mut String, line: &str) {
        let _ = writeln!(text, "{:28}{line}", "");
    }
}
