//! Owns listening: addresses that are bound, and connections that are accepted, one after the other, for as long as
//! the system has any to give.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

/// Connections that the kernel holds ready.
const BACKLOG: i32 = 1_024;
/// The first and the longest time to wait where accepting fails.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Begins to listen; connections wait in the kernel until they are accepted. Where there is no IPv6, any address of it
/// means any address of IPv4.
///
/// # Errors
/// The address cannot be bound.
pub fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    match open(address) {
        Err(error) if is_any_ipv6(address) && is_no_ipv6(&error) => {
            open(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port()))
        }
        listener => listener,
    }
}

fn open(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if is_any_ipv6(address) {
        // One socket for both families; where the system has it off, IPv6 alone.
        socket.set_only_v6(false).unwrap_or_default();
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn is_any_ipv6(address: SocketAddr) -> bool {
    address.is_ipv6() && address.ip().is_unspecified()
}

fn is_no_ipv6(error: &io::Error) -> bool {
    const EAFNOSUPPORT: i32 = 97;
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(EAFNOSUPPORT)
}

/// Accepts connections.
#[derive(Debug)]
pub struct Acceptor {
    listener: TcpListener,
    /// The attempts that failed one after the other.
    failures: u32,
}

impl Acceptor {
    /// On a thread that runs tokio.
    ///
    /// # Errors
    /// The listener cannot be watched there.
    pub fn new(listener: std::net::TcpListener) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::from_std(listener)?, failures: 0 })
    }

    /// The next connection, or why there is none: no descriptors, no memory. What waits in the kernel keeps waiting
    /// then, and the attempt after this one begins later. None once `stop` says true, or nobody can say it any more.
    pub async fn next(
        &mut self,
        stop: &mut watch::Receiver<bool>,
    ) -> Option<io::Result<(TcpStream, SocketAddr)>> {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => None,
            accepted = self.accept() => Some(accepted),
        }
    }

    /// The same for whoever never stops.
    ///
    /// # Errors
    /// As it says there.
    pub async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        // Even no time at all is up to a millisecond for a timer.
        if self.failures > 0 {
            sleep(back_off(self.failures)).await;
        }
        loop {
            match self.listener.accept().await {
                Err(error) if is_of_the_peer(&error) => {}
                Err(error) => {
                    self.failures = self.failures.saturating_add(1);
                    return Err(error);
                }
                Ok(accepted) => {
                    self.failures = 0;
                    return Ok(accepted);
                }
            }
        }
    }
}

/// Before the next attempt, behind so many that failed.
fn back_off(failures: u32) -> Duration {
    BACK_OFF.0.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(BACK_OFF.1)
}

/// The peer gave up while it waited; nothing is wrong here.
fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, WouldBlock};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted | WouldBlock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_that_fail_are_made_ever_more_seldom_up_to_a_bound() {
        let waits = [1, 2, 3, 7, u32::MAX].map(|failures| back_off(failures).as_millis());
        assert_eq!(waits, [50, 100, 200, 2_000, 2_000]);
    }
}
