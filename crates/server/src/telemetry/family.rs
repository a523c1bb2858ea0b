//! Numbers of a server at one moment, apart from how they are told.
//!
//! In: families of samples. Out: Prometheus' text, or a request of OTLP. Not here: counting.

use std::fmt::Write as _;

use super::proto::Message;

/// Samples of one name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Family {
    /// As Prometheus names it: a counter ends with `_total`.
    pub(crate) name: String,
    pub(crate) help: &'static str,
    pub(crate) kind: Kind,
    pub(crate) samples: Vec<Sample>,
}

/// What the numbers of a family mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Rises from the start of the process.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Durations in seconds, counted by how long they are.
    Histogram,
}

/// One series at one moment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) labels: Vec<(&'static str, String)>,
    pub(crate) value: Value,
}

/// What a sample holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Number(u64),
    /// Upper ends in seconds; one count more than ends, not cumulative; the sum in seconds.
    Histogram {
        ends: Vec<f64>,
        counts: Vec<u64>,
        sum: f64,
    },
}

impl Family {
    /// A family without samples.
    pub(crate) fn new(name: impl Into<String>, kind: Kind, help: &'static str) -> Self {
        Family { name: name.into(), help, kind, samples: Vec::new() }
    }

    /// Adds a number.
    pub(crate) fn add(&mut self, labels: Vec<(&'static str, String)>, value: u64) {
        self.samples.push(Sample { labels, value: Value::Number(value) });
    }

    /// With one number, which has no labels.
    #[must_use]
    pub(crate) fn with(mut self, value: u64) -> Self {
        self.add(Vec::new(), value);
        self
    }
}

/// The page for Prometheus, in its text format 0.0.4.
pub(crate) fn render(families: &[Family]) -> String {
    let mut page = String::new();
    for family in families {
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let Family { name, help, .. } = family;
        // Writing into a string cannot fail.
        let _infallible = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for sample in &family.samples {
            render_sample(&mut page, name, sample);
        }
    }
    page
}

fn render_sample(page: &mut String, name: &str, sample: &Sample) {
    let mut line = |suffix: &str, more: Option<(&'static str, String)>, value: String| {
        let labels = sample.labels.iter().cloned().chain(more);
        let labels: Vec<String> =
            labels.map(|(label, text)| format!("{label}=\"{}\"", escaped(&text))).collect();
        let labels = match labels.is_empty() {
            true => String::new(),
            false => format!("{{{}}}", labels.join(",")),
        };
        let _infallible = writeln!(page, "{name}{suffix}{labels} {value}");
    };
    match &sample.value {
        Value::Number(number) => line("", None, number.to_string()),
        Value::Histogram { ends, counts, sum } => {
            let ends = ends.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
            let mut all = 0;
            for (end, count) in ends.zip(counts) {
                all += count;
                line("_bucket", Some(("le", end)), all.to_string());
            }
            line("_sum", None, sum.to_string());
            line("_count", None, all.to_string());
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Between when the numbers were counted, in nanoseconds of Unix time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) now: u64,
}

/// Numbers are counted from the start of the process on.
const CUMULATIVE: u64 = 2;

/// `ExportMetricsServiceRequest`; `resource` writes the resource.
pub(super) fn encode(
    families: &[Family],
    span: Span,
    resource: impl FnOnce(&mut Message),
) -> Vec<u8> {
    let mut request = Message::default();
    request.message(1, |of_resource| {
        of_resource.message(1, resource);
        of_resource.message(2, |of_scope| {
            of_scope.message(1, super::scope);
            for family in families.iter().filter(|family| !family.samples.is_empty()) {
                of_scope.message(2, |metric| encode_family(metric, family, span));
            }
        });
    });
    request.into_bytes()
}

fn encode_family(metric: &mut Message, family: &Family, span: Span) {
    // What reads OTLP for Prometheus adds the ends of names again.
    metric.text(1, family.name.strip_suffix("_total").unwrap_or(&family.name));
    metric.text(2, family.help);
    let unit = match family.name.contains("_bytes") {
        _ if family.kind == Kind::Histogram => "s",
        true => "By",
        false => "1",
    };
    metric.text(3, unit);
    let (field, points) = match family.kind {
        Kind::Gauge => (5, 1),
        Kind::Counter => (7, 1),
        Kind::Histogram => (9, 1),
    };
    metric.message(field, |data| {
        for sample in &family.samples {
            data.message(points, |point| encode_point(point, sample, span));
        }
        if family.kind != Kind::Gauge {
            data.varint(2, CUMULATIVE);
        }
        if family.kind == Kind::Counter {
            data.varint(3, 1);
        }
    });
}

fn encode_point(point: &mut Message, sample: &Sample, span: Span) {
    point.fixed(2, span.start);
    point.fixed(3, span.now);
    let attributes = match &sample.value {
        Value::Number(number) => {
            point.fixed(6, *number);
            7
        }
        Value::Histogram { ends, counts, sum } => {
            point.fixed(4, counts.iter().sum());
            point.double(5, *sum);
            point.packed(6, counts.iter().copied());
            point.packed(7, ends.iter().map(|end| end.to_bits()));
            9
        }
    };
    for (label, text) in &sample.labels {
        point.message(attributes, |attribute| super::attribute(attribute, label, text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_every_sample_once_and_its_labels_escaped() {
        let mut plain = Family::new("a_total", Kind::Counter, "A.");
        plain.add(vec![("x", "q\"\\\n".to_owned()), ("y", "z".to_owned())], 3);
        let mut times = Family::new("b_seconds", Kind::Histogram, "B.");
        let value = Value::Histogram { ends: vec![0.5, 1.0], counts: vec![1, 0, 2], sum: 7.25 };
        times.samples.push(Sample { labels: Vec::new(), value });
        let expected = "# HELP a_total A.\n# TYPE a_total counter\n\
            a_total{x=\"q\\\"\\\\\\n\",y=\"z\"} 3\n\
            # HELP b_seconds B.\n# TYPE b_seconds histogram\n\
            b_seconds_bucket{le=\"0.5\"} 1\nb_seconds_bucket{le=\"1\"} 1\n\
            b_seconds_bucket{le=\"+Inf\"} 3\nb_seconds_sum 7.25\nb_seconds_count 3\n";
        assert_eq!(render(&[plain, times]), expected);
    }
}
