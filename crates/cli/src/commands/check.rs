//! `headwater check`: reports everything that is wrong with the schema.

use base::size::counted;
use server::wire::{CheckAnswer, PlanAnswer, PlanChange, PlanRequest, SchemaText};

use crate::arguments::Global;
use crate::printer::{Outcome, Printer};
use crate::target::{Target, project_folder, schema_text};

/// What to check against.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Also fail when clients of the deployed API would break.
    #[arg(long, value_name = "WHAT", value_parser = ["deployed"])]
    against: Option<String>,
    /// Of changes that would break clients, only those count that take away what was used in the last 30 days.
    #[arg(long, requires = "against")]
    used: bool,
}

pub(crate) async fn run(global: &Global, options: Options, printer: &Printer) -> Outcome {
    let text = schema_text(global)?;
    let answer = server::operations::check(&text)?;
    for warning in &answer.warnings {
        printer.remark(&warning.rendered);
    }
    if options.against.is_some() {
        against_deployed(global, text, options.used, printer).await?;
    }
    let folder = project_folder(global)?.join("schema");
    let here = std::env::current_dir().unwrap_or_default();
    let shown = folder.strip_prefix(&here).unwrap_or(&folder).display().to_string();
    printer.answer(&answer, || summary(&answer, &shown));
    Ok(())
}

fn summary(answer: &CheckAnswer, folder: &str) -> String {
    let services = match answer.services {
        0 => String::new(),
        count => format!(" ({})", counted(count as u64, "service")),
    };
    format!(
        "{folder} is sound: {}{services}, {}, {}, {}\nfingerprint {}",
        counted(answer.modules as u64, "module"),
        counted(answer.tables as u64, "table"),
        counted(answer.types as u64, "type"),
        counted(answer.fields as u64, "field"),
        &answer.fingerprint[..answer.fingerprint.len().min(12)]
    )
}

async fn against_deployed(
    global: &Global,
    schema: SchemaText,
    used: bool,
    printer: &Printer,
) -> Outcome {
    let target = Target::open(global).await?;
    let plan: PlanAnswer = target.call("plan", &PlanRequest { schema }).await?;
    let (unused, breaking): (Vec<_>, Vec<_>) = plan
        .changes
        .iter()
        .filter(|change| change.wire == "breaking")
        .partition(|change| used && is_unused(change));
    for change in unused {
        printer.remark(&format!("{}: {}, which nobody used", change.path, change.message));
    }
    if breaking.is_empty() {
        printer.remark("no change would break a client of the deployed API");
        return Ok(());
    }
    let lines: Vec<String> = breaking.iter().map(|change| told(change)).collect();
    Err(crate::printer::Failure::user(
        format!(
            "{} would break clients of the deployed API: {}",
            counted(breaking.len() as u64, "change"),
            lines.join("; ")
        ),
        "keep the old name with `@was`, or deprecate the field first",
    ))
}

/// Whether it is known that nobody used what the change takes away.
fn is_unused(change: &PlanChange) -> bool {
    change.usage.as_ref().is_some_and(|usage| usage.requests == 0)
}

/// The change, and whom it breaks.
fn told(change: &PlanChange) -> String {
    let text = format!("{}: {}", change.path, change.message);
    let Some(usage) = change.usage.as_ref().filter(|usage| usage.requests > 0) else { return text };
    let clients: Vec<String> = usage
        .consumers
        .iter()
        .map(|consumer| format!("{} {}", consumer.client, consumer.version).trim().to_owned())
        .collect();
    let requests = counted(usage.requests, "request");
    format!("{text} ({requests} by {})", clients.join(", "))
}
