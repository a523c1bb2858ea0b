//! Errors of the query engine in the words of Headwater.
//!
//! In: a `DataFusionError`, which often wraps one of our own. Out: a `base::Error` of the right
//! kind, with the place in the query when it is known. Not here: suggestions of names (`suggest`).

use base::{Error, Kind, Place};
use datafusion::common::{DataFusionError, SchemaError};

use super::suggest::did_you_mean;

/// How errors name the text of a query.
pub(crate) const QUERY: &str = "<query>";

/// A failure while planning or running what a caller asked.
pub(crate) fn of_query(error: DataFusionError) -> Error {
    let place = place_of(&error);
    let mut worded = worded(error);
    if let (None, Some(place)) = (worded.place(), place) {
        worded = worded.at(place);
    }
    worded
}

/// A failure to read stored bytes.
pub(crate) fn reading(what: &str, error: DataFusionError) -> Error {
    of_query(error).context(what)
}

/// A failure that no input can cause.
pub(crate) fn internal(what: &str, error: DataFusionError) -> Error {
    Error::internal(what).caused_by(error)
}

fn place_of(error: &DataFusionError) -> Option<Place> {
    let span = error.diagnostic()?.span?;
    let place = |count: u64| usize::try_from(count).unwrap_or(0);
    Some(Place {
        file: QUERY.to_owned(),
        line: place(span.start.line),
        column: place(span.start.column),
    })
}

fn worded(error: DataFusionError) -> Error {
    match error {
        DataFusionError::External(source) => match source.downcast::<Error>() {
            Ok(ours) => *ours,
            Err(other) => Error::new(Kind::Io, "failed to run a query").caused_by(other),
        },
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
            worded(*inner)
        }
        DataFusionError::Shared(inner) => shared(&inner),
        DataFusionError::Collection(errors) => match errors.into_iter().next() {
            Some(first) => worded(first),
            None => Error::internal("a query failed without a reason"),
        },
        DataFusionError::SchemaError(inner, _) => schema_error(&inner),
        DataFusionError::SQL(inner, _) => syntax(&inner.to_string()),
        DataFusionError::ResourcesExhausted(message) => Error::new(
            Kind::LimitExceeded,
            "the query needs more memory or spill space than it may use",
        )
        .caused_by(Error::new(Kind::LimitExceeded, first_line(&message)))
        .hint("select fewer columns or rows, or raise the limits in `headwater.toml`"),
        DataFusionError::NotImplemented(message) => {
            Error::new(Kind::Unsupported, lowercase(&first_line(&message)))
        }
        DataFusionError::ObjectStore(inner) => crate::failure::failed("read stored files")(*inner),
        // A store that cannot be reached leaves every file as it is.
        DataFusionError::ParquetError(inner) if comes_from_store(inner.as_ref()) => {
            crate::failure::failed("read stored files")(*inner)
        }
        DataFusionError::ParquetError(inner) => {
            Error::new(Kind::Corrupt, "failed to read a Parquet file").caused_by(inner)
        }
        DataFusionError::IoError(inner) => Error::from(inner),
        DataFusionError::Internal(message) => {
            Error::internal("the query engine failed").caused_by(Error::internal(message))
        }
        DataFusionError::ArrowError(inner, _) => Error::invalid(lowercase(&inner.to_string())),
        DataFusionError::Plan(message)
        | DataFusionError::Execution(message)
        | DataFusionError::Configuration(message) => {
            Error::invalid(lowercase(&first_line(&message)))
        }
        other => Error::invalid(lowercase(&first_line(&other.strip_backtrace()))),
    }
}

fn comes_from_store(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<object_store::Error>() {
            return true;
        }
        next = error.source();
    }
    false
}

/// A cause that several streams share cannot be moved out of its pointer.
fn shared(error: &DataFusionError) -> Error {
    match error.find_root() {
        DataFusionError::External(source) => match source.downcast_ref::<Error>() {
            Some(ours) => {
                let copy = Error::new(ours.kind(), ours.message());
                match ours.hint_text() {
                    Some(hint) => copy.hint(hint),
                    None => copy,
                }
            }
            None => Error::new(Kind::Io, source.to_string()),
        },
        DataFusionError::ResourcesExhausted(message) => {
            worded(DataFusionError::ResourcesExhausted(message.clone()))
        }
        root => Error::invalid(lowercase(&first_line(&root.strip_backtrace()))),
    }
}

fn schema_error(error: &SchemaError) -> Error {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let names: Vec<&str> = valid_fields.iter().map(|column| column.name.as_str()).collect();
            let error = Error::invalid(format!("there is no column `{}` here", field.name));
            match did_you_mean(&field.name, names.iter().copied()) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None if names.is_empty() => error,
                None => error.hint(format!("the columns here are {}", list(&names))),
            }
        }
        SchemaError::AmbiguousReference { field } => {
            Error::invalid(format!("column `{}` is in several of the tables", field.name))
                .hint(format!("write its table before it, as in `films.{}`", field.name))
        }
        other => Error::invalid(lowercase(&other.to_string())),
    }
}

fn list(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(12).map(|name| format!("`{name}`")).collect();
    shown.join(", ")
}

/// The parser writes the place at the end of its message: ` at Line: 1, Column: 8`.
fn syntax(message: &str) -> Error {
    let message = message.strip_prefix("sql parser error: ").unwrap_or(message);
    let (text, place) = match message.rsplit_once(" at Line: ") {
        Some((text, place)) => (text, parse_place(place)),
        None => (message, None),
    };
    let error = Error::invalid(format!("this is no SQL that can be read: {}", lowercase(text)));
    match place {
        Some(place) => error.at(place),
        None => error,
    }
}

fn parse_place(text: &str) -> Option<Place> {
    let (line, column) = text.split_once(", Column: ")?;
    let column: String = column.chars().take_while(char::is_ascii_digit).collect();
    Some(Place { file: QUERY.to_owned(), line: line.parse().ok()?, column: column.parse().ok()? })
}

fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().trim_end_matches('.').to_owned()
}

/// Messages of the engine begin with a capital; a word that is written in capitals stays so.
fn lowercase(message: &str) -> String {
    let mut chars = message.chars();
    match (chars.next(), chars.next()) {
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            first.to_lowercase().chain(message.chars().skip(1)).collect()
        }
        _ => message.to_owned(),
    }
}
