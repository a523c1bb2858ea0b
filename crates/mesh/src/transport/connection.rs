//! One open connection. In: a request. Out: the head of its answer, then the body piece by piece.
//!
//! A connection over HTTP/1.1 is moved by the call that uses it, not by a task of its own: the call's
//! future holds it, so dropping the future closes it at that moment, and no wake-up passes between
//! tasks. A connection over HTTP/2 serves many calls and has tasks, which end with it; dropping a
//! call's future resets its stream. Not here: which connection a call gets (`pool`).

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use base::task::Task;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::{TrySendError, http1, http2};
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::connect::Bytestream;
use super::health::Counted;

/// How often a peer over HTTP/2 is asked whether it is still there while calls run, and how long it
/// may take to say so.
const PING: Duration = Duration::from_secs(10);
/// Header fields of an answer.
const MOST_HEADERS: usize = 128;
/// What a peer over HTTP/2 may send of one body before any of it is read.
const STREAM_WINDOW: u32 = 1 << 20;
/// The same for all bodies of a connection together.
const CONNECTION_WINDOW: u32 = 4 << 20;

/// A connection over HTTP/1.1: idle, or used by one call.
pub(crate) struct Single {
    send: http1::SendRequest<Full<Bytes>>,
    /// Moves the bytes; `None` once it has ended.
    driver: Option<Driver>,
    /// Whether a call was answered on it.
    pub(crate) is_used: bool,
    _counted: Counted,
}

/// What moves the bytes of a connection over HTTP/1.1; hyper has no name for one that may be upgraded.
type Driver = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send + Sync>>;

/// A connection over HTTP/2, shared by calls.
pub(crate) struct Shared {
    send: http2::SendRequest<Full<Bytes>>,
    calls: AtomicUsize,
    last_used: Mutex<Instant>,
    _driver: Task<()>,
    _tasks: Tasks,
    _counted: Counted,
}

/// A connection in the hands of a call.
pub(crate) enum Held {
    Single(Box<Single>),
    Shared(OneCall),
}

/// A call on a shared connection.
pub(crate) struct OneCall(Arc<Shared>);

/// What moves a shared connection; all of it ends when this is dropped.
type Tasks = Arc<Mutex<JoinSet<()>>>;

/// Gives hyper's tasks to a connection's own set.
#[derive(Clone)]
struct TasksOf(Weak<Mutex<JoinSet<()>>>);

/// An answer of which the head has come.
pub(crate) struct Flow {
    held: Held,
    body: Incoming,
}

/// Why there is no head.
#[derive(Debug)]
pub(crate) struct NotSent {
    pub(crate) error: hyper::Error,
    /// Whether the source cannot have seen the call.
    pub(crate) is_unseen: bool,
}

impl Single {
    /// Speaks HTTP/1.1 over new bytes.
    pub(crate) async fn open(
        bytes: Bytestream,
        head_bytes: usize,
        counted: Counted,
    ) -> hyper::Result<Self> {
        let handshake = http1::Builder::new()
            .max_headers(MOST_HEADERS)
            .max_header_size(head_bytes)
            .handshake(TokioIo::new(bytes));
        let (send, driver) = handshake.await?;
        let driver: Option<Driver> = Some(Box::pin(driver.with_upgrades()));
        Ok(Single { send, driver, is_used: false, _counted: counted })
    }

    /// Whether a call can be sent now: the peer has not closed, and has said nothing unasked.
    pub(crate) fn is_ready(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        self.drive(&mut cx);
        self.driver.is_some() && self.send.is_ready()
    }

    /// Moves what can be moved.
    fn drive(&mut self, cx: &mut Context<'_>) {
        let Some(driver) = &mut self.driver else { return };
        // What ended it reaches the call by its own channel.
        if driver.as_mut().poll(cx).is_ready() {
            self.driver = None;
        }
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, NotSent> {
        // A runtime that makes a task pause wakes it again, but here there is nobody to be woken: the
        // driver pauses, this does not.
        let answer = tokio::task::unconstrained(self.send.try_send_request(request));
        let mut answer = std::pin::pin!(answer);
        let answer = std::future::poll_fn(|cx| {
            self.drive(cx);
            // Only the driver can answer, and it was just asked: nobody else need wake this task.
            answer.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        });
        answer.await.map_err(NotSent::from)
    }
}

impl Shared {
    /// Speaks HTTP/2 over new bytes.
    pub(crate) async fn open(
        bytes: Bytestream,
        head_bytes: usize,
        counted: Counted,
    ) -> hyper::Result<Self> {
        let tasks = Tasks::default();
        let handshake = http2::Builder::new(TasksOf(Arc::downgrade(&tasks)))
            .timer(TokioTimer::new())
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(u32::try_from(head_bytes).unwrap_or(u32::MAX))
            .handshake(TokioIo::new(bytes));
        let (send, driver) = handshake.await?;
        let driver = base::task::spawn("connection to a source", async move {
            // What ended it reaches the calls by their own channels.
            let _ended = driver.await;
        });
        Ok(Shared {
            send,
            calls: AtomicUsize::new(0),
            last_used: Mutex::new(Instant::now()),
            _driver: driver,
            _tasks: tasks,
            _counted: counted,
        })
    }

    /// The calls on it now.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.send.is_closed()
    }

    /// Whether nobody uses it, and nobody has for this time.
    pub(crate) fn is_idle_for(&self, time: Duration) -> bool {
        self.calls() == 0 && self.last_used.lock().elapsed() >= time
    }

    /// One more call.
    pub(crate) fn hold(self: &Arc<Self>) -> Held {
        self.calls.fetch_add(1, Ordering::Relaxed);
        Held::Shared(OneCall(Arc::clone(self)))
    }
}

impl Drop for OneCall {
    fn drop(&mut self) {
        *self.0.last_used.lock() = Instant::now();
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for TasksOf {
    fn execute(&self, future: F) {
        // A connection that is gone needs no more tasks.
        let Some(tasks) = self.0.upgrade() else { return };
        let mut tasks = tasks.lock();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(future);
    }
}

impl Held {
    /// Sends a call and waits for the head of its answer.
    pub(crate) async fn send(
        mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<(http::response::Parts, Flow), NotSent> {
        let answer = match &mut self {
            Held::Single(single) => single.send(request).await?,
            Held::Shared(OneCall(shared)) => {
                let answer = shared.send.clone().try_send_request(request);
                answer.await.map_err(NotSent::from)?
            }
        };
        let (head, body) = answer.into_parts();
        Ok((head, Flow { held: self, body }))
    }

    /// Whether an earlier call was answered on it.
    pub(crate) fn is_used(&self) -> bool {
        match self {
            Held::Single(single) => single.is_used,
            Held::Shared(_) => true,
        }
    }

    pub(crate) fn is_http2(&self) -> bool {
        matches!(self, Held::Shared(_))
    }
}

impl Flow {
    /// The next piece of the body, or its trailers.
    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        match &mut self.held {
            Held::Single(single) => {
                single.drive(cx);
                // As in `send`: whatever comes, comes from the driver.
                let mut nobody = Context::from_waker(Waker::noop());
                Pin::new(&mut self.body).poll_frame(&mut nobody)
            }
            Held::Shared(_) => Pin::new(&mut self.body).poll_frame(cx),
        }
    }

    pub(crate) async fn frame(&mut self) -> Option<hyper::Result<Frame<Bytes>>> {
        std::future::poll_fn(|cx| self.poll_frame(cx)).await
    }

    /// The bytes of a connection that speaks HTTP no more, with what counts it.
    pub(crate) async fn upgraded(
        mut self,
        head: http::response::Parts,
    ) -> Result<(Upgraded, Held), String> {
        let Held::Single(single) = &mut self.held else {
            return Err("a connection over HTTP/2 does not become a WebSocket".to_owned());
        };
        let mut upgrade = hyper::upgrade::on(Response::from_parts(head, ()));
        let upgraded = std::future::poll_fn(|cx| {
            // The driver gives the bytes away; nobody else would move it.
            single.drive(cx);
            Pin::new(&mut upgrade).poll(cx)
        });
        match upgraded.await {
            Ok(bytes) => Ok((bytes, self.held)),
            Err(error) => Err(base::error_chain(&error).join(": ")),
        }
    }

    /// The connection, when the whole body was read.
    pub(crate) fn into_held(self) -> Held {
        self.held
    }
}

impl From<TrySendError<Request<Full<Bytes>>>> for NotSent {
    fn from(mut failed: TrySendError<Request<Full<Bytes>>>) -> Self {
        let was_kept = failed.take_message().is_some();
        let error = failed.into_error();
        let is_unseen = was_kept || http2_refused(&error);
        NotSent { error, is_unseen }
    }
}

/// Whether the peer says that it did not look at the call: it refused the stream, or it went away
/// before it (RFC 9113, 8.7; calls that it did look at end before the connection does).
fn http2_refused(error: &hyper::Error) -> bool {
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        if let Some(cause) = cause.downcast_ref::<h2::Error>() {
            let gone = cause.is_go_away() && cause.reason() == Some(h2::Reason::NO_ERROR);
            return cause.is_remote()
                && (gone || cause.reason() == Some(h2::Reason::REFUSED_STREAM));
        }
        next = cause.source();
    }
    false
}
