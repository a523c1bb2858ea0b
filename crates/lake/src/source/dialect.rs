//! How separated values are written: the delimiter, and whether the first record names the columns.
//!
//! In: the first bytes of the text, and what the user said. Out: a [`Dialect`]. The guesses are
//! stated rules: the delimiter is the one of `,` `;` tab `|` that splits the first records most
//! evenly; a header is a first record whose values are all text, present and different.

use std::collections::BTreeSet;

use base::{Error, Result};

use super::ReadOptions;

/// Delimiters that are tried, in the order of preference.
pub const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Records that are looked at.
const SAMPLE: usize = 64;

/// How separated values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// Between values.
    pub delimiter: u8,
    /// Around values that hold delimiters, quotes or line ends; `None` when quotes are plain text.
    pub quote: Option<u8>,
    /// Whether the first record names the columns.
    pub header: bool,
}

/// Finds the dialect of a text that begins with `start`; `known` tells whether a name is a field of
/// the type, when there is one.
pub fn detect(
    start: &[u8],
    options: &ReadOptions,
    known: Option<&dyn Fn(&str) -> bool>,
) -> Result<Dialect> {
    let quote = (!options.plain_quotes).then_some(b'"');
    let delimiter = match options.delimiter {
        Some(delimiter) => delimiter,
        None => delimiter(start, quote, known)?,
    };
    let header = match (options.header, &options.columns) {
        (Some(header), _) => header,
        (None, Some(_)) => false,
        (None, None) => is_header(&sample(start, delimiter, quote), known),
    };
    Ok(Dialect { delimiter, quote, header })
}

fn delimiter(start: &[u8], quote: Option<u8>, known: Option<&dyn Fn(&str) -> bool>) -> Result<u8> {
    let fit = |delimiter: &u8| {
        let records = sample(start, *delimiter, quote);
        evenness(&records) + 2.0 * known_share(&records, known)
    };
    let best = DELIMITERS.iter().copied().map(|delimiter| (fit(&delimiter), delimiter)).fold(
        (0.0, b','),
        // Strictly better only, so that the order of preference decides between equals.
        |best, next| if next.0 > best.0 { next } else { best },
    );
    if best.0 == 0.0 && double_colon(start) {
        return Err(Error::invalid("the values are separated by `::`, which is two characters")
            .hint("replace it by a tab: `sed 's/::/\\t/g' FILE`"));
    }
    Ok(best.1)
}

fn double_colon(start: &[u8]) -> bool {
    let lines = start.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let mut counts = lines.take(SAMPLE).map(|line| line.windows(2).filter(|w| w == b"::").count());
    let first = counts.next().unwrap_or(0);
    first > 0 && counts.all(|count| count == first)
}

/// The share of the first record's values that are names of fields; 0 for a single value, which
/// every delimiter gives alike.
fn known_share(records: &[Vec<String>], known: Option<&dyn Fn(&str) -> bool>) -> f64 {
    let (Some(known), Some(first)) = (known, records.first().filter(|first| first.len() > 1))
    else {
        return 0.0;
    };
    first.iter().filter(|name| known(name)).count() as f64 / first.len() as f64
}

/// How evenly records split: the share of records with the commonest width, more for more columns;
/// 0 when nothing is split.
fn evenness(records: &[Vec<String>]) -> f64 {
    let mut widths: Vec<usize> = records.iter().map(Vec::len).collect();
    widths.sort_unstable();
    let groups = widths.chunk_by(|a, b| a == b);
    let Some(common) = groups.filter(|group| group[0] > 1).max_by_key(|group| group.len()) else {
        return 0.0;
    };
    let share = common.len() as f64 / records.len() as f64;
    // A perfect split into two beats an uneven split into many; among perfect ones more is better.
    share + share * (common[0].min(100) as f64) / 1000.0
}

/// The values of the first records; a record that the window cuts is left out.
fn sample(start: &[u8], delimiter: u8, quote: Option<u8>) -> Vec<Vec<String>> {
    let mut records = Vec::new();
    let (mut values, mut value) = (Vec::new(), Vec::new());
    let (mut quoted, mut at) = (false, 0);
    while at < start.len() && records.len() < SAMPLE {
        let byte = start[at];
        at += 1;
        match byte {
            _ if quoted && Some(byte) == quote => {
                // A doubled quote belongs to the value.
                quoted = start.get(at).copied() == quote;
                at += usize::from(quoted);
                value.extend(quoted.then_some(byte));
            }
            _ if quoted => value.push(byte),
            _ if Some(byte) == quote && value.is_empty() => {
                quoted = true;
                continue;
            }
            b'\n' | b'\r' if value.is_empty() && values.is_empty() => {}
            b'\n' | b'\r' => {
                values.push(String::from_utf8_lossy(&std::mem::take(&mut value)).into_owned());
                records.push(std::mem::take(&mut values));
            }
            _ if byte == delimiter => {
                values.push(String::from_utf8_lossy(&std::mem::take(&mut value)).into_owned());
            }
            _ => value.push(byte),
        }
    }
    if records.is_empty() && (!value.is_empty() || !values.is_empty()) {
        values.push(String::from_utf8_lossy(&value).into_owned());
        records.push(values);
    }
    records
}

fn is_header(records: &[Vec<String>], known: Option<&dyn Fn(&str) -> bool>) -> bool {
    let Some(first) = records.first() else { return true };
    let mut seen = BTreeSet::new();
    let named = first.iter().all(|name| is_name(name) && seen.insert(name.as_str()));
    if let Some(known) = known
        && first.iter().any(|name| known(name))
    {
        return true;
    }
    // Text above numbers is a header; text above text is one unless the column repeats it.
    named
        && (0..first.len()).all(|column| {
            !records.iter().skip(1).any(|record| record.get(column) == first.get(column))
        })
}

/// Whether a value can be a column's name: present, and no number, date or address.
fn is_name(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty()
        && text.len() <= 128
        && text.parse::<f64>().is_err()
        && text.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '#' || c == '$')
        && !text.contains("://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, delimiter: u8, header: bool) {
        let dialect = detect(text.as_bytes(), &ReadOptions::default(), None).expect("detected");
        assert_eq!(
            (char::from(dialect.delimiter), dialect.header),
            (char::from(delimiter), header),
            "{text}"
        );
    }

    #[test]
    fn the_delimiter_is_the_one_that_splits_evenly() {
        check("a,b\n1,2\n", b',', true);
        check("a;b\n1,5;2,5\n1,0;3\n", b';', true);
        check("196\t242\t3\t881250949\n186\t302\t3\t891717742\n", b'\t', false);
        check("1|Toy Story (1995)|01-Jan-1995\n2|GoldenEye (1995)|01-Jan-1995\n", b'|', false);
        check("title,genres\nHeat,Action|Crime\nJumanji,Adventure|Children\n", b',', true);
        check("name\nAda\nGrace\n", b',', true);
        check("a,\"b\nc\"\n1,\"x,y\nz\"\n", b',', true);
    }

    #[test]
    fn a_double_colon_is_refused_with_the_way_out() {
        let error = detect(b"1::2::3\n4::5::6\n", &ReadOptions::default(), None);
        assert!(error.expect_err("refused").message().contains("::"));
    }

    #[test]
    fn a_first_record_that_names_a_field_is_a_header() {
        let known = |name: &str| name == "2020";
        let options = ReadOptions::default();
        let dialect = detect(b"2020,2021\n1,2\n", &options, Some(&known)).expect("detected");
        assert!(dialect.header);
    }
}
