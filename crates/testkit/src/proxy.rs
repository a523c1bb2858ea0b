//! A network that can be cut: a port on loopback that passes everything on to another one, until it
//! is told not to. In: the port behind. Out: the port in front. Not here: what is said over it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

const OPEN: u8 = 0;
const REFUSING: u8 = 1;
const SWALLOWING: u8 = 2;
const ENDED: u8 = 3;

/// How often a direction that is still looks whether the network was cut.
const LOOK: Duration = Duration::from_millis(20);

/// A port that passes connections on; closed when dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: AtomicU8,
    behind: u16,
    streams: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// In front of a loopback port.
    ///
    /// # Panics
    /// When no port is free.
    pub fn start(behind: u16) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free loopback port");
        let port = listener.local_addr().expect("the address of a bound socket").port();
        let shared =
            Arc::new(Shared { state: AtomicU8::new(OPEN), behind, streams: Mutex::default() });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, &accepting));
        Proxy { port, shared }
    }

    /// The port in front.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends all connections, and each new one at once.
    pub fn refuse(&self) {
        self.shared.state.store(REFUSING, Ordering::SeqCst);
        self.shared.end_all();
    }

    /// Takes everything and passes nothing on, as a cut cable does.
    pub fn swallow(&self) {
        self.shared.state.store(SWALLOWING, Ordering::SeqCst);
    }

    /// Passes on again. Connections of before are ended: what they were sent meanwhile is lost.
    pub fn heal(&self) {
        self.shared.end_all();
        self.shared.state.store(OPEN, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.state.store(ENDED, Ordering::SeqCst);
        self.shared.end_all();
        // The accepting thread wakes up with this connection and ends.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

impl Shared {
    fn state(&self) -> u8 {
        self.state.load(Ordering::SeqCst)
    }

    fn end_all(&self) {
        for stream in self.streams.lock().drain(..) {
            drop(stream.shutdown(Shutdown::Both));
        }
    }

    fn remember(&self, stream: &TcpStream) {
        if let Ok(stream) = stream.try_clone() {
            self.streams.lock().push(stream);
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while let Ok((front, _)) = listener.accept() {
        match shared.state() {
            ENDED => return,
            REFUSING => drop(front.shutdown(Shutdown::Both)),
            _ => connect(front, shared),
        }
    }
}

fn connect(front: TcpStream, shared: &Arc<Shared>) {
    let Ok(back) = TcpStream::connect(("127.0.0.1", shared.behind)) else { return };
    let (Ok(front_again), Ok(back_again)) = (front.try_clone(), back.try_clone()) else { return };
    shared.remember(&front);
    shared.remember(&back);
    let (there, here) = (Arc::clone(shared), Arc::clone(shared));
    std::thread::spawn(move || pass(front, back, &there));
    std::thread::spawn(move || pass(back_again, front_again, &here));
}

/// Passes one direction on until an end closes it.
fn pass(mut from: TcpStream, mut to: TcpStream, shared: &Shared) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(count) = from.read(&mut bytes) {
        if count == 0 {
            break;
        }
        while shared.state() == SWALLOWING {
            std::thread::sleep(LOOK);
        }
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    drop(from.shutdown(Shutdown::Both));
    drop(to.shutdown(Shutdown::Both));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echo() -> u16 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                std::thread::spawn(move || {
                    let mut byte = [0];
                    while stream.read_exact(&mut byte).is_ok() && stream.write_all(&byte).is_ok() {}
                });
            }
        });
        port
    }

    fn ask(stream: &mut TcpStream) -> bool {
        let mut byte = [0];
        stream.write_all(&[7]).is_ok() && stream.read_exact(&mut byte).is_ok() && byte == [7]
    }

    #[test]
    fn a_cut_network_refuses_or_swallows_until_it_is_healed() {
        let proxy = Proxy::start(echo());
        let open = || {
            let stream = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            stream
        };
        assert!(ask(&mut open()));
        proxy.refuse();
        assert!(!ask(&mut open()));
        proxy.heal();
        let mut before = open();
        assert!(ask(&mut before));
        proxy.swallow();
        assert!(!ask(&mut before) && !ask(&mut open()));
        proxy.heal();
        assert!(ask(&mut open()));
    }
}
