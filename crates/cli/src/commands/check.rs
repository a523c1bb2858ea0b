//! `headwater check`: reports everything that is wrong with the schema.

use base::size::counted;
use server::wire::{CheckAnswer, PlanAnswer, PlanRequest, SchemaText};

use crate::arguments::Global;
use crate::printer::{Outcome, Printer};
use crate::target::{Target, project_folder, schema_text};

/// What to check against.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Also fail when clients of the deployed API would break.
    #[arg(long, value_name = "WHAT", value_parser = ["deployed"])]
    against: Option<String>,
}

pub(crate) async fn run(global: &Global, options: Options, printer: &Printer) -> Outcome {
    let text = schema_text(global)?;
    let answer = server::operations::check(&text)?;
    for warning in &answer.warnings {
        printer.remark(&warning.rendered);
    }
    if options.against.is_some() {
        against_deployed(global, text, printer).await?;
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

async fn against_deployed(global: &Global, schema: SchemaText, printer: &Printer) -> Outcome {
    let target = Target::open(global).await?;
    let plan: PlanAnswer = target.call("plan", &PlanRequest { schema }).await?;
    let breaking: Vec<_> = plan.changes.iter().filter(|change| change.wire == "breaking").collect();
    if breaking.is_empty() {
        printer.remark("no change would break a client of the deployed API");
        return Ok(());
    }
    let lines: Vec<String> =
        breaking.iter().map(|change| format!("{}: {}", change.path, change.message)).collect();
    Err(crate::printer::Failure::user(
        format!(
            "{} changes would break clients of the deployed API: {}",
            breaking.len(),
            lines.join("; ")
        ),
        "keep the old name with `@was`, or deprecate the field first",
    ))
}
