//! An answer that goes on: the events of a subscription. In: a flow whose head has come. Out: its
//! pieces, one at a time. Nothing is read ahead beyond one buffer of the connection, so a reader that
//! is slow slows the source down; a source that is silent for too long ends the stream; dropping the
//! stream closes its connection (HTTP/1.1) or resets it (HTTP/2). Not here: what the pieces mean.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use http::{HeaderMap, StatusCode};
use tokio::time::{Instant, Sleep};

use super::call::{CallError, CallErrorKind};
use super::connection::Flow;
use super::health::{Counted, Meters, add};
use super::queue::Place;

/// A stream of bytes from a source. It ends after its first error.
pub struct AnswerStream {
    status: StatusCode,
    headers: HeaderMap,
    trailers: Option<HeaderMap>,
    /// How long it may be silent; `None` for ever.
    idle: Option<Duration>,
    meters: Arc<Meters>,
    /// `None` once it has ended; everything that it held is free then.
    open: Option<Open>,
}

/// What an open stream holds.
struct Open {
    flow: Flow,
    /// When the silence has been too long; it counts only while somebody waits.
    silence: Pin<Box<Sleep>>,
    is_waiting: bool,
    _place: Place,
    _counted: Counted,
}

impl AnswerStream {
    pub(crate) fn new(
        head: http::response::Parts,
        flow: Flow,
        place: Place,
        idle: Option<Duration>,
        meters: Arc<Meters>,
    ) -> Self {
        let open = Open {
            flow,
            silence: Box::pin(tokio::time::sleep(idle.unwrap_or_default())),
            is_waiting: false,
            _place: place,
            _counted: meters.stream(),
        };
        let (status, headers) = (head.status, head.headers);
        AnswerStream { status, headers, trailers: None, idle, meters, open: Some(open) }
    }

    /// The status; always a good one.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// What came after the last piece.
    pub(crate) fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }

    /// The next piece: never empty, and no larger than one buffer of the connection. `None` at the end.
    ///
    /// # Errors
    /// When the connection breaks, and when the source is silent for too long.
    pub async fn next(&mut self) -> Option<Result<Bytes, CallError>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for AnswerStream {
    type Item = Result<Bytes, CallError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let Some(open) = &mut this.open else { return Poll::Ready(None) };
        let last = match open.poll(this.idle, &mut this.trailers, cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Some(Ok(piece))) => {
                add(&this.meters.bytes_received, piece.len() as u64);
                return Poll::Ready(Some(Ok(piece)));
            }
            Poll::Ready(last) => last,
        };
        this.open = None;
        Poll::Ready(last)
    }
}

impl Open {
    fn poll(
        &mut self,
        idle: Option<Duration>,
        trailers: &mut Option<HeaderMap>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, CallError>>> {
        loop {
            match self.flow.poll_frame(cx) {
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(Err(error))) => {
                    let detail = base::error_chain(&error).join(": ");
                    let mut error = CallError::new(CallErrorKind::Protocol, detail);
                    error.retryable = true;
                    return Poll::Ready(Some(Err(error)));
                }
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(piece) if !piece.is_empty() => {
                        self.is_waiting = false;
                        return Poll::Ready(Some(Ok(piece)));
                    }
                    // Empty pieces are no news.
                    Ok(_) => {}
                    Err(other) => *trailers = other.into_trailers().ok().or(trailers.take()),
                },
                Poll::Pending => break,
            }
        }
        let Some(idle) = idle else { return Poll::Pending };
        if !self.is_waiting {
            self.is_waiting = true;
            self.silence.as_mut().reset(Instant::now() + idle);
        }
        std::task::ready!(self.silence.as_mut().poll(cx));
        let detail = format!("the stream was silent for {idle:?}");
        Poll::Ready(Some(Err(CallError::new(CallErrorKind::Timeout, detail))))
    }
}

impl std::fmt::Debug for AnswerStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AnswerStream").field("status", &self.status).finish_non_exhaustive()
    }
}
