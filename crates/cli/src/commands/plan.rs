//! `headwater plan`: shows what applying the schema would do, and does nothing.

use server::wire::{PlanAnswer, PlanRequest};

use crate::arguments::Global;
use crate::printer::{Outcome, Printer};
use crate::target::{Target, schema_text};

/// How to show it.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Fail when there is something to apply: for CI.
    #[arg(long)]
    exit_code: bool,
}

pub(crate) async fn run(global: &Global, options: Options, printer: &Printer) -> Outcome {
    let schema = schema_text(global)?;
    let target = Target::open(global).await?;
    let plan: PlanAnswer = target.call("plan", &PlanRequest { schema }).await?;
    printer.answer(&plan, || plan.rendered.clone());
    if !plan.is_empty && !options.exit_code {
        printer.remark(&next_step(&plan));
    }
    if options.exit_code && !plan.is_empty {
        return Err(crate::printer::Failure::user(
            format!("the schema differs from what is deployed by {} changes", plan.changes.len()),
            "run `headwater apply`",
        ));
    }
    Ok(())
}

/// What to run to carry the plan out.
pub(crate) fn next_step(plan: &PlanAnswer) -> String {
    if plan.losses.is_empty() {
        return "run `headwater apply` to carry this out".to_owned();
    }
    format!(
        "this loses data; run `headwater apply --allow-destructive {}` to carry it out",
        plan.losses.join(",")
    )
}
