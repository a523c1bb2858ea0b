//! Free ports. In: nothing. Out: a loopback port that nobody listens on. Not here: servers.

use std::net::TcpListener;

/// A loopback port that was free a moment ago. Whoever can should bind port 0 instead, for another
/// process may take this one first.
///
/// # Panics
/// When the machine has no free port.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free loopback port");
    listener.local_addr().expect("the address of a bound socket").port()
}
