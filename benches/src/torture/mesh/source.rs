//! A service of the tortured graph that fails in the way it is told to.
//!
//! In: what it answers when it is well, and its manner. Out: an address, how many calls it heard, and how many it
//! had at once. It writes HTTP by hand, for most of its manners are no HTTP. Not here: which manner is when.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Result;
use base::task::{self, Task};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// How a service answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Fault {
    /// Late, but in time.
    Slow,
    /// Not at all.
    Hung,
    /// With a head and nothing more.
    HungAfterHead,
    /// By closing the connection.
    ClosesEarly,
    /// With half of the body, and then by closing.
    HalfBody,
    /// With texts in the place of numbers.
    WrongTypes,
    /// With status 500.
    Fails,
    /// With a small body that is large when it is unpacked.
    GzipBomb,
    /// With a length that is not the body's.
    WrongLength,
    /// With bytes that are no HTTP.
    Garbage,
}

impl Fault {
    /// Whether so many of them open the breaker: what a client may have caused does not.
    pub(crate) fn opens(self) -> bool {
        use Fault::{ClosesEarly, Fails, Garbage, HalfBody, Hung, HungAfterHead};
        matches!(self, Hung | HungAfterHead | ClosesEarly | HalfBody | Fails | Garbage)
    }

    /// The code of the error, where it matters which.
    pub(crate) fn code(self) -> Option<&'static str> {
        match self {
            Fault::Slow | Fault::WrongTypes => None,
            Fault::GzipBomb => Some("LIMIT_EXCEEDED"),
            _ => Some("UNAVAILABLE"),
        }
    }
}

/// How late a slow one answers.
pub(crate) const LATE: Duration = Duration::from_millis(150);

/// Bytes of a bomb when it is unpacked.
const BOMB: usize = 16 << 20;

/// What a service answers when it is well: the call's `representations`, if it has any, to data.
type Answer = fn(Option<&Vec<Value>>) -> Value;

/// A running service.
pub(crate) struct Source {
    pub(crate) url: String,
    state: Arc<State>,
    _task: Task<()>,
}

struct State {
    answer: Answer,
    manner: Mutex<Option<Fault>>,
    heard: AtomicUsize,
    now: AtomicUsize,
    most: AtomicUsize,
    /// Made when it is needed first.
    bomb: OnceLock<Vec<u8>>,
}

/// A call that runs.
struct Running<'a>(&'a State);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Source {
    /// Starts a service that is well.
    pub(crate) async fn start(answer: Answer) -> Result<Source> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}/", listener.local_addr()?);
        let state = Arc::new(State {
            answer,
            manner: Mutex::new(None),
            heard: AtomicUsize::new(0),
            now: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            bomb: OnceLock::new(),
        });
        let shared = Arc::clone(&state);
        let accept = async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                while connections.try_join_next().is_some() {}
                let state = Arc::clone(&shared);
                connections.spawn(async move {
                    // A connection that breaks is what this is about.
                    drop(serve(stream, &state).await);
                });
            }
        };
        Ok(Source { url, state, _task: task::spawn("a tortured service", accept) })
    }

    /// How it answers from now on; well without a fault.
    pub(crate) fn set(&self, fault: Option<Fault>) {
        if fault == Some(Fault::GzipBomb) {
            // Packing takes seconds, and must not stand in the way of those who are well.
            self.state.bomb.get_or_init(|| bomb().unwrap_or_default());
        }
        *self.state.manner.lock() = fault;
    }

    /// How many calls it heard since the last look.
    pub(crate) fn heard(&self) -> usize {
        self.state.heard.swap(0, Ordering::SeqCst)
    }

    /// How many calls it answers now, those of clients that have left counted: it may be late to notice.
    pub(crate) fn running(&self) -> usize {
        self.state.now.load(Ordering::SeqCst)
    }

    /// How many calls it had at once since the last look.
    pub(crate) fn most(&self) -> usize {
        self.state.most.swap(0, Ordering::SeqCst)
    }
}

/// Answers the calls of a connection.
async fn serve(mut stream: TcpStream, state: &State) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut input = Vec::new();
    while let Some(body) = request(&mut stream, &mut input).await? {
        state.heard.fetch_add(1, Ordering::SeqCst);
        let now = state.now.fetch_add(1, Ordering::SeqCst) + 1;
        let running = Running(state);
        state.most.fetch_max(now, Ordering::SeqCst);
        let goes_on = answer(&mut stream, state, &body).await?;
        drop(running);
        if !goes_on {
            return Ok(());
        }
    }
    Ok(())
}

/// Whether the connection goes on.
async fn answer(stream: &mut TcpStream, state: &State, body: &[u8]) -> Result<bool> {
    let asked: Value = serde_json::from_slice(body)?;
    let well = (state.answer)(asked["variables"]["representations"].as_array()).to_string();
    let manner = *state.manner.lock();
    let Some(fault) = manner else {
        stream.write_all(&message(well.as_bytes(), well.len(), "")).await?;
        return Ok(true);
    };
    match fault {
        Fault::Slow => {
            tokio::time::sleep(LATE).await;
            stream.write_all(&message(well.as_bytes(), well.len(), "")).await?;
            return Ok(true);
        }
        Fault::Hung => gone(stream).await?,
        Fault::HungAfterHead => {
            stream.write_all(&message(b"", well.len(), "")).await?;
            gone(stream).await?;
        }
        Fault::ClosesEarly => {}
        Fault::HalfBody => {
            let half = &well.as_bytes()[..well.len() / 2];
            stream.write_all(&message(half, well.len(), "")).await?;
        }
        Fault::WrongTypes => {
            let wrong = well.replace("\"stars\":", "\"stars\":\"many\",\"was\":");
            stream.write_all(&message(wrong.as_bytes(), wrong.len(), "")).await?;
            return Ok(true);
        }
        Fault::Fails => {
            let text = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 4\r\n\r\ndown";
            stream.write_all(text).await?;
            return Ok(true);
        }
        Fault::GzipBomb => {
            let bomb = state.bomb.get().map_or(&[][..], Vec::as_slice);
            let packed = message(bomb, bomb.len(), "content-encoding: gzip\r\n");
            stream.write_all(&packed).await?;
            return Ok(true);
        }
        Fault::WrongLength => {
            stream.write_all(&message(well.as_bytes(), well.len() / 2, "")).await?;
        }
        Fault::Garbage => stream.write_all(b"\x16\x03\x01 no HTTP at all\r\n\r\n").await?,
    }
    Ok(false)
}

/// Waits until the other side has left.
async fn gone(stream: &mut TcpStream) -> Result<()> {
    let mut nothing = [0; 64];
    while stream.read(&mut nothing).await? > 0 {}
    Ok(())
}

fn message(body: &[u8], length: usize, more: &str) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{more}content-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// The body of the next request; nothing at the end of the connection.
async fn request(stream: &mut TcpStream, input: &mut Vec<u8>) -> Result<Option<Vec<u8>>> {
    loop {
        if let Some(end) = input.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&input[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.unwrap_or("0").trim().parse()?;
            let (start, whole) = (end + 4, end + 4 + length);
            if input.len() >= whole {
                let body = input[start..whole].to_vec();
                input.drain(..whole);
                return Ok(Some(body));
            }
        }
        if stream.read_buf(input).await? == 0 {
            return Ok(None);
        }
    }
}

/// Zeros, packed.
fn bomb() -> std::io::Result<Vec<u8>> {
    use std::io::Write as _;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&vec![0; BOMB])?;
    packed.finish()
}

/// How many films there are.
pub(crate) const FILMS: usize = 8;

/// The films.
pub(crate) fn films(_: Option<&Vec<Value>>) -> Value {
    let film = |number| json!({"__typename": "Film", "id": format!("f{number}"), "title": format!("title {number}")});
    json!({"data": {"films": (0..FILMS).map(film).collect::<Vec<_>>()}})
}

/// The stars of films: their numbers.
pub(crate) fn stars(asked: Option<&Vec<Value>>) -> Value {
    entities(asked, "stars")
}

/// The prices of films: their numbers, too.
pub(crate) fn prices(asked: Option<&Vec<Value>>) -> Value {
    entities(asked, "price")
}

fn entities(asked: Option<&Vec<Value>>, field: &str) -> Value {
    let entity = |film: &Value| {
        let id = film["id"].as_str().unwrap_or_default();
        let number: u64 = id.trim_start_matches('f').parse().unwrap_or_default();
        json!({"__typename": "Film", "id": id, field: number})
    };
    json!({"data": {"_entities": asked.into_iter().flatten().map(entity).collect::<Vec<_>>()}})
}
