//! Changes texts at random, so that most of them stay near to what a parser takes.
//!
//! In: a text, others to take parts from, and numbers. Out: another text; the same for the same seed. Not
//! here: what is done with it.

use base::rng::Rng;

/// Bytes that a text may grow to.
const LONGEST: usize = 64 << 10;

/// Times that a part is repeated, at most.
const REPEATED: u64 = 300;

/// How many of what is put in are numbers: the first ones.
const NUMBERS: u64 = 12;

/// What is put in: the least and the most of numbers, and what texts seldom have.
const ODD: [&str; 34] = [
    "0",
    "-1",
    "-0",
    "1e999",
    "-1e999",
    "1e-999",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "2147483648",
    "0.1",
    "NaN",
    "null",
    "true",
    "\"\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\u{feff}",
    "\u{202e}",
    "\u{1f3ac}",
    "e\u{301}",
    "\u{0}",
    "\"\"\"",
    "\\",
    "#",
    "$",
    "@",
    "...",
    "__typename",
    "&",
    "|",
    "{}",
    "[]",
    "\r",
];

/// A text with a few changes.
pub(crate) fn mutated(text: &str, others: &[String], rng: &Rng) -> String {
    let mut tokens = tokens(text);
    for _ in 0..=rng.below(4) {
        change(&mut tokens, others, rng);
    }
    let mut text: String = tokens.concat();
    if rng.below(8) == 0 {
        text = bytes_changed(text, rng);
    }
    text.truncate(text.floor_char_boundary(LONGEST));
    text
}

/// Names and numbers, texts, spaces, and everything else by itself.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(first) = rest.next() {
        let mut token = first.to_string();
        let goes_on: fn(char) -> bool = match first {
            '"' => |_| true,
            c if is_word(c) => is_word,
            c if c.is_whitespace() => char::is_whitespace,
            _ => |_| false,
        };
        while let Some(next) = rest.next_if(|next| goes_on(*next)) {
            token.push(next);
            // A text ends with its quote, whatever stands before it.
            if first == '"' && next == '"' {
                break;
            }
        }
        tokens.push(token);
    }
    tokens
}

fn is_number(token: &str) -> bool {
    token.starts_with(|first: char| first.is_ascii_digit())
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn change(tokens: &mut Vec<String>, others: &[String], rng: &Rng) {
    let at = |rng: &Rng, count: usize| rng.below(count as u64 + 1) as usize;
    let start = at(rng, tokens.len());
    let end = (start + 1 + at(rng, 8)).min(tokens.len());
    let place = at(rng, tokens.len());
    match rng.below(10) {
        0 => drop(tokens.drain(start..end)),
        1 => insert(tokens, place, tokens[start..end].to_vec()),
        2 => {
            // What nests by being repeated nests deeply.
            let times = rng.below(REPEATED) as usize;
            let part = tokens[start..end].to_vec();
            if part.iter().map(String::len).sum::<usize>() * times < LONGEST {
                let parts = std::iter::repeat_n(part, times).flatten();
                insert(tokens, place, parts.collect());
            }
        }
        3 if start < tokens.len() && place < tokens.len() => tokens.swap(start, place),
        4 | 5 => insert(tokens, place, vec![ODD[rng.below(ODD.len() as u64) as usize].to_owned()]),
        6 if start < tokens.len() => {
            tokens[start] = ODD[rng.below(ODD.len() as u64) as usize].to_owned();
        }
        // Numbers are few among the words, and what is done with them goes wrong in its own ways.
        8 => {
            let numbers = (0..tokens.len()).filter(|at| is_number(&tokens[*at]));
            let numbers: Vec<usize> = numbers.collect();
            if let Some(at) = numbers.get(rng.below(numbers.len() as u64) as usize) {
                tokens[*at] = ODD[rng.below(NUMBERS) as usize].to_owned();
            }
        }
        7 if start < tokens.len() && place < tokens.len() => {
            let other = tokens[place].clone();
            tokens[start] = other;
        }
        _ => {
            let Some(other) = others.get(rng.below(others.len() as u64) as usize) else { return };
            let other = self::tokens(other);
            let from = at(rng, other.len());
            let to = (from + at(rng, 40)).min(other.len());
            insert(tokens, place, other[from..to].to_vec());
        }
    }
}

fn insert(tokens: &mut Vec<String>, at: usize, part: Vec<String>) {
    tokens.splice(at..at, part);
}

/// One character in the place of another, or an end in the middle.
fn bytes_changed(mut text: String, rng: &Rng) -> String {
    let at = text.floor_char_boundary(rng.below(text.len() as u64 + 1) as usize);
    let odd = char::from_u32(rng.below(0x3000) as u32).unwrap_or('\u{fffd}');
    match rng.below(3) {
        0 => text.truncate(at),
        1 => text.insert(at, odd),
        _ => {
            if let Some(first) = text[at..].chars().next() {
                text.replace_range(at..at + first.len_utf8(), odd.encode_utf8(&mut [0; 4]));
            }
        }
    }
    text
}
