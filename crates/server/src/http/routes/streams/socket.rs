//! GraphQL over WebSocket: the protocol `graphql-transport-ws`.
//!
//! ```text
//! upgrade → connection_init (token) → connection_ack → subscribe → next … → complete
//! ```
//!
//! In: an upgraded connection of which host and origin were checked as of every request. Out: messages,
//! until either side closes. What the client does against the protocol closes the connection with the
//! protocol's code. A client that reads too slowly is felt by its own subscriptions alone: their events wait,
//! and at last they end. Not here: what a subscription is (`mesh`).

mod message;

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::Response;
use base::task::{self, Task};
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::super::super::Shared;
use super::super::super::authenticate::caller;
use super::super::graphql::failed;
use super::{Running, begin, closing};
use crate::gate::Caller;
use crate::wire::{ErrorBody, GraphqlRequest};
use message::{Said, complete, error, next, read};

/// The protocol's name.
const PROTOCOL: &str = "graphql-transport-ws";

/// How long a client may take to say who it is, and to take a message.
const PATIENCE: Duration = Duration::from_secs(10);

/// Messages that wait for one client; more wait where they are made.
const OUTGOING: usize = 16;

/// Why a connection is closed: a code of the protocol, and its words.
struct Close(u16, String);

impl Close {
    fn new(code: u16, reason: impl Into<String>) -> Self {
        Close(code, reason.into())
    }
}

/// What the loop of a connection sends.
struct Outgoing {
    text: String,
    id: String,
    /// Which of the operations that had the id, one after the other.
    number: u64,
    is_last: bool,
}

/// An operation that runs; it ends when this is dropped.
struct Runs {
    number: u64,
    _task: Task<()>,
}

/// A connection.
struct Connection {
    app: Shared,
    /// Those of the upgrade, and the token that the client said since.
    headers: HeaderMap,
    peer: IpAddr,
    caller: Option<Caller>,
    running: HashMap<String, Runs>,
    /// Operations so far.
    count: u64,
    outgoing: mpsc::Sender<Outgoing>,
    /// Since when nothing runs.
    idle: Instant,
    _place: OwnedSemaphorePermit,
}

/// Answers an upgrade with a connection.
pub(in super::super) fn upgraded(
    app: Shared,
    headers: HeaderMap,
    peer: IpAddr,
    upgrade: WebSocketUpgrade,
) -> Response {
    let place = match app.streams.place() {
        Ok(place) => place,
        Err(error) => return failed(&headers, ErrorBody::from(&error)),
    };
    let bytes = app.project.settings.graphql.request_bytes.0;
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    let upgrade = upgrade.protocols([PROTOCOL]).max_message_size(bytes).max_frame_size(bytes);
    upgrade.on_upgrade(move |mut socket| async move {
        let close = match socket.protocol().is_some_and(|named| named == PROTOCOL) {
            false => Close::new(4406, "Subprotocol not acceptable"),
            true => {
                let (outgoing, waiting) = mpsc::channel(OUTGOING);
                let connection = Connection {
                    app,
                    headers,
                    peer,
                    caller: None,
                    running: HashMap::new(),
                    count: 0,
                    outgoing,
                    idle: Instant::now(),
                    _place: place,
                };
                match Box::pin(connection.run(&mut socket, waiting)).await {
                    Some(close) => close,
                    None => return,
                }
            }
        };
        let Close(code, mut reason) = close;
        // A reason has at most 123 bytes.
        while reason.len() > 123 {
            reason.pop();
        }
        let frame = CloseFrame { code, reason: reason.into() };
        // Whoever is gone cannot be told.
        drop(timeout(PATIENCE, socket.send(Message::Close(Some(frame)))).await);
    })
}

impl Connection {
    /// Serves until the end; gives how to close, unless the client has closed.
    async fn run(
        mut self,
        socket: &mut WebSocket,
        mut waiting: mpsc::Receiver<Outgoing>,
    ) -> Option<Close> {
        let app = Shared::clone(&self.app);
        let mut pace = interval(app.project.settings.graphql.heartbeat.0);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let init = tokio::time::sleep(PATIENCE);
        tokio::pin!(init);
        loop {
            let handled = tokio::select! {
                () = closing(&app) => Err(Close::new(1001, "Going away")),
                () = &mut init, if self.caller.is_none() => {
                    Err(Close::new(4408, "Connection initialisation timeout"))
                }
                heard = socket.recv() => match heard {
                    Some(Ok(Message::Text(text))) => self.hear(socket, text.as_str()).await,
                    Some(Ok(Message::Binary(_))) => Err(Close::new(4400, "Messages are text")),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(()),
                    // Too large a message is an error of the connection, too.
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                },
                // The sender is held by this connection.
                Some(said) = waiting.recv() => self.pass(socket, said).await,
                _ = pace.tick() => self.look(socket).await,
            };
            if let Err(close) = handled {
                return Some(close);
            }
        }
    }

    /// Takes a message of the client.
    async fn hear(&mut self, socket: &mut WebSocket, text: &str) -> Result<(), Close> {
        match read(text).map_err(|reason| Close::new(4400, reason))? {
            Said::Init(payload) => self.init(socket, payload.as_ref()).await,
            Said::Ping(payload) => say(socket, message::pong(payload.as_ref())).await,
            Said::Pong => Ok(()),
            Said::Subscribe { id, request } => self.subscribe(id, *request),
            Said::Complete { id } => {
                self.end(&id);
                Ok(())
            }
        }
    }

    /// Hears who the client is.
    async fn init(&mut self, socket: &mut WebSocket, payload: Option<&Value>) -> Result<(), Close> {
        if self.caller.is_some() {
            return Err(Close::new(4429, "Too many initialisation requests"));
        }
        if let Some(token) = payload.and_then(message::authorization) {
            let value = HeaderValue::try_from(token);
            let value = value.map_err(|_| Close::new(4403, "Forbidden"))?;
            self.headers.insert(header::AUTHORIZATION, value);
        }
        self.caller = Some(self.who().await?);
        say(socket, message::ACK.to_owned()).await
    }

    async fn who(&self) -> Result<Caller, Close> {
        let found = caller(&self.app, &self.headers, self.peer).await;
        found.map_err(|error| match error.kind().is_retryable() {
            true => Close::new(1013, error.message()),
            false => Close::new(4403, format!("Forbidden: {}", error.message())),
        })
    }

    /// Starts an operation.
    fn subscribe(&mut self, id: String, request: GraphqlRequest) -> Result<(), Close> {
        let caller = self.caller.clone().ok_or_else(|| Close::new(4401, "Unauthorized"))?;
        if self.running.contains_key(&id) {
            return Err(Close::new(4409, format!("Subscriber for {id} already exists")));
        }
        let most = self.app.project.settings.graphql.connection_subscriptions;
        if self.running.len() >= most {
            // Whoever runs so many reads what they say, or finds the place taken.
            let text = format!("more than {most} operations on one connection");
            return Err(Close::new(4429, text));
        }
        self.count += 1;
        let number = self.count;
        let operation = Operation {
            app: Shared::clone(&self.app),
            headers: self.headers.clone(),
            caller,
            id: id.clone(),
            number,
            outgoing: self.outgoing.clone(),
        };
        let task = task::spawn("answer over a socket", operation.run(request));
        self.running.insert(id, Runs { number, _task: task });
        Ok(())
    }

    fn end(&mut self, id: &str) {
        self.running.remove(id);
        if self.running.is_empty() {
            self.idle = Instant::now();
        }
    }

    /// Passes on what an operation says, unless the client has ended it meanwhile.
    async fn pass(&mut self, socket: &mut WebSocket, said: Outgoing) -> Result<(), Close> {
        if self.running.get(&said.id).is_none_or(|runs| runs.number != said.number) {
            return Ok(());
        }
        if said.is_last {
            self.end(&said.id);
        }
        say(socket, said.text).await
    }

    /// Looks after a connection from time to time: whether it does anything, and whether its caller may
    /// still ask.
    async fn look(&mut self, socket: &mut WebSocket) -> Result<(), Close> {
        if self.caller.is_none() {
            return Ok(());
        }
        let idle = self.app.project.settings.graphql.socket_idle.0;
        if self.running.is_empty() && self.idle.elapsed() > idle {
            return Err(Close::new(1000, "Idle"));
        }
        self.caller = Some(self.who().await?);
        let ping = timeout(PATIENCE, socket.send(Message::Ping(Bytes::new()))).await;
        sent(ping)
    }
}

async fn say(socket: &mut WebSocket, text: String) -> Result<(), Close> {
    sent(timeout(PATIENCE, socket.send(Message::Text(text.into()))).await)
}

fn sent(result: Result<Result<(), axum::Error>, tokio::time::error::Elapsed>) -> Result<(), Close> {
    match result {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Close::new(1011, "The connection is broken")),
        Err(_) => Err(Close::new(1013, "Messages are not read")),
    }
}

/// One operation of a connection.
struct Operation {
    app: Shared,
    headers: HeaderMap,
    caller: Caller,
    id: String,
    number: u64,
    outgoing: mpsc::Sender<Outgoing>,
}

impl Operation {
    async fn run(self, request: GraphqlRequest) {
        let begun =
            begin(&self.app, &self.headers, &self.caller, &request, (&Method::POST, None)).await;
        let mut events = match begun {
            Ok(Running::Many(events)) => events,
            Ok(Running::Once(answer)) => return self.once(&answer.response).await,
            Err(fault) => {
                let body = super::sse::refusal(&fault);
                return self.say(error(&self.id, &body), true).await;
            }
        };
        while let Some(response) = events.subscription.next().await {
            if response.refused {
                return self.say(error(&self.id, &response.body), true).await;
            }
            self.say(next(&self.id, &response.body), false).await;
        }
        self.say(complete(&self.id), true).await;
    }

    async fn once(&self, response: &mesh::Response) {
        if response.refused {
            return self.say(error(&self.id, &response.body), true).await;
        }
        self.say(next(&self.id, &response.body), false).await;
        self.say(complete(&self.id), true).await;
    }

    async fn say(&self, text: String, is_last: bool) {
        let said = Outgoing { text, id: self.id.clone(), number: self.number, is_last };
        // The loop is gone only when this task is about to be.
        drop(self.outgoing.send(said).await);
    }
}
