//! Operations on data: query, SQL, explain, import, export, column statistics.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use base::{Error, Principal, Result, Scope, Timestamp};
use frame::SnapshotRef;
use futures::{FutureExt as _, StreamExt as _};
use lake::export::{ExportFormat, ExportReport, ExportSink};
use lake::import::{ImportMode, ImportProgress};
use lake::source::{Encoding, Epoch, Format, Origin, ReadOptions};
use lake::{ColumnStatistics, SqlOptions};
use serde_json::Value;

use super::Report;
use crate::project::Project;
use crate::rows;
use crate::wire::{
    ColumnInfo, ErrorBody, ExplainRequest, Explanation, ExportRequest, ImportAnswer, ImportRequest,
    OfType, Progress, QueryRequest, SqlAnswer, SqlRequest,
};

/// Rows of a SQL answer when nobody says how many.
const DEFAULT_ROWS: u64 = 1000;

/// Rows of a SQL answer at most; a larger one is an export.
const MOST_ROWS: u64 = 100_000;

pub(super) async fn query(
    project: &Project,
    principal: &Principal,
    request: QueryRequest,
) -> Result<Value, ErrorBody> {
    let answer = project.gate.ask(project, &request.into(), principal).await?;
    Ok(answer.json()?)
}

pub(super) async fn explain(
    project: &Project,
    principal: &Principal,
    request: ExplainRequest,
) -> Result<Explanation, ErrorBody> {
    let text = match (request.query, request.sql) {
        (Some(query), None) => {
            let request = mesh::Request {
                operation_name: request.operation_name,
                variables: request.variables.unwrap_or_default(),
                ..mesh::Request::new(query, principal.clone())
            };
            project.live().engine.explain(&request)?
        }
        (None, Some(_)) if request.variables.is_some() || request.operation_name.is_some() => {
            return Err(Error::invalid("SQL has neither variables nor operations")
                .hint("give `variables` and `operationName` beside `query` only")
                .into());
        }
        (None, Some(sql)) => {
            project.live().lake.explain_sql(&sql, SqlOptions::new(principal.clone())).await?
        }
        _ => return Err(Error::invalid("give either `query` or `sql`").into()),
    };
    Ok(Explanation { text })
}

pub(super) async fn sql(
    project: &Project,
    principal: &Principal,
    request: SqlRequest,
) -> Result<SqlAnswer, ErrorBody> {
    let start = Instant::now();
    let limit = request.limit.unwrap_or(DEFAULT_ROWS).min(MOST_ROWS);
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let options = SqlOptions {
        at: snapshot_ref(request.at.as_deref())?,
        // One row more tells whether there are more.
        row_limit: Some(wanted + 1),
        principal: principal.clone(),
    };
    let mut answer = project.live().lake.sql(&request.sql, options).await?;
    let columns = answer
        .schema
        .fields()
        .iter()
        .map(|field| (field.name().clone(), field.data_type().to_string()))
        .collect();
    let mut found = Vec::new();
    while let Some(batch) = answer.stream.next().await {
        found.extend(rows::rows(&batch?)?);
    }
    let truncated = found.len() > wanted;
    found.truncate(wanted);
    Ok(SqlAnswer { columns, rows: found, truncated, millis: start.elapsed().as_secs_f64() * 1e3 })
}

/// A snapshot id, or an RFC 3339 time.
fn snapshot_ref(text: Option<&str>) -> Result<Option<SnapshotRef>> {
    let Some(text) = text else {
        return Ok(None);
    };
    if let Ok(id) = text.parse() {
        return Ok(Some(SnapshotRef::Id(id)));
    }
    match Timestamp::parse(text) {
        Some(time) => Ok(Some(SnapshotRef::Time(time))),
        None => Err(Error::invalid(format!("`{text}` is neither a snapshot id nor a time")).hint(
            "write the time as `2026-11-23T08:00:00Z`; `headwater snapshots TYPE` lists ids",
        )),
    }
}

pub(super) async fn columns(
    project: &Project,
    request: OfType,
) -> Result<Vec<ColumnInfo>, ErrorBody> {
    let statistics = project.live().lake.column_statistics(&request.type_name).await?;
    Ok(statistics.iter().map(column_info).collect())
}

fn column_info(statistics: &ColumnStatistics) -> ColumnInfo {
    ColumnInfo {
        name: statistics.field.to_string(),
        type_text: statistics.data_type.to_string(),
        nulls: Some(statistics.nulls),
        distinct: statistics.distinct,
        minimum: statistics.min.as_ref().map(|value| value.to_string().into()),
        maximum: statistics.max.as_ref().map(|value| value.to_string().into()),
    }
}

pub(super) async fn import(
    project: &Project,
    principal: &Principal,
    request: ImportRequest,
    report: Report<'_>,
) -> Result<ImportAnswer, ErrorBody> {
    let live = project.live();
    if let Some((_, object)) = live.deployed.schema.type_named(&request.type_name) {
        live.deployed.schema.require_whole(object, principal, "an import")?;
    }
    let name = request.display_name.clone().unwrap_or_else(|| request.source.display().to_string());
    let what = format!("import {name}");
    let mut bytes = 0;
    let mut on_progress = |progress: ImportProgress| {
        bytes = progress.bytes;
        report(Progress {
            what: what.clone(),
            rows: progress.rows,
            bytes: progress.bytes,
            total_bytes: Some(progress.total_bytes),
            rejected: progress.rejected,
        });
    };
    let spooled = request.display_name.as_ref().map(|name| (request.source.clone(), name.clone()));
    let rejects = request.rejects.clone();
    let type_name = request.type_name.clone();
    let request = import_request(project, principal, request)?;
    let done = project.live().lake.import(request, &mut on_progress).await.map_err(|error| {
        let mut body = ErrorBody::from(error);
        if let Some((source, name)) = spooled {
            body.rename(&source.display().to_string(), &name);
        }
        body
    })?;
    Ok(ImportAnswer {
        type_name,
        rows: done.rows,
        bytes,
        rejected: done.rejected,
        rejected_by_reason: done
            .rejected_by_kind
            .iter()
            .map(|(kind, count)| (kind.as_str().to_owned(), *count))
            .collect(),
        snapshot: done.snapshot.to_string(),
        parts: done.parts,
        resumed_rows: done.resumed_after,
        already_imported: done.skipped_as_already_imported,
        seconds: done.seconds,
        rejects: rejects.filter(|_| done.rejected > 0),
    })
}

fn import_request(
    project: &Project,
    principal: &Principal,
    request: ImportRequest,
) -> Result<lake::import::ImportRequest> {
    let origin = match request.source == Path::new("-") {
        true => Origin::Stdin,
        false => Origin::Path(request.source.clone()),
    };
    let mut wanted =
        lake::import::ImportRequest::new(origin, request.type_name.as_str(), principal.clone());
    wanted.mode = match &request.mode {
        Some(mode) => known("import mode", mode, ImportMode::parse)?,
        None => default_mode(project, &request.type_name),
    };
    wanted.name = request.display_name.as_deref().map(Into::into);
    wanted.again = request.again;
    wanted.max_errors = request.max_errors;
    wanted.options = read_options(&request)?;
    wanted.rejects = request.rejects;
    Ok(wanted)
}

/// Rows of a type with a key replace those with the same key; the others are added.
fn default_mode(project: &Project, type_name: &str) -> ImportMode {
    let schema = project.live().lake.schema();
    let has_key = schema
        .type_named(type_name)
        .and_then(|(_, object)| object.table())
        .is_some_and(|table| !table.key.is_empty());
    if has_key { ImportMode::Upsert } else { ImportMode::Append }
}

fn read_options(request: &ImportRequest) -> Result<ReadOptions> {
    let format = request.format.as_deref();
    Ok(ReadOptions {
        format: format.map(|name| known("format", name, Format::parse)).transpose()?,
        delimiter: match request.delimiter {
            Some(character) => Some(delimiter(character)?),
            None => (format == Some("tsv")).then_some(b'\t'),
        },
        plain_quotes: request.plain_quotes,
        header: request.header,
        columns: request.columns.clone(),
        encoding: match &request.encoding {
            Some(name) => known("encoding", name, Encoding::parse)?,
            None => Encoding::default(),
        },
        nulls: request.nulls.clone(),
        epoch: request
            .epoch
            .as_deref()
            .map(|name| known("epoch", name, Epoch::parse))
            .transpose()?,
        date_format: request.date_format.clone(),
        datetime_format: request.datetime_format.clone(),
        ignore_unknown: request.ignore_unknown,
        ..ReadOptions::default()
    })
}

fn known<T>(what: &str, name: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T> {
    parse(name).ok_or_else(|| Error::invalid(format!("there is no {what} `{name}`")))
}

fn delimiter(character: char) -> Result<u8> {
    u8::try_from(character)
        .ok()
        .filter(u8::is_ascii)
        .ok_or_else(|| Error::invalid(format!("`{character}` is no ASCII character")))
}

/// Writes an export into `sink`; gives the number of rows.
pub async fn export(
    project: &Project,
    principal: &Principal,
    request: ExportRequest,
    sink: Box<dyn Write + Send>,
    report: Report<'_>,
) -> Result<u64, ErrorBody> {
    principal.require(Scope::Read)?;
    project.refresh().await?;
    let at = snapshot_ref(request.at.as_deref())?;
    let format = ExportFormat::parse(&request.format)
        .ok_or_else(|| Error::invalid(format!("there is no export format `{}`", request.format)))?;
    let rows = match (&request.type_name, &request.sql) {
        (Some(type_name), None) => {
            project.live().lake.rows(type_name, at, principal).boxed().await?
        }
        (None, Some(sql)) => {
            let options = SqlOptions { at, row_limit: None, principal: principal.clone() };
            lake::export::Rows::from(project.live().lake.sql(sql, options).boxed().await?)
        }
        _ => return Err(Error::invalid("give either a type or `sql`").into()),
    };
    let mut on_progress = |done: ExportReport| {
        let (rows, bytes) = (done.rows, done.bytes);
        report(Progress { what: "export".to_owned(), rows, bytes, ..Progress::default() });
    };
    let sink = ExportSink::Writer(sink);
    Ok(lake::export::write(rows, format, sink, &mut on_progress).boxed().await?.rows)
}
