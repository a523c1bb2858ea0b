//! The scenarios: what is asked, how the sources behave, what the goal is.
//!
//! In: the graph as one service, which knows the right answers. Out: work for the load. Not here: who is
//! asked, measuring.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::gateway::{KINDS, Kind};
use crate::people;
use crate::service::Service;
use crate::work::Work;

/// One scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// One source, 1 KiB.
    Small,
    /// A list of 100 whose items each need another source.
    List,
    /// Four sources, 88 KB.
    Heavy,
    /// One source, 8 MiB.
    Large,
    /// The heavy query over sources that take 4 ms.
    Slow,
    /// The heavy query while one source fails.
    Failing,
    /// No document twice.
    Documents,
    /// A row of the lake by its key.
    Key,
    /// A page of the lake.
    Page,
}

/// In the order in which they are run.
pub(crate) const SCENARIOS: [Scenario; 9] = [
    Scenario::Small,
    Scenario::List,
    Scenario::Heavy,
    Scenario::Large,
    Scenario::Slow,
    Scenario::Failing,
    Scenario::Documents,
    Scenario::Key,
    Scenario::Page,
];

/// Documents of the scenario that repeats none, in each turn of each gateway.
const DOCUMENTS: u64 = 10_000;
/// Entries that make 8 MiB.
const ENTRIES: u64 = 28_000;

const WHOLE: &str = include_str!("../../../tests/federation/monolith.graphql");

const SMALL: &str =
    "query Small($first: Int) { users(first: $first) { id name username birthday email } }";
const LIST: &str =
    "query List($first: Int) { reviews(first: $first) { id stars author { id name } } }";
const LARGE: &str =
    "query Large($first: Int!) { archive(first: $first) { id title text size tags } }";
const HEAVY: &str = "query Heavy($first: Int) {
  users(first: $first) { ...Person reviews { ...Opinion product { ...Goods ...Opinions } } }
  topProducts(first: 5) { ...Goods ...Opinions }
}
fragment Opinions on Product {
  reviews { ...Opinion author { ...Person reviews { ...Opinion product { ...Goods } } } }
}
fragment Person on User { id username name }
fragment Opinion on Review { id body }
fragment Goods on Product { inStock name price shippingEstimate upc weight }
";

impl Scenario {
    /// What the table calls it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Scenario::Small => "one source, 1 KiB",
            Scenario::List => "100 items, each with another source",
            Scenario::Heavy => "four sources, 88 KB",
            Scenario::Large => "one source, 8 MiB",
            Scenario::Slow => "four sources of 4 ms, 88 KB",
            Scenario::Failing => "one source of four fails",
            Scenario::Documents => "10,000 documents, none twice",
            Scenario::Key => "lake by key",
            Scenario::Page => "lake, a page of 50",
        }
    }

    /// How the sources behave, as they are told.
    pub(crate) fn mode(self) -> &'static str {
        match self {
            Scenario::Slow => r#"{"delay_ms":4}"#,
            Scenario::Failing => r#"{"fail":"inventory"}"#,
            _ => "{}",
        }
    }

    /// Who can be asked.
    pub(crate) fn kinds(self) -> &'static [Kind] {
        if self.is_lake() { &KINDS[..1] } else { &KINDS }
    }

    /// Whether it is asked of tables.
    pub(crate) fn is_lake(self) -> bool {
        matches!(self, Scenario::Key | Scenario::Page)
    }

    pub(crate) fn connections(self) -> usize {
        // Fifty answers of 8 MiB at once would measure the machine's memory.
        if self == Scenario::Large { 4 } else { 50 }
    }

    /// The most requests of one turn.
    pub(crate) fn most(self) -> u64 {
        if self == Scenario::Documents { DOCUMENTS } else { u64::MAX }
    }

    /// Whether how long answers take at half the load is of interest.
    pub(crate) fn has_open_loop(self) -> bool {
        !matches!(self, Scenario::Large | Scenario::Failing | Scenario::Documents)
    }

    /// How many times less processor time than the best peer ours must need.
    pub(crate) fn times(self) -> f64 {
        if self == Scenario::Heavy { 1.7 } else { 1.0 }
    }

    /// The requests with their right answers.
    pub(crate) fn work(self, whole: &Arc<Service>) -> Result<Work> {
        let asked = Arc::clone(whole);
        let truth = Box::new(move |body: &Bytes| data(&asked, body));
        let heavy = || body(HEAVY, 10);
        Ok(match self {
            Scenario::Small => Work::alike(body(SMALL, 9), truth),
            Scenario::List => Work::alike(body(LIST, 100), truth),
            Scenario::Heavy | Scenario::Slow => Work::alike(heavy(), truth),
            Scenario::Large => Work::alike(body(LARGE, ENTRIES), truth),
            Scenario::Failing => {
                let asked = Arc::clone(whole);
                let truth =
                    Box::new(move |body: &Bytes| Ok(without_inventory(data(&asked, body)?)));
                Work::alike(heavy(), truth).partial()
            }
            Scenario::Documents => Work::various(Box::new(document), truth),
            Scenario::Key => Work::various(Box::new(people::by_key), Box::new(people::person)),
            Scenario::Page => Work::alike(people::page(), Box::new(people::persons)),
        })
    }

    /// Checks that the requests are what the titles say.
    pub(crate) fn check_size(self, whole: &Arc<Service>) -> Result<()> {
        let (body, size) = match self {
            Scenario::Small => (body(SMALL, 9), 900..1200),
            Scenario::Heavy => (body(HEAVY, 10), 87_000..89_000),
            Scenario::Large => (body(LARGE, ENTRIES), 8 << 20..9 << 20),
            _ => return Ok(()),
        };
        let answer = whole.answer(&body);
        ensure!(size.contains(&answer.len()), "{} is {} bytes", self.title(), answer.len());
        Ok(())
    }
}

/// The graph as one service that knows everything.
pub(crate) fn whole() -> Result<Arc<Service>> {
    Ok(Arc::new(Service::over(WHOLE, None)?))
}

fn body(query: &str, first: u64) -> Bytes {
    json!({ "query": query, "variables": { "first": first } }).to_string().into()
}

/// What the whole graph answers.
fn data(whole: &Service, body: &Bytes) -> Result<Value> {
    let mut answer: Value = serde_json::from_slice(&whole.answer(body))?;
    ensure!(answer.get("errors").is_none(), "the graph itself fails: {}", answer["errors"]);
    answer.get_mut("data").map(Value::take).context("the graph itself answers no data")
}

/// The answer when nobody knows what the inventory knows.
fn without_inventory(mut value: Value) -> Value {
    match &mut value {
        Value::Object(map) => {
            for (name, value) in map.iter_mut() {
                let unknown = matches!(name.as_str(), "inStock" | "shippingEstimate" | "fits");
                *value = if unknown { Value::Null } else { without_inventory(value.take()) };
            }
        }
        Value::Array(items) => {
            items.iter_mut().for_each(|item| *item = without_inventory(item.take()));
        }
        _ => {}
    }
    value
}

/// The request with a number: a document like no other, over three or four sources.
fn document(number: u64) -> Bytes {
    let mut fields = String::new();
    let optional = [
        ["birthday", "email"].as_slice(),
        ["body", "helpful", "stars"].as_slice(),
        ["weight", "price", "inStock", "shippingEstimate", "fits"].as_slice(),
    ];
    let mut bits = number;
    let mut chosen = |names: &[&'static str]| {
        fields.clear();
        for name in names {
            if bits & 1 == 1 {
                fields.push_str(name);
                fields.push(' ');
            }
            bits >>= 1;
        }
        fields.clone()
    };
    let [user, review, product] = optional.map(&mut chosen);
    let first = 1 + number % 3;
    let query = format!(
        "query D{number} {{ users(first: {first}) {{ id n{number}: name {user}reviews {{ id {review}\
         product {{ upc p{number}: name {product}}} }} }} }}"
    );
    json!({ "query": query }).to_string().into()
}
