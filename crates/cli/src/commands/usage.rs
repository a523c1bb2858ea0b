//! `headwater usage`: shows who asks what of the API.

use base::size::{counted, format_count};
use server::wire::{UsageAnswer, UsageBy, UsageOf, UsageRequest};

use crate::arguments::Global;
use crate::printer::{Outcome, Printer, table};
use crate::target::Target;

/// Of what.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// A type, a field or an argument of the API: `Film`, `Film.title`, `Query.films.first`; with a field,
    /// who uses it is told by operation.
    #[arg(value_name = "COORDINATE")]
    coordinate: Option<String>,
    /// The last days, the present one included.
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    days: i64,
}

pub(crate) async fn run(global: &Global, options: Options, printer: &Printer) -> Outcome {
    let target = Target::open(global).await?;
    let (coordinate, days) = (options.coordinate, Some(options.days));
    let request = UsageRequest { coordinate: coordinate.clone(), days };
    let answer: UsageAnswer = target.call("usage", &request).await?;
    printer.answer(&answer, || told(&answer, coordinate.as_deref()));
    Ok(())
}

fn told(answer: &UsageAnswer, coordinate: Option<&str>) -> String {
    if answer.days == 0 {
        return "no request was counted yet: `headwater up` counts them".to_owned();
    }
    let days = counted(answer.days, "day");
    if answer.coordinates.is_empty() {
        return match coordinate {
            Some(coordinate) => format!("nobody used `{coordinate}` in {days}"),
            None => format!("nobody used anything in {days}"),
        };
    }
    let is_about_one = coordinate.is_some_and(|coordinate| coordinate.contains('.'));
    match is_about_one {
        true => by_operation(&answer.coordinates),
        false => by_coordinate(&answer.coordinates),
    }
}

fn by_coordinate(all: &[UsageOf]) -> String {
    let row = |one: &UsageOf| {
        let mut clients: Vec<&str> = one.by.iter().map(|by| by.client.as_str()).collect();
        clients.dedup();
        vec![
            one.coordinate.clone(),
            one.owner.clone(),
            format_count(one.requests),
            clients.join(", "),
        ]
    };
    let rows: Vec<Vec<String>> = all.iter().map(row).collect();
    table(&["coordinate", "owner", "requests", "clients"], &rows)
}

fn by_operation(all: &[UsageOf]) -> String {
    let row = |of: &UsageOf, by: &UsageBy| {
        vec![
            of.coordinate.clone(),
            by.client.clone(),
            by.version.clone(),
            by.operation.clone(),
            format_count(by.requests),
            match by.days_ago {
                0 => "today".to_owned(),
                days => format!("{} ago", counted(days, "day")),
            },
        ]
    };
    let rows: Vec<Vec<String>> =
        all.iter().flat_map(|of| of.by.iter().map(move |by| row(of, by))).collect();
    table(&["coordinate", "client", "version", "operation", "requests", "last"], &rows)
}
