//! Free ports. In: nothing. Out: a loopback port that nobody listens on. Not here: servers.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the ports that the kernel gives to outgoing connections and to whoever binds port 0, which
/// start at 32768 on Linux: none of those takes a port of ours before its server does.
const FIRST: u16 = 16_384;
const LAST: u16 = 32_767;
/// Ports that a process tries before it reaches those of the process with the next number.
const WINDOW: u32 = 64;

/// A loopback port that was free a moment ago, and that no other call gave: processes with near
/// numbers, as those of one test run have, draw from windows of their own. Whoever can should bind
/// port 0 instead.
///
/// # Panics
/// When the machine has no free port.
pub fn free_port() -> u16 {
    static DRAWN: AtomicU16 = AtomicU16::new(0);
    let span = LAST - FIRST + 1;
    let start = (std::process::id() % (u32::from(span) / WINDOW)) * WINDOW;
    let free = (0..span).find_map(|_| {
        let offset = (start + u32::from(DRAWN.fetch_add(1, Ordering::Relaxed))) % u32::from(span);
        let port = FIRST + u16::try_from(offset).ok()?;
        TcpListener::bind(("127.0.0.1", port)).ok().map(|_| port)
    });
    free.expect("a free loopback port")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_port_is_given_twice() {
        let ports: Vec<u16> = (0..100).map(|_| free_port()).collect();
        assert_eq!(ports.iter().collect::<HashSet<_>>().len(), ports.len());
        assert!(ports.iter().all(|port| (FIRST..=LAST).contains(port)), "{ports:?}");
    }
}
