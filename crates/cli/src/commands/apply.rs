//! `headwater apply`: plans, asks, and brings tables and API to the schema.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use base::size::{counted, parse_duration};
use server::wire::{ApplyAnswer, ApplyRequest, ApplyState, PlanAnswer, PlanRequest};

use crate::arguments::Global;
use crate::commands::plan::next_step;
use crate::printer::{Failure, Outcome, Printer};
use crate::progress::Bar;
use crate::target::{Target, schema_text};

/// How to apply.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
    /// What may be lost, by the names that `plan` prints.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    allow_destructive: Vec<String>,
    /// Finish an apply that was interrupted or paused.
    #[arg(long, conflicts_with_all = ["pause", "contract"])]
    resume: bool,
    /// Ask the running apply to pause before its next unit of work.
    #[arg(long, conflicts_with = "contract")]
    pause: bool,
    /// Give an apply up that was interrupted, paused or refused by the rows; nobody has seen anything of it.
    #[arg(long, conflicts_with_all = ["pause", "contract", "resume"])]
    abandon: bool,
    /// End the service of the schema version before, and give up what only it needs.
    #[arg(long)]
    contract: bool,
    /// Rewrite at most so many rows a second.
    #[arg(long, value_name = "ROWS_PER_SECOND", value_parser = clap::value_parser!(u64).range(1..))]
    throttle: Option<u64>,
    /// Serve clients of the schema before for so long: `90s`, `30m`, `24h`, `7d`.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    keep_old: Option<Duration>,
}

/// A number and a unit.
fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "write a number and a unit: `90s`, `12h`, `7d`".to_owned())
}

pub(crate) async fn run(global: &Global, options: Options, printer: &Printer) -> Outcome {
    if options.pause || options.contract || options.abandon {
        return other(global, &options, printer).await;
    }
    let schema = schema_text(global)?;
    let target = Target::open(global).await?;
    let expected_base = if options.resume {
        None
    } else {
        let plan: PlanAnswer = target.call("plan", &PlanRequest { schema: schema.clone() }).await?;
        if !plan.is_empty {
            printer.remark(&plan.rendered);
            refuse_unnamed_losses(&plan, &options.allow_destructive)?;
            ask(options.yes, "apply")?;
        }
        Some(plan.base)
    };
    let request = ApplyRequest {
        schema,
        expected_base,
        allow_destructive: options.allow_destructive,
        resume: options.resume,
        throttle: options.throttle,
        keep_old: options.keep_old.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
    };
    let bar = Bar::new(printer);
    let answer: ApplyAnswer =
        target.call_reporting("apply", &request, &mut |progress| bar.report(&progress)).await?;
    drop(bar);
    printer.answer(&answer, || summary(&answer));
    Ok(())
}

/// Pauses the apply that runs, gives one up, or ends what the last one left for old clients.
async fn other(global: &Global, options: &Options, printer: &Printer) -> Outcome {
    let target = Target::open(global).await?;
    let operation = match (options.pause, options.abandon) {
        (true, _) => "applyPause",
        (_, true) => "applyAbandon",
        _ => "applyContract",
    };
    let nothing = serde_json::json!({});
    let bar = Bar::new(printer);
    let mut report = |progress| bar.report(&progress);
    let answer: ApplyState = target.call_reporting(operation, &nothing, &mut report).await?;
    drop(bar);
    printer.answer(&answer, || answer.text.clone());
    Ok(())
}

/// What was done, in a line.
pub(crate) fn summary(answer: &ApplyAnswer) -> String {
    if answer.steps == 0 && answer.plan.is_empty {
        return format!("nothing to do: schema version {} is deployed", answer.version);
    }
    let resumed = if answer.resumed { ", resuming an interrupted apply" } else { "" };
    let steps = counted(answer.steps as u64, "step");
    format!("applied schema version {} in {steps}{resumed}", answer.version)
}

fn refuse_unnamed_losses(plan: &PlanAnswer, allowed: &[String]) -> Outcome {
    let unnamed: Vec<&str> =
        plan.losses.iter().filter(|loss| !allowed.contains(loss)).map(String::as_str).collect();
    if unnamed.is_empty() {
        return Ok(());
    }
    Err(Failure::user(format!("this would lose {}", unnamed.join(", ")), next_step(plan)))
}

/// Asks on a terminal; elsewhere `--yes` must have been given.
pub(crate) fn ask(yes: bool, what: &str) -> Outcome {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::user(
            format!("nobody is here to confirm the {what}"),
            "add `--yes` to go on without being asked",
        ));
    }
    let mut err = std::io::stderr().lock();
    write!(err, "Go on? [y/N] ").and_then(|()| err.flush()).map_err(base::Error::from)?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(base::Error::from)?;
    if matches!(line.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Failure::user(format!("the {what} was not confirmed"), "nothing was changed"))
}
