//! A WebSocket, frame by frame, so that no client's manners stand between a test and the server.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use crate::client::connect;

pub(super) struct Socket {
    stream: TcpStream,
}

impl Socket {
    /// Opens a socket; the status when there is none.
    pub(super) fn open(address: SocketAddr, protocol: &str) -> Result<Socket, u16> {
        Socket::open_from(address, protocol, &format!("http://{address}"))
    }

    /// Likewise, as a page of an origin.
    pub(super) fn open_from(
        address: SocketAddr,
        protocol: &str,
        origin: &str,
    ) -> Result<Socket, u16> {
        let mut stream = connect(address);
        let head = format!(
            "GET /graphql HTTP/1.1\r\nhost: {address}\r\norigin: {origin}\r\nconnection: upgrade\r\n\
             upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-protocol: {protocol}\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
        let answer = String::from_utf8_lossy(&answer);
        let status: u16 = answer.split(' ').nth(1).unwrap().parse().unwrap();
        if status == 101 { Ok(Socket { stream }) } else { Err(status) }
    }

    /// Sends a text. A server that has closed meanwhile does not hear it.
    pub(super) fn say(&mut self, text: &str) {
        let mut frame = vec![0x81];
        match text.len() {
            length @ 0..126 => frame.push(0x80 | length as u8),
            length => {
                frame.push(0x80 | 126);
                frame.extend_from_slice(&(length as u16).to_be_bytes());
            }
        }
        // A mask of zeros leaves the text as it is.
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(text.as_bytes());
        drop(self.stream.write_all(&frame));
    }

    /// The next frame's kind and payload; nothing when the connection is gone.
    fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head).ok()?;
        let length = match head[1] & 0x7f {
            126 => {
                let mut long = [0; 2];
                self.stream.read_exact(&mut long).ok()?;
                u64::from(u16::from_be_bytes(long))
            }
            127 => {
                let mut long = [0; 8];
                self.stream.read_exact(&mut long).ok()?;
                u64::from_be_bytes(long)
            }
            short => u64::from(short),
        };
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut payload).ok()?;
        Some((head[0] & 0x0f, payload))
    }

    /// The next message.
    pub(super) fn hear(&mut self) -> Value {
        loop {
            let (kind, payload) = self.frame().expect("an open connection");
            match kind {
                1 => return serde_json::from_slice(&payload).unwrap(),
                8 => panic!("closed: {}", String::from_utf8_lossy(&payload)),
                _ => {}
            }
        }
    }

    /// The code with which the server closes, whatever it says before; 0 when it says none.
    pub(super) fn closed(&mut self) -> u16 {
        loop {
            match self.frame() {
                None => return 0,
                Some((8, payload)) => match payload.first_chunk() {
                    Some(code) => return u16::from_be_bytes(*code),
                    None => return 0,
                },
                Some(_) => {}
            }
        }
    }
}
