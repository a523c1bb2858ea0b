//! The body of a call: what is passed on of all objects, each text once.

use std::hash::{BuildHasher as _, RandomState};

/// A body that grows by representations.
pub(super) struct Batch {
    body: Vec<u8>,
    /// Where the text of each one stands.
    texts: Vec<(usize, usize)>,
    /// The numbers of texts by their hashes, plus one; 0 is free. Its length is a power of two, at least
    /// twice the number of texts.
    table: Vec<u32>,
    hasher: RandomState,
}

impl Batch {
    /// A body that begins so.
    pub(super) fn new(prefix: &[u8]) -> Self {
        let mut body = Vec::with_capacity(prefix.len() + 256);
        body.extend_from_slice(prefix);
        Batch { body, texts: Vec::new(), table: Vec::new(), hasher: RandomState::new() }
    }

    /// Begins the list.
    pub(super) fn open(&mut self, name: &[u8]) {
        self.body.extend_from_slice(name);
        self.body.push(b'[');
        self.table = vec![0; 16];
    }

    /// Ends the list.
    pub(super) fn close(&mut self) {
        self.body.push(b']');
    }

    /// Whether nothing was added.
    pub(super) fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    pub(super) fn into_body(self) -> Vec<u8> {
        self.body
    }

    /// Adds what `write` writes, unless it was added before or `write` fails. Out: its number.
    pub(super) fn add<E>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<u32, E> {
        let mark = self.body.len();
        if !self.texts.is_empty() {
            self.body.push(b',');
        }
        let start = self.body.len();
        if let Err(error) = write(&mut self.body) {
            self.body.truncate(mark);
            return Err(error);
        }
        let text = (start, self.body.len());
        let place = self.find(text);
        if let Some(known) = self.table[place].checked_sub(1) {
            self.body.truncate(mark);
            return Ok(known);
        }
        self.texts.push(text);
        self.table[place] = self.texts.len() as u32;
        if self.texts.len() * 2 > self.table.len() {
            self.grow();
        }
        Ok(self.texts.len() as u32 - 1)
    }

    /// The place in the table of a text, or the free place where it belongs.
    fn find(&self, (start, end): (usize, usize)) -> usize {
        let text = &self.body[start..end];
        let mask = self.table.len() - 1;
        let mut place = self.hasher.hash_one(text) as usize & mask;
        while let Some(known) = self.table[place].checked_sub(1) {
            let (start, end) = self.texts[known as usize];
            if &self.body[start..end] == text {
                break;
            }
            place = (place + 1) & mask;
        }
        place
    }

    fn grow(&mut self) {
        self.table = vec![0; self.table.len() * 2];
        for index in 0..self.texts.len() {
            let place = self.find(self.texts[index]);
            self.table[place] = index as u32 + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_is_there_once() {
        let mut batch = Batch::new(b"{");
        batch.open(b"\"r\":");
        let mut numbers = Vec::new();
        for index in 0..200 {
            let number = batch.add(|out| {
                out.extend_from_slice((index % 60).to_string().as_bytes());
                if index % 7 == 3 { Err(index) } else { Ok(()) }
            });
            match number {
                Ok(number) => numbers.push((index % 60, number)),
                Err(failed) => assert_eq!(failed, index),
            }
        }
        batch.close();
        let text = String::from_utf8(batch.into_body()).expect("text");
        let texts: Vec<&str> = text["{\"r\":[".len()..text.len() - 1].split(',').collect();
        assert_eq!(texts.len(), 60);
        for (value, number) in numbers {
            assert_eq!(texts[number as usize], value.to_string());
        }
    }
}
