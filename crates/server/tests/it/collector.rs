//! A collector of OTLP for tests. In: what it is to do. Out: an address, and what it was sent, read field by
//! field as the public descriptions of the messages number them. A reader that others wrote looks at the
//! same messages in `tests/tools`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use parking_lot::Mutex;

/// What it does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    Takes,
    Refuses,
    /// It reads and never answers.
    Hangs,
}

/// A call as it came.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) path: String,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// The collector, until the test ends.
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl Collector {
    pub(crate) fn start(manner: Manner) -> Collector {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let sent: Arc<Mutex<Vec<Sent>>> = Arc::default();
        let shared = Arc::clone(&sent);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let sent = Arc::clone(&shared);
                std::thread::spawn(move || serve(&stream, manner, &sent));
            }
        });
        Collector { address, sent }
    }

    /// The settings that send to it.
    pub(crate) fn settings(&self) -> String {
        format!("[telemetry]\notlp_endpoint = \"http://{}\"\n", self.address)
    }

    /// All calls of a path.
    pub(crate) fn sent(&self, path: &str) -> Vec<Sent> {
        self.sent.lock().iter().filter(|sent| sent.path == path).cloned().collect()
    }

    /// All spans that it was sent, in the order of their coming.
    pub(crate) fn spans(&self) -> Vec<Span> {
        self.sent("/v1/traces").iter().flat_map(|sent| spans(&sent.body)).collect()
    }
}

fn serve(stream: &TcpStream, manner: Manner, sent: &Mutex<Vec<Sent>>) {
    let mut reader = BufReader::new(stream);
    while let Some(call) = read(&mut reader) {
        sent.lock().push(call);
        let status = match manner {
            Manner::Takes => "200 OK",
            Manner::Refuses => "503 Service Unavailable",
            Manner::Hangs => continue,
        };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        if (&mut &*stream).write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<&TcpStream>) -> Option<Sent> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let path = head.split(' ').nth(1)?.to_owned();
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
    let mut body = vec![0; length.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(Sent { path, head, body })
}

/// A span.
#[derive(Clone, Debug, Default)]
pub(crate) struct Span {
    pub(crate) trace: Vec<u8>,
    pub(crate) id: Vec<u8>,
    pub(crate) parent: Vec<u8>,
    pub(crate) name: String,
    pub(crate) kind: u64,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) is_error: bool,
}

fn spans(body: &[u8]) -> Vec<Span> {
    let resources = messages(body, 1);
    let scopes = resources.iter().flat_map(|resource| messages(resource, 2));
    let spans = scopes.flat_map(|scope| messages(&scope, 2));
    spans.map(|span| span_of(&span)).collect()
}

fn span_of(message: &[u8]) -> Span {
    let mut span = Span::default();
    for (field, value) in fields(message) {
        match (field, value) {
            (1, Field::Bytes(bytes)) => span.trace = bytes,
            (2, Field::Bytes(bytes)) => span.id = bytes,
            (4, Field::Bytes(bytes)) => span.parent = bytes,
            (5, Field::Bytes(bytes)) => span.name = String::from_utf8(bytes).unwrap(),
            (6, Field::Number(kind)) => span.kind = kind,
            (7, Field::Number(start)) => span.start = start,
            (8, Field::Number(end)) => span.end = end,
            (9, Field::Bytes(pair)) => {
                let (name, value) = attribute(&pair);
                assert!(span.attributes.insert(name, value).is_none());
            }
            (15, Field::Bytes(status)) => {
                span.is_error = fields(&status) == [(3, Field::Number(2))]
            }
            (16, Field::Number(_)) => {}
            other => panic!("no field of a span: {other:?}"),
        }
    }
    span
}

/// A name, and its value as text.
pub(crate) fn attribute(pair: &[u8]) -> (String, String) {
    let name = messages(pair, 1).remove(0);
    let value = fields(&messages(pair, 2).remove(0)).remove(0);
    let value = match value {
        (1, Field::Bytes(text)) => String::from_utf8(text).unwrap(),
        (2, Field::Number(yes)) => (yes == 1).to_string(),
        (3, Field::Number(number)) => number.to_string(),
        other => panic!("no value of ours: {other:?}"),
    };
    (String::from_utf8(name).unwrap(), value)
}

/// What a field holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Number(u64),
    Bytes(Vec<u8>),
}

/// The messages, or texts, of one field.
pub(crate) fn messages(message: &[u8], wanted: u64) -> Vec<Vec<u8>> {
    let found = fields(message).into_iter().filter_map(|(field, value)| match value {
        Field::Bytes(bytes) if field == wanted => Some(bytes),
        _ => None,
    });
    found.collect()
}

/// All fields of a message, in their order.
pub(crate) fn fields(mut message: &[u8]) -> Vec<(u64, Field)> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message);
        let value = match key & 7 {
            0 => Field::Number(varint(&mut message)),
            1 => Field::Number(u64::from_le_bytes(take(&mut message, 8).try_into().unwrap())),
            2 => {
                let length = varint(&mut message) as usize;
                Field::Bytes(take(&mut message, length).to_vec())
            }
            5 => {
                let bytes: [u8; 4] = take(&mut message, 4).try_into().unwrap();
                Field::Number(u32::from_le_bytes(bytes).into())
            }
            wire => panic!("no wire type: {wire}"),
        };
        found.push((key >> 3, value));
    }
    found
}

fn take<'a>(message: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = message.split_at(count);
    *message = rest;
    taken
}

fn varint(message: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(message, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return value;
        }
    }
    panic!("an endless number");
}
