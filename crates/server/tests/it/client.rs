//! A client that writes what it is told, byte by byte, and reads one answer. In: an address and
//! bytes. Out: status, headers, body. Not here: connections that are used again, redirects,
//! anything that would hide a malformed request from the server.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// An answer that takes longer has not come.
const PATIENCE: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether the body came to its stated end.
    pub(crate) is_whole: bool,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {} {}", self.status, self.text()))
    }

    /// The lines of a long operation.
    #[track_caller]
    pub(crate) fn events(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The answer of an operation, after any number of lines of progress.
    #[track_caller]
    pub(crate) fn done(&self) -> Value {
        let (last, before) = self.ends();
        let _progress = before;
        last.get("done").cloned().unwrap_or_else(|| panic!("it failed: {}", self.text()))
    }

    /// The error of an operation, refused before or after it began.
    #[track_caller]
    pub(crate) fn error(&self) -> Value {
        if self.header("content-type").is_some_and(|kind| kind.contains("x-ndjson")) {
            let (last, _) = self.ends();
            return last.get("error").cloned().unwrap_or_else(|| panic!("done: {}", self.text()));
        }
        assert!(self.status >= 400, "no error: {} {}", self.status, self.text());
        self.json()
    }

    /// The last line, and those before it, which must all be progress.
    #[track_caller]
    fn ends(&self) -> (Value, Vec<Value>) {
        assert_eq!(self.status, 200, "{}", self.text());
        assert!(self.is_whole, "the answer was cut off: {}", self.text());
        let mut lines = self.events();
        let last = lines.pop().expect("a line with the end");
        assert!(lines.iter().all(|line| line.get("progress").is_some()), "{}", self.text());
        (last, lines)
    }
}

/// Sends bytes and reads the answer; `None` when the server closes without one.
pub(crate) fn exchange(address: SocketAddr, request: &[u8]) -> Option<Answer> {
    let mut stream = connect(address);
    // A server that has seen enough may answer and close before everything is sent.
    drop(stream.write_all(request));
    read(&mut stream)
}

/// Sends bytes, says that nothing more will come, and reads whatever comes back.
pub(crate) fn send_and_hang_up(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = connect(address);
    drop(stream.write_all(request));
    drop(stream.shutdown(Shutdown::Write));
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(error) => panic!("the server hangs: {error}"),
    }
    answer
}

/// A connection.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Reads one answer.
pub(crate) fn read(stream: &mut impl Read) -> Option<Answer> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = find(&bytes, b"\r\n\r\n") {
            break end;
        }
        if !more(stream, &mut bytes) {
            assert!(bytes.is_empty(), "half a head: {}", String::from_utf8_lossy(&bytes));
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let rest = bytes.split_off(end + 4);
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(':').unwrap())
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let mut answer = Answer { status, headers, body: Vec::new(), is_whole: false };
    body(stream, rest, &mut answer);
    Some(answer)
}

fn body(stream: &mut impl Read, mut bytes: Vec<u8>, answer: &mut Answer) {
    if answer.header("transfer-encoding") == Some("chunked") {
        return chunks(stream, bytes, answer);
    }
    let length: usize = match answer.header("content-length") {
        Some(length) => length.parse().unwrap(),
        None => 0,
    };
    while bytes.len() < length && more(stream, &mut bytes) {}
    answer.is_whole = bytes.len() == length;
    answer.body = bytes;
}

fn chunks(stream: &mut impl Read, mut bytes: Vec<u8>, answer: &mut Answer) {
    loop {
        let Some(end) = find(&bytes, b"\r\n") else {
            if more(stream, &mut bytes) {
                continue;
            }
            return;
        };
        let length = std::str::from_utf8(&bytes[..end]).unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        while bytes.len() < end + 2 + length + 2 {
            if !more(stream, &mut bytes) {
                return;
            }
        }
        answer.body.extend_from_slice(&bytes[end + 2..end + 2 + length]);
        bytes.drain(..end + 2 + length + 2);
        if length == 0 {
            answer.is_whole = true;
            return;
        }
    }
}

/// Reads on; `false` at the end, which a reset is, too.
fn more(stream: &mut impl Read, bytes: &mut Vec<u8>) -> bool {
    let mut piece = [0; 16 << 10];
    match stream.read(&mut piece) {
        Ok(0) => false,
        Ok(count) => {
            bytes.extend_from_slice(&piece[..count]);
            true
        }
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => false,
        Err(error) => panic!("no answer: {error}"),
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
