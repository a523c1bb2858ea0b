//! `[telemetry]` and `[log]`: what of its work a server tells, and whom.
//!
//! In: the sections of `headwater.toml`, and the standard variables of OpenTelemetry, as the command line
//! read them. Out: [`Telemetry`] and [`Log`]. By default nothing is told. Not here: the telling
//! (`telemetry`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use base::{Error, Result, Secret};
use serde::Deserialize;

use super::Span;

/// Traces and metrics over OTLP.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// Where they go: a collector that takes OTLP over HTTP. Without one nothing is sent or noted.
    pub otlp_endpoint: Option<String>,
    /// Headers that the collector hears.
    pub headers: BTreeMap<String, String>,
    /// Likewise; each file holds a value and nothing else.
    pub secret_files: BTreeMap<String, PathBuf>,
    /// What this server is called there.
    pub service_name: String,
    /// What is said of it beside its name.
    pub attributes: BTreeMap<String, String>,
    /// The share of the requests that are traced, of those whose clients began no trace.
    pub traces: f64,
    /// Whether traces have the texts of documents.
    pub documents: bool,
    /// Between two reports of metrics; none at `0s`.
    pub metrics: Span,
    /// How long the collector may take.
    pub timeout: Span,
    /// Spans that may wait for it.
    pub queue: usize,
    /// Headers out of the environment.
    #[serde(skip)]
    pub secret_headers: Vec<(String, Secret)>,
}

/// The log of requests.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// A line for each request.
    pub requests: bool,
    /// Requests that take longer have a line in any case.
    pub slow: Option<Span>,
    /// The file that lines are added to, in place of standard error.
    pub file: Option<PathBuf>,
}

/// The standard variables of OpenTelemetry that hold here.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub endpoint: Option<String>,
    /// `OTEL_EXPORTER_OTLP_HEADERS`: `name=value,…`, percent-encoded.
    pub headers: Option<Secret>,
    /// `OTEL_SERVICE_NAME`.
    pub service_name: Option<String>,
    /// `OTEL_RESOURCE_ATTRIBUTES`, written as the headers are.
    pub attributes: Option<String>,
    /// `OTEL_TRACES_SAMPLER_ARG`.
    pub traces: Option<f64>,
}

impl Default for Telemetry {
    fn default() -> Self {
        Telemetry {
            otlp_endpoint: None,
            headers: BTreeMap::new(),
            secret_files: BTreeMap::new(),
            service_name: "headwater".to_owned(),
            attributes: BTreeMap::new(),
            traces: 1.0,
            documents: false,
            metrics: Span(Duration::from_secs(60)),
            timeout: Span(Duration::from_secs(10)),
            queue: 8192,
            secret_headers: Vec::new(),
        }
    }
}

impl Telemetry {
    /// The settings with the variables, which win.
    ///
    /// # Errors
    /// When a variable is not what it must be.
    pub fn with_variables(mut self, variables: &Variables) -> Result<Self> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        self.otlp_endpoint = given(&variables.endpoint).or(self.otlp_endpoint);
        self.service_name = given(&variables.service_name).unwrap_or(self.service_name);
        self.traces = variables.traces.unwrap_or(self.traces);
        let attributes = variables.attributes.as_deref().unwrap_or_default();
        self.attributes.extend(pairs("OTEL_RESOURCE_ATTRIBUTES", attributes)?);
        let headers = variables.headers.as_ref().map(Secret::reveal).unwrap_or_default();
        let headers = pairs("OTEL_EXPORTER_OTLP_HEADERS", headers)?;
        self.secret_headers =
            headers.into_iter().map(|(name, value)| (name, Secret::new(value))).collect();
        self.validate().map_err(Error::invalid)?;
        Ok(self)
    }

    pub(super) fn validate(&self) -> Result<(), String> {
        if let Some(url) = &self.otlp_endpoint
            && !url.starts_with("http://")
            && !url.starts_with("https://")
        {
            return Err(format!(
                "`telemetry.otlp_endpoint` must begin with `http://` or `https://`, not `{url}`"
            ));
        }
        if !(0.0..=1.0).contains(&self.traces) {
            return Err("`telemetry.traces` must be a share between 0 and 1".to_owned());
        }
        let second = Duration::from_secs(1);
        if !self.metrics.0.is_zero() && self.metrics.0 < second {
            return Err("`telemetry.metrics` must be `0s` or at least `1s`".to_owned());
        }
        if self.timeout.0 < Duration::from_millis(1) {
            return Err("`telemetry.timeout` must be at least `1ms`".to_owned());
        }
        if self.queue == 0 || self.queue > 1_000_000 {
            return Err("`telemetry.queue` must be between 1 and 1000000".to_owned());
        }
        Ok(())
    }
}

/// `name=value` between commas, percent-encoded, as W3C's Baggage has it.
fn pairs(variable: &str, text: &str) -> Result<Vec<(String, String)>> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let pairs = parts.map(|part| {
        let (name, value) = part.split_once('=')?;
        Some((decoded(name.trim())?, decoded(value.trim())?))
    });
    pairs.collect::<Option<_>>().ok_or_else(|| {
        // The value may be a key.
        Error::invalid(format!("`{variable}` is no list of `name=value`, between commas"))
    })
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        bytes.push(match byte {
            b'%' => (digit(rest.next())? * 16 + digit(rest.next())?) as u8,
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_win_over_the_file() {
        let settings = Telemetry {
            otlp_endpoint: Some("http://file".to_owned()),
            attributes: BTreeMap::from([("zone".to_owned(), "a".to_owned())]),
            ..Telemetry::default()
        };
        let variables = Variables {
            endpoint: Some("http://variable".to_owned()),
            headers: Some(Secret::new("authorization=Bearer%20x, b=c=d")),
            service_name: Some(String::new()),
            attributes: Some("zone=b".to_owned()),
            traces: Some(0.5),
        };
        let found = settings.with_variables(&variables).expect("good variables");
        let headers: Vec<(&str, &str)> = found
            .secret_headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.reveal()))
            .collect();
        assert_eq!(headers, [("authorization", "Bearer x"), ("b", "c=d")]);
        assert_eq!(found.otlp_endpoint.as_deref(), Some("http://variable"));
        assert_eq!((found.service_name.as_str(), found.traces), ("headwater", 0.5));
        assert_eq!(found.attributes["zone"], "b");
    }

    #[test]
    fn a_broken_variable_is_refused_without_its_value() {
        for headers in ["secret", "a=%zz", "a=%f"] {
            let headers = Some(Secret::new(headers));
            let variables = Variables { headers, ..Variables::default() };
            let error = Telemetry::default().with_variables(&variables).expect_err("broken");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        let variables = Variables { traces: Some(2.0), ..Variables::default() };
        Telemetry::default().with_variables(&variables).expect_err("no share");
    }
}
