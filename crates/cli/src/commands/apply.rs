//! `headwater apply`: plans, asks, and brings tables and API to the schema.

use std::io::{IsTerminal, Write};

use base::size::counted;
use server::wire::{ApplyAnswer, ApplyRequest, PlanAnswer, PlanRequest};

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
    /// Finish an apply that was interrupted.
    #[arg(long)]
    resume: bool,
}

pub(crate) async fn run(global: &Global, options: Options, printer: &Printer) -> Outcome {
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
    };
    let bar = Bar::new(printer);
    let answer: ApplyAnswer =
        target.call_reporting("apply", &request, &mut |progress| bar.report(&progress)).await?;
    drop(bar);
    printer.answer(&answer, || summary(&answer));
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
