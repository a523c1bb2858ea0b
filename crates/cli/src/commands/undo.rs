//! `headwater undo`: plans the way back to the schema before the present one, and goes it.

use server::wire::{ApplyAnswer, PlanAnswer, UndoRequest};

use crate::arguments::Global;
use crate::commands::apply::{ask, summary};
use crate::printer::{Failure, Outcome, Printer};
use crate::progress::Bar;
use crate::target::Target;

/// How to go back.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
    /// Only show the way back.
    #[arg(long)]
    dry_run: bool,
    /// What may be lost, by the names that the plan prints.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    allow_destructive: Vec<String>,
}

pub(crate) async fn run(global: &Global, options: Options, printer: &Printer) -> Outcome {
    let target = Target::open(global).await?;
    let dry = UndoRequest { dry_run: true, ..UndoRequest::default() };
    let plan: PlanAnswer = target.call("undoPlan", &dry).await?;
    if options.dry_run {
        printer.answer(&plan, || plan.rendered.clone());
        return Ok(());
    }
    printer.remark(&plan.rendered);
    let unnamed: Vec<&String> =
        plan.losses.iter().filter(|loss| !options.allow_destructive.contains(loss)).collect();
    if !unnamed.is_empty() {
        return Err(Failure::user(
            "going back would lose what was added since",
            format!("run `headwater undo --allow-destructive {}`", plan.losses.join(",")),
        ));
    }
    ask(options.yes, "undo")?;
    let request = UndoRequest {
        dry_run: false,
        expected_base: Some(plan.base.clone()),
        allow_destructive: options.allow_destructive,
    };
    let bar = Bar::new(printer);
    let answer: ApplyAnswer =
        target.call_reporting("undo", &request, &mut |progress| bar.report(&progress)).await?;
    drop(bar);
    printer.answer(&answer, || {
        format!("{}\nthe files of the schema folder are as they were; mend them, or `plan` shows the change again", summary(&answer))
    });
    Ok(())
}
