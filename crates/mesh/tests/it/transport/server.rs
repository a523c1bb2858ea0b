//! A server whose every connection follows a script of the test. In: what to do with each connection.
//! Out: where it listens, and how many came. Not here: HTTP; the scripts write it by hand, wrongly
//! where that is the point.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A server; its connections end when it is dropped.
pub(crate) struct Server {
    pub(crate) url: String,
    accepted: Arc<AtomicUsize>,
    _task: base::task::Task<()>,
}

/// One connection, seen from the server.
pub(crate) struct Peer {
    stream: TcpStream,
    /// Which connection it is, from 0.
    pub(crate) number: usize,
}

impl Server {
    /// Starts a server that gives each connection to the script.
    pub(crate) async fn start<F>(script: impl Fn(Peer) -> F + Send + Sync + 'static) -> Server
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("it goes well in a test");
        let url = format!("http://{}", listener.local_addr().expect("it goes well in a test"));
        let accepted = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&accepted);
        let accept = async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("it goes well in a test");
                stream.set_nodelay(true).expect("it goes well in a test");
                let number = counter.fetch_add(1, Ordering::SeqCst);
                while connections.try_join_next().is_some() {}
                connections.spawn(script(Peer { stream, number }));
            }
        };
        Server { url, accepted, _task: base::task::spawn("a server of a test", accept) }
    }

    /// A server that answers the first request of each connection with these bytes, and then closes.
    pub(crate) async fn saying(bytes: impl Into<Vec<u8>>) -> Server {
        let bytes = Arc::new(bytes.into());
        Server::start(move |mut peer| {
            let bytes = Arc::clone(&bytes);
            async move {
                peer.request().await;
                peer.say(bytes.as_ref()).await;
            }
        })
        .await
    }

    /// A server that gives every request of every connection this answer.
    pub(crate) async fn always(answer: impl Into<String>) -> Server {
        let answer = Arc::new(answer.into());
        Server::start(move |mut peer| {
            let answer = Arc::clone(&answer);
            async move {
                while peer.request().await.is_some() {
                    peer.say(answer.as_bytes()).await;
                }
            }
        })
        .await
    }

    /// How many connections there were.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

impl Peer {
    /// The next request, head and body; `None` when the client has closed.
    pub(crate) async fn request(&mut self) -> Option<String> {
        let mut read = Vec::new();
        loop {
            let byte = self.stream.read_u8().await.ok()?;
            read.push(byte);
            if read.ends_with(b"\r\n\r\n") {
                break;
            }
        }
        let head = String::from_utf8(read).expect("it goes well in a test");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body =
            vec![0; length.map_or(0, |length| length.parse().expect("it goes well in a test"))];
        self.stream.read_exact(&mut body).await.ok()?;
        Some(head + std::str::from_utf8(&body).expect("it goes well in a test"))
    }

    /// Says these bytes, as far as anybody listens; whether all were taken.
    pub(crate) async fn say(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }

    /// Waits until the client has closed.
    pub(crate) async fn gone(&mut self) {
        let mut rest = [0; 1024];
        while self.stream.read(&mut rest).await.is_ok_and(|count| count > 0) {}
    }

    /// Closes in the rudest way: the client's next read or write fails.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().expect("it goes well in a test");
    }

    /// The socket, for what speaks by itself.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }
}

/// An answer of JSON.
pub(crate) fn json(body: &str) -> String {
    answer("200 OK", "content-type: application/json\r\n", body)
}

/// An answer with a status line and headers, and the right length.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}
