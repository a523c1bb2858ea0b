//! Measures one column, a value at a time.
//!
//! In: values as text, with what their format says about them. Out: a [`ColumnProfile`]. A type is a
//! candidate until a value does not fit; the narrowest candidate that is left is the column's.

use std::cmp::Ordering;
use std::sync::Arc;

use frame::DataType;
use schema::propose::{ColumnProfile, Sketch};

use crate::decode::cell::{CellKind, Value};
use crate::decode::{json, scalar, time};

/// The share of values with a `|` from which a text column is taken as a list: one in this many.
const LISTS_IN: u64 = 20;

/// Bytes of a value that take part in extremes and sketches.
const LONGEST_SHOWN: usize = 256;

/// One column on the way.
pub(super) struct ColumnMeasure {
    header: Arc<str>,
    /// The type that the file's own schema gives, when it has one.
    pub(super) known: DataType,
    has_known: bool,
    seen: u64,
    nulls: u64,
    candidates: Candidates,
    sketch: Sketch,
    extremes: Extremes,
    previous: Option<Key>,
    ascending: bool,
    longest: u64,
    characters: u64,
    with_spaces: u64,
    with_bars: u64,
}

/// Types that every value so far fits.
#[derive(Clone, Copy)]
struct Candidates {
    boolean: bool,
    int: bool,
    long: bool,
    float: bool,
    date: bool,
    datetime: bool,
    uuid: bool,
    text: bool,
    list_of: Option<Items>,
    json: bool,
}

/// What the items of all arrays are.
#[derive(Clone, Copy, PartialEq)]
enum Items {
    /// No array had an item yet.
    Unknown,
    Text,
    Whole,
    Number,
    Other,
}

/// What values are ordered by.
#[derive(Clone, PartialEq)]
enum Key {
    Number(f64),
    Text(String),
}

#[derive(Default)]
struct Extremes {
    numbers: Option<((f64, String), (f64, String))>,
    texts: Option<(String, String)>,
}

impl ColumnMeasure {
    /// A column that had no values in the first `missing` rows.
    pub(super) fn new(header: &str, missing: u64) -> Self {
        ColumnMeasure {
            header: header.into(),
            known: DataType::String,
            has_known: false,
            seen: missing,
            nulls: missing,
            candidates: Candidates {
                boolean: true,
                int: true,
                long: true,
                float: true,
                date: true,
                datetime: true,
                uuid: true,
                text: true,
                list_of: Some(Items::Unknown),
                json: true,
            },
            sketch: Sketch::default(),
            extremes: Extremes::default(),
            previous: None,
            ascending: true,
            longest: 0,
            characters: 0,
            with_spaces: 0,
            with_bars: 0,
        }
    }

    /// Counts a missing value for each of the first `rows` rows that brought none.
    pub(super) fn fill_up(&mut self, rows: u64) {
        self.nulls += rows.saturating_sub(self.seen);
        self.seen = self.seen.max(rows);
    }

    /// A separated value; `bars` tells whether `|` may separate items.
    pub(super) fn add_text(&mut self, text: &str, bars: bool) {
        if text.is_empty() {
            self.seen += 1;
            self.nulls += 1;
            return;
        }
        self.candidates.list_of = self.candidates.list_of.filter(|_| text.starts_with('['));
        self.candidates.json &= text.starts_with(['{', '[']);
        self.narrow_text(text, true);
        self.with_bars += u64::from(bars && text.contains('|'));
        self.add(text);
    }

    /// A JSON string: never a number, but perhaps a date.
    pub(super) fn add_string(&mut self, text: &str) {
        self.candidates.list_of = None;
        self.narrow_text(text, false);
        self.add(text);
    }

    /// A JSON number.
    pub(super) fn add_number(&mut self, text: &str) {
        self.candidates = Candidates {
            list_of: None,
            date: false,
            datetime: false,
            uuid: false,
            boolean: false,
            text: false,
            ..self.candidates
        };
        self.narrow_number(text);
        self.add(text);
    }

    /// `true` or `false`.
    pub(super) fn add_boolean(&mut self, text: &str) {
        self.candidates =
            Candidates { boolean: self.candidates.boolean, ..Candidates::json_only() };
        self.add(text);
    }

    /// A JSON array.
    pub(super) fn add_array(&mut self, text: &str, depth: usize) {
        let list_of = self.candidates.list_of.and_then(|items| items_of(text, depth, items));
        self.candidates = Candidates { list_of, ..Candidates::json_only() };
        self.add(text);
    }

    /// A JSON object.
    pub(super) fn add_json(&mut self, text: &str) {
        self.candidates = Candidates::json_only();
        self.add(text);
    }

    /// A value of a column whose type the file knows.
    pub(super) fn add_known(&mut self, text: &str) {
        self.has_known = true;
        self.add(text);
    }

    fn narrow_text(&mut self, text: &str, numbers: bool) {
        let bytes = text.as_bytes();
        let value = Value { kind: CellKind::Bare, text: bytes, origin: 0 };
        let is = &mut self.candidates;
        is.boolean = is.boolean
            && !text.bytes().any(|b| b.is_ascii_digit())
            && scalar::boolean(&value).is_ok();
        is.date = is.date && time::date(bytes, None).is_ok();
        is.datetime = is.datetime && time::datetime(bytes, None).is_ok();
        is.uuid = is.uuid && scalar::uuid(&value).is_ok();
        if numbers {
            self.narrow_number(text);
        } else {
            (is.int, is.long, is.float) = (false, false, false);
        }
    }

    fn narrow_number(&mut self, text: &str) {
        let value = Value { kind: CellKind::Bare, text: text.as_bytes(), origin: 0 };
        let is = &mut self.candidates;
        // `007` is a code, not a number: its zeros would be lost.
        let code = leading_zero(text);
        let whole = !code && !text.contains(['.', 'e', 'E']);
        is.int = is.int && whole && scalar::int(&value).is_ok();
        is.long = is.long && whole && scalar::long(&value).is_ok();
        is.float = is.float && !code && scalar::float(&value).is_ok_and(f64::is_finite);
    }

    fn add(&mut self, text: &str) {
        self.seen += 1;
        let length = text.chars().count() as u64;
        self.longest = self.longest.max(length);
        self.characters += length;
        self.with_spaces += u64::from(text.trim().contains(' '));
        let text = head(text.trim());
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
        self.sketch.insert(&canonical(text, number));
        let key = match number {
            Some(number) => Key::Number(number),
            None => Key::Text(text.to_owned()),
        };
        self.ascending &= self.previous.as_ref().is_none_or(|previous| not_after(previous, &key));
        self.extremes.add(&key, text);
        self.previous = Some(key);
    }

    /// What was measured.
    pub(super) fn finish(self) -> ColumnProfile {
        let data_type = self.data_type();
        let textual = matches!(data_type, Some(DataType::String | DataType::List { .. }));
        let (min, max) = self.extremes.finish(data_type.as_ref());
        let count = |count: u64| if textual { count } else { 0 };
        ColumnProfile {
            header: self.header,
            nulls: self.nulls,
            sketch: self.sketch,
            min,
            max,
            longest: count(self.longest),
            characters: count(self.characters),
            with_spaces: count(self.with_spaces),
            ascending: self.ascending && self.nulls == 0 && data_type.is_some(),
            data_type,
        }
    }

    fn data_type(&self) -> Option<DataType> {
        let values = self.seen - self.nulls;
        if values == 0 {
            return None;
        }
        if self.has_known {
            return Some(self.known.clone());
        }
        let is = &self.candidates;
        let list = |item: DataType| DataType::List { item: Box::new(item), nullable: false };
        Some(match is.list_of {
            Some(Items::Text | Items::Unknown) => list(DataType::String),
            Some(Items::Whole) => list(DataType::Int),
            Some(Items::Number) => list(DataType::Float),
            _ if is.boolean => DataType::Boolean,
            _ if is.int => DataType::Int,
            _ if is.long => DataType::Long,
            _ if is.float => DataType::Float,
            _ if is.date => DataType::Date,
            _ if is.datetime => DataType::DateTime,
            _ if is.uuid => DataType::Uuid,
            _ if is.text && self.with_bars * LISTS_IN >= values => list(DataType::String),
            _ if is.text => DataType::String,
            _ => DataType::Json,
        })
    }
}

impl Candidates {
    fn json_only() -> Candidates {
        Candidates {
            boolean: false,
            int: false,
            long: false,
            float: false,
            date: false,
            datetime: false,
            uuid: false,
            text: false,
            list_of: None,
            json: true,
        }
    }
}

impl Extremes {
    fn add(&mut self, key: &Key, text: &str) {
        if let Key::Number(number) = key {
            let own = || (*number, text.to_owned());
            let (min, max) = self.numbers.get_or_insert_with(|| (own(), own()));
            if *number < min.0 {
                *min = own();
            }
            if *number > max.0 {
                *max = own();
            }
        }
        match &mut self.texts {
            None => self.texts = Some((text.to_owned(), text.to_owned())),
            Some((min, _)) if text < min.as_str() => *min = text.to_owned(),
            Some((_, max)) if text > max.as_str() => *max = text.to_owned(),
            Some(_) => {}
        }
    }

    fn finish(self, data_type: Option<&DataType>) -> (Option<Arc<str>>, Option<Arc<str>>) {
        let numeric = data_type.is_some_and(DataType::is_numeric);
        let found = match (self.numbers, self.texts) {
            (Some((min, max)), _) if numeric => Some((min.1, max.1)),
            (_, texts) => texts,
        };
        found.map_or((None, None), |(min, max)| (Some(min.into()), Some(max.into())))
    }
}

fn not_after(earlier: &Key, later: &Key) -> bool {
    match (earlier, later) {
        (Key::Number(earlier), Key::Number(later)) => {
            earlier.partial_cmp(later) != Some(Ordering::Greater)
        }
        (Key::Text(earlier), Key::Text(later)) => earlier <= later,
        _ => false,
    }
}

/// `1`, `1.0` and `+1` are one value.
fn canonical(text: &str, number: Option<f64>) -> String {
    match number {
        Some(number) if !leading_zero(text) => {
            let exact = text.bytes().all(|byte| byte.is_ascii_digit());
            if exact { text.to_owned() } else { number.to_string() }
        }
        _ => text.to_owned(),
    }
}

fn leading_zero(text: &str) -> bool {
    let digits = text.trim().trim_start_matches(['-', '+']).as_bytes();
    digits.len() > 1 && digits[0] == b'0' && digits[1].is_ascii_digit()
}

/// The part of a value that is compared.
fn head(text: &str) -> &str {
    let mut end = text.len().min(LONGEST_SHOWN);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// What the items are, together with those of earlier arrays; `None` when they have no common type.
fn items_of(text: &str, depth: usize, before: Items) -> Option<Items> {
    let mut bytes = text.as_bytes().to_vec();
    let end = bytes.len();
    let cells = json::items(&mut bytes, 0, end, depth).ok()?;
    let items = cells.iter().fold(before, |before, cell| {
        let text = &bytes[cell.start as usize..cell.end as usize];
        let value = Value { kind: cell.kind, text, origin: 0 };
        let this = match cell.kind {
            CellKind::String => Items::Text,
            CellKind::Number if scalar::int(&value).is_ok() && !text.contains(&b'.') => {
                Items::Whole
            }
            CellKind::Number => Items::Number,
            _ => Items::Other,
        };
        match (before, this) {
            (Items::Unknown, this) => this,
            (Items::Whole, Items::Number) | (Items::Number, Items::Whole) => Items::Number,
            (before, this) if before == this => this,
            _ => Items::Other,
        }
    });
    (items != Items::Other).then_some(items)
}
