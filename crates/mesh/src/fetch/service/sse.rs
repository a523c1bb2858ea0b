//! The events of a service over HTTP, as GraphQL over SSE has them: `next` carries an answer, `complete`
//! ends the stream.
//!
//! In: pieces of an event stream, cut anywhere. Out: the bodies of answers. An event that is larger than
//! an answer may be ends the stream. Not here: connections (`transport`).

use std::collections::VecDeque;

use base::Kind;
use bytes::Bytes;
use futures::StreamExt;

use super::{CallError, Told};
use crate::transport::AnswerStream;

/// Cuts pieces into events.
struct Events {
    /// What came of a line that is not whole.
    line: Vec<u8>,
    /// Whether the line before ended with a carriage return, so that a line feed belongs to it.
    after_return: bool,
    name: Vec<u8>,
    data: Vec<u8>,
    /// Bytes of one event.
    most: usize,
    ready: VecDeque<Bytes>,
    is_over: bool,
}

/// The answers that an event stream carries.
pub(super) fn answers(stream: AnswerStream, most: usize) -> Told {
    let state = Box::new((stream, Events::new(most)));
    futures::stream::unfold(state, |mut state| async move {
        let next = next(&mut state.0, &mut state.1).await?;
        Some((next, state))
    })
    .boxed()
}

async fn next(stream: &mut AnswerStream, events: &mut Events) -> Option<Result<Bytes, CallError>> {
    loop {
        if let Some(ready) = events.ready.pop_front() {
            return Some(Ok(ready));
        }
        if events.is_over {
            return None;
        }
        let failed = match stream.next().await {
            Some(Ok(piece)) => match events.take(&piece) {
                Ok(()) => continue,
                Err(error) => error,
            },
            Some(Err(error)) => {
                CallError::new(error.kind.kind(), error.kind.to_string()).caused_by(error.detail)
            }
            None => CallError::new(Kind::Unavailable, "the stream ended before it was complete"),
        };
        events.is_over = true;
        return Some(Err(failed));
    }
}

impl Events {
    fn new(most: usize) -> Self {
        Events {
            line: Vec::new(),
            after_return: false,
            name: Vec::new(),
            data: Vec::new(),
            most,
            ready: VecDeque::new(),
            is_over: false,
        }
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), CallError> {
        for byte in piece {
            let after_return = std::mem::replace(&mut self.after_return, *byte == b'\r');
            match byte {
                b'\n' if after_return => {}
                b'\n' | b'\r' => self.end_line(),
                byte => self.line.push(*byte),
            }
            if self.line.len() + self.data.len() > self.most {
                return Err(CallError::new(Kind::LimitExceeded, "an event is too large"));
            }
        }
        Ok(())
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            return self.end_event();
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"event" => self.name = value.to_vec(),
            b"data" => {
                self.data.extend_from_slice(value);
                self.data.push(b'\n');
            }
            // Comments keep the connection open; ids and waits are for readers that come back.
            _ => {}
        }
    }

    fn end_event(&mut self) {
        let (name, data) = (std::mem::take(&mut self.name), std::mem::take(&mut self.data));
        if self.is_over {
            return;
        }
        match name.as_slice() {
            b"complete" => self.is_over = true,
            b"next" if !data.is_empty() => self.ready.push_back(data.into()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of a stream however it is cut.
    fn check(stream: &str, expected: &[&str], is_over: bool) {
        for width in 1..=stream.len() {
            let mut events = Events::new(1_000);
            for piece in stream.as_bytes().chunks(width) {
                events.take(piece).expect("within the limit");
            }
            let found: Vec<String> = events
                .ready
                .iter()
                .map(|data| String::from_utf8_lossy(data).trim_end().to_owned())
                .collect();
            assert_eq!(found, expected, "{stream:?} in pieces of {width}");
            assert_eq!(events.is_over, is_over, "{stream:?} in pieces of {width}");
        }
    }

    #[test]
    fn events_are_found_however_the_stream_is_cut() {
        check("event: next\ndata: {\"a\":1}\n\n", &["{\"a\":1}"], false);
        check("event:next\r\ndata:1\r\n\r\nevent:next\rdata:2\r\r", &["1", "2"], false);
        check(":\n\nevent: next\nid: 7\ndata: [1,\ndata: 2]\n\n: ping\n\n", &["[1,\n2]"], false);
        check("event: next\ndata: 1\n\nevent: complete\ndata:\n\n", &["1"], true);
        check("event: complete\n\nevent: next\ndata: 1\n\n", &[], true);
        check("event: other\ndata: 1\n\ndata: 2\n\nevent: next\n\n", &[], false);
        check("event: next\ndata: 1\n", &[], false);
    }

    #[test]
    fn an_event_has_a_bound() {
        let mut events = Events::new(10);
        assert!(events.take(b"event: next\n").is_err());
        let mut events = Events::new(20);
        assert!(events.take(b"event: next\ndata: 1234567\n").is_ok());
        assert!(events.take(b"data: 1234567\ndata: 1234567\n").is_err());
    }
}
