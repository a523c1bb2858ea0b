//! Cuts JSON records into cells, strictly (RFC 8259), keeping numbers as their text so that nothing
//! is lost on the way to `Long` and `Decimal`.
//!
//! In: a block of records, each one JSON object. Out: [`Cells`] in the order of the wanted names.
//! Nested values stay text; `nested` cuts them with the same scanner.

use std::collections::HashMap;

use super::block::Block;
use super::cell::{Cell, CellKind, Cells};
use super::fault::{Fault, FaultKind, shown};

/// Which cell each name of an object fills.
#[derive(Clone, Debug, Default)]
pub struct Names {
    slots: HashMap<Vec<u8>, Option<usize>>,
    /// Cells of a record.
    pub width: usize,
    /// Whether other names are passed over.
    pub ignore_unknown: bool,
}

impl Names {
    /// Wants these names, in this order.
    pub fn new<'n>(names: impl IntoIterator<Item = &'n str>, ignore_unknown: bool) -> Names {
        let mut wanted = Names { ignore_unknown, ..Names::default() };
        for name in names {
            wanted.slots.insert(name.as_bytes().to_vec(), Some(wanted.width));
            wanted.width += 1;
        }
        wanted
    }

    /// Lets another spelling fill the same cell; names that are taken keep their cell.
    pub fn alias(&mut self, name: &str, slot: Option<usize>) {
        self.slots.entry(name.as_bytes().to_vec()).or_insert(slot);
    }

    /// Whether the name is known, as one that fills a cell or one that is left out.
    pub fn knows(&self, name: &str) -> bool {
        self.slots.contains_key(name.as_bytes())
    }
}

/// Cuts all records of a block.
pub fn cut(block: Block, names: &Names, depth: usize) -> Cells {
    let mut cells = Cells::new(block.bytes, names.width, block.records.len());
    for (start, end) in &block.records {
        let (start, end) = (*start as usize, *end as usize);
        if let Err(fault) = cut_record(&mut cells, start, end, names, depth) {
            cells.fail(Fault { record: cells.count, ..fault });
        }
        cells.count += 1;
    }
    cells
}

fn cut_record(
    cells: &mut Cells,
    start: usize,
    end: usize,
    names: &Names,
    depth: usize,
) -> Result<(), Fault> {
    let mut scanner = Scanner { bytes: &mut cells.bytes, at: start, end, depth };
    scanner.spaces();
    if scanner.peek() != Some(b'{') {
        return Err(scanner.fault("expected an object `{…}`"));
    }
    let base = cells.cells.len();
    cells.cells.resize(base + names.width, Cell::empty(CellKind::Missing, start));
    let found = &mut cells.cells[base..];
    scanner.object(|key, origin, cell| set(found, key, origin, cell, names))?;
    scanner.spaces();
    if scanner.at < end {
        return Err(scanner.fault("expected the end of the record after its object"));
    }
    Ok(())
}

fn set(
    found: &mut [Cell],
    key: &[u8],
    origin: usize,
    cell: Cell,
    names: &Names,
) -> Result<(), Fault> {
    match names.slots.get(key) {
        Some(Some(slot)) if found[*slot].kind == CellKind::Missing => {
            found[*slot] = cell;
            Ok(())
        }
        Some(Some(_)) => {
            let message = format!("field {} occurs twice", shown(key));
            Err(Fault::record(0, FaultKind::Syntax, message).offset(origin))
        }
        Some(None) => Ok(()),
        None if names.ignore_unknown => Ok(()),
        None => {
            let message = format!("the type has no field {}", shown(key));
            Err(Fault::record(0, FaultKind::UnknownField, message)
                .offset(origin)
                .hint("rename it, or leave it out with `--ignore-unknown`"))
        }
    }
}

/// Cuts one array into cells, one an item; the texts go to the end of `bytes`.
pub fn items(
    bytes: &mut Vec<u8>,
    start: usize,
    end: usize,
    depth: usize,
) -> Result<Vec<Cell>, Fault> {
    let mut scanner = Scanner { bytes, at: start, end, depth };
    scanner.spaces();
    if scanner.peek() != Some(b'[') {
        return Err(scanner.fault("expected an array `[…]`"));
    }
    let mut items = Vec::new();
    scanner.array(|cell| items.push(cell))?;
    scanner.spaces();
    if scanner.at < end {
        Err(scanner.fault("expected the end after the array"))
    } else {
        Ok(items)
    }
}

/// Cuts one object into the cells of `names`.
pub fn parts(
    bytes: &mut Vec<u8>,
    start: usize,
    end: usize,
    names: &Names,
    depth: usize,
) -> Result<Vec<Cell>, Fault> {
    let mut scanner = Scanner { bytes, at: start, end, depth };
    scanner.spaces();
    if scanner.peek() != Some(b'{') {
        return Err(scanner.fault("expected an object `{…}`"));
    }
    let mut found = vec![Cell::empty(CellKind::Missing, start); names.width];
    scanner.object(|key, origin, cell| set(&mut found, key, origin, cell, names))?;
    scanner.spaces();
    if scanner.at < end {
        Err(scanner.fault("expected the end after the object"))
    } else {
        Ok(found)
    }
}

/// All names and values of one object, in order: for profiles and sidecars.
pub fn entries(record: &[u8], depth: usize) -> Result<Vec<(String, CellKind, String)>, Fault> {
    let mut bytes = record.to_vec();
    let end = bytes.len();
    let mut found = Vec::new();
    let mut scanner = Scanner { bytes: &mut bytes, at: 0, end, depth };
    scanner.spaces();
    if scanner.peek() != Some(b'{') {
        return Err(scanner.fault("expected an object `{…}`"));
    }
    scanner.object(|key, _, cell| {
        found.push((String::from_utf8_lossy(key).into_owned(), cell));
        Ok(())
    })?;
    scanner.spaces();
    if scanner.at < end {
        return Err(scanner.fault("expected the end of the record after its object"));
    }
    let text = |cell: &Cell| {
        String::from_utf8_lossy(&bytes[cell.start as usize..cell.end as usize]).into_owned()
    };
    Ok(found.iter().map(|(key, cell)| (key.clone(), cell.kind, text(cell))).collect())
}

/// Checks that a text is one JSON value.
pub fn validate(text: &[u8], depth: usize) -> Result<(), Fault> {
    let mut bytes = text.to_vec();
    let mut scanner = Scanner { bytes: &mut bytes, at: 0, end: text.len(), depth };
    scanner.spaces();
    scanner.value()?;
    scanner.spaces();
    if scanner.at < text.len() {
        Err(scanner.fault("expected the end after the value"))
    } else {
        Ok(())
    }
}

struct Scanner<'a> {
    /// The text, and behind it the strings whose escapes were removed.
    bytes: &'a mut Vec<u8>,
    at: usize,
    end: usize,
    depth: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        (self.at < self.end).then(|| self.bytes[self.at])
    }

    fn spaces(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn fault(&self, expected: &str) -> Fault {
        let found = match self.peek() {
            Some(_) => {
                let rest = &self.bytes[self.at..self.end];
                let stop = rest.iter().position(|b| b.is_ascii_whitespace() || b",]}".contains(b));
                shown(&rest[..stop.unwrap_or(rest.len()).max(1)])
            }
            None => "the end of the record".to_owned(),
        };
        Fault::record(0, FaultKind::Syntax, format!("{expected}, found {found}")).offset(self.at)
    }

    fn expect(&mut self, byte: u8, what: &str) -> Result<(), Fault> {
        if self.peek() != Some(byte) {
            return Err(self.fault(what));
        }
        self.at += 1;
        Ok(())
    }

    fn deeper(&mut self) -> Result<(), Fault> {
        self.depth = self.depth.checked_sub(1).ok_or_else(|| {
            Fault::record(0, FaultKind::TooLong, "the value is nested too deeply").offset(self.at)
        })?;
        Ok(())
    }

    /// Walks through an object; `each` gets the name, where it stands, and the value.
    fn object(
        &mut self,
        mut each: impl FnMut(&[u8], usize, Cell) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.deeper()?;
        self.at += 1;
        self.spaces();
        if self.peek() == Some(b'}') {
            self.at += 1;
        } else {
            loop {
                self.spaces();
                let origin = self.at;
                if self.peek() != Some(b'"') {
                    return Err(self.fault("expected a name in double quotes"));
                }
                let key = self.string()?;
                self.spaces();
                self.expect(b':', "expected `:` after the name")?;
                self.spaces();
                let cell = self.value()?;
                each(&self.bytes[key.start as usize..key.end as usize], origin, cell)?;
                self.spaces();
                match self.peek() {
                    Some(b',') => self.at += 1,
                    Some(b'}') => {
                        self.at += 1;
                        break;
                    }
                    _ => return Err(self.fault("expected `,` or `}` after a value")),
                }
            }
        }
        self.depth += 1;
        Ok(())
    }

    fn array(&mut self, mut each: impl FnMut(Cell)) -> Result<(), Fault> {
        self.deeper()?;
        self.at += 1;
        self.spaces();
        if self.peek() == Some(b']') {
            self.at += 1;
        } else {
            loop {
                self.spaces();
                each(self.value()?);
                self.spaces();
                match self.peek() {
                    Some(b',') => self.at += 1,
                    Some(b']') => {
                        self.at += 1;
                        break;
                    }
                    _ => return Err(self.fault("expected `,` or `]` after an item")),
                }
            }
        }
        self.depth += 1;
        Ok(())
    }

    fn value(&mut self) -> Result<Cell, Fault> {
        let start = self.at;
        let kind = match self.peek() {
            Some(b'"') => return self.string(),
            Some(b'{') => {
                self.object(|_, _, _| Ok(()))?;
                CellKind::Object
            }
            Some(b'[') => {
                self.array(|_| ())?;
                CellKind::Array
            }
            Some(b'-' | b'0'..=b'9') => {
                self.number()?;
                CellKind::Number
            }
            Some(b't') => self.word(b"true", CellKind::True)?,
            Some(b'f') => self.word(b"false", CellKind::False)?,
            Some(b'n') => self.word(b"null", CellKind::Null)?,
            _ => return Err(self.fault("expected a JSON value")),
        };
        Ok(Cell { start: start as u32, end: self.at as u32, origin: start as u32, kind })
    }

    fn word(&mut self, word: &[u8], kind: CellKind) -> Result<CellKind, Fault> {
        if !self.bytes[self.at..self.end].starts_with(word) {
            return Err(self.fault("expected a JSON value"));
        }
        self.at += word.len();
        Ok(kind)
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(self.fault("expected a digit")) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<(), Fault> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let start = self.at;
        self.digits()?;
        if self.bytes[start] == b'0' && self.at > start + 1 {
            self.at = start;
            return Err(self.fault("expected a number without leading zeros"));
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn string(&mut self) -> Result<Cell, Fault> {
        let origin = self.at;
        self.at += 1;
        let start = self.at;
        let mut escaped = false;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.at += 2;
                }
                Some(0..=0x1f) => {
                    return Err(self.fault("expected no control character inside a string"));
                }
                Some(_) => self.at += 1,
                None => {
                    let message = "a string is opened and never closed";
                    return Err(Fault::record(0, FaultKind::Syntax, message).offset(origin));
                }
            }
        }
        let stop = self.at;
        self.at += 1;
        let (start, stop) = if escaped { self.unescape(start, stop)? } else { (start, stop) };
        let (start, end) = (start as u32, stop as u32);
        Ok(Cell { start, end, origin: origin as u32, kind: CellKind::String })
    }

    fn unescape(&mut self, from: usize, to: usize) -> Result<(usize, usize), Fault> {
        let start = self.bytes.len();
        let mut at = from;
        while at < to {
            let byte = self.bytes[at];
            at += 1;
            if byte != b'\\' {
                self.bytes.push(byte);
                continue;
            }
            let escape = if at < to { self.bytes[at] } else { 0 };
            at += 1;
            let plain = match escape {
                b'"' | b'\\' | b'/' => escape,
                b'b' => 8,
                b'f' => 12,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'u' => {
                    let (character, next) = self.unicode(at, to)?;
                    at = next;
                    self.bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                    continue;
                }
                _ => return Err(self.bad_escape(at)),
            };
            self.bytes.push(plain);
        }
        Ok((start, self.bytes.len()))
    }

    /// The character of `\uXXXX`, with its second half when it is one of a pair.
    fn unicode(&self, at: usize, to: usize) -> Result<(char, usize), Fault> {
        let first = self.hex(at, to)?;
        if let Some(character) = char::from_u32(first) {
            return Ok((character, at + 4));
        }
        let paired = (0xd800..0xdc00).contains(&first)
            && to >= at + 10
            && self.bytes[at + 4..at + 6] == *b"\\u";
        let second = if paired { self.hex(at + 6, to)? } else { 0 };
        let code = 0x10000 + ((first & 0x3ff) << 10) + (second & 0x3ff);
        match char::from_u32(code) {
            Some(character) if (0xdc00..0xe000).contains(&second) => Ok((character, at + 10)),
            _ => Err(self.bad_escape(at)),
        }
    }

    fn hex(&self, at: usize, to: usize) -> Result<u32, Fault> {
        let digits = if at + 4 <= to { &self.bytes[at..at + 4] } else { &[] };
        if digits.len() != 4 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(self.bad_escape(at));
        }
        let text = std::str::from_utf8(digits).map_err(|_| self.bad_escape(at))?;
        u32::from_str_radix(text, 16).map_err(|_| self.bad_escape(at))
    }

    fn bad_escape(&self, at: usize) -> Fault {
        let message = "a string holds an escape that JSON does not have";
        Fault::record(0, FaultKind::Syntax, message).offset(at.saturating_sub(2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        let found = entries(text.as_bytes(), 8).map(|entries| {
            let one =
                |(key, kind, text): &(String, CellKind, String)| format!("{key}={kind:?}:{text}");
            entries.iter().map(one).collect::<Vec<_>>().join(" ")
        });
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(fault), Err(part)) => assert!(fault.message.contains(part), "{fault:?}"),
            (found, _) => panic!("{text}: {found:?}"),
        }
    }

    #[test]
    fn objects_are_cut_and_judged() {
        check(r#"{"a": 1, "b": "x\n\u00e9\ud83c\udfac"}"#, Ok("a=Number:1 b=String:x\né🎬"));
        check(
            r#"{"a":[1,{"b":2}],"c":null,"d":true}"#,
            Ok("a=Array:[1,{\"b\":2}] c=Null:null d=True:true"),
        );
        check("{}", Ok(""));
        check("{\"a\": 01}", Err("leading zeros"));
        check("{\"a\": 1,}", Err("name in double quotes"));
        check("{'a': 1}", Err("name in double quotes"));
        check("{\"a\": NaN}", Err("a JSON value"));
        check("{\"a\": \"\\x\"}", Err("escape"));
        check("{\"a\": \"\\ud83c\"}", Err("escape"));
        check("{\"a\": \"b", Err("never closed"));
        check("{\"a\": \"b\\\"}", Err("never closed"));
        check("{\"a\": 1} 2", Err("end of the record"));
        check("[1]", Err("expected an object"));
        check(&format!("{{\"a\": {}1{}}}", "[".repeat(9), "]".repeat(9)), Err("nested too deeply"));
    }

    proptest::proptest! {
        #[test]
        fn the_scanner_agrees_with_serde_json(text in "[\\[\\]{}:,\" \\\\a-f0-9.eE+-]{0,24}") {
            let ours = validate(text.as_bytes(), 64).is_ok();
            // Values that are not kept have no range: a number beyond that of a float is valid.
            let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            proptest::prop_assert_eq!(ours, theirs, "{}", text);
        }
    }
}
