//! `headwater upgrade`: brings stored formats up to this version.

use server::wire::UpgradeAnswer;

use crate::arguments::Global;
use crate::printer::{Outcome, Printer};
use crate::target::Target;

pub(crate) async fn run(global: &Global, printer: &Printer) -> Outcome {
    let target = Target::open(global).await?;
    let answer: UpgradeAnswer = target.call("upgrade", &serde_json::json!({})).await?;
    printer.answer(&answer, || match answer.upgraded.len() {
        0 => "everything is current".to_owned(),
        _ => answer.upgraded.join("\n"),
    });
    Ok(())
}
