//! What a call of a source costs on this side: CPU time of the calling thread for one exchange of a
//! small request and an answer of 1 KiB over loopback, against hyper by itself on one connection.
//! `cargo run --release -p mesh --example transport` prints the least and the median of seven rounds
//! that take turns. In: nothing. Out: microseconds a call. Linux only: the time is the kernel's count
//! for the thread.
#![expect(clippy::print_stdout, reason = "printing is what the program does")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use base::rng::Rng;
use base::{Clock, Error, Principal, Result};
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use mesh::transport::{Call, SourceSettings, Transport};

const ROUNDS: usize = 7;
const CALLS: u32 = 20_000;
const REQUEST: &[u8] = br#"{"query":"{ films { id title } }"}"#;

fn main() -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || serve(&listener));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let settings = SourceSettings::new(format!("http://{address}/graphql"));
        let ours = Transport::new("films", settings, Clock::system(), Rng::from_entropy())?;
        let mut bare = bare(&address.to_string()).await?;
        let (mut ours_took, mut bare_took) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            bare_took.push(bare_round(&mut bare, &address.to_string()).await?);
            ours_took.push(our_round(&ours).await?);
        }
        report("hyper by itself", &mut bare_took);
        report("this transport", &mut ours_took);
        Ok(())
    })
}

fn report(name: &str, took: &mut [f64]) {
    took.sort_by(f64::total_cmp);
    println!("{name}: {:.1} µs at least, {:.1} µs in the middle", took[0], took[took.len() / 2]);
}

async fn our_round(source: &Transport) -> Result<f64> {
    let call = Call::post("", REQUEST, Principal::local());
    let before = cpu_nanos()?;
    for _ in 0..CALLS {
        let answer = source.call(&call).await;
        answer.map_err(|error| Error::internal(error.detail))?;
    }
    Ok((cpu_nanos()? - before) / f64::from(CALLS) / 1_000.0)
}

async fn bare(address: &str) -> Result<http1::SendRequest<Full<Bytes>>> {
    let stream = tokio::net::TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (send, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let driver = base::task::spawn("a connection", async move {
        let _ended = driver.await;
    });
    // It lives as long as the program.
    std::mem::forget(driver);
    Ok(send)
}

async fn bare_round(send: &mut http1::SendRequest<Full<Bytes>>, host: &str) -> Result<f64> {
    let before = cpu_nanos()?;
    for _ in 0..CALLS {
        let request = Request::post("/graphql")
            .header(header::HOST, host)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from_static(REQUEST)))
            .map_err(|error| Error::internal("a request").caused_by(error))?;
        send.ready().await.map_err(failed)?;
        let answer = send.send_request(request).await.map_err(failed)?;
        answer.into_body().collect().await.map_err(failed)?;
    }
    Ok((cpu_nanos()? - before) / f64::from(CALLS) / 1_000.0)
}

fn failed(error: hyper::Error) -> Error {
    Error::internal("an exchange failed").caused_by(error)
}

/// What this thread has run so far.
fn cpu_nanos() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let first = text.split_whitespace().next().and_then(|first| first.parse().ok());
    first.ok_or_else(|| Error::internal("the kernel does not count"))
}

/// Answers everything on every connection, as cheaply as it can.
fn serve(listener: &TcpListener) {
    for stream in listener.incoming().flatten() {
        std::thread::spawn(move || answer(stream));
    }
}

fn answer(mut stream: TcpStream) {
    let body = format!("{{\"data\":\"{}\"}}", "x".repeat(1_013));
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1024\r\n\r\n";
    let whole = [head.as_bytes(), body.as_bytes()].concat();
    let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        read.extend_from_slice(&buffer[..count]);
        // Head and body come in one piece or in two; the body ends the request.
        if read.ends_with(REQUEST) {
            read.clear();
            if stream.write_all(&whole).is_err() {
                return;
            }
        }
    }
}
